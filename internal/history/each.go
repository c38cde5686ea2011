package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// eachPart is how many logins Each reads at a time: some 50 ms.
const eachPart = 20_000

// Each calls do for every login at or after since and before until, the oldest
// first. It is for whoever looks at all of them: it is several times as fast as
// List, and the places and lists of its entries are shared with others, which do
// must not change. Their ports and digests are left out. What is recorded while it
// runs may be missing. An error of do ends it.
func (d *DB) Each(ctx context.Context, since, until time.Time, do func(Entry) error) error {
	r := eachReader{names: map[int64]string{}, details: map[int64]detail{}}
	at, n := ceilMillis(since)-1, int64(ever)
	for {
		err := d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) error { return r.read(t, at, n, ceilMillis(until)) })
		if err != nil {
			return err
		}
		for i := range r.rows {
			if err := do(r.entry(&r.rows[i])); err != nil {
				return err
			}
		}
		if len(r.rows) < eachPart {
			return nil
		}
		last := r.rows[len(r.rows)-1]
		at, n = last.at, last.n
	}
}

// eachReader keeps what many logins share.
type eachReader struct {
	rows    []eachRow
	names   map[int64]string // of hosts, users and keys, by group
	details map[int64]detail
}

type eachRow struct {
	n, at                   int64
	id                      string
	ip                      []byte
	usual, sources          int
	host, user, key, detail sql.NullInt64
	e                       Entry
}

func (r *eachReader) read(t *store.Tx, at, n, until int64) error {
	r.rows = r.rows[:0]
	if err := t.Each(func(rows *sql.Rows) error {
		var w eachRow
		err := rows.Scan(&w.n, &w.id, &w.at, &w.ip, &w.e.Severity, &w.usual, &w.sources, &w.host, &w.user, &w.key, &w.detail, &w.e.Untaught, &w.e.Late)
		r.rows = append(r.rows, w)
		return err
	}, `SELECT n, id, time, ip, severity, usual, source, g_host, g_user, g_key, g_detail, g_untaught IS NOT NULL, g_untaught IS NULL AND g_known IS NULL
		FROM login WHERE (time, n) > (?, ?) AND time < ? ORDER BY time, n LIMIT ?`, at, n, until, eachPart); err != nil {
		return err
	}
	for i := range r.rows {
		w := &r.rows[i]
		for _, g := range []sql.NullInt64{w.host, w.user} {
			if err := r.name(t, g, "a"); err != nil {
				return err
			}
		}
		if err := r.name(t, w.key, "b"); err != nil {
			return err
		}
		if _, known := r.details[w.detail.Int64]; known || !w.detail.Valid {
			continue
		}
		var text string
		if _, err := t.One([]any{&text}, `SELECT b FROM grp WHERE id = ?`, w.detail.Int64); err != nil {
			return err
		}
		var what detail
		_ = json.Unmarshal([]byte(text), &what) // as scan does
		r.details[w.detail.Int64] = what
	}
	return nil
}

// name learns one of a group's values.
func (r *eachReader) name(t *store.Tx, g sql.NullInt64, column string) error {
	if _, known := r.names[g.Int64]; known || !g.Valid {
		return nil
	}
	var name string
	_, err := t.One([]any{&name}, `SELECT `+column+` FROM grp WHERE id = ?`, g.Int64)
	r.names[g.Int64] = name
	return err
}

func (r *eachReader) entry(w *eachRow) Entry {
	e := w.e
	e.ID, e.Time = w.id, fromMillis(w.at)
	e.Usual, e.Class = w.usual > 0, classOf(w.usual)
	e.Source = bestSource(w.sources)
	e.IP, _ = netip.AddrFromSlice(w.ip)
	e.Host, e.User, e.Key = r.names[w.host.Int64], r.names[w.user.Int64], r.names[w.key.Int64]
	what := r.details[w.detail.Int64]
	e.fillDetail(what)
	return e
}

// fillDetail takes what is stored of a login as a whole.
func (e *Entry) fillDetail(what detail) {
	e.Service, e.Method, e.ASN, e.ASName, e.Named, e.Place, e.Traits = what.Service, what.Method, what.ASN, what.ASName, what.Named, what.Place, what.Traits
	e.CA, e.KeyID, e.Reasons = what.CA, what.KeyID, what.Reasons
	if what.Key != "" {
		e.Key = what.Key
	}
}

// Oldest returns the time of the oldest login that is remembered; zero: none is.
func (d *DB) Oldest(ctx context.Context) (oldest time.Time, err error) {
	err = d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		var at int64
		found, err := t.One([]any{&at}, `SELECT time FROM login ORDER BY time LIMIT 1`)
		if oldest = (time.Time{}); found {
			oldest = fromMillis(at)
		}
		return err
	})
	return oldest, err
}
