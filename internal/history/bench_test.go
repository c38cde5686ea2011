package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	benchLogins = 1_000_000
	benchUsers  = 10_000
)

// benchLogin is one of a million in a year: every second one is the user
// deploy's, from twenty networks; the others have ten thousand users.
func benchLogin(rnd *rand.Rand, i int) Entry {
	at := day0.AddDate(-1, 0, 0).Add(time.Duration(i) * (365 * 24 * time.Hour / benchLogins))
	u, nets := rnd.IntN(benchUsers), 3
	name := fmt.Sprintf("user%05d", u)
	if i%2 == 0 {
		name, u, nets = "deploy", 77, 20
	}
	n := u*7 + rnd.IntN(nets)
	return Entry{
		ID: testID(i), Time: at, Host: fmt.Sprintf("web%d.example.com", rnd.IntN(8)), User: name, Service: "sshd", Method: "publickey",
		Key: fmt.Sprintf("SHA256:%043d", u), IP: netip.AddrFrom4([4]byte{byte(20 + n%90), byte(n >> 3), byte(n), byte(rnd.IntN(4))}), Port: uint16(1024 + i%60000),
		ASN: uint32(64000 + n%3000), ASName: fmt.Sprintf("EXAMPLE-%d", n%3000), Usual: true, Source: SourceSeen,
		Place:  event.Place{Country: pick(rnd, "IE", "DE", "BG"), City: fmt.Sprintf("City %d", n%500), Region: "Region", Point: &event.Point{Lat: float64(n % 90), Lon: 3.5, Accuracy: 20}},
		Traits: event.Traits{Hosting: pick(rnd, "", "X4BNet")},
	}
}

// bigHistory makes the file once; HISTORY_BENCH_DIR keeps it for another run.
func bigHistory(b *testing.B) *DB {
	b.Helper()
	dir := os.Getenv("HISTORY_BENCH_DIR")
	if dir == "" {
		b.Skip("HISTORY_BENCH_DIR=FOLDER, where a history of a million logins is made and kept")
	}
	d, err := Open(filepath.Join(dir, "history.db"), Options{Keep: 4000 * 24 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	if _, err := os.Stat(d.store.Path()); err == nil {
		began := time.Now()
		if err := d.store.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Logf("brought up to date in %v", time.Since(began).Round(time.Millisecond))
		return d
	}
	began := time.Now()
	added, _, err := d.Import(b.Context(), func(yield func(Entry, error) bool) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range benchLogins {
			if !yield(benchLogin(rnd, i), nil) {
				return
			}
		}
	})
	if added != benchLogins || err != nil {
		b.Fatal(added, err)
	}
	took := time.Since(began)
	d.Close()
	info, err := os.Stat(d.store.Path())
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("made in %v: %.0f logins a second; %d MB", took.Round(time.Second), benchLogins/took.Seconds(), info.Size()>>20)
	return d
}

// median runs f b.N times and reports how long it took.
func median(b *testing.B, f func(i int)) {
	b.Helper()
	took := make([]time.Duration, b.N)
	for i := range took {
		began := time.Now()
		f(i)
		took[i] = time.Since(began)
	}
	report(b, took)
}

// report reports the median and the slowest.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
}

// BenchmarkRecall is "seen before" with a small and with a large memory.
func BenchmarkRecall(b *testing.B) {
	for _, size := range []struct {
		name string
		open func(b *testing.B) *DB
	}{{"1000", smallHistory}, {"1000000", bigHistory}} {
		b.Run(size.name, func(b *testing.B) { benchmarkRecall(b, size.open(b)) })
	}
}

// smallHistory has every 999th login of the big one.
func smallHistory(b *testing.B) *DB {
	d := open(b, Options{Keep: 4000 * 24 * time.Hour})
	if _, _, err := d.Import(b.Context(), func(yield func(Entry, error) bool) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range 1000 {
			if !yield(benchLogin(rnd, i*999), nil) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	return d
}

func benchmarkRecall(b *testing.B, d *DB) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, row := range []struct {
		name string
		make func() Entry
	}{
		{"anybody", func() Entry { e := benchLogin(rnd, 2*rnd.IntN(benchLogins/2)+1); e.Time = day0; return e }},
		{"heavy-user", func() Entry { e := benchLogin(rnd, 0); e.Time = day0; return e }},
		{"heavy-user-a-day-late", func() Entry { e := benchLogin(rnd, 0); e.Time = day0.AddDate(0, 0, -1); return e }},
		{"heavy-user-a-week-late", func() Entry { e := benchLogin(rnd, 0); e.Time = day0.AddDate(0, 0, -7); return e }},
		{"heavy-user-half-a-year-late", func() Entry { e := benchLogin(rnd, 0); e.Time = day0.AddDate(0, -6, 0); return e }},
		{"stranger", func() Entry { e := benchLogin(rnd, 1); e.Time, e.User = day0, "stranger"; return e }},
		{"told-again", func() Entry { return benchLogin(rnd, benchLogins-1-rnd.IntN(1000)) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			median(b, func(i int) {
				e := row.make()
				if row.name != "told-again" {
					e.ID = testID(benchLogins + i)
				}
				recall(b, d, e)
			})
		})
	}
	// A worker that was started for one login: the file is opened and each statement
	// prepared.
	b.Run("first-of-a-process", func(b *testing.B) {
		took := make([]time.Duration, b.N)
		for i := range took {
			d.Close()
			e := benchLogin(rnd, 0)
			e.Time, e.ID = day0, testID(benchLogins+i)
			began := time.Now()
			recall(b, d, e)
			took[i] = time.Since(began)
		}
		report(b, took)
	})
	if s, err := os.ReadFile("/proc/self/status"); err == nil {
		for l := range strings.Lines(string(s)) {
			if strings.HasPrefix(l, "VmHWM") || strings.HasPrefix(l, "VmRSS") {
				b.Log(strings.TrimSpace(l))
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.Logf("Go heap %d KiB, from the system %d KiB", m.HeapAlloc>>10, m.Sys>>10)
}

func BenchmarkRecordToAMillion(b *testing.B) {
	d := bigHistory(b)
	rnd := rand.New(rand.NewPCG(7, 8))
	base := int(time.Now().UnixNano() % 1e12)
	median(b, func(i int) {
		e := benchLogin(rnd, i)
		e.ID, e.Time, e.User = testID(base+i), day0.Add(time.Duration(i)*time.Second), "recorded"
		record(b, d, e)
	})
	b.StopTimer()
	if _, err := d.drop(context.Background(), "l.time >= ?", []any{day0.UnixMilli()}, nil); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFindInAMillion finds a login by the ref that messages show.
func BenchmarkFindInAMillion(b *testing.B) {
	d := bigHistory(b)
	for _, row := range []struct {
		name string
		n    int // characters
	}{{"few", 24}, {"too-many", 2}} {
		b.Run(row.name, func(b *testing.B) {
			median(b, func(i int) {
				if found, err := d.Find(b.Context(), testID(i * 1009 % benchLogins)[:row.n], 2); err != nil || len(found) != 2 {
					b.Fatal(found, err)
				}
			})
		})
	}
}

func BenchmarkListOfAMillion(b *testing.B) {
	d := bigHistory(b)
	for name, f := range map[string]Filter{
		"newest-50":        {Limit: 50},
		"heavy-user-50":    {User: "deploy", Limit: 50},
		"address-anywhere": {IP: netip.MustParsePrefix("198.51.100.0/24"), Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			median(b, func(int) { list(b, d, f) })
		})
	}
}

func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		d := open(b, Options{})
		began := time.Now()
		if _, _, err := d.Import(b.Context(), func(yield func(Entry, error) bool) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for i := range 20_000 {
				if !yield(benchLogin(rnd, i), nil) {
					return
				}
			}
		}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(20_000/time.Since(began).Seconds(), "logins/s")
		d.Close()
	}
}
