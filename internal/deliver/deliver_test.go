package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func TestOneDestinationFailsAndTheOtherGetsItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &fakeDest{name: "good"}
		bad := &fakeDest{name: "bad", fail: func(n int, _ event.Alert) error {
			if n < 4 {
				return again()
			}
			return nil
		}}
		b := newBench(t, good, bad)
		e := login("alice", 7, 100)
		b.put(e)
		start := time.Now()
		b.mustRun()
		if len(good.got) != 1 || len(bad.got) != 1 || bad.tries != 4 {
			t.Errorf("good got %d, bad got %d in %d tries; want 1, 1 in 4", len(good.got), len(bad.got), bad.tries)
		}
		if good.got[0].ID != e.ID || bad.got[0].ID != e.ID {
			t.Error("the message does not bear the event's id")
		}
		// 2 + 4 + 8 s, and up to as much again of jitter
		if took := time.Since(start); took < 14*time.Second || took > 29*time.Second {
			t.Errorf("three retries took %v", took)
		}
		if left := b.files("cur"); len(left) != 0 {
			t.Errorf("left in cur/: %v", left)
		}
	})
}

// A kill between the two destinations must not send the first one again.
func TestNextWorkerCarriesOnWhereTheLastStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &fakeDest{name: "good"}
		bad := &fakeDest{name: "bad", fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return again()
			}
			return nil
		}}
		b := newBench(t, good, bad)
		b.put(login("alice", 7, 100))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatalf("--once with a failing destination: %v", err)
		}
		time.Sleep(time.Hour)
		if err := b.run(Once); err != nil {
			t.Fatal(err)
		}
		if len(good.got) != 1 || len(bad.got) != 1 {
			t.Errorf("good got %d, bad got %d; want 1 each", len(good.got), len(bad.got))
		}
	})
}

func TestRetryAfterHoldsTheDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return &channel.Error{Class: channel.Again, RetryAfter: 30 * time.Second, Err: errors.New("rate limited")}
			}
			return nil
		}}
		b := newBench(t, d)
		b.put(login("alice", 7, 100), login("bob", 8, 101))
		start := time.Now()
		// A worker that is started anew knows of the limit from the disk.
		for range 3 {
			if err := b.run(Once); !errors.Is(err, ErrWaiting) {
				t.Fatal(err)
			}
		}
		if d.tries != 1 {
			t.Fatalf("%d tries within Retry-After", d.tries)
		}
		b.mustRun()
		if d.at[0].Sub(start) < 30*time.Second || d.at[0].Sub(start) > 32*time.Second {
			t.Errorf("the first message came after %v, Retry-After was 30 s", d.at[0].Sub(start))
		}
		if gap := d.at[1].Sub(d.at[0]); gap < time.Second {
			t.Errorf("two messages within %v, one a second is allowed", gap)
		}
	})
}

func TestBrokenDestinationIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mended := false
		bad := &fakeDest{name: "bad", pace: time.Second, fail: func(int, event.Alert) error {
			if mended {
				return nil
			}
			return broken()
		}}
		good := &fakeDest{name: "good", pace: time.Second}
		b := newBench(t, bad, good)
		for i := range 5 {
			b.put(login("alice", byte(i), 100+i))
		}
		for range 4 { // workers come and go
			if err := b.run(Once); !errors.Is(err, ErrWaiting) {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		var notes []event.Alert
		for _, a := range good.got {
			if a.Event.Kind == event.KindAlert {
				notes = append(notes, a)
			}
		}
		if len(notes) != 1 || !strings.Contains(notes[0].Event.Alert.Title, "bad") {
			t.Errorf("the other destination was told %d times", len(notes))
		}
		if len(b.said()) != 1 || !strings.Contains(b.said()[0], "no_service") {
			t.Errorf("said out loud: %q", b.said())
		}
		mended = true
		b.mustRun()
		if got := counted(bad.got); got["alice"] != 5 {
			t.Errorf("after it was mended it counted %v, want 5 logins", got)
		}
	})
}

func TestWhatCantBeSentIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fakeDest{name: "bad", fail: func(_ int, a event.Alert) error {
			if a.Event.User == "alice" {
				return bug()
			}
			return nil
		}}
		b := newBench(t, bad)
		e := login("alice", 7, 100)
		b.put(e, login("bob", 8, 101))
		b.mustRun()
		if len(bad.got) != 1 || bad.got[0].Event.User != "bob" {
			t.Errorf("got %d alerts", len(bad.got))
		}
		if diff := cmp.Diff([]string{e.ID + ".json"}, b.files("failed")); diff != "" {
			t.Errorf("dead letters: %s", diff)
		}
		if len(b.said()) != 1 || !strings.Contains(b.said()[0], event.Ref(e.ID)) {
			t.Errorf("said out loud: %q", b.said())
		}
		// queue retry takes it back.
		bad.fail = nil
		if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
			t.Fatal(err)
		}
		b.mustRun()
		if len(bad.got) != 2 || bad.got[1].ID != e.ID {
			t.Errorf("after queue retry it got %d alerts", len(bad.got))
		}
	})
}

func TestGivesUpAfterSevenDays(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error { return again() }}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e)
		start := time.Now()
		b.mustRun()
		if took := time.Since(start); took < giveUpAfter || took > giveUpAfter+time.Hour {
			t.Errorf("given up after %v", took)
		}
		if diff := cmp.Diff([]string{e.ID + ".json"}, b.files("failed")); diff != "" {
			t.Errorf("dead letters: %s", diff)
		}
		// 15 minutes at most between two tries
		if least := int(giveUpAfter / (15 * time.Minute)); d.tries < least {
			t.Errorf("%d tries in seven days, want %d at least", d.tries, least)
		}
	})
}

func TestSecondReportOfALoginIsNoSecondMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		for range 3 { // a nested shell, each time after the worker has gone
			b.put(login("alice", 7, 100))
			b.mustRun()
			time.Sleep(time.Hour)
		}
		if len(d.got) != 1 {
			t.Errorf("one login gave %d messages", len(d.got))
		}
		time.Sleep(48 * time.Hour)
		b.alive = func(s event.Session) (bool, bool) { return s.PID == 100, true }
		b.put(login("alice", 7, 100))
		b.mustRun()
		if len(d.got) != 1 {
			t.Errorf("after two days, its sshd still alive, it was told again")
		}
	})
}

func TestRemovedDestinationEndsItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &fakeDest{name: "gone", fail: func(int, event.Alert) error { return again() }}
		stays := &fakeDest{name: "stays"}
		b := newBench(t, gone, stays)
		b.put(login("alice", 7, 100))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		b.set.Targets = b.set.Targets[1:]
		b.mustRun()
		if len(stays.got) != 1 {
			t.Errorf("the other destination got %d", len(stays.got))
		}
		if !strings.Contains(b.log.String(), "not in the settings any more") {
			t.Error("nothing was logged of it")
		}
	})
}

func TestThresholdOfADestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, oncall := &fakeDest{name: "all", pace: time.Second}, &fakeDest{name: "oncall"}
		b := newBench(t, all, oncall)
		b.set.Targets[1].MinSeverity = event.High
		low, high := login("alice", 7, 100), login("bob", 8, 101)
		b.score = map[addr]int{low.Remote.IP: 3, high.Remote.IP: 90}
		b.put(low, high)
		b.mustRun()
		if len(all.got) != 2 || len(oncall.got) != 1 || oncall.got[0].Event.User != "bob" {
			t.Errorf("all got %d, on call %d; want 2 and bob's", len(all.got), len(oncall.got))
		}
		if all.got[0].Event.User != "bob" {
			t.Error("the high one did not go first")
		}
	})
}

func TestTornAndForeignFilesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e)
		torn := event.NewID() + ".json"
		data, err := login("bob", 8, 101).Encode()
		if err != nil {
			t.Fatal(err)
		}
		write := func(folder, name string, data []byte) {
			if err := os.WriteFile(filepath.Join(b.dir, folder, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("new", torn, data[:len(data)/2])
		write("new", "core", []byte("no event"))
		write("new", event.NewID()+".json", data) // under another's name
		if err := os.Symlink("/etc/passwd", filepath.Join(b.dir, "new", event.NewID()+".json")); err != nil {
			t.Fatal(err)
		}
		b.mustRun()
		ours := func(a event.Alert) bool { return a.Event.Via == event.ViaSelf }
		if len(d.got) != 2 || !slices.ContainsFunc(d.got, func(a event.Alert) bool { return a.ID == e.ID }) || !slices.ContainsFunc(d.got, ours) {
			t.Errorf("got %d alerts, want alice's and one of the files", len(d.got))
		}
		if got := b.files("failed"); len(got) < 2 {
			t.Errorf("kept in failed/: %v", got)
		}
		if b, err := os.ReadFile(filepath.Join(b.dir, "failed", torn)); err != nil || string(b) != string(data[:len(data)/2]) {
			t.Errorf("the torn file was not kept as it was: %v", err)
		}
	})
}

func TestReloadTakesTheNewSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := &fakeDest{name: "old"}, &fakeDest{name: "new"}
		b := newBench(t, old)
		reload := make(chan struct{})
		j := b.job(Follow)
		j.Reload = reload
		var settings atomic.Pointer[Settings] // nil: wrong
		settings.Store(&b.set)
		j.Load = func() (Settings, error) {
			if s := settings.Load(); s != nil {
				return *s, nil
			}
			return Settings{}, errors.New("line 3: what is this")
		}
		ready := make(chan struct{})
		j.Ready = func() { close(ready) }
		stop := start(t, j)
		<-ready
		b.put(login("alice", 7, 100))
		time.Sleep(10 * time.Second)
		settings.Store(nil)
		reload <- struct{}{}
		b.put(login("bob", 8, 101))
		time.Sleep(10 * time.Second)
		after := b.set
		after.Targets = []Target{{Dest: fresh}}
		settings.Store(&after)
		reload <- struct{}{}
		b.put(login("carol", 9, 102))
		time.Sleep(10 * time.Second)
		stop()
		if len(old.alerts()) != 2 || len(fresh.alerts()) != 1 || fresh.got[0].Event.User != "carol" {
			t.Errorf("old settings sent %d, new ones %d; want 2 and 1", len(old.got), len(fresh.got))
		}
		if len(b.said()) != 1 {
			t.Errorf("wrong settings were said %d times", len(b.said()))
		}
	})
}
