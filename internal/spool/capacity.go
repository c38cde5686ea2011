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

// fullName is an empty file in tmp/, where only hooks can write, that says that
// the spool is full. It bears the time of new/'s last change, as of the count:
// once that is another, somebody has claimed, and the mark means nothing. Nor does
// it after markAge: what leaves cur/ does not change new/, and where no hook puts
// anything there, nothing else may for days.
// It is not a name that writeTemp gives, and sweep leaves dots alone.
const fullName = ".full"

// markAge is how long a mark is believed: a login in so long counts.
const markAge = 5 * time.Second

// checkCapacity returns ErrFull where size bytes more do not fit. Reading a
// folder of 100,000 names takes a tenth of a second, and a login must not wait:
// one in a thousandth of the limit counts what waits, by chance, which needs no
// counter that hooks would have to share, and no worker. So the limits may be
// exceeded by some thousandths. While the mark stands, nobody counts.
func checkCapacity(root, tmp, ready folder, most limits, size int) error {
	full := fmt.Errorf("%s: %w", root.path, ErrFull)
	changed, err := ready.stat()
	if err != nil {
		return err
	}
	mark, err := tmp.lstat(fullName)
	marked := err == nil
	switch {
	case marked && mark.Mtim == changed.Mtim && settled(changed) && isFresh(mark):
		return full
	case !marked && rand.N(max(1, most.count/1000)) != 0:
		return nil
	}
	count, bytes, err := measure(ready, most.count)
	if err != nil {
		return err
	}
	if cur, err := root.folder(curName); err == nil {
		n, b, _ := measure(cur, most.count) // a hook that may not look has the limit to itself
		count, bytes = count+n, bytes+b
		cur.close()
	}
	if count >= most.count || bytes+int64(size) > most.bytes {
		setMark(tmp, changed.Mtim)
		return full
	}
	if marked {
		tmp.unlink(fullName)
	}
	return nil
}

// settled reports whether a change in this instant would show. One in the same
// tick of the file system's clock would not, thus the second.
func settled(st unix.Stat_t) bool { return time.Since(time.Unix(st.Mtim.Unix())) > time.Second }

// isFresh reports whether a mark was set a moment ago. A clock that was set back
// makes it neither younger nor older.
func isFresh(mark unix.Stat_t) bool { return time.Since(time.Unix(mark.Ctim.Unix())).Abs() < markAge }

// setMark is not synced, and its errors are nobody's concern: it is a hint.
func setMark(tmp folder, at unix.Timespec) {
	f, err := tmp.open(fullName, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return
	}
	f.Close()
	_ = unix.UtimesNanoAt(tmp.fd(), fullName, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
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
