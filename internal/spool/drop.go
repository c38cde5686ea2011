package spool

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The drop is the host's second way in, for the watcher, which reads what
// strangers write into logs and is neither root nor the service:
//
//	watch/     root:sshnotify 0751
//	watch/tmp/ the watcher's own, 2700
//	watch/new/ the watcher's own, 2770
//
// Whoever may write in tmp/ and new/ can forge a login, remove one that waits,
// and ask for events to be dropped; so the watcher must not. What it puts into
// its drop is copied by the worker, so that it can't be changed afterwards;
// only if it is of a kind that a watcher may tell; and under an id of its own,
// so that it can't pass for a login that has been told already. Only install
// makes the drop.
const dropName = "watch"

// How much the drop takes. Its files count once they are claimed, too.
const (
	DropLimit      = 10_000
	DropLimitBytes = 64 << 20
)

const (
	// dropMost is how many files are claimed from the drop at a time. Each is a
	// write to disk, and logins wait for none but these.
	dropMost = 100
	// dropLook is how many entries of the drop are looked at at a time, whatever
	// they are: whoever owns it could make them faster than they are read.
	dropLook = 4 * dropMost
	// dropRoom is how many files cur/ may hold for the drop to be claimed from.
	// It is half of what the worker holds in memory: a flood of matches leaves
	// the other half to logins.
	dropRoom = 10_000
)

// putDrop is Put for who is not root, on the host. There is no overflow: unlike
// a login, a watcher can wait, and reads the lines again.
func (s *Spool) putDrop(drop folder, name string, data []byte) error {
	if isRequest(name) {
		return &fs.PathError{Op: "put", Path: name, Err: fs.ErrPermission}
	}
	return s.publish(drop, name, data, s.drop)
}

// openDrop returns the drop; ok is false where this process is not to use it. That
// is for the owner of watch/tmp alone, whoever may open it besides: a hook that
// su or sudo runs, the service, and root above all put elsewhere.
func (s *Spool) openDrop() (drop folder, ok bool, err error) {
	if !s.o.Host || s.o.UID == 0 {
		return folder{}, false, nil
	}
	drop, err = openPassage(filepath.Join(s.o.Dir, dropName), s.fault)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			err = nil
		}
		return folder{}, false, err
	}
	st, err := drop.lstat(tmpName)
	if err == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) == s.o.UID {
		return drop, true, nil
	}
	drop.close()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return folder{}, false, err
}

// DropError is what keeps the drop from being claimed. Its folders are the
// watcher's, who may close them, so that it is no reason to do anything else
// otherwise.
type DropError struct{ Err error }

func (e *DropError) Error() string { return e.Err.Error() }
func (e *DropError) Unwrap() error { return e.Err }

// failDrop keeps the first error of the drop; there may be one a file.
func (c *claim) failDrop(err error) {
	if c.drop == nil {
		c.drop = &DropError{err}
		c.fail(c.drop)
	}
}

// fromDrop claims what waits in the drop of root, if there is one.
func (c *claim) fromDrop(root folder) {
	drop, err := root.folder(dropName)
	if err == nil {
		defer drop.close()
		var ready folder
		if ready, err = drop.folder(newName); err == nil {
			defer ready.close()
			err = c.copyDropped(ready)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failDrop(err)
	}
}

// dropped is a file of the drop and the name of its copy in cur/.
type dropped struct {
	from, to string
	twice    bool // it was claimed before
}

func (c *claim) copyDropped(ready folder) error {
	q, seen, looked := c.q, 0, 0
	var copied []dropped
	err := ready.each(func(e fs.DirEntry) bool {
		name := e.Name()
		looked++
		switch {
		case looked > dropLook:
			return false
		case strings.HasPrefix(name, "."):
		case !e.Type().IsRegular():
			q.left(ready, InDrop, e)
		case len(c.names)+len(copied) >= c.limit:
			c.more = true
			return false
		case seen == dropMost || q.count >= dropRoom:
			return false // the next look goes on
		default:
			seen++
			d, ok, err := q.copyOne(ready, name)
			if ok {
				copied = append(copied, d)
			} else if err != nil {
				c.failDrop(err)
			}
		}
		return true
	})
	if len(copied) == 0 {
		return err
	}
	// As in from: safe in cur/ before it goes here, and an original that can't
	// be removed is no claim.
	synced := q.cur.sync()
	for _, d := range copied {
		gone := synced
		if gone == nil {
			gone = ready.unlink(d.from)
		}
		switch {
		case gone == nil || errors.Is(gone, fs.ErrNotExist):
			if !d.twice {
				c.names = append(c.names, d.to)
			}
		default:
			c.failDrop(gone)
			if !d.twice {
				c.undo(d.to)
			}
		}
	}
	return err
}

// copyOne copies a file of the drop into cur/. What is no event that a watcher
// may tell is refused; ok is false then.
func (q *Queue) copyOne(ready folder, name string) (d dropped, ok bool, err error) {
	data, err := ready.read(name)
	if errors.Is(err, fs.ErrPermission) {
		// Not of those that come and go, where its mode says so.
		if st, e := ready.lstat(name); e == nil && isRegular(st) && int(st.Uid) != os.Geteuid() && st.Mode&0o044 == 0 {
			return d, false, q.refuse(ready, InDrop, name, err)
		}
	}
	var trouble *TroubleError
	switch err = q.bear(InDrop, name, err); {
	case errors.Is(err, fs.ErrNotExist):
		return d, false, nil
	case errors.As(err, &trouble):
		return d, false, err
	case err != nil:
		return d, false, q.refuse(ready, InDrop, name, err)
	}
	to, data, err := admit(name, data)
	if err != nil {
		return d, false, q.refuse(ready, InDrop, name, err)
	}
	d = dropped{from: name, to: to}
	if there, err := q.has(to); err != nil || there {
		d.twice = there
		return d, there, err
	}
	// Replaces nothing, because the name was free and this is the one worker.
	if err := q.store(q.cur, to, data); err != nil {
		return d, false, err
	}
	q.count++
	return d, true, nil
}

// admit says whether a watcher may tell an event: an attack, a match, an alert,
// a digest of attacks or a witness, that says who tells it. It returns what is to be stored, and under which name. A newer sshnotify's event
// is none: after an update it would be read as what it is, unasked.
func admit(name string, data []byte) (string, []byte, error) {
	e, err := event.Decode(data)
	switch {
	case err != nil:
		return "", nil, err
	case e.ID+".json" != name:
		return "", nil, fmt.Errorf("it holds the event %s", e.ID)
	case !slices.Contains([]event.Kind{event.KindAttack, event.KindMatch, event.KindAlert, event.KindDigest, event.KindWitness}, e.Kind):
		return "", nil, fmt.Errorf("a watcher tells no %s", e.Kind)
	case e.Via != event.ViaWatch:
		return "", nil, fmt.Errorf("it came in by %q", e.Via)
	case e.Kind == event.KindDigest && (e.Digest.Of != event.KindAttempt || slices.ContainsFunc(e.Digest.Rows, func(r event.Row) bool { return r.Kind != event.KindAttempt })):
		return "", nil, errors.New("it passes for a digest of logins")
	}
	if e.Kind == event.KindWitness {
		e = e.Testimony()
	}
	e.ID = droppedID(e.ID)
	data, err = e.Encode()
	return e.ID + ".json", data, err
}

// droppedID returns the id under which an event of the drop is told. A watcher
// that could choose it would take a login's, which can be foretold from the
// process list and sshd's log, and the login would count as told. The beginning
// stays, by which people know it (event.Ref).
func droppedID(id string) string {
	sum := sha256.Sum256([]byte("watch\x00" + id))
	hashed := base32ID.EncodeToString(sum[:16])
	ref := event.Ref(id)
	return ref + hashed[len(ref):]
}

// base32ID writes 16 bytes as an id (event.ValidID).
var base32ID = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
