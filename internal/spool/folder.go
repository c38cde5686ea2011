package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// folder is an open folder. What is in it is named relative to its descriptor
// and never followed if it is a link, so that nobody can swap a folder for a
// link between two steps. All errors are *fs.PathError.
type folder struct {
	f     *os.File
	path  string
	fault func(op, path string) error
}

// do runs one system call: again where a signal interrupted it, which happens
// on network file systems.
func (d folder) do(op, name string, call func() error) error {
	if d.fault != nil {
		if err := d.fault(op, filepath.Join(d.path, name)); err != nil {
			return &fs.PathError{Op: op, Path: d.shown(name), Err: err}
		}
	}
	for {
		err := call()
		if err == nil {
			return nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if pe, ok := err.(*fs.PathError); ok { // of os.File, which names the path too
			err = pe.Err
		}
		return &fs.PathError{Op: op, Path: d.shown(name), Err: err}
	}
}

// maxShown is how much of a stranger's file name is shown, in characters.
const maxShown = 80

// shown returns the path of something inside d as it may stand in a line of text:
// anybody may have chosen the name.
func (d folder) shown(name string) string {
	return filepath.Join(d.path, event.Clean(name, maxShown))
}

// openFolder opens a folder by its path; links on the way are followed, since
// whoever may place them there owns the spool.
func openFolder(path string, fault func(op, path string) error) (folder, error) {
	d := folder{path: path, fault: fault}
	return d.openat(unix.AT_FDCWD, path, 0)
}

// openPassage opens a folder that this process may only have the right to pass
// through. Nothing can be read or made by what it gives, only opened.
func openPassage(path string, fault func(op, path string) error) (folder, error) {
	d := folder{path: path, fault: fault}
	return d.openat(unix.AT_FDCWD, path, oPassage|unix.O_NOFOLLOW)
}

func (d folder) openat(at int, name string, flags int) (folder, error) {
	err := d.do("open", "", func() error {
		fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
		if err == nil {
			d.f = os.NewFile(uintptr(fd), d.path)
		}
		return err
	})
	return d, err
}

func (d folder) fd() int { return int(d.f.Fd()) }

func (d folder) close() { d.f.Close() }

// folder opens a folder inside d.
func (d folder) folder(name string) (folder, error) {
	sub := folder{path: filepath.Join(d.path, name), fault: d.fault}
	return sub.openat(d.fd(), name, unix.O_NOFOLLOW)
}

// open opens a file inside d and never waits: not for a FIFO's other end, not
// for a terminal.
func (d folder) open(name string, flags int, perm uint32) (*os.File, error) {
	var f *os.File
	err := d.do("open", name, func() error {
		fd, err := unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, perm)
		if err == nil {
			f = os.NewFile(uintptr(fd), filepath.Join(d.path, name))
		}
		return err
	})
	return f, err
}

func (d folder) stat() (st unix.Stat_t, err error) {
	err = d.do("stat", "", func() error { return unix.Fstat(d.fd(), &st) })
	return st, err
}

func (d folder) lstat(name string) (st unix.Stat_t, err error) {
	err = d.do("lstat", name, func() error {
		return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	return st, err
}

func isRegular(st unix.Stat_t) bool { return uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG }

func (d folder) unlink(name string) error {
	return d.do("unlink", name, func() error { return unix.Unlinkat(d.fd(), name, 0) })
}

func (d folder) link(name string, to folder, newName string) error {
	return d.do("link", name, func() error { return unix.Linkat(d.fd(), name, to.fd(), newName, 0) })
}

// rename replaces what has the new name.
func (d folder) rename(name string, to folder, newName string) error {
	return d.do("rename", name, func() error { return unix.Renameat(d.fd(), name, to.fd(), newName) })
}

// renameNew fails with fs.ErrExist where something has the new name, and with
// an error that is unsupported where the system has no such call.
func (d folder) renameNew(name string, to folder, newName string) error {
	return d.do("renamenew", name, func() error { return renameNoReplace(d.fd(), name, to.fd(), newName) })
}

// unsupported reports whether a file system, or the kernel, has no such call.
// EINVAL is renameat2's answer to a flag that a file system does not know, and
// fsync's for a folder that can't be synced (rename(2), fsync(2)).
func unsupported(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) ||
		errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
}

// sync commits the folder's entries: a file that is synced is not found again
// after power loss if its name is not. Some network file systems can't sync a
// folder, and need not.
func (d folder) sync() error {
	err := d.do("syncdir", "", d.f.Sync)
	if unsupported(err) {
		return nil
	}
	return err
}

// writeTemp writes data, synced, to a file that nobody else has, with exactly
// the given mode, and the group gid unless that is -1. The file's name bears
// the process id for sweep's sake. On an error no file is left.
func (d folder) writeTemp(prefix string, data []byte, mode uint32, gid int) (_ string, err error) {
	name := prefix + tempName()
	f, err := d.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close() // a second close does nothing
			d.unlink(name)
		}
	}()
	// The umask is the login's and may be anything.
	if err := d.do("fchmod", name, func() error { return unix.Fchmod(int(f.Fd()), mode) }); err != nil {
		return "", err
	}
	if gid >= 0 {
		// The folder's setgid bit has done this, unless somebody took it away or
		// the file system ignores it; without the group the service could not
		// read the event.
		var st unix.Stat_t
		err := d.do("fstat", name, func() error { return unix.Fstat(int(f.Fd()), &st) })
		if err == nil && int(st.Gid) != gid {
			err = d.do("fchown", name, func() error { return unix.Fchown(int(f.Fd()), -1, gid) })
		}
		if err != nil {
			return "", err
		}
	}
	if err := d.do("write", name, func() error { _, err := f.Write(data); return err }); err != nil {
		return "", err
	}
	// Before the file gets its name: a name that survives power loss without its
	// content is a torn event.
	if err := d.do("sync", name, f.Sync); err != nil {
		return "", err
	}
	// NFS tells a full quota here, and makes a .nfs file of one that is unlinked
	// while open.
	if err := d.do("close", name, f.Close); err != nil {
		return "", err
	}
	return name, nil
}

// tempName need not be secret, only new: files are made with O_EXCL.
func tempName() string { return fmt.Sprintf("%d-%016x", os.Getpid(), rand.Uint64()) }

// dirChunk is how many entries of a folder are held in memory at a time.
const dirChunk = 512

// each calls visit for each entry until it returns false. Entries that visit
// removes or moves away do no harm.
func (d folder) each(visit func(e fs.DirEntry) bool) error {
	// A descriptor of its own, because reading moves its offset.
	r, err := d.folder(".")
	if err != nil {
		return err
	}
	defer r.close()
	for {
		var entries []fs.DirEntry
		err := d.do("readdir", "", func() (err error) {
			entries, err = r.f.ReadDir(dirChunk)
			return err
		})
		for _, e := range entries {
			if !visit(e) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
