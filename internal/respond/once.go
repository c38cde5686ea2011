package respond

import (
	"cmp"
	"context"
	"errors"
	"time"
)

const (
	onceName = "orders.json"
	onceLock = "orders.lock"
	// onceFor is how long an order is known again: far longer than one may be carried
	// out, whatever becomes of the clock.
	onceFor = 7 * 24 * time.Hour
	// maxOnce is how many are kept, and onceLeast how long each is at least: whoever has
	// broken the hub must not have the file grow until it can't be read.
	maxOnce   = 5000
	onceLeast = time.Hour
	// MaxAnHour is how many orders are carried out in an hour: each leaves evidence.
	MaxAnHour = 100
)

// ErrTooMany means that more orders came than anybody gives.
var ErrTooMany = errors.New("so many orders came within an hour that no more are taken")

// once is when an order was first seen, and how often.
type once struct {
	Seen  time.Time `json:"seen"`
	Times int       `json:"times"`
}

// Once writes down for good that an order was seen, by its nonce, and returns how often
// it was before: 0 for one that is to be carried out. With ErrTooMany none is. It may be
// called concurrently.
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
	lately := 0
	for n, o := range all {
		age := now.Sub(o.Seen)
		switch {
		case n == nonce:
		case age > onceFor, len(all) >= maxOnce && age > onceLeast:
			delete(all, n)
		case age >= 0 && age < time.Hour:
			lately++
		}
	}
	o := all[nonce]
	before = o.Times
	switch {
	case before == 0 && len(all) >= maxOnce:
		return 0, ErrTooMany
	case before == 0 && lately >= MaxAnHour:
		err = ErrTooMany
	}
	if o.Times++; before == 0 {
		o.Seen = now.UTC()
	}
	all[nonce] = o
	return before, cmp.Or(write(s.path, onceName, all), err)
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
