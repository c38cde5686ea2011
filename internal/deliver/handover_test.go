package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
)

// hubInMemory is a hub that a test scripts. fail decides on the n-th request, from 1;
// nil takes everything.
type hubInMemory struct {
	fail   func(n int) error
	reject func(event.Event) string

	mu      sync.Mutex
	tries   int
	got     []event.Event // each once
	ids     map[string]bool
	numbers map[string]map[int64]bool // by numbering
	beats   []fleet.Beat
}

func (h *hubInMemory) have(numbering string) (n int64) {
	for h.numbers[numbering][n+1] {
		n++
	}
	return n
}

func (h *hubInMemory) try() error {
	if h.tries++; h.fail != nil {
		return h.fail(h.tries)
	}
	return nil
}

func (h *hubInMemory) HandOver(_ context.Context, b fleet.Batch) (a fleet.Answer, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.try(); err != nil {
		return a, err
	}
	if h.ids == nil {
		h.ids, h.numbers = map[string]bool{}, map[string]map[int64]bool{}
	}
	if h.numbers[b.Numbering] == nil {
		h.numbers[b.Numbering] = map[int64]bool{}
	}
	for _, l := range b.Lines {
		e, err := event.Decode(l.Event)
		if err != nil {
			return a, err
		}
		h.numbers[b.Numbering][l.Number] = true
		if h.reject != nil {
			if why := h.reject(e); why != "" {
				a.Rejected = append(a.Rejected, fleet.Rejected{Number: l.Number, Why: why})
				continue
			}
		}
		if h.ids[e.ID] {
			a.Duplicate++
			continue
		}
		h.ids[e.ID] = true
		h.got = append(h.got, e)
		a.Stored++
	}
	a.Have = h.have(b.Numbering)
	return a, nil
}

func (h *hubInMemory) Beat(_ context.Context, b fleet.Beat) (a fleet.BeatAnswer, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.try(); err != nil {
		return a, err
	}
	h.beats = append(h.beats, b)
	return fleet.BeatAnswer{Have: h.have(b.Numbering)}, nil
}

func (h *hubInMemory) Close() {}

// kinds says what it got, in order.
func (h *hubInMemory) kinds() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.got {
		all = append(all, strings.TrimSpace(string(e.Kind)+" "+e.User))
	}
	return all
}

func hubAway(int) error {
	return &fleet.Error{Class: fleet.Again, Err: errors.New("connection refused")}
}

// handsOver lets a bench hand over to a hub.
func (b *bench) handsOver(h *hubInMemory) {
	b.set.HandingOver.Hub = fleet.NewOutbox(openStore(b.t, b.state), h)
}

func TestHandOver(t *testing.T) {
	for _, row := range []struct {
		name string
		want []string
		of   func(b *bench)
	}{
		{"a login", []string{"login alice"}, func(b *bench) { b.put(login("alice", 1, 100)) }},
		{"a login and its logout, at once", []string{"login alice", "logout alice"}, func(b *bench) {
			e := login("alice", 1, 100)
			b.put(logout(e), e)
		}},
		{"a session whose process is gone", []string{"login alice", "logout alice"}, func(b *bench) {
			b.alive = func(event.Session) (bool, bool) { return false, true }
			b.put(login("alice", 1, 100))
		}},
		{"a witness of a login", []string{"login root"}, func(b *bench) { b.put(witnessOf(su(100)), su(100)) }},
		{"a login that the hook missed", []string{"witness root"}, func(b *bench) { b.put(witnessOf(su(100))) }},
		{"a second step that was passed", []string{"login alice"}, func(b *bench) {
			e := login("alice", 1, 100)
			b.put(stepOf(e, event.GateAsked, ""), stepOf(e, event.GatePassed, ""), e)
		}},
		{"a second step that was not", []string{"gate alice"}, func(b *bench) { b.put(stepOf(login("alice", 1, 100), event.GateAsked, "")) }},
		{"the watcher's digest", []string{"digest"}, func(b *bench) {
			b.put(event.Event{ID: event.NewID(), Kind: event.KindDigest, Time: time.Now(), Host: "db1", Via: event.ViaWatch,
				Digest: &event.Digest{Of: event.KindAttempt, Failures: &event.Failures{Attempts: 7}}})
		}},
		{"what is published", nil, func(b *bench) {
			b.put(event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: "db1", Via: event.ViaWatch, Alert: &event.Note{Title: "x", Public: true}})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, h := &fakeDest{name: "slack"}, &hubInMemory{}
				b := newBench(t, d)
				b.set.Memory = &fakeMemory{}
				row.of(b)
				b.handsOver(h)
				stop := start(t, b.job(Follow))
				time.Sleep(8 * time.Minute)
				stop()
				if got := h.kinds(); !slices.Equal(got, row.want) {
					t.Errorf("the hub got %q, want %q\n%s", got, row.want, b.log.String())
				}
				if len(d.alerts()) > 0 {
					t.Error("a destination was told")
				}
				if left := slices.Concat(b.files("cur"), b.files("new")); len(left) > 0 {
					t.Errorf("left in the queue: %q", left)
				}
			})
		})
	}
}

// What a login's host alone knows of it goes with it.
func TestWhatGoesWithALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{}
		b := newBench(t)
		b.set.Host, b.set.Labels = "web1", map[string]string{"env": "prod"}
		b.handsOver(h)
		e := login("alice", 1, 100)
		b.put(stepOf(e, event.GateAsked, ""), stepOf(e, event.GatePassed, ""), e)
		b.mustRun()
		got := h.got[0]
		if got.Host != "web1" || got.Labels["env"] != "prod" || got.Login.Step.Result != event.GatePassed || got.ID != e.ID {
			t.Errorf("the hub got %+v", got)
		}
	})
}

// While the hub is away everything waits, the next worker goes on, and says in the
// record why; then what is fresh goes first.
func TestTheHubIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{fail: hubAway}
		b := newBench(t)
		b.handsOver(h)
		old := login("old", 1, 100)
		b.put(old)
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		stop := start(t, b.job(Follow))
		time.Sleep(time.Hour)
		stop()
		if h.tries < 5 || h.tries > 60 {
			t.Errorf("%d tries in an hour", h.tries)
		}
		data, err := b.spool.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		file, err := data.Read(old.ID + ".json")
		if err != nil {
			t.Fatal(err)
		}
		data.Unlock()
		r, err := DecodeRecord(file)
		if p := strings.Join(r.Progress(), "; "); err != nil || p != "the hub: waiting (connection refused)" {
			t.Errorf("progress %q, %v", p, err)
		}
		if said := b.said(); len(said) != 1 || !strings.Contains(said[0], "the hub has taken nothing since") {
			t.Errorf("said %q", said)
		}
		s, err := fleet.ReadStatus(t.Context(), openStore(t, b.state))
		if err != nil || s.Failing.IsZero() || s.Why != "connection refused" {
			t.Errorf("status %+v, %v", s, err)
		}
		h.fail = nil
		b.put(login("new", 2, 101))
		b.mustRun()
		if got := h.kinds(); !slices.Equal(got, []string{"login new", "login old"}) {
			t.Errorf("the hub got %q", got)
		}
		if s, err := fleet.ReadStatus(t.Context(), openStore(t, b.state)); err != nil || !s.Failing.IsZero() || s.Reached.IsZero() {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}

func TestTheHubRefusesThisHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{fail: func(int) error { return &fleet.Error{Class: fleet.Refused, Err: errors.New("revoked")} }}
		b := newBench(t)
		b.handsOver(h)
		b.put(login("alice", 1, 100))
		for range 3 {
			if err := b.run(Once); !errors.Is(err, ErrWaiting) {
				t.Fatal(err)
			}
		}
		if said := b.said(); len(said) != 1 || !strings.Contains(said[0], "revoked") {
			t.Errorf("said %q", said)
		}
	})
}

// A backlog is handed over in batches, and an event that the hub rejects is a dead
// letter that can be tried again.
func TestABacklogWithAnEventThatIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{reject: func(e event.Event) string {
			if e.User == "user007" {
				return "not an event"
			}
			return ""
		}}
		b := newBench(t)
		b.handsOver(h)
		var all []event.Event
		for i := range 250 {
			all = append(all, login(fmt.Sprintf("user%03d", i), byte(i), 100+i))
		}
		b.pile(all)
		b.mustRun()
		if len(h.got) != 249 || h.tries != 3 {
			t.Errorf("the hub got %d events in %d requests", len(h.got), h.tries)
		}
		if dead := b.files("failed"); len(dead) != 1 || dead[0] != all[7].ID+".json" {
			t.Errorf("dead letters: %q", dead)
		}
		h.reject = nil
		if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
			t.Fatal(err)
		}
		b.mustRun()
		if len(h.got) != 250 || len(b.files("failed")) != 0 {
			t.Errorf("after a retry the hub has %d, and %q are dead", len(h.got), b.files("failed"))
		}
	})
}

// With alert_alone, this host tells what is high when the hub has been away for that
// long, and the hub gets all of it later.
func TestAlertAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d := &hubInMemory{fail: hubAway}, &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.set.HandingOver.AloneAfter = 15 * time.Minute
		b.handsOver(h)
		b.score = map[netip.Addr]int{netip.MustParseAddr("192.0.2.1"): 99, netip.MustParseAddr("192.0.2.3"): 99}
		stop := start(t, b.job(Follow))
		b.put(login("early", 1, 100), login("dull", 2, 101))
		time.Sleep(10 * time.Minute)
		if n := len(d.alerts()); n > 0 {
			t.Errorf("told %d too early", n)
		}
		time.Sleep(20 * time.Minute)
		b.put(login("later", 3, 102))
		time.Sleep(time.Minute)
		stop()
		stop = start(t, b.job(Follow)) // which tells nobody again
		time.Sleep(30 * time.Minute)
		if got := counted(d.alerts()); len(got) != 2 || got["early"] != 1 || got["later"] != 1 {
			t.Errorf("told %v", got)
		}
		h.mu.Lock()
		h.fail = nil
		h.mu.Unlock()
		time.Sleep(time.Hour)
		b.put(login("quiet", 3, 103)) // the hub is back
		time.Sleep(time.Minute)
		stop()
		got := h.kinds()
		slices.Sort(got)
		if want := []string{"login dull", "login early", "login later", "login quiet"}; !slices.Equal(got, want) {
			t.Errorf("the hub got %q, want %q", got, want)
		}
		if got := counted(d.alerts()); len(got) != 2 {
			t.Errorf("told %v", got)
		}
		if left := b.files("cur"); len(left) > 0 {
			t.Errorf("left in the queue: %q", left)
		}
	})
}

// A host that leaves its hub tells what waited for it, and one that joins hands over
// what waited for its destinations.
func TestFromAndToAHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d := &hubInMemory{fail: hubAway}, &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.handsOver(h)
		b.put(login("alice", 1, 100))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		b.set.HandingOver = HandingOver{}
		b.mustRun()
		if got := counted(d.alerts()); got["alice"] != 1 {
			t.Errorf("told %v", got)
		}
		d.fail = func(int, event.Alert) error { return again() }
		b.put(login("bob", 2, 101))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		h.fail = nil
		b.handsOver(h)
		b.mustRun()
		// Alice's has a number, which the hub would miss.
		if got := h.kinds(); !slices.Equal(got, []string{"login bob", "login alice"}) {
			t.Errorf("the hub got %q", got)
		}
	})
}

func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{}
		b := newBench(t)
		b.set.HandingOver.Beat = fleet.Beat{Version: "1.2.3", Settings: "abc"}
		b.handsOver(h)
		stop := start(t, b.job(Follow))
		b.put(login("alice", 1, 100))
		time.Sleep(61 * time.Minute)
		stop()
		if n := len(h.beats); n < 10 || n > 16 {
			t.Fatalf("%d beats in an hour", n)
		}
		last := h.beats[len(h.beats)-1]
		if last.Number != 1 || last.Waiting != 0 || last.Version != "1.2.3" || last.Settings != "abc" || last.Numbering == "" || last.Time.IsZero() {
			t.Errorf("a beat says %+v", last)
		}
	})
}

// A hub that lost its disk is sent again what the host keeps.
func TestAHubThatLostWhatItHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{}
		b := newBench(t)
		b.handsOver(h)
		b.put(login("alice", 1, 100), login("bob", 2, 101))
		stop := start(t, b.job(Follow))
		time.Sleep(time.Minute)
		h.mu.Lock()
		h.got, h.ids, h.numbers = nil, nil, nil
		h.mu.Unlock()
		time.Sleep(7 * time.Minute)
		stop()
		if got := h.kinds(); len(got) != 2 {
			t.Errorf("the hub got %q again", got)
		}
	})
}

// hubCamera takes a snapshot whenever the worker logs what came of a batch, before it
// has written that down.
type hubCamera struct {
	slog.Handler
	b     *bench
	h     *hubInMemory
	taken *[]snapshot
	had   *[]map[string]bool // what the hub had at each
}

func (c hubCamera) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "handed over" || r.Message == "the hub took nothing" {
		root := quickDir(c.b.t)
		s := snapshot{name: fmt.Sprint(len(*c.taken), " ", r.Message), spool: filepath.Join(root, "spool"), state: filepath.Join(root, "state")}
		copyDir(c.b.t, s.spool, c.b.dir)
		copyDir(c.b.t, s.state, c.b.state)
		c.h.mu.Lock()
		*c.taken, *c.had = append(*c.taken, s), append(*c.had, maps.Clone(c.h.ids))
		c.h.mu.Unlock()
	}
	return c.Handler.Handle(ctx, r)
}

// A worker is killed at each of its steps. The next one loses nothing, and the numbers
// have no gap.
func TestKillWhileHandingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hubInMemory{fail: func(n int) error {
			if n%3 == 1 {
				return hubAway(n)
			}
			return nil
		}}
		b := newBench(t)
		b.handsOver(h)
		var taken []snapshot
		var had []map[string]bool
		var all []event.Event
		for i := range 230 {
			all = append(all, login(fmt.Sprintf("user%03d", i), byte(i), 100+i))
		}
		b.pile(all)
		j := b.job(UntilEmpty)
		j.Log = slog.New(hubCamera{j.Log.Handler(), b, h, &taken, &had})
		if err := Run(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if len(taken) < 5 {
			t.Fatalf("the worker was killed at %d steps", len(taken))
		}
		for i, s := range taken {
			// The database may be behind the spool by a step.
			for _, state := range []string{s.state, taken[max(0, i-1)].state} {
				root := quickDir(t)
				copyDir(t, filepath.Join(root, "spool"), s.spool)
				copyDir(t, filepath.Join(root, "state"), state)
				next := newBench(t)
				next.dirs(root)
				after := &hubInMemory{}
				next.handsOver(after)
				next.mustRun()
				if left := slices.Concat(next.files("new"), next.files("cur")); len(left) > 0 {
					t.Errorf("%s: left in the queue: %q", s.name, left)
				}
				for _, e := range all {
					if !had[i][e.ID] && !after.ids[e.ID] {
						t.Errorf("%s: %s is lost", s.name, e.User)
					}
				}
				for numbering, numbers := range after.numbers {
					for n := range numbers {
						if n > int64(len(all)) {
							t.Errorf("%s: number %d of %s for %d events", s.name, n, numbering, len(all))
						}
					}
				}
			}
		}
		for numbering := range h.numbers {
			if n := h.have(numbering); n != int64(len(all)) {
				t.Errorf("the hub has all up to %d, want %d", n, len(all))
			}
		}
	})
}
