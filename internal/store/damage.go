package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// code is SQLite's extended result code, see https://www.sqlite.org/rescode.html;
// 0 where the error is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// isDamage reports whether an error is about what the file holds.
func isDamage(err error) bool {
	switch c := code(err); {
	case c&0xff == sqlite3.SQLITE_CORRUPT, c&0xff == sqlite3.SQLITE_NOTADB,
		c == sqlite3.SQLITE_IOERR_SHORT_READ, c == sqlite3.SQLITE_IOERR_CORRUPTFS:
		return true
	}
	return errors.Is(err, ErrDamaged)
}

// isBusy reports whether another process has the file, for a moment or longer.
// What met it has changed nothing.
func isBusy(err error) bool {
	c := code(err) & 0xff
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

// isUnusable reports whether an error is about the file as a whole, and will
// most likely be met again at once.
func isUnusable(err error) bool {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	_, path := errors.AsType[*fs.PathError](err)
	return path && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.DeadlineExceeded)
}

// damagedInfix stands in the name of a damaged file, before the time at which
// it was moved aside.
const damagedInfix = ".damaged-"

// logSuffixes end the names of SQLite's files beside the main one.
var logSuffixes = [...]string{"-wal", "-shm", "-journal"}

// Notice says that the database was made anew, because what was there could not
// be read.
type Notice struct {
	Time  time.Time `json:"time"`
	Moved string    `json:"moved"` // where the damaged file is now
	Why   string    `json:"why"`
}

// renew moves the damaged file aside, unless somebody has done so, and begins
// a new one that bears a Notice. Of damaged files only the newest is kept.
func (d *DB) renew(ctx context.Context, damaged os.FileInfo, why error) error {
	d.mu.Lock()
	now, err := os.Lstat(d.path)
	if err != nil || damaged == nil || !os.SameFile(now, damaged) {
		d.mu.Unlock()
		return nil // the next use sees
	}
	// Nobody uses it now: SQLite must not find the new file's log under its name.
	d.close()
	aside := d.path + damagedInfix + d.o.Now().UTC().Format("20060102T150405.000")
	older := d.damagedFiles()
	err = os.Rename(d.path, aside)
	for _, s := range logSuffixes {
		if e := os.Rename(d.path+s, aside+s); err == nil && !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	for _, f := range older {
		if !strings.HasPrefix(f, aside) {
			os.Remove(f)
		}
	}
	n, err := json.Marshal(Notice{Time: d.o.Now().UTC(), Moved: aside, Why: why.Error()})
	if err != nil {
		return err
	}
	_, err = d.guarded(ctx, func(ctx context.Context, c *conn) error {
		_, err := c.ExecContext(ctx, `INSERT OR REPLACE INTO meta(name, value) VALUES ('notice', ?)`, string(n))
		return err
	})
	return err
}

func (d *DB) damagedFiles() []string {
	entries, err := os.ReadDir(filepath.Dir(d.path))
	if err != nil {
		return nil
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(d.path)+damagedInfix) {
			files = append(files, filepath.Join(filepath.Dir(d.path), e.Name()))
		}
	}
	return files
}

// RemoveDamaged removes damaged files that were moved aside.
func (d *DB) RemoveDamaged() error {
	var errs []error
	for _, f := range d.damagedFiles() {
		errs = append(errs, os.Remove(f))
	}
	return errors.Join(errs...)
}

// Notice returns the notice that has still to be reported; nil: there is none.
func (d *DB) Notice(ctx context.Context) (*Notice, error) {
	var text string
	var found bool
	err := d.Read(ctx, ReadLimit, func(t *Tx) (err error) {
		found, err = t.One([]any{&text}, `SELECT value FROM meta WHERE name = 'notice'`)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	n := new(Notice)
	return n, json.Unmarshal([]byte(text), n)
}

// ClearNotice removes the notice. Twice is the same as once.
func (d *DB) ClearNotice(ctx context.Context) error {
	return d.Write(ctx, WriteLimit, func(t *Tx) error {
		_, err := t.Exec(`DELETE FROM meta WHERE name = 'notice'`)
		return err
	})
}
