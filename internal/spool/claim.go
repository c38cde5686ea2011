package spool

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Foreign is something that no hook and no worker put where it is, or that can't
// be read as what it should be.
type Foreign struct {
	ID     string // see File.ID
	Folder Folder
	Path   string      // where it was found; the name, which anybody may have chosen, is cleaned
	Type   fs.FileMode // what it is, as fs.FileMode.Type gives it; 0: a regular file
	Moved  string      // its name in failed/ now; empty: left where it is, unless Removed
	// Removed: failed/ holds maxRefused already, and nothing of it is kept.
	Removed bool
	Why     string // in a line of text
}

const (
	// maxForeign bounds what is remembered of foreign things.
	maxForeign = 1000
	// maxRefused is how many foreign files are kept in failed/: whoever floods
	// an inbox with junk must not bury the dead letters in it.
	maxRefused = 1000
)

// Foreign returns the foreign things that were met since the last call, each that
// was left where it is once in a Queue's life.
func (q *Queue) Foreign() []Foreign {
	f := q.foreign
	q.foreign = nil
	return f
}

func (q *Queue) left(d folder, in Folder, e fs.DirEntry) {
	key := filepath.Join(d.path, e.Name())
	if q.seen[key] || len(q.seen) >= maxForeign {
		return
	}
	st, err := d.lstat(e.Name())
	if err != nil {
		return // it is gone
	}
	if q.seen == nil {
		q.seen = map[string]bool{}
	}
	q.seen[key] = true
	q.foreign = append(q.foreign, Foreign{
		ID: fileOf(in, e.Name(), st).ID(), Folder: in, Path: d.shown(e.Name()), Type: e.Type(), Why: "it is " + kindOf(st),
	})
}

// kindOf says in words what something is.
func kindOf(st unix.Stat_t) string {
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFLNK:
		return "a link"
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}

// Claim moves up to limit files (0 or less: all) from new/, and from the
// overflow's new/, and some from watch/new/, to cur/, and gives their names in no order; more says that
// it left some because of limit. Names that come with an error are claimed all
// the same, durably unless the disk could not be synced. An event that is in
// cur/ already is a duplicate: it is removed from new/ and not named again.
// Regular files with other names go to failed/; links, folders, FIFOs and the
// like stay where they are (see Foreign). What can't be read now is a
// *TroubleError and is claimed another time; what is wrong with the drop, a
// *DropError.
func (q *Queue) Claim(limit int) (names []string, more bool, err error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	return q.claim(claim{q: q, limit: limit})
}

// ClaimRequests is Claim for requests alone, and all of them: a worker that has
// no room for events must still hear that some are to be dropped.
func (q *Queue) ClaimRequests() (names []string, err error) {
	names, _, err = q.claim(claim{q: q, limit: math.MaxInt, requests: true})
	return names, err
}

func (q *Queue) claim(c claim) (names []string, more bool, err error) {
	if err := q.held(); err != nil {
		return nil, false, err
	}
	c.from(q.dir, false)
	if q.s.o.Overflow != "" && !c.more {
		over, err := openFolder(q.s.o.Overflow, q.s.fault)
		if err == nil {
			c.from(over, true)
			over.close()
		} else if !errors.Is(err, fs.ErrNotExist) {
			c.fail(err)
		}
	}
	if q.s.o.Host && !c.more && !c.requests {
		c.fromDrop(q.dir) // last: logins go first
	}
	q.keepTroubles()
	q.countForHooks()
	return c.names, c.more, errors.Join(c.errs...)
}

// claim is one run of Claim.
type claim struct {
	q        *Queue
	limit    int
	requests bool // and nothing else
	names    []string
	more     bool
	errs     []error
	drop     *DropError // among errs
}

// fail keeps the first few errors; a broken disk gives one a file.
func (c *claim) fail(err error) {
	if len(c.errs) < 4 {
		c.errs = append(c.errs, err)
	}
}

// from claims what waits in root's new/. One file that can't be claimed does
// not keep the others waiting.
func (c *claim) from(root folder, overflow bool) {
	ready, err := root.folder(newName)
	if errors.Is(err, fs.ErrNotExist) {
		return // the next hook makes it
	}
	if err != nil {
		c.fail(err)
		return
	}
	defer ready.close()
	in := InNew
	if overflow {
		in = InOverflow
	}
	before := len(c.names)
	var copied []string
	err = ready.each(func(e fs.DirEntry) bool {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."): // NFS's own, and editors'
		case !e.Type().IsRegular() || overflow && !Claimable(name):
			c.q.left(ready, in, e)
		case !Claimable(name):
			if err := c.q.refuse(ready, in, name, errNoName); err != nil {
				c.q.left(ready, in, e)
				c.fail(err)
			}
		case c.requests && !isRequest(name): // another time
		case len(c.names) == c.limit:
			c.more = true
			return false
		default:
			isCopy, err := c.take(ready, in, e)
			if isCopy {
				copied = append(copied, name)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				c.fail(err)
			}
		}
		return true
	})
	if err != nil {
		c.fail(err)
	}
	if len(c.names) > before || len(copied) > 0 {
		// One sync for all. A rename is never half done, but a name that new/ has
		// lost for good must not be pending in cur/.
		if err := c.q.cur.sync(); err != nil {
			c.fail(err)
			for _, name := range copied {
				c.undo(name) // the original is still there
			}
			return
		}
	}
	for _, name := range copied {
		// An original that can't be removed would be claimed, and told, for ever.
		if err := ready.unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.fail(err)
			c.undo(name)
			continue
		}
		c.names = append(c.names, name)
	}
}

func (c *claim) undo(name string) {
	if err := c.q.Remove(name); err != nil {
		c.fail(err)
	}
}

// take claims one file. A copy from another file system is not a claim until
// the caller has synced it and removed the original.
func (c *claim) take(ready folder, in Folder, e fs.DirEntry) (isCopy bool, err error) {
	q, name := c.q, e.Name()
	err = moveNew(ready, name, q.cur, name)
	switch {
	case err == nil:
		c.names = append(c.names, name)
		q.count++
		return false, nil
	case errors.Is(err, fs.ErrExist):
		st, err := q.cur.lstat(name)
		if err != nil {
			return false, err
		}
		if !isRegular(st) {
			q.left(ready, in, e)
			return false, nil
		}
		return false, ready.unlink(name)
	case errors.Is(err, unix.EXDEV):
		return c.copy(ready, in, e)
	}
	return false, err
}

func (c *claim) copy(ready folder, in Folder, e fs.DirEntry) (isCopy bool, err error) {
	q, name := c.q, e.Name()
	if there, err := q.has(name); err != nil {
		return false, err
	} else if there {
		return false, ready.unlink(name) // a duplicate
	}
	data, err := ready.read(name)
	if err = q.bear(in, name, err); errors.Is(err, ErrForeign) {
		q.left(ready, in, e)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Replaces nothing, because the name was free and this is the one worker.
	if err := q.store(q.cur, name, data); err != nil {
		return false, err
	}
	q.count++
	return true, nil
}

// errNoName is what is wrong with a file that no hook named.
var errNoName = errors.New("no hook gives such a name")

// refuse moves a foreign file to failed/ under a name that can be dealt with,
// and keeps why. Its id stays the same.
func (q *Queue) refuse(ready folder, in Folder, name string, why error) error {
	st, err := ready.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !isRegular(st) { // it was replaced since; the next look leaves it
		return nil
	}
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	f := fileOf(in, name, st)
	met := Foreign{ID: f.ID(), Folder: in, Path: ready.shown(name), Why: event.Clean(why.Error(), maxWhy)}
	if in == InDrop && q.refused(failed) >= maxRefused {
		met.Removed = true
		if err := ready.unlink(name); err != nil {
			return err
		}
		q.meet(met)
		return nil
	}
	// Another one of the same name may be kept already.
	for _, met.ID = range []string{met.ID, ownID(f), event.NewID()} {
		met.Moved = refusedPrefix + met.ID + "-" + tame(name)
		err = moveNew(ready, name, failed, met.Moved)
		if errors.Is(err, unix.EXDEV) {
			err = q.moveFar(ready, name, failed, met.Moved)
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if q.kept > 0 {
		q.kept++
	}
	q.explain(failed, met.Moved, met.Why)
	q.meet(met)
	return failed.sync()
}

func (q *Queue) meet(f Foreign) {
	if len(q.foreign) < maxForeign {
		q.foreign = append(q.foreign, f)
	}
}

// moveFar is moveNew to another file system.
func (q *Queue) moveFar(from folder, name string, to folder, newName string) error {
	data, err := from.read(name)
	if err != nil {
		return err
	}
	if _, err := to.lstat(newName); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = &fs.PathError{Op: "rename", Path: newName, Err: fs.ErrExist}
		}
		return err
	}
	if err := q.store(to, newName, data); err != nil {
		return err
	}
	if err := to.sync(); err != nil {
		return err
	}
	return from.unlink(name)
}

// refused says how many foreign files failed/ holds.
func (q *Queue) refused(failed folder) int {
	if q.kept == 0 {
		// An error leaves a count that is too low, and the next call counts anew.
		_ = failed.each(func(e fs.DirEntry) bool {
			if strings.HasPrefix(e.Name(), refusedPrefix) {
				q.kept++
			}
			return q.kept < maxRefused
		})
	}
	return q.kept
}

// NewIsEmpty reports whether nothing claimable waits in new/, in the overflow
// or in watch/new/. It works after Unlock, and is for then; see Spool.Lock. With an
// error the answer is false.
func (q *Queue) NewIsEmpty() (bool, error) {
	paths := []string{q.s.o.Dir}
	if q.s.o.Overflow != "" {
		paths = append(paths, q.s.o.Overflow)
	}
	for _, path := range paths {
		if empty, err := q.s.empty(path, math.MaxInt); err != nil || !empty {
			return false, err
		}
	}
	if q.s.o.Host {
		// Claim says what is wrong with the drop, and it must not keep a worker
		// from coming back for a login.
		if empty, err := q.s.empty(filepath.Join(q.s.o.Dir, dropName), dropLook); err == nil {
			return empty, nil
		}
	}
	return true, nil
}

// empty reports whether nothing claimable is among the first entries of the
// new/ in path.
func (s *Spool) empty(path string, most int) (bool, error) {
	ready, err := s.existing(path, newName)
	if err != nil || ready.f == nil {
		return err == nil, err
	}
	defer ready.close()
	empty := true
	err = ready.each(func(e fs.DirEntry) bool {
		most--
		empty = !(e.Type().IsRegular() && Claimable(e.Name()))
		return empty && most > 0
	})
	return empty && err == nil, err
}
