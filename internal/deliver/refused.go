package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// refusedEvery is how often refused files are said. Whoever can put one can
	// put thousands.
	refusedEvery = time.Hour
	// maxRefusedKnown is how many of those that were said are remembered: one
	// that stays where it is is met by every worker.
	maxRefusedKnown = 1000
)

// refusalsDoc is what later workers must know of what was said.
type refusalsDoc struct {
	Said      time.Time `json:"said,omitzero"`
	Pending   int       `json:"pending,omitempty"` // refused since, and not said yet
	Known     []string  `json:"known,omitempty"`   // ids
	InboxSaid time.Time `json:"inbox_said,omitzero"`
}

// kindRefused is the kind of document that a refusalsDoc is; its name is the spool's.
const kindRefused = "refused"

func (w *worker) refusals() refusalsDoc {
	if w.refused == nil {
		doc, _ := store.Load[refusalsDoc](context.Background(), w.Store, kindRefused, w.delivered.spool)
		w.refused = &doc
	}
	return *w.refused
}

func (w *worker) keepRefusals(doc refusalsDoc) {
	w.refused = &doc
	err := w.delivered.write(func(t *store.Tx) error { return store.Put(t, kindRefused, w.delivered.spool, doc) })
	if err != nil {
		w.Log.Warn("what was said of refused files can't be kept", "error", err)
	}
}

// sayRefused says what the spool refused since the last call, in the system log
// and by all destinations: the first at once, and more an hour later.
func (w *worker) sayRefused(now time.Time) {
	doc := w.refusals()
	before := doc.Pending
	var first spool.Foreign
	for _, f := range w.q.Foreign() {
		if !f.Removed && slices.Contains(doc.Known, f.ID) {
			continue
		}
		if doc.Known = append(doc.Known, f.ID); len(doc.Known) > maxRefusedKnown {
			doc.Known = slices.Clone(doc.Known[len(doc.Known)-maxRefusedKnown:])
		}
		if doc.Pending++; doc.Pending <= maxDeadSaid {
			w.Log.Warn("something in the spool is no event of ours", "file", f.Path, "why", f.Why, "ref", event.Ref(f.ID), "kept_as", f.Moved)
		}
		if first.ID == "" {
			first = f
		}
	}
	due := now.Sub(doc.Said).Abs() >= refusedEvery
	if doc.Pending == 0 || !due {
		if doc.Pending != before {
			w.keepRefusals(doc)
		}
		return
	}
	refused := wording.Refused{Count: doc.Pending}
	if first.ID != "" {
		refused = wording.Refused{Name: inWords(first), Why: first.Why, ID: first.ID, Removed: first.Removed, Count: doc.Pending}
	}
	doc.Said, doc.Pending = now.UTC(), 0
	w.keepRefusals(doc)
	w.Alarm(refused.Text())
	w.note(nil, now, refused.Note())
}

// inWords says what was found, and where.
func inWords(f spool.Foreign) string {
	name := fmt.Sprintf("%q", filepath.Base(f.Path))
	switch f.Folder {
	case spool.InDrop:
		return name + " in the watcher's inbox"
	case spool.InOverflow:
		return name + " in the overflow folder"
	}
	return name + " in " + string(f.Folder) + "/"
}
