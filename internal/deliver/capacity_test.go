package deliver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestMoreThanFitsIsToldAllTheSame(t *testing.T) {
	for _, m := range []Mode{UntilEmpty, Once, Follow} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack", pace: time.Second}
			b := newBench(t, d)
			var all []event.Event
			for i := range 95 {
				all = append(all, login(fmt.Sprintf("user%02d", i), byte(i), 100+i))
			}
			b.pile(all)
			j := b.job(m)
			j.room = 10
			if m == Follow {
				stop := start(t, j)
				time.Sleep(2 * time.Minute)
				stop()
			} else {
				begin := time.Now()
				if err := Run(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took > 2*time.Minute {
					t.Errorf("mode %d: it took %v", m, took)
				}
			}
			if got := len(counted(d.got)); got != 95 {
				t.Errorf("mode %d: %d of 95 users were told", m, got)
			}
		})
	}
}

// Nothing arrives and no more fits: what the owner asks for is done all the
// same, and makes room.
func TestFullWorkerHearsOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error { return broken() }}
		b := newBench(t, d)
		var all []event.Event
		for i := range 10 {
			all = append(all, login(fmt.Sprintf("user%02d", i), byte(i), 100+i))
		}
		b.pile(all)
		j := b.job(Follow)
		j.room = 10
		stop := start(t, j)
		time.Sleep(30 * time.Second)
		late := login("late", 200, 200)
		b.put(late)
		time.Sleep(30 * time.Second)
		if len(b.files("new")) != 1 {
			t.Error("an eleventh event was claimed")
		}
		r := Request{Op: OpDrop}
		for _, e := range all {
			r.IDs = append(r.IDs, e.ID)
		}
		if err := Ask(b.spool, r); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stop()
		if got := b.files("cur"); len(got) != 1 || got[0] != eventFile(late.ID) {
			t.Errorf("in cur/: %v, want the late one", got)
		}
		if !strings.Contains(strings.Join(b.said(), "\n"), "10 events are waiting") {
			t.Errorf("said out loud: %q", b.said())
		}
	})
}

// Somebody made a folder where the event should go.
func TestWhatCantBeClaimedKeepsNoWorkerBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		b.mustRun()
		e := login("alice", 7, 100)
		if err := os.Mkdir(filepath.Join(b.dir, "cur", eventFile(e.ID)), 0o700); err != nil {
			t.Fatal(err)
		}
		b.put(e)
		for _, m := range []Mode{Once, UntilEmpty} {
			if err := b.run(m); !errors.Is(err, ErrWaiting) {
				t.Errorf("mode %d gives %v, but an event waits", m, err)
			}
		}
	})
}

// Where processes are hidden, an open session looks alive for ever.
func TestHiddenSessionIsForgottenAfterAWeek(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name        string
		alive, sure bool
		days        int
		remembered  bool
	}{
		{"it can't be seen, six days", true, false, 6, true},
		{"it can't be seen, eight days", true, false, 8, false},
		{"it lives", true, true, 80, true},
		{"it is gone, its end is still to be told", false, true, 80, true},
	} {
		alive := func(event.Session) (bool, bool) { return row.alive, row.sure }
		l, err := openDeliveryLog(openStore(t, filepath.Join(quickDir(t), "state")), "/spool", now, alive)
		if err != nil {
			t.Fatal(err)
		}
		e := login("alice", 7, 100)
		told := &Delivered{ID: e.ID, Kind: e.Kind, Via: e.Via, Session: e.Session, At: now.AddDate(0, 0, -row.days)}
		if err := l.add(told); err != nil {
			t.Fatal(err)
		}
		if err := l.prune(now); err != nil {
			t.Fatal(err)
		}
		if l.has(e.ID) != row.remembered || (l.session(e.Session) != nil) != row.remembered {
			t.Errorf("%s: remembered %v, want %v", row.name, l.has(e.ID), row.remembered)
		}
	}
}
