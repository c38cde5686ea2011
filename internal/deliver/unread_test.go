package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// faults has fail decide on the spool's system calls.
func (b *bench) faults(fail func(op, path string) error) {
	b.spool = spool.Open(spool.Options{Dir: b.dir, UID: os.Getuid(), Fault: fail})
}

// unreadable makes the spool's reads of a file of cur/ fail until it is mended.
func (b *bench) unreadable(name string) (mend func()) {
	b.t.Helper()
	var mended atomic.Bool
	b.faults(func(op, path string) error {
		if op == "read" && !mended.Load() && strings.HasSuffix(path, "/cur/"+name) {
			return syscall.EIO
		}
		return nil
	})
	return func() { mended.Store(true) }
}

// The disk fails for a minute: nothing is given up, and the event is told as
// soon as it can be read, by the same worker.
func TestEventThatCantBeReadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		mend := b.unreadable(e.ID + ".json")
		b.put(e, login("bob", 8, 101))
		stop := start(t, b.job(UntilEmpty))
		time.Sleep(time.Minute)
		if len(d.alerts()) != 1 || len(b.files("failed")) > 0 {
			t.Errorf("%d told, failed/ holds %q", len(d.alerts()), b.files("failed"))
		}
		mend()
		time.Sleep(16 * time.Minute) // the longest back-off
		stop()
		if got := d.alerts(); len(got) != 2 || got[1].ID != e.ID {
			t.Errorf("%d told", len(got))
		}
	})
}

// After a day it is a dead letter that names the error, and that is said; then
// it can be retried.
func TestEventThatCantBeReadForADay(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.unreadable(e.ID + ".json")
		b.put(e)
		began := time.Now()
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Errorf("one attempt: %v", err)
		}
		b.mustRun()
		if took := time.Since(began); took < 24*time.Hour || took > 25*time.Hour {
			t.Errorf("given up after %v", took)
		}
		got := d.alerts()
		if len(got) != 1 || !strings.Contains(got[0].Event.Alert.Text, "input/output error") {
			t.Errorf("said: %+v", got)
		}
		files, err := b.spool.Waiting()
		if err != nil || len(files) != 1 || files[0].ID() != e.ID || !strings.Contains(b.spool.Why(files[0]), "input/output error") {
			t.Errorf("%v, %v: %q", files, err, b.spool.Why(files[0]))
		}
		if err := Ask(b.spool, Request{Op: OpRetry, IDs: []string{e.ID}}); err != nil {
			t.Fatal(err)
		}
		b.faults(nil)
		b.mustRun()
		if got := d.alerts(); len(got) != 2 || got[1].ID != e.ID {
			t.Errorf("after a retry %d are told", len(got))
		}
	})
}

// Whether its events have been told stands in a message's file: one failed read
// of it tells nobody twice.
func TestMessageThatCantBeReadIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := true
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error {
			if failing {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		first, second := login("alice", 7, 100), login("alice", 7, 101)
		b.put(first, second)
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(b.dir, "cur", "msg-*"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		id := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(names[0]), "msg-"), ".json")
		failing = false
		mend := b.unreadable(filepath.Base(names[0]))
		stop := start(t, b.job(UntilEmpty))
		time.Sleep(2 * time.Second)
		mend()
		time.Sleep(time.Hour)
		stop()
		if got := d.alerts(); len(got) != 1 || got[0].ID != id || got[0].Count != 2 {
			t.Errorf("%d messages, want %s once: %+v", len(got), id, got)
		}
		if left := append(b.files("cur"), b.files("failed")...); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// A request whose file, or whose dead letter, can't be read is carried out
// later.
func TestRequestThatCantBeReadIsCarriedOutLater(t *testing.T) {
	for _, in := range []string{"/cur/req-", "/failed/"} {
		synctest.Test(t, func(t *testing.T) {
			refuse := true
			d := &fakeDest{name: "slack", fail: func(int, event.Alert) error {
				if refuse {
					return bug()
				}
				return nil
			}}
			b := newBench(t, d)
			e := login("alice", 7, 100)
			b.put(e)
			b.mustRun()
			refuse = false
			n := 0
			b.faults(func(op, path string) error {
				if op == "read" && strings.Contains(path, in) {
					if n++; n == 1 {
						return syscall.ESTALE
					}
				}
				return nil
			})
			if err := Ask(b.spool, Request{Op: OpRetry}); err != nil {
				t.Fatal(err)
			}
			b.mustRun()
			if got := d.alerts(); len(got) != 1 || got[0].ID != e.ID || n < 2 {
				t.Errorf("%s: %d told after %d reads", in, len(got), n)
			}
		})
	}
}

// A flood of junk is said once, and once more for the rest an hour later; what
// is dropped meanwhile goes, though a worker runs.
func TestRefusedFilesAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.put(login("alice", 7, 100))
		stop := start(t, b.job(Follow))
		time.Sleep(time.Second)
		for i := range 200 {
			if err := os.WriteFile(filepath.Join(b.dir, "new", "junk\n\u202e"+strings.Repeat("x", i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 {
				time.Sleep(time.Minute)
			}
		}
		time.Sleep(50 * time.Minute)
		if got := d.alerts(); len(got) != 2 || len(b.said()) != 1 || strings.ContainsAny(got[1].Event.Alert.Text+b.said()[0], "\n\u202e") {
			t.Errorf("%d messages, said aloud: %q", len(got), b.said())
		}
		time.Sleep(time.Hour)
		if got := d.alerts(); len(got) != 3 || !strings.Contains(got[2].Event.Alert.Text, "199 files") {
			t.Errorf("%d messages, the last: %+v", len(got), got[len(got)-1].Event.Alert)
		}
		files, err := b.spool.Waiting()
		if err != nil || len(files) != 200 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		if err := Ask(b.spool, Request{Op: OpDrop, IDs: []string{files[0].ID()}}); err != nil {
			t.Fatal(err)
		}
		b.changed <- struct{}{}
		time.Sleep(time.Second)
		stop()
		if n := len(b.files("failed")); n != 199 {
			t.Errorf("failed/ holds %d", n)
		}
	})
}

// There is no room for the event in memory, and it is dropped all the same.
func TestDropOfWhatThereIsNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(int, event.Alert) error { return again() }}
		b := newBench(t, d)
		j := b.job(Follow)
		j.room = 1
		b.put(login("alice", 7, 100))
		stop := start(t, j)
		time.Sleep(time.Second)
		e := login("bob", 8, 101)
		b.put(e)
		time.Sleep(time.Minute)
		if err := Ask(b.spool, Request{Op: OpDrop, IDs: []string{e.ID}}); err != nil {
			t.Fatal(err)
		}
		b.changed <- struct{}{}
		time.Sleep(time.Minute)
		stop()
		if left := b.files("new"); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

func TestHeldEventsGoWhenAsked(t *testing.T) {
	for name, ask := range map[string]func(id string) Request{
		"retry of it":  func(id string) Request { return Request{Op: OpRetry, IDs: []string{id}} },
		"retry of all": func(string) Request { return Request{Op: OpRetry} },
		"flush":        func(string) Request { return Request{Op: OpFlush} },
		"a reload":     nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack", pace: time.Second}
			b := newBench(t, d)
			j := b.job(Follow)
			reload := make(chan struct{})
			j.Reload = reload
			b.put(login("alice", 7, 100))
			stop := start(t, j)
			time.Sleep(time.Minute)
			e := login("alice", 7, 101)
			b.put(e)
			time.Sleep(time.Minute)
			until := ReadHolds(t.Context(), openStore(t, b.state), b.dir, b.set.Window, time.Now()).Until(Record{Event: e})
			if len(d.alerts()) != 1 || time.Until(until) < 7*time.Minute || time.Until(until) > 9*time.Minute {
				t.Errorf("%s: %d told, held until %v, now %v", name, len(d.alerts()), until, time.Now())
			}
			want := 2
			if ask == nil {
				reload <- struct{}{}
				want = 1
			} else {
				if err := Ask(b.spool, ask(e.ID)); err != nil {
					t.Fatal(err)
				}
				b.changed <- struct{}{}
			}
			time.Sleep(5 * time.Second)
			if n := len(d.alerts()); n != want {
				t.Errorf("%s: %d told, want %d", name, n, want)
			}
			stop()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.put(login("alice", 7, 100))
		b.mustRun()
		b.put(login("alice", 7, 101))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Errorf("a repeat: %v", err)
		}
		j := b.job(Once)
		j.Flush = true
		if err := Run(t.Context(), j); err != nil || len(d.alerts()) != 2 {
			t.Errorf("a flush: %v, %d told", err, len(d.alerts()))
		}
	})
}
