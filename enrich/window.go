package enrich

import "time"

// The spans of the quotas but the minute's. A month is 30 days: services that
// count from the day of sign-up on do, and none has a shorter one but February's.
const (
	daySpan   = 24 * time.Hour
	weekSpan  = 7 * daySpan
	monthSpan = 30 * daySpan
)

// A service counts by its own days, which begin at an hour that nobody tells.
// Requests are therefore counted in every span of that length: then there are
// never too many in one of the service's.

// window counts requests over the last span of time, oldest first. Those of a
// short while are counted as one bucket that is as young as its youngest, so that
// the file stays small and the count errs to the safe side.
type window []bucket

type bucket struct {
	First int64 `json:"f"` // Unix seconds of the first request, rounded down
	Last  int64 `json:"l"` // of the last, rounded up
	N     int   `json:"n"`
}

// buckets is into how many a span is divided.
const buckets = 96

// namedWindow is a window with what it is held against.
type namedWindow struct {
	*window
	name  string
	span  time.Duration
	limit int // 0: none
}

// windows lists an account's windows, the longest first: the longest wait is
// the one worth telling.
func (a *account) windows(l Limits) []namedWindow {
	return []namedWindow{
		{&a.Months, "30 days", monthSpan, l.PerMonth},
		{&a.Weeks, "a week", weekSpan, l.PerWeek},
		{&a.Days, "a day", daySpan, l.PerDay},
	}
}

// add counts a request.
func (w *window) add(now time.Time, span time.Duration) {
	sec := now.Unix()
	up := sec
	if now.Nanosecond() > 0 {
		up++
	}
	if n := len(*w); n > 0 && sec-(*w)[n-1].First < int64(span/time.Second)/buckets {
		(*w)[n-1].Last = up
		(*w)[n-1].N++
		return
	}
	*w = append(*w, bucket{First: sec, Last: up, N: 1})
}

// used counts the requests.
func (w window) used() (n int) {
	for _, l := range w {
		n += l.N
	}
	return n
}

// wait says how long it is until one more request is within the limit; 0 if it
// is.
func (w window) wait(now time.Time, span time.Duration, limit int) time.Duration {
	if limit <= 0 {
		return 0
	}
	over := w.used() - limit + 1
	for _, l := range w {
		if over <= 0 {
			return 0
		}
		if over -= l.N; over <= 0 {
			return max(time.Unix(l.Last, 0).Add(span).Sub(now), time.Nanosecond)
		}
	}
	return 0
}

// forget drops what is older than the span, and counts from now on what is from
// the future (see account.forget); it reports whether something was.
func (w *window) forget(now time.Time, span time.Duration) (putBack bool) {
	var out window
	for _, l := range *w {
		if l.N <= 0 || l.N > 1<<30 || l.Last < l.First || now.Sub(time.Unix(l.Last, 0)) >= span {
			continue
		}
		// A second's rounding is not the future.
		if l.First > now.Unix()+1 || l.Last > now.Unix()+1 {
			l.First, l.Last, putBack = min(l.First, now.Unix()), now.Unix(), true
		}
		out = append(out, l)
	}
	*w = out
	return putBack
}
