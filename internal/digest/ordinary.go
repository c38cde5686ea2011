// Package digest decides which ordinary logins are told one by one and which in
// the digest of the day, and when that is due. It is pure: whoever uses it brings
// the events, their times, and what was decided before.
//
// It must never import os, reach net/http, or ask for the time.
package digest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	day = 24 * time.Hour
	// calmFor is how long there must have been few before they are told one by one
	// again.
	calmFor = 3 * day
	// frequent is how many logins a pair has at most in a day that comes hourly.
	frequent = 24
	// inAnHour is how many logins a person has at most in an hour, where each is told.
	inAnHour = 3
	// maxPairs bounds the pairs that are counted. Where more come in a day, those
	// that were not seen for longest are counted anew.
	maxPairs = 2000
)

// Limits say what is many.
type Limits struct {
	PerDay int           // ordinary logins that are told one by one in 24 hours
	Window time.Duration // repeats of a pair within it count once
}

// Pair is somebody who comes from somewhere with some key.
type Pair struct{ User, From, Key string }

func (p Pair) key() string { return p.User + "\x00" + p.From + "\x00" + p.Key }

// Ordinary is how the logins of a host have been counted, and how its ordinary
// ones are told. Its fields are its stored form; the zero value is that of a host
// that nobody came to.
type Ordinary struct {
	// Digest: ordinary logins are told in the digest, and not one by one.
	Digest bool `json:"digest,omitempty"`
	// Over is when there were too many last, and Since when that began.
	Over  time.Time `json:"over,omitzero"`
	Since time.Time `json:"since,omitzero"`
	Most  int       `json:"most,omitempty"` // logins in 24 hours since then
	Said  bool      `json:"said,omitempty"` // what was told of Digest

	Counted []counted        `json:"counted,omitempty"` // ordinary ones of the last day, the oldest first
	New     []counted        `json:"new,omitempty"`     // pairs of the last day that are not usual yet, each once, the oldest first
	Pairs   map[string]*pair `json:"pairs,omitempty"`
}

type counted struct {
	At   int64  `json:"t"` // milliseconds since 1970
	Pair string `json:"p"`
}

// pair is how often one came.
type pair struct {
	User string  `json:"u"`
	From string  `json:"f,omitempty"`
	At   []int64 `json:"t"`              // the newest frequent+1, the oldest first
	Over int64   `json:"over,omitempty"` // when it was too frequent last; 0: it is not
	Most int     `json:"most,omitempty"`
	Said bool    `json:"said,omitempty"`
}

// Take counts a login, and says how it is to be told where it is ordinary:
// oneByOne, unless there are many such logins on the host or the pair comes more
// often than hourly. What is not ordinary counts for its pair alone. before is how
// many logins of the pair are remembered of the 24 hours before, of which an import
// may have brought some that were never taken.
func (o *Ordinary) Take(p Pair, at time.Time, ordinary bool, before int, l Limits) (oneByOne, isFrequent bool) {
	now := at.UnixMilli()
	k := p.key()
	isFrequent = o.see(k, p, now, before)
	if isFrequent {
		o.forgive(k, l)
		return false, true
	}
	if !ordinary {
		return !o.Digest, false
	}
	o.count(k, at, l.Window, l)
	return !o.Digest, false
}

// TakeHost counts that somebody's ordinary login was to a host, for all hosts of a
// hub, and reports whether such logins are few enough to be told one by one: those
// of a day to one host count once, so that none can make them many.
func (o *Ordinary) TakeHost(host string, at time.Time, l Limits) (oneByOne bool) {
	o.count(host, at, day, l)
	return !o.Digest
}

// count counts what a key stands for, once in a window, and decides by the number of
// the last day how ordinary logins are told.
func (o *Ordinary) count(k string, at time.Time, window time.Duration, l Limits) {
	now := at.UnixMilli()
	o.Counted = slices.DeleteFunc(o.Counted, func(c counted) bool { return now-c.At >= millis(day) })
	repeat := slices.ContainsFunc(o.Counted, func(c counted) bool { return c.Pair == k && (now-c.At < millis(window) || c.At == now) })
	if !repeat {
		o.Counted = append(o.Counted, counted{now, k})
	}
	if most := maxCounted(l); len(o.Counted) > most { // enough to know that they are many
		o.Counted = o.Counted[len(o.Counted)-most:]
	}
	switch n := len(o.Counted); {
	case n > l.PerDay:
		if !o.Digest {
			o.Digest, o.Since, o.Most = true, at, 0
		}
		o.Over, o.Most = at, max(o.Most, n)
	case o.Digest && at.Sub(o.Over) >= calmFor:
		o.Digest, o.Most = false, n
	}
}

// TakeNew counts a login whose pair is not usual yet, and reports whether more such
// pairs came in the 24 hours before than are told one by one.
func (o *Ordinary) TakeNew(p Pair, at time.Time, l Limits) (many bool) {
	now, k := at.UnixMilli(), p.key()
	o.New = slices.DeleteFunc(o.New, func(c counted) bool { return now-c.At >= millis(day) })
	if !slices.ContainsFunc(o.New, func(c counted) bool { return c.Pair == k }) {
		o.New = append(o.New, counted{now, k})
	}
	if most := maxCounted(l); len(o.New) > most {
		o.New = o.New[len(o.New)-most:]
	}
	return len(o.New) > l.PerDay
}

// ManyNew reports what TakeNew would of a pair.
func (o *Ordinary) ManyNew(p Pair, at time.Time, l Limits) bool {
	n := 1
	for _, c := range o.New {
		if at.UnixMilli()-c.At < millis(day) && c.Pair != p.key() {
			n++
		}
	}
	return n > l.PerDay
}

// Few reports whether at most so many logins of all kinds, ordinary or not, came
// in the 24 hours before a time as are told one by one, and of the pair no more
// than people come: whoever comes every quarter of an hour is none. Pairs that come
// more often than hourly do not count.
func (o *Ordinary) Few(p Pair, at time.Time, l Limits) bool {
	n := 0
	for _, x := range o.Pairs {
		if x.Over == 0 {
			n += x.since(at, day)
		}
	}
	x := o.Pairs[p.key()]
	return n <= l.PerDay && (x == nil || x.Over == 0 && x.since(at, time.Hour) <= inAnHour && x.since(at, day) <= max(1, l.PerDay/2))
}

// since counts the logins of a span before a time.
func (p *pair) since(at time.Time, span time.Duration) (n int) {
	for _, t := range p.At {
		if at.UnixMilli()-t < millis(span) {
			n++
		}
	}
	return n
}

// Frequent reports whether a pair comes more often than hourly.
func (o *Ordinary) Frequent(p Pair) bool {
	x := o.Pairs[p.key()]
	return x != nil && x.Over != 0
}

func maxCounted(l Limits) int { return 20 * (l.PerDay + 1) }

// see counts a login of a pair, and reports whether it comes more often than
// hourly.
func (o *Ordinary) see(k string, p Pair, now int64, before int) bool {
	x := o.Pairs[k]
	if x == nil {
		if o.Pairs == nil {
			o.Pairs = map[string]*pair{}
		}
		if len(o.Pairs) >= maxPairs {
			o.drop(now)
		}
		x = &pair{User: p.User, From: p.From}
		o.Pairs[k] = x
	}
	if !slices.Contains(x.At, now) { // or an outage has it judged twice
		x.At = append(x.At, now)
		slices.Sort(x.At) // one that is told late
		x.At = x.At[max(0, len(x.At)-frequent-1):]
	}
	switch {
	case len(x.At) > frequent && now-x.At[0] < millis(day), before >= frequent:
		x.Over, x.Most = now, max(len(x.At), before+1)
	case x.Over != 0 && now-x.Over >= millis(calmFor):
		x.Over = 0
	}
	return x.Over != 0
}

// forgive takes back what a pair counted for that turns out to come more often
// than hourly, and the digest where it is there because of that alone.
func (o *Ordinary) forgive(k string, l Limits) {
	n := len(o.Counted)
	o.Counted = slices.DeleteFunc(o.Counted, func(c counted) bool { return c.Pair == k })
	if len(o.Counted) < n && o.Digest && len(o.Counted) <= l.PerDay && o.Over.Sub(o.Since) < day {
		o.Digest, o.Most = false, 0
	}
}

// drop makes room for pairs: those that nothing is known of for a day go, or the
// one that was not seen for longest.
func (o *Ordinary) drop(now int64) {
	maps.DeleteFunc(o.Pairs, func(_ string, x *pair) bool { return x.Over == 0 && now-x.newest() >= millis(day) })
	if len(o.Pairs) >= maxPairs {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(o.Pairs)), func(a, b string) int {
			return cmp.Or(cmp.Compare(o.Pairs[a].newest(), o.Pairs[b].newest()), cmp.Compare(a, b))
		})
		delete(o.Pairs, oldest)
	}
}

func (p *pair) newest() int64 { return p.At[len(p.At)-1] }

func millis(d time.Duration) int64 { return d.Milliseconds() }

// Changes returns how ordinary logins are told now, as far as it was not said
// before, and that it is said now.
func (o *Ordinary) Changes() (out []event.ModeChange) {
	to := func(digest bool) event.Mode {
		if digest {
			return event.ModeDigest
		}
		return event.ModeEach
	}
	if o.Said != o.Digest {
		o.Said = o.Digest
		out = append(out, event.ModeChange{To: to(o.Digest), Count: o.Most})
	}
	for _, k := range slices.Sorted(maps.Keys(o.Pairs)) {
		x := o.Pairs[k]
		if is := x.Over != 0; x.Said != is {
			x.Said = is
			if o.Digest && !is {
				continue // it is in the digest all the same
			}
			out = append(out, event.ModeChange{To: to(is), User: x.User, From: x.From, Count: x.Most})
		}
	}
	return out
}

// Due returns the newest time at or before now at which a digest is due: at a time
// of day, after midnight, by the wall clock of a zone, so that a day of a time
// change has its digest, too.
func Due(now time.Time, at time.Duration, zone *time.Location) time.Time {
	if due := dueOn(now.In(zone), 0, at); !due.After(now) {
		return due
	}
	return dueOn(now.In(zone), -1, at)
}

// Next returns the first time after due at which a digest is due again.
func Next(due time.Time, at time.Duration, zone *time.Location) time.Time {
	return dueOn(due.In(zone), 1, at)
}

// DueWeekly is Due on some days of the week, by time.Weekday, of which there must be one.
func DueWeekly(now time.Time, days [7]bool, at time.Duration, zone *time.Location) time.Time {
	return weekly(now.In(zone), days, at, -1, func(t time.Time) bool { return !t.After(now) })
}

// NextWeekly is Next on such days.
func NextWeekly(due time.Time, days [7]bool, at time.Duration, zone *time.Location) time.Time {
	return weekly(due.In(zone), days, at, 1, func(t time.Time) bool { return t.After(due) })
}

// weekly returns the first time that will do, from a day on forwards or backwards. The
// day is the calendar's: a change of the clock at midnight may move the time into
// another.
func weekly(local time.Time, days [7]bool, at time.Duration, step int, do func(time.Time) bool) (t time.Time) {
	for i := -1; i <= 8; i++ { // a week, and the day that the clock may be off
		t = dueOn(local, i*step, at)
		if day := (int(local.Weekday()) + i*step + 14) % 7; days[day] && do(t) {
			break
		}
	}
	return t
}

func dueOn(local time.Time, days int, at time.Duration) time.Time {
	return time.Date(local.Year(), local.Month(), local.Day()+days, 0, int(at/time.Minute), 0, 0, local.Location())
}
