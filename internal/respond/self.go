package respond

import (
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// Self is who asks, by the kernel's word as far as it goes.
type Self struct {
	Session  uint32 // of the audit system; unset: none
	LoginUID int    // -1: the kernel was not told
	User     string // its name
	PIDs     map[int]bool
	Addrs    []netip.Addr // where the connection came from that this runs on
	// Peers are the far ends of that connection: where one is a socket of this host,
	// whoever holds it carries the connection.
	Peers []netip.AddrPort
}

// Self looks who asks: this process, all above it, and all of its audit session.
func (h Host) Self() Self {
	s := Self{Session: unset, LoginUID: -1, PIDs: map[int]bool{}}
	me, err := h.look(h.PID)
	if err != nil {
		return s
	}
	s.Session, s.LoginUID = me.Session, me.LoginUID
	if u, ok := passwd.ByID(passwd.ReadFile(h.path("/etc/passwd")), s.LoginUID); ok && s.LoginUID >= 0 {
		s.User = u.Name
	}
	all, _ := h.processes()
	parent := map[int]int{}
	for _, p := range all {
		parent[p.PID] = p.PPID
	}
	for pid := h.PID; pid > 1 && !s.PIDs[pid]; pid = parent[pid] {
		s.PIDs[pid] = true
	}
	for _, p := range all {
		if s.PIDs[p.PID] || s.Session != unset && p.Session == s.Session {
			s.connections(h, p.PID)
		}
	}
	return s
}

// connections adds what sshd told a process of its connection.
func (s *Self) connections(h Host, pid int) {
	env, _ := within(patience, func() []byte {
		b, _ := os.ReadFile(h.path("proc", strconv.Itoa(pid), "environ"))
		return b
	})
	for w := range strings.SplitSeq(string(env), "\x00") {
		value, ok := strings.CutPrefix(w, "SSH_CONNECTION=")
		f := strings.Fields(value)
		if !ok || len(f) != 4 {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		s.Addrs = append(s.Addrs, bare(a))
		if port, err := strconv.ParseUint(f[1], 10, 16); err == nil {
			s.Peers = append(s.Peers, netip.AddrPortFrom(bare(a), uint16(port)))
		}
	}
}

// mine reports why a session is the one that asks, "" where it is not.
func (m Members) mine(self Self) string {
	for _, p := range m.Own {
		if self.PIDs[p.PID] || self.Session != unset && p.Session == self.Session {
			return "you run this in it"
		}
	}
	for _, p := range m.Own {
		for _, s := range p.Sockets {
			for _, peer := range self.Peers {
				if s.Local == peer {
					return "your own connection goes through it (process " + p.String() + ")"
				}
			}
		}
	}
	return ""
}
