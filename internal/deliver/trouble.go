package deliver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/state"
)

// sayBroken says once that a destination is broken: in the system log, and by
// the other destinations. It is said anew only after it has worked in between.
func (w *worker) sayBroken(o *destQueue, err error, now time.Time) {
	if !o.doc.Broken.IsZero() {
		return
	}
	o.doc.Broken = now.UTC()
	w.Alarm(fmt.Sprintf("the destination %s is broken, events for it wait: %v", o.name, err))
	w.report(o, now, wording.Unreachable(o.name, err))
}

// lateAfter is how long nothing may arrive at a destination that asks for another
// try before it counts as out of order.
const lateAfter = 30 * time.Minute

// sayLate says once that nothing has arrived at a destination for long.
func (w *worker) sayLate(o *destQueue, err error, now time.Time) {
	if o.doc.Failing.IsZero() || o.doc.Failing.After(now) {
		o.doc.Failing = now.UTC() // or the clock was set back since
	}
	if o.out() || now.Sub(o.doc.Failing) < lateAfter {
		return
	}
	o.doc.Late = now.UTC()
	w.Alarm(fmt.Sprintf("nothing has arrived at the destination %s since %s, events for it wait: %v", o.name, o.doc.Failing.In(w.set.zone()).Format(time.DateTime), err))
	w.report(o, now, wording.Unreachable(o.name, err))
}

// reportEvery is how often the other destinations are told that one is out of
// order, at most: it may come and go every few minutes.
const reportEvery = time.Hour

// report tells the other destinations that one is out of order.
func (w *worker) report(o *destQueue, now time.Time, n event.Note) {
	if since := now.Sub(o.doc.Reported); since >= 0 && since < reportEvery {
		return
	}
	o.doc.Reported, o.doc.Owes = now.UTC(), true
	w.note(o, now, n)
}

// works notes that a destination takes messages, and tells the others where they
// were told that it does not.
func (w *worker) works(o *destQueue) {
	o.failures, o.hold = 0, state.Cooldown{}
	o.streak++
	since := o.doc.Broken
	if since.IsZero() {
		since = o.doc.Failing
	}
	if !o.doc.Broken.IsZero() || !o.doc.Late.IsZero() {
		w.Log.Info("a destination works again", "destination", o.name, "out_of_order_since", since)
	}
	owes := o.doc.Owes
	o.doc.Broken, o.doc.Paused, o.doc.Late, o.doc.Failing, o.doc.Owes, o.doc.Rest = time.Time{}, time.Time{}, time.Time{}, time.Time{}, false, state.Cooldown{}
	if owes {
		waiting := len(o.fresh)
		for _, m := range o.failed {
			waiting += len(m.items)
		}
		n := wording.Recovered(o.name, since.In(w.set.zone()), waiting)
		n.Only = slices.DeleteFunc(w.set.Routed(policy.Input{Event: w.ownEvent(w.now(), n)}, event.Verdict{Severity: event.High}), func(name string) bool { return name == o.name })
		if len(n.Only) > 0 || w.hub != nil { // who heard of the trouble
			w.note(o, w.now(), n)
		}
	}
}

// isReport reports whether a message is nothing but what sshnotify has to say of
// destinations.
func (m *message) isReport() bool {
	for it := range m.all() {
		if it.e.Kind != event.KindAlert || it.e.Via != event.ViaSelf || it.e.Alert.Except == "" {
			return false
		}
	}
	return true
}

// sayPaused says once that a destination takes nothing for a while.
func (w *worker) sayPaused(o *destQueue, err error, now time.Time) {
	if !o.doc.Paused.IsZero() {
		return
	}
	o.doc.Paused = now.UTC()
	until := now.Add(o.doc.Limited.Left(now)).In(w.set.zone())
	w.Alarm(fmt.Sprintf("the destination %s takes nothing until %s, events for it wait: %v", o.name, until.Format(time.DateTime), err))
	w.note(o, now, wording.Paused(o.name, until, err))
}

// sayDead says by the other destinations that there are dead letters, at most
// once a day for each destination; not of reports of this kind.
func (w *worker) sayDead(o *destQueue, m *message) {
	now := w.now()
	if m.isReport() || now.Sub(o.doc.DeadSaid) < deadSaidEvery && now.After(o.doc.DeadSaid) {
		return
	}
	o.doc.DeadSaid = now.UTC()
	w.note(o, now, wording.GaveUp(o.name, len(m.items), m.Error))
}

// note makes an event of sshnotify's own, for every destination but the one
// that it is about; nil: for all of them.
func (w *worker) note(about *destQueue, now time.Time, n event.Note) {
	if about != nil {
		if len(w.queues) < 2 && w.hub == nil {
			return
		}
		n.Except = about.name
	}
	_ = w.own(w.ownEvent(now, n)) // said there
}

func (w *worker) ownEvent(now time.Time, n event.Note) event.Event {
	return event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: now, Host: cmp.Or(w.set.Host, w.Hostname), Via: event.ViaSelf, Alert: &n}
}

// own queues an event of the worker's own making.
func (w *worker) own(e event.Event) error {
	b, err := e.Encode()
	if err == nil {
		err = w.q.Write(eventFile(e.ID), b)
	}
	if err == nil {
		e, err = event.Decode(b)
	}
	if err != nil {
		w.Log.Error("an event of sshnotify's own can't be queued", "error", err)
		return err
	}
	it := &item{e: e}
	w.items[e.ID] = it
	w.evaluate(it)
	return nil
}

// endSessions tells the end of sessions whose sshd is gone and reported no
// logout: it was killed, or the machine was restarted.
func (w *worker) endSessions(now time.Time) {
	if w.Alive == nil || now.Before(w.nextLook) {
		return
	}
	w.nextLook = now.Add(sessionsEvery)
	var gone []*Delivered
	for _, t := range w.delivered.bySession {
		if t.Via != event.ViaPAM {
			continue // a shell reports no logouts at all
		}
		if alive, sure := w.Alive(t.Session); !alive && sure {
			gone = append(gone, t)
		}
	}
	if len(gone) == 0 {
		return
	}
	// The logout was published before its sshd went, so that what is not here
	// by now was never written.
	if err := w.claimAll(); err != nil {
		w.Log.Error("the spool can't be read", "error", err)
		return
	}
	for _, t := range gone {
		id := event.LogoutID(t.Session)
		if w.delivered.session(t.Session) == nil || w.items[id] != nil || w.delivered.has(id) {
			continue
		}
		e := event.Event{
			ID: id, Kind: event.KindLogout, Time: now, Host: t.Host, User: t.User, Service: t.Service, Via: event.ViaSelf,
			Session: t.Session, Flags: []event.Flag{event.FlagNoLogout},
		}
		if ip, err := netip.ParseAddr(t.IP); err == nil {
			e.Remote.IP = ip
		}
		_ = w.own(e) // said there; the next look tries again
	}
}
