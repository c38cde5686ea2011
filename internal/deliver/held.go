package deliver

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// Holds are the repeat windows that are open, by group key and destination.
type Holds map[string]map[string]repeatWindow

// ReadHolds returns the windows of what was delivered lately of a spool. Without
// a database that can be read there are none.
func ReadHolds(ctx context.Context, db *store.DB, spoolDir string, window time.Duration, now time.Time) Holds {
	h := Holds{}
	all, err := ReadDelivered(ctx, db, spoolDir, now.Add(-window))
	if err != nil {
		return h
	}
	for _, t := range all {
		for _, s := range t.Sent {
			if end := s.At.Add(window); !end.After(now) || s.At.After(now) {
				continue
			}
			if h[t.Group] == nil {
				h[t.Group] = map[string]repeatWindow{}
			}
			if g, ok := h[t.Group][s.Dest]; !ok || s.At.After(g.at) {
				h[t.Group][s.Dest] = repeatWindow{s.At.Add(window), t.Verdict.Severity}
			}
		}
	}
	return h
}

// Until says until when a waiting record is held for its repeat window, by all
// that still have to tell it; the zero time if it is not.
func (h Holds) Until(r Record) time.Time {
	var until time.Time
	for dest, g := range h[groupKey(r.Event)] {
		if n := r.Event.Note(); n != nil && n.Severity > g.severity || r.Verdict.Severity > g.severity {
			continue // worse than what was told
		}
		waits := len(r.Deliveries) == 0
		for _, p := range r.Deliveries {
			waits = waits || p.Dest == dest && p.pending() && p.Since.IsZero()
		}
		if waits && g.at.After(until) {
			until = g.at
		}
	}
	return until
}
