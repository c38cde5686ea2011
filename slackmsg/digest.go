package slackmsg

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// tally is what a digest's rows come to.
type tally struct {
	n     int        // events
	kind  event.Kind // of all of them, or empty for a mixture
	hosts []string   // in order of appearance
	users []named    // over all hosts, the most events first
}

// named counts the events of a user, or of a kind that has none.
type named struct {
	name string
	n    int
}

// tallyOf adds up rows, of which there is at least one.
func tallyOf(rows []event.Row) tally {
	t := tally{kind: rows[0].Kind}
	hosts, users := map[string]bool{}, map[string]int{} // users: its place in t.users
	for _, r := range rows {
		t.n += r.Count
		if r.Kind != t.kind {
			t.kind = ""
		}
		if !hosts[r.Host] {
			hosts[r.Host] = true
			t.hosts = append(t.hosts, r.Host)
		}
		name := message.Who(r)
		if !hasUser(r) {
			_, name = noun(r.Kind)
		}
		i, known := users[name]
		if !known {
			i = len(t.users)
			users[name] = i
			t.users = append(t.users, named{name: name})
		}
		t.users[i].n += r.Count
	}
	slices.SortStableFunc(t.users, func(a, b named) int { return cmp.Compare(b.n, a.n) })
	return t
}

// hasUser reports whether a row is somebody's, be the name known or not.
func hasUser(r event.Row) bool {
	return !blank(message.Who(r)) || r.Kind == event.KindLogin || r.Kind == event.KindLogout
}

// userCounts is "deploy ×300, alice ×8", as many as fit the room.
func (t tally) userCounts(room, each int, f form) line {
	var l line
	for i, u := range t.users {
		next := line{quote(orUnknown(u.name, "user"), each), say(fmt.Sprintf(" ×%d", u.n))}
		if i > 0 {
			next = append(line{say(", ")}, next...)
		}
		rest := 0 // for ", …"
		if i < len(t.users)-1 {
			rest = 3
		}
		if next.width(f)+rest > room {
			if i > 0 {
				l = append(l, say(", …"))
			}
			break
		}
		l = append(l, next...)
		room -= next.width(f)
	}
	return l
}

func (t tally) where(each int, short bool) line {
	switch {
	case len(t.hosts) > 1:
		return line{say(fmt.Sprintf("%d hosts", len(t.hosts)))}
	case short:
		return line{quote(shortHost(t.hosts[0]), each)}
	default:
		return marked(orUnknown(t.hosts[0], "host"), each)
	}
}

func digestHeadline(a event.Alert, f form) line {
	t := tallyOf(a.Rows)
	l := line{say(severityWord(a.Verdict.Severity) + daily(a) + count(t.n, t.kind) + toHost(t.kind))}
	l = append(append(l, t.where(24, true)...), say(within(a)))
	if users := t.userCounts(maxHeadline-l.width(f)-2, 20, f); len(users) > 0 {
		l = append(append(l, say(": ")), users...)
	}
	return clip(l, maxHeadline, f)
}

// daily sets the digest of usual logins apart from that of a burst.
func daily(a event.Alert) string {
	if d := a.Event.Digest; d != nil && d.Of == event.KindLogin {
		return "Usual: "
	}
	return ""
}

func digestTitle(a event.Alert) line {
	t := tallyOf(a.Rows)
	l := append(line{say(daily(a) + count(t.n, t.kind) + toHost(t.kind))}, t.where(titleHost, false)...)
	if a.First.IsZero() || a.Last.IsZero() {
		return l
	}
	first, last := inZone(a.First, a), inZone(a.Last, a)
	from := first.Format(clock)
	if first.Format(date) == last.Format(date) {
		from = first.Format(timeOfDay)
	}
	return append(l, say(" from "+from+" to "+last.Format(clock)))
}

// digestBody gives a line a row, the worst and then the most first. Addresses
// are left out before rows are, and what does not fit is counted in the last
// line.
func digestBody(a event.Alert, limit int) []line {
	rows := slices.Clone(a.Rows)
	slices.SortStableFunc(rows, func(a, b event.Row) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Count, a.Count))
	})
	showHost := len(tallyOf(a.Rows).hosts) > 1
	var head []line
	if why := whyLine(a, min(maxWhy, limit/2)); len(why) > 0 {
		head = []line{why}
	}
	for _, addresses := range []int{5, 3, 2, 1, 0, noAddresses} {
		if lines, left := rowLines(head, rows, showHost, addresses, limit); len(left) == 0 {
			return lines
		}
	}
	lines, left := rowLines(head, rows, showHost, noAddresses, limit-maxRemainder)
	rest := tallyOf(left)
	return append(lines, line{say(fmt.Sprintf("and %s more in %d lines that do not fit", count(rest.n, rest.kind), len(left)))})
}

// rowLines adds a line a row to head as long as they fit, and gives the rows
// that did not.
func rowLines(head []line, rows []event.Row, showHost bool, addresses, limit int) (lines []line, left []event.Row) {
	lines = slices.Clone(head)
	size := total(head)
	for i, r := range rows {
		l := rowLine(r, showHost, addresses)
		size += l.width(asMrkdwn) + 1
		if size > limit {
			return lines, rows[i:]
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// maxRemainder is the room for the last line of a digest that does not fit.
const maxRemainder = 80

// rowEach is how much of a name or a reason a digest's row shows.
const rowEach = 48

func rowLine(r event.Row, showHost bool, addresses int) line {
	var l line
	if word := severityWord(r.Severity); word != "" {
		l = label(say(word[:len(word)-1]))
	}
	if hasUser(r) {
		l = append(l, quote(orUnknown(message.Who(r), "user"), rowEach))
		if showHost {
			l = append(l, say(" → "), quote(shortHost(r.Host), rowEach))
		}
		l = append(l, say(": "))
	} else if showHost {
		l = append(l, quote(shortHost(r.Host), rowEach), say(": "))
	}
	l = append(l, say(count(r.Count, r.Kind)))
	l = append(l, from(r, addresses)...)
	if why := message.Why(r); !blank(why) {
		l = append(l, say(" - "), quote(why, rowEach))
	}
	return l
}

// noAddresses leaves out even their number.
const noAddresses = -1

// from lists a row's first addresses and counts the others.
func from(r event.Row, addresses int) line {
	if addresses == noAddresses {
		return nil
	}
	shown := r.IPs[:min(len(r.IPs), addresses)]
	others := len(r.IPs) - len(shown) + r.MoreIPs
	var l line
	for i, ip := range shown {
		if i > 0 {
			l = append(l, say(", "))
		}
		l = append(l, piece{exact, ip.Unmap().WithZone("").String()})
	}
	switch {
	case len(l) > 0 && others > 0:
		l = append(l, say(fmt.Sprintf(" and %d more", others)))
	case others == 1:
		l = append(l, say("1 address"))
	case others > 0:
		l = append(l, say(fmt.Sprintf("%d addresses", others)))
	}
	if len(l) == 0 {
		return nil
	}
	return append(line{say(" from ")}, l...)
}
