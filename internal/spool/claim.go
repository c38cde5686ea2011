package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Foreign is something that no hook and no worker put where it is.
type Foreign struct {
	Path  string      // where it was found; anybody may have chosen the name: quote it
	Type  fs.FileMode // what it is, as fs.FileMode.Type gives it; 0: a regular file
	Moved string      // its name in failed/ now; empty: left where it is
}

// maxForeign bounds what is remembered of foreign things.
const maxForeign = 1000

// Foreign gives the foreign things that were met since the last call, each that
// was left where it is once in a Queue's life.
func (q *Queue) Foreign() []Foreign {
	f := q.foreign
	q.foreign = nil
	return f
}

func (q *Queue) left(d folder, e fs.DirEntry) {
	path := filepath.Join(d.path, e.Name())
	if q.seen[path] || len(q.seen) >= maxForeign {
		return
	}
	if q.seen == nil {
		q.seen = map[string]bool{}
	}
	q.seen[path] = true
	q.foreign = append(q.foreign, Foreign{Path: path, Type: e.Type()})
}

// Claim moves up to limit files (0 or less: all) from new/, and from the
// overflow's new/, and some from watch/new/, to cur/, and gives their names in no order; more says that
// it left some because of limit. Names that come with an error are claimed all
// the same, durably unless the disk could not be synced. An event that is in
// cur/ already is a duplicate: it is removed from new/ and not named again.
// Regular files with other names go to failed/; links, folders, FIFOs and the
// like stay where they are (see Foreign).
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
	q.note(true)
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
	before := len(c.names)
	var copied []string
	err = ready.each(func(e fs.DirEntry) bool {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."): // NFS's own, and editors'
		case !e.Type().IsRegular() || overflow && !Claimable(name):
			c.q.left(ready, e)
		case !Claimable(name):
			if err := c.q.keep(ready, name); err != nil {
				c.q.left(ready, e)
				c.fail(err)
			}
		case c.requests && !isRequest(name): // another time
		case len(c.names) == c.limit:
			c.more = true
			return false
		default:
			isCopy, err := c.take(ready, e)
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
func (c *claim) take(ready folder, e fs.DirEntry) (isCopy bool, err error) {
	q, name := c.q, e.Name()
	err = moveNew(ready, name, q.cur, name)
	switch {
	case err == nil:
		c.names = append(c.names, name)
		q.added(name)
		return false, nil
	case errors.Is(err, fs.ErrExist):
		st, err := q.cur.lstat(name)
		if err != nil {
			return false, err
		}
		if !isRegular(st) {
			q.left(ready, e)
			return false, nil
		}
		return false, ready.unlink(name)
	case errors.Is(err, unix.EXDEV):
		return c.copy(ready, e)
	}
	return false, err
}

func (c *claim) copy(ready folder, e fs.DirEntry) (isCopy bool, err error) {
	q, name := c.q, e.Name()
	if _, err := q.cur.lstat(name); err == nil {
		return false, ready.unlink(name) // a duplicate
	}
	data, err := ready.read(name)
	if errors.Is(err, ErrForeign) {
		q.left(ready, e)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Replaces nothing, because the name was free and this is the one worker.
	if err := q.store(q.cur, name, data); err != nil {
		return false, err
	}
	q.added(name)
	return true, nil
}

// keep moves a foreign file to failed/ under a name that can be dealt with.
func (q *Queue) keep(ready folder, name string) error {
	failed, err := q.failed()
	if err != nil {
		return err
	}
	defer failed.close()
	for range 3 {
		kept := fmt.Sprintf("foreign-%08x-%s", rand.Uint32(), tame(name))
		err = moveNew(ready, name, failed, kept)
		if err == nil {
			if len(q.foreign) < maxForeign {
				q.foreign = append(q.foreign, Foreign{Path: filepath.Join(ready.path, name), Moved: kept})
			}
			return failed.sync()
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// NewIsEmpty reports whether nothing claimable waits in new/, in the overflow
// or in watch/new/. It works after Unlock, and is for then; see Spool.Lock. With an
// error the answer is false.
func (q *Queue) NewIsEmpty() (bool, error) {
	paths := []string{q.s.o.Dir}
	if q.s.o.Overflow != "" {
		paths = append(paths, q.s.o.Overflow)
	}
	if q.s.o.Host {
		paths = append(paths, filepath.Join(q.s.o.Dir, dropName))
	}
	empty := true
	for _, path := range paths {
		ready, err := q.s.existing(path, newName)
		if err != nil {
			return false, err
		}
		if ready.f == nil {
			continue
		}
		err = ready.each(func(e fs.DirEntry) bool {
			empty = !(e.Type().IsRegular() && Claimable(e.Name()))
			return empty
		})
		ready.close()
		if err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}
