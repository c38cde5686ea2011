package deliver

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// unsureFor is how long a message that can't be read is waited for before
	// its events are told anew: once too often is better than a day too late.
	unsureFor = 30 * time.Second
	// maxAgain ends a request that can't be carried out: its back-off has made a
	// day of that many tries.
	maxAgain = 110
	// maxUnreadSaid is how many files that can't be read are logged at a time.
	maxUnreadSaid = 10
)

// unread is a file of cur/ that is to be tried again.
type unread struct {
	tries int
	next  state.Cooldown
}

func (w *worker) isUnread(id string) bool { return w.unread[eventFile(id)] != nil }

// inTrouble reports whether a file could not be read for a reason that may pass,
// and has it tried again then.
func (w *worker) inTrouble(name string, err error) bool {
	var trouble *spool.TroubleError
	if !errors.As(err, &trouble) {
		return false
	}
	if w.unread[name] == nil && len(w.unread) < maxUnreadSaid {
		w.Log.Error("a file in the spool can't be read now, and is tried again", "file", name, "since", trouble.Since, "error", err)
	}
	w.again(name)
	return true
}

// again has a file of cur/ taken up once more, with back-off.
func (w *worker) again(name string) {
	u := w.unread[name]
	if u == nil {
		u = &unread{}
		w.unread[name] = u
	}
	u.tries++
	u.next = state.CooldownFor(time.Now(), outbound.Backoff(u.tries, rand.Float64))
}

// readAgain tries the files that are due, and says how long until one is. With
// one attempt at everything only messages are waited for, for what they hold up.
func (w *worker) readAgain(now time.Time) time.Duration {
	if len(w.unread) == 0 {
		w.unsure = time.Time{}
		return forever
	}
	wake, messages := forever, false
	for name, u := range w.unread {
		messages = messages || isMessage(name)
		if w.Mode == Once && !isMessage(name) {
			continue
		}
		if left := u.next.Left(now); left > 0 {
			wake = min(wake, left)
			continue
		}
		tries := u.tries
		switch id, isEvent := idOfFile(name); {
		case isEvent:
			w.take(id, name)
		case isMessage(name):
			w.takeMessage(name)
		case tries > maxAgain:
			w.Log.Error("a request can't be carried out, and is given up", "file", name)
			w.remove(name)
		default:
			w.carryOut(name)
		}
		if u.tries == tries {
			delete(w.unread, name)
		}
		wake = 0 // the next call sees what has become of it
	}
	if !messages {
		w.unsure = time.Time{}
	}
	w.evaluateNew()
	w.sayRefused(now)
	return wake
}

// rejoin puts an event that is read late into the messages that it is in.
func (w *worker) rejoin(it *item) {
	id := it.e.ID
	for _, m := range w.doneMessages {
		if slices.Contains(m.Members, id) || slices.Contains(m.Along, id) {
			it.ensureDelivery(m.Dest).Done = m.Done
		}
	}
	for _, o := range w.queues {
		for _, m := range o.failed {
			if m.alone() {
				continue
			}
			p := it.deliveryTo(o.name)
			if p != nil && (!p.pending() || p.msg != nil) {
				continue
			}
			switch {
			case slices.Contains(m.Members, id):
				m.items = append(m.items, it)
			default:
				continue
			}
			it.ensureDelivery(o.name).msg = m
		}
	}
}

// recast takes an event that turns out to be told out of what waits.
func (w *worker) recast(it *item) {
	for _, o := range w.queues {
		if p := it.deliveryTo(o.name); p != nil && !p.pending() && o.inflight != p.msg {
			for _, m := range o.forget(it) {
				w.remove(messageFile(m.ID))
			}
		}
	}
	if it.finished() {
		w.finish(it, false)
		w.release(it)
	}
}

// refuse makes a dead letter of a file of cur/ that is not what its name says.
func (w *worker) refuse(name string, why error) {
	if err := w.q.Refuse(name, why); err != nil {
		w.Log.Error("a file in the spool is no event, and can't be moved", "file", name, "why", why, "error", err)
		w.again(name)
	}
}

// apart tells what keeps the watcher's inbox from being claimed from what
// keeps the rest.
func apart(err error) (rest, inbox error) {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var others []error
	for _, e := range all {
		var drop *spool.DropError
		if errors.As(e, &drop) {
			inbox = e
		} else {
			others = append(others, e)
		}
	}
	return errors.Join(others...), inbox
}

// sayBlocked logs what can't be claimed, and says aloud if that is the
// watcher's inbox as a whole.
func (w *worker) sayBlocked(err error, now time.Time) {
	if err == nil {
		w.blocked, w.saidBlocked = time.Time{}, ""
		return
	}
	if w.blocked.IsZero() {
		w.blocked = now
	}
	if text := err.Error(); text != w.saidBlocked {
		w.saidBlocked = text
		w.Log.Error("not all that is new can be claimed", "error", err)
	}
	var trouble *spool.TroubleError
	if w.inbox == nil || errors.As(w.inbox, &trouble) {
		return
	}
	doc := w.refusals()
	if now.Sub(doc.InboxSaid).Abs() < deadSaidEvery {
		return
	}
	doc.InboxSaid = now.UTC()
	w.keepRefusals(doc)
	text := event.Clean(w.inbox.Error(), maxError)
	w.Alarm("the watcher's inbox can't be read, what it reported waits there: " + text)
	w.note(nil, now, wording.InboxUnreadable(text))
}
