package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// What is kept of a file to know it again: of its beginning, and of what stands
// before an offset.
const (
	headSize = 1024
	tailSize = 64
)

// identity is which file it is, for as long as that file exists.
func identity(info fs.FileInfo) (dev, ino uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), st.Ino
	}
	return 0, 0
}

// unlinked reports whether a file that is open has no name any more.
func unlinked(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// openPlain opens a plain file, and does not wait for the writer of a pipe.
func openPlain(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w: it is a %s", path, errNotPlain, kindOf(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var errNotPlain = errors.New("is not a plain file")

// kindOf names what a path is.
func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m.IsRegular():
		return "plain file"
	}
	return "device"
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// holds reports whether r has, before p's offset, what the file had that p is of.
// It says no where p knows too little to tell.
func (p fileID) holds(r io.ReaderAt) bool {
	return p.HeadLen > 0 && p.agrees(r)
}

// begins reports whether r is p's file or the beginning of it, as of a copy that
// was made before p was reached.
func (p fileID) begins(r io.ReaderAt) bool {
	if p.HeadLen > 0 && has(r, 0, p.HeadLen, p.Head) {
		return true
	}
	b, _ := readAt(r, 0, p.HeadLen)
	return len(b) > 0 && len(b) < p.HeadLen && bytes.HasPrefix(p.Short, b)
}

// agrees reports whether nothing speaks against r being the file that p is of.
func (p fileID) agrees(r io.ReaderAt) bool {
	return has(r, 0, p.HeadLen, p.Head) && has(r, p.Off-int64(p.TailLen), p.TailLen, p.Tail)
}

func has(r io.ReaderAt, off int64, n int, sum string) bool {
	if n == 0 {
		return true
	}
	b := make([]byte, n)
	got, _ := r.ReadAt(b, off)
	return got == n && digest(b) == sum
}

// readAt returns up to n bytes at off, fewer at the end of r.
func readAt(r io.ReaderAt, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes.Clone(b[:got]), err
}
