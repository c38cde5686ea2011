package enrich

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// clock can be set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newCache(t *testing.T, k *clock, limit int) *cache {
	return &cache{db: testStore(t, t.TempDir()), provider: "x", ttl: time.Hour, now: k.now, limit: limit, every: 1 << 30}
}

func TestCacheAge(t *testing.T) {
	for _, tc := range []struct {
		name  string
		later time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"nearly an hour later", time.Hour - 1, true},
		{"an hour later", time.Hour, false},
		{"the clock jumped back", -time.Hour, false},
		{"the clock jumped back by years", -10 * 365 * 24 * time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &clock{noon}
			c := newCache(t, k, 10)
			c.put("assess-2001:db8::1", "said")
			k.t = noon.Add(tc.later)
			var got string
			if ok := c.get("assess-2001:db8::1", &got); ok != tc.want || ok && got != "said" {
				t.Errorf("%v, %q", ok, got)
			}
		})
	}
}

func TestCacheIgnoresWhatIsBroken(t *testing.T) {
	for _, value := range []string{"", `{"n":`, "\x00\x00", `"no"`} {
		c := newCache(t, &clock{noon}, 10)
		c.put("assess-203.0.113.7", map[string]int{"n": 7})
		if err := c.db.Write(t.Context(), store.WriteLimit, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE answer SET value = ?`, value)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var got map[string]int
		if c.get("assess-203.0.113.7", &got) {
			t.Errorf("%q: read %v", value, got)
		}
		c.put("assess-203.0.113.7", map[string]int{"n": 8})
		if !c.get("assess-203.0.113.7", &got) || got["n"] != 8 {
			t.Errorf("%q: it can't be replaced", value)
		}
	}
}

// pruned removes what is too old or too much, and returns how many answers are
// left.
func (c *cache) pruned(t *testing.T) (n int) {
	t.Helper()
	if err := c.db.Write(t.Context(), store.WriteLimit, func(tx *store.Tx) error { return c.prune(tx, c.now()) }); err != nil {
		t.Fatal(err)
	}
	return number(t, c.db, `SELECT count(*) FROM answer`)
}

func TestCachePrunesTheOldest(t *testing.T) {
	k := &clock{noon}
	c := newCache(t, k, 20)
	for i := range 30 {
		k.t = noon.Add(time.Duration(i) * time.Second)
		c.put(fmt.Sprint("k", i), i)
	}
	if n := c.pruned(t); n != 20 {
		t.Errorf("%d of 30 left, want 20", n)
	}
	var got int
	if c.get("k9", &got) || !c.get("k10", &got) || !c.get("k29", &got) {
		t.Error("not the oldest were removed")
	}
	k.t = noon.Add(time.Hour + 20*time.Second)
	if n := c.pruned(t); n != 9 {
		t.Errorf("%d left of 9 that are not too old", n)
	}
	k.t = noon
	if n := c.pruned(t); n != 0 {
		t.Errorf("%d left from the future", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(t, &clock{noon}, 10)
	c.every = 4
	for i := range 100 {
		c.put(fmt.Sprint("k", i), i)
	}
	// That it prunes at none of ninety chances of one in four does not happen.
	if n := number(t, c.db, `SELECT count(*) FROM answer`); n > 90 {
		t.Errorf("%d answers", n)
	}
}

func TestNoCache(t *testing.T) {
	var c *cache
	c.put("k", 1)
	var got int
	if c.get("k", &got) {
		t.Error("nothing gave something")
	}
	unwritable := &cache{db: testStore(t, os.DevNull), provider: "x", ttl: time.Hour, now: time.Now, limit: 10, every: 1}
	unwritable.put("k", 1)
	if unwritable.get("k", &got) {
		t.Error("a folder that can't be gave something")
	}
}

func TestIsFileName(t *testing.T) {
	for name, want := range map[string]bool{
		"threatjammer": true, "my-own_2": true, "": false, "..": false, "a/b": false, "a.b": false, "a b": false, strings.Repeat("a", 65): false,
	} {
		if got := isFileName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
