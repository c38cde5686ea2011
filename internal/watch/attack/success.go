package attack

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// What makes a login one after an attack, by the failures of its own source in the
// day before. A person who mistypes a password twice is none; somebody who tried
// other accounts first is.
const (
	othersBefore   = 3 // failures for other accounts, from the login's address
	ownBefore      = 5 // failures for the same account, from there; against it, from names instead of addresses
	accountsBefore = 3 // accounts of this host that failed from the login's /24 or /48
)

// toldFor is how long the same login is not told again.
const toldFor = time.Hour

// success judges a login by what came before it from its source: bots that try its
// account from elsewhere are no reason to doubt its owner, unless it came by
// password, which they may have found. One that is harmless clears its user's own
// failures at that address.
func (g *Engine) success(t int64, r *parse.Result, out []Finding) []Finding {
	address, account := hashes(r)
	fromKey, userKey := key{by: ByAddress, net: site(r.IP, ByAddress)}, key{by: ByUser, user: cut(r.User)}
	var from, against *entry
	var lostFrom, lostAgainst int
	if r.IP.IsValid() {
		from, lostFrom = g.entries[fromKey], g.flood.dropped(fromKey, t)
	}
	if r.User != "" {
		against, lostAgainst = g.entries[userKey], g.flood.dropped(userKey, t)
	}
	since := t - kept.Milliseconds()
	own, others := from.judge(account, since)
	if !r.IP.IsValid() && r.Peer != "" {
		own, _ = against.judge(address, since)
	}
	failures, accounts := g.network(r.IP, since)
	// For whom the attempts were that were given up, nobody knows.
	harmful := own+lostFrom >= ownBefore || others+lostFrom >= othersBefore || accounts >= accountsBefore
	// Against the account, slowly, from wherever; or from nobody knows where.
	_, elsewhere := against.judge(address, since)
	unknown := max(elsewhere, against.unknown(since, t))
	attacked := byPassword(r.Method) && (against != nil && against.attack != nil || unknown >= ownBefore || lostAgainst >= ownBefore)
	if !harmful {
		g.retract(from, account, -1)
		if r.IP.IsValid() {
			g.retract(g.entries[key{by: ByNetwork, net: site(r.IP, ByNetwork)}], account, -1)
		}
		g.retract(against, address, -1)
		if !attacked {
			return out
		}
		from, against = g.entries[fromKey], g.entries[userKey]
	}
	// What was given up must not take along that the login is told.
	if harmful && r.IP.IsValid() {
		from = g.entry(fromKey, t, g.groups[ByAddress])
	}
	if r.User != "" && (attacked || harmful && !r.IP.IsValid()) {
		against = g.entry(userKey, t, g.groups[ByUser])
	}
	told := harmful && from.tell(account, t)
	if (attacked || from == nil) && against.tell(address, t) {
		told = true
	}
	g.resize(from)
	g.resize(against)
	if told {
		return g.shrink(out)
	}
	f := Finding{Kind: SuccessAfter, Time: at(t), Attack: identity("login", r.IP.String(), r.User, t),
		User: r.User, IP: r.IP, Port: r.Port, PID: r.PID, Method: r.Method, Key: r.Key, Service: r.Service, Host: r.Host}
	if attacked {
		f.AgainstUser = unknown
		if against.total > 0 {
			f.First, f.Last = at(against.first), at(against.last)
		}
		if against.attack != nil {
			f.AgainstUser, f.First = against.attack.attempts, at(against.attack.first)
		}
		f.Addresses, f.Services, f.Hosts = against.addresses.sorted(), against.services.sorted(), against.hosts.sorted()
		if unknown < ownBefore && against.attack == nil {
			f.DroppedAgainst = lostAgainst
		}
	}
	if harmful {
		f.DroppedFrom = lostFrom
		f.FromAddress, f.OwnFailures = own+others, own
		if accounts >= accountsBefore {
			f.FromNetwork, f.NetworkAccounts = failures, accounts
		}
		source := from
		if source == nil {
			source = against
		}
		if source.total > 0 {
			if certain := len(source.groups[0].items); from != nil && certain == judged && source.first > since && !source.refused() {
				f.FromAddress = max(f.FromAddress, source.total) // more than are kept
				if others == 0 {
					f.OwnFailures = f.FromAddress
				}
			}
			f.First, f.Last = at(max(source.first, since)), at(source.last)
			f.Names, f.Addresses, f.Services, f.Hosts = source.names.sorted(), source.addresses.sorted(), source.services.sorted(), source.hosts.sorted()
		}
		if from != nil {
			f.Network = from.key.net
		}
	}
	f.Attempts = max(f.FromAddress, f.FromNetwork, f.AgainstUser)
	return g.shrink(append(out, f))
}

// byPassword reports whether somebody got in by what can be guessed.
func byPassword(method string) bool {
	switch method {
	case "publickey", "hostbased", "gssapi-with-mic", "gssapi-keyex":
		return false
	}
	return true
}

// judge counts the failures after a moment that were one account's, or for an
// account one address's, and those of others. Refused keys are none.
func (e *entry) judge(who uint64, since int64) (own, others int) {
	if e == nil {
		return 0, 0
	}
	for _, it := range e.groups[0].items {
		switch {
		case it.t <= since || it.who == 0: // of whom nobody knows
		case it.who == who:
			own += it.guesses()
		default:
			others += it.guesses()
		}
	}
	return own, others
}

// refused reports whether some of what is kept were refused keys.
func (e *entry) refused() bool {
	return slices.ContainsFunc(e.groups[0].items, func(it item) bool { return it.refused > 0 })
}

// network counts the failures after a moment from an address's /24 or /48 for
// accounts of this host, and those accounts: what sshd says is not there has no
// entry. Logins are rare, so that all entries are looked at rather than more kept.
func (g *Engine) network(ip netip.Addr, since int64) (failures, accounts int) {
	if !ip.IsValid() || *g.near.of(ip) == 0 {
		return 0, 0
	}
	net := site(ip, ByNetwork)
	found := map[uint64]int{}
	for _, e := range g.list {
		if e.key.by != ByAddress || e.last <= since || !net.Contains(e.key.net.Addr()) {
			continue
		}
		for _, it := range e.groups[0].items {
			if n := it.guesses(); n > 0 && it.t > since && it.who != 0 {
				found[it.who] += n
			}
		}
	}
	if len(found) < accountsBefore {
		return 0, 0
	}
	for _, e := range g.list {
		if e.key.by != ByUser || !e.named() {
			continue
		}
		if n := found[hashOf(e.key.user)]; n > 0 {
			failures += n
			accounts++
		}
	}
	return failures, accounts
}

// named reports whether a daemon tried an account that says which names are none.
func (e *entry) named() bool {
	return slices.ContainsFunc(e.services.list, func(c Count) bool { return c.Name == "sshd" || c.Name == "dropbear" })
}

// guessed has attempts that were counted as refused keys count as guesses.
func (g *Engine) guessed(r *parse.Result) {
	address, account := hashes(r)
	if r.IP.IsValid() {
		for _, by := range [...]By{ByAddress, ByNetwork} {
			g.entries[key{by: by, net: site(r.IP, by)}].guessed(account, r.Guessed)
		}
	}
	g.entries[key{by: ByUser, user: cut(r.User)}].guessed(address, r.Guessed)
}

func (e *entry) guessed(who uint64, most int) {
	if e == nil {
		return
	}
	for i := range e.groups {
		n := int32(most)
		for j := len(e.groups[i].items) - 1; j >= 0 && n > 0; j-- {
			if it := &e.groups[i].items[j]; it.who == who {
				k := min(n, it.refused)
				it.refused -= k
				n -= k
			}
		}
	}
}

// tell remembers that a login is told, and reports whether it was within the hour
// before, or since the last failure: then all is said.
func (e *entry) tell(who uint64, t int64) (told bool) {
	if e == nil {
		return false
	}
	i := slices.IndexFunc(e.told, func(m mark) bool { return m.who == who })
	if i >= 0 {
		if at := e.told[i].t; t-at < toldFor.Milliseconds() || at <= t && e.last <= at {
			return true
		}
		e.told = slices.Delete(e.told, i, i+1)
	}
	if len(e.told) >= toldKept {
		e.told = slices.Delete(e.told, 0, 1)
	}
	e.told = append(e.told, mark{who, t})
	return false
}

// retractAll takes back attempts that were none, for all that they were counted by.
func (g *Engine) retractAll(r *parse.Result) {
	address, account := hashes(r)
	if r.IP.IsValid() {
		for _, by := range [...]By{ByAddress, ByNetwork} {
			g.retract(g.entries[key{by: by, net: site(r.IP, by)}], account, r.Retracted)
		}
	}
	g.retract(g.entries[key{by: ByUser, user: cut(r.User)}], address, r.Retracted)
}

// retract takes attempts out of an entry, which may leave nothing of it. What made
// an attack stays.
func (g *Engine) retract(e *entry, who uint64, n int) {
	if e == nil || e.attack != nil {
		return
	}
	e.retract(who, n)
	empty := len(e.told) == 0
	for i := range e.groups {
		empty = empty && len(e.groups[i].items) == 0
	}
	if empty {
		g.remove(e)
		return
	}
	g.resize(e)
}
