package enrich

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// clock can be set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newCache(t *testing.T, k *clock, limit int) *cache {
	return &cache{dir: filepath.Join(t.TempDir(), "cache", "x"), ttl: time.Hour, now: k.now, limit: limit, every: 1 << 30}
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

func TestCacheFileNames(t *testing.T) {
	c := newCache(t, &clock{noon}, 10)
	c.put("assess-2001:db8::1-abc", 1)
	files, _ := os.ReadDir(c.dir)
	if len(files) != 1 || files[0].Name() != "assess-2001-db8--1-abc.json" {
		t.Fatalf("%v", files)
	}
	if info, _ := files[0].Info(); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestCacheIgnoresWhatIsBroken(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(good string) string
	}{
		{"torn", func(s string) string { return s[:len(s)/2] }},
		{"empty", func(string) string { return "" }},
		{"zeroes", func(s string) string { return strings.Repeat("\x00", len(s)) }},
		{"another version", func(s string) string { return strings.Replace(s, `"v":1`, `"v":2`, 1) }},
		{"another key's", func(s string) string { return strings.Replace(s, "203.0.113.7", "203.0.113.8", 1) }},
		{"an answer of another form", func(s string) string { return strings.Replace(s, `"answer":{"n":7}`, `"answer":"no"`, 1) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCache(t, &clock{noon}, 10)
			c.put("assess-203.0.113.7", map[string]int{"n": 7})
			path := c.path("assess-203.0.113.7")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := tc.spoil(string(good))
			if bad == string(good) {
				t.Fatal("nothing was spoilt")
			}
			if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			var got map[string]int
			if c.get("assess-203.0.113.7", &got) {
				t.Errorf("read %v", got)
			}
			c.put("assess-203.0.113.7", map[string]int{"n": 8})
			if !c.get("assess-203.0.113.7", &got) || got["n"] != 8 {
				t.Error("it can't be replaced")
			}
		})
	}
}

func TestCachePrunesTheOldest(t *testing.T) {
	k := &clock{noon}
	c := newCache(t, k, 20)
	for i := range 30 {
		k.t = noon.Add(time.Duration(i) * time.Second)
		c.put(fmt.Sprint("k", i), i)
	}
	c.prune()
	files, _ := os.ReadDir(c.dir)
	if len(files) != 18 {
		t.Errorf("%d of 30 left, want 18", len(files))
	}
	var got int
	if c.get("k11", &got) || !c.get("k12", &got) || !c.get("k29", &got) {
		t.Error("not the oldest were removed")
	}
	k.t = noon.Add(time.Hour + 20*time.Second)
	c.prune()
	if files, _ = os.ReadDir(c.dir); len(files) != 9 {
		t.Errorf("%d left of 9 that are not too old", len(files))
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(t, &clock{noon}, 10)
	c.every = 4
	for i := range 100 {
		c.put(fmt.Sprint("k", i), i)
	}
	// That it prunes at none of ninety chances of one in four does not happen.
	if files, _ := os.ReadDir(c.dir); len(files) > 90 {
		t.Errorf("%d files", len(files))
	}
}

func TestNoCache(t *testing.T) {
	var c *cache
	c.put("k", 1)
	var got int
	if c.get("k", &got) {
		t.Error("nothing gave something")
	}
	unwritable := &cache{dir: filepath.Join(os.DevNull, "x"), ttl: time.Hour, now: time.Now, limit: 10, every: 1}
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
