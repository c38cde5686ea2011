package deliver

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
)

// sayBroken says once that a destination is broken: in the system log, and by
// the other destinations. It is said anew only after it has worked in between.
func (w *worker) sayBroken(o *destQueue, err error, now time.Time) {
	if !o.doc.Broken.IsZero() {
		return
	}
	o.doc.Broken = now.UTC()
	w.Alarm(fmt.Sprintf("the destination %s is broken, events for it wait: %v", o.name, err))
	w.note(o, now, wording.Unreachable(o.name, err))
}

// sayDead says by the other destinations that there are dead letters, at most
// once a day for each destination.
func (w *worker) sayDead(o *destQueue, m *message) {
	now := time.Now()
	if now.Sub(o.doc.DeadSaid) < deadSaidEvery && now.After(o.doc.DeadSaid) {
		return
	}
	o.doc.DeadSaid = now.UTC()
	w.note(o, now, wording.GaveUp(o.name, len(m.items)+len(m.along), m.Error))
}

// note makes an event of sshnotify's own, for every destination but the one
// that it is about; nil: for all of them.
func (w *worker) note(about *destQueue, now time.Time, n event.Note) {
	e := event.Event{
		ID: event.NewID(), Kind: event.KindAlert, Time: now, Host: w.set.Host, Via: event.ViaSelf,
		Alert: &n,
	}
	if about != nil {
		if len(w.queues) < 2 {
			return
		}
		e.Alert.Except = about.name
	}
	if e.Host == "" {
		e.Host = w.Hostname
	}
	_ = w.own(e) // said there
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
