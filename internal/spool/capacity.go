package spool

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// limits are how much a spool takes.
type limits struct {
	count int
	bytes int64
}

// fullName is an empty file that says that the spool is full: in tmp/, where
// only hooks can write, a hook's word, and in cur/, where only the worker can,
// the worker's. It bears the times of the last changes of new/ (as its own last
// change) and of cur/ (as its last access), as of the count: once one of these is
// another, something has left, and the mark means nothing, unless it is that of
// a worker, which counts again. It is not a name that writeTemp gives, and sweep
// and names leave dots alone.
const fullName = ".full"

// countEvery is how seldom the worker counts. Where it has nothing to do, it
// comes by once a minute.
const countEvery = 10 * time.Second

// checkCapacity returns ErrFull where size bytes more do not fit. Reading a
// folder of 100,000 names takes a tenth of a second, and a login must not wait:
// where a worker lives, it counts, and hooks look for its mark, so that the limits
// may be exceeded by what comes between two counts. Without one, one hook in a
// thousandth of the limit counts, by chance, which needs nothing that hooks
// would have to share; then they may be exceeded by some thousandths. While a
// mark stands, nobody counts.
func (s *Spool) checkCapacity(root, tmp, ready folder, most limits, size int) error {
	full := fmt.Errorf("%s: %w", root.path, ErrFull)
	ours, err := tmp.lstat(fullName)
	marked := err == nil
	theirs, err := root.lstat(curName + "/" + fullName)
	byWorker := err == nil
	if !marked && !byWorker && rand.N(max(1, most.count/1000)) != 0 {
		return nil
	}
	changed, err := changes(root, ready)
	if err != nil {
		return err
	}
	if marked && stampOf(ours) == changed || byWorker && (stampOf(theirs) == changed || s.hasWorker()) {
		return full
	}
	// The overflow and the watcher's inbox have no worker of their own.
	if root.path != s.o.Dir || !s.hasWorker() {
		isFull, err := most.reached(root, ready, size)
		if err != nil {
			return err
		}
		if isFull {
			if !changed.settled() {
				changed = stamp{} // means nothing, but that the next hook counts, too
			}
			setMark(tmp, changed)
			return full
		}
	}
	if marked {
		tmp.unlink(fullName)
	}
	return nil
}

// hasWorker reports whether a worker lives, which counts for the hooks.
func (s *Spool) hasWorker() bool { return s.Busy() && s.Silence(time.Now()) <= SilentAfter }

// countForHooks sets or removes the worker's mark, if that is due. Its errors are nobody's
// concern: without the mark the spool takes more than it should until the next
// count.
func (q *Queue) countForHooks() {
	if time.Since(q.counted) < countEvery {
		return
	}
	q.counted = time.Now()
	ready, err := q.s.existing(q.s.o.Dir, newName)
	if err != nil || ready.f == nil {
		return
	}
	defer ready.close()
	isFull, err := q.s.limit.reached(q.dir, ready, 0)
	switch {
	case err != nil:
	case isFull:
		setMark(q.cur, stamp{}) // which changes cur/ where there was none
		if changed, err := changes(q.dir, ready); err == nil {
			setMark(q.cur, changed)
		}
	case q.marked():
		q.cur.unlink(fullName)
	}
}

func (q *Queue) marked() bool {
	_, err := q.cur.lstat(fullName)
	return err == nil
}

// reached reports whether new/ and cur/ hold so much that size bytes more do not
// fit. A process that may not look into cur/ has the limit to new/.
func (l limits) reached(root, ready folder, size int) (bool, error) {
	count, bytes, err := measure(ready, l.count)
	if err != nil {
		return false, err
	}
	if cur, err := root.folder(curName); err == nil {
		n, b, _ := measure(cur, l.count)
		count, bytes = count+n, bytes+b
		cur.close()
	}
	return count >= l.count || bytes+int64(size) > l.bytes, nil
}

// stamp is when new/ and cur/ were changed last; that of a cur/ which is not
// there, or can't be asked, is zero.
type stamp struct{ ready, cur unix.Timespec }

func changes(root, ready folder) (stamp, error) {
	st, err := ready.stat()
	if err != nil {
		return stamp{}, err
	}
	cur, _ := root.lstat(curName)
	return stamp{st.Mtim, cur.Mtim}, nil
}

// stampOf returns what a mark bears.
func stampOf(mark unix.Stat_t) stamp { return stamp{mark.Mtim, mark.Atim} }

// settled reports whether a change from now on would show. One in the same tick
// of the file system's clock would not, thus the second. A clock that was set
// back makes no difference.
func (c stamp) settled() bool {
	return time.Since(time.Unix(c.ready.Unix())).Abs() > time.Second && time.Since(time.Unix(c.cur.Unix())).Abs() > time.Second
}

// setMark is not synced, and its errors are nobody's concern: it is a hint.
func setMark(d folder, at stamp) {
	f, err := d.open(fullName, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return
	}
	f.Close()
	_ = unix.UtimesNanoAt(d.fd(), fullName, []unix.Timespec{at.cur, at.ready}, unix.AT_SYMLINK_NOFOLLOW)
}

// sampleSize is how many sizes are asked for before every other one is left
// out, and again every other. Asking for all of 100,000 would take a tenth of a
// second, and seconds from a cold disk.
const sampleSize = 256

// measure counts the files of a folder, most of them at most, and returns their
// size together, estimated where there are more than sampleSize.
func measure(d folder, most int) (count int, bytes int64, err error) {
	step, asked := 1, 0
	err = d.each(func(e fs.DirEntry) bool {
		if e.Name()[0] == '.' { // the worker's own
			return true
		}
		if count%step == 0 {
			if st, err := d.lstat(e.Name()); err == nil && isRegular(st) {
				bytes += st.Size * int64(step)
			}
			if asked++; asked == sampleSize {
				step, asked = 2*step, 0
			}
		}
		count++
		return count < most
	})
	return count, bytes, err
}
