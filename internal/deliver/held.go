package deliver

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// Holds are the repeat windows that are open, by group key and destination.
type Holds map[string]map[string]group

// ReadHolds gives the windows of what was told lately of a spool. Without a list
// that can be read there are none.
func ReadHolds(stateDir, spoolDir string, window time.Duration, now time.Time) Holds {
	h := Holds{}
	// The folder is the worker's, and whoever asks may be root.
	b, err := state.ReadFile(ledgerPath(stateDir, spoolDir), maxLedger)
	if err != nil {
		return h
	}
	for line := range bytes.Lines(b) {
		var t told
		if json.Unmarshal(line, &t) != nil || !event.ValidID(t.ID) {
			continue
		}
		for _, s := range t.Sent {
			if end := s.At.Add(window); !end.After(now) || s.At.After(now) {
				continue
			}
			if h[t.Group] == nil {
				h[t.Group] = map[string]group{}
			}
			if g, ok := h[t.Group][s.Dest]; !ok || s.At.After(g.at) {
				h[t.Group][s.Dest] = group{s.At.Add(window), t.Verdict.Severity}
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
		waits := len(r.Parts) == 0
		for _, p := range r.Parts {
			waits = waits || p.Dest == dest && p.pending() && p.Since.IsZero()
		}
		if waits && g.at.After(until) {
			until = g.at
		}
	}
	return until
}
