package history

import (
	"context"
	"database/sql"
	"iter"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// sameLogin is how far two sources may be apart in when one login was: sshd
// writes to its log before the session is opened, and to wtmp when it has a
// terminal.
const sameLogin = 2 * time.Second

// batch is how many logins are added, dropped or listed at a time: some 20 ms,
// so that whoever waits for a turn does not wait long.
const batch = 100

// Record remembers a login that was seen. Recording it twice is the same as
// once, but for a verdict that is worse than the first: what was told as high or
// worse in the end teaches nothing. It takes the place of an imported entry for
// the same login.
func (d *DB) Record(ctx context.Context, e Entry) error {
	e = e.normal()
	if err := e.check(); err != nil {
		return err
	}
	return d.store.Write(ctx, store.WriteLimit, func(t *store.Tx) error {
		_, err := d.add(t, e)
		return err
	})
}

// Import remembers logins that other records tell of, and reports how many
// were new. Doing it again adds nothing, and a login that several records tell
// of (the same user, host and address, within two seconds, with no other port
// or key) is remembered once. It works in parts, each of which stays when a
// later one fails; an error of the sequence ends it.
func (d *DB) Import(ctx context.Context, entries iter.Seq2[Entry, error]) (added, known int, err error) {
	var part []Entry
	flush := func() error {
		began := time.Now()
		n := 0
		err := d.store.Write(ctx, store.BatchLimit, func(t *store.Tx) error {
			n = 0
			for _, e := range part {
				isNew, err := d.add(t, e)
				if err != nil {
					return err
				}
				if isNew {
					n++
				}
			}
			return nil
		})
		if err == nil {
			added, known = added+n, known+len(part)-n
			if len(part) == batch {
				rest(ctx, time.Since(began))
			}
		}
		part = part[:0]
		return err
	}
	for e, err := range entries {
		if err == nil {
			e = e.normal()
			if e.ID == "" {
				e.ID = e.importID()
			}
			err = e.check()
		}
		if err != nil {
			if ferr := flush(); ferr != nil {
				err = ferr
			}
			return added, known, err
		}
		if part = append(part, e); len(part) == batch {
			if err := flush(); err != nil {
				return added, known, err
			}
		}
	}
	err = flush()
	return added, known, err
}

// rest leaves the file alone for half as long as a part took. SQLite keeps no
// queue: another process looks again from time to time, and without a gap
// would hardly ever find it free.
func rest(ctx context.Context, took time.Duration) { store.Sleep(ctx, took/2) }

// numberOf finds the login with an id.
const numberOf = `SELECT n FROM login WHERE id = ?1 UNION ALL SELECT login FROM alias WHERE id = ?1 LIMIT 1`

// add remembers an entry, in a transaction of its caller's, and reports
// whether its login was unknown.
func (d *DB) add(t *store.Tx, e Entry) (bool, error) {
	var n int64
	known, err := t.One([]any{&n}, numberOf, e.ID)
	if err != nil {
		return false, err
	}
	if known {
		return false, d.raise(t, e)
	}
	twin, err := findTwin(t, e)
	if err != nil {
		return false, err
	}
	if twin != nil {
		return false, d.merge(t, *twin, e)
	}
	if err := insert(t, 0, e, e.Source.bit()); err != nil {
		return true, err
	}
	return true, d.learn(t, e)
}

// stored is an entry as it stands in the file.
type stored struct {
	Entry
	n       int64
	sources int
	digest  sql.NullInt64
}

// findTwin finds the entry that another source has of the same login; nil:
// there is none. Each source tells of a login once, so that two records of one
// source are never taken for the same, unless they agree in the port.
func findTwin(t *store.Tx, e Entry) (*stored, error) {
	if !e.IP.IsValid() {
		return nil, nil
	}
	at := e.Time.UnixMilli()
	var best *stored
	var bestApart int64
	err := t.Each(func(rows *sql.Rows) error {
		s, err := scan(rows)
		if err != nil || !sameHost(s.Host, e.Host) {
			return err
		}
		if s.Key != "" && e.Key != "" && s.Key != e.Key {
			return nil
		}
		if s.Port != 0 && e.Port != 0 {
			if s.Port != e.Port {
				return nil
			}
		} else if s.sources&e.Source.bit() != 0 {
			return nil
		}
		// What was seen bears an id that is never given twice.
		if e.Source == SourceSeen && s.sources&SourceSeen.bit() != 0 {
			return nil
		}
		apart := max(at-s.Time.UnixMilli(), s.Time.UnixMilli()-at)
		if best == nil || apart < bestApart {
			best, bestApart = &s, apart
		}
		return nil
	}, selectEntries+` WHERE `+byUser.is()+` AND l.time BETWEEN ? AND ? AND l.ip = ?`,
		e.User, "", at-sameLogin.Milliseconds(), at+sameLogin.Milliseconds(), e.IP.AsSlice())
	return best, err
}

// sameHost compares hosts by their first labels: one record has the full name,
// and another has not.
func sameHost(a, b string) bool {
	a, _, _ = strings.Cut(a, ".")
	b, _, _ = strings.Cut(b, ".")
	return a == "" || b == "" || strings.EqualFold(a, b)
}

// merge makes one entry of two that tell of the same login.
func (d *DB) merge(t *store.Tx, old stored, e Entry) error {
	ids := []string{old.ID}
	sources := old.sources | e.Source.bit()
	one, other := old.Entry, e
	if e.Source == SourceSeen {
		one, other = e, old.Entry
	} else {
		ids = append(ids, e.ID)
	}
	one.Untaught, one.Late = old.Untaught || e.Untaught, old.Late && e.Late
	one.fill(other)
	if err := replace(t, old, one, sources); err != nil {
		return err
	}
	for _, id := range ids {
		if id == one.ID {
			continue
		}
		if _, err := t.Exec(`INSERT OR IGNORE INTO alias(id, login) VALUES (?, ?)`, id, old.n); err != nil {
			return err
		}
	}
	if e.Untaught && !old.Untaught {
		return d.unlearn(t, one)
	}
	return nil
}

// raise gives a login the verdict of a judgement that was worse than the one it is
// remembered with: the hook's word comes before the watcher's.
func (d *DB) raise(t *store.Tx, e Entry) error {
	var old stored
	if err := t.Each(func(rows *sql.Rows) (err error) {
		old, err = scan(rows)
		return err
	}, selectEntries+` WHERE l.n = (`+numberOf+`)`, e.ID); err != nil || e.Severity <= old.Severity {
		return err
	}
	one := old.Entry
	one.Severity, one.Reasons, one.Told = e.Severity, e.Reasons, e.Told
	one.Untaught = old.Untaught || e.Untaught
	one.Usual = old.Usual && e.Usual
	if err := replace(t, old, one, old.sources); err != nil {
		return err
	}
	if !one.Untaught || old.Untaught {
		return nil
	}
	return d.unlearn(t, one)
}

// replace puts an entry in the place of another, under the same number.
func replace(t *store.Tx, old stored, e Entry, sources int) error {
	var aliases []string
	if err := t.Each(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		aliases = append(aliases, id)
		return err
	}, `SELECT id FROM alias WHERE login = ?`, old.n); err != nil {
		return err
	}
	if _, err := t.Exec(`DELETE FROM login WHERE n = ?`, old.n); err != nil {
		return err
	}
	if err := insert(t, old.n, e, sources); err != nil {
		return err
	}
	if old.digest.Valid {
		if _, err := t.Exec(`UPDATE login SET digest = ? WHERE n = ?`, old.digest, old.n); err != nil {
			return err
		}
	}
	for _, id := range aliases {
		if id == e.ID {
			continue
		}
		if _, err := t.Exec(`INSERT OR IGNORE INTO alias(id, login) VALUES (?, ?)`, id, old.n); err != nil {
			return err
		}
	}
	return nil
}

// fill takes from another record of the same login what this one does not know.
func (e *Entry) fill(o Entry) {
	e.Host = orElse(e.Host, o.Host)
	e.Service = orElse(e.Service, o.Service)
	e.Method = orElse(e.Method, o.Method)
	e.Key = orElse(e.Key, o.Key)
	e.CA, e.KeyID = orElse(e.CA, o.CA), orElse(e.KeyID, o.KeyID)
	if e.Port == 0 {
		e.Port = o.Port
	}
	if e.ASN == 0 && e.ASName == "" {
		e.ASN, e.ASName, e.Named = o.ASN, o.ASName, o.Named
	}
	if e.Place == (event.Place{}) {
		e.Place = o.Place
	}
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// insert adds a login, under number n where that is not 0. The triggers count it.
func insert(t *store.Tx, n int64, e Entry, sources int) error {
	network, err := nameNetwork(t, e)
	if err != nil {
		return err
	}
	groups, err := e.groups(network)
	if err != nil {
		return err
	}
	var ids [kinds]any
	for _, g := range groups {
		var id int64
		_, err := t.One([]any{&id}, `INSERT INTO grp(kind, a, b) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n RETURNING id`, g.kind, g.a, g.b)
		if err != nil {
			return err
		}
		ids[g.kind] = id
	}
	var number, ip any
	if n != 0 {
		number = n
	}
	if e.IP.IsValid() {
		ip = e.IP.AsSlice()
	}
	args := []any{number, e.ID, e.Time.UnixMilli(), ip, e.Port, e.Severity, e.usual(), sources}
	_, err = t.Exec(`INSERT INTO login(n, id, time, ip, port, severity, usual, source, `+columns()+`)
		VALUES (?`+strings.Repeat(", ?", len(args)+int(kinds)-1)+`)`, append(args, ids[:]...)...)
	return err
}

// networkOf returns what the network of a login is remembered as.
func networkOf(t *store.Tx, e Entry) (string, error) {
	names, network := e.networkNames()
	for _, name := range names {
		var known string
		if found, err := t.One([]any{&known}, `SELECT network FROM network WHERE name = ?`, name); found || err != nil {
			return known, err
		}
	}
	return network, nil
}

// nameNetwork is networkOf that also remembers the names.
func nameNetwork(t *store.Tx, e Entry) (string, error) {
	network, err := networkOf(t, e)
	if err != nil {
		return "", err
	}
	names, _ := e.networkNames()
	for _, name := range names {
		if _, err := t.Exec(`INSERT OR IGNORE INTO network(name, network) VALUES (?, ?)`, name, network); err != nil {
			return "", err
		}
	}
	return network, nil
}
