package deliver

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Budget is what a destination was sent in a day of the host's zone.
type Budget struct {
	Day  string `json:"day,omitempty"` // 2026-11-29
	Sent int    `json:"sent,omitempty"`
	// Over is the newest day on which something had to wait for the next.
	Over string `json:"over,omitempty"`
}

// sentOn returns how many messages were sent on the day of a time.
func (b Budget) sentOn(day string) int {
	if b.Day != day {
		return 0
	}
	return b.Sent
}

// room reports whether a message of a severity still may be sent, of so many a day: a
// fifth of them, one at least, is kept for critical ones.
func (b Budget) room(perDay int, day string, s event.Severity) bool {
	return perDay == 0 || b.sentOn(day) < perDay-kept(perDay, s)
}

// kept is how many of a day's messages are not for a severity.
func kept(perDay int, s event.Severity) int {
	if s >= event.Critical || perDay <= 1 {
		return 0
	}
	return max(1, perDay/5)
}

// Budgets are what the destinations that have a budget sent, by their names.
type Budgets struct {
	perDay map[string]int
	sent   map[string]Budget
	zone   *time.Location
}

// ReadBudgets returns the budgets of destinations, of which perDay says how many
// messages each may be sent in a day of the zone. Without a database nothing was sent.
func ReadBudgets(db *store.DB, perDay map[string]int, zone *time.Location) Budgets {
	b := Budgets{perDay, map[string]Budget{}, zone}
	for name := range perDay {
		if d, err := ReadDestination(db, name); err == nil {
			b.sent[name] = d.Budget
		}
	}
	return b
}

// Say says how much of a destination's budget of the day is used; empty: it has none.
func (b Budgets) Say(name string, now time.Time) string {
	perDay := b.perDay[name]
	if perDay == 0 {
		return ""
	}
	return fmt.Sprintf("%d of today's %d messages sent, %d kept for critical ones", b.sent[name].sentOn(now.In(b.zone).Format(time.DateOnly)), perDay, kept(perDay, event.Low))
}

// Full reports whether a destination's budget of the day is used up for all but what is
// critical.
func (b Budgets) Full(name string, now time.Time) bool {
	return !b.sent[name].room(b.perDay[name], now.In(b.zone).Format(time.DateOnly), event.Low)
}

// Until returns until when a waiting record is held for the budgets of all the
// destinations that still have to tell it; the zero time if it is not.
func (b Budgets) Until(r Record, now time.Time) (until time.Time) {
	for _, p := range r.Deliveries {
		if !p.pending() {
			continue
		}
		if b.sent[p.Dest].room(b.perDay[p.Dest], now.In(b.zone).Format(time.DateOnly), r.Verdict.Severity) {
			return time.Time{}
		}
		until = now.Add(tomorrow(now, b.zone))
	}
	return until
}

func (o *destQueue) day(now time.Time) string { return now.In(o.zone).Format(time.DateOnly) }

// spend counts a message that was sent, or may have been.
func (o *destQueue) spend(now time.Time) {
	day := o.day(now)
	o.doc.Budget.Day, o.doc.Budget.Sent = day, o.doc.Budget.sentOn(day)+1
}

// affords reports whether something of a severity may be sent today.
func (o *destQueue) affords(s event.Severity, now time.Time) bool {
	return o.doc.Budget.room(o.Dest.Traits().PerDay, o.day(now), s)
}

// owed reports whether something waits since a day before: all of it goes in one
// message, which counts it.
func (o *destQueue) owed(now time.Time) bool {
	return o.doc.Budget.Over != "" && o.doc.Budget.Over != o.day(now)
}

// tomorrow is how long a budget's day lasts.
func tomorrow(now time.Time, zone *time.Location) time.Duration {
	y, m, d := now.In(zone).Date()
	return max(time.Second, time.Date(y, m, d+1, 0, 0, 0, 0, zone).Sub(now))
}

// maxOverSaid is of how many events that wait for tomorrow the queue says so.
const maxOverSaid = 100

// sayOver says once a day that a destination's budget is used up. What is high or
// critical and has to wait for it is told by the fallback.
func (w *worker) sayOver(o *destQueue, now time.Time) {
	o.over = false
	w.fallBack(o)
	for _, it := range o.fresh[:min(len(o.fresh), maxOverSaid)] {
		if p := it.deliveryTo(o.name); p.Attempts == nil {
			p.Attempts = &Attempts{Error: "the day's messages are used up"}
			if err := w.writeItem(it); err != nil {
				w.Log.Warn("that an event waits for tomorrow can't be written down", "id", it.e.ID, "error", err)
			}
		}
	}
	if o.doc.Budget.Over == o.day(now) {
		return
	}
	o.doc.Budget.Over = o.day(now)
	if err := o.save(now); err != nil {
		w.Log.Warn("a destination's state can't be kept", "destination", o.name, "error", err)
	}
	most := o.Dest.Traits().PerDay
	w.Alarm(fmt.Sprintf("the destination %s has had its messages of the day (%d, a fifth kept for critical ones): the rest waits for tomorrow", o.name, most))
	w.note(o, now, wording.OverBudget(o.name, most))
}
