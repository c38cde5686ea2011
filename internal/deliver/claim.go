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

// loadCur takes up what an earlier worker had claimed.
func (w *worker) loadCur(h retryNow) error {
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
		}
	}
	h.join(w.asked)
	w.reload, w.asked = false, retryNow{} // it is being done
	if names, err = w.q.List(); err != nil {
		return err
	}
	var messages []string
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		} else if isMessage(name) {
			messages = append(messages, name)
		} else if !isRequest(name) {
			w.refuse(name, errors.New("not a name that a hook or a worker uses"))
		}
	}
	for _, name := range messages {
		w.takeMessage(name)
	}
	w.retryNow(h)
	w.evaluateNew()
	for _, name := range drops {
		w.carryOut(name)
	}
	w.sayRefused(time.Now())
	return nil
}

// retryNow is what need not wait any longer.
type retryNow struct {
	due bool     // all that was put off after a failure
	all bool     // and all that is held for its repeat window
	ids []string // these events alone, for either reason
}

func (h *retryNow) join(more retryNow) {
	h.due, h.all = h.due || more.due, h.all || more.all
	h.ids = append(h.ids, more.ids...)
}

func (h retryNow) has(it *item) bool { return h.all || slices.Contains(h.ids, it.e.ID) }

// retryNow makes due what an earlier worker put off, but not what a destination
// itself asked for by Retry-After.
func (w *worker) retryNow(h retryNow) {
	for _, it := range w.items {
		rushed := h.has(it)
		it.rushed = it.rushed || rushed
		for i := range it.deliveries {
			if p := &it.deliveries[i]; p.Attempts != nil && (h.due || rushed) {
				p.Next = state.Cooldown{}
			}
		}
	}
	for _, o := range w.queues {
		if h.due {
			o.doc.Rest = state.Cooldown{}
		}
		for _, m := range o.failed {
			if h.due || slices.ContainsFunc(m.items, h.has) {
				m.Next = state.Cooldown{}
			}
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
	w.unclaimed, w.inbox = apart(err)
	w.full(more)
	w.sayBlocked(err, time.Now())
	w.claimed += len(names)
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		}
	}
	w.sayRefused(time.Now())
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
		w.Alarm(fmt.Sprintf("%d events are waiting to be delivered; new ones wait behind them in the spool", len(w.items)))
	}
	w.moreNew = more
}

// take reads one event of cur/ into memory. What is no event is kept in
// failed/, and said; what can't be read now is tried again.
func (w *worker) take(id, name string) {
	b, err := w.q.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if w.inTrouble(name, err) {
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
		w.refuse(name, err)
		return
	}
	if !w.enter(r) {
		w.Log.Debug("delivered before", "id", id)
		w.remove(name)
	}
}

// enter takes an event up, and reports whether it is one that was not delivered
// before.
func (w *worker) enter(r Record) bool {
	// A dead letter that was taken back has deliveries; a second report has none.
	if t := w.delivered.byID[r.Event.ID]; t != nil && !(t.Dead && len(r.Deliveries) > 0) {
		return false
	}
	if w.hub == nil { // what waited for a hub that this host has left is told here
		r.Deliveries = slices.DeleteFunc(r.Deliveries, func(p delivery) bool { return p.Dest == hubName })
	}
	share(&r.Event)
	it := &item{e: r.Event, from: r.From, taken: w.now(), deliveries: r.Deliveries, sorted: len(r.Deliveries) > 0, rushed: w.Flush}
	w.items[it.e.ID] = it
	w.rejoin(it)
	w.fresh = append(w.fresh, it)
	if it.from == "" {
		w.witnesses.login(r.Event)
	}
	if r.Event.Kind == event.KindLogin && r.Event.Session.PID != 0 {
		w.sessions[key(r.Event.Session)] = it
	}
	return true
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
	if len(fresh) > 0 {
		w.readSilences() // whoever sets one is told of behind it
	}
	slices.SortFunc(fresh, older)
	for _, it := range fresh {
		w.evaluate(it)
	}
	if len(fresh) > 1 && w.lookupGrace.IsZero() && len(w.lookups) > 0 {
		w.lookupGrace = w.now().Add(w.set.EnrichTimeout + lookupGraceExtra)
	}
}

func older(a, b *item) int {
	if c := a.e.Time.Compare(b.e.Time); c != 0 {
		return c
	}
	if c := turn(a.e.Kind) - turn(b.e.Kind); c != 0 {
		return c
	}
	return strings.Compare(a.e.ID, b.e.ID)
}

// turn is which of several events of a moment comes first: a second step is part of its
// login, and all else comes after that.
func turn(k event.Kind) int {
	switch k {
	case event.KindGate:
		return 0
	case event.KindLogin:
		return 1
	}
	return 2
}
