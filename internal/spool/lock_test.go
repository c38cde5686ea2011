package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestLockIsForOne(t *testing.T) {
	s := Open(Options{Dir: filepath.Join(fastDir(t), "spool")})
	if s.Busy() {
		t.Error("busy before there is a spool")
	}
	q := mustLock(t, s)
	if !s.Busy() {
		t.Error("not busy with a worker")
	}
	_, err := s.Lock(t.Context(), false)
	wantErrs(t, "the second worker", err, ErrLocked)
	if err := q.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := q.Unlock(); err != nil {
		t.Errorf("Unlock twice: %v", err)
	}
	if s.Busy() {
		t.Error("busy after the worker")
	}
	mustLock(t, s)
	info, err := os.Stat(s.lockPath())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock file: %v, %v", info.Mode(), err)
	}
}

func TestUnlockedQueueDoesNothing(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	name := newEvent()
	q := mustLock(t, s)
	mustPut(t, s, name)
	mustClaim(t, q)
	q.Unlock()
	for what, err := range map[string]error{
		"Claim":  func() error { _, _, err := q.Claim(0); return err }(),
		"List":   func() error { _, err := q.List(); return err }(),
		"Read":   func() error { _, err := q.Read(name); return err }(),
		"Write":  q.Write(name, nil),
		"Remove": q.Remove(name),
		"Fail":   q.Fail(name, nil),
		"Failed": func() error { _, err := q.Failed(); return err }(),
		"Retry":  q.Retry(name),
		"Drop":   q.Drop(name),
	} {
		wantErrs(t, what, err, ErrUnlocked)
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
}

func TestLockWaits(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	synctest.Test(t, func(t *testing.T) {
		first := mustLock(t, s)
		start := time.Now()
		got := make(chan *Queue)
		go func() {
			q, err := s.Lock(t.Context(), true)
			if err != nil {
				t.Error(err)
			}
			got <- q
		}()
		time.Sleep(time.Minute)
		select {
		case <-got:
			t.Fatal("two workers")
		default:
		}
		first.Unlock()
		q := <-got
		if took := time.Since(start); took > time.Minute+2*lockPoll {
			t.Errorf("noticed after %v", took-time.Minute)
		}
		q.Unlock()
	})
}

func TestLockWaitIsCalledOff(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	before := goleak.IgnoreCurrent()
	synctest.Test(t, func(t *testing.T) {
		mustLock(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Lock(ctx, true)
		wantErrs(t, "Lock", err, context.DeadlineExceeded)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("came back after %v", took)
		}
		_, err = s.Lock(ctx, false)
		wantErrs(t, "Lock with a dead context", err, context.DeadlineExceeded)
	})
	goleak.VerifyNone(t, before)
}

// A hook that looks must not make a starting worker give up: nobody else may
// come for the event.
func TestLooksDoNotHoldOffAWorker(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	mustLock(t, s).Unlock()
	var stop atomic.Bool
	var hooks sync.WaitGroup
	for range 3 {
		hooks.Go(func() {
			for !stop.Load() {
				s.Busy()
			}
		})
	}
	for range 30 {
		q, err := s.Lock(t.Context(), false)
		if err != nil {
			t.Errorf("held off: %v", err)
			break
		}
		q.Unlock()
	}
	stop.Store(true)
	hooks.Wait()
}

// One that was stopped in the middle of its look does, but not for ever.
func TestLookThatNeverEnds(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	mustLock(t, s).Unlock()
	look := s.flock(os.O_RDONLY)
	if ok, err := look.TryRLock(); !ok {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := s.Lock(t.Context(), false)
		wantErrs(t, "Lock", err, ErrLocked)
		if took := time.Since(start); took < startGrace || took > 2*startGrace {
			t.Errorf("gave up after %v", took)
		}
		time.AfterFunc(startGrace/2, func() { look.Unlock() })
		q, err := s.Lock(t.Context(), false)
		if err != nil {
			t.Fatalf("with the look over in time: %v", err)
		}
		q.Unlock()
	})
}

func TestQueueIsReplacedUnderItsWorker(t *testing.T) {
	for situation, replace := range map[string]func(s *Spool) error{
		"the lock file is removed":  func(s *Spool) error { return os.Remove(s.lockPath()) },
		"the spool is removed":      func(s *Spool) error { return os.RemoveAll(s.o.Dir) },
		"cur/ is removed":           func(s *Spool) error { return os.RemoveAll(filepath.Join(s.o.Dir, curName)) },
		"the spool is moved away":   func(s *Spool) error { return os.Rename(s.o.Dir, s.o.Dir+".old") },
		"the lock file is replaced": func(s *Spool) error { os.Remove(s.lockPath()); return os.WriteFile(s.lockPath(), nil, 0o600) },
	} {
		t.Run(situation, func(t *testing.T) {
			s := Open(Options{Dir: filepath.Join(fastDir(t), "spool")})
			q := mustLock(t, s)
			if err := replace(s); err != nil {
				t.Fatal(err)
			}
			name := newEvent()
			mustPut(t, s, name)
			_, _, err := q.Claim(0)
			wantErrs(t, "Claim", err, ErrLost)
			q.Unlock()
			if got := mustClaim(t, mustLock(t, s)); len(got) != 1 || got[0] != name {
				t.Errorf("the next worker claimed %q", got)
			}
		})
	}
}

func TestLockFileIsPlanted(t *testing.T) {
	target := filepath.Join(fastDir(t), "target")
	for situation, plant := range map[string]func(path string) error{
		"a link":   func(path string) error { return os.Symlink(target, path) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(situation, func(t *testing.T) {
			s := Open(Options{Dir: fastDir(t)})
			if err := os.Mkdir(filepath.Join(s.o.Dir, curName), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := plant(s.lockPath()); err != nil {
				t.Fatal(err)
			}
			if s.Busy() {
				t.Error("busy")
			}
			if _, err := s.Lock(t.Context(), false); err == nil || errors.Is(err, ErrLocked) {
				t.Errorf("Lock: %v", err)
			}
			if _, err := os.Stat(target); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}

func TestLockWithAnUnkindUmask(t *testing.T) {
	s := Open(Options{Dir: filepath.Join(fastDir(t), "spool")})
	old := syscall.Umask(0o777)
	q, err := s.Lock(t.Context(), false)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	q.Unlock()
	for path, want := range map[string]os.FileMode{
		s.o.Dir: 0o700, filepath.Join(s.o.Dir, curName): 0o700, filepath.Join(s.o.Dir, failedName): 0o700, s.lockPath(): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, error %v", path, info.Mode(), err)
		}
	}
}

func TestOwner(t *testing.T) {
	s := Open(Options{Dir: filepath.Join(fastDir(t), "spool")})
	if uid, gid, err := s.Owner(); err != nil || uid != os.Geteuid() || gid != os.Getegid() {
		t.Errorf("Owner = %d, %d, %v", uid, gid, err)
	}
}
