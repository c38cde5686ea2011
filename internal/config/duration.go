package config

import (
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// duration takes more than 0 (with zero set, 0 too) and not more than most.
func (t *table) duration(key string, to *time.Duration, zero bool, most time.Duration) *node {
	n := t.take(key)
	if n == nil {
		return nil
	}
	const hint = `a duration is a number with a unit, in quotes: "3s", "10m", "1h", "7d"`
	if n.kind != textKind {
		t.fail(n, hint, "must be a duration, not %s", n.kind)
		return nil
	}
	d, ok := parseDuration(n.text)
	switch {
	case !ok:
		t.fail(n, hint, "must be a duration%s", not(n.text))
	case d < 0 || d > most, d == 0 && !zero:
		least := "more than 0"
		if zero {
			least = "0 or more"
		}
		t.fail(n, "", "must be %s and at most %s%s", least, short(most), not(n.text))
	default:
		*to = d
		return n
	}
	return nil
}

// parseDuration takes what time.ParseDuration does, and days of 24 hours before
// it: "400d", "1d12h".
func parseDuration(s string) (time.Duration, bool) {
	var d time.Duration
	if days, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16) // 65,535 days are far from what a Duration holds
		if err != nil {
			return 0, false
		}
		if d = time.Duration(n) * day; rest == "" {
			return d, true
		}
		if s = rest; s[0] == '-' || s[0] == '+' {
			return 0, false
		}
	}
	more, err := time.ParseDuration(s)
	if err != nil || d+more < d && d > 0 {
		return 0, false
	}
	return d + more, true
}

func short(d time.Duration) string {
	if d > 60*day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
