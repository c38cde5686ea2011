// Package spool owns the queue on disk: how an event gets from a login, which
// must not wait, to the one worker that tells it, so that neither kill -9 nor
// power loss nor a full disk loses it. It is laid out like a maildir
// (https://cr.yp.to/proto/maildir.html):
//
//	tmp/    being written
//	new/    published, waiting to be claimed
//	cur/    claimed by the worker, or waiting for a retry; holds its lock
//	failed/ dead letters
//	watch/  on the host, if install was asked for it: the watcher's own way in,
//	        with a tmp/ and a new/
//
// It must never reach net/http, know what a destination is, follow a link that
// somebody put into one of these folders, or replace a published event.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// How much a spool takes: what waits in new/ and cur/ together. Dead letters do
// not count: a month of them, unread, must not keep today's events out.
const (
	Limit      = 100_000
	LimitBytes = 256 << 20
)

// How much the overflow folder takes. It is less than a spool, because /run is
// memory, which the whole system shares, and each file there costs a page.
const (
	OverflowLimit      = 10_000
	OverflowLimitBytes = 64 << 20
)

// MaxRead is the size in bytes of the largest file that a Queue reads or
// writes. An event is at most event.MaxSize; the worker adds what it knows.
const MaxRead = 4 << 20

// What can be wrong with a spool. System calls' own errors stay visible to
// errors.Is as well: syscall.ENOSPC, fs.ErrPermission and so on.
var (
	// ErrFull: the spool holds Limit events or LimitBytes.
	ErrFull = errors.New("the queue is full")
	// ErrMissing: the spool folder does not exist. Only install makes the host's,
	// because a folder that is merely not mounted yet must not be shadowed. A user's
	// own could not be made.
	ErrMissing = errors.New("the spool folder is missing")
	// ErrLocked: another worker has the queue.
	ErrLocked = errors.New("another worker has the queue")
	// ErrLost: the lock file is no longer the one that was locked, so that
	// somebody removed the queue or made it anew. Unlock, and Lock again.
	ErrLost = errors.New("the queue was removed or replaced")
	// ErrUnlocked: a Queue was used after Unlock.
	ErrUnlocked = errors.New("the queue is no longer locked")
	// ErrNotOwner: root asked to work on a queue that is another user's. Files of
	// root's in cur/ would lock that user out: become it first (see Spool.Owner).
	ErrNotOwner = errors.New("root must become the owner of the queue first")
	// ErrForeign: not a regular file, or larger than MaxRead: nothing that a
	// hook or a worker wrote.
	ErrForeign = errors.New("not an event's file")
)

// Options say which spool, and for whom.
type Options struct {
	Dir string // the spool folder, absolute
	// Overflow is the folder that Put tries on the host when Dir is full or
	// broken, and that the worker drains as well; empty for none.
	Overflow string
	// UID is this process's effective user id. On the host only 0 gives folders
	// away to the service; other users leave owners as they come.
	UID int
	// Host: the spool that all users of the machine share, with a service of its
	// own. Otherwise it is one user's, and nobody else may look into it.
	Host bool
	// Passwd is where the service's user is looked up; empty for /etc/passwd.
	Passwd string
	// Fault decides on each system call, by its name and path, before it is made:
	// an error fails it. It is for tests; nil otherwise.
	Fault func(op, path string) error
}

// hostDir and hostOverflow are the contract's places of the host.
const (
	hostDir      = "/var/spool/sshnotify"
	hostOverflow = "/run/sshnotify"
)

// For returns the options of the spool in a folder, for a process with an
// effective user id. Root's is the host's, whoever works it, and so is one that
// root owns; as root it does not look at the folder, which may not answer.
func For(dir string, uid int) Options {
	var st syscall.Stat_t
	if uid == 0 || syscall.Stat(dir, &st) == nil && st.Uid == 0 {
		return Options{Dir: dir, UID: uid, Host: true, Overflow: overflow(dir)}
	}
	return Options{Dir: dir, UID: uid}
}

// overflow returns a folder of its own, in memory, for each spool, so that no
// worker takes another spool's events. A "-" of the path becomes "_-", which
// keeps /a-b and /a/b apart.
func overflow(dir string) string {
	if dir == hostDir {
		return hostOverflow
	}
	return hostOverflow + strings.NewReplacer("_", "__", "-", "_-", "/", "-").Replace(filepath.Clean(dir))
}

// Spool is one queue on disk. It may be used concurrently, by any number of
// processes.
type Spool struct {
	o     Options
	limit limits // of Dir
	over  limits // of Overflow
	drop  limits // of the drop
	// fault makes a system call fail, for tests; nil otherwise.
	fault func(op, path string) error
}

// Open returns the spool without looking at it: what is wrong with it comes out
// where it is used.
func Open(o Options) *Spool {
	if o.Passwd == "" {
		o.Passwd = "/etc/passwd"
	}
	return &Spool{
		o:     o,
		limit: limits{Limit, LimitBytes},
		over:  limits{OverflowLimit, OverflowLimitBytes},
		drop:  limits{DropLimit, DropLimitBytes},
		fault: o.Fault,
	}
}

// Put publishes data, at most event.MaxSize bytes, under name (see ValidName;
// the worker claims only names that fit Claimable). When it returns without an
// error, the event survives power loss. A name that waits already is a success,
// and what waits is not replaced. Put tells in which folder the event is: Dir,
// or Overflow where Dir was full or broken on the host.
//
// On the host it is root's to call; the service can't write in tmp/ and adds
// events of its own by Queue.Write. The watcher, and nobody else, puts into
// watch/: attacks, matches and alerts, Via being event.ViaWatch. The watcher is
// who owns watch/tmp, by the effective user id; root never is. The worker keeps all else in failed/, and tells these under
// another id with the same beginning. There is no overflow for them: with an
// error, whatever it is, nothing was put, and the watcher tries again later.
func (s *Spool) Put(name string, data []byte) (where string, err error) {
	if !ValidName(name) {
		return "", &fs.PathError{Op: "put", Path: name, Err: syscall.EINVAL}
	}
	if len(data) > event.MaxSize {
		return "", &fs.PathError{Op: "put", Path: name, Err: syscall.EFBIG}
	}
	drop, watcher, err := s.openDrop()
	if err != nil {
		return "", err
	}
	if watcher {
		defer drop.close()
		if err := s.putDrop(drop, name, data); err != nil {
			return "", err
		}
		return s.o.Dir, nil
	}
	root, err := s.openDir()
	if err == nil {
		defer root.close()
		err = s.publish(root, name, data, s.limit)
	}
	if err == nil {
		return s.o.Dir, nil
	}
	if !s.o.Host || s.o.Overflow == "" {
		return "", err
	}
	over, overErr := s.makeOverflow()
	if overErr == nil {
		overErr = s.publish(over, name, data, s.over)
		over.close()
	}
	if overErr != nil {
		return "", errors.Join(err, overErr)
	}
	return s.o.Overflow, nil
}

// WatchDirs returns the folders in which new files appear. They may not exist
// yet: the overflow's most often does not, nor does the watcher's.
func (s *Spool) WatchDirs() []string {
	dirs := []string{filepath.Join(s.o.Dir, newName)}
	if s.o.Overflow != "" {
		dirs = append(dirs, filepath.Join(s.o.Overflow, newName))
	}
	if s.o.Host {
		dirs = append(dirs, filepath.Join(s.o.Dir, dropName, newName))
	}
	return dirs
}

// Owner returns the owner of cur/: whom a command that runs as root must become
// before it calls Lock. It makes missing subfolders, since a command that has
// become somebody else no longer may; on the host only as root.
func (s *Spool) Owner() (uid, gid int, err error) {
	root, err := s.openDir()
	if err != nil {
		return 0, 0, err
	}
	defer root.close()
	if !s.o.Host || s.o.UID == 0 {
		if err := s.makeSubfolders(root); err != nil {
			return 0, 0, err
		}
	}
	st, err := root.lstat(curName)
	if err != nil {
		return 0, 0, err
	}
	return int(st.Uid), int(st.Gid), nil
}

// openDir opens the spool folder; a user's own is made where it is missing.
func (s *Spool) openDir() (folder, error) {
	d, err := openFolder(s.o.Dir, s.fault)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if s.o.Host {
		return folder{}, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err := makeAll(s.o.Dir, s.fault); err != nil {
		return folder{}, fmt.Errorf("%s: %w: %w", s.o.Dir, ErrMissing, err)
	}
	return openFolder(s.o.Dir, s.fault)
}
