package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/spool"
)

// BenchmarkFleetHub compares, in one run and by turns, how many events a second
// the hub takes from hosts with TLS connections of their own, each of which waits
// for its answer, with how many the same number of writers put into a spool, a
// file each. Beside it what the hub takes in batches, as after it was away.
//
//	go test -run '^$' -bench FleetHub -benchtime 3x -timeout 20m ./cmd/sshnotify
//
// BENCH_FLEET_HOSTS sets how many hosts there are (1000).
func BenchmarkFleetHub(b *testing.B) {
	n := 1000
	if v, err := strconv.Atoi(os.Getenv("BENCH_FLEET_HOSTS")); err == nil {
		n = v
	}
	const each, batches = 5, 100
	h := newFleetHub(b, b.TempDir(), toldSettings)
	hosts := h.mustJoin(hostNames("bench", n)...)
	// Its connections are made before the clock starts.
	for _, s := range hosts {
		if a, err := s.beat(b.Context()); err != nil || a.status != 200 {
			b.Fatalf("%s: %d %s %v", s.name, a.status, a.body, err)
		}
	}
	var single, batched, files []float64
	var cpu []float64
	before := h.spent()
	for b.Loop() {
		// The worker is not measured, and tells what it took meanwhile.
		spent := h.spent().cpu
		took := together(hosts, func(s *simHost) {
			for range each {
				hand(b, s, 1)
			}
		})
		single = append(single, float64(n*each)/took.Seconds())
		cpu = append(cpu, float64((h.spent().cpu-spent).Microseconds())/float64(n*each))
		some := hosts[:n/10]
		batched = append(batched, float64(len(some)*batches)/together(some, func(s *simHost) { hand(b, s, batches) }).Seconds())

		dir := filepath.Join(b.TempDir(), strconv.Itoa(len(files)))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		queue := spool.Open(spool.Options{Dir: dir, UID: os.Geteuid()})
		took = together(hosts, func(s *simHost) {
			for i := range each {
				id := eventID()
				if _, err := queue.Put(id+".json", loginEvent(id, s.name, "u", s.boot, int64(i), time.Now())); err != nil {
					b.Error(err)
				}
			}
		})
		files = append(files, float64(n*each)/took.Seconds())
	}
	middle := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(middle(single), "events/s")
	b.ReportMetric(middle(batched), "batched-events/s")
	b.ReportMetric(middle(files), "files/s")
	b.ReportMetric(middle(single)/middle(files), "events/files")
	b.ReportMetric(middle(cpu), "us-of-CPU/event")
	b.ReportMetric(h.spent().peak, "MiB")
	b.ReportMetric(0, "ns/op")
	b.Logf("the hub: %.1f s of CPU in all, worker included", (h.spent().cpu - before.cpu).Seconds())
}

// together lets all hosts do something at once, and says how long that took.
func together(hosts []*simHost, do func(*simHost)) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for _, s := range hosts {
		wg.Go(func() { do(s) })
	}
	wg.Wait()
	return time.Since(start)
}

// hand hands n events over, and insists that they are taken.
func hand(b *testing.B, s *simHost, n int) {
	for range n {
		s.login(time.Now())
	}
	for len(s.batch()) > 0 {
		lines := s.batch()
		a, err := s.events(b.Context(), lines)
		if err != nil || a.status != 200 && a.status != 429 {
			b.Errorf("%s: %d %s %v", s.name, a.status, a.body, err)
			return
		}
		if a.status == 429 {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.taken(lines, a, 0)
	}
}
