package history

import (
	"io"
	"iter"
	"strings"
	"time"
)

// ReadAuthLog reads the logins that sshd wrote to a syslog file (auth.log,
// secure): lines with a time as in RFC 3339, or as in RFC 3164, which has
// neither year nor zone; those are taken to be in zone, and in the newest year
// that does not put them more than a day after now. What is read is counted in
// c, which may be nil.
//
// Anybody on the host may write such a line with logger(1). That is no news to
// the memory but what makes a stranger known, so the journal, which knows who
// wrote, is better where there is one.
func ReadAuthLog(r io.Reader, now time.Time, zone *time.Location, c *Counts) iter.Seq2[Entry, error] {
	if c == nil {
		c = new(Counts)
	}
	if zone == nil {
		zone = time.UTC
	}
	return func(yield func(Entry, error) bool) {
		for line, err := range lines(r) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if line == nil {
				c.Bad++
				continue
			}
			e, ok, bad := parseSyslog(string(line), now, zone)
			switch {
			case bad:
				c.Bad++
			case !ok:
				c.Other++
			default:
				c.Logins++
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// parseSyslog reads one line; bad: it should be understood and is not.
func parseSyslog(line string, now time.Time, zone *time.Location) (e Entry, ok, bad bool) {
	// Most lines are something else, and need no more.
	if !strings.Contains(line, ": Accepted ") {
		return e, false, false
	}
	if strings.HasPrefix(line, "<") { // a priority, from a relay that keeps it
		if i := strings.IndexByte(line, '>'); i > 0 && i < 5 {
			line = line[i+1:]
		}
	}
	at, rest, ok := parseStamp(line, now, zone)
	if !ok {
		return e, false, true
	}
	host, rest, _ := strings.Cut(rest, " ")
	tag, msg, ok := strings.Cut(rest, ": ")
	program, _, _ := strings.Cut(tag, "[")
	if !ok || !isSSHD(program) {
		return e, false, false
	}
	if !strings.HasPrefix(msg, "Accepted ") {
		return e, false, false
	}
	a, ok := parseAccepted(msg)
	if !ok {
		return e, false, true
	}
	return a.entry(at, host, SourceAuthLog), true, false
}

func (a accepted) entry(at time.Time, host string, from Source) Entry {
	return Entry{Time: at, Host: host, User: a.user, Service: "sshd", Method: a.method, Key: a.key, IP: a.ip, Port: a.port, Source: from}.normal()
}

// parseStamp reads the time in front of a line.
func parseStamp(line string, now time.Time, zone *time.Location) (t time.Time, rest string, ok bool) {
	if word, rest, ok := strings.Cut(line, " "); ok {
		if t, err := time.Parse(time.RFC3339Nano, word); err == nil {
			return t, rest, plausible(t)
		}
	}
	const form = time.Stamp // "Jan _2 15:04:05"
	if len(line) <= len(form) || line[len(form)] != ' ' {
		return t, "", false
	}
	// A leap day is in no year but its own, so that years are tried until one
	// has it.
	limit := now.AddDate(0, 0, 1)
	for year := limit.In(zone).Year(); year > limit.Year()-9; year-- {
		t, err := time.ParseInLocation("2006 "+form, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006 ")+line[:len(form)], zone)
		if err == nil && !t.After(limit) {
			return t, line[len(form)+1:], plausible(t)
		}
	}
	return t, "", false
}

// plausible refuses the times of a clock that was never set, and those that
// can't be stored.
func plausible(t time.Time) bool { return t.UTC().Year() >= 1990 && t.UTC().Year() <= 9999 }
