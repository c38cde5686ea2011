package history

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// DigestRow is what a digest tells of one user on one host.
type DigestRow struct {
	User  string
	Host  string
	Count int
	First time.Time
	Last  time.Time
	From  []Origin // the first few, in order of appearance
	More  int      // how many other addresses there were
}

// Origin is where a user came from.
type Origin struct {
	IP      netip.Addr
	ASN     uint32
	Network string // the name of it
	Country string
}

// maxOrigins is how many addresses a row names.
const maxOrigins = 3

// Undigested gives what a digest of the usual logins before a time would tell
// now: those that were seen, and that no digest has. The most frequent user
// comes first.
func (d *DB) Undigested(ctx context.Context, before time.Time) ([]DigestRow, error) {
	var rows []DigestRow
	err := d.read(ctx, batchLimit, func(ctx context.Context, c *conn) error {
		var err error
		rows, err = digestRows(ctx, c, `l.usual = 1 AND l.digest IS NULL AND l.time < ?`, ceilMillis(before))
		return err
	})
	return rows, err
}

// BeginDigest gives a digest the usual logins before a time that no other has,
// and returns its rows. It is on disk when BeginDigest returns, and for an id
// that was begun before it returns what that digest holds, whatever the time
// now is and whatever has come since. So a worker that dies before it has told
// a digest finds the same one again, by PendingDigest.
func (d *DB) BeginDigest(ctx context.Context, id string, before time.Time) ([]DigestRow, error) {
	if id = (Entry{Digest: id}).normal().Digest; id == "" {
		return nil, errors.New("a digest without an id")
	}
	var rows []DigestRow
	begin := func(ctx context.Context, c *conn) error {
		var n int64
		begun, err := c.one(ctx, []any{&n}, `SELECT n FROM digest WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if !begun {
			res, err := c.exec(ctx, `INSERT INTO digest(id, before) VALUES (?, ?)`, id, ceilMillis(before))
			if err != nil {
				return err
			}
			if n, err = res.LastInsertId(); err != nil {
				return err
			}
			_, err = c.exec(ctx, `UPDATE login SET digest = ? WHERE usual = 1 AND digest IS NULL AND time < ?`, n, ceilMillis(before))
			if err != nil {
				return err
			}
		}
		rows, err = digestRows(ctx, c, `l.digest = ?`, n)
		return err
	}
	err := d.use(ctx, d.writer, batchLimit, func(ctx context.Context, c *conn) error {
		// Elsewhere the last logins before a power failure may be lost; here
		// somebody will be told.
		if _, err := c.exec(ctx, "PRAGMA synchronous = full"); err != nil {
			return err
		}
		if err := c.tx(ctx, true, func() error { return begin(ctx, c) }); err != nil {
			return err // which also gives the connection up
		}
		_, err := c.exec(ctx, "PRAGMA synchronous = normal")
		return err
	})
	return rows, err
}

// PendingDigest gives the oldest digest that was begun and not ended; an empty
// id: there is none.
func (d *DB) PendingDigest(ctx context.Context) (id string, before time.Time, err error) {
	err = d.read(ctx, recallLimit, func(ctx context.Context, c *conn) error {
		var at int64
		found, err := c.one(ctx, []any{&id, &at}, `SELECT id, before FROM digest WHERE done = 0 ORDER BY n LIMIT 1`)
		if found {
			before = fromMillis(at)
		}
		return err
	})
	return id, before, err
}

// EndDigest notes that a digest is told. Twice is the same as once.
func (d *DB) EndDigest(ctx context.Context, id string) error {
	return d.write(ctx, recordLimit, func(ctx context.Context, c *conn) error {
		_, err := c.exec(ctx, `UPDATE digest SET done = 1 WHERE id = ?`, (Entry{Digest: id}).normal().Digest)
		return err
	})
}

func digestRows(ctx context.Context, c *conn, where string, arg any) ([]DigestRow, error) {
	type who struct{ user, host string }
	byWho := map[who]*DigestRow{}
	addresses := map[who]map[netip.Addr]bool{}
	// An address has the details of one of its logins; which one is SQLite's
	// choice.
	err := c.each(ctx, func(rows *sql.Rows) error {
		var w who
		var ip []byte
		var text sql.NullString
		var n int
		var first, last int64
		if err := rows.Scan(&w.user, &w.host, &ip, &text, &n, &first, &last); err != nil {
			return err
		}
		r := byWho[w]
		if r == nil {
			r = &DigestRow{User: w.user, Host: w.host, First: fromMillis(first), Last: fromMillis(last)}
			byWho[w] = r
			addresses[w] = map[netip.Addr]bool{}
		}
		r.Count += n
		if t := fromMillis(first); t.Before(r.First) {
			r.First = t
		}
		if t := fromMillis(last); t.After(r.Last) {
			r.Last = t
		}
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || addresses[w][addr] {
			return nil
		}
		addresses[w][addr] = true
		if len(r.From) == maxOrigins {
			r.More++
			return nil
		}
		var what detail
		json.Unmarshal([]byte(text.String), &what)
		r.From = append(r.From, Origin{IP: addr, ASN: what.ASN, Network: what.ASName, Country: what.Place.Country})
		return nil
	}, `SELECT coalesce(u.a, ''), coalesce(h.a, ''), l.ip, t.b, count(*), min(l.time) AS first, max(l.time)
		FROM login l LEFT JOIN grp u ON u.id = l.g_user LEFT JOIN grp h ON h.id = l.g_host LEFT JOIN grp t ON t.id = l.g_detail
		WHERE `+where+` GROUP BY l.g_user, l.g_host, l.ip ORDER BY first, l.ip`, arg)
	if err != nil {
		return nil, err
	}
	var out []DigestRow
	for _, r := range byWho {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b DigestRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.User, b.User), cmp.Compare(a.Host, b.Host))
	})
	return out, nil
}
