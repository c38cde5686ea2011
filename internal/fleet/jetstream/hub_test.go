package jetstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// dying is a hub that ends while it commits.
type dying struct {
	*memory
	at chan struct{} // closed then
	is sync.Once
}

func (d *dying) Ingest(ctx context.Context, _ string, _ fleet.Batch) (fleet.Answer, error) {
	d.is.Do(func() { close(d.at) })
	<-ctx.Done()
	return fleet.Answer{}, ctx.Err()
}

// The hub ends between what it got and its acknowledgement: that comes again, to the
// next.
func TestTheHubEnds(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1"))
	gone := &dying{memory: &memory{}, at: make(chan struct{})}
	stop := k.serve(t, n.url(), gone)
	web1 := k.host(t, n.url(), "web1")
	handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(1, 50)})
	<-gone.at
	stop()
	m := &memory{}
	k.serve(t, n.url(), m)
	handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(51, 50)})
	eventually(t, "all events at the next", func() bool { return m.count() == 100 })
}

// One host's events can't be kept now: nobody else's wait for them.
func TestWhatTheHubCannotTake(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2", "web3"))
	var mu sync.Mutex
	failed := 0
	m := &memory{fail: func(host string, _ fleet.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		switch failed++; {
		case host == "web3":
			return &fleet.Error{Class: fleet.Refused, Err: errors.New("web3 is revoked")}
		case host == "web1" && failed < 20:
			return &fleet.Error{RetryAfter: 50 * time.Millisecond, Err: errors.New("the disk is full")}
		}
		return nil
	}}
	k.serve(t, n.url(), m)
	for _, host := range []string{"web1", "web2", "web3"} {
		handOver(t, k.host(t, n.url(), host), fleet.Batch{Numbering: "a", Lines: lines(1, 5)})
	}
	eventually(t, "what can be kept", func() bool { return m.count() == 10 })
	eventually(t, "what is of a revoked host, kept apart", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.rejected) == 5 && strings.Contains(m.rejected[0], "web3 is revoked")
	})
}

// A week's backlog is there, and somebody logs in.
func TestFreshBehindABacklog(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2"))
	stop := k.serve(t, n.url(), &memory{})
	eventually(t, "the stream", func() bool { return hasStream(t, k, n.url()) })
	stop()
	web1, web2 := k.host(t, n.url(), "web1"), k.host(t, n.url(), "web2")
	const backlog = 4 * behind
	for first := int64(1); first <= backlog; first += fleet.MaxBatch {
		handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(first, fleet.MaxBatch)})
	}
	// As if the backlog were a week old: it is slow to take, and not fresh.
	m := &memory{}
	slow := &slowFor{memory: m, host: "web1"}
	k.serve(t, n.url(), slow)
	if _, err := web2.Beat(t.Context(), fleet.Beat{}); err != nil {
		t.Log(err) // the hub may not be there yet
	}
	handOver(t, web2, fleet.Batch{Numbering: "b", Lines: lines(1, 1)})
	eventually(t, "the fresh login", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.got["web2 b"]) == 1
	})
	m.mu.Lock()
	before := len(m.got["web1 a"])
	m.mu.Unlock()
	if before == backlog {
		t.Error("it waited for the whole backlog")
	}
	slow.hurry.Store(true)
	eventually(t, "the whole backlog", func() bool { return m.count() == backlog+1 })
	eventually(t, "a hub that has all says so", func() bool {
		a, err := web1.Beat(t.Context(), fleet.Beat{Numbering: "a", Number: backlog})
		return err == nil && a.Have == backlog
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.beats, "web1 4000") {
		t.Errorf("beats %q", m.beats)
	}
}

// A host that publishes without end fills its own quota, and nobody else's.
func TestQuota(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2"))
	c, _ := k.open(t, n.url(), "hub")
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	small := (&hub{replicas: 1}).wanted()
	small.MaxMsgsPerSubject = 50
	if _, err := js.CreateStream(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	web1 := k.host(t, n.url(), "web1")
	handOver(t, web1, fleet.Batch{Numbering: "a", Lines: lines(1, 50)})
	_, err = web1.HandOver(t.Context(), fleet.Batch{Numbering: "a", Lines: lines(51, 1)})
	if classed := (*fleet.Error)(nil); !errors.As(err, &classed) || classed.Class != fleet.Again {
		t.Errorf("beyond the quota: %v", err)
	}
	handOver(t, k.host(t, n.url(), "web2"), fleet.Batch{Numbering: "b", Lines: lines(1, 50)})
	// Nor has it other subjects than those of the kinds.
	bad, _ := k.open(t, n.url(), "web1")
	for _, subject := range []string{"ev.web1.x", "ev.web1.login.x", "ev.web1"} {
		jsBad, err := jetstream.New(bad)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := jsBad.Publish(ctx, subject, nil); err == nil {
			t.Errorf("%s is taken", subject)
		}
		cancel()
	}
}

// A line that is too long is rejected by itself: the rest of its batch goes on.
func TestTooLong(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1")+"max_payload: 256KB\n")
	k.serve(t, n.url(), &memory{})
	long := func(number int64, size int) fleet.Line {
		return fleet.Line{Number: number, Event: []byte(`{"kind":"login","x":"` + strings.Repeat("x", size) + `"}`)}
	}
	got := handOver(t, k.host(t, n.url(), "web1"), fleet.Batch{Numbering: "a", Lines: []fleet.Line{
		long(1, 10), long(2, fleet.MaxLine-100), long(3, fleet.MaxLine+maxHeaders), long(4, 300<<10), {Number: 5, Event: []byte(`{}`)},
	}})
	if got.Stored != 2 || len(got.Rejected) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAStreamThatDiffers(t *testing.T) {
	want := (&hub{replicas: 3}).wanted()
	if d := differences(want, want); len(d) > 0 {
		t.Errorf("it differs from itself: %s", d)
	}
	got := want
	got.Retention, got.DenyPurge, got.AllowMsgTTL, got.MaxBytes = jetstream.WorkQueuePolicy, false, true, 1<<40
	d := differences(got, want)
	if !slices.Equal(d, []string{"retention is WorkQueue, not Limits", "deny_purge is false, not true", "allow_msg_ttl is true, not false"}) {
		t.Errorf("%q", d)
	}
}

// Each kind of event that a host may hand over has its subjects.
func TestKinds(t *testing.T) {
	for _, k := range kinds() {
		if _, err := message("web1", "a", fleet.Line{Number: 1, Event: []byte(`{"kind":"` + string(k) + `"}`)}); err != nil {
			t.Error(k, err)
		}
	}
	if slices.Contains(kinds(), event.KindAttempt) {
		t.Error("a row of a digest is no event")
	}
}
