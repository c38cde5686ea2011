package attack

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// small is an engine that a flood fills soon.
func small(tb testing.TB) *Engine { return newEngine(tb, Options{MaxKeys: 300, MaxBytes: 1 << 30}) }

// stranger is one address of a flood: of IPv4, or of a /64 of its own.
func stranger(i int) netip.Addr {
	if i%2 == 0 {
		return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 15: 1})
}

// turns makes so many addresses attempt one after the other, so often, all in span.
func turns(g *Engine, addresses, times int, after, span time.Duration) (out []Finding) {
	n := 0
	for range times {
		for i := range addresses {
			r := failed(after+span*time.Duration(n)/time.Duration(addresses*times), "", "admin")
			r.IP, r.Invalid = stranger(i), true
			out = append(out, g.Take(r)...)
			n++
		}
	}
	return out
}

func only(fs []Finding, k Kind) []Finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f Finding) bool { return f.Kind != k })
}

// However many attack at once, each attempt is in an attack that is told, or in
// the flood; the flood is told once; and of more than there is room for some are
// told, not none.
func TestAFloodIsCountedAndTold(t *testing.T) {
	for _, addresses := range []int{250, 400, 1000, 6000} {
		g := small(t)
		const times = 8
		got := turns(g, addresses, times, 0, 9*m)
		begun, flooding := only(got, Begun), only(got, Flooding)
		got = append(got, g.Close()...)
		told := map[netip.Prefix]bool{}
		for _, f := range begun {
			told[f.Network] = true
		}
		attempts := 0
		for _, f := range only(got, Ended) {
			attempts += f.Attempts
		}
		resident := 0
		for _, e := range g.list {
			resident += e.untold()
		}
		flooded := only(got, Flooded)
		if addresses < 300 {
			if len(flooding)+len(flooded) > 0 || len(told) != addresses {
				t.Errorf("%d addresses: %d told, and a flood", addresses, len(told))
			}
			continue
		}
		if len(flooding) != 1 || len(flooded) != 1 {
			t.Fatalf("%d addresses: said %d times, told %d times", addresses, len(flooding), len(flooded))
		}
		f := flooded[0]
		if f.Severity().String() != "high" || f.Flood != g.Flood() || f.Flood.Accounts.N+f.Flood.Networks.N != 0 {
			t.Errorf("%+v", f)
		}
		if n := f.Flood.Addresses.Attempts; n+attempts+resident != addresses*times {
			t.Errorf("%d addresses: %d attempts told, %d given up, %d kept", addresses, attempts, n, resident)
		}
		if n := f.Flood.Addresses.N; n > addresses || n+len(told)+len(g.list) < addresses {
			t.Errorf("%d addresses: %d told, %d given up", addresses, len(told), n)
		}
		if len(told) < 90 {
			t.Errorf("%d addresses: only %d are told", addresses, len(told))
		}
		if len(g.list) > 300 {
			t.Errorf("%d keys", len(g.list))
		}
	}
}

// A flood is told when it pauses, or lasts, and then not at once again; whatever
// is given up is told once.
func TestWhenAFloodIsTold(t *testing.T) {
	at := func(fs []Finding) (out []string) {
		for _, f := range only(fs, Flooded) {
			out = append(out, f.Time.Sub(start).Truncate(m).String())
		}
		return out
	}
	for _, row := range []struct {
		name string
		run  func(g *Engine) []Finding
		want []string
	}{
		{"one that pauses", func(g *Engine) []Finding {
			out := turns(g, 600, 1, 0, 5*m)
			return append(out, g.Tick(start.Add(14*m+59*s))...)
		}, nil},
		{"ten minutes later", func(g *Engine) []Finding {
			out := turns(g, 600, 1, 0, 5*m)
			return append(out, g.Tick(start.Add(16*m))...)
		}, []string{"14m0s"}},
		{"whenever it is looked", func(g *Engine) []Finding {
			out := turns(g, 600, 1, 0, 5*m)
			return append(out, g.Tick(start.Add(500*h))...)
		}, []string{"14m0s"}},
		{"one of eight hours, and its rest", func(g *Engine) []Finding {
			out := turns(g, 600, 20, 0, 8*h)
			return append(out, g.Tick(start.Add(9*h))...)
		}, []string{"42m0s", "4h42m0s", "8h42m0s"}},
		{"another one, soon after", func(g *Engine) []Finding {
			out := append(turns(g, 600, 1, 0, 5*m), turns(g, 600, 1, h, 5*m)...)
			return append(out, g.Tick(start.Add(24*h))...)
		}, []string{"14m0s", "4h14m0s"}},
		{"the next day", func(g *Engine) []Finding {
			out := append(turns(g, 600, 1, 0, 5*m), turns(g, 600, 1, 24*h, 5*m)...)
			return append(out, g.Tick(start.Add(48*h))...)
		}, []string{"14m0s", "24h14m0s"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := small(t)
			got := row.run(g)
			if d := cmp.Diff(row.want, at(got)); d != "" {
				t.Error(d)
			}
			sum := g.flood.now.Addresses.Attempts
			for _, f := range only(got, Flooded) {
				sum += f.Flood.Addresses.Attempts
			}
			if all := g.Flood(); sum != all.Addresses.Attempts {
				t.Errorf("%d attempts told, %d given up", sum, all.Addresses.Attempts)
			}
		})
	}
}

// Nobody gets in unseen by making others, as many as he likes, attempt before him
// and after; and who did nothing before is not accused.
func TestNobodyHidesInAFlood(t *testing.T) {
	const attacker = "203.0.113.7"
	nothing := func(*Engine) {}
	ones := func(g *Engine) { turns(g, 6000, 1, m, 9*m) }
	eights := func(g *Engine) {
		for i := range 3000 {
			r := failed(m+time.Duration(i)*100*time.Millisecond, "", "admin")
			r.IP, r.Invalid, r.Count = stranger(i), true, 64
			g.Take(r)
		}
	}
	tries := func(n int, user string) func(*Engine) {
		return func(g *Engine) {
			for _, r := range many(n, 0, s, attacker, user) {
				r.Invalid = true
				g.Take(r)
			}
		}
	}
	sprayed := func(g *Engine) { // against alice, from three
		for i := range 6 {
			g.Take(failed(time.Duration(i)*s, fmt.Sprint("198.51.100.", i%3), "alice"))
		}
	}
	// It fills the table with accounts.
	accounts := func(g *Engine) {
		for i := range 2000 {
			r := failed(m+time.Duration(i)*100*time.Millisecond, "198.51.100.99", fmt.Sprint("user", i))
			r.Count = 64
			g.Take(r)
		}
	}
	for _, row := range []struct {
		name          string
		before, flood func(*Engine)
		user          string
		later         time.Duration
		told          bool
		from, dropped bool // failures are known; some were given up
	}{
		{"five failures, and no flood", tries(5, "root"), nothing, "root", h, true, true, false},
		{"five failures, then a flood of one attempt each", tries(5, "root"), ones, "root", h, true, true, false},
		{"three other names, then such a flood", tries(3, "admin"), ones, "root", h, true, true, false},
		{"five failures, then a flood of many attempts each", tries(5, "root"), eights, "root", h, true, false, true},
		{"three other names, then such a flood", tries(3, "admin"), eights, "root", h, true, false, true},
		{"the day after it", tries(5, "root"), eights, "root", 23 * h, true, false, true},
		{"two days after it", tries(5, "root"), eights, "root", 49 * h, false, false, false},
		{"two mistypings", tries(2, "root"), eights, "root", h, false, false, false},
		{"nothing before", nothing, ones, "root", h, false, false, false},
		{"nothing before, and many attempts each", nothing, eights, "root", h, false, false, false},
		{"an account that was sprayed", sprayed, accounts, "alice", h, true, false, true},
		{"an account that was not", sprayed, accounts, "bob", h, false, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := small(t)
			row.before(g)
			row.flood(g)
			g = restart(t, g, g.o)
			login := accepted(row.later, attacker, row.user)
			got := only(g.Take(login), SuccessAfter)
			if len(got) > 0 != row.told {
				t.Fatalf("told: %v", say(got))
			}
			if !row.told {
				return
			}
			f := got[0]
			if f.FromAddress > 0 != row.from || f.DroppedFrom+f.DroppedAgainst > 0 != row.dropped || (f.Severity() == event.Critical) != (f.DroppedAgainst == 0) {
				t.Errorf("%+v", f)
			}
			if f.FromAddress == 0 && !f.First.IsZero() {
				t.Errorf("nothing is known, since %s", f.First)
			}
			again := login
			again.Time = again.Time.Add(m)
			if got := only(g.Take(again), SuccessAfter); len(got) > 0 {
				t.Errorf("told again: %v", say(got))
			}
		})
	}
}

// What a sketch says is never too little, and of who was not in it nearly always
// nothing.
func TestSketch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var sk sketch
	var d distinct
	want := map[uint64]int{}
	for range 100_000 {
		h := mix(rnd.Uint64N(30_000))
		n := 1 + rnd.IntN(3)
		if isNew := d.add(h); isNew != (want[h] == 0) {
			t.Fatal("one of 30,000 is taken for another")
		}
		want[h] += n
		sk.add(h, n)
	}
	over := 0
	for h, n := range want {
		got := sk.of(h)
		if got < min(n, sketchMost) {
			t.Fatalf("%d, want %d", got, n)
		}
		if got > n {
			over++
		}
	}
	for range 10_000 {
		if sk.of(rnd.Uint64()) >= othersBefore {
			over++
		}
	}
	if over > 10 {
		t.Errorf("%d are said to be more than they were", over)
	}
	data := pack(sk)
	again, err := unpack(data, len(sk))
	if err != nil || !slices.Equal(again, sk) {
		t.Error("it is not as it was", err)
	}
	for name, bad := range map[string][]byte{
		"cut off": data[:len(data)-1], "too long": append(slices.Clone(data), 0xff, 0xff, 0xff, 0x7f, 1), "a 0": {0, 0}, "a gap without an end": {0xff},
	} {
		if _, err := unpack(bad, len(sk)); err == nil {
			t.Error(name)
		}
	}
}

// Who logs in behind 300,000 addresses of which eight attempts each were given up
// is hardly ever taken for one of them.
func TestSketchOfALargeFlood(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	var sk sketch
	for range 300_000 {
		sk.add(rnd.Uint64(), 8)
	}
	taken := 0
	for range 10_000 {
		if sk.of(rnd.Uint64()) >= othersBefore {
			taken++
		}
	}
	if taken > 20 {
		t.Errorf("%d of 10,000", taken)
	}
}

func TestRestoreRefusesAFlood(t *testing.T) {
	good := floodDoc{Turned: 5, All: Flood{First: at(1), Last: at(2), Addresses: Lost{N: 1, Attempts: 2}}}
	if _, err := good.restore(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*floodDoc){
		"less than nothing":    func(d *floodDoc) { d.All.Addresses.Attempts = -1 },
		"last before first":    func(d *floodDoc) { d.All.Last = at(0) },
		"the year 300,000":     func(d *floodDoc) { d.Told = 9999999999999999 },
		"a sketch of its own":  func(d *floodDoc) { d.Evidence[0] = []byte{0xff, 0xff, 0xff, 0x7f, 1} },
		"names of a like sort": func(d *floodDoc) { d.Seen = []byte{0} },
	} {
		d := good
		change(&d)
		if _, err := d.restore(); err == nil {
			t.Error(name)
		}
	}
}

func BenchmarkFlood(b *testing.B) {
	g := newEngine(b, Options{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		g.Take(parse.Result{Outcome: parse.Failure, Count: 1, Service: "sshd", Host: "web1", User: "root", Invalid: true, Time: start.Add(time.Duration(i) * time.Millisecond), IP: stranger(i % 300_000)})
	}
}
