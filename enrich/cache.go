package enrich

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// cacheLimit is how many answers are kept of one provider: addresses by the
// thousand are a scan.
const cacheLimit = 10_000

// pruneEvery is how many answers are kept, on average, before old ones are
// looked for.
const pruneEvery = 64

// cache keeps the answers of one provider in the worker's database, which
// several processes may use. All of it can be lost: an answer that can't be read
// is asked for again, one that can't be written is not kept. A nil cache keeps
// nothing.
type cache struct {
	db       *store.DB
	provider string
	ttl      time.Duration
	stale    time.Duration // how long an answer that is too old is kept besides, to stand in for one that does not come
	now      func() time.Time
	limit    int // answers
	every    int // answers between two prunings, on average
}

// get reads the answer under key into v, and reports whether there is one that
// is not too old. One from the future is: the clock was put back, and it might
// stay for years.
func (c *cache) get(key string, v any) bool {
	_, ok := c.read(key, v, false)
	return ok
}

// getStale is get for an answer that may be too old, and says when it was got.
func (c *cache) getStale(key string, v any) (time.Time, bool) { return c.read(key, v, true) }

func (c *cache) read(key string, v any, stale bool) (stored time.Time, ok bool) {
	if c == nil {
		return time.Time{}, false
	}
	span := c.ttl
	if stale {
		span += c.stale
	}
	var at int64
	var text string
	err := c.db.Read(context.Background(), store.ReadLimit, func(t *store.Tx) (err error) {
		ok, err = t.One([]any{&at, &text}, `SELECT stored, value FROM answer WHERE provider = ? AND key = ?`, c.provider, key)
		return err
	})
	stored = time.UnixMilli(at).UTC()
	if age := c.now().Sub(stored); err != nil || !ok || age < 0 || age >= span {
		return time.Time{}, false
	}
	return stored, json.Unmarshal([]byte(text), v) == nil
}

// put keeps an answer.
func (c *cache) put(key string, v any) {
	if c == nil {
		return
	}
	answer, err := json.Marshal(v)
	if err != nil {
		return
	}
	now := c.now()
	_ = c.db.Write(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		_, err := t.Exec(`INSERT OR REPLACE INTO answer(provider, key, stored, value) VALUES (?, ?, ?, ?)`, c.provider, key, now.UnixMilli(), string(answer))
		if err != nil || rand.N(c.every) != 0 {
			return err
		}
		return c.prune(t, now)
	})
}

// prune removes what is too old, and the oldest where there are too many.
func (c *cache) prune(t *store.Tx, now time.Time) error {
	if _, err := t.Exec(`DELETE FROM answer WHERE provider = ? AND (stored <= ? OR stored > ?)`, c.provider, now.Add(-c.ttl-c.stale).UnixMilli(), now.UnixMilli()); err != nil {
		return err
	}
	_, err := t.Exec(`DELETE FROM answer WHERE provider = ?1 AND stored <= (
		SELECT stored FROM answer WHERE provider = ?1 ORDER BY stored DESC LIMIT 1 OFFSET ?2)`, c.provider, c.limit)
	return err
}

// isFileName reports whether a provider's name can be part of a file name.
func isFileName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return name != "" && len(name) <= 64
}
