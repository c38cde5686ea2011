package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"
)

// Options are what a memory is opened with; the zero value has the defaults.
type Options struct {
	Keep     time.Duration  // how long a login is remembered; 0: DefaultKeep
	Learning time.Duration  // how long a new memory is not to be relied on, in the logins' own time; 0: DefaultLearning
	Zone     *time.Location // for the time of day; nil: UTC
	Now      func() time.Time
	// ReadOnly is for processes beside the worker that only look: nothing is
	// made, changed or moved, and a missing file is fs.ErrNotExist.
	ReadOnly bool
}

// Defaults of Options.
const (
	DefaultKeep     = 400 * 24 * time.Hour
	DefaultLearning = 7 * 24 * time.Hour
)

// Time limits of the methods, besides their caller's. A memory of a million
// logins answers in a millisecond or two; the rest is for a slow disk and for
// another process that writes.
const (
	recallLimit = slowness * time.Second
	recordLimit = slowness * 2 * time.Second
	batchLimit  = slowness * 10 * time.Second // of each part of a long piece of work
	forgetLimit = 10 * time.Minute
	// pause is how long a file that could not be used is left alone, so that a
	// queue of a thousand events does not wait a thousand times.
	pause = 2 * time.Second
	// How long to wait for another process that has the file, from one look to
	// the next.
	shortestWait = time.Millisecond
	longestWait  = 50 * time.Millisecond
)

// ErrDamaged means that the file is not, or no longer, a history. Only a
// ReadOnly memory returns it; another one begins anew, see Notice.
var ErrDamaged = errors.New("the history is damaged")

var errEmpty = fmt.Errorf("the history is empty: %w", fs.ErrNotExist)

// DB is a memory. It may be used by many goroutines; what writes waits for
// what writes, and what reads for what reads.
type DB struct {
	path string
	o    Options
	// Readers have a connection of their own, so that a login need not wait for
	// an import.
	reader, writer *slot
	// The constant, and 1: a test can't wait for that many logins, and waits
	// longer on a machine that has more to do.
	lateness int
	patience time.Duration
}

// slot holds one connection for whoever has its turn.
type slot struct {
	turn  chan struct{} // holds one token while somebody has it
	c     *conn
	file  os.FileInfo // that c is of
	err   error       // why it could not be used
	until time.Time   // and how long that is believed
}

// Open gives the memory in the file at path. It touches no file: the first use
// does, and makes the file where there is none.
func Open(path string, o Options) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Learning <= 0 {
		o.Learning = DefaultLearning
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	newSlot := func() *slot { return &slot{turn: make(chan struct{}, 1)} }
	return &DB{path: abs, o: o, reader: newSlot(), writer: newSlot(), lateness: lateness, patience: 1}, nil
}

// Close gives the file up, after what is under way. The memory can be used
// again, which opens it again.
func (d *DB) Close() error {
	for _, s := range []*slot{d.writer, d.reader} {
		s.turn <- struct{}{}
		s.drop()
		<-s.turn
	}
	return nil
}

func (s *slot) drop() {
	if s.c != nil {
		s.c.close()
	}
	s.c, s.file = nil, nil
}

// abandon gives up a connection in the midst of whose work there was a panic.
// Closing it may hang, for ever, on what that left locked.
func (s *slot) abandon() {
	if c := s.c; c != nil {
		go func() {
			debug.SetPanicOnFault(true)
			defer func() { recover() }()
			c.close()
		}()
	}
	s.c, s.file = nil, nil
}

func (s *slot) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// use runs f with a slot's connection, for at most limit. A damaged file is
// replaced, and f runs once more.
func (d *DB) use(ctx context.Context, s *slot, limit time.Duration, f func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit*d.patience)
	defer cancel()
	file, err := d.once(ctx, s, f)
	if !isDamage(err) {
		return err
	}
	if d.o.ReadOnly {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if herr := d.renew(ctx, file, err); herr != nil {
		return fmt.Errorf("%w; a new one can't be made: %w", err, herr)
	}
	_, err = d.once(ctx, s, f)
	return err
}

// once runs f, and says which file it ran on.
func (d *DB) once(ctx context.Context, s *slot, f func(context.Context, *conn) error) (file os.FileInfo, err error) {
	if err := s.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.turn }()
	if s.err != nil && d.o.Now().Before(s.until) && d.o.Now().After(s.until.Add(-2*pause)) {
		return nil, s.err
	}
	s.err = nil
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		file, err = d.guarded(ctx, s, f)
		if err == nil {
			return file, nil
		}
		if !isBusy(err) || !sleep(ctx, wait) {
			break
		}
	}
	// Whatever state the connection is in, the next one begins without it.
	s.drop()
	var newer *NewerError
	if isUnusable(err) || errors.As(err, &newer) {
		s.err, s.until = err, d.o.Now().Add(pause)
	}
	return file, err
}

// sleep waits, and reports whether there is time left.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// guarded runs f and turns a panic into an error: SQLite's own code, translated
// from C, may follow a wrong pointer where the file is damaged.
func (d *DB) guarded(ctx context.Context, s *slot, f func(context.Context, *conn) error) (file os.FileInfo, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s.abandon()
			err = fmt.Errorf("sqlite: %v", p)
		}
	}()
	if err := d.connect(ctx, s); err != nil {
		file = s.file
		s.drop()
		return file, err
	}
	return s.file, f(ctx, s.c)
}

// connect makes sure that a slot has a connection to the file that is now at
// the path.
func (d *DB) connect(ctx context.Context, s *slot) error {
	now, err := os.Lstat(d.path)
	if s.c != nil && err == nil && os.SameFile(now, s.file) {
		return nil
	}
	s.drop()
	if errors.Is(err, fs.ErrNotExist) && !d.o.ReadOnly {
		if err = create(d.path); err == nil {
			now, err = os.Lstat(d.path)
		}
	}
	if err == nil {
		err = inPlace(d.path)
	}
	if err != nil {
		return err
	}
	s.file = now
	if s.c, err = dial(ctx, d.path, d.o.ReadOnly); err != nil {
		return err
	}
	return settle(ctx, s.c, d.o.ReadOnly)
}

// inPlace checks the files that SQLite is about to open by their paths: it
// would follow a link, and may wait for the other end of a FIFO.
func inPlace(path string) error {
	for _, s := range append([]string{""}, logSuffixes[:]...) {
		info, err := os.Lstat(path + s)
		if err == nil && !info.Mode().IsRegular() {
			err = &fs.PathError{Op: "open", Path: path + s, Err: errors.New("not a regular file")}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// create makes an empty file that only its owner can read; SQLite gives its
// other files the same mode.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (d *DB) read(ctx context.Context, limit time.Duration, f func(context.Context, *conn) error) error {
	return d.use(ctx, d.reader, limit, func(ctx context.Context, c *conn) error {
		return c.tx(ctx, false, func() error { return f(ctx, c) })
	})
}

func (d *DB) write(ctx context.Context, limit time.Duration, f func(context.Context, *conn) error) error {
	return d.use(ctx, d.writer, limit, func(ctx context.Context, c *conn) error {
		return c.tx(ctx, true, func() error { return f(ctx, c) })
	})
}
