package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Acknowledgement is somebody's word that a login was theirs.
type Acknowledgement struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`             // the login's id
	By      string    `json:"by"`                // the local user who said so
	Session string    `json:"session,omitempty"` // from where: the address of their own connection; empty: not over sshd, or not known
	Note    string    `json:"note,omitempty"`
	Undone  time.Time `json:"undone,omitzero"` // when it was taken back; zero: it holds
}

// ErrNoLogin means that no login with such an id is remembered.
var ErrNoLogin = errors.New("no such login is remembered")

// Limits of what is kept of an Acknowledgement, in characters.
const (
	maxNote    = 300
	maxSession = 96
)

// Acknowledge makes the user, network and key of a login usual from now on, and
// nothing else: their logins count as remembered, also those that were told as
// high or worse, and nothing of them waits for an answer any more. It reports
// false where that was so already. It returns ErrNoLogin for an id that is not
// remembered.
func (d *DB) Acknowledge(ctx context.Context, a Acknowledgement) (bool, error) {
	changed := false
	err := d.store.WriteDurably(ctx, store.BatchLimit, func(t *store.Tx) error {
		changed = false
		l, p, network, err := pairOfLogin(t, a.Event)
		if err != nil {
			return err
		}
		var state int
		var since sql.NullInt64
		var standing sql.NullString
		if _, err := t.One([]any{&state, &since, &standing}, `SELECT state, since, standing FROM pair WHERE user = ? AND network = ? AND key = ?`,
			p.user, p.network, p.key); err != nil {
			return err
		}
		if state == stateAcknowledged {
			// It may have been told as high or worse since: a password that was
			// mistyped before it.
			var one int
			if waits, err := t.One([]any{&one}, `SELECT 1 FROM alarm WHERE user = ? AND place = ? AND key = ?`,
				p.user, alarmPlace(l.Entry, network), p.key); err != nil || !waits {
				return err
			}
		}
		changed = true
		keys := reasonsOf(standing)
		if err := d.regroup(t, p, true, func(e Entry) { keys = union(keys, e.Reasons) }); err != nil {
			return err
		}
		for _, q := range []struct {
			sql  string
			args []any
		}{
			{`INSERT OR IGNORE INTO pair(user, network, key) VALUES (?, ?, ?)`, []any{p.user, p.network, p.key}},
			{`INSERT INTO ack(time, event, user, network, key, by, session, note, state, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				[]any{a.Time.UnixMilli(), l.ID, p.user, p.network, p.key, event.Clean(a.By, maxUser), event.Clean(a.Session, maxSession),
					event.Clean(a.Note, maxNote), state, since}},
			// It was theirs from its first login on.
			{`UPDATE pair SET state = ?, since = ? WHERE user = ? AND network = ? AND key = ?`,
				[]any{stateAcknowledged, l.Time.UnixMilli(), p.user, p.network, p.key}},
			{`DELETE FROM alarm WHERE user = ? AND place = ? AND key = ?`, []any{p.user, alarmPlace(l.Entry, network), p.key}},
		} {
			if _, err := t.Exec(q.sql, q.args...); err != nil {
				return err
			}
		}
		return setStanding(t, p, keys)
	})
	return changed, err
}

// Unacknowledge takes an acknowledgement back: the pair is what it was before,
// and what was told of it as high or worse teaches nothing again. It reports
// false where there was none.
func (d *DB) Unacknowledge(ctx context.Context, id string, now time.Time) (bool, error) {
	changed := false
	err := d.store.WriteDurably(ctx, store.BatchLimit, func(t *store.Tx) error {
		changed = false
		_, p, _, err := pairOfLogin(t, id)
		if err != nil {
			return err
		}
		var n int64
		var state int
		var since sql.NullInt64
		found, err := t.One([]any{&n, &state, &since}, `SELECT n, state, since FROM ack WHERE user = ? AND network = ? AND key = ? AND undone IS NULL
			ORDER BY n DESC LIMIT 1`, p.user, p.network, p.key)
		if err != nil || !found {
			return err
		}
		changed = true
		if err := d.regroup(t, p, false, func(Entry) {}); err != nil {
			return err
		}
		if _, err := t.Exec(`UPDATE ack SET undone = ? WHERE n = ?`, now.UnixMilli(), n); err != nil {
			return err
		}
		_, err = t.Exec(`UPDATE pair SET state = ?, since = ?, standing = NULL WHERE user = ? AND network = ? AND key = ?`, state, since, p.user, p.network, p.key)
		return err
	})
	return changed, err
}

// Acknowledgements returns what was said of a login's user, network and key, the
// newest first.
func (d *DB) Acknowledgements(ctx context.Context, id string) ([]Acknowledgement, error) {
	var out []Acknowledgement
	err := d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		out = nil
		_, p, _, err := pairOfLogin(t, id)
		if err != nil {
			return err
		}
		return t.Each(func(rows *sql.Rows) error {
			var a Acknowledgement
			var at int64
			var undone sql.NullInt64
			err := rows.Scan(&at, &a.Event, &a.By, &a.Session, &a.Note, &undone)
			a.Time = fromMillis(at)
			if undone.Valid {
				a.Undone = fromMillis(undone.Int64)
			}
			out = append(out, a)
			return err
		}, `SELECT time, event, by, session, note, undone FROM ack WHERE user = ? AND network = ? AND key = ? ORDER BY n DESC`, p.user, p.network, p.key)
	})
	return out, err
}

// Acknowledged returns by their ids the logins that are acknowledged themselves,
// with what was said of them; not those that are usual since then.
func (d *DB) Acknowledged(ctx context.Context) (map[string]Acknowledgement, error) {
	var out map[string]Acknowledgement
	err := d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		out = map[string]Acknowledgement{}
		return t.Each(func(rows *sql.Rows) error {
			var a Acknowledgement
			var at int64
			err := rows.Scan(&at, &a.Event, &a.By, &a.Session, &a.Note)
			a.Time = fromMillis(at)
			out[a.Event] = a
			return err
		}, `SELECT time, event, by, session, note FROM ack WHERE undone IS NULL ORDER BY n`)
	})
	return out, err
}

// Unanswered returns the newest login of each user, network and key of a filter
// that was told as high or worse and that nobody has acknowledged, or of each
// that is not usual yet where all is true. The newest comes first, at most so
// many.
func (d *DB) Unanswered(ctx context.Context, f Filter, all bool, most int) ([]Entry, error) {
	var out []Entry
	seen := map[pairName]bool{}
	for e, err := range d.List(ctx, f) {
		if err != nil {
			return out, err
		}
		if !all && !e.Untaught {
			continue
		}
		var p pairName
		state := stateNew
		if err := d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
			network, err := networkOf(t, e)
			if err != nil {
				return err
			}
			p = e.pair(network)
			_, err = t.One([]any{&state}, `SELECT state FROM pair WHERE user = ? AND network = ? AND key = ?`, p.user, p.network, p.key)
			return err
		}); err != nil {
			return out, err
		}
		if seen[p] || state == stateAcknowledged || all && !e.Untaught && state != stateNew {
			continue
		}
		seen[p] = true
		if out = append(out, e); len(out) == most {
			break
		}
	}
	return out, nil
}

// Alarm is what was told as high or worse of a user, place and key, and nobody
// has acknowledged.
type Alarm struct {
	ID       string // of the newest login
	User     string
	Place    string // a country's code, or a network where none is known
	Severity event.Severity
	Told     time.Time // of that login
	Since    time.Time // of the first; zero: it is forgotten
	Count    int       // how often it was told
	Reasons  []string  // event.Verdict's keys, of all of them
	Hosts    []string  // where they were, that of the newest first
}

// Alarms returns what waits for an answer, the newest first, at most so many,
// and how much more there is.
func (d *DB) Alarms(ctx context.Context, most int) (all []Alarm, more int, err error) {
	err = d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		all, more = nil, 0
		type of struct{ user, place, key string }
		known := map[of]int{} // its place in all; at most: it is one of more
		var keys []string
		if err := t.Each(func(rows *sql.Rows) error {
			var a Alarm
			var at int64
			var key, host string
			var reasons sql.NullString
			if err := rows.Scan(&a.ID, &a.User, &a.Place, &key, &host, &a.Severity, &at, &a.Count, &reasons); err != nil {
				return err
			}
			a.Told, a.Reasons, a.Hosts = fromMillis(at), reasonsOf(reasons), []string{host}
			k := of{a.User, a.Place, key}
			i, found := known[k]
			switch {
			case !found && len(all) == most:
				known[k] = most
				more++
			case !found:
				known[k] = len(all)
				all, keys = append(all, a), append(keys, key)
			case i < most:
				x := &all[i]
				x.Severity, x.Count, x.Reasons, x.Hosts = max(x.Severity, a.Severity), x.Count+a.Count, union(x.Reasons, a.Reasons), append(x.Hosts, host)
			}
			return nil
		}, `SELECT told_id, user, place, key, host, told_severity, told, unanswered, told_reasons FROM alarm ORDER BY told DESC`); err != nil {
			return err
		}
		for i := range all {
			a := &all[i]
			var since sql.NullInt64
			if _, err := t.One([]any{&since}, `SELECT min(l.time) FROM grp g JOIN login l ON l.g_untaught = g.id LEFT JOIN grp d ON d.id = l.g_detail
				WHERE g.kind = 12 AND g.a = ? AND substr(g.b, instr(g.b, char(9)) + 1) = ?
				AND coalesce(nullif(json_extract(d.b, '$.place.country'), ''), substr(g.b, 1, instr(g.b, char(9)) - 1)) = ?`,
				a.User, keys[i], a.Place); err != nil {
				return err
			}
			if since.Valid {
				a.Since = fromMillis(since.Int64)
			}
		}
		return nil
	})
	return all, more, err
}

// pairOfLogin finds a remembered login and whose pair it is.
func pairOfLogin(t *store.Tx, id string) (l stored, p pairName, network string, err error) {
	found := false
	if err = t.Each(func(rows *sql.Rows) (err error) {
		found = true
		l, err = scan(rows)
		return err
	}, selectEntries+` WHERE l.n = (`+numberOf+`)`, id); err != nil {
		return l, p, "", err
	}
	if !found {
		return l, p, "", fmt.Errorf("%s: %w", id, ErrNoLogin)
	}
	network, err = networkOf(t, l.Entry)
	return l, l.pair(network), network, err
}

// regroup lets a pair's logins that were told as high or worse teach, or not.
func (d *DB) regroup(t *store.Tx, p pairName, teach bool, each func(Entry)) error {
	g := group{byPair, p.user, p.b()}
	if teach {
		g.kind = byUntaught
	}
	var all []stored
	if err := t.Each(func(rows *sql.Rows) error {
		s, err := scan(rows)
		if teach || s.Severity >= event.High {
			all = append(all, s)
		}
		return err
	}, selectEntries+` WHERE `+g.kind.is(), g.a, g.b); err != nil {
		return err
	}
	for _, s := range all {
		each(s.Entry)
		s.Untaught = !teach
		if err := replace(t, s, s.Entry, s.sources); err != nil {
			return err
		}
	}
	return nil
}
