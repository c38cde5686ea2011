package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
)

// loadCur takes up what an earlier worker had claimed. hurry makes due at once
// what was put off.
func (w *worker) loadCur(hurry bool) error {
	names, err := w.q.List()
	if err != nil {
		return err
	}
	// Retries go first: the dead letters that they bring back are listed then.
	var drops []string
	for _, name := range names {
		if !isRequest(name) {
			continue
		}
		if r, err := w.readRequest(name); err == nil && r.Op == OpDrop {
			drops = append(drops, name)
		} else {
			w.carryOut(name)
			hurry = hurry || err == nil
		}
	}
	w.reload = false // it is being done
	if names, err = w.q.List(); err != nil {
		return err
	}
	var messages []string
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		} else if strings.HasPrefix(name, messagePrefix) {
			messages = append(messages, name)
		}
	}
	for _, name := range messages {
		w.takeMessage(name)
	}
	if hurry {
		w.hurry()
	}
	w.evaluateNew()
	for _, name := range drops {
		w.carryOut(name)
	}
	return nil
}

// hurry makes due what an earlier worker put off, but not what a destination
// itself asked for by Retry-After.
func (w *worker) hurry() {
	for _, it := range w.items {
		for i := range it.parts {
			it.parts[i].Next = state.Hold{}
		}
	}
	for _, o := range w.outlets {
		for _, m := range o.failed {
			m.Next = state.Hold{}
		}
	}
}

// claimAll takes what waits in new/, as far as there is room, and carries out
// requests. What can't be claimed is remembered, and keeps nothing else from
// being told; an error is only that the spool is gone.
func (w *worker) claimAll() error {
	for {
		if err := w.claim(); err != nil {
			return err
		}
		// With half of the room free again it is worth another look.
		if !w.moreNew || w.unclaimed != nil || len(w.items) > w.room/2 {
			return nil
		}
	}
}

func (w *worker) claim() error {
	room := w.room - len(w.items)
	var names []string
	var more bool
	var err error
	// What comes with an error is claimed all the same.
	if room > 0 {
		names, more, err = w.q.Claim(room)
	} else {
		more = true
		names, err = w.q.ClaimRequests()
	}
	if errors.Is(err, spool.ErrLost) {
		return err
	}
	if err != nil {
		w.Log.Error("not all that is new can be claimed", "error", err)
	}
	w.full(more)
	w.unclaimed = err
	w.claimed += len(names)
	for _, f := range w.q.Foreign() {
		w.Log.Warn("something in the spool is no event of ours", "file", f.Path, "type", f.Type, "kept_as", f.Moved)
	}
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		}
	}
	w.evaluateNew()
	// Requests may be about events that were claimed together with them.
	for _, name := range names {
		if isRequest(name) {
			w.carryOut(name)
		}
	}
	return nil
}

// full remembers whether new/ holds more than there is room for, and says so.
func (w *worker) full(more bool) {
	if more && !w.moreNew {
		w.Alarm(fmt.Sprintf("%d events wait to be told; what comes now waits behind them in the spool", len(w.items)))
	}
	w.moreNew = more
}

// take reads one event of cur/ into memory. What can't be read is kept in
// failed/, and said.
func (w *worker) take(id, name string) {
	b, err := w.q.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var r Record
	if err == nil {
		r, err = DecodeRecord(b)
	}
	switch {
	case errors.Is(err, event.ErrNewer):
		if !w.newer[name] {
			w.newer[name] = true
			w.Log.Error("an event waits for a newer sshnotify", "file", name)
		}
		return
	case err == nil && r.Event.ID != id:
		err = fmt.Errorf("it holds the event %s", r.Event.ID)
	}
	if err != nil {
		w.Log.Error("a file in the spool is no event; it is kept in failed/", "file", name, "error", err)
		w.Alarm(fmt.Sprintf("%s in the spool can't be read (%v); it is kept in failed/", name, err))
		if err := w.q.Fail(name, nil); err != nil {
			w.Log.Error("it could not be moved", "file", name, "error", err)
		}
		return
	}
	// A dead letter that was taken back has parts; a second report has none.
	if t := w.ledger.byID[id]; t != nil && !(t.Dead && len(r.Parts) > 0) {
		w.Log.Debug("told before", "id", id)
		w.remove(name)
		return
	}
	it := &item{e: r.Event, parts: r.Parts, sorted: len(r.Parts) > 0}
	w.items[id] = it
	w.fresh = append(w.fresh, it)
	w.witnesses.login(r.Event)
	if r.Event.Kind == event.KindLogin && r.Event.Session.PID != 0 {
		w.sessions[key(r.Event.Session)] = it
	}
}

func (w *worker) remove(name string) {
	if err := w.q.Remove(name); err != nil {
		w.Log.Error("a finished event can't be removed", "file", name, "error", err)
	}
}

// evaluateNew starts on the events that were just taken, the oldest first, so
// that a login is known before its logout.
func (w *worker) evaluateNew() {
	fresh := w.fresh
	w.fresh = nil
	slices.SortFunc(fresh, older)
	for _, it := range fresh {
		w.evaluate(it)
	}
	if len(fresh) > 1 && w.settle.IsZero() && len(w.lookups) > 0 {
		w.settle = time.Now().Add(w.set.EnrichTimeout + settleExtra)
	}
}

func older(a, b *item) int {
	if c := a.e.Time.Compare(b.e.Time); c != 0 {
		return c
	}
	if a.e.Kind != b.e.Kind && a.e.Kind == event.KindLogin {
		return -1
	}
	if a.e.Kind != b.e.Kind && b.e.Kind == event.KindLogin {
		return 1
	}
	return strings.Compare(a.e.ID, b.e.ID)
}
