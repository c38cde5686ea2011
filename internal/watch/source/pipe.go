package source

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeBuffer is what a pipe's lines may take while nobody reads them: a minute
// of 1,500 lines a second.
const pipeBuffer = 16 << 20

// pipeSize is how large the system lets a pipe's own buffer be, in bytes: on
// Linux /proc/sys/fs/pipe-max-size.
const pipeSize = 1 << 20

// pipeGrace is how long a pipe is still read that was renamed away.
const pipeGrace = 5 * time.Second

// pipe is a named pipe that others write into.
type pipe struct {
	*stream
	cur atomic.Pointer[pipeEnd]
}

// pipeEnd is a pipe that is open.
type pipeEnd struct {
	file     *os.File
	info     fs.FileInfo
	splitter splitter
	from     string    // what its lines' keys begin with: nothing is ever read twice
	until    time.Time // of one that was renamed away
}

// OpenPipe reads the named pipe at o.Path, which it makes if there is nothing:
// for its owner to read and its group, o.Group, to write. Anything else at that
// path, a symbolic link included, is an error. Writers never wait for a reader,
// but for the system's own buffer while this process is too busy to empty it:
// what comes while o.Buffer is full is dropped, counted and said.
//
// Nothing can be read twice of a pipe: what was read and not committed before a
// crash is lost.
func OpenPipe(o Options) (Source, error) {
	if o.Path == "" {
		return nil, errors.New("a pipe needs a path")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	o = o.named(o.Path)
	o.Path = path
	if o.Buffer <= 0 {
		o.Buffer = pipeBuffer
	}
	st, err := newStream(o, kindPipe, o.Buffer)
	if err != nil {
		return nil, err
	}
	s := &pipe{stream: st}
	e, err := s.open()
	if err != nil {
		return nil, err
	}
	s.cur.Store(e)
	s.keep.trouble(true, true, nil)
	s.wg.Go(s.run)
	return s, nil
}

// open opens the pipe, and makes it first where there is none.
func (s *pipe) open() (*pipeEnd, error) {
	path := s.opt.Path
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.make(); err != nil {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%s: %w: it is a %s", path, errNotPipe, kindOf(info.Mode()))
	}
	// To read and to write: then it never ends, whoever comes and goes, and
	// opening does not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(info, now) {
		err = fmt.Errorf("%s: was replaced while it was opened", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	widen(f)
	return &pipeEnd{file: f, info: now, splitter: splitter{source: s.opt.Name},
		from: s.opt.Name + "\x00" + rand.Text()}, nil
}

var errNotPipe = errors.New("is not a named pipe")

// make makes the pipe under another name first, so that nobody ever opens it
// with a mode or group that is not its own.
func (s *pipe) make() error {
	gid := -1
	if s.opt.Group != "" {
		g, err := user.LookupGroup(s.opt.Group)
		if err != nil {
			return err
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return err
		}
	}
	tmp := filepath.Join(filepath.Dir(s.opt.Path), "."+filepath.Base(s.opt.Path)+"."+rand.Text())
	if err := unix.Mkfifo(tmp, 0o600); err != nil {
		return &fs.PathError{Op: "mkfifo", Path: s.opt.Path, Err: err}
	}
	defer os.Remove(tmp)
	if gid >= 0 {
		if err := os.Lchown(tmp, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o620); err != nil {
		return err
	}
	// A link, for it never replaces what somebody else made meanwhile.
	if err := os.Link(tmp, s.opt.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// run reads, and looks every now and then whether the pipe is still there.
func (s *pipe) run() {
	cur, old := s.cur.Load(), (*pipeEnd)(nil)
	buf := make([]byte, chunk)
	looked := time.Now()
	defer func() {
		for _, e := range []*pipeEnd{old, cur} {
			if e != nil {
				s.drain(e, buf)
				s.finish(e)
			}
		}
		s.queue.end(nil)
	}()
	for !s.closing() {
		now := time.Now()
		if now.Sub(looked) >= s.opt.poll {
			looked = now
			if e := s.replaced(cur); e != nil {
				if old != nil {
					s.finish(old)
				}
				old, cur = cur, e
				old.until = now.Add(pipeGrace)
				s.cur.Store(cur)
			}
		}
		if old != nil {
			s.drain(old, buf)
			if now.After(old.until) {
				s.finish(old)
				old = nil
			}
		}
		if s.readSome(cur, buf, looked.Add(s.opt.poll)) != nil {
			select {
			case <-s.done:
			case <-time.After(s.opt.poll): // no busy loop, whatever it is
			}
		}
	}
}

func (s *pipe) closing() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// readSome reads once, and waits for that no longer than until.
func (s *pipe) readSome(e *pipeEnd, buf []byte, until time.Time) error {
	if err := e.file.SetReadDeadline(until); err != nil || s.closing() {
		return err // Close sets a deadline of its own, after it said so
	}
	n, err := e.file.Read(buf)
	s.split(e, string(buf[:n]))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil && s.keep.trouble(true, false, err) {
		s.opt.Log.Warn("can't be read", "path", s.opt.Path, "error", err)
	}
	return err
}

// drain reads what is there, and waits for nothing.
func (s *pipe) drain(e *pipeEnd, buf []byte) {
	raw, err := e.file.SyscallConn()
	if err != nil || e.file.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for range pipeSize / len(buf) {
		n := 0
		raw.Read(func(fd uintptr) bool {
			n, _ = unix.Read(int(fd), buf)
			return true
		})
		if n <= 0 {
			return
		}
		s.split(e, string(buf[:n]))
	}
}

func (s *pipe) split(e *pipeEnd, text string) {
	for len(text) > 0 {
		b := Batch{from: e.from}
		text = text[e.splitter.feed(text, &b):]
		if len(b.Lines) > 0 {
			s.give(b)
		}
	}
}

// finish returns the line that has no end, and closes the pipe.
func (s *pipe) finish(e *pipeEnd) {
	b := Batch{from: e.from}
	if e.splitter.flush(&b); len(b.Lines) > 0 {
		s.give(b)
	}
	e.file.Close()
}

// give hands on b, or counts it.
func (s *pipe) give(b Batch) {
	if s.queue.offer(b) {
		return
	}
	n := int64(len(b.Lines))
	var before int64
	s.keep.note(func(st *Status) {
		before = st.Dropped
		st.Dropped += n
		st.Err, st.ErrAt = "lines came faster than they were taken, and were dropped", time.Now()
	})
	// Powers of two: every loss is in the count, and the log is not flooded.
	if before == 0 || leadingBit(before) != leadingBit(before+n) {
		s.opt.Log.Warn("lines come faster than they are taken, and are dropped", "dropped", before+n)
	}
}

func leadingBit(n int64) (bit int) {
	for ; n > 1; n >>= 1 {
		bit++
	}
	return bit
}

// replaced opens the pipe again if it is no longer the one that is read.
func (s *pipe) replaced(cur *pipeEnd) *pipeEnd {
	info, err := os.Lstat(s.opt.Path)
	if err == nil && os.SameFile(info, cur.info) {
		if st := s.keep.status(); !st.There || !st.Readable {
			s.keep.trouble(true, true, nil)
		}
		return nil
	}
	e, err := s.open()
	if err != nil {
		if errors.Is(err, errNotPipe) {
			err = fmt.Errorf("%w; its writer renamed the pipe (Snort does, where a size limit is set): "+
				"remove it and start the writer again", err)
		}
		if s.keep.trouble(false, false, err) {
			s.opt.Log.Warn("the pipe is gone", "error", err)
		}
		return nil
	}
	s.opt.Log.Warn("the pipe was renamed or removed, and is open again", "path", s.opt.Path)
	s.keep.trouble(true, true, nil)
	return e
}

// Close takes what is in the pipe, and no more.
func (s *pipe) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.cur.Load().file.SetReadDeadline(time.Unix(1, 0))
	})
	s.wg.Wait()
	return s.keep.save()
}
