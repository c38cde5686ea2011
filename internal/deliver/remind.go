package deliver

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
)

// remindFor is how long a destination is reminded of a login that nobody has
// acknowledged. After that the digest has it.
const remindFor = 24 * time.Hour

// remind tells destinations again that want to be reminded of what is high or
// critical and that nobody has acknowledged. It returns how long until it should be
// asked again. Which reminder is due is told by the time of the message alone, so
// that it does not matter which worker sent the ones before.
func (w *worker) remind(now time.Time) time.Duration {
	if w.set.Answered == nil || w.hub != nil { // who acknowledges does so at the hub
		return forever
	}
	if now.Before(w.nextRemind) {
		return w.nextRemind.Sub(now)
	}
	wake := forever
	for _, o := range w.queues {
		if o.Remind <= 0 {
			continue
		}
		for _, t := range w.delivered.byID {
			at, told := t.sentTo(o.name)
			if !told || t.Verdict.Severity < event.High || now.Before(at) {
				continue
			}
			login := w.delivered.loginOf(t, o.name)
			if login == "" {
				continue
			}
			n := int(now.Sub(at) / o.Remind)
			if next := time.Duration(n+1) * o.Remind; next <= remindFor {
				wake = min(wake, at.Add(next).Sub(now))
			}
			if n > 0 && time.Duration(n)*o.Remind <= remindFor && now.Sub(at) < remindFor+o.Remind {
				w.remindOf(o, t, login, at, n, now)
			}
		}
	}
	w.nextRemind = now.Add(wake)
	return wake
}

// loginOf returns the id of the login that a delivered event is about, by which it is
// acknowledged. It is empty where the event is about none, and where the destination
// was told more of the login: that somebody got in after failures.
func (l *deliveryLog) loginOf(t *Delivered, dest string) string {
	switch {
	case t.GotIn && t.Of != "":
		return t.Of
	case t.GotIn: // the hook's word may have come after, and is part of it
		for _, x := range l.byID {
			if x.Kind == event.KindLogin && x.Of == t.ID {
				return x.ID
			}
		}
		return t.ID
	case t.Kind == event.KindLogin:
		for _, x := range l.byID {
			if _, told := x.sentTo(dest); told && x.GotIn && x.Of == t.ID && x.Verdict.Severity >= event.High {
				return ""
			}
		}
		return t.ID
	}
	return ""
}

// remindOf queues one reminder, unless that is useless or costs what is needed for
// something else: it was told, the destination is left alone or out of order, its
// budget of the day is used up, or somebody has acknowledged the login.
func (w *worker) remindOf(o *destQueue, t *Delivered, login string, at time.Time, n int, now time.Time) {
	id := event.LoginID(event.Session{Boot: "reminder"}, fmt.Sprint(t.ID, o.name, n))
	s := t.Verdict.Severity
	if w.items[id] != nil || w.delivered.has(id) || o.out() || len(o.failed) > 0 ||
		s < event.Critical && o.Quiet.At(now) || !o.affords(s, t.From, now) {
		return
	}
	answered, err := w.set.Answered(login)
	if err != nil {
		w.Log.Warn("whether a login was acknowledged can't be read", "error", err)
	}
	if answered || err != nil {
		return
	}
	from := t.IP
	if from == "" {
		from = "nowhere"
	}
	note := wording.Reminder(wording.Login{Ref: event.Ref(t.ID), User: t.User, From: from, Severity: s}, at.In(w.set.zone()), n)
	note.Only = []string{o.name}
	e := w.ownEvent(now, note)
	e.ID = id
	if t.Host != "" {
		e.Host = t.Host
	}
	_ = w.own(e) // said there
}
