package outbound

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		want         time.Duration
		ok           bool
	}{
		{"seconds", "30", 30 * time.Second, true},
		{"white space", " 30 ", 30 * time.Second, true},
		{"at once", "0", 0, true},
		{"an hour", "3600", time.Hour, true},
		{"a day", "86400", time.Hour, true},
		{"more than 64 bits", strings.Repeat("9", 40), time.Hour, true},
		{"more nanoseconds than 64 bits", "9223372036854775807", time.Hour, true},
		{"a date", "Sat, 21 Nov 2026 12:01:00 GMT", time.Minute, true},
		{"a date in the old form", "Saturday, 21-Nov-26 12:01:00 GMT", time.Minute, true},
		{"a date that is past", "Sat, 21 Nov 2026 11:00:00 GMT", 0, true},
		{"a date far off", "Fri, 31 Dec 9999 23:59:59 GMT", time.Hour, true},
		{"missing", "", 0, false},
		{"negative", "-5", 0, false},
		{"a fraction", "1.5", 0, false},
		{"a sign", "+5", 0, false},
		{"a word", "soon", 0, false},
		{"two", "5, 6", 0, false},
		{"other digits", "٣٠", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			if tc.header != "" {
				h.Set("Retry-After", tc.header)
			}
			if got, ok := RetryAfter(h, noon); got != tc.want || ok != tc.ok {
				t.Errorf("got %v, %v; want %v, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"30", "-1", "1e9", "Sat, 21 Nov 2026 12:01:00 GMT", "Sat, 21 Nov 0000 12:01:00 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := RetryAfter(http.Header{"Retry-After": {s}}, noon)
		if d < 0 || d > maxRetryAfter || !ok && d != 0 {
			t.Errorf("%q: %v, %v", s, d, ok)
		}
	})
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	least := func() float64 { return 0 }
	most := func() float64 { return math.Nextafter(1, 0) }
	if got := Backoff(1, least); got != minBackoff {
		t.Errorf("the first wait is %v at least, want %v", got, minBackoff)
	}
	for tries := range 100 {
		lo, hi := Backoff(tries, least), Backoff(tries, most)
		if lo < minBackoff || hi > maxBackoff || lo >= hi {
			t.Errorf("try %d: %v to %v", tries, lo, hi)
		}
		if next := Backoff(tries+1, least); next < lo {
			t.Errorf("try %d: %v is less than the %v before", tries+1, next, lo)
		}
	}
	if got := Backoff(math.MaxInt, most); got < maxBackoff-time.Second {
		t.Errorf("the last wait is %v at most, want %v", got, maxBackoff)
	}
}
