package parse

import (
	"strings"
	"time"
)

// stamps reads the times of logs. Times without a zone are in zone; those
// without a year are in the latest year that puts them not more than a day into
// the future.
type stamps struct {
	zone *time.Location
	now  func() time.Time

	hour   hourCache
	year   yearCache
	latest int64 // the last time without a zone, in seconds since 1970
}

// hourCache keeps what an hour of the zone's clock is: most lines share it with
// the line before.
type hourCache struct {
	key   int64 // hours since 1970 of the clock, plus one; 0: empty
	start int64 // seconds since 1970
}

// yearCache keeps the year of a month, day and hour without one.
type yearCache struct {
	key, year int
	until     time.Time // of now
	from      time.Time
}

// futureSlack is how far ahead a clock may be before its time is taken for one
// of last year.
const futureSlack = 24 * time.Hour

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// cut takes a time off the start of s; rest starts behind it.
func (c *stamps) cut(s string) (t time.Time, rest string, ok bool) {
	if len(s) < 10 {
		return time.Time{}, s, false
	}
	switch b := s[0]; {
	case b >= '0' && b <= '9':
		if len(s) >= 19 && (s[4] == '-' || s[4] == '/') {
			return c.numeric(s)
		}
		return epoch(s)
	case b >= 'A' && b <= 'Z':
		return c.named(s)
	}
	return time.Time{}, s, false
}

// numeric reads RFC 3339, ISO 8601 and "2006/01/02 15:04:05".
func (c *stamps) numeric(s string) (t time.Time, rest string, ok bool) {
	if s[7] != s[4] || s[10] != 'T' && s[10] != ' ' {
		return time.Time{}, s, false
	}
	y1, ok1 := two(s[0:])
	y2, ok2 := two(s[2:])
	month, ok3 := two(s[5:])
	day, ok4 := two(s[8:])
	clock, ok5 := clockTime(s[11:])
	if !(ok1 && ok2 && ok3 && ok4 && ok5) {
		return time.Time{}, s, false
	}
	year := y1*100 + y2
	if !isDay(year, month, day) {
		return time.Time{}, s, false
	}
	nanos, rest := fraction(s[19:])
	wall := days(year, month, day)*86400 + int64(clock)
	offset, rest, zoned := zoneOffset(rest)
	if rest != "" && rest[0] != ' ' {
		return time.Time{}, s, false
	}
	if zoned {
		return time.Unix(wall-int64(offset), nanos).UTC(), rest, true
	}
	return time.Unix(c.local(wall), nanos).UTC(), rest, true
}

// named reads "Jan _2 15:04:05", with a year behind the day or not, and
// "Mon Jan _2 15:04:05 2006".
func (c *stamps) named(s string) (t time.Time, rest string, ok bool) {
	fail := func() (time.Time, string, bool) { return time.Time{}, s, false }
	rest = s
	weekday := len(s) > 4 && s[3] == ' ' && monthOf(s) == 0
	if weekday {
		switch s[:3] {
		case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
			rest = s[4:]
		default:
			return fail()
		}
	}
	month := monthOf(rest)
	if month == 0 || len(rest) < 14 || rest[3] != ' ' {
		return fail()
	}
	rest = strings.TrimLeft(rest[4:], " ")
	word, after := cutFirst(rest)
	day, isDay2 := number(word)
	if !isDay2 || day < 1 || day > 31 {
		return fail()
	}
	rest = strings.TrimLeft(after, " ")
	year := 0
	if len(rest) > 5 && rest[4] == ' ' {
		if y, ok := number(rest[:4]); ok {
			year, rest = y, strings.TrimLeft(rest[5:], " ")
		}
	}
	clock, ok := clockTime(rest)
	if !ok {
		return fail()
	}
	nanos, rest := fraction(rest[8:])
	if weekday && year == 0 {
		if len(rest) < 5 || rest[0] != ' ' {
			return fail()
		}
		y, ok := number(rest[1:5])
		if !ok {
			return fail()
		}
		year, rest = y, rest[5:]
	}
	if rest != "" && rest[0] != ' ' {
		return fail()
	}
	if year == 0 {
		if year, ok = c.yearOf(month, day, clock); !ok {
			return fail()
		}
	}
	if !isDay(year, month, day) {
		return fail()
	}
	return time.Unix(c.local(days(year, month, day)*86400+int64(clock)), nanos).UTC(), rest, true
}

// yearOf finds the latest year in which a day and time are not more than a day
// ahead. A 29 February may be eight years back.
func (c *stamps) yearOf(month, day, clock int) (int, bool) {
	now := c.now()
	key := (month*100+day)*24 + clock/3600 + 1
	if c.year.key == key && !now.Before(c.year.from) && now.Before(c.year.until) {
		return c.year.year, true
	}
	limit := now.Add(futureSlack)
	for year := limit.UTC().Year() + 1; year > limit.UTC().Year()-9; year-- {
		if !isDay(year, month, day) {
			continue
		}
		t := time.Unix(c.local(days(year, month, day)*86400+int64(clock)), 0)
		if t.After(limit) {
			continue
		}
		// Within some hours of the limit each line is looked at by itself.
		if limit.Sub(t) > 6*time.Hour {
			c.year = yearCache{key: key, year: year, from: now, until: now.Add(time.Hour)}
		}
		return year, true
	}
	return 0, false
}

// local returns the moment at which the zone's clock shows wall, which is in
// seconds since 1970 of that clock. A moment that comes twice, when summer time
// ends, is the second one if the line before was past the first. One that never
// comes is taken as if the clock had not been turned.
func (c *stamps) local(wall int64) int64 {
	if c.zone == time.UTC {
		return wall
	}
	hour := wall / 3600
	if c.hour.key == hour+1 {
		return c.see(c.hour.start + wall%3600)
	}
	before, after := c.offset(wall-86400), c.offset(wall+86400)
	if before == after {
		if wall >= 0 {
			c.hour = hourCache{key: hour + 1, start: hour*3600 - before}
		}
		return c.see(wall - before)
	}
	first, second := wall-before, wall-after
	isFirst, isSecond := c.offset(first) == before, c.offset(second) == after
	const outOfOrder = 300 // seconds that lines of one log are apart at most
	switch {
	case isFirst && isSecond && c.latest > first-3600 && c.latest < second+3600 &&
		(c.latest > first+outOfOrder || c.offset(c.latest) == after):
		return c.see(second)
	case isFirst || !isSecond:
		return c.see(first)
	}
	return c.see(second)
}

func (c *stamps) see(t int64) int64 {
	c.latest = t
	return t
}

func (c *stamps) offset(unix int64) int64 {
	_, seconds := time.Unix(unix, 0).In(c.zone).Zone()
	return int64(seconds)
}
