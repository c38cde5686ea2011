package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// Filter picks logins; each field that is not zero must agree.
type Filter struct {
	User  string
	Host  string
	Key   string
	IP    netip.Prefix
	Since time.Time // not before
	Until time.Time // before
	Limit int       // the newest so many; 0: all
}

// selectEntries returns the columns that scan reads; a WHERE may follow.
const selectEntries = `SELECT l.n, l.id, l.time, l.ip, l.port, l.severity, l.usual, l.source, l.digest,
	d.id, h.a, u.a, k.b, t.b, l.g_untaught IS NOT NULL, l.g_untaught IS NULL AND l.g_known IS NULL
	FROM login l LEFT JOIN grp h ON h.id = l.g_host LEFT JOIN grp u ON u.id = l.g_user
	LEFT JOIN grp k ON k.id = l.g_key LEFT JOIN grp t ON t.id = l.g_detail LEFT JOIN digest d ON d.n = l.digest`

func scan(rows *sql.Rows) (stored, error) {
	var s stored
	var at int64
	var usual int
	var ip []byte
	var digest, host, user, key, text sql.NullString
	err := rows.Scan(&s.n, &s.ID, &at, &ip, &s.Port, &s.Severity, &usual, &s.sources, &s.digest, &digest, &host, &user, &key, &text, &s.Untaught, &s.Late)
	if err != nil {
		return s, err
	}
	s.Time = fromMillis(at)
	s.Usual, s.Class = usual > 0, classOf(usual)
	s.IP, _ = netip.AddrFromSlice(ip)
	s.Host, s.User, s.Key, s.Digest = host.String, user.String, key.String, digest.String
	s.Source = bestSource(s.sources)
	var what detail
	_ = json.Unmarshal([]byte(text.String), &what) // one that can't be read is damage that does not hurt
	s.fillDetail(what)
	return s, nil
}

// where returns the condition for a filter, on login l.
func (f Filter) where() (string, []any) {
	cond := []string{"TRUE"}
	var args []any
	add := func(c string, a ...any) {
		cond = append(cond, c)
		args = append(args, a...)
	}
	// In the form in which they are stored.
	e := Entry{User: f.User, Host: f.Host, Key: f.Key}.normal()
	switch {
	case f.User != "" && f.Host != "":
		add(byUserHost.is(), e.User, e.Host)
	case f.User != "":
		add(byUser.is(), e.User, "")
	}
	if f.Key != "" {
		add(`(l.g_key IN (SELECT id FROM grp INDEXED BY grp_key WHERE kind = 6 AND b = ?)
			OR l.g_detail IN (SELECT id FROM grp WHERE kind = 7 AND json_extract(b, '$.key') = ?))`, e.Key, e.Key)
	}
	if f.Host != "" {
		add(byHost.is(), e.Host, "")
	}
	if f.IP.IsValid() {
		p := unmapped(f.IP).Masked()
		low, high := p.Addr().AsSlice(), p.Addr().AsSlice()
		for i := p.Bits(); i < len(high)*8; i++ {
			high[i/8] |= 0x80 >> (i % 8)
		}
		add("l.ip BETWEEN ? AND ? AND length(l.ip) = ?", low, high, len(low))
	}
	if !f.Since.IsZero() {
		add("l.time >= ?", ceilMillis(f.Since))
	}
	if !f.Until.IsZero() {
		add("l.time < ?", ceilMillis(f.Until))
	}
	return strings.Join(cond, " AND "), args
}

// unmapped returns the IPv4 form of a prefix of mapped addresses, which is what
// is stored.
func unmapped(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p
}

func ceilMillis(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// List returns the logins that a filter picks, the newest first. It may be
// stopped at any time, and the history may be used in the meantime: it reads in
// parts, so that nobody waits for a slow reader, and what is recorded while it
// runs may be missing. After an error nothing follows.
func (d *DB) List(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		where, args := f.where()
		left := f.Limit
		for {
			part := batch
			if f.Limit > 0 {
				part = min(part, left)
			}
			page, err := d.page(ctx, where, args, part)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, s := range page {
				if !yield(s.Entry, nil) {
					return
				}
			}
			left -= len(page)
			if len(page) < part || f.Limit > 0 && left <= 0 {
				return
			}
			last := page[len(page)-1]
			next, nextArgs := f.where()
			where = next + " AND (l.time, l.n) < (?, ?)"
			args = append(nextArgs, last.Time.UnixMilli(), last.n)
		}
	}
}

func (d *DB) page(ctx context.Context, where string, args []any, limit int) ([]stored, error) {
	var page []stored
	err := d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		page = page[:0]
		return t.Each(func(rows *sql.Rows) error {
			s, err := scan(rows)
			page = append(page, s)
			return err
		}, selectEntries+" WHERE "+where+" ORDER BY l.time DESC, l.n DESC LIMIT ?", append(args[:len(args):len(args)], limit)...)
	})
	return page, err
}

// HasSeen reports whether any login was remembered as it happened, and not only
// from earlier records.
func (d *DB) HasSeen(ctx context.Context) (seen bool, err error) {
	err = d.store.Read(ctx, store.BatchLimit, func(t *store.Tx) (err error) {
		var one int
		seen, err = t.One([]any{&one}, `SELECT 1 FROM login WHERE source & ? <> 0 LIMIT 1`, SourceSeen.bit())
		return err
	})
	return seen, err
}
