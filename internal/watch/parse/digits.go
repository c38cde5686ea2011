package parse

import (
	"strings"
	"time"
)

// two reads two digits.
func two(s string) (int, bool) {
	a, b := s[0]-'0', s[1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

// clockTime reads "15:04:05" as seconds since midnight.
func clockTime(s string) (int, bool) {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return 0, false
	}
	h, ok1 := two(s)
	m, ok2 := two(s[3:])
	sec, ok3 := two(s[6:])
	return h*3600 + m*60 + sec, ok1 && ok2 && ok3 && h < 24 && m < 60 && sec <= 60
}

// fraction reads ".123" or ",123" in nanoseconds.
func fraction(s string) (nanos int64, rest string) {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || s[1] < '0' || s[1] > '9' {
		return 0, s
	}
	i, scale := 1, int64(100_000_000)
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		nanos += int64(s[i]-'0') * scale
		scale /= 10
	}
	return nanos, s[i:]
}

// zoneOffset reads Z, +02:00, +0200 or +02 in seconds east of UTC.
func zoneOffset(s string) (seconds int, rest string, ok bool) {
	if s == "" {
		return 0, s, false
	}
	if s[0] == 'Z' {
		return 0, s[1:], true
	}
	if s[0] != '+' && s[0] != '-' || len(s) < 3 {
		return 0, s, false
	}
	hours, ok := two(s[1:])
	if !ok || hours > 23 {
		return 0, s, false
	}
	rest = s[3:]
	minutes := 0
	digits := strings.TrimPrefix(rest, ":")
	if len(digits) >= 2 {
		if m, ok := two(digits); ok && m < 60 {
			minutes, rest = m, digits[2:]
		}
	}
	seconds = hours*3600 + minutes*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, rest, true
}

// epoch reads seconds since 1970, with or without a fraction.
func epoch(s string) (t time.Time, rest string, ok bool) {
	i := 0
	var n int64
	for ; i < len(s) && i < 11 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int64(s[i]-'0')
	}
	if i != 10 {
		return time.Time{}, s, false
	}
	nanos, rest := fraction(s[i:])
	if rest != "" && rest[0] != ' ' {
		return time.Time{}, s, false
	}
	return time.Unix(n, nanos).UTC(), rest, true
}

// monthOf reads a month's English name; 0: it is none.
func monthOf(s string) int {
	if len(s) < 3 {
		return 0
	}
	i := strings.Index(monthNames, s[:3])
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}

func isDay(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	switch month {
	case 4, 6, 9, 11:
		return day <= 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return day <= 29
		}
		return day <= 28
	}
	return day <= 31
}

// days counts the days from 1970-01-01 in the Gregorian calendar.
func days(year, month, day int) int64 {
	// The year starts in March here, so that its odd day comes last.
	if month <= 2 {
		year--
		month += 12
	}
	y, m := int64(year), int64(month)
	return 365*y + floor(y, 4) - floor(y, 100) + floor(y, 400) + (153*(m-3)+2)/5 + int64(day) - 719469
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
