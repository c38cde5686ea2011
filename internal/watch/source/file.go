package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// minPoll is the wait between two looks at a file that gives lines, and
	// maxPoll the longest: it bounds how late a new file is seen.
	minPoll = 250 * time.Millisecond
	maxPoll = time.Second

	// settle is the wait after the system said that a file changed, so that a
	// busy one is read some forty times a second and not at every line.
	settle = 25 * time.Millisecond

	// defaultGrace is how long a file is still looked at when a newer one has
	// lines: of several writers some reopen it late.
	defaultGrace = 30 * time.Second

	// patience is how many looks a file may be missing whose last one is still
	// followed, before that is said.
	patience = 10

	// maxFiles bounds how many files are open for one source.
	maxFiles = 32
)

// file follows the file at a path through whatever its writers and rotation do
// to it.
type file struct {
	opt     Options
	keep    *checkpoint
	watcher *fsnotify.Watcher // nil where there is none: polling alone

	closing chan struct{}
	once    sync.Once

	mu       sync.Mutex // all below: what Read does between two waits
	closed   bool
	files    []*follow // oldest first; the last is the one at the path, if any
	gen      int64
	done     []fileID // read to their end
	resolved bool     // the position was looked up
	begin    *fileID  // where the file is to be begun that could not be read
	absent   bool     // there is nothing at the path
	gone     int      // looks at which there was nothing
	unsaved  bool     // files were begun or left since the last position
	given    int64    // batches
	watched  string
	idle     time.Duration
	looked   time.Time
}

// OpenFile follows the file at o.Path, which need not be there yet. Without a
// position it begins at the end, unless o.FromStart; a file that is made later
// is read from its start. A replay (o.Once) must be there, and may be packed, see
// Unpack; each Read overwrites the lines that the one before gave.
func OpenFile(o Options) (Source, error) {
	if o.Path == "" {
		return nil, errors.New("a file needs a path")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	o = o.named(o.Path)
	o.Path = path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is a %s", path, errNotPlain, kindOf(info.Mode()))
	}
	if o.Once {
		f, err := openPlain(path)
		if err != nil {
			return nil, err
		}
		return openOnce(f, o)
	}
	s := &file{opt: o, closing: make(chan struct{})}
	if s.keep, err = newCheckpoint(o, kindFile); err != nil {
		return nil, err
	}
	// A host may be out of inotify instances; looking every now and then
	// finds the same, later.
	s.watcher, _ = fsnotify.NewWatcher()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resume()
	// What comes from now on is read, even after a crash before the first line.
	if s.resolved {
		if err := s.keep.commit(Batch{pos: s.snapshot()}); err != nil {
			s.closeLocked()
			return nil, err
		}
	}
	return s, nil
}

func (s *file) Name() string   { return s.opt.Name }
func (s *file) Status() Status { return s.status() }

func (s *file) Read(ctx context.Context) (Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		b, more, err := s.step(time.Now())
		if err != nil {
			return Batch{}, err
		}
		if len(b.Lines) > 0 {
			s.keep.got(b)
			return b, nil
		}
		if more {
			continue
		}
		if err := s.wait(ctx); err != nil {
			return Batch{}, err
		}
	}
}

// Commit may also be called after Close: it then writes at once.
func (s *file) Commit(b Batch) error {
	err := s.keep.commit(b)
	select {
	case <-s.closing:
		return errors.Join(err, s.keep.save())
	default:
		return err
	}
}

func (s *file) Close() error {
	s.once.Do(func() { close(s.closing) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked()
	return s.keep.save()
}

func (s *file) closeLocked() {
	if s.closed {
		return
	}
	s.closed = true
	for _, f := range s.files {
		f.close()
	}
	if s.watcher != nil {
		s.watcher.Close()
	}
}

func (s *file) status() Status {
	st := s.keep.status()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.files); n > 0 && !s.closed {
		st.Behind = max(0, s.files[n-1].size()-st.Offset)
	}
	return st
}

// step returns lines, or says whether to look again at once.
func (s *file) step(now time.Time) (b Batch, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Batch{}, false, io.EOF
	}
	if now.Sub(s.looked) >= minPoll || s.idle > 0 {
		s.look(now)
	}
	for i, f := range s.files {
		if s.overrun(i) {
			s.truncated(i, &b)
			return Batch{}, true, nil
		}
		before := f.split.next
		err := f.read(&b)
		switch {
		case errors.Is(err, errChanged):
			s.truncated(i, &b)
			if len(b.Lines) == 0 {
				return Batch{}, true, nil
			}
			return s.give(b), false, nil
		case err != nil:
			s.failed(f, err)
		default:
			f.failing = false
		}
		if len(b.Lines) == 0 && f.drained() && f.split.next == before && s.finished(i, now) {
			// The line that has no end yet will have none.
			f.split.flush(&b)
			b.from = f.key(s.opt.Name)
			s.leave(i)
			if len(b.Lines) == 0 {
				return Batch{}, true, nil
			}
		}
		if len(b.Lines) > 0 {
			b.from = f.key(s.opt.Name)
			return s.give(b), false, nil
		}
		if !f.drained() || f.split.next != before {
			return Batch{}, true, nil // a piece of a long line
		}
	}
	if s.unsaved && s.keep.allCommitted(s.given) {
		// Nobody else will: there may be no line for a long time.
		s.unsaved = false
		err = s.keep.commit(Batch{pos: s.snapshot(), seq: s.given})
		if err != nil {
			s.opt.Log.Warn("the position was not written", "error", err)
		}
	}
	return Batch{}, false, nil
}

// give completes a batch that has lines.
func (s *file) give(b Batch) Batch {
	s.idle = 0
	s.unsaved = false
	s.given++
	b.seq = s.given
	b.pos = s.snapshot()
	return b
}

// wait waits until something may have changed.
func (s *file) wait(ctx context.Context) error {
	due, err := s.keep.saveDue()
	if err != nil {
		s.opt.Log.Warn("the position was not written", "error", err)
	}
	s.idle = min(max(2*s.idle, min(minPoll, s.opt.poll)), s.opt.poll)
	d := s.idle
	if due > 0 {
		d = min(d, due)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	var events chan fsnotify.Event
	var failures chan error
	if s.watcher != nil {
		// Nobody else takes these: while lines are being read the kernel
		// makes one of all changes.
		events, failures = s.watcher.Events, s.watcher.Errors
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return nil
	case <-timer.C:
		return nil
	case <-failures:
	case <-events:
	}
	timer.Reset(min(settle, s.opt.poll))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
	case <-timer.C:
	}
	return nil
}

// failed notes what went wrong with a file, and says it once.
func (s *file) failed(f *follow, err error) {
	f.failing = true
	if s.keep.trouble(true, false, err) {
		s.opt.Log.Warn("can't be read", "path", f.Real, "error", err)
	}
}

// missing notes why there is nothing at the path, and says it once.
func (s *file) missing(err error) {
	if !errors.Is(err, fs.ErrNotExist) || len(s.files) == 0 {
		s.gone = 0
	} else if s.gone++; s.gone < patience {
		return // rotation takes a moment, and some writers make the file themselves
	}
	there := !errors.Is(err, fs.ErrNotExist)
	switch news := s.keep.trouble(there, false, err); {
	case !news:
	case !there && s.opt.Usual:
		s.opt.Log.Debug("is waited for", "path", s.opt.Path)
	case errors.Is(err, fs.ErrPermission):
		s.opt.Log.Warn("is not for this user to read: sshnotify doctor says what to do", "path", s.opt.Path, "error", err)
	default:
		s.opt.Log.Warn("is waited for", "path", s.opt.Path, "error", err)
	}
}
