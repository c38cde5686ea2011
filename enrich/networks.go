package enrich

import (
	"bufio"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

// NamedNetwork is a network that the settings have a name for.
type NamedNetwork struct {
	Prefix netip.Prefix
	Name   string // "office"
}

// Tailscale's addresses: https://tailscale.com/kb/1033/ip-and-dns-addresses.
// Every machine in a tailnet has one of each.
const (
	tailscale6 = "fd7a:115c:a1e0::/48"
	tailscale4 = "100.64.0.0/10"
)

// Overlay names the overlay network that an address belongs to, "Tailscale";
// empty if none is known. Tailscale's IPv6 range is its own. Its IPv4 range,
// 100.64.0.0/10, is that of carrier-grade NAT, and many a provider's inner
// network: it is taken for Tailscale's only where own, this machine's addresses,
// shows by an address in the IPv6 range that the machine is in a tailnet itself.
func Overlay(ip netip.Addr, own ...netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	v6 := netip.MustParsePrefix(tailscale6)
	if v6.Contains(ip) {
		return "Tailscale"
	}
	if !netip.MustParsePrefix(tailscale4).Contains(ip) {
		return ""
	}
	for _, a := range own {
		if v6.Contains(a.Unmap().WithZone("")) {
			return "Tailscale"
		}
	}
	return ""
}

// Name returns the settings' name for an address, of the narrowest network that
// it is in, or that of an overlay network; empty if it has none. It may be
// called concurrently.
func (e *Engine) Name(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	name, bits := "", -1
	for _, n := range e.networks {
		if n.Prefix.Contains(ip) && n.Prefix.Bits() > bits {
			name, bits = n.Name, n.Prefix.Bits()
		}
	}
	if name != "" {
		return name
	}
	if name = Overlay(ip); name == "" && netip.MustParsePrefix(tailscale4).Contains(ip) {
		name = Overlay(ip, e.own()...)
	}
	return name
}

// unmapped returns a prefix as addresses are looked up.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// inet6 is where Linux lists the machine's IPv6 addresses, which are all that
// Overlay looks for. A service that may open no netlink socket can read it.
const inet6 = "/proc/net/if_inet6"

// ownAddresses are this machine's. They can change, so that they are asked for
// each time, which is seldom.
func ownAddresses() []netip.Addr {
	if f, err := os.Open(inet6); err == nil {
		defer f.Close()
		return parseInet6(f)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

// parseInet6 reads proc(5)'s if_inet6: 32 hexadecimal digits begin each line.
func parseInet6(r io.Reader) []netip.Addr {
	var out []netip.Addr
	for lines := bufio.NewScanner(io.LimitReader(r, 1<<20)); lines.Scan(); {
		digits, _, _ := strings.Cut(lines.Text(), " ")
		var b [16]byte
		if n, err := hex.Decode(b[:], []byte(digits[:min(len(digits), 32)])); err == nil && n == 16 {
			out = append(out, netip.AddrFrom16(b))
		}
	}
	return out
}
