package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/google/renameio/v2"
)

// maxFile bounds the files that are read: none that is edited here is near it,
// but a program is.
const maxFile = 64 << 20

// file is what stands at a path of the host, or that nothing does.
type file struct {
	path     string // without links
	exists   bool
	dir      bool
	data     []byte
	mode     fs.FileMode // permissions and setid bits
	uid, gid int
	links    uint64
}

const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// stat reads everything of a file but its content.
func (h Host) stat(p string) (file, error) {
	rp, err := h.resolve(p)
	if err != nil {
		return file{}, err
	}
	f := file{path: rp}
	fi, err := os.Lstat(h.real(rp))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return f, nil
	}
	if err != nil {
		return f, h.plain(err)
	}
	f.exists, f.dir, f.mode = true, fi.IsDir(), fi.Mode()&modeBits
	if !f.dir && !fi.Mode().IsRegular() {
		return f, fmt.Errorf("%s: not a regular file", rp)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		f.uid, f.gid, f.links = int(st.Uid), int(st.Gid), uint64(st.Nlink)
	}
	return f, nil
}

// read reads a file. That there is none is no error.
func (h Host) read(p string) (file, error) {
	f, err := h.stat(p)
	if err != nil || !f.exists {
		return f, err
	}
	if f.dir {
		return f, fmt.Errorf("%s: is a folder", f.path)
	}
	// A regular file a moment ago: O_NONBLOCK in case it is a FIFO by now.
	r, err := os.OpenFile(h.real(f.path), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return f, h.plain(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if st, err := r.Stat(); err == nil { // a program has megabytes, which are not to be moved while they come
		b.Grow(int(min(max(st.Size(), 0), maxFile)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(r, maxFile+1)); err != nil {
		return f, h.plain(err)
	}
	f.data = b.Bytes()
	if len(f.data) > maxFile {
		return f, fmt.Errorf("%s: larger than %d MiB", f.path, maxFile>>20)
	}
	return f, nil
}

// text returns a file's content, or "" where it can't be read.
func (h Host) text(p string) string {
	f, err := h.read(p)
	if err != nil {
		return ""
	}
	return string(f.data)
}

func (h Host) exists(p string) bool {
	f, err := h.stat(p)
	return f.exists || err != nil
}

// put writes f as a whole: whoever reads the path sees the old content or the
// new one, also after a power cut. f.path has no links.
func (h Host) put(f file) (err error) {
	name := h.real(f.path)
	dir := path.Dir(name)
	// The folder of the file is the one place whose rename is sure to be
	// atomic.
	t, err := renameio.NewPendingFile(name, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return h.plain(err)
	}
	defer t.Cleanup()
	if _, err := t.Write(f.data); err != nil {
		return h.plain(err)
	}
	// Attributes first: a change of the mode may have to win over an access
	// list, and a change of owner clears the setid bits.
	copyAttributes(name, t.Name())
	err = h.setOwner(t.Name(), f.uid, f.gid)
	if errors.Is(err, fs.ErrPermission) && f.uid == os.Geteuid() {
		// Only root can give a file to a group that it is not in. The one that
		// gets it instead may do no more than all others may.
		err, f.mode = nil, f.mode&^0o070|f.mode&0o007<<3
	}
	if err != nil {
		return h.plain(err)
	}
	if err := t.Chmod(f.mode); err != nil {
		return h.plain(err)
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return h.plain(err)
	}
	return h.plain(syncDir(dir))
}

// setOwner changes an owner where it is not right already, so that a user can
// write files that are her own.
func (h Host) setOwner(name string, uid, gid int) error {
	fi, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	if h.Chown != nil {
		return h.Chown(name, uid, gid)
	}
	return os.Lchown(name, uid, gid)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	// Some file systems can't sync a folder, and say so.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
