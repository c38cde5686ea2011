package deliver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxLedger bounds what Holds reads of the list of told events.
const maxLedger = 64 << 20

// Holds are the repeat windows that are open, by group key and destination.
type Holds map[string]map[string]group

// ReadHolds gives the windows of what was told lately of a spool. Without a list
// that can be read there are none.
func ReadHolds(stateDir, spoolDir string, window time.Duration, now time.Time) Holds {
	h := Holds{}
	sum := sha256.Sum256([]byte(spoolDir))
	// The folder is the worker's, and whoever asks may be root.
	f, err := os.OpenFile(filepath.Join(stateDir, "told-"+hex.EncodeToString(sum[:4])+".jsonl"), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return h
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return h
	}
	b, err := io.ReadAll(io.LimitReader(f, maxLedger))
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
		if n := r.Event.Note; n != nil && n.Severity > g.severity || r.Verdict.Severity > g.severity {
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
