package attack

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A flood is told once it has paused for floodQuiet, and one that does not pause
// after floodLongest; what follows is told floodAgain later, which is how often
// Alertmanager repeats.
const (
	floodQuiet   = 10 * time.Minute
	floodLongest = 30 * time.Minute
	floodAgain   = 4 * time.Hour
)

// Flood is what was given up, without having been told, because more came than
// memory is kept for.
type Flood struct {
	First     time.Time `json:"first,omitzero"` // by the events' clock
	Last      time.Time `json:"last,omitzero"`
	Addresses Lost      `json:"addresses"` // of IPv6: networks of /64
	Networks  Lost      `json:"networks"`  // where a detector counts by them
	Accounts  Lost      `json:"accounts"`  // most of whose attempts are those of Addresses too
}

// Lost is how much of one sort was given up.
type Lost = event.Lost

// Any reports whether anything was given up.
func (f Flood) Any() bool { return f.Addresses.N+f.Networks.N+f.Accounts.N > 0 }

func (f *Flood) of(by By) *Lost {
	switch by {
	case ByAddress:
		return &f.Addresses
	case ByNetwork:
		return &f.Networks
	}
	return &f.Accounts
}

// flood remembers of what was given up how much it was, and, within the day, from
// whom: as an upper bound, so that who is not in it had nothing that was given up.
type flood struct {
	now, all Flood // not told yet; since the engine began
	seen     distinct
	told     int64 // when the last one was told; 0: never
	// The evidence of this day and of the day before.
	evidence [2]sketch
	turned   int64 // when this day began
}

// lose notes what an entry that is given up knew, and reports whether that is the
// beginning of a flood.
func (f *flood) lose(e *entry, now int64) (begins bool) {
	if e.total == 0 {
		return false // it kept no more than that a login was told
	}
	f.turn(now)
	f.evidence[0].add(e.hash, e.total)
	n := e.untold()
	if e.attack != nil || n == 0 {
		return false // told as an attack
	}
	begins = !f.now.Any()
	more := 0
	if f.seen.add(e.hash) {
		more = 1
	}
	for _, to := range []*Flood{&f.now, &f.all} {
		if !to.Any() || to.First.UnixMilli() > now {
			to.First = at(now)
		}
		to.Last = later(to.Last, at(now))
		l := to.of(e.key.by)
		l.N += more
		l.Attempts += n
	}
	return begins
}

// turn begins a new day of evidence where the last one is over.
func (f *flood) turn(now int64) {
	day := kept.Milliseconds()
	switch {
	case now-f.turned >= 2*day:
		f.evidence = [2]sketch{}
	case now-f.turned >= day:
		f.evidence = [2]sketch{nil, f.evidence[0]}
	default:
		return
	}
	f.turned = now
}

// dropped is how many attempts of an address or account were given up in the day
// before, at most.
func (f *flood) dropped(k key, now int64) int {
	if f.evidence[0] == nil && f.evidence[1] == nil {
		return 0
	}
	f.turn(now)
	h := k.hash()
	return f.evidence[0].of(h) + f.evidence[1].of(h)
}

// due is when the flood that goes on is to be told.
func (f *flood) due(clock int64) (t int64, any bool) {
	if !f.now.Any() {
		return 0, false
	}
	first, last := f.now.First.UnixMilli(), f.now.Last.UnixMilli()
	t = min(last+floodQuiet.Milliseconds(), first+floodLongest.Milliseconds())
	if f.told > 0 && f.told <= clock { // else the clock was set back
		t = max(t, f.told+floodAgain.Milliseconds())
	}
	return t, true
}

// tell returns what has not been told.
func (f *flood) tell(t int64) Finding {
	out := Finding{Kind: Flooded, Time: at(t), Attack: identity("flood", f.now.First.UnixMilli()), Flood: f.now,
		Attempts: f.now.Addresses.Attempts, First: f.now.First, Last: f.now.Last}
	f.now, f.seen, f.told = Flood{}, nil, t
	return out
}

// Flood returns all that was given up since the engine was first made.
func (g *Engine) Flood() Flood { return g.flood.all }

// untold is how many of an entry's attempts were in no attack.
func (e *entry) untold() int {
	if e.muted == 0 {
		return e.total
	}
	n := 0
	for i := range e.groups {
		m, _ := e.groups[i].since(e.muted)
		n = max(n, m)
	}
	return n
}

// hash is of what stands in snapshots, so it stays what it is.
func (k key) hash() uint64 {
	if k.by == ByUser {
		return mix(hashOf("user " + k.user))
	}
	b := k.net.Addr().As16()
	return mix(hashOf(string(k.by) + string(b[:])))
}

// mix is splitmix64's finalizer: FNV's low bits alone are not even enough.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sketch is a count-min sketch with conservative updates (Estan and Varghese,
// 2002): up to sketchMost it never says less than was added. Two counts share a byte.
// nil: empty.
type sketch []uint8

const (
	sketchRows = 4
	sketchCols = 1 << 21 // 4 MiB: behind 300,000 addresses of which eight each were given up, one login in 3,000 seems to follow failures
	sketchMost = 15      // more than any limit of success
)

// cells are where a hash is counted: one in each row.
func cells(h uint64, cols int) (at [sketchRows]int) {
	step := mix(h) | 1
	for i := range at {
		at[i] = i*cols + int((h+uint64(i)*step)%uint64(cols))
	}
	return at
}

func (s *sketch) add(h uint64, n int) {
	if *s == nil {
		*s = make(sketch, sketchRows*sketchCols/2)
	}
	to := min(s.of(h)+n, sketchMost)
	for _, c := range cells(h, sketchCols) {
		if s.at(c) < to {
			shift := c % 2 * 4
			(*s)[c/2] = (*s)[c/2]&^(0xf<<shift) | uint8(to)<<shift
		}
	}
}

func (s sketch) at(cell int) int { return int(s[cell/2] >> (cell % 2 * 4) & 0xf) }

func (s sketch) of(h uint64) int {
	if s == nil {
		return 0
	}
	least := sketchMost
	for _, c := range cells(h, sketchCols) {
		least = min(least, s.at(c))
	}
	return least
}

// distinct counts different hashes by a Bloom filter.
type distinct []uint8 // bits

const distinctBits = 1 << 22 // 512 KiB

// add reports whether a hash is new. Of a million one in twenty is taken for
// another.
func (d *distinct) add(h uint64) bool {
	if *d == nil {
		*d = make(distinct, distinctBits/8)
	}
	isNew := false
	for _, c := range cells(h, distinctBits/sketchRows) {
		if bit := uint8(1) << (c % 8); (*d)[c/8]&bit == 0 {
			(*d)[c/8] |= bit
			isNew = true
		}
	}
	return isNew
}

// floodDoc is a flood's stored form.
type floodDoc struct {
	Now      Flood     `json:"now"`
	All      Flood     `json:"all"`
	Seen     []byte    `json:"seen,omitempty"` // packed, as the sketches are
	Told     int64     `json:"told,omitempty"`
	Evidence [2][]byte `json:"evidence"`
	Turned   int64     `json:"turned,omitempty"`
}

// document is nil where nothing was ever given up.
func (f *flood) document() *floodDoc {
	if f.turned == 0 && f.evidence[0] == nil {
		return nil
	}
	return &floodDoc{Now: f.now, All: f.all, Seen: pack(f.seen), Told: f.told,
		Evidence: [2][]byte{pack(f.evidence[0]), pack(f.evidence[1])}, Turned: f.turned}
}

func (d *floodDoc) restore() (f flood, err error) {
	for _, x := range []Flood{d.Now, d.All} {
		for _, l := range []Lost{x.Addresses, x.Networks, x.Accounts} {
			if l.N < 0 || l.N > maxAttempts || l.Attempts < 0 || l.Attempts > maxAttempts {
				return f, errRange
			}
		}
		if x.Any() && (!isTime(x.First.UnixMilli()) || !isTime(x.Last.UnixMilli()) || x.Last.Before(x.First)) {
			return f, errRange
		}
	}
	if !isTime(d.Told) || !isTime(d.Turned) {
		return f, errRange
	}
	f = flood{now: d.Now, all: d.All, told: d.Told, turned: d.Turned}
	for _, x := range []struct {
		to   *[]uint8
		from []byte
		size int
	}{
		{(*[]uint8)(&f.seen), d.Seen, distinctBits / 8},
		{(*[]uint8)(&f.evidence[0]), d.Evidence[0], sketchRows * sketchCols / 2},
		{(*[]uint8)(&f.evidence[1]), d.Evidence[1], sketchRows * sketchCols / 2},
	} {
		if *x.to, err = unpack(x.from, x.size); err != nil {
			return f, err
		}
	}
	return f, nil
}

// pack writes what is not 0: how many zeros stand before it, and itself.
func pack(data []byte) []byte {
	var out []byte
	gap := 0
	for i := 0; i < len(data); i++ {
		switch {
		case data[i] != 0:
			out = append(binary.AppendUvarint(out, uint64(gap)), data[i])
			gap = 0
		case i+8 <= len(data) && binary.NativeEndian.Uint64(data[i:]) == 0: // as most are
			gap += 8
			i += 7
		default:
			gap++
		}
	}
	return out
}

var errPacked = errors.New("what was given up can't be read")

func unpack(data []byte, size int) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	out := make([]byte, size)
	for at := 0; len(data) > 0; at++ {
		gap, n := binary.Uvarint(data)
		if n <= 0 || n == len(data) || gap >= uint64(size-at) || data[n] == 0 {
			return nil, errPacked
		}
		at += int(gap)
		out[at] = data[n]
		data = data[n+1:]
	}
	return out, nil
}
