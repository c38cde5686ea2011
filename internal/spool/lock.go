package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

const (
	// startGrace is how long a starting worker bears with processes that only
	// look at the lock. Each look takes microseconds.
	startGrace = 250 * time.Millisecond
	// lockPoll is how often a waiting worker tries again. Polling needs neither a
	// goroutine nor a signal to be called off.
	lockPoll = 200 * time.Millisecond
)

// Busy reports whether a worker holds the queue; false also where that can't be
// found out, because a worker too many does no harm. It takes the lock shared,
// for microseconds: that keeps out no worker, since Lock tries again when it
// meets a shared lock.
func (s *Spool) Busy() bool {
	l := s.flock(os.O_RDONLY)
	free, err := l.TryRLock()
	l.Unlock()
	return err == nil && !free
}

// lockPath is where the worker's lock is: inside cur/, which nobody else can
// open. A lock that others can open lets them hold the worker off.
func (s *Spool) lockPath() string { return filepath.Join(s.o.Dir, curName, lockName) }

func (s *Spool) flock(flags int) *flock.Flock {
	return flock.New(s.lockPath(), flock.SetFlag(flags|unix.O_NOFOLLOW|unix.O_NONBLOCK), flock.SetPermissions(0o600))
}

// Lock makes the caller the spool's one worker. Without wait it gives ErrLocked
// if there is one; with wait it waits for that one to end, or for ctx. Missing
// subfolders are made by a user and by root; the host's service makes none,
// because it may not. As root it gives ErrNotOwner where cur/ is another user's.
//
// All of cur/ is the new worker's: what a dead one had claimed is there.
//
// After Unlock the caller must ask NewIsEmpty, and Lock again if it says no.
// A hook publishes first and then asks Busy; if that was true because of a
// worker that had already seen new/ empty and was about to unlock, nobody else
// will come for the event. Since the hook published before the unlocking, a
// look after the unlocking finds it.
func (s *Spool) Lock(ctx context.Context, wait bool) (*Queue, error) {
	start := time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q, err := s.tryLock()
		if !errors.Is(err, ErrLocked) {
			return q, err
		}
		pause := lockPoll
		if !wait {
			if time.Since(start) > startGrace || !s.onlyLooks() {
				return nil, err
			}
			// By chance, so that two that look at each other part.
			pause = time.Millisecond + rand.N(4*time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// onlyLooks reports whether nobody holds the lock but processes that look.
func (s *Spool) onlyLooks() bool {
	l := s.flock(os.O_RDONLY)
	ok, _ := l.TryRLock()
	l.Unlock()
	return ok
}

func (s *Spool) tryLock() (_ *Queue, err error) {
	dir, err := s.openDir()
	if err != nil {
		return nil, err
	}
	q := &Queue{s: s, dir: dir, lock: s.flock(os.O_RDWR)}
	defer func() {
		if err != nil {
			q.close()
		}
	}()
	if !s.o.Host || os.Geteuid() == 0 {
		if err := s.makeSubfolders(dir); err != nil {
			return nil, err
		}
	}
	if q.cur, err = s.sub(dir, curName); err != nil {
		return nil, err
	}
	owner, err := q.cur.stat()
	if err != nil {
		return nil, err
	}
	if s.o.Host && os.Geteuid() == 0 && owner.Uid != 0 {
		return nil, fmt.Errorf("%s: %w", q.cur.path, ErrNotOwner)
	}

	file, err := q.cur.open(lockName, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	q.lockFile, err = file.Stat()
	if err != nil {
		return nil, err
	}
	if q.lockFile.Mode().Perm() != 0o600 { // a umask that is not kind
		if err := file.Chmod(0o600); err != nil {
			return nil, err
		}
	}
	ok, err := q.lock.TryLock()
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: s.lockPath(), Err: err}
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", s.o.Dir, ErrLocked)
	}
	// The lock was taken by path: it must be in the folder that is open.
	if locked, err := q.lock.Stat(); err != nil || !os.SameFile(locked, q.lockFile) {
		return nil, fmt.Errorf("%s: %w", s.o.Dir, ErrLost)
	}
	q.Beat()
	return q, q.takeOver()
}

// SilentAfter is how long a worker that lives is silent at most. It beats at
// least once a minute, and what keeps it from that, a memory that is being
// tidied or a disk that is very slow, takes seconds.
const SilentAfter = 5 * time.Minute

// Beat shows that the worker lives: it touches the lock's file, and counts for
// the hooks, which count themselves where no worker beats. Its error is nobody's
// concern, for the next beat is soon.
func (q *Queue) Beat() {
	if q.lock == nil {
		return
	}
	now := unix.NsecToTimespec(time.Now().UnixNano())
	_ = unix.UtimesNanoAt(q.cur.fd(), lockName, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW)
	q.countForHooks()
}

// Silence says how long ago the worker that holds the lock, or held it last,
// showed that it lives; 0 where that can't be found out. It costs three system
// calls. Together with Busy it tells a worker that is stopped, or frozen, from
// one that is at it.
func (s *Spool) Silence(now time.Time) time.Duration {
	root, err := openFolder(s.o.Dir, s.fault)
	if err != nil {
		return 0
	}
	defer root.close()
	st, err := root.lstat(curName + "/" + lockName)
	if err != nil {
		return 0
	}
	return max(0, now.Sub(time.Unix(st.Mtim.Unix()))) // the clock may have been set back
}

// takeOver removes what a dead worker had not finished writing, and counts what
// it had claimed.
func (q *Queue) takeOver() error {
	if err := q.recount(); err != nil {
		return err
	}
	q.loadTroubles()
	q.sweepReasons()
	return nil
}

// held reports whether this Queue still holds the spool that its path names.
func (q *Queue) held() error {
	if q.lock == nil {
		return ErrUnlocked
	}
	now, err := os.Lstat(q.s.lockPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !os.SameFile(now, q.lockFile) {
		return fmt.Errorf("%s: %w", q.s.o.Dir, ErrLost)
	}
	return nil
}

// Unlock ends the caller's being the worker; see Lock for what must come after
// it. A second call does nothing.
func (q *Queue) Unlock() error {
	if q.lock == nil {
		return nil
	}
	q.keepTroubles()
	if q.marked() {
		q.counted = time.Time{} // what was sent leaves no false mark
		q.countForHooks()
	}
	return q.close()
}

func (q *Queue) close() error {
	err := q.lock.Unlock()
	q.lock = nil
	q.dir.close()
	if q.cur.f != nil {
		q.cur.close()
	}
	return err
}
