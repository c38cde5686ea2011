package attack

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// What is kept of one address, network or account.
const (
	judged       = 20 // attempts by which a login is judged
	namesBefore  = 6  // names before there is an attack
	namesDuring  = 20
	hostsKept    = 4
	toldKept     = 8
	maxNameBytes = 64
)

// key is what an entry is of. Exactly one of the two is set.
type key struct {
	by   By
	net  netip.Prefix
	user string
}

func (k key) String() string {
	if k.by == ByUser {
		return k.user
	}
	return k.net.String()
}

// Times are milliseconds since 1970.

// entry is what is known of an address, a network or an account.
type entry struct {
	key   key
	hash  uint64 // of the key
	index int    // in the engine's list

	first, last int64 // of the attempts of total
	total       int   // attempts, with no day between one and the next
	muted       int64 // attempts up to here made an attack that has ended
	groups      []attempts
	ip          netip.Addr // of the last attempt

	names, addresses, services, hosts tally
	told                              []mark // logins that were told
	over                              bool   // the tallies are those of an attack that has ended
	attack                            *ongoing
	settling                          bool // it is looked at again
	size                              int  // bytes, as counted last
}

// attempts are the last attempts of a group.
type attempts struct {
	items []item // the oldest first
	seen  []mark // the last of each of the latest accounts or addresses, the latest first
}

// item is one or more attempts of one moment, of which some were refused keys. who
// is the hash of the account, or for an account that of the address; 0: unknown.
type item struct {
	t          int64
	n, refused int32
	who        uint64
}

// clip keeps a number of attempts within an item's room.
func clip(n int) int32 { return int32(min(n, 1<<30)) }

// take takes up to n attempts out of an item, refused keys last.
func (it *item) take(n int32) int32 {
	n = min(n, it.n)
	it.n -= n
	it.refused = min(it.refused, it.n)
	return n
}

// guesses are its attempts but for refused keys.
func (it *item) guesses() int { return int(it.n - it.refused) }

type mark struct {
	who uint64
	t   int64
}

// ongoing is an attack.
type ongoing struct {
	detector string
	within   int64
	began    int64 // the attempt that made it one
	first    int64
	attempts int
}

// add puts attempts in the order of their times.
func (a *attempts) add(it item, keep int) {
	i := len(a.items)
	for i > 0 && a.items[i-1].t > it.t {
		i--
	}
	if i > 0 && a.items[i-1].t == it.t && a.items[i-1].who == it.who {
		last := &a.items[i-1]
		last.n, last.refused = clip(int(last.n)+int(it.n)), clip(int(last.refused)+int(it.refused))
		return
	}
	if len(a.items) >= keep {
		if i == 0 {
			return // older than all that is kept
		}
		copy(a.items, a.items[1:i])
		a.items[i-1] = it
		return
	}
	a.items = slices.Insert(a.items, i, it)
}

// see remembers the last time of each of the latest so many.
func (a *attempts) see(who uint64, t int64, keep int) {
	if keep == 0 || who == 0 {
		return
	}
	if i := slices.IndexFunc(a.seen, func(m mark) bool { return m.who == who }); i >= 0 {
		t = max(t, a.seen[i].t)
		a.seen = slices.Delete(a.seen, i, i+1)
	}
	i := slices.IndexFunc(a.seen, func(m mark) bool { return m.t <= t })
	if i < 0 {
		i = len(a.seen)
	}
	a.seen = slices.Insert(a.seen, i, mark{who, t})
	if len(a.seen) > keep {
		a.seen = a.seen[:keep]
	}
}

// since counts the attempts after a moment, and gives the first one's.
func (a *attempts) since(t int64) (n int, first int64) {
	for i := len(a.items) - 1; i >= 0 && a.items[i].t > t; i-- {
		n += int(a.items[i].n)
		first = a.items[i].t
	}
	return n, first
}

// different counts the accounts or addresses after a moment.
func (a *attempts) different(t int64) int {
	n := 0
	for _, m := range a.seen {
		if m.t > t {
			n++
		}
	}
	return n
}

// retract takes up to n of who's latest attempts away; n < 0: all.
func (a *attempts) retract(who uint64, n int) (taken int) {
	for i := len(a.items) - 1; i >= 0 && n != 0; i-- {
		it := &a.items[i]
		if it.who != who {
			continue
		}
		k := int(it.n)
		if n >= 0 {
			k = min(k, n)
			n -= k
		}
		taken += int(it.take(int32(k)))
	}
	a.items = slices.DeleteFunc(a.items, func(it item) bool { return it.n == 0 })
	if !slices.ContainsFunc(a.items, func(it item) bool { return it.who == who }) {
		a.seen = slices.DeleteFunc(a.seen, func(m mark) bool { return m.who == who })
	}
	return taken
}

// retract takes attempts of who out of all that is counted.
func (e *entry) retract(who uint64, n int) {
	taken := 0
	for i := range e.groups {
		taken = max(taken, e.groups[i].retract(who, n))
	}
	e.total = max(e.total-taken, 0)
}

// tally counts names, of which it keeps the most frequent.
type tally struct {
	list []Count // in the order in which they came
	rest int
}

// add counts a name. A new one takes the place of the oldest of the rarest.
func (t *tally) add(name string, n, keep int) {
	if name == "" {
		return
	}
	name = cut(name)
	for i := range t.list {
		if t.list[i].Name == name {
			t.list[i].N += n
			return
		}
	}
	if len(t.list) >= keep {
		rarest := 0
		for i := range t.list {
			if t.list[i].N < t.list[rarest].N {
				rarest = i
			}
		}
		t.rest += t.list[rarest].N
		t.list = slices.Delete(t.list, rarest, rarest+1)
	}
	// The name is part of a line, which it would keep in memory.
	t.list = append(t.list, Count{Name: strings.Clone(name), N: n})
}

func (t *tally) sorted() Tally {
	out := Tally{Most: slices.Clone(t.list), Rest: t.rest}
	slices.SortStableFunc(out.Most, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func (t *tally) bytes() int {
	n := 24 * len(t.list)
	for i := range t.list {
		n += len(t.list[i].Name) + 8
	}
	return n
}

// cut shortens a name at a character's end.
func cut(name string) string {
	if len(name) <= maxNameBytes {
		return name
	}
	return strings.ToValidUTF8(name[:maxNameBytes-len("…")], "") + "…"
}

// bytes is about what an entry takes, with its place in the tables.
func (e *entry) bytes() int {
	n := 400 + 2*len(e.key.user) + 16*len(e.told)
	for i := range e.groups {
		// A slice that grows has room for twice what it holds.
		n += 48 + 2*24*len(e.groups[i].items) + 16*len(e.groups[i].seen)
	}
	n += e.names.bytes() + e.addresses.bytes() + e.services.bytes() + e.hosts.bytes()
	if e.attack != nil {
		n += 96
	}
	return n
}
