package attack

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// heap is what lives, and what the runtime has from the system.
func heapBytes() (live, system uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.Sys - m.HeapReleased
}

func crowd(g *Engine, n int, longest string) {
	for i := range n {
		r := parse.Result{Outcome: parse.Failure, Count: 1, Service: "sshd", Host: "web1", Time: start.Add(time.Duration(i) * time.Millisecond),
			IP: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), User: fmt.Sprint(i, longest[:i%len(longest)])}
		if i%3 == 0 {
			r.IP = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 15: byte(i)})
		}
		g.Take(r)
	}
}

func TestAFloodOfAddressesAndNamesFitsInto64MiB(t *testing.T) {
	standin.Gate(t)
	before, _ := heapBytes()
	g := newEngine(t, Options{})
	crowd(g, 80_000, strings.Repeat("x", 100))
	crowd(g, 200, strings.Repeat("x", 1<<20))
	live, system := heapBytes()
	t.Logf("%d keys, %d MiB counted, %d MiB live, %d MiB of the system", len(g.list), g.bytes>>20, (live-before)>>20, system>>20)
	if live-before > 24<<20 || system > 64<<20 {
		t.Errorf("%d MiB live, %d MiB of the system", (live-before)>>20, system>>20)
	}
	runtime.KeepAlive(g)
}

func TestAttackersOutliveAFlood(t *testing.T) {
	g := newEngine(t, Options{MaxKeys: 1000, MaxBytes: 1 << 30})
	for i := range 20 {
		for _, r := range many(30, 0, s, fmt.Sprintf("203.0.113.%d", i), "root") {
			r.Invalid = true
			g.Take(r)
		}
	}
	for i := range 30_000 {
		r := failed(m+time.Duration(i)*time.Millisecond, "", "")
		r.IP = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		g.Take(r)
	}
	if len(g.list) > 1000 || len(g.entries) != len(g.list) {
		t.Errorf("%d keys", len(g.list))
	}
	for i := range 20 {
		k := key{by: ByAddress, net: site(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), ByAddress)}
		if e := g.entries[k]; e == nil || e.total != 30 {
			t.Errorf("203.0.113.%d is forgotten", i)
		}
	}
	// Who comes in the flood is seen all the same.
	var got []Finding
	for _, r := range many(5, 2*m, s, "198.51.100.7", "") {
		got = append(got, g.Take(r)...)
	}
	if len(got) != 1 || got[0].Kind != Begun {
		t.Error(say(got))
	}
}

func TestAttacksGivenUpAreSummedUpAndLeaveNothing(t *testing.T) {
	g := newEngine(t, Options{MaxKeys: 10})
	begun, ended := 0, 0
	for i := range 5000 {
		r := with(failed(time.Duration(i)*time.Millisecond, "", "a"), func(r *parse.Result) { r.Count, r.Invalid = 5, true })
		r.IP = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		for _, f := range g.Take(r) {
			switch f.Kind {
			case Begun:
				begun++
			case Ended:
				ended++
			}
		}
	}
	if begun != 5000 || ended != 4990 || len(g.ends) > 2*10+64+1 {
		t.Errorf("%d begun, %d ended, %d to come", begun, ended, len(g.ends))
	}
	if n := len(g.Close()); n != 10 || g.attacks != 0 {
		t.Errorf("%d at the end, %d go on", n, g.attacks)
	}
}

func TestWhatIsTooOldGoes(t *testing.T) {
	g := newEngine(t, Options{})
	crowd(g, 1000, "x")
	for i := range 2000 {
		g.Take(failed(48*h+time.Duration(i)*s, "203.0.113.7", "root"))
	}
	if len(g.list) > 2 {
		t.Errorf("%d keys", len(g.list))
	}
}

func FuzzRestore(f *testing.F) {
	for _, seed := range []uint64{1, 2, 3} {
		g, err := New(Options{})
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range stream(seed, 60) {
			g.Take(r)
		}
		var b bytes.Buffer
		if err := g.Snapshot(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"clock":0,"random":1,"known_random":0,"hand":0,"entries":1,"attackers":0}
{"by":"user","user":"a","first":0,"last":0,"total":1,"groups":[],"tallies":[{},{},{},{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Restore(bytes.NewReader(data), Options{})
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := g.Snapshot(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Restore(bytes.NewReader(b.Bytes()), Options{})
		if err != nil {
			t.Fatalf("%v in what was written: %s", err, b.Bytes())
		}
		for _, r := range stream(9, 30) {
			a, b := g.Take(r), again.Take(r)
			if fmt.Sprint(say(a)) != fmt.Sprint(say(b)) {
				t.Fatal(say(a), say(b))
			}
		}
		g.Tick(start.Add(1000 * h))
		g.Close()
	})
}

func FuzzReadKnown(f *testing.F) {
	f.Add([]byte(`{"v":1,"time":"2026-11-21T02:00:00Z","attackers":[{"network":"203.0.113.7/32","attempts":10,"attacks":1,"first":"2026-11-21T02:00:00Z","last":"2026-11-21T02:00:09Z"}]}`))
	f.Add([]byte(`{"v":1,"attackers":[{"network":"::ffff:1.2.3.4/128"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ReadKnown(data)
		if err != nil {
			return
		}
		for _, a := range k.Attackers {
			if got, ok := k.Lookup(a.Network.Addr(), a.Last); !ok || got.Network != a.Network {
				t.Fatalf("%s is not found", a.Network)
			}
		}
	})
}

func TestRestoreRefuses(t *testing.T) {
	const head = `{"v":1,"clock":5,"random":1,"known_random":1,"hand":0,"entries":1,"attackers":0}` + "\n"
	entry := func(change string) string {
		e := `{"by":"user","user":"a","first":1,"last":5,"total":2,"groups":[{"items":[[1,1,7],[5,1,8]]}],"tallies":[{},{},{},{}]}`
		from, to, _ := strings.Cut(change, " => ")
		if change != "" && !strings.Contains(e, from) {
			t.Fatal(from)
		}
		return head + strings.Replace(e, from, to, 1)
	}
	if _, err := Restore(strings.NewReader(entry("")), Options{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"another version":    strings.Replace(head, `"v":1`, `"v":2`, 1),
		"fewer than it says": head,
		"more than it says":  entry("") + "{}",
		"an unknown field":   entry(`"total" => "colour":1,"total"`),
		"a negative number":  entry(`"total":2 => "total":-2`),
		"no account":         entry(`"user":"a" => "user":""`),
		"another sort":       entry(`"by":"user" => "by":"moon"`),
		"an address badly":   entry(`"by":"user","user":"a" => "by":"address","net":"203.0.113.7/24"`),
		"mapped":             entry(`"by":"user","user":"a" => "by":"address","net":"::ffff:1.2.3.4/64"`),
		"out of order":       entry(`[5,1,8] => [0,1,8]`),
		"no attempts":        entry(`[5,1,8] => [5,0,8]`),
		"the year 300,000":   entry(`"last":5 => "last":9999999999999999`),
		"last before first":  entry(`"last":5 => "last":0`),
		"a long name":        entry(`"user":"a" => "user":"` + strings.Repeat("a", 100) + `"`),
		"twice":              strings.Replace(entry(""), `"entries":1`, `"entries":2`, 1) + strings.TrimPrefix(entry(""), head),
	} {
		if _, err := Restore(strings.NewReader(text), Options{}); err == nil {
			t.Error(name)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	for _, addresses := range []int{400, 1_000_000} {
		b.Run(fmt.Sprint(addresses, " addresses"), func(b *testing.B) {
			g := newEngine(b, Options{})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				n := i * 7919 % addresses
				g.Take(parse.Result{Outcome: parse.Failure, Count: 1, Service: "sshd", Host: "web1", User: "root", Invalid: true, Time: start.Add(time.Duration(i) * time.Millisecond),
					IP: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})})
			}
			live, system := heapBytes()
			b.ReportMetric(float64(live)/(1<<20), "MiB-live")
			b.ReportMetric(float64(system)/(1<<20), "MiB-system")
			runtime.KeepAlive(g)
		})
	}
}
