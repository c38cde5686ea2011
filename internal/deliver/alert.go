package deliver

import (
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// alert puts together all that a destination must know to tell a message.
func (w *worker) alert(m *message, now time.Time) event.Alert {
	newest := m.items[0]
	first, last := newest.e.Time, newest.e.Time
	worst := newest
	for _, it := range m.items {
		if it.e.Time.After(last) {
			newest, last = it, it.e.Time
		}
		if it.e.Time.Before(first) {
			first = it.e.Time
		}
		if it.verdict.Worse(worst.verdict) {
			worst = it
		}
	}
	a := event.Alert{
		ID: m.ID, Count: len(m.items), First: first, Last: last, Zone: w.set.Zone, Runbook: w.set.Runbook,
		Verdict: worst.verdict, Repeats: publicRows(m.along), Late: max(0, now.Sub(last)),
	}
	if m.Digest {
		a.Rows = publicRows(m.items)
		a.Event.Host, a.Event.Labels, a.Event.Kind = newest.e.Host, newest.e.Labels, newest.e.Kind
		return a
	}
	if e := newest.e; e.Kind == event.KindDigest {
		a.Event, a.Rows, a.Late = e, e.Digest.Rows, max(0, now.Sub(e.Time))
		if !e.Digest.First.IsZero() {
			a.First, a.Last = e.Digest.First, e.Digest.Last
		}
		return a
	}
	a.Event, a.Facts, a.Verdict = newest.e, newest.facts, worst.verdict
	a.Memory, a.Person = newest.memory, newest.owner
	if login := newest.login; login != nil {
		a.LoginID = login.ID
		a.Lasted = max(0, newest.e.Time.Sub(login.Time))
	}
	return a
}
