package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// Prune drops what is older than Options.Keep, in parts, and looks through the
// whole file for damage, of which it would make a new one. It is meant to run
// once a day, beside the deliveries.
func (d *DB) Prune(ctx context.Context) (int, error) {
	if err := d.store.Check(ctx); err != nil {
		return 0, err
	}
	before := d.o.Now().Add(-d.o.Keep).UnixMilli()
	return d.drop(ctx, "l.time < ?", []any{before}, func(t *store.Tx) error {
		if _, err := t.Exec(`DELETE FROM digest WHERE before < ? AND n NOT IN (SELECT digest FROM login WHERE digest IS NOT NULL)`, before); err != nil {
			return err
		}
		return dropPairs(t, before)
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
	n, err := d.drop(ctx, where, args, func(t *store.Tx) error { return dropPairs(t, 0) })
	if err != nil {
		return n, err
	}
	if err := d.store.Compact(ctx); err != nil {
		return n, fmt.Errorf("dropped, but traces are left in the file: %w", err)
	}
	return n, d.store.RemoveDamaged()
}

// drop deletes logins in parts; last runs in a transaction of its own at the
// end.
func (d *DB) drop(ctx context.Context, where string, args []any, last func(*store.Tx) error) (int, error) {
	all := 0
	for {
		began := time.Now()
		dropped := 0
		err := d.store.Write(ctx, store.BatchLimit, func(t *store.Tx) error {
			res, err := t.Exec("DELETE FROM login WHERE n IN (SELECT l.n FROM login l WHERE "+where+" LIMIT ?)", append(args[:len(args):len(args)], batch)...)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			dropped = int(n)
			return err
		})
		if err != nil {
			return all, err
		}
		all += dropped
		if dropped < batch {
			break
		}
		rest(ctx, time.Since(began))
	}
	if last == nil {
		return all, nil
	}
	return all, d.store.Write(ctx, store.BatchLimit, last)
}
