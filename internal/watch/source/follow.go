package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is how much is read at a time. The texts of its lines share it, so that
// it is also what one text may keep in memory.
const chunk = 128 << 10

// follow reads one file, whatever its name is by now.
type follow struct {
	fileID          // Off, Head and Tail are as of the last line that was given
	data   content  //
	plain  *os.File // data, if it is a plain file
	still  bool     // nothing is added to it: a copy, or compressed

	split    splitter
	head     []byte // the first bytes, up to headSize, all of them read
	readTail []byte // the last bytes read
	buf      []byte
	r, w     int // what was read and not split yet
	mtime    time.Time
	since    time.Time // when nothing had been read of it yet
	scratch  [headSize]byte

	failing  bool      // the last read gave an error
	replaced time.Time // when a newer one had lines, or this one was deleted
}

// content is a plain file or one that is decompressed.
type content interface {
	io.ReaderAt
	io.Closer
}

// newFollow reads data from p's offset on. It does not look whether it is p's
// file.
func newFollow(name string, data content, p fileID) (*follow, error) {
	f := &follow{fileID: p, data: data, split: splitter{source: name, start: p.Off, next: p.Off}}
	f.plain, _ = data.(*os.File)
	var err error
	if f.head, err = readAt(data, 0, int(min(p.Off, headSize))); err != nil {
		return nil, err
	}
	n := min(p.Off, tailSize)
	if f.readTail, err = readAt(data, p.Off-n, int(n)); err != nil {
		return nil, err
	}
	f.sign(f.readTail)
	return f, nil
}

// sign makes fileID say how far f came; tail is what stands before that.
func (f *follow) sign(tail []byte) {
	f.Off = f.split.start
	if n := int(min(int64(len(f.head)), f.Off)); n != f.HeadLen || f.Head == "" {
		f.HeadLen, f.Head, f.Short = n, digest(f.head[:n]), nil
		if n < headSize {
			f.Short = bytes.Clone(f.head[:n])
		}
	}
	f.TailLen, f.Tail = len(tail), digest(tail)
}

// errChanged says that what was read already stands there no longer: the file
// was truncated or written anew.
var errChanged = errors.New("was truncated")

// read appends lines to b, none where there is nothing new.
func (f *follow) read(b *Batch) error {
	if f.r == f.w {
		if err := f.load(); err != nil || f.r == f.w {
			return err
		}
	}
	f.r += f.split.feed(string(f.buf[f.r:f.w]), b)
	if f.split.start != f.Off {
		end := f.r - int(f.split.next-f.split.start)
		f.sign(f.buf[max(0, end-tailSize):end])
	}
	return nil
}

// load reads what comes next into buf, after the bytes that were read last:
// that they are still there is what shows that the file is as it was, in the
// same read that gives the new ones.
func (f *follow) load() error {
	next := f.split.next
	if f.plain != nil {
		info, err := f.plain.Stat()
		if err != nil {
			return err
		}
		size, mtime := info.Size(), info.ModTime()
		if size < next {
			return errChanged
		}
		if size == next && mtime.Equal(f.mtime) {
			return nil
		}
		if !f.sameHead() {
			return errChanged
		}
		if size == next {
			f.mtime = mtime
		}
	}
	if f.buf == nil {
		f.buf = make([]byte, tailSize+chunk)
	}
	k := 0
	if f.plain != nil {
		k = len(f.readTail)
	}
	n, err := f.data.ReadAt(f.buf[:k+chunk], next-int64(k))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n < k || !bytes.Equal(f.buf[:k], f.readTail[:k]) {
		return errChanged
	}
	f.r, f.w = k, n
	fresh := f.buf[k:n]
	if int64(len(f.head)) == next && len(f.head) < headSize {
		f.head = append(f.head, fresh[:min(len(fresh), headSize-len(f.head))]...)
	}
	if len(fresh) > 0 {
		f.readTail = append(f.readTail[:0], f.buf[max(0, n-tailSize):n]...)
		f.skipHole(fresh)
	}
	return nil
}

func (f *follow) sameHead() bool {
	n, _ := f.plain.ReadAt(f.scratch[:len(f.head)], 0)
	return bytes.Equal(f.scratch[:n], f.head)
}

// skipHole goes on where there is something, after a read that gave but zeros:
// the hole of a truncated file may be as large as the file ever was.
func (f *follow) skipHole(fresh []byte) {
	if f.plain == nil || len(fresh) < chunk || len(bytes.Trim(fresh, "\x00")) > 0 || f.split.next > f.split.start {
		return
	}
	next := f.split.next + int64(len(fresh))
	at, err := f.plain.Seek(next, unix.SEEK_DATA) // moves nothing else: all reads name their offset
	if err != nil || at <= next {
		return
	}
	f.split.start, f.split.next = at, at
	f.r, f.w = 0, 0
	f.readTail, _ = readAt(f.plain, at-tailSize, tailSize)
	f.sign(f.readTail)
}

// drained says that all that was read was given, but for a line that is not
// complete.
func (f *follow) drained() bool { return f.r == f.w }

// size is how long the file is now.
func (f *follow) size() int64 {
	if info, err := f.info(); err == nil {
		return info.Size()
	}
	return f.split.next
}

func (f *follow) info() (fs.FileInfo, error) {
	if f.plain == nil {
		return nil, fs.ErrInvalid
	}
	return f.plain.Stat()
}

func (f *follow) close() { f.data.Close() }
