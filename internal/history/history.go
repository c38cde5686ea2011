// Package history owns the memory of logins: who came from where, how often
// and when. It answers what no look-up service can, whether this person has
// ever come from there, and keeps what the daily digest has still to report.
//
// It stands in the worker's database, is written by the worker alone and read
// by anybody who may. It also reads what a host already knows: wtmp, the
// journal and auth.log.
//
// It must never stop or delay a delivery: every method has a time limit of its
// own besides its caller's, and every error can be ignored. It must never be
// imported by the login hook, reach net/http, or be the only place of
// something that may not be lost.
package history

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// Options says how a history is kept; the zero value has the defaults.
type Options struct {
	Keep     time.Duration  // how long a login is remembered; 0: DefaultKeep
	Learning time.Duration  // how long a new history is not to be relied on, in the logins' own time; 0: DefaultLearning
	Zone     *time.Location // for the time of day; nil: UTC
	Now      func() time.Time
	// ReadOnly and CacheKiB are the database's, see store.Options.
	ReadOnly bool
	CacheKiB int
}

// Defaults of Options.
const (
	DefaultKeep     = 400 * 24 * time.Hour
	DefaultLearning = 7 * 24 * time.Hour
)

// DB is a history. It may be used by many goroutines.
type DB struct {
	store *store.DB
	o     Options
	// The constant; a test can't wait for that many logins.
	lateness int
}

// Open returns the history in the database at path. It touches no file: the
// first use does, and makes the file where there is none.
func Open(path string, o Options) (*DB, error) {
	st, err := store.Open(path, store.Options{Now: o.Now, ReadOnly: o.ReadOnly, CacheKiB: o.CacheKiB})
	if err != nil {
		return nil, err
	}
	return New(st, o), nil
}

// New returns the history in a database that others use, too.
func New(st *store.DB, o Options) *DB {
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Learning <= 0 {
		o.Learning = DefaultLearning
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &DB{store: st, o: o, lateness: lateness}
}

// Current returns a store.OlderError where the file is of an older version, whose logins
// a ReadOnly one can't list.
func (d *DB) Current(ctx context.Context) error { return d.store.Current(ctx) }

// Close closes the database, after what is under way. The history can be used
// again, which opens it again.
func (d *DB) Close() error { return d.store.Close() }

// Notice returns that the database was damaged and made anew, until ClearNotice.
func (d *DB) Notice(ctx context.Context) (*store.Notice, error) { return d.store.Notice(ctx) }

// ClearNotice says that the notice was reported.
func (d *DB) ClearNotice(ctx context.Context) error { return d.store.ClearNotice(ctx) }
