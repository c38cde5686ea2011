package deliver

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// kindFailures is the kind of document that DayFailures is; its name is the day and
// the host.
const kindFailures = "failures"

// How long the failed logins of a day are remembered, and how many may be counted in
// one: a host may lie.
const (
	failuresFor = 60 * 24 * time.Hour
	maxAttempts = 1_000_000_000
	maxNames    = 8
)

// DayFailures are the failed logins that a host counted in a day, for a report.
type DayFailures struct {
	Host     string    `json:"host"`
	Time     time.Time `json:"time"` // of the last
	Attempts int       `json:"attempts"`
	// Names are those that were tried most.
	Names []event.Count `json:"names,omitempty"`
}

// keepFailures remembers what a watcher counted. A host has one count a day, that with
// the most attempts. Nothing depends on it: what can't be written is missing in reports.
func (w *worker) keepFailures(it *item) {
	f := it.e.Digest.Failures
	if w.Store == nil || f == nil || f.Attempts <= 0 {
		return
	}
	host, now := w.hostname(), w.now()
	if it.from != "" {
		host = it.e.Host
	}
	d := DayFailures{Host: host, Time: it.e.Digest.Last, Attempts: min(f.Attempts, maxAttempts)}
	if d.Time.IsZero() || d.Time.After(now) {
		d.Time = now
	}
	for _, c := range f.Names.Most[:min(len(f.Names.Most), maxNames)] {
		d.Names = append(d.Names, event.Count{Name: c.Name, N: max(0, min(c.N, maxAttempts))})
	}
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	name := day(now) + " " + host
	err := w.Store.Write(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		old, err := store.Get[DayFailures](t, kindFailures, name)
		if err != nil || old.Attempts >= d.Attempts {
			return err
		}
		if _, err := t.Exec(`DELETE FROM state WHERE kind = ? AND name < ?`, kindFailures, day(now.Add(-failuresFor))); err != nil {
			return err
		}
		return store.Put(t, kindFailures, name, d)
	})
	if err != nil {
		w.Log.Warn("the failed logins of a day are not remembered for reports", "host", host, "error", err)
	}
}

// ReadFailures returns the failed logins that are remembered, in no order.
func ReadFailures(ctx context.Context, db *store.DB) (all []DayFailures, err error) {
	byName, err := store.LoadAll[DayFailures](ctx, db, kindFailures)
	for _, d := range byName {
		all = append(all, d)
	}
	return all, err
}
