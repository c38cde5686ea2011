package deliver

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// typed is a code that somebody typed in the session of a login.
func typed(of event.Event, code string) event.Event {
	return event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: of.Host, Via: event.ViaSelf, Session: of.Session, Alert: &event.Note{Severity: event.Low, Title: "x", Code: code}}
}

// A code is told to nobody, and comes to whoever waits for it: here, or at the hub,
// also where a host tells for itself while that is away.
func TestTypedCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := login("alice", 1, 100)
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		var got []string
		b.set.Typed = func(_ context.Context, in event.Session, code string) {
			if !in.Same(e.Session) {
				t.Errorf("in %+v", in)
			}
			got = append(got, code)
		}
		b.put(e, typed(e, "482913"))
		b.mustRun()
		if len(d.alerts()) != 1 || d.alerts()[0].Event.Kind != event.KindLogin || !slices.Equal(got, []string{"482913"}) {
			t.Errorf("told %+v, got %q", d.alerts(), got)
		}
		b.set.Typed = nil // nobody asks for codes here
		b.put(typed(e, "482913"))
		b.mustRun()
		watched := typed(e, "482913")
		watched.Via = event.ViaWatch // who may say nothing of sessions
		b.put(watched)
		b.mustRun()
		if all := d.alerts(); len(all) != 2 || len(got) != 1 {
			t.Errorf("told %+v, got %q", all, got)
		}

		h := &hubInMemory{fail: hubAway}
		d = &fakeDest{name: "slack", pace: time.Second}
		b = newBench(t, d)
		b.set.HandingOver.AloneAfter = 15 * time.Minute
		b.handsOver(h)
		stop := start(t, b.job(Follow))
		time.Sleep(time.Hour)
		b.put(typed(e, "482913"))
		time.Sleep(time.Hour)
		h.mu.Lock()
		h.fail = nil
		h.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if len(d.alerts()) > 0 || len(h.got) != 1 || h.got[0].Code() != "482913" || !h.got[0].Session.Same(e.Session) {
			t.Errorf("told %+v, the hub got %+v", d.alerts(), h.got)
		}
	})
}

// The session of a login is found by it, and a login by its connection, never that of
// another process with the same number.
func TestLoginsAndSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		first, second, other := login("alice", 1, 100), login("bob", 2, 100), login("carol", 3, 200)
		second.Session.Start++ // the number came back
		other.Session.NS = "pid:[4026531836]"
		b.put(first, second, other)
		b.mustRun()
		db := openStore(t, b.state)
		defer db.Close()
		for _, e := range []event.Event{first, second, other} {
			in, known, err := SessionOf(t.Context(), db, e.ID)
			if err != nil || !known || in != e.Session {
				t.Errorf("%s: %+v, %v, %v", e.User, in, known, err)
			}
			above := event.Session{PID: 7, Start: 7, Boot: e.Session.Boot}
			found, known, err := LoginOn(t.Context(), db, []event.Session{above, e.Session}, e.Time)
			if err != nil || !known || found.ID != e.ID {
				t.Errorf("%s: %+v, %v, %v", e.User, found, known, err)
			}
		}
		seen := other.Session
		seen.Boot = "as a service in a container sees it"
		if found, known, err := LoginOn(t.Context(), db, []event.Session{seen}, other.Time); !known || err != nil || found.ID != other.ID {
			t.Errorf("%+v, %v", found, err)
		}
		if found, known, err := LoginOn(t.Context(), db, []event.Session{other.Session}, other.Time.Add(time.Second)); known || err != nil {
			t.Errorf("a login of before the last boot: %+v, %v", found, err)
		}
		elsewhere := other.Session
		elsewhere.NS = "pid:[4026532001]"
		for _, s := range []event.Session{elsewhere, {PID: 300}, {}} {
			if found, known, err := LoginOn(t.Context(), db, []event.Session{s}, other.Time); known || err != nil {
				t.Errorf("%+v: %+v, %v", s, found, err)
			}
		}
		if _, known, err := SessionOf(t.Context(), db, event.NewID()); known || err != nil {
			t.Errorf("%v, %v", known, err)
		}
	})
}

// What works beside a worker works together, and is waited for.
func TestAddBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		var began, ended atomic.Int32
		work := func(ctx context.Context, tell Tell) {
			began.Add(1)
			if err := tell(ctx, login("alice", byte(began.Load()), 100)); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			ended.Add(1)
		}
		b.set.AddBeside(nil)
		for range 3 {
			b.set.AddBeside(work)
			b.set.AddBeside(nil)
		}
		stop := start(t, b.job(Follow))
		time.Sleep(time.Minute)
		if n := began.Load(); n != 3 {
			t.Errorf("%d work", n)
		}
		stop()
		if n := ended.Load(); n != 3 {
			t.Errorf("%d have ended", n)
		}
	})
}
