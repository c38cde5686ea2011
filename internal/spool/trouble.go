package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	// troubleLimit is how long a file that can't be read is tried, from the first
	// failure, over workers.
	troubleLimit = 24 * time.Hour
	// troubleTries must have been made, too: a clock that was set right jumps
	// years in an instant.
	troubleTries = 20
	// maxTroubles bounds what is remembered. What is beyond is tried as well, and
	// its day begins later.
	maxTroubles = 1000
	// maxWhy bounds what is kept of a reason, in characters.
	maxWhy = 500
)

// TroubleError is a file that can't be read now: the disk, the network, memory
// or descriptors failed, none of which says anything of what is in the file. It
// must be tried again.
type TroubleError struct {
	Since time.Time // of the first failure
	Err   error
}

func (e *TroubleError) Error() string { return e.Err.Error() }
func (e *TroubleError) Unwrap() error { return e.Err }

// trouble is how long a file can't be read.
type trouble struct {
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
}

// bear takes the outcome of reading a file, and returns the error that it is: a
// *TroubleError as long as another try is to be made. What is not there, or no
// file of ours, stays what it is.
func (q *Queue) bear(in Folder, name string, err error) error {
	key := string(in) + "/" + name
	t, known := q.troubles[key]
	forget := func() {
		if known {
			delete(q.troubles, key)
			q.troublesKept = false
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		forget()
		return err
	}
	now := time.Now()
	if !known || t.Since.After(now) { // the clock was set back since
		t = trouble{Since: now.UTC()}
	}
	t.Tries++
	if t.Tries >= troubleTries && now.Sub(t.Since) >= troubleLimit {
		forget()
		return fmt.Errorf("it can't be read since %s: %w", t.Since.Format(time.RFC3339), err)
	}
	if known || len(q.troubles) < maxTroubles {
		if q.troubles == nil {
			q.troubles = map[string]trouble{}
		}
		q.troubles[key] = t
		q.troublesKept = false
	}
	return &TroubleError{t.Since, err}
}

// loadTroubles takes up what earlier workers could not read. It is a memory and
// no promise: without it a day begins anew.
func (q *Queue) loadTroubles() {
	b, err := q.cur.read(troubleName)
	if err != nil || json.Unmarshal(b, &q.troubles) != nil || len(q.troubles) > maxTroubles {
		q.troubles = nil
	}
	q.troublesKept = true
	for key := range q.troubles {
		in, name, _ := strings.Cut(key, "/")
		d, err := q.s.existing(q.s.place(Folder(in)))
		if err != nil || d.f == nil {
			continue
		}
		if _, err := d.lstat(name); errors.Is(err, fs.ErrNotExist) {
			delete(q.troubles, key)
			q.troublesKept = false
		}
		d.close()
	}
}

// keepTroubles writes them down, if that is to be had.
func (q *Queue) keepTroubles() {
	if q.troublesKept {
		return
	}
	if len(q.troubles) == 0 {
		err := q.cur.unlink(troubleName)
		q.troublesKept = err == nil || errors.Is(err, fs.ErrNotExist)
		return
	}
	b, err := json.Marshal(q.troubles)
	if err == nil {
		err = q.store(q.cur, troubleName, b)
	}
	q.troublesKept = err == nil
}

// explain keeps why a file is in failed/, or forgets it where why is empty. It
// is for people, so that an error is nobody's concern.
func (q *Queue) explain(failed folder, name, why string) {
	if why == "" {
		_ = failed.unlink(whyPrefix + name)
		return
	}
	_ = q.store(failed, whyPrefix+name, []byte(why))
}

// Why says why a file of failed/ is there, in a line of text; empty where that
// is not kept, because a destination did not take it or it is there no longer.
func (s *Spool) Why(f File) string {
	if f.Folder != InFailed || !ValidName(f.Name) {
		return ""
	}
	d, err := s.at(InFailed)
	if err != nil {
		return ""
	}
	defer d.close()
	b, err := d.read(whyPrefix + f.Name)
	if err != nil {
		return ""
	}
	return event.Clean(string(b), maxWhy)
}

// sweepReasons removes those of files that somebody took out of failed/ by hand.
func (q *Queue) sweepReasons() {
	failed, err := q.failed()
	if err != nil {
		return
	}
	defer failed.close()
	_ = failed.each(func(e fs.DirEntry) bool {
		if name, ok := strings.CutPrefix(e.Name(), whyPrefix); ok {
			if _, err := failed.lstat(name); errors.Is(err, fs.ErrNotExist) {
				_ = failed.unlink(e.Name())
			}
		}
		return true
	})
}

// Discard removes, durably, whatever bears an id (see File.ID), wherever it
// is: an event that waits or is a dead letter, or a foreign file. It says how
// many files that were. Folders are removed only if they are empty.
func (q *Queue) Discard(id string) (n int, err error) {
	if q.lock == nil {
		return 0, ErrUnlocked
	}
	var errs []error
	for _, in := range []Folder{InNew, InOverflow, InDrop, InCur, InFailed} {
		if in == InOverflow && q.s.o.Overflow == "" || in == InDrop && !q.s.o.Host {
			continue
		}
		var found []File
		err := q.s.look(in, func(unix.Stat_t) bool { return true }, func(f File) {
			if f.ID() == id && !f.IsWorkers() {
				found = append(found, f)
			}
		})
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range found {
			switch err := q.discard(f); {
			case err == nil:
				n++
			case !errors.Is(err, fs.ErrNotExist):
				errs = append(errs, err)
			}
		}
	}
	return n, errors.Join(errs...)
}

func (q *Queue) discard(f File) error {
	switch {
	case f.Folder == InCur && ValidName(f.Name):
		if err := q.Remove(f.Name); !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
			return err
		}
	case f.Folder == InFailed && ValidName(f.Name):
		if err := q.Drop(f.Name); !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	d, err := q.s.at(f.Folder)
	if err != nil {
		return err
	}
	defer d.close()
	err = d.unlink(f.Name)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) { // POSIX allows either for a folder
		err = d.do("rmdir", f.Name, func() error { return unix.Unlinkat(d.fd(), f.Name, unix.AT_REMOVEDIR) })
	}
	if err != nil {
		return err
	}
	delete(q.seen, filepath.Join(d.path, f.Name)) // another one is another one
	return d.sync()
}
