package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// Prune drops what is older than Options.Keep, in parts, and looks through the
// whole file for damage, of which it would make a new one. It is meant to run
// once a day, beside the deliveries.
func (d *DB) Prune(ctx context.Context) (int, error) {
	if err := d.check(ctx); err != nil {
		return 0, err
	}
	before := d.o.Now().Add(-d.o.Keep).UnixMilli()
	return d.drop(ctx, "l.time < ?", []any{before}, func(ctx context.Context, c *conn) error {
		_, err := c.exec(ctx, `DELETE FROM digest WHERE before < ? AND n NOT IN (SELECT digest FROM login WHERE digest IS NOT NULL)`, before)
		return err
	})
}

// ErrEmptyFilter is what Forget says to a filter that picks everything.
var ErrEmptyFilter = errors.New("a filter that picks every login")

// Forget drops the logins that a filter picks, and reports how many. They are
// really gone: SQLite writes zeros over what is deleted, but copies of a row
// may stay in the unused part of a page that was split or merged before, so
// the file is also written anew (VACUUM), and the log emptied. Damaged files
// that were moved aside are removed, since nothing can be taken out of them.
// What the file system or a backup keeps is out of its reach.
//
// It needs as much room as the file once more, and some seconds where there
// are a million logins, during which nothing can be recorded. If that fails
// the logins are dropped and the error says what remains to be done; doing it
// again does it.
func (d *DB) Forget(ctx context.Context, f Filter) (int, error) {
	f.Limit = 0
	if f == (Filter{}) {
		return 0, ErrEmptyFilter
	}
	where, args := f.where()
	n, err := d.drop(ctx, where, args, nil)
	if err != nil {
		return n, err
	}
	err = d.use(ctx, d.writer, forgetLimit, func(ctx context.Context, c *conn) error {
		// The copy is as large as the file, and not to be kept in memory.
		for _, q := range []string{"PRAGMA temp_store = file", "VACUUM", "PRAGMA temp_store = memory"} {
			if _, err := c.exec(ctx, q); err != nil {
				return err
			}
		}
		for {
			var busy, inLog, done int
			if _, err := c.one(ctx, []any{&busy, &inLog, &done}, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil || busy == 0 {
				return err
			}
			if !sleep(ctx, longestWait) {
				return errors.New("another process reads the history")
			}
		}
	})
	if err != nil {
		return n, fmt.Errorf("dropped, but traces are left in the file: %w", err)
	}
	for _, file := range d.damagedFiles() {
		if rerr := os.Remove(file); rerr != nil {
			err = errors.Join(err, rerr)
		}
	}
	return n, err
}

// drop deletes logins in parts; last runs in a transaction of its own at the
// end.
func (d *DB) drop(ctx context.Context, where string, args []any, last func(context.Context, *conn) error) (int, error) {
	all := 0
	for {
		began := time.Now()
		var numbers []int64
		err := d.write(ctx, batchLimit, func(ctx context.Context, c *conn) error {
			numbers = numbers[:0]
			err := c.each(ctx, func(rows *sql.Rows) error {
				var n int64
				err := rows.Scan(&n)
				numbers = append(numbers, n)
				return err
			}, "SELECT l.n FROM login l WHERE "+where+" LIMIT ?", append(args[:len(args):len(args)], batch)...)
			if err != nil {
				return err
			}
			for _, n := range numbers {
				if _, err := c.exec(ctx, `DELETE FROM login WHERE n = ?`, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return all, err
		}
		all += len(numbers)
		if len(numbers) < batch {
			break
		}
		rest(ctx, time.Since(began))
	}
	if last == nil {
		return all, nil
	}
	return all, d.write(ctx, batchLimit, last)
}
