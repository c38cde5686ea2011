package deliver

import (
	"fmt"
	"maps"
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
	// Of is at a hub how many of Sent had events of one host alone, by its name.
	Of map[string]int `json:"of,omitempty"`
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

// roomFor reports whether a host that hands over may have one more of so many a day:
// half of them, at least one, are for others, since each may lie.
func (b Budget) roomFor(from string, perDay int, day string) bool {
	return from == "" || perDay <= 1 || b.Day != day || b.Of[from] < perDay/2
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
		sent, day := b.sent[p.Dest], now.In(b.zone).Format(time.DateOnly)
		if sent.room(b.perDay[p.Dest], day, r.Verdict.Severity) && sent.roomFor(r.From, b.perDay[p.Dest], day) {
			return time.Time{}
		}
		until = now.Add(tomorrow(now, b.zone))
	}
	return until
}

func (o *destQueue) day(now time.Time) string { return now.In(o.zone).Format(time.DateOnly) }

// spend counts a message that was sent, or may have been.
func (o *destQueue) spend(m *message, now time.Time) {
	b, day := &o.doc.Budget, o.day(now)
	of := map[string]int{}
	if b.Day == day {
		maps.Copy(of, b.Of)
	}
	if from := m.from(); from != "" && o.Dest.Traits().PerDay > 0 {
		of[from]++
	}
	b.Sent, b.Day, b.Of = b.sentOn(day)+1, day, of
}

// affords reports whether something of a severity, of a host alone, may be sent today.
func (o *destQueue) affords(s event.Severity, from string, now time.Time) bool {
	perDay, day := o.Dest.Traits().PerDay, o.day(now)
	return o.doc.Budget.room(perDay, day, s) && o.doc.Budget.roomFor(from, perDay, day)
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
	if o.doc.Budget.room(most, o.day(now), event.Low) {
		w.Alarm(fmt.Sprintf("one host has had half of the day's messages (%d) of the destination %s: the rest of its events wait for tomorrow", most, o.name))
		w.note(o, now, wording.HostOverBudget(o.name, most))
		return
	}
	w.Alarm(fmt.Sprintf("the destination %s has had its messages of the day (%d, a fifth kept for critical ones): the rest waits for tomorrow", o.name, most))
	w.note(o, now, wording.OverBudget(o.name, most))
}
