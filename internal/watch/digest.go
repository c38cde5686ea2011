package watch

import (
	"cmp"
	"hash/fnv"
	"maps"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// How much of a day's attempts is kept, and told.
const (
	maxSources  = 5000
	maxTried    = 5000 // names
	sourceNames = 4    // names that are kept of an address
	worstShown  = 5
	tallyShown  = 8
	newShown    = 8
	seenBits    = 1 << 18 // of addresses, where there are more than maxSources: 32 KiB
)

// PendingDigest has the attempts that the next daily digest tells, each once. Its
// fields are its stored form.
type PendingDigest struct {
	V   int       `json:"v"`   // 2
	Due time.Time `json:"due"` // when the digest is to be made

	Attempts int            `json:"attempts,omitempty"`
	Attacks  int            `json:"attacks,omitempty"` // that began
	First    time.Time      `json:"first,omitzero"`
	Last     time.Time      `json:"last,omitzero"`
	Sources  []Source       `json:"sources,omitempty"`
	Tried    map[string]int `json:"tried,omitempty"` // attempts by name
	// Of addresses and names that found no room.
	MoreAttempts int    `json:"more_attempts,omitempty"` // from addresses
	MoreTried    int    `json:"more_tried,omitempty"`    // attempts of names
	Seen         []byte `json:"seen,omitempty"`          // a bit for the hash of each address
	// Before is what the last digest told of; nil: there was none.
	Before *Before `json:"before,omitempty"`

	places map[netip.Prefix]int // of Sources
}

// Source is where attempts of a day came from.
type Source struct {
	Network  netip.Prefix  `json:"network"` // an address; of IPv6 its /64
	IP       netip.Addr    `json:"ip"`      // the last one
	Attempts int           `json:"attempts"`
	Names    []event.Count `json:"names,omitempty"` // the first few
}

// Before is what there was on the day before: hashes of addresses and names, and
// networks.
type Before struct {
	Addresses []uint64 `json:"addresses,omitempty"` // sorted
	Names     []uint64 `json:"names,omitempty"`     // sorted
	Networks  []string `json:"networks,omitempty"`  // sorted
}

// take counts what a line tells.
func (b *PendingDigest) take(r parse.Result) {
	if r.Outcome == parse.Failure {
		b.Attempts += r.Count
		if !r.Time.IsZero() && (b.First.IsZero() || r.Time.Before(b.First)) {
			b.First = r.Time
		}
		if r.Time.After(b.Last) {
			b.Last = r.Time
		}
		b.tried(r.User, r.Count)
		b.from(r.IP, r.User, r.Count)
	}
	for _, a := range r.Located { // they are counted already
		b.from(a.IP, a.User, -a.Count)
		b.from(r.IP, a.User, a.Count)
	}
	if r.Retracted > 0 {
		b.Attempts = max(0, b.Attempts-r.Retracted)
		b.tried(r.User, -r.Retracted)
		b.from(r.IP, r.User, -r.Retracted)
	}
}

func (b *PendingDigest) tried(name string, n int) {
	if name == "" || n == 0 {
		return
	}
	if b.Tried == nil {
		b.Tried = map[string]int{}
	}
	old, ok := b.Tried[name]
	switch {
	case old+n > 0 && (ok || len(b.Tried) < maxTried):
		b.Tried[event.Clean(name, 64)] = old + n
	case ok:
		delete(b.Tried, name)
	default:
		b.MoreTried = max(0, b.MoreTried+n)
	}
}

func (b *PendingDigest) from(ip netip.Addr, name string, n int) {
	if !ip.IsValid() || n == 0 {
		return
	}
	if b.places == nil {
		b.places = map[netip.Prefix]int{}
		for i, s := range b.Sources {
			b.places[s.Network] = i
		}
	}
	net := attackNetwork(ip)
	i, ok := b.places[net]
	if !ok && len(b.Sources) >= maxSources {
		b.MoreAttempts = max(0, b.MoreAttempts+n)
		if b.Seen == nil {
			b.Seen = make([]byte, seenBits/8)
			for _, s := range b.Sources {
				b.see(s.Network)
			}
		}
		b.see(net)
		return
	}
	if !ok {
		if n < 0 {
			return
		}
		i = len(b.Sources)
		b.places[net] = i
		b.Sources = append(b.Sources, Source{Network: net})
	}
	s := &b.Sources[i]
	s.IP, s.Attempts = ip, max(0, s.Attempts+n)
	for j := range s.Names {
		if s.Names[j].Name == name {
			s.Names[j].N = max(0, s.Names[j].N+n)
			return
		}
	}
	if name != "" && n > 0 && len(s.Names) < sourceNames {
		s.Names = append(s.Names, event.Count{Name: event.Clean(name, 64), N: n})
	}
}

// attackNetwork is the address, of IPv6 its /64, as attempts are counted by.
func attackNetwork(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

func (b *PendingDigest) see(net netip.Prefix) {
	bit := hashOf(net.String()) % seenBits
	b.Seen[bit/8] |= 1 << (bit % 8)
}

// addresses is how many different ones there were: of more than are kept it is
// estimated, by linear counting (Whang and others, 1990).
func (b *PendingDigest) addresses() int {
	n := 0
	for _, s := range b.Sources {
		if s.Attempts > 0 {
			n++
		}
	}
	if b.Seen == nil {
		return n
	}
	free := seenBits
	for _, x := range b.Seen {
		free -= bits.OnesCount8(x)
	}
	return max(n, int(seenBits*math.Log(seenBits/float64(max(free, 1)))))
}

func hashOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// digest queues the day's attempts when it is time.
func (w *Watcher) digest(now time.Time) error {
	b := w.Pending
	if b == nil || w.Each && b.Attempts == 0 { // the settings may have been others when they were noted
		return nil
	}
	// The first day, a clock that was set back, or settings that are others since it
	// was planned.
	if b.Due.IsZero() || b.Due.Sub(now) > 25*time.Hour || b.Due.After(now) && !w.onTime(b.Due) {
		b.Due, w.changed = w.nextDue(now), true
	}
	if now.Before(b.Due) {
		return nil
	}
	f, before := w.failures()
	if f.Attempts > 0 && (b.Before == nil || f.NewAddresses+len(f.NewNames)+len(f.NewNetworks) > 0) {
		// The id is the day's: a kill after it was kept leads here again.
		if err := w.Put(w.digestEvent(now, f)); err != nil {
			return err
		}
	}
	*b, w.changed = PendingDigest{V: 2, Due: w.nextDue(now), Before: before}, true
	if err := w.save(); err != nil {
		w.Log.Error("what is counted can't be kept", "error", err)
	}
	return nil
}

func (w *Watcher) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}

// onTime reports whether a digest is due at the time of day of the settings.
func (w *Watcher) onTime(due time.Time) bool {
	due = due.In(w.zone())
	return time.Duration(due.Hour())*time.Hour+time.Duration(due.Minute())*time.Minute == w.DigestAt
}

// nextDue is the next time of the digest, by the wall clock.
func (w *Watcher) nextDue(now time.Time) time.Time {
	zone := w.zone()
	day := now.In(zone)
	for d := range 3 {
		if at := time.Date(day.Year(), day.Month(), day.Day()+d, 0, int(w.DigestAt/time.Minute), 0, 0, zone); at.After(now) {
			return at
		}
	}
	return now.Add(24 * time.Hour)
}

// failures adds up the day, and returns what the next one is compared with.
func (w *Watcher) failures() (*event.Failures, *Before) {
	b := w.Pending
	f := &event.Failures{Attempts: b.Attempts, Addresses: b.addresses(), Accounts: len(b.Tried), Names: most(b.Tried, b.MoreTried)}
	next := &Before{}
	networks, countries := map[string]int{}, map[string]int{}
	slices.SortStableFunc(b.Sources, func(x, y Source) int { return cmp.Compare(y.Attempts, x.Attempts) })
	b.places = nil
	for i, s := range b.Sources {
		if s.Attempts == 0 {
			continue
		}
		var isp, country string
		if w.Place != nil {
			isp, country, _ = w.Place(s.IP)
		}
		if isp != "" {
			networks[isp] += s.Attempts
		}
		if country != "" {
			countries[country] += s.Attempts
		}
		if i < worstShown {
			names := attack.Tally{Rest: s.Attempts}
			for _, c := range s.Names {
				names.Most = append(names.Most, c)
				names.Rest -= c.N
			}
			slices.SortStableFunc(names.Most, func(x, y event.Count) int { return cmp.Compare(y.N, x.N) })
			f.Worst = append(f.Worst, event.Row{Host: w.Host, Kind: event.KindAttempt, Count: s.Attempts, Severity: event.Low,
				Attacker: &event.Attacker{Network: s.Network, ISP: isp, Country: country, Names: names}})
		}
		h := hashOf(s.Network.String())
		next.Addresses = append(next.Addresses, h)
		if b.Before != nil && !has(b.Before.Addresses, h) {
			f.NewAddresses++
		}
	}
	if b.Before != nil && b.Seen != nil { // who is not kept may be new
		f.NewAddresses += max(0, f.Addresses-len(next.Addresses))
	}
	f.Networks, f.Countries = most(networks, 0), most(countries, 0)
	for _, c := range byCount(b.Tried) {
		h := hashOf(c.Name)
		next.Names = append(next.Names, h)
		if b.Before != nil && len(f.NewNames) < newShown && !has(b.Before.Names, h) {
			f.NewNames = append(f.NewNames, c.Name)
		}
	}
	for _, c := range byCount(networks) {
		next.Networks = append(next.Networks, c.Name)
		if b.Before != nil && len(f.NewNetworks) < newShown && !has(b.Before.Networks, c.Name) {
			f.NewNetworks = append(f.NewNetworks, c.Name)
		}
	}
	slices.Sort(next.Addresses)
	slices.Sort(next.Names)
	slices.Sort(next.Networks)
	return f, next
}

func has[T cmp.Ordered](sorted []T, x T) bool {
	_, found := slices.BinarySearch(sorted, x)
	return found
}

// byCount returns the names and how often each came, the most frequent first.
func byCount(of map[string]int) []event.Count {
	out := make([]event.Count, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, event.Count{Name: name, N: of[name]})
	}
	slices.SortStableFunc(out, func(a, b event.Count) int { return cmp.Compare(b.N, a.N) })
	return out
}

// most is a tally of the most frequent, and of all others.
func most(of map[string]int, rest int) event.Tally {
	all := byCount(of)
	t := event.Tally{Most: all[:min(len(all), tallyShown)], Rest: rest}
	for _, c := range all[len(t.Most):] {
		t.Rest += c.N
	}
	return t
}

// digestEvent returns the digest, for the worker to make part of the host's day.
func (w *Watcher) digestEvent(now time.Time, f *event.Failures) event.Event {
	b := w.Pending
	return event.Event{
		ID: eventID("digest", w.Host, b.Due.UTC().Format(time.RFC3339)), Kind: event.KindDigest, Time: now.UTC(),
		Host: w.Host, Labels: w.Labels, Via: event.ViaWatch,
		Digest: &event.Digest{Of: event.KindAttempt, Failures: f, Attacks: b.Attacks, First: b.First.UTC(), Last: b.Last.UTC()},
	}
}
