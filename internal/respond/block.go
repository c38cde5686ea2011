package respond

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The table is sshnotify's own: firewalld, ufw and docker keep theirs. It comes before
// the usual filters, and before what lets open connections pass.
const (
	table = "sshnotify"
	chain = "type filter hook input priority -150; policy accept;"
)

// blocked returns what is blocked for an address: of IPv6 all that one customer has.
func blocked(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(a, 32)
	}
	p, _ := a.Prefix(64)
	return p
}

func set(a netip.Addr) string {
	if a.Is4() {
		return "block4"
	}
	return "block6"
}

// element is how nft writes a prefix.
func element(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// table makes the table as it must be, whatever it was, and keeps what is blocked.
var makeTable = [][]string{
	{"add", "table", "inet", table},
	{"add", "set", "inet", table, "block4", "{ type ipv4_addr; flags interval,timeout; }"},
	{"add", "set", "inet", table, "block6", "{ type ipv6_addr; flags interval,timeout; }"},
	{"add", "chain", "inet", table, "input", "{ " + chain + " }"},
	{"flush", "chain", "inet", table, "input"},
	{"add", "rule", "inet", table, "input", "ip", "saddr", "@block4", "drop"},
	{"add", "rule", "inet", table, "input", "ip6", "saddr", "@block6", "drop"},
}

func (r *Responder) block(ctx context.Context, st *Store, s *Step) {
	h, of := r.Host, r.Subject
	hold := r.For
	if hold == 0 {
		hold = DefaultBlock
	}
	s.Title = "Block the address " + address(of.IP)
	s.misses("the same person from another address")
	s.misses("containers and virtual machines behind this host")
	s.misses("a reboot, which forgets the block, and a flush of all rules, as a restart of nftables.service is")
	if !of.IP.IsValid() {
		s.Title, s.Misses = "Block the address", nil
		s.end(Cannot, "the event has no address")
		return
	}
	p := blocked(of.IP)
	if !p.IsSingleIP() {
		s.Title = "Block the network " + p.String()
	}
	if n := r.Neighbours; n.Logins > 0 {
		s.say("%d other logins came from its surroundings in 30 days, of %s", n.Logins, strings.Join(n.Users[:min(len(n.Users), 5)], ", "))
	}
	seconds := fmt.Sprintf("%ds", int(hold.Seconds()))
	add := []string{"add", "element", "inet", table, set(of.IP), "{ " + element(p) + " timeout " + seconds + " }"}
	for _, words := range append(slices.Clone(makeTable), add) {
		s.Commands = append(s.Commands, command(append([]string{"nft"}, words...)...))
	}
	s.Commands = append(s.Commands, command("nft", "get", "element", "inet", table, set(of.IP), "{ "+of.IP.String()+" }")+"   # it is there")
	s.Undo = []string{command("nft", "delete", "element", "inet", table, set(of.IP), "{ "+element(p)+" }"), command("nft", "delete", "table", "inet", table) + "   # all of ours"}
	if h.program("fail2ban-client") != "" {
		s.Commands = append(s.Commands, "# or by fail2ban, port 22 only; its answer says nothing, look into the rules:", command("fail2ban-client", "set", "sshd", "banip", of.IP.String()))
		s.Undo = append(s.Undo, command("fail2ban-client", "set", "sshd", "unbanip", of.IP.String()))
	}
	if h.program("cscli") != "" {
		s.Commands = append(s.Commands, "# or by CrowdSec, which blocks nothing without a bouncer (cscli bouncers list):",
			command("cscli", "decisions", "add", "--ip", of.IP.String(), "--duration", hold.String(), "--reason", "sshnotify "+of.Ref()))
		s.Undo = append(s.Undo, "cscli decisions list --ip "+of.IP.String()+"   # then cscli decisions delete --id N: by address it takes others' too")
	}
	why, mine := r.guarded(p)
	if why != "" && !(mine && r.EvenMine) {
		s.end(Refused, "%s", why)
		return
	}
	nft := h.program("nft")
	if nft == "" {
		s.Commands = slices.DeleteFunc(s.Commands, func(c string) bool { return strings.HasPrefix(c, "nft ") })
		if st == nil {
			s.say("nft is not there: apt install nftables")
			return
		}
		s.end(Failed, "nft is not there: install nftables")
		return
	}
	if h.UID == 0 {
		if left, ok := h.isBlocked(ctx, nft, of.IP); ok {
			s.end(Already, "it is blocked%s", left)
			return
		}
	}
	if st == nil {
		return
	}
	s.Until = r.until(hold)
	if _, err := r.begin(st, Kept{Action: Block, Network: []netip.Prefix{p}, Until: s.Until}); err != nil {
		s.end(Failed, "nothing is changed: %v", err)
		return
	}
	try := func(p netip.Prefix) error {
		script := ""
		for _, words := range makeTable {
			script += strings.Join(words, " ") + "\n"
		}
		script += "add element inet " + table + " " + set(p.Addr()) + " { " + element(p) + " timeout " + seconds + " }\n"
		_, err := h.Run(ctx, script, nft, "-f", "-") // one transaction: all of it or nothing
		return err
	}
	err := try(p)
	if err != nil && !p.IsSingleIP() {
		// A part of it is blocked already, and a set takes nothing twice.
		single := netip.PrefixFrom(of.IP, of.IP.BitLen())
		again := st.mark(of.ID, Block, func(k *Kept) { k.Network = []netip.Prefix{single} })
		if again == nil {
			again = try(single)
		}
		if again == nil {
			s.leave("the rest of %s: it is not blocked as a whole, since a part of it was", p)
			err = nil
		}
	}
	left, ok := h.isBlocked(ctx, nft, of.IP)
	switch {
	case !ok && err != nil:
		r.drop(st, Block)
		s.end(Failed, "%v", err)
	case !ok:
		s.end(Failed, "nft says that it is done, and the kernel's set does not have it, or no rule uses the set")
	default:
		if err := r.finish(st, Block); err != nil {
			s.leave("%v", err)
		}
		s.done("the kernel drops what comes from it%s; also what is open hangs, until it is ended", left)
	}
}

// isBlocked asks the kernel whether it drops what comes from an address; left says for
// how long.
func (h Host) isBlocked(ctx context.Context, nft string, a netip.Addr) (left string, ok bool) {
	out, err := h.Run(ctx, "", nft, "get", "element", "inet", table, set(a), "{ "+a.String()+" }")
	if err != nil {
		return "", false
	}
	rules, err := h.Run(ctx, "", nft, "list", "chain", "inet", table, "input")
	if err != nil || !strings.Contains(rules, "hook input") || !strings.Contains(rules, "saddr @"+set(a)+" drop") {
		return "", false
	}
	if _, after, found := strings.Cut(out, "expires "); found {
		if more := after[:len(after)-len(strings.TrimLeft(after, "0123456789dhms"))]; more != "" {
			left = ", for " + more + " more"
		}
	}
	return left, true
}

// unblock takes networks out of the sets, and the table where nothing else is blocked.
func (h Host) unblock(ctx context.Context, all []netip.Prefix) error {
	nft := h.program("nft")
	if nft == "" {
		return errors.New("nft is not there")
	}
	for _, p := range all {
		// That it has run out is no error; what counts is what is there after it.
		h.Run(ctx, "", nft, "delete", "element", "inet", table, set(p.Addr()), "{ "+element(p)+" }")
		if left, ok := h.isBlocked(ctx, nft, p.Addr()); ok {
			return fmt.Errorf("%s is still blocked%s, by an entry that is not of this response: nft list set inet %s %s", p, left, table, set(p.Addr()))
		}
	}
	out, err := h.Run(ctx, "", nft, "list", "table", "inet", table)
	if err != nil {
		return nil // there is none
	}
	if !strings.Contains(out, "elements = ") {
		_, err = h.Run(ctx, "", nft, "delete", "table", "inet", table)
	}
	return err
}

// guarded returns why a network must not be blocked; mine: unless whoever asks insists.
func (r *Responder) guarded(p netip.Prefix) (why string, mine bool) {
	a := p.Addr()
	if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return "it is no address of another host", false
	}
	if r.Host.Addresses != nil {
		own, err := r.Host.Addresses()
		if err != nil {
			return fmt.Sprintf("it can't be seen whether it is this host's own: %v", err), false
		}
		for _, o := range own {
			if p.Contains(o.Addr()) {
				return "it is this host's own address", false
			}
		}
	}
	for _, g := range r.Host.gateways() {
		if p.Contains(g) {
			return "it is the gateway " + g.String(), false
		}
	}
	for _, hub := range r.Hub {
		if p.Contains(hub) {
			return "this host's hub is there", false
		}
	}
	for _, from := range r.Self.Addrs {
		if p.Contains(from) {
			return "your own connection comes from there: " + from.String(), true
		}
	}
	m, err := r.Host.members(r.Subject, r.Self)
	if err == nil && r.Self.LoginUID >= 0 {
		for _, s := range r.Host.sessions() {
			if s.UID == r.Self.LoginUID && s.ID != m.ID && s.Remote.IsValid() && p.Contains(s.Remote) {
				return "you are also logged in from there: session " + s.ID + " since " + s.Since.Format(time.RFC3339), true
			}
		}
	}
	for known, name := range r.Known {
		if known.Overlaps(p) {
			return fmt.Sprintf("the settings know it: %s is in %s", name, known), true
		}
	}
	if r.Neighbours.Logins >= ManyLogins {
		return fmt.Sprintf("many of your own come from its surroundings: %d usual logins in 30 days", r.Neighbours.Logins), true
	}
	return "", false
}

// gateways are those of the routing tables, see proc_pid_net(5).
func (h Host) gateways() (out []netip.Addr) {
	for line := range strings.Lines(h.text("/proc/net/route", 1<<20)) {
		if f := strings.Fields(line); len(f) > 2 && len(f[2]) == 8 {
			if a := endpoint(f[2] + ":0").Addr(); a.IsValid() && !a.IsUnspecified() {
				out = append(out, a)
			}
		}
	}
	for line := range strings.Lines(h.text("/proc/net/ipv6_route", 1<<20)) {
		if f := strings.Fields(line); len(f) > 4 {
			b, err := hex.DecodeString(f[4])
			if a, ok := netip.AddrFromSlice(b); err == nil && ok && !a.IsUnspecified() {
				out = append(out, a)
			}
		}
	}
	return out
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "here"
	}
	return a.String()
}
