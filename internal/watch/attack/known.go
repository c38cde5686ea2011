package attack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"time"
)

// knownFor is how long an attacker's reputation lasts after the last attempt.
const knownFor = 30 * 24 * time.Hour

// Attacker is what is known of an address, or of the /64 of an IPv6 one, that has
// attacked.
type Attacker struct {
	Network  netip.Prefix `json:"network"`
	Attempts int          `json:"attempts"` // in its attacks
	Attacks  int          `json:"attacks"`
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
}

// known are the attackers, bounded.
type known struct {
	list   []Attacker
	places map[netip.Prefix]int
	random uint64
}

func (k *known) of(p netip.Prefix, t int64, most int) *Attacker {
	if i, ok := k.places[p]; ok {
		return &k.list[i]
	}
	if k.places == nil {
		k.places, k.random = map[netip.Prefix]int{}, 1
	}
	a := Attacker{Network: p, First: at(t), Last: at(t)}
	if len(k.list) < most {
		k.places[p] = len(k.list)
		k.list = append(k.list, a)
		return &k.list[len(k.list)-1]
	}
	worst := -1
	for range sampled {
		k.random = shuffle(k.random)
		i := int(k.random % uint64(len(k.list)))
		if worst < 0 || k.list[i].worth() < k.list[worst].worth() {
			worst = i
		}
	}
	delete(k.places, k.list[worst].Network)
	k.places[p], k.list[worst] = worst, a
	return &k.list[worst]
}

func (a *Attacker) worth() int64 {
	e := entry{last: a.Last.UnixMilli(), total: a.Attempts}
	return e.worth()
}

// begin notes an attack, attempt what follows.
func (k *known) begin(p netip.Prefix, first, t int64, n, most int) {
	a := k.of(p, first, most)
	a.Attacks++
	a.Attempts += n
	a.Last = later(a.Last, at(t))
}

func (k *known) attempt(p netip.Prefix, t int64, n, most int) {
	a := k.of(p, t, most)
	a.Attempts += n
	a.Last = later(a.Last, at(t))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Reputation is what is known of an address as an attacker: the attempts in its
// attacks, and the last one's time. ok is false for one that has not attacked in
// the last 30 days; somebody's few wrong passwords are no attack.
func (g *Engine) Reputation(ip netip.Addr) (attempts int, last time.Time, ok bool) {
	ip = ip.Unmap().WithZone("")
	i, found := g.known.places[site(ip, ByAddress)]
	if !found || !g.known.list[i].counts(g.clock) {
		return 0, time.Time{}, false
	}
	return g.known.list[i].Attempts, g.known.list[i].Last, true
}

func (a *Attacker) counts(now int64) bool { return now-a.Last.UnixMilli() < knownFor.Milliseconds() }

// Known is a list of attackers, for others to read.
type Known struct {
	V         int        `json:"v"` // 1
	Time      time.Time  `json:"time"`
	Attackers []Attacker `json:"attackers"` // by network, each once
}

// Known returns the attackers of the last 30 days.
func (g *Engine) Known() Known {
	out := Known{V: 1, Time: at(g.clock), Attackers: []Attacker{}}
	for _, a := range g.known.list {
		if a.counts(g.clock) {
			out.Attackers = append(out.Attackers, a)
		}
	}
	slices.SortFunc(out.Attackers, func(a, b Attacker) int { return a.Network.Compare(b.Network) })
	return out
}

// ReadKnown reads what json.Marshal made of a Known.
func ReadKnown(data []byte) (Known, error) {
	var k Known
	if err := strict(data, &k); err != nil {
		return Known{}, err
	}
	if k.V != 1 {
		return Known{}, fmt.Errorf("version %d is not known", k.V)
	}
	for i, a := range k.Attackers {
		if err := a.check(); err != nil {
			return Known{}, err
		}
		if i > 0 && k.Attackers[i-1].Network.Compare(a.Network) >= 0 {
			return Known{}, fmt.Errorf("%s is out of order", a.Network)
		}
	}
	return k, nil
}

// Lookup is Engine.Reputation of a list, at the time now.
func (k Known) Lookup(ip netip.Addr, now time.Time) (Attacker, bool) {
	p := site(ip.Unmap().WithZone(""), ByAddress)
	i, ok := slices.BinarySearchFunc(k.Attackers, p, func(a Attacker, p netip.Prefix) int { return a.Network.Compare(p) })
	if !ok || !p.IsValid() || !k.Attackers[i].counts(now.UnixMilli()) {
		return Attacker{}, false
	}
	return k.Attackers[i], true
}

// maxTime is the end of the year 9999, which JSON's times end at.
const maxTime = 253402300799999

// maxAttempts is the most that a count in a file may be, so that some can be added up.
const maxAttempts = min(1<<50, math.MaxInt/4)

func (a Attacker) check() error {
	if !a.Network.IsValid() || site(a.Network.Addr(), ByAddress) != a.Network {
		return fmt.Errorf("%s is not an address or a /64", a.Network)
	}
	first, last := a.First.UnixMilli(), a.Last.UnixMilli()
	if a.Attempts < 0 || a.Attempts > maxAttempts || a.Attacks < 0 || a.Attacks > maxAttempts ||
		cmp.Compare(first, last) > 0 || first < 0 || last > maxTime {
		return fmt.Errorf("%s: a number or time is out of range", a.Network)
	}
	return nil
}

var errTrailing = errors.New("something follows the document")

// strict reads one JSON document without unknown fields.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}
