package deliver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/spool"
)

// A worker that has nothing to do shows that it lives, and writes that down no
// more often than it must.
func TestIdleWorkerShowsThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		stop := start(t, b.job(Follow))
		defer stop()
		beats := map[time.Time]bool{}
		for range 120 {
			time.Sleep(5 * time.Second)
			if silence := b.spool.Silence(time.Now()); silence > time.Minute {
				t.Fatalf("silent for %v", silence)
			}
			info, err := os.Stat(filepath.Join(b.dir, "cur", ".lock"))
			if err != nil {
				t.Fatal(err)
			}
			beats[info.ModTime()] = true
		}
		if n := len(beats); n < 10 || n > 20 {
			t.Errorf("%d beats in ten minutes", n)
		}
	})
}

// A service that waits for a worker which is stopped says so, once.
func TestWaitingForASilentWorkerIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		q, err := b.spool.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, b.job(Follow))
		time.Sleep(spool.SilentAfter - time.Minute)
		if len(b.said()) != 0 {
			t.Errorf("too soon: %q", b.said())
		}
		time.Sleep(10 * time.Minute)
		if len(b.said()) != 1 || !strings.Contains(b.said()[0], "has shown no life") {
			t.Errorf("said: %q", b.said())
		}
		if err := q.Unlock(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !b.spool.Busy() {
			t.Error("it does not go on when the lock is free")
		}
		stop()
	})
}

// A worker that a hook started may hold the queue for a whole repeat window: a
// service manager would take one that waits for it for one that failed.
func TestWaitingForAnotherWorkerIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &fakeDest{name: "slack"})
		q, err := b.spool.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		times := 0
		j := b.job(Follow)
		j.Ready = func() { times++ }
		stop := start(t, j)
		synctest.Wait()
		if times != 1 {
			t.Errorf("ready %d times while it waits", times)
		}
		if err := q.Unlock(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !b.spool.Busy() || times != 1 {
			t.Errorf("when the lock is free: busy %v, ready %d times", b.spool.Busy(), times)
		}
		stop()
	})
}
