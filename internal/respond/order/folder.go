package order

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Folder is how orders and evidence pass between the worker, which speaks with the hub,
// and root, who acts: files in folders of the queue that both may write in, below one
// that is root's. Neither believes what it finds there.
type Folder string

// In returns the folder in a queue.
func In(spoolDir string) Folder { return Folder(filepath.Join(spoolDir, "orders")) }

// The folders in it. Each is made by install, and by tmpfiles.d.
const (
	newDir      = "new"      // orders, by the worker; root removes them
	tmpDir      = "tmp"      // what the worker writes, until it is whole
	evidenceDir = "evidence" // copies of evidence, by root; the worker removes what the hub has
	receiptDir  = "receipts" // what the hub said of them, by the worker; root removes them
)

// Dirs are the folders in it, by name.
func Dirs() []string { return []string{newDir, tmpDir, evidenceDir, receiptDir} }

const (
	suffix = ".json"
	// maxWaiting is how many orders, or pieces of evidence, may be in a folder.
	maxWaiting = 16
	// maxListed is how many are looked at, to find the oldest.
	maxListed = 256
	// maxReceipt is more than a receipt has, in bytes.
	maxReceipt = 1 << 10
)

// ErrFull means that so much lies in a folder that nothing more is put there.
var ErrFull = errors.New("more lies there than anybody has taken")

func (f Folder) dir(name string) string { return filepath.Join(string(f), name) }

// Exists reports whether the host has the folder: whether somebody set it up to take
// orders.
func (f Folder) Exists() bool {
	info, err := os.Stat(f.dir(newDir))
	return err == nil && info.IsDir()
}

// Put has root find a file that comes from the hub: an order, named by its nonce. The
// same once more is no error.
func (f Folder) Put(nonce string, signed []byte) error { return f.put(newDir, nonce, signed) }

// PutReceipt has root find the hub's receipt for a piece of evidence. Nobody waits for
// some of them: the oldest make room.
func (f Folder) PutReceipt(name string, receipt []byte) error {
	d, err := os.Open(f.dir(receiptDir))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := makeRoom(d); err != nil {
		return err
	}
	return f.put(receiptDir, name, receipt)
}

// makeRoom removes the oldest files of a folder until there is room for one more. The
// other who writes there must not make it take long, or much memory: folders stay, and
// of more than maxListed none is removed.
func makeRoom(d *os.File) error {
	entries, err := d.ReadDir(maxListed + 1)
	if err != nil && err != io.EOF {
		return err
	}
	if len(entries) > maxListed {
		return fmt.Errorf("%s: %w", d.Name(), ErrFull)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(modified(a), modified(b)) })
	for _, e := range entries[:max(0, len(entries)-maxWaiting+1)] {
		if err := unix.Unlinkat(int(d.Fd()), e.Name(), 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("%s: %w", filepath.Join(d.Name(), event.Clean(e.Name(), 64)), err)
		}
	}
	return nil
}

func (f Folder) put(dir, name string, data []byte) error {
	if waiting, err := os.ReadDir(f.dir(dir)); err != nil {
		return err
	} else if len(waiting) >= maxWaiting {
		return fmt.Errorf("%s: %w", f.dir(dir), ErrFull)
	}
	temp := filepath.Join(f.dir(tmpDir), name+suffix)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(temp, data); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(f.dir(dir), name+suffix))
}

func writeNew(path string, data []byte) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

// Found is what lay in the folder of orders.
type Found struct {
	Name string
	Data []byte
	Err  error // why it was not read: it is no file as the worker makes them
}

// errForeign is what somebody put in the place of a file.
var errForeign = errors.New("not a file of one name")

// Take takes some of what lies in the folder of orders out of it, and reports whether
// there may be more. It follows no link, waits for nothing, and reads no more than an
// order has.
func (f Folder) Take() (all []Found, more bool, err error) {
	d, err := os.Open(f.dir(newDir))
	if err != nil {
		return nil, false, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxWaiting)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	for _, e := range entries {
		x := Found{Name: event.Clean(e.Name(), 64)}
		x.Data, x.Err = readAt(d, e.Name(), MaxSize)
		all = append(all, x)
		if err := removeAt(d, e.Name()); err != nil {
			return all, false, err
		}
	}
	return all, len(entries) == maxWaiting, nil
}

// readAt reads a file of a folder in which others write.
func readAt(d *os.File, name string, limit int64) ([]byte, error) {
	fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errForeign
	}
	r := os.NewFile(uintptr(fd), name)
	defer r.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || uint32(st.Mode)&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return nil, errForeign
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("too large")
	}
	return b, err
}

// removeAt removes whatever has a name in a folder in which others write.
func removeAt(d *os.File, name string) error {
	root, err := os.OpenRoot(d.Name())
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(name) // which follows no link
}

// LeaveEvidence has the worker find a copy of evidence, under the nonce of an order or
// the id of an event. Where too many lie there, the oldest go: what was taken is kept
// elsewhere.
func (f Folder) LeaveEvidence(name string, data []byte) error {
	d, err := os.Open(f.dir(evidenceDir))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := makeRoom(d); err != nil {
		return err
	}
	var b [8]byte
	rand.Read(b[:])
	temp := ".tmp-" + hex.EncodeToString(b[:])
	fd, err := unix.Openat(int(d.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return err
	}
	w := os.NewFile(uintptr(fd), temp)
	_, err = w.Write(data)
	err = errors.Join(err, w.Chmod(0o640), w.Close())
	if err == nil {
		err = unix.Renameat(int(d.Fd()), temp, int(d.Fd()), name+suffix)
	}
	if err != nil {
		unix.Unlinkat(int(d.Fd()), temp, 0)
	}
	return err
}

// modified orders entries by their age, as far as it can be seen.
func modified(e os.DirEntry) int64 {
	info, err := e.Info()
	if err != nil {
		return 0
	}
	return info.ModTime().Unix()
}

// Receipt returns what the worker says that the hub said of a piece of evidence, and
// removes it; nil: nothing yet.
func (f Folder) Receipt(name string) []byte {
	d, err := os.Open(f.dir(receiptDir))
	if err != nil {
		return nil
	}
	defer d.Close()
	b, err := readAt(d, name+suffix, maxReceipt)
	_ = unix.Unlinkat(int(d.Fd()), name+suffix, 0) // a folder stays: to empty it may take long
	if err != nil {
		return nil
	}
	return b
}

// Evidence returns the names of what waits for the hub.
func (f Folder) Evidence() (names []string, err error) {
	entries, err := os.ReadDir(f.dir(evidenceDir))
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && (ValidNonce(name) || event.ValidID(name)) {
			names = append(names, name)
		}
	}
	return names, err
}

// EvidenceDir is where Evidence looks, to be watched.
func (f Folder) EvidenceDir() string { return f.dir(evidenceDir) }

// ReadEvidence returns a piece of it, of at most so many bytes.
func (f Folder) ReadEvidence(name string, limit int64) ([]byte, error) {
	r, err := os.Open(filepath.Join(f.dir(evidenceDir), name+suffix))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("too large")
	}
	return b, err
}

// RemoveEvidence removes a piece that the hub has, or will never take.
func (f Folder) RemoveEvidence(name string) error {
	return os.Remove(filepath.Join(f.dir(evidenceDir), name+suffix))
}
