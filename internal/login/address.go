package login

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// unknown is what sshd writes for an address where the connection is not one
// of TCP: standard input, or vsock.
const unknown = "UNKNOWN"

// connection is SSH_CONNECTION, see ssh(1). An end that sshd does not know, or
// that nothing was said about, is zero.
type connection struct{ remote, local netip.AddrPort }

// parseConnection reads "IP PORT IP PORT", the client's end first. Nothing at
// all is no error.
func parseConnection(s string) (connection, error) {
	if s == "" {
		return connection{}, nil
	}
	f := strings.Split(s, " ")
	if len(f) != 4 {
		return connection{}, errors.New("not four fields")
	}
	remote, err := parseEnd(f[0], f[1])
	if err != nil {
		return connection{}, err
	}
	local, err := parseEnd(f[2], f[3])
	if err != nil {
		return connection{}, err
	}
	return connection{remote, local}, nil
}

func parseEnd(ip, port string) (netip.AddrPort, error) {
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || ip == unknown {
		return netip.AddrPort{}, err
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}

// bare returns the form in which addresses are stored and compared.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// setAddress fills in both ends of the connection, and the flags that say how
// far they can be trusted. PAM_RHOST comes from sshd; SSH_CONNECTION too, but a
// user may have replaced it, and then it must not decide about anything.
func setAddress(e *event.Event, rhost, sshConnection string) {
	conn, err := parseConnection(sshConnection)
	claimed := conn.remote.Addr()
	ip, notIP := netip.ParseAddr(rhost)
	switch {
	case notIP == nil:
		e.Remote.IP, e.Remote.Zone = bare(ip), ip.Zone()
	case rhost != "" && rhost != unknown: // a name: sshd runs with UseDNS
		e.Remote.Name = rhost
		addFlag(e, event.FlagAddressUnverified)
	case claimed.IsValid():
		addFlag(e, event.FlagAddressUnverified)
	}
	switch {
	case err != nil: // sshd writes no such thing
		e.Remote.Claimed = sshConnection
		addFlag(e, event.FlagAddressMismatch)
	case !claimed.IsValid():
	case notIP == nil && bare(claimed) != e.Remote.IP:
		e.Remote.Claimed = claimed.String()
		addFlag(e, event.FlagAddressMismatch)
	default:
		if notIP != nil {
			e.Remote.IP, e.Remote.Zone = bare(claimed), claimed.Zone()
		}
		setPorts(e, conn)
	}
}

// setPorts adds what only SSH_CONNECTION says.
func setPorts(e *event.Event, conn connection) {
	e.Remote.Port = conn.remote.Port()
	if conn.local.IsValid() {
		e.Local = event.Local{IP: bare(conn.local.Addr()), Port: conn.local.Port()}
	}
}

func addFlag(e *event.Event, f event.Flag) {
	if !e.Has(f) {
		e.Flags = append(e.Flags, f)
	}
}
