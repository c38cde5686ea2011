package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Hours are a part of the week by the clock on the wall: an hour that a change
// of the clock repeats is in it twice, one that it skips never.
type Hours struct {
	Days     [7]bool // by time.Weekday; those on which it begins
	From, To int     // minutes after midnight, To is not in it; From > To ends on the next day
}

var errHours = errors.New(`must be hours such as "22:00-06:00", "mon-fri 08:00-18:00" or "sat-sun"`)

// ParseHours reads hours: days ("mon-fri", "sat", "mon,wed,fri"), times of day
// ("22:00-06:00", which end on the next day; 24:00 is the end of a day), or
// days and times. Without days it is every day, without times the whole day.
func ParseHours(s string) (Hours, error) {
	h := Hours{Days: [7]bool{true, true, true, true, true, true, true}, To: int(strictoml.Midnight)}
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 2 {
		return Hours{}, errHours
	}
	if last := f[len(f)-1]; strings.Contains(last, ":") {
		from, to, _ := strings.Cut(last, "-")
		a, ok := strictoml.ParseClock(from)
		b, ok2 := strictoml.ParseClock(to)
		if !ok || !ok2 || a == b || a == strictoml.Midnight {
			return Hours{}, errHours
		}
		h.From, h.To = int(a), int(b)
		f = f[:len(f)-1]
	} else if len(f) == 2 {
		return Hours{}, errHours
	}
	if len(f) == 1 {
		days, ok := parseDays(f[0])
		if !ok {
			return Hours{}, errHours
		}
		h.Days = days
	}
	return h, nil
}

// parseDays reads days, by time.Weekday.
func parseDays(s string) (days [7]bool, ok bool) {
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		d, ok := parseDay(from)
		end, ok2 := parseDay(to)
		if !ok || !ok2 {
			return days, false
		}
		for ; d != end; d = (d + 1) % 7 {
			days[d] = true
		}
		days[end] = true
	}
	return days, true
}

func parseDay(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, dayName(d)) {
			return d, true
		}
	}
	return 0, false
}

func dayName(d time.Weekday) string { return strings.ToLower(d.String()[:3]) }

// Contain reports whether a time, in its own zone, is in the hours.
func (h Hours) Contain(t time.Time) bool {
	day, now := t.Weekday(), 60*t.Hour()+t.Minute()
	if h.From < h.To {
		return h.Days[day] && h.From <= now && now < h.To
	}
	return h.Days[day] && h.From <= now || h.Days[(day+6)%7] && now < h.To
}

// Quiet are the hours in which a destination is left alone. The zero value is never.
type Quiet struct {
	Hours []Hours
	Zone  *time.Location // nil: UTC
}

// At reports whether a moment is quiet.
func (q Quiet) At(t time.Time) bool {
	if len(q.Hours) == 0 {
		return false
	}
	t = t.In(zoneOr(q.Zone))
	return slices.ContainsFunc(q.Hours, func(h Hours) bool { return h.Contain(t) })
}

// week is longer than hours can last that end at all, whatever the clocks do.
const week = 8 * 24 * time.Hour

// End returns the first moment from t on that is not quiet: t itself where it is
// not. Hours that never end, which the settings refuse, end in a week.
func (q Quiet) End(t time.Time) time.Time {
	if !q.At(t) {
		return t
	}
	// By the minute, because a change of the clock may come at any of them.
	end := t.Truncate(time.Minute)
	for last := t.Add(week); q.At(end) && end.Before(last); {
		end = end.Add(time.Minute)
	}
	return end
}

func zoneOr(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}

// String writes them so that ParseHours reads the same.
func (h Hours) String() string {
	return daysBefore(h.Days, fmt.Sprintf("%v-%v", strictoml.Clock(h.From), strictoml.Clock(h.To)))
}

// daysBefore writes days before a time, but for all of them.
func daysBefore(days [7]bool, times string) string {
	var names []string
	for i := range 7 {
		if d := time.Weekday(i+1) % 7; days[d] {
			names = append(names, dayName(d))
		}
	}
	if len(names) == 7 {
		return times
	}
	return strings.Join(names, ",") + " " + times
}

// MarshalText returns the String.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what ParseHours does.
func (h *Hours) UnmarshalText(b []byte) error {
	v, err := ParseHours(string(b))
	if err == nil {
		*h = v
	}
	return err
}

// Weekly is a time of day on some days of the week, by the clock on the wall. The zero
// value is never.
type Weekly struct {
	Days [7]bool // by time.Weekday
	At   strictoml.Clock
}

var errWeekly = errors.New(`must be days and a time such as "mon 08:00", "mon-fri 07:30" or "08:00"`)

// UnmarshalText reads days as ParseHours does, and a time of day. Without days it is
// every day.
func (w *Weekly) UnmarshalText(b []byte) error {
	v := Weekly{Days: [7]bool{true, true, true, true, true, true, true}}
	f := strings.Fields(string(b))
	if len(f) == 0 || len(f) > 2 {
		return errWeekly
	}
	at, ok := strictoml.ParseClock(f[len(f)-1])
	if !ok || at == strictoml.Midnight {
		return errWeekly
	}
	if v.At = at; len(f) == 2 {
		if v.Days, ok = parseDays(f[0]); !ok {
			return errWeekly
		}
	}
	*w = v
	return nil
}

// Never reports whether it never comes.
func (w Weekly) Never() bool { return w.Days == [7]bool{} }

// String writes it so that UnmarshalText reads the same.
func (w Weekly) String() string {
	if w.Never() {
		return "never"
	}
	return daysBefore(w.Days, w.At.String())
}
