package fleet

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/respond/order"
)

// A hub that says when it takes evidence again is not sent all of it every few seconds,
// nor whenever something else is new in the folder.
func TestEvidenceThatTheHubDoesNotTake(t *testing.T) {
	h := newStrictHub(t)
	way, _ := h.joined()
	var asked sync.Map // by the nonces of orders: *atomic.Int32
	h.answer = func(w http.ResponseWriter, r *http.Request) {
		n, _ := asked.LoadOrStore(r.Header.Get(HeaderOrder), new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		w.Header().Set(HeaderWhy, WhyBusy)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	times := func(nonce string) int32 {
		n, ok := asked.Load(nonce)
		if !ok {
			return 0
		}
		return n.(*atomic.Int32).Load()
	}
	spool := t.TempDir()
	folder := order.In(spool)
	for _, name := range order.Dirs() {
		if err := os.MkdirAll(filepath.Join(string(folder), name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	changed := make(chan struct{})
	c := Courier{Way: way, Folder: folder, Log: slog.New(slog.DiscardHandler), Watch: func([]string) (<-chan struct{}, func(), error) {
		return changed, func() {}, nil
	}}
	first := order.NewNonce()
	if err := folder.LeaveEvidence(first, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.carryEvidence(ctx) }()
	defer func() { stop(); <-ended }()
	for n := range 3 {
		next := order.NewNonce()
		if err := folder.LeaveEvidence(next, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		changed <- struct{}{}
		for begun := time.Now(); times(next) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("piece %d is not handed over", n+2)
			}
		}
	}
	changed <- struct{}{} // taken once all of it was gone through
	if n := times(first); n != 1 {
		t.Errorf("the first piece was sent %d times", n)
	}
	var x tries
	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		if got := x.failed(&Error{Class: Again}); got != want {
			t.Errorf("again in %v, want %v", got, want)
		}
	}
	for range 100 {
		x.failed(&Error{Class: Refused})
	}
	if got := x.failed(&Error{Class: Refused}); got != refusedAway {
		t.Errorf("in the end again in %v", got)
	}
}
