package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Deny keeps that a login was not theirs whose it seemed: it teaches nothing, waits
// for an answer as what was told as critical does, and no acknowledgement of its
// user, network and key holds. Twice is the same as once. It returns ErrNoLogin for an
// id that is not remembered.
func (d *DB) Deny(ctx context.Context, id string, now time.Time) error {
	for held := true; held; { // one may stand on another
		var err error
		if held, err = d.Unacknowledge(ctx, id, now); err != nil {
			return err
		}
	}
	return d.store.WriteDurably(ctx, store.BatchLimit, func(t *store.Tx) error {
		var old stored
		found := false
		if err := t.Each(func(rows *sql.Rows) (err error) {
			found = true
			old, err = scan(rows)
			return err
		}, selectEntries+` WHERE l.n = (`+numberOf+`)`, id); err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s: %w", id, ErrNoLogin)
		}
		one := old.Entry
		one.Severity, one.Told, one.Untaught, one.Usual = event.Critical, true, true, false
		if err := d.raise(t, one); err != nil {
			return err
		}
		network, err := networkOf(t, one)
		if err != nil {
			return err
		}
		// An acknowledgement ended that it waits, and taking it back begins nothing.
		var n int
		p := one.pair(network)
		if waits, err := t.One([]any{&n}, `SELECT 1 FROM alarm WHERE user = ? AND place = ? AND key = ? AND host = ?`, p.user, alarmPlace(one, network), p.key, one.Host); err != nil || waits {
			return err
		}
		return tell(t, one, p, network)
	})
}
