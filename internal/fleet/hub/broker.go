package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// maxRejected is how many messages are kept of what the hub will never take, and
	// maxRejectedBytes how much of each: more than an event has. Those beyond are only
	// counted.
	maxRejected      = 1000
	maxRejectedBytes = fleet.MaxLine
)

// received is the hub, for a broker.
type received struct {
	*Hub
	dir  string
	full atomic.Bool
}

// Receiver returns the hub for a broker, which holds that a host speaks in its own name
// alone: a host that is not known is let in, and what it hands over at a time is the
// broker's to limit. What the hub will never take is kept below dir.
func (h *Hub) Receiver(dir string) fleet.Receiver { return &received{Hub: h, dir: dir} }

func (r *received) Ingest(ctx context.Context, host string, b fleet.Batch) (fleet.Answer, error) {
	if err := r.letIn(ctx, host); err != nil {
		return fleet.Answer{}, classed(err)
	}
	a, err := r.ingest(ctx, host, b, 0)
	return a, classed(err)
}

func (r *received) Beat(ctx context.Context, host string, b fleet.Beat) (fleet.BeatAnswer, error) {
	behind := b.Number == fleet.NotAsked
	if behind {
		b.Number = 0
	}
	err := r.letIn(ctx, host)
	var a fleet.BeatAnswer
	if err == nil {
		err = r.mayBeat(host)
	}
	if err == nil {
		a, err = r.Hub.Beat(ctx, host, b)
	}
	if err == nil && behind {
		r.mu.Lock()
		defer r.mu.Unlock()
		if m := r.byName[host]; m != nil {
			m.stuck = time.Time{} // what is missing may be on its way
		}
	}
	return a, classed(err)
}

// mayBeat holds a beat against the host's limit of requests, as its own server does.
func (h *Hub) mayBeat(host string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.byName[host]; m != nil && !m.requests.AllowN(h.now(), 1) {
		return &refusal{429, fleet.WhyBusy, fmt.Sprintf("more than %d beats a second", fleet.MaxRequests), time.Second}
	}
	return nil
}

// letIn makes a host known that no token let in.
func (h *Hub) letIn(ctx context.Context, host string) error {
	h.mu.Lock()
	known := h.byName[host] != nil
	h.mu.Unlock()
	if known {
		return nil
	}
	if slices.Contains(h.reg.own, host) {
		return ownName(host)
	}
	err := h.o.DB.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		var one int
		if there, err := t.One([]any{&one}, `SELECT 1 FROM fleet_host WHERE name = ?`, host); there || err != nil {
			return err
		}
		return admit(t, h.now(), admission{Kind: KindHost, Name: host}, credential{})
	})
	if err != nil {
		return err
	}
	return h.refresh(ctx)
}

// classed is what a broker is to do about an error: what the hub refuses it will never
// take, and all else comes again.
func classed(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return err
	}
	e := &fleet.Error{RetryAfter: no.wait, Err: err}
	// What a newer sshnotify wrote is kept apart as well: waiting for it would keep others
	// waiting, since a broker counts what is to come again.
	if no.status < 429 || no.why == fleet.WhyNewer {
		e.Class = fleet.Refused
	}
	return e
}

// Reject keeps a message in a file of its own, named after what it holds, so that one
// that comes again is kept once.
func (r *received) Reject(_ context.Context, subject, why string, data []byte) error {
	r.o.Figures.Hub(func(f *figures.Hub) { f.Events[figures.Rejected]++ })
	text, err := json.Marshal(struct {
		Subject string `json:"subject"`
		Why     string `json:"why"`
		Data    string `json:"data"`
	}{subject, why, string(data[:min(len(data), maxRejectedBytes)])})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	if len(there) >= maxRejected {
		if !r.full.Swap(true) {
			r.o.Log.Warn("what the hub does not take is counted, and no longer kept", "folder", r.dir, "files", len(there))
		}
		return nil
	}
	sum := sha256.Sum256(text)
	return renameio.WriteFile(filepath.Join(r.dir, hex.EncodeToString(sum[:8])+".json"), text, 0o600)
}
