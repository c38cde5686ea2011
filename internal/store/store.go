// Package store owns the worker's database: one SQLite file in the state
// folder that holds the history of logins and all that a later worker must
// know. It owns the schema with its migrations, and what happens to a file that
// is damaged, full, locked, or a newer sshnotify's.
//
// It must never stop or delay a delivery: each use has a time limit, and every
// error can be ignored. The queue is not in it, because the login hook writes
// that, and the hook must never import this package.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/sshnotify/sshnotify/internal/state"
)

// FileName is the database's name in the state folder. It began as the history
// alone, and keeps the name so that an older sshnotify sees that a newer one
// wrote it.
const FileName = "history.db"

// Options says how a database is opened; the zero value has the defaults.
type Options struct {
	Now func() time.Time // nil: time.Now
	// ReadOnly is for processes beside the worker that only look: nothing is
	// made, changed or moved, and a missing file is fs.ErrNotExist.
	ReadOnly bool
	// Existing is for processes beside the worker that write in what is there:
	// neither a folder nor a file is made, for it may be another user's to make,
	// nor a new one in the place of a damaged one; a missing file is fs.ErrNotExist.
	Existing bool
	// CacheKiB is how much of the file a connection keeps in memory; 0: 2,000. What
	// is asked and written for a login is some 40 pages.
	CacheKiB int
	// Scratch is for a file that is deleted in the end: nothing in it needs to
	// outlive a crash, and no delivery waits for it, so that what is asked of it may
	// take scratchPatience times as long.
	Scratch bool
}

// Time limits, besides the caller's. A database of a million logins answers in
// a millisecond or two; the rest is for a slow disk, for another process that
// writes, and for a machine that is under attack: who is judged without the memory
// is no stranger, which is worse than some seconds.
const (
	ReadLimit  = slowness * 5 * time.Second
	WriteLimit = slowness * 10 * time.Second
	BatchLimit = slowness * 10 * time.Second // of each part of a long piece of work
	CheckLimit = 10 * time.Minute            // of what reads or writes the whole file
)

// scratchPatience multiplies the time limits of a scratch file.
const scratchPatience = 60

const (
	// pause is how long a file that could not be used is left alone, so that a
	// queue of a thousand events does not wait a thousand times.
	pause = 2 * time.Second
	// How long to wait for another process that has the file, from one look to
	// the next.
	shortestWait = time.Millisecond
	longestWait  = 50 * time.Millisecond
)

// DB is the database. It may be used by many goroutines; what writes waits for
// what writes. It opens the file at the first use, and again after Close.
type DB struct {
	path    string
	o       Options
	writing chan struct{} // holds one token while somebody writes

	mu   sync.RWMutex // held for reading while connections are in use
	db   *sql.DB      // nil: not open
	file os.FileInfo  // that it is of

	idleMu sync.Mutex
	idle   []*conn

	failMu       sync.Mutex
	readFailure  failure
	writeFailure failure

	patience time.Duration // 1; a test waits longer on a machine that has more to do
}

// failure is why the file could not be used, and how long that is believed.
type failure struct {
	err   error
	until time.Time
}

// Open returns the database in the file at path. It touches no file: the first
// use does, and makes the file where there is none.
func Open(path string, o Options) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheKiB <= 0 {
		o.CacheKiB = 2000
	}
	d := &DB{path: abs, o: o, writing: make(chan struct{}, 1), patience: 1}
	if o.Scratch {
		d.patience = scratchPatience
	}
	return d, nil
}

// Path returns the file's path.
func (d *DB) Path() string { return d.path }

// BePatient multiplies all time limits, for tests on a busy machine.
func (d *DB) BePatient(times int) { d.patience = time.Duration(times) }

// Close closes the file, after what is under way. The database can be used
// again, which opens it again.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.close()
}

func (d *DB) close() error {
	for _, c := range d.idle {
		c.close()
	}
	db := d.db
	d.db, d.file, d.idle = nil, nil, nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// conn is a connection with the statements that were prepared on it: preparing
// one takes longer than to run it. database/sql would prepare them anew in every
// transaction, or on a second connection first.
type conn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt
}

func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.Conn.Close()
}

func (c *conn) stmt(ctx context.Context, q string) (*sql.Stmt, error) {
	if s := c.stmts[q]; s != nil {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, q)
	if err == nil {
		c.stmts[q] = s
	}
	return s, err
}

// conn returns a connection that nobody else uses.
func (d *DB) conn(ctx context.Context) (*conn, error) {
	d.idleMu.Lock()
	defer d.idleMu.Unlock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		return c, nil
	}
	c, err := d.db.Conn(context.WithoutCancel(ctx)) // the time may be up after a migration
	return &conn{c, map[string]*sql.Stmt{}}, err
}

// Tx is a transaction, for one goroutine.
type Tx struct {
	ctx  context.Context
	conn *conn
}

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(q string, args ...any) (sql.Result, error) {
	s, err := t.conn.stmt(t.ctx, q)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(t.ctx, args...)
}

// Each calls row for every row of a query; row may ask nothing else of the
// transaction.
func (t *Tx) Each(row func(*sql.Rows) error, q string, args ...any) error {
	s, err := t.conn.stmt(t.ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// One reads the first row of a query into to, and reports whether there is one.
func (t *Tx) One(to []any, q string, args ...any) (found bool, err error) {
	err = t.Each(func(r *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return r.Scan(to...)
	}, q, args...)
	return found && err == nil, err
}

// Read runs f in a transaction that only reads, for at most limit. It may run f
// more than once.
func (d *DB) Read(ctx context.Context, limit time.Duration, f func(*Tx) error) error {
	return d.use(ctx, &d.readFailure, limit, func(ctx context.Context, c *conn) error {
		return transact(ctx, c, "BEGIN", f)
	})
}

// Write runs f in a transaction, for at most limit. It may run f more than once.
// A power failure may undo the last transactions, but leaves none half done.
func (d *DB) Write(ctx context.Context, limit time.Duration, f func(*Tx) error) error {
	return d.alone(ctx, limit, func(ctx context.Context, c *conn) error {
		return transact(ctx, c, beginWrite, f)
	})
}

// WriteDurably is Write for what a power failure must not undo either.
func (d *DB) WriteDurably(ctx context.Context, limit time.Duration, f func(*Tx) error) error {
	return d.alone(ctx, limit, func(ctx context.Context, c *conn) error {
		if _, err := c.ExecContext(ctx, "PRAGMA synchronous = full"); err != nil {
			return err
		}
		if err := transact(ctx, c, beginWrite, f); err != nil {
			return err
		}
		_, err := c.ExecContext(ctx, "PRAGMA synchronous = normal")
		return err
	})
}

// beginWrite takes the lock at once, because a reader that turns writer can't
// wait for another.
const beginWrite = "BEGIN IMMEDIATE"

// transact leaves undoing a transaction that fails to use, which closes the
// connection after an error.
func transact(ctx context.Context, c *conn, begin string, f func(*Tx) error) error {
	t := &Tx{ctx, c}
	if _, err := t.Exec(begin); err != nil {
		return err
	}
	if err := f(t); err != nil {
		return err
	}
	_, err := t.Exec("COMMIT")
	return err
}

// Compact writes the file anew, without what was deleted, and empties the log:
// copies of a deleted row may stay in the unused part of a page that was split
// or merged. It needs as much room as the file once more.
func (d *DB) Compact(ctx context.Context) error {
	return d.alone(ctx, CheckLimit, func(ctx context.Context, c *conn) error {
		// The copy is as large as the file, and not to be kept in memory.
		for _, q := range []string{"PRAGMA temp_store = file", "VACUUM", "PRAGMA temp_store = memory"} {
			if _, err := c.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		for {
			var busy, inLog, done int
			err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &done)
			if err != nil || busy == 0 {
				return err
			}
			if !Sleep(ctx, longestWait) {
				return errors.New("another process reads the database")
			}
		}
	})
}

// Copy returns a copy of the database as it is now, without what was deleted. It is a
// file that has no name any more, and goes with its Close.
func (d *DB) Copy(ctx context.Context) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(d.path), ".copy-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	err = d.use(ctx, &d.readFailure, CheckLimit, func(ctx context.Context, c *conn) error {
		if err := f.Truncate(0); err != nil { // f may run twice
			return err
		}
		_, err := c.ExecContext(ctx, "VACUUM INTO ?", f.Name())
		return err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Migrate brings a file of an earlier version up to date, which takes seconds
// where it holds a million logins: longer than its limit, which is for a file
// that somebody has. Any other use does so, too, but has no time left then.
func (d *DB) Migrate(ctx context.Context) error {
	return d.use(ctx, &d.writeFailure, WriteLimit, func(context.Context, *conn) error { return nil })
}

// Check looks through the whole file for damage, of which it makes a new one.
func (d *DB) Check(ctx context.Context) error {
	return d.use(ctx, &d.readFailure, CheckLimit, func(ctx context.Context, c *conn) error {
		var says string
		if err := c.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&says); err != nil {
			return err
		}
		if says != "ok" {
			return fmt.Errorf("%w: %s", ErrDamaged, says)
		}
		return nil
	})
}

// alone is use for what writes.
func (d *DB) alone(ctx context.Context, limit time.Duration, f func(context.Context, *conn) error) error {
	return d.use(ctx, &d.writeFailure, limit, func(ctx context.Context, c *conn) error {
		select {
		case d.writing <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-d.writing }()
		return f(ctx, c)
	})
}

// use runs f while the file is open, for at most limit. A damaged file is
// replaced, and f runs once more.
func (d *DB) use(ctx context.Context, last *failure, limit time.Duration, f func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit*d.patience)
	defer cancel()
	file, err := d.try(ctx, last, f)
	if !isDamage(err) {
		return err
	}
	if d.o.ReadOnly || d.o.Existing {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if rerr := d.renew(ctx, file, err); rerr != nil {
		return fmt.Errorf("%w; a new one can't be made: %w", err, rerr)
	}
	_, err = d.try(ctx, last, f)
	return err
}

// try runs f, and returns the file that it ran on.
func (d *DB) try(ctx context.Context, last *failure, f func(context.Context, *conn) error) (file os.FileInfo, err error) {
	if err := d.known(last); err != nil {
		return nil, err
	}
	patience, cancel := context.WithTimeout(ctx, BatchLimit*d.patience)
	defer cancel()
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		// SQLite does not wait for other processes itself, because the driver may
		// not heed a context while it does.
		file, err = d.guarded(ctx, f)
		if err == nil {
			return file, nil
		}
		if !isBusy(err) || !Sleep(patience, wait) {
			break
		}
	}
	if newer := (*NewerError)(nil); isUnusable(err) || errors.As(err, &newer) {
		d.failMu.Lock()
		*last = failure{err, d.o.Now().Add(pause)}
		d.failMu.Unlock()
	}
	return file, err
}

// known returns why the file could not be used a moment ago.
func (d *DB) known(last *failure) error {
	d.failMu.Lock()
	defer d.failMu.Unlock()
	if now := d.o.Now(); !now.Before(last.until) || !now.After(last.until.Add(-2*pause)) {
		*last = failure{}
	}
	return last.err
}

// Sleep waits, and reports whether there is time left.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// guarded runs f with a connection, and turns a panic into an error: SQLite's own
// code, translated from C, may follow a wrong pointer where the file is damaged,
// and a log's index that somebody cut short is a fault in mapped memory.
func (d *DB) guarded(ctx context.Context, f func(context.Context, *conn) error) (file os.FileInfo, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if file, err = d.open(ctx); err != nil {
		return file, err
	}
	defer d.mu.RUnlock()
	c, err := d.conn(ctx)
	if err != nil {
		return file, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqlite: %v", p)
			go func() { // it may hang, for ever, on what the panic left locked
				debug.SetPanicOnFault(true)
				defer func() { _ = recover() }()
				c.close()
			}()
		}
	}()
	if err := f(ctx, c); err != nil {
		// Whatever state the connection is in, in a transaction most likely, the next
		// use begins without it.
		c.close()
		return file, err
	}
	d.idleMu.Lock()
	d.idle = append(d.idle, c)
	d.idleMu.Unlock()
	return file, nil
}

// open makes sure that the file that is now at the path is open. Without an
// error d.mu is held for reading.
func (d *DB) open(ctx context.Context) (file os.FileInfo, err error) {
	for {
		d.mu.RLock()
		now, err := os.Lstat(d.path)
		if d.db != nil && err == nil && os.SameFile(now, d.file) {
			return d.file, nil
		}
		d.mu.RUnlock()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if file, err := d.reopen(ctx); err != nil {
			return file, err
		}
	}
}

func (d *DB) reopen(ctx context.Context) (file os.FileInfo, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			d.db, d.file, d.idle = nil, nil, nil // closing it might hang
			err = fmt.Errorf("sqlite: %v", p)
		}
	}()
	now, err := os.Lstat(d.path)
	if d.db != nil && err == nil && os.SameFile(now, d.file) {
		return d.file, nil // somebody else was faster
	}
	d.close()
	if now, err = d.prepare(); err != nil {
		return nil, err
	}
	d.db, d.file = dial(d.path, d.o), now
	// Once begun, a migration must come to an end, or it never will.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CheckLimit)
	defer cancel()
	c, err := d.conn(ctx)
	if err == nil {
		d.idle = append(d.idle, c) // for the use that opens the file: a second one takes as long again
		err = migrate(ctx, c.Conn, d.o.ReadOnly)
	}
	if err != nil {
		d.close()
		return now, err
	}
	return now, nil
}

// dial returns connections to the file, which must be there. secure_delete
// writes zeros over what is deleted; cell_size_check and trusted_schema are
// SQLite's advice for files that may have been tampered with
// (https://www.sqlite.org/security.html). Statements keep what they may have to
// undo in memory: it is a few pages.
func dial(path string, o Options) *sql.DB {
	// With mode=rw also for readers: one who finds a log that nobody else has
	// open must be able to make its index.
	q := url.Values{"mode": {"rw"}, "_pragma": {
		"busy_timeout(0)", "secure_delete(on)", "cell_size_check(on)", "trusted_schema(off)", "temp_store(memory)",
		"synchronous(normal)", "journal_size_limit(4194304)", fmt.Sprintf("cache_size(-%d)", o.CacheKiB),
	}}
	if o.ReadOnly {
		q.Add("_pragma", "query_only(on)")
	}
	if o.Scratch {
		q.Add("_pragma", "synchronous(off)")
		q.Add("_pragma", "secure_delete(off)")
	}
	// The path is escaped, because "?" and "%" in it would mean something.
	u := url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		panic(err) // an unknown driver
	}
	db.SetMaxIdleConns(-1) // what is closed is closed; see conn
	return db
}

// prepare checks the files that SQLite is about to open by their paths, as all
// of the state folder's are: it would follow a link, and may wait for the other
// end of a FIFO. Where it may, it makes an empty file that only its owner can
// read; SQLite gives its other files the same mode and owner.
func (d *DB) prepare() (os.FileInfo, error) {
	openFolder := state.MakeFolder
	switch {
	case d.o.ReadOnly:
		openFolder = state.OpenFolder
	case d.o.Existing:
		openFolder = state.OwnFolder
	}
	folder, err := openFolder(filepath.Dir(d.path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	name := filepath.Base(d.path)
	for _, s := range append([]string{""}, logSuffixes[:]...) {
		if err := folder.Check(name + s); err != nil {
			return nil, err
		}
	}
	info, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) && !d.o.ReadOnly && !d.o.Existing {
		f, err := folder.Open(name, os.O_WRONLY|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return f.Stat()
	}
	return info, err
}
