package deliver

import (
	"context"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

// disturbs reports whether an event is told in quiet hours, too: it is critical,
// or somebody asked for all of it.
func (it *item) disturbs() bool { return it.verdict.Severity >= event.Critical || it.rushed }

// disturbs reports whether one of its events is.
func (m *message) disturbs() bool { return slices.ContainsFunc(m.items, (*item).disturbs) }

// wasQuiet reports whether an event was held for the destination's quiet hours,
// or would have been had a worker been there.
func (o *destQueue) wasQuiet(it *item) bool { return !it.disturbs() && o.Quiet.At(it.e.Time) }

// QuietUntil returns until when a waiting record is held for the quiet hours of all
// the destinations that still have to tell it; the zero time if it is not.
func QuietUntil(r Record, quiet map[string]policy.Quiet, now time.Time) (until time.Time) {
	if r.Verdict.Severity >= event.Critical {
		return until
	}
	for dest, q := range quiet {
		if len(r.Deliveries) > 0 && !slices.ContainsFunc(r.Deliveries, func(p delivery) bool { return p.Dest == dest && p.pending() }) {
			continue
		}
		end := q.End(now)
		if !end.After(now) {
			return time.Time{}
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return until
}

// Holds are the repeat windows that are open, by group key and destination.
type Holds struct {
	windows map[string]map[string]*repeatWindow
	window  time.Duration
	now     time.Time
}

// ReadHolds returns the windows of what was delivered lately of a spool. Without
// a database that can be read there are none.
func ReadHolds(ctx context.Context, db *store.DB, spoolDir string, window time.Duration, now time.Time) Holds {
	h := Holds{map[string]map[string]*repeatWindow{}, window, now}
	all, err := ReadDelivered(ctx, db, spoolDir, now.Add(-window))
	if err != nil {
		return h
	}
	for _, t := range all {
		for _, s := range t.Sent {
			if end := s.At.Add(window); !end.After(now) || s.At.After(now) {
				continue
			}
			if h.windows[t.Group] == nil {
				h.windows[t.Group] = map[string]*repeatWindow{}
			}
			g := h.windows[t.Group][s.Dest]
			if g == nil {
				g = &repeatWindow{}
				h.windows[t.Group][s.Dest] = g
			}
			g.openFor(t.From, t.User, s.At, t.Verdict.Severity)
		}
	}
	return h
}

// Until says until when a waiting record is held for its repeat window, by all
// that still have to tell it; the zero time if it is not.
func (h Holds) Until(r Record) time.Time {
	var until time.Time
	it := &item{e: r.Event, from: r.From, taken: h.now, verdict: r.Verdict}
	if n := r.Event.Note(); n != nil {
		it.verdict.Severity = max(it.verdict.Severity, n.Severity)
	}
	for dest, g := range h.windows[groupKey(r.From, r.Event)] {
		end := g.until(it, h.now, h.window)
		waits := len(r.Deliveries) == 0
		for _, p := range r.Deliveries {
			waits = waits || p.Dest == dest && p.pending() && p.Attempted().Since.IsZero()
		}
		if waits && end.After(until) {
			until = end
		}
	}
	return until
}
