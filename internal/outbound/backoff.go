package outbound

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server may ask for, so that a mistake there does
// not silence a destination for a day.
const maxRetryAfter = time.Hour

// RetryAfter reads how long a server wants to be left alone, from its
// Retry-After header (RFC 9110, 10.2.3: whole seconds, or a date, which is
// compared with now). The result is between 0 and one hour; more counts as an
// hour, a date that is past as 0. Without the header, or with junk in it, it
// reports false.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if strings.Trim(v, "0123456789") == "" {
		// Only a number that is too large for 64 bits can fail here.
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter, true
		}
		return time.Duration(n) * time.Second, true
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return min(max(t.Sub(now), 0), maxRetryAfter), true
}

// The wait before the queue tries again: at least minBackoff, at most
// maxBackoff.
const (
	minBackoff = 2 * time.Second
	maxBackoff = 15 * time.Minute
)

// Backoff says how long to wait after the tries-th failure in a row (1 is the
// first): from 2 s to 15 min, doubling, the upper half of each step chosen by
// rnd, so that many hosts that failed together do not come back together. rnd
// gives numbers in [0, 1), as rand.Float64 does.
func Backoff(tries int, rnd func() float64) time.Duration {
	top := 2 * minBackoff
	for range tries - 1 {
		if top *= 2; top >= maxBackoff {
			top = maxBackoff
			break
		}
	}
	return top/2 + time.Duration(rnd()*float64(top/2))
}
