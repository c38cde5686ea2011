package attack

import (
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// What makes a login one after an attack. A person who mistypes a password twice
// is none; somebody who tried other accounts first is. Five is as many as an
// attack needs.
const (
	othersBefore = 3 // failures for other accounts, from the login's address, in the day before
	ownBefore    = 5 // failures for the same account
)

// toldFor is how long the same login is not told again.
const toldFor = time.Hour

// success judges a login by what came before it from its address, and against its
// user. One that is harmless clears its user's own failures at that address.
func (g *Engine) success(t int64, r *parse.Result, out []Finding) []Finding {
	address, account := hashes(r)
	var from, against *entry
	if r.IP.IsValid() {
		from = g.entries[key{by: ByAddress, net: site(r.IP, ByAddress)}]
	}
	if r.User != "" {
		against = g.entries[key{by: ByUser, user: cut(r.User)}]
	}
	since := t - kept.Milliseconds()
	var lostFrom, lostAgainst int
	if r.IP.IsValid() {
		lostFrom = g.flood.dropped(key{by: ByAddress, net: site(r.IP, ByAddress)}, t)
	}
	if r.User != "" {
		lostAgainst = g.flood.dropped(key{by: ByUser, user: cut(r.User)}, t)
	}
	harmful := from.harmful(account, since, lostFrom)
	unknown := against.unknown(since, t)
	attacked := against != nil && (against.attack != nil || unknown >= ownBefore)
	// Where evidence was given up there is no telling any more which accounts it
	// was about, or from how many addresses.
	perhaps := !attacked && lostAgainst >= ownBefore
	if !harmful && !attacked && !perhaps {
		g.retract(from, account, -1)
		if r.IP.IsValid() {
			g.retract(g.entries[key{by: ByNetwork, net: site(r.IP, ByNetwork)}], account, -1)
		}
		g.retract(against, address, -1)
		return out
	}
	// What was given up must not take along that the login is told.
	if from == nil && harmful {
		from = g.entry(key{by: ByAddress, net: site(r.IP, ByAddress)}, t, g.groups[ByAddress])
	}
	if against == nil && perhaps {
		against = g.entry(key{by: ByUser, user: cut(r.User)}, t, g.groups[ByUser])
	}
	told := from.tell(account, t)
	if (attacked || perhaps) && against.tell(address, t) {
		told = true
	}
	g.resize(from)
	g.resize(against)
	if told {
		return g.shrink(out)
	}
	f := Finding{Kind: SuccessAfter, Time: at(t), Attack: identity("login", r.IP.String(), r.User, t), DroppedFrom: lostFrom,
		User: r.User, IP: r.IP, Port: r.Port, PID: r.PID, Method: r.Method, Key: r.Key, Service: r.Service, Host: r.Host}
	if attacked {
		f.AgainstUser, f.First = unknown, at(against.first)
		if against.attack != nil {
			f.AgainstUser, f.First = against.attack.attempts, at(against.attack.first)
		}
		f.Addresses, f.Services, f.Hosts = against.addresses.sorted(), against.services.sorted(), against.hosts.sorted()
		f.Last = at(against.last)
	}
	if perhaps {
		f.DroppedAgainst = lostAgainst
	}
	if harmful {
		f.FromAddress, f.Network = from.failures(since), from.key.net
		f.Names, f.Addresses, f.Services, f.Hosts = from.names.sorted(), from.addresses.sorted(), from.services.sorted(), from.hosts.sorted()
		if from.total > 0 {
			f.First, f.Last = at(from.first), at(from.last)
		}
	}
	f.Attempts = max(f.FromAddress, f.AgainstUser)
	return g.shrink(append(out, f))
}

// harmful reports whether what came from an address in the day before a login is
// more than its user's mistyping, or may have been: for whom the attempts were
// that were given up, nobody knows.
func (e *entry) harmful(account uint64, since int64, dropped int) bool {
	own, others := dropped, dropped
	if e == nil {
		return own >= ownBefore || others >= othersBefore
	}
	for _, it := range e.groups[0].items {
		switch {
		case it.t <= since:
		case it.who == account:
			own += it.n
		default:
			others += it.n
		}
	}
	return e.attack != nil || own >= ownBefore || others >= othersBefore
}

// failures is how many there were: all of an unbroken row if it began within the
// day, else those that are certain.
func (e *entry) failures(since int64) int {
	certain, _ := e.groups[0].since(since)
	if e.first > since || e.attack != nil {
		return max(certain, e.total)
	}
	return certain
}

// tell remembers that a login is told, and reports whether it was within the hour
// before.
func (e *entry) tell(who uint64, t int64) (told bool) {
	if e == nil {
		return false
	}
	i := slices.IndexFunc(e.told, func(m mark) bool { return m.who == who })
	if i >= 0 {
		if t-e.told[i].t < toldFor.Milliseconds() {
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
	if len(e.groups[0].items) == 0 {
		g.remove(e)
		return
	}
	g.resize(e)
}
