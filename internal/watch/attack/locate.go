package attack

import (
	"net/netip"
	"slices"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// unknownBits are those of the hash of an attempt whose address no line has said.
// An address's hash has all 64, so that the two can be told apart in a snapshot.
const unknownBits = 1<<32 - 1

// hashOfPeer is the hash of an address, of IPv6 that of its /64, or of what an attempt
// without an address has in its place. 0: the service has no addresses.
func hashOfPeer(ip netip.Addr, peer string) uint64 {
	switch {
	case ip.IsValid():
		b := site(ip, ByAddress).Addr().As16()
		return hashOf(string(b[:]))
	case peer != "":
		return max(hashOf(peer)&unknownBits, 1)
	}
	return 0
}

func isUnknown(who uint64) bool { return who != 0 && who <= unknownBits }

// settling is how long a line with an attempt's address may be on its way: PAM
// waits two seconds before it lets sshd write its own.
const settling = 3000

// settle is an account whose last attempt may get its address until t.
type settle struct {
	t int64
	e *entry
}

// settle has an account looked at again when its attempts have the addresses that
// they get.
func (g *Engine) settle(e *entry) {
	if !e.settling {
		e.settling = true
		g.settles = append(g.settles, settle{e.last + settling, e})
	}
}

// settled looks whether attempts without an address, which get none any more, are
// an attack.
func (g *Engine) settled(t int64, out []Finding) []Finding {
	for len(g.settles) > 0 && g.settles[0].t <= t {
		due := g.settles[0]
		g.settles = g.settles[1:]
		e := due.e
		e.settling = false
		if g.entries[e.key] != e || e.attack != nil {
			continue
		}
		if e.last+settling > t {
			g.settle(e) // attempts came since
			continue
		}
		for _, service := range e.services.list {
			if f, ok := g.begin(e, service.Name, g.groups[e.key.by], e.last); ok {
				out = append(out, f)
				g.resize(e)
				break
			}
		}
	}
	return out
}

// unknown counts an account's attempts, after one moment and up to another, of
// which no line has said the address.
func (e *entry) unknown(since, until int64) int {
	if e == nil {
		return 0
	}
	n := 0
	for _, it := range e.groups[0].items {
		if it.t > since && it.t <= until && isUnknown(it.who) {
			n += it.guesses()
		}
	}
	return n
}

// locate gives attempts the address that a later line says they came from. For
// their account they are counted already; r.Retracted of them were none, and the rest
// of it is left for what was counted with its address.
func (g *Engine) locate(r *parse.Result, out []Finding) []Finding {
	address := hashOfPeer(r.IP, "")
	retracted := r.Retracted
	for i := len(r.Located) - 1; i >= 0; i-- {
		a := &r.Located[i]
		was := hashOfPeer(a.IP, a.Peer)
		account := uint64(0)
		if a.User != "" {
			account = hashOf(cut(a.User))
			g.relabel(g.entries[key{by: ByUser, user: cut(a.User)}], was, address, a, r.IP)
		}
		if a.IP.IsValid() {
			for _, by := range [...]By{ByAddress, ByNetwork} {
				g.retract(g.entries[key{by: by, net: site(a.IP, by)}], account, a.Count)
			}
		}
		taken := min(retracted, a.Count)
		retracted -= taken
		if a.Count -= taken; a.Count == 0 {
			continue
		}
		t := g.clock
		if !a.Time.IsZero() {
			t = min(max(a.Time.UnixMilli(), 0), maxTime)
		}
		at := *r
		at.Count, at.Refused, at.User, at.Time = a.Count, 0, a.User, a.Time
		for _, by := range [...]By{ByAddress, ByNetwork} {
			if groups := g.groups[by]; groups != nil {
				out = g.count(t, key{by: by, net: site(r.IP, by)}, account, &at, groups, out)
			}
		}
	}
	if r.Retracted > 0 { // the account has all of them
		g.retract(g.entries[key{by: ByUser, user: cut(r.User)}], address, r.Retracted-retracted)
	}
	r.Retracted = retracted
	return g.shrink(out)
}

// unlocated takes attempts back that turn out to have come from where nobody looks.
func (g *Engine) unlocated(r *parse.Result) {
	for i := range r.Located {
		a := &r.Located[i]
		g.retract(g.entries[key{by: ByUser, user: cut(a.User)}], hashOfPeer(a.IP, a.Peer), a.Count)
	}
}

// relabel gives an account's attempts another address.
func (g *Engine) relabel(e *entry, was, is uint64, a *parse.Attempt, ip netip.Addr) {
	if e == nil {
		return
	}
	for i := range e.groups {
		e.groups[i].relabel(was, is, a.Count)
	}
	name := a.Peer
	if a.IP.IsValid() {
		name = a.IP.String()
	}
	e.addresses.move(name, ip.String(), a.Count)
	g.resize(e)
}

func (a *attempts) relabel(was, is uint64, n int) {
	last, left := int64(-1), false
	for i := len(a.items) - 1; i >= 0; i-- {
		it := &a.items[i]
		switch {
		case it.who != was:
		case n >= int(it.n):
			it.who = is
			n -= int(it.n)
			last = max(last, it.t)
		default:
			left = true
			if n > 0 {
				moved := item{t: it.t, n: it.take(int32(n)), who: is}
				last = max(last, it.t)
				a.items = slices.Insert(a.items, i+1, moved)
				n = 0
			}
		}
	}
	if last < 0 || len(a.seen) == 0 {
		return
	}
	if !left {
		a.seen = slices.DeleteFunc(a.seen, func(m mark) bool { return m.who == was })
	}
	a.see(is, last, len(a.seen)+1)
}

// move counts n of one name for another.
func (t *tally) move(from, to string, n int) {
	for i := range t.list {
		if t.list[i].Name == cut(from) {
			n = min(n, t.list[i].N)
			if t.list[i].N -= n; t.list[i].N == 0 {
				t.list = slices.Delete(t.list, i, i+1)
			}
			t.add(to, n, len(t.list)+1)
			return
		}
	}
}
