package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Queue is what the one worker may do to a spool. Its methods must not be
// called concurrently. Names are checked (ValidName); a name that is not there
// gives fs.ErrNotExist. What a method calls durable survives power loss when it
// returns.
type Queue struct {
	s        *Spool
	lock     *flock.Flock // nil: unlocked
	lockFile fs.FileInfo
	dir, cur folder

	count   int       // files in cur/
	counted time.Time // when countForHooks last did
	foreign []Foreign
	seen    map[string]bool // foreign things that were left, by path
	kept    int             // foreign files in failed/; 0: not counted

	troubles     map[string]trouble // by folder and name
	troublesKept bool               // they are on disk as they are here
}

// List returns the names in cur/, sorted: claimed events and requests, those of
// dead workers included.
func (q *Queue) List() ([]string, error) {
	if q.lock == nil {
		return nil, ErrUnlocked
	}
	names, err := q.names(q.cur, InCur)
	if err == nil {
		q.count = len(names) // somebody else may have been in there
	}
	return names, err
}

// Failed returns the names in failed/, sorted.
func (q *Queue) Failed() ([]string, error) {
	failed, err := q.failed()
	if err != nil {
		return nil, err
	}
	defer failed.close()
	return q.names(failed, InFailed)
}

// Read returns a file of cur/: ErrForeign if it is not a regular file of at most
// MaxRead bytes; a *TroubleError if it can't be read now, and another error
// where that has been so for a day. It never blocks.
func (q *Queue) Read(name string) ([]byte, error) {
	if err := q.check("read", name); err != nil {
		return nil, err
	}
	b, err := q.cur.read(name)
	return b, q.bear(InCur, name, err)
}

// ReadFailed returns a file of failed/, as Read does.
func (q *Queue) ReadFailed(name string) ([]byte, error) {
	if err := q.check("read", name); err != nil {
		return nil, err
	}
	failed, err := q.failed()
	if err != nil {
		return nil, err
	}
	defer failed.close()
	b, err := failed.read(name)
	return b, q.bear(InFailed, name, err)
}

// Write puts a file into cur/, durably: whoever reads it sees the old content
// or the new, whole. Data is at most MaxRead bytes.
func (q *Queue) Write(name string, data []byte) error {
	if err := q.check("write", name); err != nil {
		return err
	}
	known, _ := q.has(name)
	if err := q.store(q.cur, name, data); err != nil {
		return err
	}
	if !known {
		q.count++
	}
	return q.cur.sync()
}

// Remove takes a file out of cur/; that it is gone already is no error. It is
// not durable: after power loss the event may be there again, and is told twice
// rather than never.
func (q *Queue) Remove(name string) error {
	if err := q.check("remove", name); err != nil {
		return err
	}
	err := q.cur.unlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		q.gone()
	}
	return err
}

// Fail makes a dead letter of a file of cur/, durably, replacing an older one
// of the same name: with data as its new content, or as it is if data is nil.
func (q *Queue) Fail(name string, data []byte) error {
	if err := q.check("fail", name); err != nil {
		return err
	}
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	known, _ := q.has(name)
	if data == nil {
		err = q.cur.rename(name, failed, name)
	} else {
		err = q.store(failed, name, data)
	}
	if err == nil {
		q.explain(failed, name, "")
		// Safe there before it goes here.
		err = failed.sync()
	}
	if err == nil && data != nil {
		if err = q.cur.unlink(name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if known {
		q.gone()
	}
	return q.cur.sync()
}

// Retry puts a dead letter back into cur/, durably. If its event is there
// already, only the dead letter goes. What is not Claimable is no event and
// gives ErrForeign.
func (q *Queue) Retry(name string) error {
	if err := q.check("retry", name); err != nil {
		return err
	}
	if !Claimable(name) {
		return &fs.PathError{Op: "retry", Path: name, Err: ErrForeign}
	}
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	err = moveNew(failed, name, q.cur, name)
	switch {
	case errors.Is(err, fs.ErrExist):
		if st, statErr := q.cur.lstat(name); statErr == nil && isRegular(st) {
			err = failed.unlink(name)
		}
	case err == nil:
		q.count++
	}
	if err == nil {
		q.explain(failed, name, "")
	}
	if err == nil {
		err = q.cur.sync()
	}
	if err == nil {
		err = failed.sync()
	}
	return err
}

// Drop removes a dead letter, durably.
func (q *Queue) Drop(name string) error {
	if err := q.check("drop", name); err != nil {
		return err
	}
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	if err := failed.unlink(name); err != nil {
		return err
	}
	q.explain(failed, name, "")
	if strings.HasPrefix(name, refusedPrefix) && q.kept > 0 {
		q.kept--
	}
	return failed.sync()
}

// Refuse makes a dead letter, durably, of a file of cur/ that is not what its
// name says or that can't be read, as it is, and keeps why.
func (q *Queue) Refuse(name string, why error) error {
	st, err := q.cur.lstat(name)
	if err == nil {
		err = q.Fail(name, nil)
	}
	if err != nil {
		return err
	}
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	met := Foreign{
		ID: fileOf(InFailed, name, st).ID(), Folder: InCur, Path: q.cur.shown(name), Moved: name, Why: event.Clean(why.Error(), maxWhy),
	}
	q.explain(failed, name, met.Why)
	q.meet(met)
	return nil
}

// has reports whether cur/ holds something of that name.
func (q *Queue) has(name string) (bool, error) {
	_, err := q.cur.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (q *Queue) check(op, name string) error {
	if q.lock == nil {
		return ErrUnlocked
	}
	if !ValidName(name) {
		return &fs.PathError{Op: op, Path: name, Err: syscall.EINVAL}
	}
	return nil
}

func (q *Queue) failed() (folder, error) {
	if q.lock == nil {
		return folder{}, ErrUnlocked
	}
	return q.s.sub(q.dir, failedName)
}

// names returns the files that a worker may have written, sorted, and reports
// what else there is.
func (q *Queue) names(d folder, in Folder) (names []string, err error) {
	err = d.each(func(e fs.DirEntry) bool {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Type().IsRegular() && ValidName(e.Name()):
			names = append(names, e.Name())
		default:
			q.left(d, in, e)
		}
		return true
	})
	slices.Sort(names)
	return names, err
}

// store writes data to a temporary file in cur/, which is the service's own and
// on one file system with failed/, and renames it; the caller syncs to.
func (q *Queue) store(to folder, name string, data []byte) error {
	if len(data) > MaxRead {
		return &fs.PathError{Op: "write", Path: name, Err: syscall.EFBIG}
	}
	temp, err := q.cur.writeTemp(tempPrefix, data, 0o600, -1)
	if err != nil {
		return err
	}
	if err := q.cur.rename(temp, to, name); err != nil {
		q.cur.unlink(temp)
		return err
	}
	return nil
}

// read reads a file whose name may have been given to anything.
func (d folder) read(name string) (b []byte, err error) {
	f, err := d.open(name, unix.O_RDONLY, 0)
	if err != nil {
		// A link, a socket or a device that nobody serves is refused by the
		// kernel; but a disk may say the same (ENXIO) of a good file.
		if st, e := d.lstat(name); e == nil && !isRegular(st) {
			return nil, &fs.PathError{Op: "read", Path: d.shown(name), Err: fmt.Errorf("%w: it is %s", ErrForeign, kindOf(st))}
		}
		return nil, err
	}
	defer f.Close()
	err = d.do("read", name, func() error {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return err
		}
		if !isRegular(st) {
			return fmt.Errorf("%w: it is %s", ErrForeign, kindOf(st))
		}
		if st.Size > MaxRead {
			return fmt.Errorf("%w: it is larger than %d bytes", ErrForeign, MaxRead)
		}
		b = make([]byte, st.Size)
		_, err := f.ReadAt(b, 0)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // it was made shorter meanwhile
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// moveNew renames and replaces nothing: fs.ErrExist. Where the system can't
// promise that it looks first, which is as good, because only the holder of the
// lock writes in cur/ and failed/. link(2) would not do: the kernel forbids it
// for another user's file (fs.protected_hardlinks in proc(5)).
func moveNew(from folder, name string, to folder, newName string) error {
	err := from.renameNew(name, to, newName)
	if !unsupported(err) {
		return err
	}
	if _, err := to.lstat(newName); err == nil {
		return &fs.PathError{Op: "rename", Path: newName, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return from.rename(name, to, newName)
}

func (q *Queue) gone() { q.count = max(0, q.count-1) }

// recount counts cur/ anew, and removes what a dead worker had not finished.
func (q *Queue) recount() error {
	q.count = 0
	return q.cur.each(func(e fs.DirEntry) bool {
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			q.cur.unlink(e.Name())
		case e.Type().IsRegular() && ValidName(e.Name()):
			q.count++
		}
		return true
	})
}
