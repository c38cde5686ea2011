package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	// maxKeyUsers is how many other users of a key are named.
	maxKeyUsers = 5
	// habit is how many of a user's newest logins are looked at for the hours
	// that they keep: enough for a share, and people change.
	habit = 1000
	// lateness is how many newer logins of a group are counted one by one, to be
	// left out. A login that is told later than that has its counts a little too
	// high, but never a first time taken for a second, or the other way round.
	lateness = 1500
	// nearby is how far from a time of day is still the same hour.
	nearby = time.Hour
)

// Recall gives what is remembered of logins earlier than e, which need not be
// remembered itself; if it is (by its ID), it is not counted. Of e the ID,
// Time, Host, User, Key, IP, ASN and Place are used. A memory that can't be
// used is an error and the zero Memory, after a second at most.
//
// The cost is that of a few dozen steps in the file, whatever its size, and of
// one for each login of the user that is newer than e. If these are more than
// 1,500, the counts are upper limits; what is zero, first and last stays exact.
func (d *DB) Recall(ctx context.Context, e Entry) (event.Memory, error) {
	e = e.normal()
	var m event.Memory
	err := d.read(ctx, recallLimit, func(ctx context.Context, c *conn) error {
		r := recaller{c: c, e: e, at: e.Time.UnixMilli(), lateness: d.lateness}
		var err error
		m, err = r.recall(ctx, d.o)
		return err
	})
	if err != nil {
		return event.Memory{}, err
	}
	return m, nil
}

type recaller struct {
	c        *conn
	e        Entry
	at       int64
	lateness int
	// The entry's own row, and the groups that it is in; zero: not remembered.
	own       int64
	ownGroups [kinds]sql.NullInt64
}

func (r *recaller) recall(ctx context.Context, o Options) (event.Memory, error) {
	m := event.Memory{Known: true}
	if err := r.findOwn(ctx); err != nil {
		return m, err
	}
	var since int64
	found, err := r.c.one(ctx, []any{&since}, `SELECT time FROM login WHERE time < ? AND n <> ? ORDER BY time LIMIT 1`, r.at, r.own)
	if err != nil {
		return m, err
	}
	if found {
		m.Since = fromMillis(since)
	}
	m.Learning = !found || r.e.Time.Sub(m.Since) < o.Learning
	user, err := r.seen(ctx, &m)
	if err != nil || m.User.Count == 0 {
		return m, r.others(ctx, &m, err)
	}
	if err := r.past(ctx, user, &m, o.Zone); err != nil {
		return m, err
	}
	return m, r.others(ctx, &m, nil)
}

func (r *recaller) findOwn(ctx context.Context) error {
	to := []any{&r.own}
	for k := range kinds {
		to = append(to, &r.ownGroups[k])
	}
	var columns []string
	for k := range kinds {
		columns = append(columns, k.column())
	}
	_, err := r.c.one(ctx, to, `SELECT n, `+strings.Join(columns, ", ")+` FROM login WHERE id = ?`, r.e.ID)
	if err != nil || r.own != 0 {
		return err
	}
	_, err = r.c.one(ctx, to, `SELECT n, `+strings.Join(columns, ", ")+` FROM login WHERE n = (SELECT login FROM alias WHERE id = ?)`, r.e.ID)
	return err
}

// seen fills in the groups, and gives the id of the user's.
func (r *recaller) seen(ctx context.Context, m *event.Memory) (user int64, err error) {
	to := [...]*event.Seen{&m.Host, &m.User, &m.UserHost, &m.Address, &m.Network, &m.Country, &m.Key}
	type counted struct {
		kind        kind
		id          int64
		n           int
		first, last int64
	}
	var found []counted
	q, args := groupQuery(r.e.asked())
	err = r.c.each(ctx, func(rows *sql.Rows) error {
		var g counted
		if err := rows.Scan(&g.kind, &g.id, &g.n, &g.first, &g.last); err != nil {
			return err
		}
		found = append(found, g)
		return nil
	}, q, args...)
	if err != nil {
		return 0, err
	}
	for _, g := range found {
		if g.kind < 0 || int(g.kind) >= len(to) {
			continue
		}
		if g.kind == byUser {
			user = g.id
		}
		own := r.ownGroups[g.kind]
		if ownIn := own.Valid && own.Int64 == g.id; ownIn || g.last >= r.at {
			if ownIn {
				g.n--
			}
			if err := r.cut(ctx, g.kind, g.id, &g.n, &g.first, &g.last); err != nil {
				return 0, err
			}
		}
		if g.n > 0 {
			*to[g.kind] = event.Seen{Count: g.n, First: fromMillis(g.first), Last: fromMillis(g.last)}
		}
	}
	return user, nil
}

// groupQuery asks for the counters of groups.
func groupQuery(groups []group) (string, []any) {
	var args []any
	for _, g := range groups {
		args = append(args, g.kind, g.a, g.b)
	}
	return `WITH w(kind, a, b) AS (VALUES ` + strings.Repeat("(?, ?, ?), ", len(groups)-1) + `(?, ?, ?))
		SELECT g.kind, g.id, g.n, coalesce(g.first, 0), coalesce(g.last, 0) FROM w CROSS JOIN grp g ON g.kind = w.kind AND g.a = w.a AND g.b = w.b`, args
}

// cut takes what is not earlier than the entry out of a group's count.
func (r *recaller) cut(ctx context.Context, k kind, id int64, n *int, first, last *int64) error {
	q := strings.ReplaceAll(`SELECT
		(SELECT count(*) FROM (SELECT 1 FROM login WHERE col = ?1 AND time >= ?2 AND n <> ?3 LIMIT ?4)),
		coalesce((SELECT time FROM login WHERE col = ?1 AND time < ?2 AND n <> ?3 ORDER BY time LIMIT 1), 0),
		coalesce((SELECT time FROM login WHERE col = ?1 AND time < ?2 AND n <> ?3 ORDER BY time DESC LIMIT 1), 0)`, "col", k.column())
	var newer int
	_, err := r.c.one(ctx, []any{&newer, first, last}, q, id, r.at, r.own, r.lateness)
	if *n -= newer; *first == 0 {
		*n = 0 // all are newer
	}
	return err
}

// past fills in the user's last login, their habit of hours and their networks.
func (r *recaller) past(ctx context.Context, user int64, m *event.Memory, zone *time.Location) error {
	var at int64
	var ip []byte
	var text sql.NullString
	_, err := r.c.one(ctx, []any{&at, &ip, &text}, `SELECT l.time, l.ip, g.b FROM login l LEFT JOIN grp g ON g.id = l.g_detail
		WHERE l.g_user = ? AND l.time < ? AND l.n <> ? ORDER BY l.time DESC, l.n DESC LIMIT 1`, user, r.at, r.own)
	if err != nil {
		return err
	}
	var what detail
	// One that can't be read is damage that does not hurt.
	json.Unmarshal([]byte(text.String), &what)
	addr, _ := netip.AddrFromSlice(ip)
	m.Last = &event.Past{Time: fromMillis(at), IP: addr, ASN: what.ASN, Place: what.Place, Traits: what.Traits}

	near, all := 0, 0
	want := timeOfDay(r.e.Time, zone)
	err = r.c.each(ctx, func(rows *sql.Rows) error {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return err
		}
		all++
		apart := (timeOfDay(time.UnixMilli(at), zone) - want).Abs()
		if min(apart, 24*time.Hour-apart) <= nearby {
			near++
		}
		return nil
	}, fmt.Sprintf(`SELECT time FROM login WHERE g_user = ? AND time < ? AND n <> ? ORDER BY time DESC LIMIT %d`, habit), user, r.at, r.own)
	if err != nil {
		return err
	}
	if all > 0 {
		m.HourShare = float64(near) / float64(all)
	}
	_, err = r.c.one(ctx, []any{&m.Networks}, `SELECT count(*) FROM grp WHERE kind = ? AND a = ? AND b <> ? AND first < ?`, byNetwork, r.e.User, r.e.network(), r.at)
	if err != nil {
		return err
	}
	return r.ownNetwork(ctx, m)
}

// ownNetwork corrects the count of networks where the only earlier login from
// one is the entry itself, under another time or network.
func (r *recaller) ownNetwork(ctx context.Context, m *event.Memory) error {
	own := r.ownGroups[byNetwork]
	if !own.Valid {
		return nil
	}
	var a, b string
	var first int64
	found, err := r.c.one(ctx, []any{&a, &b, &first}, `SELECT a, b, first FROM grp WHERE id = ?`, own)
	if err != nil || !found || a != r.e.User || b == r.e.network() || first >= r.at {
		return err
	}
	var other int64
	found, err = r.c.one(ctx, []any{&other}, `SELECT n FROM login WHERE g_network = ? AND time < ? AND n <> ? LIMIT 1`, own, r.at, r.own)
	if err == nil && !found {
		m.Networks--
	}
	return err
}

// others fills in who else has the key, unless there was an error before.
func (r *recaller) others(ctx context.Context, m *event.Memory, err error) error {
	if err != nil || r.e.Key == "" {
		return err
	}
	// Users whose newest login with the key is earlier than the entry stand in
	// the index in their order; for the others, few or none, it is looked up.
	q := fmt.Sprintf(`SELECT a, t FROM (
			SELECT * FROM (SELECT a, last AS t FROM grp WHERE kind = %[1]d AND b = ?1 AND a <> ?2 AND last < ?3 ORDER BY last DESC, a LIMIT %[2]d)
			UNION ALL
			SELECT a, (SELECT max(time) FROM login WHERE g_key = grp.id AND time < ?3) FROM grp WHERE kind = %[1]d AND b = ?1 AND a <> ?2 AND last >= ?3
		) WHERE t IS NOT NULL ORDER BY t DESC, a LIMIT %[2]d`, byKey, maxKeyUsers)
	return r.c.each(ctx, func(rows *sql.Rows) error {
		var user string
		var at int64
		if err := rows.Scan(&user, &at); err != nil {
			return err
		}
		m.KeyUsers = append(m.KeyUsers, user)
		return nil
	}, q, r.e.Key, r.e.User, r.at)
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func timeOfDay(t time.Time, zone *time.Location) time.Duration {
	h, m, s := t.In(zone).Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}
