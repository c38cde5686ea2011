package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// memory is a hub that keeps what it gets. Its methods may be called concurrently.
type memory struct {
	mu       sync.Mutex
	got      map[string][]int64 // "HOST NUMBERING" → numbers
	has      map[string]map[int64]bool
	rejected []string // "SUBJECT: WHY"
	beats    []string
	fail     func(host string, b fleet.Batch) error // before it keeps a batch; may be nil
}

func (m *memory) Ingest(_ context.Context, host string, b fleet.Batch) (fleet.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(host, b); err != nil {
			return fleet.Answer{}, err
		}
	}
	if m.got == nil {
		m.got, m.has = map[string][]int64{}, map[string]map[int64]bool{}
	}
	var a fleet.Answer
	for _, l := range b.Lines {
		who := host + " " + b.Numbering
		if m.has[who] == nil {
			m.has[who] = map[int64]bool{}
		}
		if m.has[who][l.Number] {
			a.Duplicate++
			continue
		}
		m.has[who][l.Number] = true
		m.got[who] = append(m.got[who], l.Number)
		a.Stored++
	}
	return a, nil
}

func (m *memory) Beat(_ context.Context, host string, b fleet.Beat) (fleet.BeatAnswer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beats = append(m.beats, fmt.Sprint(host, " ", b.Number))
	return fleet.BeatAnswer{Have: int64(len(m.got[host+" "+b.Numbering]))}, nil
}

func (m *memory) Reject(_ context.Context, subject, why string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejected = append(m.rejected, subject+": "+why)
	return nil
}

// count is how many events it has.
func (m *memory) count() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, all := range m.got {
		n += len(all)
	}
	return n
}

// serve has the hub take what comes of a single server, until the test or stop ends it.
func (k keys) serve(t testing.TB, url string, m fleet.Receiver) (stop func()) {
	t.Helper()
	return k.serveReplicas(t, url, m, 1)
}

func (k keys) serveReplicas(t testing.TB, url string, m fleet.Receiver, replicas int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- quick.Serve(ctx, fleet.Settings{NATS: url, CredentialsFile: k["hub"], Replicas: replicas}, m, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	seenWithin(t, 40*time.Second, what, is)
}

func seenWithin(t testing.TB, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not seen: " + what)
		}
	}
}

// lines are n events with the numbers from first on.
func lines(first, n int64) (all []fleet.Line) {
	for i := first; i < first+n; i++ {
		all = append(all, fleet.Line{Number: i, Event: fmt.Appendf(nil, `{"v":3,"id":"%d","kind":"login"}`, i)})
	}
	return all
}

// handOver retries until the batch is handed over, as a host does.
func handOver(t *testing.T, h fleet.Transport, b fleet.Batch) fleet.Answer {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var a fleet.Answer
		if a, err = h.HandOver(t.Context(), b); err == nil {
			return a
		}
		if classed := (*fleet.Error)(nil); !errors.As(err, &classed) || classed.Class != fleet.Again {
			break
		}
	}
	t.Fatalf("%T %v", err, err)
	return fleet.Answer{}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2"))
	m := &memory{}
	k.serve(t, n.url(), m)
	web1, web2 := k.host(t, n.url(), "web1"), k.host(t, n.url(), "web2")
	want := fleet.Answer{Stored: 3, Have: fleet.NotAsked}
	if diff := cmp.Diff(want, handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(1, 3)})); diff != "" {
		t.Error(diff)
	}
	handOver(t, web2, fleet.Batch{Numbering: "b", Lines: lines(1, 2)})
	handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(2, 3)}) // 2 and 3 again
	eventually(t, "all events at the hub", func() bool { return m.count() == 6 })
	var answer fleet.BeatAnswer
	eventually(t, "an answer of a hub that has the whole stream", func() bool {
		var err error
		answer, err = web1.Beat(t.Context(), fleet.Beat{Numbering: "a", Number: 4})
		return err == nil && answer.Have != fleet.NotAsked
	})
	if answer.Have != 4 {
		t.Errorf("the hub has %d", answer.Have)
	}
	slices.Sort(m.got["web1 a"]) // what a server had no stream for came later
	if diff := cmp.Diff(map[string][]int64{"web1 a": {1, 2, 3, 4}, "web2 b": {1, 2}}, m.got); diff != "" {
		t.Error(diff)
	}
	if len(m.rejected) > 0 {
		t.Error(m.rejected)
	}
}

// slowFor is slow for one host, until it is told to hurry.
type slowFor struct {
	*memory
	host  string
	hurry atomic.Bool
}

func (s *slowFor) Ingest(ctx context.Context, host string, b fleet.Batch) (fleet.Answer, error) {
	if host == s.host && !s.hurry.Load() {
		time.Sleep(50 * time.Millisecond)
	}
	return s.memory.Ingest(ctx, host, b)
}
