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

	"github.com/sshnotify/sshnotify/internal/store"
)

// DigestRow is what a digest reports of one user.
type DigestRow struct {
	User  string
	Hosts []string // in order of appearance
	Users int      // above 0: it is of so many users of one host, which has too many
	Class Class
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

// What a host may make up is bounded: so many users that came to no other host before
// are told apart, and so many addresses of all.
const (
	maxDigestUsers     = 1000
	maxDigestAddresses = 200_000
)

// Undigested returns what a digest of the logins before a time that were left to it
// would report now: those that were seen, and that no digest has. The most frequent user
// comes first.
func (d *DB) Undigested(ctx context.Context, before time.Time) ([]DigestRow, error) {
	var rows []DigestRow
	err := d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) (err error) {
		rows, err = digestRows(t, `l.usual > 0 AND l.digest IS NULL AND l.time < ?`, ceilMillis(before))
		return err
	})
	return rows, err
}

// BeginDigest assigns to a digest what Undigested returns for a time,
// and returns its rows. It is on disk when BeginDigest returns, and for an id
// that was begun before it returns what that digest holds, whatever the time
// now is and whatever has come since. So a worker that dies before it has delivered
// a digest finds the same one again, by PendingDigest.
func (d *DB) BeginDigest(ctx context.Context, id string, before time.Time) ([]DigestRow, error) {
	if id = (Entry{Digest: id}).normal().Digest; id == "" {
		return nil, errors.New("a digest without an id")
	}
	var rows []DigestRow
	err := d.store.WriteDurably(ctx, store.BatchLimit, func(t *store.Tx) error {
		var n int64
		begun, err := t.One([]any{&n}, `SELECT n FROM digest WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if !begun {
			if _, err := t.One([]any{&n}, `INSERT INTO digest(id, before) VALUES (?, ?) RETURNING n`, id, ceilMillis(before)); err != nil {
				return err
			}
			_, err = t.Exec(`UPDATE login SET digest = ? WHERE usual > 0 AND digest IS NULL AND time < ?`, n, ceilMillis(before))
			if err != nil {
				return err
			}
		}
		rows, err = digestRows(t, `l.digest = ?`, n)
		return err
	})
	return rows, err
}

// PendingDigest returns the oldest digest that was begun and not ended; an empty
// id: there is none.
func (d *DB) PendingDigest(ctx context.Context) (id string, before time.Time, err error) {
	err = d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		var at int64
		found, err := t.One([]any{&id, &at}, `SELECT id, before FROM digest WHERE done = 0 ORDER BY n LIMIT 1`)
		if found {
			before = fromMillis(at)
		}
		return err
	})
	return id, before, err
}

// EndDigest records that a digest is queued. Twice is the same as once.
func (d *DB) EndDigest(ctx context.Context, id string) error {
	return d.store.Write(ctx, store.WriteLimit, func(t *store.Tx) error {
		_, err := t.Exec(`UPDATE digest SET done = 1 WHERE id = ?`, (Entry{Digest: id}).normal().Digest)
		return err
	})
}

func digestRows(t *store.Tx, where string, arg any) ([]DigestRow, error) {
	type who struct {
		user, host string // host: of users that are not told apart
		class      int
	}
	type address struct {
		who
		ip netip.Addr
	}
	byWho := map[who]*DigestRow{}
	addresses := map[address]bool{}
	users := map[string]int{} // by the host that they came to first
	// An address has the details of one of its logins; which one is SQLite's
	// choice.
	err := t.Each(func(rows *sql.Rows) error {
		var w who
		var ip []byte
		var text sql.NullString
		var n int
		var first, last int64
		var host string
		if err := rows.Scan(&w.user, &host, &w.class, &ip, &text, &n, &first, &last); err != nil {
			return err
		}
		r, isNew := byWho[w], false
		if r == nil {
			if users[host]++; users[host] > maxDigestUsers {
				w.user, w.host, isNew = "", host, true
				r = byWho[w]
			}
		}
		if r == nil {
			r = &DigestRow{User: w.user, Class: classOf(w.class), First: fromMillis(first), Last: fromMillis(last)}
			byWho[w] = r
		}
		if isNew {
			r.Users++
		}
		if !slices.Contains(r.Hosts, host) {
			r.Hosts = append(r.Hosts, host)
		}
		r.Count += n
		if t := fromMillis(first); t.Before(r.First) {
			r.First = t
		}
		if t := fromMillis(last); t.After(r.Last) {
			r.Last = t
		}
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || addresses[address{w, addr}] {
			return nil
		}
		if len(addresses) < maxDigestAddresses {
			addresses[address{w, addr}] = true
		}
		if len(r.From) == maxOrigins {
			r.More++
			return nil
		}
		var what detail
		_ = json.Unmarshal([]byte(text.String), &what)
		r.From = append(r.From, Origin{IP: addr, ASN: what.ASN, Network: what.ASName, Country: what.Place.Country})
		return nil
	}, `SELECT coalesce(u.a, ''), coalesce(h.a, ''), l.usual, l.ip, t.b, count(*), min(l.time) AS first, max(l.time)
		FROM login l LEFT JOIN grp u ON u.id = l.g_user LEFT JOIN grp h ON h.id = l.g_host LEFT JOIN grp t ON t.id = l.g_detail
		WHERE `+where+` GROUP BY l.g_user, l.g_host, l.usual, l.ip ORDER BY first, l.ip`, arg)
	if err != nil {
		return nil, err
	}
	var out []DigestRow
	for _, r := range byWho {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b DigestRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.User, b.User), slices.Compare(a.Hosts, b.Hosts), cmp.Compare(a.Class, b.Class))
	})
	return out, nil
}
