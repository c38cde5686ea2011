package deliver

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// typed takes a code that somebody typed in a session, which is told to nobody.
func (w *worker) typed(it *item, code string) {
	if w.hub != nil {
		w.handOver(it)
		return
	}
	if w.set.Typed != nil {
		w.set.Typed(context.Background(), it.e.Session, code)
	}
	w.endQuietly(it)
}

// LoginOn returns the newest login that this host told of one of these connections, or
// would have; false: there is none. What was before the kernel started is none of them.
// Their boot id counts for nothing: in a container, a service whose /proc/sys is protected
// sees another one than the hook.
func LoginOn(ctx context.Context, db *store.DB, connections []event.Session, started time.Time) (*Delivered, bool, error) {
	pids := make([]int, len(connections))
	for i, s := range connections {
		pids[i] = s.PID
	}
	in, err := json.Marshal(pids)
	if err != nil {
		return nil, false, err
	}
	is := func(d *Delivered) bool {
		return !d.Time.Before(started) && slices.ContainsFunc(connections, func(s event.Session) bool {
			return s.PID != 0 && s.PID == d.Session.PID && s.Start == d.Session.Start && (s.NS == d.Session.NS || s.NS == "" || d.Session.NS == "")
		})
	}
	found, err := loginWhere(ctx, db, is,
		`json_extract(event, '$.session.pid') IN (SELECT value FROM json_each(?)) AND json_extract(event, '$.from') IS NULL`, string(in))
	return found, found != nil, err
}

// SessionOf returns the session of a login, as the events of its host name it at a hub;
// false: it is not known.
func SessionOf(ctx context.Context, db *store.DB, id string) (event.Session, bool, error) {
	found, err := loginWhere(ctx, db, func(d *Delivered) bool { return d.ID == id }, `id = ?`, id)
	if found == nil {
		return event.Session{}, false, err
	}
	return found.Session, found.Session.PID != 0, err
}

func loginWhere(ctx context.Context, db *store.DB, is func(*Delivered) bool, where string, arg any) (found *Delivered, err error) {
	err = db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		found = nil
		return t.Each(func(r *sql.Rows) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			d := new(Delivered)
			if json.Unmarshal([]byte(text), d) == nil && d.Kind == event.KindLogin && is(d) && (found == nil || d.Time.After(found.Time)) {
				found = d
			}
			return nil
		}, `SELECT event FROM delivered WHERE `+where, arg)
	})
	return found, err
}
