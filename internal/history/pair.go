package history

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// A pair that came on usualDays days is usual, where there is usualSpan at
	// least from the first to the last of them.
	usualDays = 3
	usualSpan = 48 * time.Hour
	// A host with fewer usual pairs than usualPairs is young, for youth times its
	// learning at most: where one person comes from one place there are no more
	// ever.
	usualPairs = 3
	youth      = 4
	// enoughHosts must have reported a pair before it is usual on those that have not:
	// each may lie. Fewer vouch for themselves alone.
	enoughHosts = 3
	// warnedFor is how long a login that was told as high counts against others.
	warnedFor = 24 * time.Hour
	// maxWarned is how many of those are looked at.
	maxWarned = 500
	// maxSpelled is how many addresses are looked through for those of one /64, and
	// maxShared how many of them count for a user.
	maxSpelled = 5000
	maxShared  = 100
	// maxStanding is how many reasons of a pair are kept.
	maxStanding = 32
	// ever is later than any login.
	ever = 1 << 62
)

// The states as the table has them.
const (
	stateNew = iota
	stateUsual
	stateAcknowledged
)

func stateName(n int) event.PairState {
	switch n {
	case stateUsual:
		return event.PairUsual
	case stateAcknowledged:
		return event.PairAcknowledged
	}
	return event.PairNew
}

// young reports whether little is usual yet.
func (r *recaller) young(since time.Time, learning time.Duration) (bool, error) {
	age := r.e.Time.Sub(since)
	if age < learning || age >= youth*learning {
		return age < learning, nil
	}
	n := 0
	_, err := r.t.One([]any{&n}, `SELECT count(*) FROM (SELECT 1 FROM pair WHERE state > 0 AND since <= ? LIMIT 3)`, r.at)
	return n < usualPairs, err
}

// told is what a message said, and of which login.
type told struct {
	at, severity sql.NullInt64
	id, reasons  sql.NullString
}

func (r *recaller) pair(p *event.Pair, zone *time.Location) error {
	name := r.e.pair(r.network)
	var state int
	var since sql.NullInt64
	var standing, only sql.NullString
	var own, alarm told
	found, err := r.t.One([]any{&state, &since, &standing, &only},
		`SELECT state, since, standing, only FROM pair WHERE user = ? AND network = ? AND key = ?`, name.user, name.network, name.key)
	if err != nil {
		return err
	}
	if found {
		if state != stateNew && since.Int64 > r.at {
			state = stateNew
		}
		if p.Elsewhere = state == stateUsual && only.String != "" && !slices.Contains(strings.Split(only.String, "\n"), r.e.Host); p.Elsewhere {
			state = stateNew
		}
		before := p.Count > 0
		if !before && state == stateNew {
			if _, before, err = firstFrom(r.t, group{byUntaught, name.user, name.b()}, 0, r.at, r.own); err != nil {
				return err
			}
		}
		if before || state != stateNew {
			p.State = stateName(state)
		}
		p.Standing = reasonsOf(standing)
		// Cut short: it is to know whether they come more often than hourly.
		if _, err := r.t.One([]any{&p.Today}, `SELECT count(*) FROM (SELECT 1 FROM login l WHERE `+byPair.is()+` AND l.time >= ? AND l.time < ? AND l.n <> ? LIMIT 24)`,
			name.user, name.b(), r.at-(24*time.Hour).Milliseconds(), r.at, r.own); err != nil {
			return err
		}
		if p.Usual() {
			p.Since, p.Days = fromMillis(since.Int64), usualDays
		} else if p.Days, err = days(r.t, group{byPair, name.user, name.b()}, r.at, r.own, zone); err != nil {
			return err
		}
	}
	if _, err := r.t.One([]any{&own.at, &own.id, &own.severity, &own.reasons},
		`SELECT told, told_id, told_severity, told_reasons FROM told WHERE user = ? AND network = ? AND key = ? AND host = ?`,
		name.user, name.network, name.key, r.e.Host); err != nil {
		return err
	}
	if _, err := r.t.One([]any{&alarm.at, &alarm.id, &alarm.severity, &alarm.reasons, &p.Unanswered},
		`SELECT told, told_id, told_severity, told_reasons, unanswered FROM alarm WHERE user = ? AND place = ? AND key = ? AND host = ?`,
		name.user, alarmPlace(r.e, r.network), name.key, r.e.Host); err != nil {
		return err
	}
	for _, t := range []told{own, alarm} {
		// A login that is judged again after a kill was not told before.
		if at := fromMillis(t.at.Int64); t.at.Valid && t.id.String != r.e.ID && at.After(p.Told) {
			p.Told, p.ToldSeverity, p.ToldReasons = at, event.Severity(t.severity.Int64), reasonsOf(t.reasons)
		}
	}
	return nil
}

func reasonsOf(s sql.NullString) []string {
	var out []string
	_ = json.Unmarshal([]byte(s.String), &out) // one that can't be read is damage that does not hurt
	return out
}

// alarmPlace is where somebody came from, for what waits for an answer.
func alarmPlace(e Entry, network string) string {
	if e.Place.Country != "" {
		return e.Place.Country
	}
	return network
}

// days counts the different days of a group's logins before a time, up to
// usualDays.
func days(t *store.Tx, g group, before, own int64, zone *time.Location) (int, error) {
	return countDays(zone, func(from int64) (int64, bool, error) { return firstFrom(t, g, from, before, own) })
}

// countDays is days, given what finds the first login from a time on.
func countDays(zone *time.Location, first func(from int64) (at int64, found bool, err error)) (int, error) {
	n, from := 0, int64(0)
	for n < usualDays {
		at, found, err := first(from)
		if err != nil || !found {
			return n, err
		}
		n++
		from = nextDay(fromMillis(at), zone).UnixMilli()
	}
	return n, nil
}

// firstFrom returns the time of a group's first login in a span.
func firstFrom(t *store.Tx, g group, from, before, own int64) (at int64, found bool, err error) {
	found, err = t.One([]any{&at}, `SELECT l.time FROM login l WHERE `+g.kind.is()+` AND l.time >= ? AND l.time < ? AND l.n <> ? ORDER BY l.time LIMIT 1`,
		g.a, g.b, from, before, own)
	return at, found, err
}

func nextDay(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, zone)
}

// warned finds the newest login of the last day that was told as high or worse,
// and came from the same address or with the same key.
func (r *recaller) warned(zone *time.Location) (*event.Warned, error) {
	const untaught = `SELECT l.id, l.time, l.ip, g.a, g.b, d.b, coalesce(h.a, '') FROM login l INDEXED BY `
	const joined = ` JOIN grp g ON g.id = l.g_untaught LEFT JOIN grp d ON d.id = l.g_detail LEFT JOIN grp h ON h.id = l.g_host
		WHERE l.g_untaught IS NOT NULL AND l.time >= ? AND l.time < ? AND l.n <> ?`
	limit := ` ORDER BY l.time DESC LIMIT ` + strconv.Itoa(maxWarned)
	own, others, n, err := r.warnedBy(untaught+`login_untaught`+joined+limit, r.at-warnedFor.Milliseconds(), r.at, r.own)
	if err == nil && n == maxWarned { // others' may be all of them
		own, _, _, err = r.warnedBy(untaught+`login_g_host`+joined+` AND `+byHost.is()+limit, r.at-warnedFor.Milliseconds(), r.at, r.own, r.e.Host, "")
	}
	if err != nil {
		return nil, err
	}
	for _, w := range []warnings{own, others} {
		if w.byAddr != nil {
			shared, err := r.shared(zone, w.byAddr.Time.UnixMilli())
			if err != nil || !shared {
				return w.byAddr, err
			}
		}
		if w.byKey != nil {
			return w.byKey, nil
		}
	}
	return nil, nil
}

// warnings are the newest logins that warn of another.
type warnings struct{ byAddr, byKey *event.Warned }

// warnedBy looks for them in what a query returns, and counts that: those of the
// entry's own host, and those of others.
func (r *recaller) warnedBy(query string, args ...any) (own, others warnings, n int, err error) {
	err = r.t.Each(func(rows *sql.Rows) error {
		var id, user, host string
		var at int64
		var ip []byte
		var pair string
		var text sql.NullString
		if err := rows.Scan(&id, &at, &ip, &user, &pair, &text, &host); err != nil {
			return err
		}
		n++
		if onlyWarned(text) {
			return nil
		}
		w := &event.Warned{Ref: event.Ref(id), User: user, Time: fromMillis(at)}
		by := &own
		if host != r.e.Host {
			w.Host, by = host, &others
		}
		addr, _ := netip.AddrFromSlice(ip)
		switch name := pairOf(user, pair); {
		case by.byAddr == nil && SameSource(addr, r.e.IP):
			w.By = "address"
			by.byAddr = w
		case by.byKey == nil && r.e.Key != "" && name.key == r.e.identity():
			w.By = "key"
			by.byKey = w
		}
		return nil
	}, query, args...)
	return own, others, n, err
}

// onlyWarned reports whether a login was high for no other reason than such a
// warning. It passes it on to nobody, or one stolen key would make strangers of
// a whole office, one after the other.
func onlyWarned(text sql.NullString) bool {
	var what detail
	_ = json.Unmarshal([]byte(text.String), &what)
	if !slices.Contains(what.Reasons, "warned") {
		return false
	}
	for _, k := range what.Reasons {
		switch k {
		case "new_country", "new_network", "first_login", "tor", "foreign_key", "score_high", "forged_address", "after_failures":
			return false
		}
	}
	return true
}

// SameSource reports whether two addresses are one subscriber's: IPv6 by /64. An
// address that is not valid is nobody's.
func SameSource(a, b netip.Addr) bool {
	if !a.IsValid() || !b.IsValid() {
		return false
	}
	if a.Is4() || b.Is4() {
		return a == b
	}
	p, err := a.Prefix(64)
	return err == nil && p.Contains(b)
}

// shared reports whether two people always came from the entry's address (IPv6:
// /64): an office, whose people are not each other's burglars.
func (r *recaller) shared(zone *time.Location, before int64) (bool, error) {
	users := map[string][]string{} // the ids of their groups
	low, high := spelled(r.e.IP)
	err := r.t.Each(func(rows *sql.Rows) error {
		var user, ip, id string
		if err := rows.Scan(&user, &ip, &id); err != nil {
			return err
		}
		if addr, err := netip.ParseAddr(ip); err == nil && SameSource(addr, r.e.IP) && len(users[user]) < maxShared {
			users[user] = append(users[user], id)
		}
		return nil
	}, `SELECT a, b, CAST(id AS TEXT) FROM grp INDEXED BY grp_address WHERE kind = 3 AND b >= ? AND b <= ? LIMIT `+strconv.Itoa(maxSpelled), low, high)
	if err != nil {
		return false, err
	}
	n := 0
	for _, ids := range users {
		d, err := countDays(zone, func(from int64) (at int64, found bool, err error) {
			var first sql.NullInt64
			_, err = r.t.One([]any{&first}, `SELECT min(time) FROM login WHERE g_address IN (`+strings.Join(ids, ", ")+`) AND time >= ? AND time < ? AND n <> ?`, from, before, r.own)
			return first.Int64, first.Valid, err
		})
		if err != nil {
			return false, err
		}
		if d >= usualDays {
			n++
		}
		if n == 2 {
			return true, nil
		}
	}
	return false, nil
}

// spelled returns the first and the last text that an address of the same source
// may have. Of an IPv6 network that is what all of its addresses begin with,
// whichever of their zeros are left out.
func spelled(ip netip.Addr) (low, high string) {
	if ip.Is4() {
		return ip.String(), ip.String()
	}
	same := ""
	for b := ip.As16(); len(b)/2 > strings.Count(same, ":")+4; {
		i := 2 * strings.Count(same, ":")
		hextet := uint16(b[i])<<8 | uint16(b[i+1])
		if hextet == 0 {
			break
		}
		same += fmt.Sprintf("%x:", hextet)
	}
	return same, same + "~"
}

// learn notes what a login that was just added says of its pair, and what was
// told of it.
func (d *DB) learn(t *store.Tx, e Entry) error {
	network, err := networkOf(t, e)
	if err != nil {
		return err
	}
	p := e.pair(network)
	var state int
	var since sql.NullInt64
	var standing, only sql.NullString
	known, err := t.One([]any{&state, &since, &standing, &only}, `SELECT state, since, standing, only FROM pair WHERE user = ? AND network = ? AND key = ?`, p.user, p.network, p.key)
	if err != nil {
		return err
	}
	if !known {
		if _, err := t.Exec(`INSERT INTO pair(user, network, key) VALUES (?, ?, ?)`, p.user, p.network, p.key); err != nil {
			return err
		}
	}
	if e.teaches() {
		if by := reportedBy(only, e.Host); by != only {
			if _, err := t.Exec(`UPDATE pair SET only = ? WHERE user = ? AND network = ? AND key = ?`, by, p.user, p.network, p.key); err != nil {
				return err
			}
		}
		if state == stateNew || !standing.Valid {
			if err := setStanding(t, p, union(reasonsOf(standing), e.Reasons)); err != nil {
				return err
			}
		}
		// An import may bring what is older than what made it usual.
		if state == stateNew || state == stateUsual && e.Time.Before(fromMillis(since.Int64)) {
			if err := d.promote(t, e, p); err != nil {
				return err
			}
		}
	}
	if !e.Told {
		return nil
	}
	return tell(t, e, p, network)
}

// unlearn notes that a login teaches nothing after all, and what was told of it. A
// pair that it had made usual is new again.
func (d *DB) unlearn(t *store.Tx, e Entry) error {
	network, err := networkOf(t, e)
	if err != nil {
		return err
	}
	p := e.pair(network)
	if _, err := t.Exec(`UPDATE pair SET state = ?, since = NULL WHERE user = ? AND network = ? AND key = ? AND state = ? AND since >= ?`,
		stateNew, p.user, p.network, p.key, stateUsual, e.Time.UnixMilli()); err != nil {
		return err
	}
	if err := d.promote(t, e, p); err != nil || !e.Told {
		return err
	}
	return tell(t, e, p, network)
}

// reportedBy returns which few hosts have reported a pair, now that one more has.
func reportedBy(only sql.NullString, host string) sql.NullString {
	few := strings.Split(only.String, "\n")
	switch {
	case !only.Valid:
		return sql.NullString{String: host, Valid: true}
	case only.String == "" || slices.Contains(few, host):
		return only
	case host == "" || len(few) == enoughHosts-1:
		return sql.NullString{Valid: true}
	}
	return sql.NullString{String: only.String + "\n" + host, Valid: true}
}

func setStanding(t *store.Tx, p pairName, keys []string) error {
	_, err := t.Exec(`UPDATE pair SET standing = ? WHERE user = ? AND network = ? AND key = ?`, marshal(keys[:min(len(keys), maxStanding)]), p.user, p.network, p.key)
	return err
}

func marshal(keys []string) string {
	if keys == nil {
		keys = []string{}
	}
	b, _ := json.Marshal(keys) // strings always can be
	return string(b)
}

func union(a, b []string) []string {
	for _, k := range b {
		if !slices.Contains(a, k) {
			a = append(a, k)
		}
	}
	return a
}

// promote makes a pair usual that came on three days. A password, and a key that
// is new for somebody who was known before, need to be acknowledged.
func (d *DB) promote(t *store.Tx, e Entry, p pairName) error {
	if e.secret() {
		return nil
	}
	g := group{byPair, p.user, p.b()}
	first, found, err := firstFrom(t, g, 0, ever, 0)
	if err != nil || !found {
		return err
	}
	second, found, err := firstFrom(t, g, nextDay(fromMillis(first), d.o.Zone).UnixMilli(), ever, 0)
	if err != nil || !found {
		return err
	}
	third, found, err := firstFrom(t, g, max(nextDay(fromMillis(second), d.o.Zone).UnixMilli(), first+usualSpan.Milliseconds()), ever, 0)
	if err != nil || !found {
		return err
	}
	if ok, err := d.ownKey(t, e); err != nil || !ok {
		return err
	}
	_, err = t.Exec(`UPDATE pair SET state = ?, since = ? WHERE user = ? AND network = ? AND key = ?`, stateUsual, third, p.user, p.network, p.key)
	return err
}

// ownKey reports whether a key may become usual unasked: the user came with it
// from the start, or while all was new, or it was acknowledged.
func (d *DB) ownKey(t *store.Tx, e Entry) (bool, error) {
	if e.Key == "" {
		return true, nil
	}
	withKey, found, err := firstFrom(t, group{byKey, e.User, e.identity()}, 0, ever, 0)
	if err != nil || !found {
		return false, err
	}
	user, _, err := firstFrom(t, group{byKnown, e.User, ""}, 0, ever, 0)
	if err != nil || withKey <= user {
		return err == nil, err
	}
	var began, upgraded sql.NullInt64
	if _, err := t.One([]any{&began, &upgraded}, `SELECT (SELECT time FROM login l WHERE `+notLate+` ORDER BY time LIMIT 1),
		(SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'upgraded')`); err != nil {
		return false, err
	}
	if withKey < began.Int64+d.o.Learning.Milliseconds() {
		return true, nil
	}
	// Before the upgrade certificates were remembered by their keys.
	if e.CA != "" && upgraded.Valid && withKey < upgraded.Int64+d.o.Learning.Milliseconds() {
		return true, nil
	}
	var one int
	return t.One([]any{&one}, `SELECT 1 FROM pair WHERE user = ? AND key = ? AND state = 2 LIMIT 1`, e.User, e.identity())
}

// tell notes what a message said of a pair.
func tell(t *store.Tx, e Entry, p pairName, network string) error {
	at := e.Time.UnixMilli()
	if e.Severity < event.High {
		_, err := t.Exec(`INSERT INTO told(user, network, key, host, told, told_id, told_severity, told_reasons) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET told = excluded.told, told_id = excluded.told_id, told_severity = excluded.told_severity, told_reasons = excluded.told_reasons
			WHERE told <= excluded.told`, p.user, p.network, p.key, e.Host, at, e.ID, e.Severity, marshal(e.Reasons))
		return err
	}
	place := alarmPlace(e, network)
	var reasons sql.NullString
	if _, err := t.One([]any{&reasons}, `SELECT told_reasons FROM alarm WHERE user = ? AND place = ? AND key = ? AND host = ?`, p.user, place, p.key, e.Host); err != nil {
		return err
	}
	all := union(reasonsOf(reasons), e.Reasons)
	_, err := t.Exec(`INSERT INTO alarm(user, place, key, host, told, told_id, told_severity, told_reasons, unanswered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT DO UPDATE SET told = max(told, excluded.told), told_id = excluded.told_id, told_severity = max(told_severity, excluded.told_severity),
			told_reasons = excluded.told_reasons, unanswered = unanswered + 1`,
		p.user, place, p.key, e.Host, at, e.ID, e.Severity, marshal(all[:min(len(all), maxStanding)]))
	return err
}

// dropPairs drops what is remembered of pairs of which no login is left.
func dropPairs(t *store.Tx, before int64) error {
	for _, q := range []string{
		`DELETE FROM pair WHERE NOT EXISTS (SELECT 1 FROM grp WHERE kind IN (11, 12) AND a = pair.user AND b = pair.network || char(9) || pair.key)`,
		`DELETE FROM told WHERE NOT EXISTS (SELECT 1 FROM pair p WHERE p.user = told.user AND p.network = told.network AND p.key = told.key)`,
		`DELETE FROM ack WHERE NOT EXISTS (SELECT 1 FROM pair p WHERE p.user = ack.user AND p.network = ack.network AND p.key = ack.key)`,
		`DELETE FROM alarm WHERE NOT EXISTS (SELECT 1 FROM grp WHERE kind = 1 AND a = alarm.user AND b = '')`,
		`DELETE FROM network WHERE name NOT IN (SELECT 'AS' || coalesce(json_extract(b, '$.asn'), '') FROM grp WHERE kind = 7
			UNION ALL SELECT 'org:' || lower(coalesce(json_extract(b, '$.as_name'), '')) FROM grp WHERE kind = 7
			UNION ALL SELECT 'net:' || coalesce(json_extract(b, '$.named'), json_extract(b, '$.as_name'), '') FROM grp WHERE kind = 7)`,
	} {
		if _, err := t.Exec(q); err != nil {
			return err
		}
	}
	_, err := t.Exec(`DELETE FROM alarm WHERE told < ?`, before)
	return err
}

// PairInfo is a pair with its names, as it is now.
type PairInfo struct {
	User, Network, Key string
	Name               string // of the network, in words; empty: it has none
	State              event.PairState
	Since              time.Time // of what is usual or acknowledged; of what is new its first login
	First              string    // of what is new: that login's id
}

// name fills in what a pair's network is called, by its newest login.
func (p *PairInfo) name(t *store.Tx) error {
	var text sql.NullString
	_, err := t.One([]any{&text}, `SELECT d.b FROM login l JOIN grp d ON d.id = l.g_detail WHERE `+byPair.is()+` ORDER BY l.time DESC LIMIT 1`,
		p.User, pairName{p.User, p.Network, p.Key}.b())
	var what detail
	_ = json.Unmarshal([]byte(text.String), &what)
	p.Name = cmp.Or(what.Named, what.ASName)
	return err
}

// named does for all what name does for one.
func named(t *store.Tx, all []PairInfo) error {
	for i := range all {
		if err := all[i].name(t); err != nil {
			return err
		}
	}
	return nil
}

// Learned returns the pairs that came for the first time in a span of time, and
// taught something, while the history was young: before anybody could say who is
// usual. The oldest comes first, at most so many, and how many more there are.
func (d *DB) Learned(ctx context.Context, from, before time.Time, most int) (out []PairInfo, more int, err error) {
	err = d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		out, more = nil, 0
		r := recaller{t: t, e: Entry{Time: before}, at: before.UnixMilli()}
		var since sql.NullInt64
		if _, err := t.One([]any{&since}, `SELECT (SELECT time FROM login l WHERE `+notLate+` ORDER BY time LIMIT 1)`); err != nil || !since.Valid {
			return err
		}
		if young, err := r.young(fromMillis(since.Int64), d.o.Learning); err != nil || !young {
			return err
		}
		if err := t.Each(func(rows *sql.Rows) error {
			var user, pair, id string
			var at int64
			err := rows.Scan(&user, &pair, &id, &at)
			if len(out) == most {
				more++
				return err
			}
			name := pairOf(user, pair)
			out = append(out, PairInfo{User: user, Network: name.network, Key: name.key, State: event.PairNew, Since: fromMillis(at), First: id})
			return err
		}, `SELECT g.a, g.b, l.id, min(l.time) AS at FROM login l JOIN grp g ON g.id = l.g_pair
			WHERE l.time >= ?1 AND l.time < ?2 AND NOT EXISTS (SELECT 1 FROM login o WHERE o.g_pair = l.g_pair AND o.time < ?1)
			GROUP BY l.g_pair ORDER BY at, g.a`, from.UnixMilli(), before.UnixMilli()); err != nil {
			return err
		}
		return named(t, out)
	})
	return out, more, err
}

// Promoted returns the pairs that became usual unasked in a span of time, the
// oldest first.
func (d *DB) Promoted(ctx context.Context, from, before time.Time) ([]PairInfo, error) {
	var out []PairInfo
	err := d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		out = nil
		if err := t.Each(func(rows *sql.Rows) error {
			p := PairInfo{State: event.PairUsual}
			var since int64
			err := rows.Scan(&p.User, &p.Network, &p.Key, &since)
			p.Since = fromMillis(since)
			out = append(out, p)
			return err
		}, `SELECT user, network, key, since FROM pair WHERE state = 1 AND since >= ? AND since < ? ORDER BY since, user`, from.UnixMilli(), before.UnixMilli()); err != nil {
			return err
		}
		return named(t, out)
	})
	return out, err
}
