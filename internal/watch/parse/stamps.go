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

	// What the first time in a row told since told was noStamp, for Zones: its kind,
	// and of a zonedStamp how many seconds its zone is east of UTC.
	told     stampKind
	east     int64
	yearless bool
}

// tell notes what a time tells.
func (c *stamps) tell(k stampKind, east int) {
	if c.told == noStamp {
		c.told, c.east, c.yearless = k, int64(east), false
	}
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
	uses      int // left before the clock is asked again, which costs more than a line
}

// yearUses is how many lines in a row of one hour of one day share their year.
const yearUses = 64

// futureSlack is how far ahead a clock may be before its time is taken for one
// of last year.
const futureSlack = 24 * time.Hour

// cut takes a time off the start of s; rest starts behind it.
func (c *stamps) cut(s string) (t time.Time, rest string, ok bool) {
	if len(s) < 10 {
		return time.Time{}, s, false
	}
	switch b := s[0]; {
	case b >= '0' && b <= '9':
		switch {
		case len(s) >= 19 && (s[4] == '-' || s[4] == '/'):
			return c.numeric(s)
		case s[2] == '/':
			return c.slashed(s)
		case s[4] == ' ': // 2006 Jan _2 15:04:05
			if year, ok := number(s[:4]); ok {
				if t, rest, ok = c.named(s[5:], year); ok {
					return t, rest, true
				}
			}
		}
		if t, rest, ok = epoch(s); ok {
			c.tell(epochStamp, 0)
			return t, rest, true
		}
		return c.localized(s)
	case b >= 'A' && b <= 'Z':
		if t, rest, ok = c.named(s, 0); ok {
			return t, rest, true
		}
		return c.localized(s)
	case b == '[':
		if end := strings.IndexByte(s, ']'); end > 0 {
			if t, rest, ok = c.cut(s[1:end]); ok && rest == "" {
				return t, s[end+1:], true
			}
		}
	case b == '@':
		c.tell(epochStamp, 0)
		return tai64n(s)
	case b >= 'a' && b <= 'z', b >= 0x80:
		return c.localized(s)
	}
	return time.Time{}, s, false
}

// numeric reads RFC 3339, ISO 8601, "2006/01/02 15:04:05", and svlogd's
// "2006-01-02_15:04:05".
func (c *stamps) numeric(s string) (t time.Time, rest string, ok bool) {
	if s[7] != s[4] || s[10] != 'T' && s[10] != ' ' && s[10] != '_' {
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
	if !zoned && len(rest) > 3 { // 2006-01-02 15:04:05 -0700, or UTC
		if after, utc := strings.CutPrefix(rest, " UTC"); utc && (after == "" || after[0] == ' ') {
			rest, zoned = after, true
		} else if rest[1] == '+' || rest[1] == '-' {
			if seconds, after, ok := zoneOffset(rest[1:]); ok && (after == "" || after[0] == ' ') {
				offset, rest, zoned = seconds, after, true
			}
		}
	}
	if zoned {
		c.tell(zonedStamp, offset)
		return time.Unix(wall-int64(offset), nanos).UTC(), rest, true
	}
	return time.Unix(c.local(wall), nanos).UTC(), rest, true
}

// named reads "Jan _2 15:04:05", with a year behind it, behind the day or not, and
// "Mon Jan _2 15:04:05 2006"; year is the one that stood in front, or 0. Behind a
// weekday journalctl writes "2006-01-02 15:04:05 MST".
func (c *stamps) named(s string, year int) (t time.Time, rest string, ok bool) {
	fail := func() (time.Time, string, bool) { return time.Time{}, s, false }
	rest = s
	month := monthOf(s)
	weekday := len(s) > 4 && s[3] == ' ' && month == 0
	if weekday {
		switch s[:3] {
		case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
			rest = s[4:]
		default:
			return fail()
		}
		if len(rest) >= 19 && rest[4] == '-' {
			if t, rest, ok = c.numeric(rest); ok {
				return t, cutZoneName(rest), true
			}
			return fail()
		}
	}
	if weekday {
		month = monthOf(rest)
	}
	if month == 0 || len(rest) < 14 || rest[3] != ' ' {
		return fail()
	}
	if t, rest, ok = c.ofMonth(month, year, weekday, rest[4:]); ok {
		return t, rest, true
	}
	return fail()
}

// ofMonth reads "_2 15:04:05" behind a month. With a weekday in front the year
// comes last.
func (c *stamps) ofMonth(month, year int, weekday bool, s string) (t time.Time, rest string, ok bool) {
	fail := func() (time.Time, string, bool) { return time.Time{}, s, false }
	rest = strings.TrimLeft(s, " ")
	word, after := cutFirst(rest)
	day, isDay2 := number(word)
	if !isDay2 || day < 1 || day > 31 {
		return fail()
	}
	rest = strings.TrimLeft(after, " ")
	if year == 0 && len(rest) > 5 && rest[4] == ' ' {
		if y, ok := number(rest[:4]); ok {
			year, rest = y, strings.TrimLeft(rest[5:], " ")
		}
	}
	clock, ok := clockTime(rest)
	if !ok {
		return fail()
	}
	nanos, rest := fraction(rest[8:])
	if year == 0 {
		if y, ok := yearBehind(rest); ok {
			year, rest = y, rest[5:]
		} else if weekday {
			return fail()
		}
	}
	if rest != "" && rest[0] != ' ' {
		return fail()
	}
	if year == 0 {
		if year, ok = c.yearOf(month, day, clock); !ok {
			return fail()
		}
		c.tell(wallStamp, 0)
		c.yearless = c.told == wallStamp
	}
	if !isDay(year, month, day) {
		return fail()
	}
	return time.Unix(c.local(days(year, month, day)*86400+int64(clock)), nanos).UTC(), rest, true
}

// yearBehind reads " 2006" at the start of s.
func yearBehind(s string) (year int, ok bool) {
	if len(s) < 5 || s[0] != ' ' || s[1] != '1' && s[1] != '2' || len(s) > 5 && s[5] != ' ' {
		return 0, false
	}
	year, ok = number(s[1:5])
	return year, ok && year >= 1970 && year < 2100
}

// localized reads "Jan _2 15:04:05" with the month in another language, as
// journalctl writes it by LC_TIME.
func (c *stamps) localized(s string) (t time.Time, rest string, ok bool) {
	word, rest := cutFirst(s)
	clock := strings.IndexByte(rest[:min(len(rest), 6)], ':')
	if clock < 0 || clock < 4 { // most lines without a time end here
		return time.Time{}, s, false
	}
	month := localizedMonth(word)
	if month == 0 {
		return time.Time{}, s, false
	}
	if t, after, ok := c.ofMonth(month, 0, false, rest); ok {
		return t, after, true
	}
	return time.Time{}, s, false
}

// slashed reads what Suricata's fast.log and Snort write, "01/02/2006-15:04:05",
// with two digits of the year or none, and "02/Jan/2006:15:04:05 -0700" of web
// servers and proftpd.
func (c *stamps) slashed(s string) (t time.Time, rest string, ok bool) {
	fail := func() (time.Time, string, bool) { return time.Time{}, s, false }
	date, _, _ := strings.Cut(s[:min(len(s), 11)], "-")
	at, year, day := "", 0, 0
	month, isNumber := two(s)
	if !isNumber || len(date) < 5 {
		return fail()
	}
	date = date[3:]
	if m := monthOf(date); m != 0 && len(s) >= 20 && s[6] == '/' && s[11] == ':' {
		day, month = month, m
		if year, ok = number(s[7:11]); !ok {
			return fail()
		}
		at = s[12:]
	} else {
		if day, isNumber = two(date); !isNumber {
			return fail()
		}
		if years, more := strings.CutPrefix(date[2:], "/"); more {
			if year, ok = number(years); !ok {
				return fail()
			}
			if len(years) == 2 {
				year += 2000
			}
		} else if date[2:] != "" {
			return fail()
		}
		_, at, _ = strings.Cut(s, "-")
	}
	clock, ok := clockTime(at)
	if !ok {
		return fail()
	}
	nanos, rest := fraction(at[8:])
	if year == 0 {
		if year, ok = c.yearOf(month, day, clock); !ok {
			return fail()
		}
	}
	if !isDay(year, month, day) || rest != "" && rest[0] != ' ' {
		return fail()
	}
	wall := days(year, month, day)*86400 + int64(clock)
	if len(rest) > 5 {
		if offset, after, zoned := zoneOffset(rest[1:]); zoned && rest[1] != 'Z' {
			c.tell(zonedStamp, offset)
			return time.Unix(wall-int64(offset), nanos).UTC(), after, true
		}
	}
	return time.Unix(c.local(wall), nanos).UTC(), rest, true
}

// yearOf finds the latest year in which a day and time are not more than a day
// ahead. A 29 February may be eight years back.
func (c *stamps) yearOf(month, day, clock int) (int, bool) {
	key := (month*100+day)*24 + clock/3600 + 1
	if c.year.key == key && c.year.uses > 0 {
		c.year.uses--
		return c.year.year, true
	}
	now := c.now()
	if c.year.key == key && !now.Before(c.year.from) && now.Before(c.year.until) {
		c.year.uses = yearUses
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
			c.year = yearCache{key: key, year: year, from: now, until: now.Add(time.Hour), uses: yearUses}
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
	c.tell(wallStamp, 0)
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
