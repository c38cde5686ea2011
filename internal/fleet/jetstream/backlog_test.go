package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// gated is a hub that takes so much of a backlog, and the rest once it is open.
type gated struct {
	*memory
	fresh string // the host whose events it takes in any case
	after int
	open  chan struct{}
}

func (g *gated) Ingest(ctx context.Context, host string, b fleet.Batch) (fleet.Answer, error) {
	if host != g.fresh && g.count() >= g.after {
		select {
		case <-g.open:
		case <-ctx.Done():
			return fleet.Answer{}, ctx.Err()
		}
	}
	return g.memory.Ingest(ctx, host, b)
}

// The hub was away for a week, and comes back to 10,000 events. Who logs in now does not
// wait for those, and none of them is lost.
func TestFreshBehindAWeeksBacklog(t *testing.T) {
	if os.Getenv("SSHNOTIFY_E2E") == "" {
		t.Skip("it takes half a minute: set SSHNOTIFY_E2E=1")
	}
	t.Parallel()
	const backlog, old, fresh = 10_000, 2 * time.Second, 20
	names := []string{"web1", "web2", "web3", "web4", "web5"}
	k := keys{}
	// This is about the order: without a sync for each event it takes less long.
	n := &node{options: k.accounts(t, append(names, "fresh")...) + fmt.Sprintf("\njetstream { store_dir: %q }\n", t.TempDir()), port: -1}
	n.run(t)
	t.Cleanup(n.stop)
	stop := k.serve(t, n.url(), &memory{})
	eventually(t, "the stream", func() bool { return hasStream(t, k, n.url()) })
	stop()
	var all sync.WaitGroup
	for _, name := range names {
		h := k.host(t, n.url(), name)
		all.Go(func() {
			for first := int64(1); first <= backlog/int64(len(names)); first += fleet.MaxBatch {
				b := fleet.Batch{Numbering: "a", Lines: lines(first, fleet.MaxBatch)}
				for t.Context().Err() == nil {
					if _, err := h.HandOver(t.Context(), b); err == nil {
						break
					}
				}
			}
		})
	}
	all.Wait()
	c, _ := k.open(t, n.url(), "hub")
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a backlog that is old", func() bool {
		s, err := js.Stream(t.Context(), stream)
		return err == nil && time.Since(s.CachedInfo().State.LastTime) > old
	})

	hub := &gated{&memory{}, "fresh", 2 * behind, make(chan struct{})}
	broker := quick
	broker.fresh = old
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- broker.Serve(ctx, fleet.Settings{NATS: n.url(), CredentialsFile: k["hub"], Replicas: 1}, hub, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	eventually(t, "the hub to look for what is fresh beside its turn", func() bool {
		s, err := js.Stream(t.Context(), stream)
		return err == nil && s.CachedInfo().State.Consumers == 2
	})
	h := k.host(t, n.url(), "fresh")
	for i := int64(1); i <= fresh; i++ {
		handOver(t, h, fleet.Batch{Numbering: "f", Lines: lines(i, 1)})
	}
	got := func() (late, new int) {
		hub.mu.Lock()
		defer hub.mu.Unlock()
		new = len(hub.got["fresh f"])
		for _, name := range names {
			late += len(hub.got[name+" a"])
		}
		return late, new
	}
	eventually(t, "all that is fresh", func() bool { _, n := got(); return n == fresh })
	if late, _ := got(); late > backlog/2 {
		t.Errorf("it is taken after %d of the %d that had waited", late, backlog)
	}
	close(hub.open)
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		late, new := got()
		if late == backlog && new == fresh {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d came, and %d of %d fresh ones", late, backlog, new, fresh)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
