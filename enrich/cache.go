package enrich

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// cacheLimit is how many answers are kept of one provider: addresses by the
// thousand are a scan, and each file takes a block of the disk.
const cacheLimit = 10_000

// pruneEvery is how many answers are kept, on average, before old ones are
// looked for, which reads the whole folder.
const pruneEvery = 64

// maxEntry bounds what is read of a file: an answer has some kilobytes.
const maxEntry = 4 << 20

// cacheVersion is of the files' form. Files of another are not read.
const cacheVersion = 1

// cache keeps the answers of one provider, a file each. Several processes may
// use one folder. All of it can be lost: an answer that can't be read is asked
// for again, one that can't be written is not kept. A nil cache keeps nothing.
type cache struct {
	dir   string
	ttl   time.Duration
	keep  time.Duration // how long an answer that is too old is kept besides, to stand in for one that does not come
	now   func() time.Time
	limit int // answers
	every int // answers between two prunings, on average
}

// entry is a file of the cache.
type entry struct {
	V      int             `json:"v"`
	Key    string          `json:"key"`
	Stored time.Time       `json:"stored"`
	Answer json.RawMessage `json:"answer"`
}

// get reads the answer under key into v, and reports whether there is one that
// is not too old. One from the future is: the clock was put back, and it might
// stay for years.
func (c *cache) get(key string, v any) bool {
	_, ok := c.read(key, v, 0)
	return ok
}

// getStale is get for an answer that may be too old, and says when it was got.
func (c *cache) getStale(key string, v any) (time.Time, bool) {
	if c == nil {
		return time.Time{}, false
	}
	return c.read(key, v, c.keep)
}

func (c *cache) read(key string, v any, longer time.Duration) (stored time.Time, ok bool) {
	if c == nil {
		return time.Time{}, false
	}
	b, err := state.ReadFile(c.path(key), maxEntry)
	if err != nil {
		return time.Time{}, false
	}
	var e entry
	if json.Unmarshal(b, &e) != nil || e.V != cacheVersion || e.Key != key || !c.isWithin(e.Stored, c.ttl+longer) {
		return time.Time{}, false
	}
	return e.Stored, json.Unmarshal(e.Answer, v) == nil
}

// put keeps an answer. Nothing is synced: a file that a power cut tore is not
// valid JSON.
func (c *cache) put(key string, v any) {
	if c == nil {
		return
	}
	answer, err := json.Marshal(v)
	if err != nil {
		return
	}
	now := c.now()
	b, err := json.Marshal(entry{V: cacheVersion, Key: key, Stored: now.UTC(), Answer: answer})
	if err != nil || c.write(c.path(key), b, now) != nil {
		return
	}
	if rand.N(c.every) == 0 {
		c.prune()
	}
}

func (c *cache) write(path string, b []byte, stored time.Time) error {
	d, err := state.MakeFolder(c.dir)
	if err == nil {
		err = errors.Join(d.Check(filepath.Base(path)), d.Close())
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		// prune goes by this time without reading the files.
		err = os.Chtimes(f.Name(), stored, stored)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// prune removes what is too old, and the oldest where there are too many; a
// tenth more, so as not to come back soon.
func (c *cache) prune() {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	type aged struct {
		name   string
		stored time.Time
	}
	var kept []aged
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if !c.isWithin(info.ModTime(), c.ttl+c.keep) && !strings.HasPrefix(f.Name(), ".") {
			os.Remove(filepath.Join(c.dir, f.Name()))
			continue
		}
		kept = append(kept, aged{f.Name(), info.ModTime()})
	}
	if len(kept) <= c.limit {
		return
	}
	slices.SortFunc(kept, func(a, b aged) int { return a.stored.Compare(b.stored) })
	for _, old := range kept[:len(kept)-c.limit*9/10] {
		os.Remove(filepath.Join(c.dir, old.name))
	}
}

func (c *cache) isWithin(stored time.Time, span time.Duration) bool {
	age := c.now().Sub(stored)
	return age >= 0 && age < span
}

// path puts a key, which is made of words, numbers and addresses, into the
// form of a file name: IPv6 addresses have colons, which some file systems
// refuse.
func (c *cache) path(key string) string {
	return filepath.Join(c.dir, strings.NewReplacer(":", "-", "/", "_").Replace(key)+".json")
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
