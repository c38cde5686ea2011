package history

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

// Notice says that the memory was made anew, because what was there could not
// be read.
type Notice struct {
	Time  time.Time `json:"time"`
	Moved string    `json:"moved"` // where the damaged file is now
	Why   string    `json:"why"`
}

// renew moves the damaged file aside, unless somebody has done so, and begins
// a new one that bears a Notice. Of damaged files only the newest is kept.
func (d *DB) renew(ctx context.Context, damaged os.FileInfo, why error) error {
	if err := d.writer.take(ctx); err != nil {
		return err
	}
	defer func() { <-d.writer.turn }()
	if err := d.reader.take(ctx); err != nil {
		return err
	}
	defer func() { <-d.reader.turn }()
	d.writer.drop()
	d.reader.drop()
	now, err := os.Lstat(d.path)
	if err != nil || damaged == nil || !os.SameFile(now, damaged) {
		return nil // the next use sees
	}
	older := d.damagedFiles()
	aside := d.path + damagedInfix + d.o.Now().UTC().Format("20060102T150405.000")
	if err := os.Rename(d.path, aside); err != nil {
		return err
	}
	for _, s := range logSuffixes { // they belong to it, and must not be taken for the new one's
		if err := os.Rename(d.path+s, aside+s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
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
	if err := d.connect(ctx, d.writer); err != nil {
		return err
	}
	_, err = d.writer.c.exec(ctx, `INSERT OR REPLACE INTO meta(name, value) VALUES ('notice', ?)`, string(n))
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

// Notice gives the notice that still has to be told; nil: there is none.
func (d *DB) Notice(ctx context.Context) (*Notice, error) {
	var text string
	var found bool
	err := d.read(ctx, recallLimit, func(ctx context.Context, c *conn) error {
		var err error
		found, err = c.one(ctx, []any{&text}, `SELECT value FROM meta WHERE name = 'notice'`)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	n := new(Notice)
	return n, json.Unmarshal([]byte(text), n)
}

// NoticeTold takes the notice back. Twice is the same as once.
func (d *DB) NoticeTold(ctx context.Context) error {
	return d.write(ctx, recordLimit, func(ctx context.Context, c *conn) error {
		_, err := c.exec(ctx, `DELETE FROM meta WHERE name = 'notice'`)
		return err
	})
}

// check looks through the whole file for damage, on a connection of its own.
func (d *DB) check(ctx context.Context) error {
	s := &slot{turn: make(chan struct{}, 1)}
	defer s.drop()
	return d.use(ctx, s, forgetLimit, func(ctx context.Context, c *conn) error {
		var says string
		if _, err := c.one(ctx, []any{&says}, `PRAGMA quick_check(1)`); err != nil {
			return err
		}
		if says != "ok" {
			return errors.Join(ErrDamaged, errors.New(says))
		}
		return nil
	})
}
