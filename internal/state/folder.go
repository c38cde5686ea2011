package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What can be wrong with a state folder, or with what is in it. Both come in an
// *fs.PathError, which says where.
var (
	// ErrExposed: somebody other than its owner and root may change what is in
	// the folder, or it is not this process's own and was to be written.
	ErrExposed = errors.New("not this user's own folder, or open to others for writing")
	// ErrForeign: a link, a FIFO, a socket, a device or a folder stands in the
	// place of a file, or a file that is another user's.
	ErrForeign = errors.New("not a file of this program's")
	// ErrTooLarge: the file has more bytes than were asked for.
	ErrTooLarge = errors.New("too large")
)

// maxDocument bounds what Read takes for a document.
const maxDocument = 16 << 20

// Folder is an open state folder. Its files are named relative to its
// descriptor, no link among them is followed, and opening one never waits: a
// worker may run as root, and whoever can write in one of its folders must not
// be able to have it write, read or wait elsewhere. Links on the way to the
// folder itself are followed, since an administrator may have moved it.
type Folder struct {
	f     *os.File
	path  string
	owner int
}

// OpenFolder opens a folder whose files are to be read. One that others may
// write in is ErrExposed.
func OpenFolder(path string) (*Folder, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := &Folder{f: os.NewFile(uintptr(fd), path), path: path}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		d.Close()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	d.owner = int(st.Uid)
	if st.Mode&0o022 != 0 {
		d.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrExposed}
	}
	return d, nil
}

// MakeFolder is OwnFolder for a folder that is made where it is missing.
func MakeFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return OwnFolder(path)
}

// OwnFolder opens a folder whose files are to be written. Besides what
// OpenFolder asks for, it must belong to the effective user; root may write in
// another's, and then touches no file but that user's (see Folder.IsOurs).
func OwnFolder(path string) (*Folder, error) {
	d, err := OpenFolder(path)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 && !d.IsOurs() {
		d.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrExposed}
	}
	return d, nil
}

// IsOurs reports whether the folder belongs to the effective user. What stays,
// and writes what strangers say, must not work in another one.
func (d *Folder) IsOurs() bool { return d.owner == os.Geteuid() }

// Close gives the folder up. Files of it that are open stay open.
func (d *Folder) Close() error { return d.f.Close() }

func (d *Folder) fd() int { return int(d.f.Fd()) }

func (d *Folder) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: filepath.Join(d.path, name), Err: err}
}

// Open opens a file of the folder, flags being those of os.OpenFile; one that it
// makes is for its owner alone. What is not a regular file of this user's, or of
// the folder's owner, is ErrForeign.
func (d *Folder) Open(name string, flags int) (*os.File, error) {
	if name != filepath.Base(name) {
		return nil, d.fail("open", name, fs.ErrInvalid)
	}
	// Looked at before it is opened: opening a device can do anything.
	if err := d.Check(name); err != nil {
		return nil, err
	}
	fd, err := -1, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) { // a network file system's
		fd, err = unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
	}
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EMLINK), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EISDIR), errors.Is(err, unix.EOPNOTSUPP):
		err = ErrForeign // a link; a FIFO, a socket or a device that nobody serves; a folder
	case err == nil:
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && !d.owns(st) {
			err = ErrForeign
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.path, name)), nil
}

// owns reports whether something is a file that may stand in the folder: its
// owner's, or root's in the folder of whoever runs this. In another user's
// folder, a file of root's may be a second name of any.
func (d *Folder) owns(st unix.Stat_t) bool {
	return uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG &&
		(int(st.Uid) == d.owner || st.Uid == 0 && d.IsOurs())
}

// Check looks at a name of the folder: nil where there is none, or a file that
// Open would open. For files that something else opens, by their path.
func (d *Folder) Check(name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !d.owns(st) {
		err = ErrForeign
	}
	if err != nil {
		return d.fail("open", name, err)
	}
	return nil
}

// ReadFile returns a file of at most limit bytes.
func (d *Folder) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := d.Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = d.fail("read", name, ErrTooLarge)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Replace makes data the content of a file as a whole, with exactly the given
// permissions. It survives power loss whole, as it was or as it is to be.
func (d *Folder) Replace(name string, data []byte, perm fs.FileMode) error {
	if err := d.Check(name); err != nil {
		return err
	}
	// Beside it, and not in $TMPDIR; a name that Tidy knows what a kill left by.
	temp := fmt.Sprintf("%s%s-%016x", tempPrefix, name, rand.Uint64())
	f, err := d.Open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		if e := unix.Renameat(d.fd(), temp, d.fd(), name); e != nil {
			err = d.fail("rename", name, e)
		}
	}
	if err != nil {
		unix.Unlinkat(d.fd(), temp, 0)
	}
	return err
}

// Remove deletes a file. That there is none is no error.
func (d *Folder) Remove(name string) error {
	if err := unix.Unlinkat(d.fd(), name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.fail("remove", name, err)
	}
	return nil
}

// lockPoll is how often a lock that somebody holds is tried.
const lockPoll = 5 * time.Millisecond

// Lock waits for the lock that a file of the folder stands for, until ctx ends.
// The lock is given up by unlock, and with the process.
func (d *Folder) Lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := d.Open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, d.fail("lock", name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

const (
	tempPrefix = ".tmp-"
	// tempAge is how old a file that a kill left is at least: writing one takes
	// milliseconds.
	tempAge = time.Hour
	// asideSuffix ends the name of what was moved aside.
	asideSuffix = ".foreign"
)

// suffixes end the names of all files that this program keeps in a state folder.
var suffixes = []string{".json", ".jsonl", ".lock", ".list", ".db", ".db-wal", ".db-shm", ".db-journal"}

func isStateFile(name string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// Tidy moves aside what stands in the place of a state file and is none, in a
// folder and the folders of its own in it, so that a new one can be begun; it
// gives the paths where these things are now. Other names are left alone: a
// state folder may have been given other uses.
func Tidy(path string) (moved []string, err error) {
	d, err := OwnFolder(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.tidy(2)
}

func (d *Folder) tidy(depth int) (moved []string, err error) {
	entries, err := d.f.ReadDir(-1)
	if err != nil {
		return nil, d.fail("readdir", "", err)
	}
	for _, e := range entries {
		name := e.Name()
		var st unix.Stat_t
		switch {
		case strings.HasPrefix(name, tempPrefix) && e.Type().IsRegular():
			if unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && time.Since(time.Unix(st.Mtim.Unix())) >= tempAge {
				unix.Unlinkat(d.fd(), name, 0)
			}
		case !isStateFile(name):
			if !e.IsDir() || depth == 0 || name == "spool" { // which looks after itself
				continue
			}
			if sub, err := OpenFolder(filepath.Join(d.path, name)); err == nil {
				if sub.owner == d.owner {
					more, _ := sub.tidy(depth - 1) // the next one tries again
					moved = append(moved, more...)
				}
				sub.Close()
			}
		case d.Check(name) != nil:
			aside := fmt.Sprintf("%s%s-%08x", name, asideSuffix, rand.Uint32())
			if e := unix.Renameat(d.fd(), name, d.fd(), aside); e != nil {
				err = errors.Join(err, d.fail("rename", name, e))
				continue
			}
			moved = append(moved, filepath.Join(d.path, aside))
		}
	}
	return moved, err
}

// SyncFolder commits the names in a folder to the disk.
func SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
