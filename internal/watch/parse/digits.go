package parse

import (
	"strconv"
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

// tai64n reads "@" and the 24 hexadecimal digits of multilog and s6-log: 2^62 and
// seconds of TAI, which are ten ahead where 1970 began, and nanoseconds.
//
// https://cr.yp.to/libtai/tai64.html
func tai64n(s string) (t time.Time, rest string, ok bool) {
	const length = 1 + 24
	if len(s) < length || len(s) > length && s[length] != ' ' {
		return time.Time{}, s, false
	}
	seconds, err1 := strconv.ParseUint(s[1:17], 16, 64)
	nanos, err2 := strconv.ParseUint(s[17:length], 16, 32)
	seconds -= 1<<62 + 10
	if err1 != nil || err2 != nil || seconds > 1<<34 || nanos >= 1e9 {
		return time.Time{}, s, false
	}
	return time.Unix(int64(seconds), int64(nanos)).UTC(), s[length:], true
}

// cutZoneName takes " CET" off the start: it says what the zone is called.
func cutZoneName(s string) string {
	word, after := cutFirst(strings.TrimPrefix(s, " "))
	if len(s) < 2 || s[0] != ' ' || len(word) < 2 || len(word) > 5 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return s
	}
	return s[:1] + after
}

// monthOf reads a month's English name; 0: it is none.
func monthOf(s string) int {
	if len(s) < 3 {
		return 0
	}
	switch s[:3] {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
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
