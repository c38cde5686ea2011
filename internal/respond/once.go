package respond

import (
	"context"
	"time"
)

const (
	onceName = "orders.json"
	onceLock = "orders.lock"
	// onceFor is how long an order is known again: far longer than one may be carried
	// out, whatever becomes of the clock.
	onceFor = 7 * 24 * time.Hour
)

// once is when an order was first seen, and how often.
type once struct {
	Seen  time.Time `json:"seen"`
	Times int       `json:"times"`
}

// Once writes down for good that an order was seen, by its nonce, and returns how often
// it was before: 0 for one that is to be carried out. It may be called concurrently.
func (s *Store) Once(ctx context.Context, nonce string, now time.Time) (before int, err error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	unlock, err := s.dir.Lock(ctx, onceLock)
	if err != nil {
		return 0, err
	}
	defer unlock()
	all := map[string]once{}
	if err := read(s.dir, onceName, &all); err != nil {
		return 0, err
	}
	for n, o := range all {
		if n != nonce && now.Sub(o.Seen) > onceFor {
			delete(all, n)
		}
	}
	o := all[nonce]
	before = o.Times
	if o.Times++; before == 0 {
		o.Seen = now.UTC()
	}
	all[nonce] = o
	return before, write(s.path, onceName, all)
}

// RootsOwn returns an error that names who besides root could put something else in the
// place of a file or folder, or change it.
func RootsOwn(path string) error { return rootsOwn(path) }

// IDOf returns the id under which a response to an event is kept already that is known
// elsewhere by another one: the first that same accepts; otherwise id.
func (s *Store) IDOf(id string, same func(kept string) bool) string {
	records, err := s.ids()
	if err != nil {
		return id
	}
	for _, kept := range records {
		if kept != id && same(kept) {
			return kept
		}
	}
	return id
}
