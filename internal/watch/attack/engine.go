package attack

import (
	"container/heap"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// Options are an engine's settings; the zero value is the defaults.
type Options struct {
	Detectors []Detector     // nil: Defaults
	Ignore    []netip.Prefix // attempts and logins from here are not looked at
	MaxKeys   int            // addresses, networks and accounts; 0: 65,536
	MaxBytes  int            // that they take, about; 0: 12 MiB; the runtime holds some four times as much
	MaxKnown  int            // attackers whose reputation is kept; 0: 16,384
}

const (
	defaultKeys  = 65_536
	defaultBytes = 12 << 20
	defaultKnown = 16_384
)

// kept is how long attempts are remembered at least: a login is judged by the day
// before it.
const kept = 24 * time.Hour

// Engine counts attempts. It is not safe for concurrent use.
type Engine struct {
	o      Options
	groups map[By][]group
	keep   int64
	clock  int64 // the time of the last result or Tick

	entries map[key]*entry
	list    []*entry // for choosing some of them
	near    networks // how many addresses of a network are among them
	bytes   int
	random  uint64
	hand    int // of the sweep
	ends    ends
	settles []settle // accounts to look at again, the first first
	attacks int      // that go on
	known   known
	flood   flood
}

// New checks the detectors.
func New(o Options) (*Engine, error) {
	if o.Detectors == nil {
		o.Detectors = Defaults()
	}
	if o.MaxKeys < 0 || o.MaxBytes < 0 || o.MaxKnown < 0 {
		return nil, fmt.Errorf("a limit is below 0")
	}
	setDefault(&o.MaxKeys, defaultKeys)
	setDefault(&o.MaxBytes, defaultBytes)
	setDefault(&o.MaxKnown, defaultKnown)
	g := &Engine{o: o, groups: map[By][]group{}, keep: kept.Milliseconds(), entries: map[key]*entry{}, random: 1}
	names := map[string]bool{}
	for _, d := range o.Detectors {
		if err := d.check(); err != nil {
			return nil, err
		}
		if names[d.Name] {
			return nil, fmt.Errorf("two detectors are called %s", d.Name)
		}
		names[d.Name] = true
		g.keep = max(g.keep, d.Within.Milliseconds())
	}
	for _, by := range []By{ByAddress, ByNetwork, ByUser} {
		g.groups[by] = groupDetectors(o.Detectors, by)
	}
	// Nothing asks for networks but a detector.
	if len(g.groups[ByNetwork]) == 1 && len(g.groups[ByNetwork][0].detectors) == 0 {
		delete(g.groups, ByNetwork)
	}
	return g, nil
}

func setDefault(n *int, d int) {
	if *n == 0 {
		*n = d
	}
}

// Take counts what a line says, and gives what it makes of it: attacks that ended
// before it, then what it began or followed. Results come about in the order of
// their times, and where they go back by much what came before is as it was. One
// without a time is taken for simultaneous with the last.
func (g *Engine) Take(r parse.Result) []Finding {
	if !Tells(&r) {
		return nil
	}
	t := g.clock
	if !r.Time.IsZero() {
		t = min(max(r.Time.UnixMilli(), 0), maxTime)
	}
	out := g.advance(t)
	if g.Ignores(r.IP) {
		g.unlocated(&r)
		return out
	}
	if len(r.Located) > 0 {
		out = g.locate(&r, out)
	}
	if r.Retracted > 0 {
		g.retractAll(&r)
	}
	if r.Guessed > 0 {
		g.guessed(&r)
	}
	switch r.Outcome {
	case parse.Failure:
		if r.Count > 0 {
			out = g.failure(t, &r, out)
		}
	case parse.Success:
		out = g.success(t, &r, out)
	}
	g.sweep()
	return out
}

// Tells reports whether a result is of an attempt or a login; Take makes nothing of
// others.
func Tells(r *parse.Result) bool {
	return r.Outcome == parse.Failure || r.Outcome == parse.Success || r.Retracted != 0 || r.Guessed != 0 || len(r.Located) > 0
}

// Tick says that it is now at least this late by the events' clock, and gives the
// attacks that ended by it. What it gives for an attack does not depend on when
// it is called.
func (g *Engine) Tick(now time.Time) []Finding {
	return g.advance(min(max(now.UnixMilli(), g.clock), maxTime))
}

// Close returns a summary of every attack and of a flood that goes on, and ends it.
func (g *Engine) Close() []Finding {
	out := g.settled(maxTime, nil)
	var open []*entry
	for _, e := range g.list {
		if e.attack != nil {
			open = append(open, e)
		}
	}
	slices.SortFunc(open, func(a, b *entry) int { return endOf(a).compare(endOf(b)) })
	for _, e := range open {
		out = append(out, g.end(e, e.last, true))
	}
	g.ends = nil
	if g.flood.now.Any() {
		out = append(out, g.flood.tell(g.clock))
	}
	return out
}

// advance ends the attacks whose time is up, and tells a flood when it is due.
func (g *Engine) advance(t int64) (out []Finding) {
	// An older part of a log may follow a newer one: then it is older again.
	g.clock = t
	for len(g.ends) > 0 && g.ends[0].t <= g.clock {
		due := heap.Pop(&g.ends).(due)
		e := due.e
		if e.attack == nil || e.attack.began != due.began || g.entries[e.key] != e {
			continue
		}
		if now := endOf(e); now.t != due.t {
			heap.Push(&g.ends, now) // attempts came since
			continue
		}
		out = append(out, g.end(e, due.t, false))
	}
	out = g.settled(t, out)
	if due, any := g.flood.due(t); any && due <= t {
		out = append(out, g.flood.tell(due))
	}
	return out
}

// Ignores reports whether attempts and logins from an address are not looked at.
func (g *Engine) Ignores(ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	return slices.ContainsFunc(g.o.Ignore, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// failure counts attempts for all that they are counted by.
func (g *Engine) failure(t int64, r *parse.Result, out []Finding) []Finding {
	address, account := hashes(r)
	for _, by := range [...]By{ByAddress, ByNetwork, ByUser} {
		groups := g.groups[by]
		if groups == nil {
			continue
		}
		k, who := key{by: by}, account
		switch by {
		case ByUser:
			if r.User == "" || r.Invalid {
				continue
			}
			k.user, who = cut(r.User), address
		default:
			if !r.IP.IsValid() {
				continue
			}
			k.net = site(r.IP, by)
		}
		out = g.count(t, k, who, r, groups, out)
	}
	return g.shrink(out)
}

// count adds attempts to an entry, and looks whether they are an attack.
func (g *Engine) count(t int64, k key, who uint64, r *parse.Result, groups []group, out []Finding) []Finding {
	e := g.entry(k, t, groups)
	e.total += r.Count
	e.first, e.last = min(e.first, t), max(e.last, t)
	e.ip = r.IP
	if e.over {
		e.over = false
		e.names, e.addresses, e.services, e.hosts = tally{}, tally{}, tally{}, tally{}
	}
	going := e.attack != nil
	names := namesBefore
	if going {
		names = namesDuring
		e.attack.attempts += r.Count
	}
	if k.by != ByUser {
		e.names.add(r.User, r.Count, names)
	}
	if r.IP.IsValid() && (k.by != ByAddress || !r.IP.Is4()) {
		e.addresses.add(r.IP.String(), r.Count, names)
	} else if !r.IP.IsValid() {
		e.addresses.add(r.Peer, r.Count, names)
	}
	e.services.add(r.Service, r.Count, hostsKept)
	e.hosts.add(r.Host, r.Count, hostsKept)
	for i := range groups {
		if groups[i].counts(r.Service) {
			e.groups[i].add(item{t, clip(r.Count), clip(r.Refused), who}, groups[i].items)
			e.groups[i].see(who, t, groups[i].distinct)
		}
	}
	if !going {
		if f, ok := g.begin(e, r.Service, groups, e.last-settling); ok {
			out = append(out, f)
		} else if isUnknown(who) {
			g.settle(e)
		}
	}
	if going && k.by == ByAddress {
		g.known.attempt(k.net, t, r.Count, g.o.MaxKnown)
	}
	g.resize(e)
	return out
}

// begin looks whether the attempts up to the latest are an attack. Those up to
// settled get no address any more.
func (g *Engine) begin(e *entry, service string, groups []group, settled int64) (Finding, bool) {
	for i := range groups {
		if !groups[i].counts(service) {
			continue
		}
		for _, d := range groups[i].detectors {
			within := d.Within.Milliseconds()
			from := max(e.last-within, e.muted)
			n, first := e.groups[i].since(from)
			// Where no line says the addresses, nobody knows how many they are.
			if n < d.Count || e.groups[i].different(from) < d.Distinct && e.unknown(from, settled) < d.Count {
				continue
			}
			e.attack = &ongoing{detector: d.Name, within: within, began: e.last, first: first, attempts: n}
			heap.Push(&g.ends, endOf(e))
			g.attacks++
			if e.key.by == ByAddress {
				g.known.begin(e.key.net, first, e.last, n, g.o.MaxKnown)
			}
			f := g.finding(Begun, e)
			f.Time = at(e.last)
			return f, true
		}
	}
	return Finding{}, false
}

// end makes an attack's summary. Its attempts count no more, but for a later login;
// so do its names, until there are new ones.
func (g *Engine) end(e *entry, t int64, unfinished bool) Finding {
	f := g.finding(Ended, e)
	f.Time, f.Unfinished = at(t), unfinished
	e.attack, e.muted, e.over = nil, e.last, true
	g.attacks--
	g.resize(e)
	return f
}

func (g *Engine) finding(k Kind, e *entry) Finding {
	a := e.attack
	return Finding{
		Kind:     k,
		Attack:   identity(string(e.key.by), e.key.String(), a.began),
		Detector: a.detector, By: e.key.by, Network: e.key.net, User: e.key.user, IP: e.ip,
		Attempts: a.attempts, First: at(a.first), Last: at(e.last),
		Names: e.names.sorted(), Addresses: e.addresses.sorted(), Services: e.services.sorted(), Hosts: e.hosts.sorted(),
	}
}

// entry finds or makes an entry.
func (g *Engine) entry(k key, t int64, groups []group) *entry {
	e := g.entries[k]
	if e != nil {
		if e.attack == nil && t-e.last >= g.keep {
			*e = entry{key: e.key, hash: e.hash, index: e.index, first: t, last: t, groups: make([]attempts, len(groups)), size: e.size}
		}
		return e
	}
	k.user = strings.Clone(k.user)
	e = &entry{key: k, hash: k.hash(), first: t, last: t, groups: make([]attempts, len(groups))}
	g.put(e)
	return e
}

// put takes up an entry, which remove gives up.
func (g *Engine) put(e *entry) {
	e.index = len(g.list)
	g.entries[e.key] = e
	g.list = append(g.list, e)
	if e.key.by == ByAddress {
		*g.near.of(e.key.net.Addr())++
	}
}

// networks counts by a hash of what addresses have in common, their /24 or /48: where it
// is 0 there is none of that network.
type networks [1 << 12]int32

func (c *networks) of(ip netip.Addr) *int32 {
	b := ip.As16()
	net := b[:6]
	if ip.Is4() {
		net = b[12:15]
	}
	h := uint32(2166136261)
	for _, c := range net {
		h = (h ^ uint32(c)) * 16777619
	}
	return &c[(h^h>>16)%uint32(len(c))]
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// hashes are those of a result's address and account; 0: it has none.
func hashes(r *parse.Result) (address, account uint64) {
	address = hashOfPeer(r.IP, r.Peer)
	if r.User != "" {
		account = hashOf(cut(r.User))
	}
	return address, account
}

// hashOf is FNV-1a, never 0. It stands in snapshots, so it stays what it is.
func hashOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return max(h, 1)
}
