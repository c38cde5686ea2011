package deliver

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// carry does as sshnotify queue does where no worker runs.
func (b *bench) carry(r Request) {
	b.t.Helper()
	q, err := b.spool.Lock(b.t.Context(), false)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := Carry(q, nil, r); err != nil {
		b.t.Error(err)
	}
	if err := q.Unlock(); err != nil {
		b.t.Fatal(err)
	}
}

func TestDeadLetterIsRetriedWhereNoWorkerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(int, event.Alert) error { return bug() }}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e)
		b.mustRun()
		d.fail = nil
		b.put(e) // a nested shell reports it once more: no reason to tell it
		b.mustRun()
		if len(d.got) != 0 {
			t.Errorf("a second report of a dead letter was told")
		}
		b.carry(Request{Op: OpRetry})
		b.mustRun()
		if len(d.got) != 1 {
			t.Errorf("a dead letter that was taken back was told %d times", len(d.got))
		}
		if left := append(b.files("cur"), b.files("failed")...); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestTornDeadLetterKeepsNoOtherFromBeingRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(int, event.Alert) error { return bug() }}
		b := newBench(t, d)
		b.put(login("alice", 7, 100))
		b.mustRun()
		d.fail = nil
		torn := filepath.Join(b.dir, "failed", "00000000000000000000000000.json")
		if err := os.WriteFile(torn, []byte(`{"v":1`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
			t.Fatal(err)
		}
		b.mustRun()
		if len(d.got) != 1 {
			t.Errorf("%d messages, want the good dead letter's", len(d.got))
		}
		if _, err := os.Stat(torn); err != nil {
			t.Errorf("the torn one is not kept: %v", err)
		}
	})
}

func TestDropOfWhatIsClaimedTogetherWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		for i := range 20 { // the folder has an order of its own
			e := login("alice", byte(i), 100+i)
			if err := Ask(b.spool, Request{Op: OpDrop, IDs: []string{e.ID}}); err != nil {
				t.Fatal(err)
			}
			b.put(e)
		}
		b.mustRun()
		if len(d.got) != 0 {
			t.Errorf("%d of 20 dropped events were told", len(d.got))
		}
	})
}

func TestDroppedLogoutIsNotToldAfterItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n < 6 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		b.set.NotifyLogout = "all"
		stop := start(t, b.job(Follow))
		in := login("alice", 7, 100)
		out := logout(in)
		out.Time = in.Time.Add(time.Second)
		b.put(in, out)
		time.Sleep(5 * time.Second)
		if err := Ask(b.spool, Request{Op: OpDrop, IDs: []string{out.ID}}); err != nil {
			t.Fatal(err)
		}
		b.changed <- struct{}{}
		time.Sleep(time.Hour)
		stop()
		if len(d.got) != 1 || d.got[0].ID != in.ID {
			t.Errorf("%d messages, want the login's", len(d.got))
		}
	})
}

// The owner mends the webhook while a worker that a hook started waits for its
// next try. That worker has the old settings.
func TestQueueRetryTakesTheNewSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := &fakeDest{name: "slack", fail: func(int, event.Alert) error { return broken() }}
		right := &fakeDest{name: "slack"}
		b := newBench(t, wrong)
		j := b.job(UntilEmpty)
		loaded := 0
		j.Load = func() (Settings, error) {
			s := b.set
			if loaded++; loaded > 1 {
				s.Targets = []Target{{Dest: right}}
			}
			return s, nil
		}
		b.put(login("alice", 7, 100))
		stop := start(t, j)
		time.Sleep(time.Minute)
		if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
			t.Fatal(err)
		}
		b.changed <- struct{}{}
		time.Sleep(time.Second)
		stop()
		if len(right.got) != 1 {
			t.Errorf("the mended destination got %d messages a second after queue retry", len(right.got))
		}
	})
}

// The worker is killed after the dead letter is decided on, before it is in
// failed/; or the disk refuses to take it there.
func TestDeadLetterThatCannotBeMovedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(int, event.Alert) error { return bug() }}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e)
		failed := filepath.Join(b.dir, "failed")
		j := b.job(UntilEmpty)
		j.Ready = func() {
			if err := os.Remove(failed); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(failed, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
		_ = Run(t.Context(), j)
		if err := os.Remove(failed); err != nil {
			t.Fatal(err)
		}
		b.mustRun()
		if got := b.files("failed"); len(got) != 1 || got[0] != e.ID+".json" {
			t.Errorf("failed/ holds %v, want the event", got)
		}
	})
}

// A dead letter is in failed/ and, after a kill, still in cur/.
func TestRetryOfWhatWaitsAlreadyTellsItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		d.fail = func(n int, _ event.Alert) error {
			if n < 5 {
				return again()
			}
			return nil
		}
		f := login("bob", 8, 101)
		data, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.put(f)
		stop := start(t, b.job(Follow))
		time.Sleep(time.Second)
		if err := os.WriteFile(filepath.Join(b.dir, "failed", f.ID+".json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
			t.Fatal(err)
		}
		b.changed <- struct{}{}
		time.Sleep(time.Hour)
		stop()
		if len(d.got) != 1 {
			t.Errorf("told %d times", len(d.got))
		}
	})
}

// A reload tries at once what a broken destination had put off.
func TestReloadTriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		d := &fakeDest{name: "slack", fail: func(int, event.Alert) error {
			if mended.Load() {
				return nil
			}
			return broken()
		}}
		b := newBench(t, d)
		j := b.job(Follow)
		reload := make(chan struct{})
		j.Reload = reload
		b.put(login("alice", 7, 100))
		stop := start(t, j)
		time.Sleep(time.Minute)
		mended.Store(true)
		reload <- struct{}{}
		time.Sleep(time.Second)
		stop()
		if len(d.got) != 1 {
			t.Error("a second after the reload it was not told")
		}
	})
}

func TestEventOfANewerSshnotifyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		b.put(login("alice", 7, 100))
		name := filepath.Join(b.dir, "new", event.NewID()+".json")
		if err := os.WriteFile(name, []byte(`{"v":99}`), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, m := range []Mode{Once, UntilEmpty} {
			if err := b.run(m); err != ErrWaiting {
				t.Errorf("mode %d gives %v, but an event waits", m, err)
			}
		}
	})
}
