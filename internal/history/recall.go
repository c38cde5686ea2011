package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// maxKeyUsers is how many other users of a key are named.
	maxKeyUsers = 5
	// keyUsersLooked is how many of the other users of a key are looked at for those:
	// what a login costs must not grow with them, for a host can name as many as it
	// likes.
	keyUsersLooked = 200
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

// Recall returns what is remembered of logins earlier than e, which need not be
// remembered itself; if it is (by its ID), it is not counted. Of e the ID,
// Time, Host, User, Key, IP, ASN and Place are used. A history that can't be
// used is an error and the zero Memory, after a second at most.
//
// The cost is that of a few dozen steps in the file, whatever its size, and of
// one for each login of the user that is newer than e. If these are more than
// 1,500, the counts are upper limits; what is zero, first and last stays exact.
func (d *DB) Recall(ctx context.Context, e Entry) (event.Memory, error) {
	e = e.normal()
	var m event.Memory
	err := d.store.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		r := recaller{t: t, e: e, at: e.Time.UnixMilli(), lateness: d.lateness}
		var err error
		m, err = r.recall(d.o)
		return err
	})
	if err != nil {
		return event.Memory{}, err
	}
	return m, nil
}

type recaller struct {
	t        *store.Tx
	e        Entry
	network  string
	at       int64
	own      int64        // the entry's own row; 0: it is not remembered
	groups   [kinds]int64 // the own row's
	lateness int
}

func (r *recaller) recall(o Options) (event.Memory, error) {
	m := event.Memory{Known: true, Young: true}
	if err := r.findOwn(); err != nil {
		return m, err
	}
	var err error
	if r.network, err = networkOf(r.t, r.e); err != nil {
		return m, err
	}
	var since int64
	found, err := r.t.One([]any{&since}, `SELECT l.time FROM login l WHERE l.time < ? AND l.n <> ? AND `+notLate+` ORDER BY l.time LIMIT 1`, r.at, r.own)
	if err != nil {
		return m, err
	}
	if found {
		m.Since = fromMillis(since)
		if m.Young, err = r.young(m.Since, o.Learning); err != nil {
			return m, err
		}
	}
	if err := r.seen(&m); err != nil {
		return m, err
	}
	if m.User.Count > 0 {
		if err := r.past(&m, o.Zone); err != nil {
			return m, err
		}
	}
	if err := r.pair(&m.Pair, o.Zone); err != nil {
		return m, err
	}
	if m.Warned, err = r.warned(o.Zone); err != nil {
		return m, err
	}
	return m, r.others(&m)
}

func (r *recaller) findOwn() error {
	var ids [kinds]sql.NullInt64
	to := []any{&r.own}
	for k := range ids {
		to = append(to, &ids[k])
	}
	_, err := r.t.One(to, `SELECT n, `+columns()+` FROM login WHERE n = (`+numberOf+`)`, r.e.ID)
	for k, id := range ids {
		r.groups[k] = id.Int64
	}
	return err
}

// seen counts the logins of the groups that are earlier than the entry: all of
// them, less those that are not.
func (r *recaller) seen(m *event.Memory) error {
	to := map[kind]*event.Seen{
		byHost: &m.Host, byKnown: &m.User, byUserHost: &m.UserHost, byAddress: &m.Address, byNetwork: &m.Network, byCountry: &m.Country,
		byKey: &m.Key, byHostNetwork: &m.HostNetwork, byHostCountry: &m.HostCountry,
	}
	var pair event.Seen
	to[byPair] = &pair
	var q []string
	args := []any{r.at, r.own}
	for _, g := range r.e.asked(r.network) {
		// Literals, because a parameter that the choice of an index may depend on, as
		// kind and LIMIT, has SQLite prepare the statement anew at each use.
		q = append(q, fmt.Sprintf(`SELECT g.kind, g.id,
			g.n - (SELECT count(*) FROM (SELECT 1 FROM login WHERE %[1]s = g.id AND time >= ?1 AND n <> ?2 LIMIT %[3]d)),
			(SELECT time FROM login WHERE %[1]s = g.id AND time < ?1 AND n <> ?2 ORDER BY time LIMIT 1),
			(SELECT time FROM login WHERE %[1]s = g.id AND time < ?1 AND n <> ?2 ORDER BY time DESC LIMIT 1)
			FROM grp g WHERE g.kind = %[2]d AND g.a = ?%[4]d AND g.b = ?%[5]d`, g.kind.column(), g.kind, r.lateness, len(args)+1, len(args)+2))
		args = append(args, g.a, g.b)
	}
	err := r.t.Each(func(rows *sql.Rows) error {
		var k kind
		var id int64
		var n int
		var first, last sql.NullInt64
		if err := rows.Scan(&k, &id, &n, &first, &last); err != nil {
			return err
		}
		if id == r.groups[k] {
			n--
		}
		if first.Valid && n > 0 {
			*to[k] = event.Seen{Count: n, First: fromMillis(first.Int64), Last: fromMillis(last.Int64)}
		}
		return nil
	}, strings.Join(q, " UNION ALL "), args...)
	m.Pair.Count, m.Pair.First, m.Pair.Last = pair.Count, pair.First, pair.Last
	return err
}

// past fills in the user's last login, their habit of hours and their networks.
func (r *recaller) past(m *event.Memory, zone *time.Location) error {
	earlier := " FROM login l LEFT JOIN grp d ON d.id = l.g_detail WHERE " + byKnown.is() + " AND l.time < ? AND l.n <> ? ORDER BY l.time DESC, l.n DESC LIMIT "
	args := []any{r.e.User, "", r.at, r.own}
	var at int64
	var ip []byte
	var text sql.NullString
	if _, err := r.t.One([]any{&at, &ip, &text}, "SELECT l.time, l.ip, d.b"+earlier+"1", args...); err != nil {
		return err
	}
	var what detail
	// One that can't be read is damage that does not hurt.
	_ = json.Unmarshal([]byte(text.String), &what)
	addr, _ := netip.AddrFromSlice(ip)
	m.Last = &event.Past{Time: fromMillis(at), IP: addr, ASN: what.ASN, Place: what.Place, Traits: what.Traits}

	near, all := 0, 0
	want := timeOfDay(r.e.Time, zone)
	err := r.t.Each(func(rows *sql.Rows) error {
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
	}, "SELECT l.time"+earlier+strconv.Itoa(habit), args...)
	if err != nil {
		return err
	}
	if all > 0 {
		m.HourShare = float64(near) / float64(all)
	}
	_, err = r.t.One([]any{&m.Networks}, fmt.Sprintf(`SELECT count(*) FROM grp g WHERE kind = %d AND a = ? AND b <> ?
		AND EXISTS (SELECT 1 FROM login WHERE g_network = g.id AND time < ? AND n <> ?)`, byNetwork), r.e.User, r.network, r.at, r.own)
	return err
}

// others fills in who else has the key.
func (r *recaller) others(m *event.Memory) error {
	if r.e.Key == "" {
		return nil
	}
	q := fmt.Sprintf(`SELECT a, (SELECT max(time) FROM login WHERE g_key = g.id AND time < ? AND n <> ?) AS last
		FROM (SELECT id, a FROM grp INDEXED BY grp_key WHERE kind = %d AND b = ? AND a <> ? LIMIT %d) g
		WHERE last IS NOT NULL ORDER BY last DESC, a LIMIT %d`, byKey, keyUsersLooked, maxKeyUsers)
	return r.t.Each(func(rows *sql.Rows) error {
		var user string
		var at int64
		if err := rows.Scan(&user, &at); err != nil {
			return err
		}
		m.KeyUsers = append(m.KeyUsers, user)
		return nil
	}, q, r.at, r.own, r.e.identity(), r.e.User)
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func timeOfDay(t time.Time, zone *time.Location) time.Duration {
	h, m, s := t.In(zone).Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}
