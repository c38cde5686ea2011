package message

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
)

// The limits of a host's daily digest.
const (
	dayLines   = 30
	daySize    = 2800 // characters; 3,000 with a title and a footer
	daySection = 10   // rows of one section
	dayEach    = 40   // characters of a name
	tallyShown = 4
)

// Section is a part of a host's daily digest: what it is about, what it comes
// to, and a row for each of the first few.
type Section struct {
	Name  string
	Head  Line
	Whole bool // Head is not shortened
	Rows  []Line
	More  int // beside Rows
}

// isDay reports whether an alert is a host's daily digest.
func isDay(a event.Alert) bool {
	return a.Event.Kind == event.KindDigest && a.Event.Digest != nil && (a.Event.Digest.Of == event.KindDigest || a.Event.Digest.Failures != nil || a.Event.Digest.Report != nil)
}

// dayParts is what a day comes to, the most important first: "1 login waits for
// an answer", "331 ordinary logins of 7 users", …
func dayParts(d *event.Digest) []string {
	var parts []string
	switch n := len(d.Unanswered) + d.MoreUnanswered; {
	case n == 1:
		parts = append(parts, "1 login waits for an answer")
	case n > 1:
		parts = append(parts, number(n)+" logins wait for an answer")
	}
	if d.Report != nil {
		return append(parts, reportParts(d.Report)...)
	}
	users := 0
	for _, r := range d.Rows {
		users += max(1, r.More)
	}
	if n := sum(d.Rows); n > 0 {
		parts = append(parts, plural(n, "ordinary login")+" of "+plural(users, "user"))
	}
	if f := d.Failures; f != nil && f.Attempts > 0 {
		parts = append(parts, plural(f.Attempts, "failed login")+attackers(f))
	}
	if n := sum(d.Counted); n > 0 {
		parts = append(parts, plural(n, "login")+" only counted")
	}
	if n := pairs(d.Promoted); n > 0 {
		parts = append(parts, number(n)+" became usual")
	}
	if n := pairs(d.Learned); n > 0 {
		parts = append(parts, number(n)+" learned unasked")
	}
	if len(parts) == 0 {
		parts = append(parts, "how logins are told")
	}
	return parts
}

// attackers is " from 250 addresses", or nothing where none is known.
func attackers(f *event.Failures) string {
	if f.Addresses == 0 {
		return ""
	}
	return " from " + atLeast(f) + plural(f.Addresses, "address")
}

// atLeast says that several hosts counted, each for itself.
func atLeast(f *event.Failures) string {
	if len(f.Hosts.Most) > 0 {
		return "at least "
	}
	return ""
}

func sum(rows []event.Row) (n int) {
	for _, r := range rows {
		n += r.Count
	}
	return n
}

func pairs(rows []event.PairRow) (n int) {
	for _, r := range rows {
		n += max(1, r.More)
	}
	return n
}

// dayHeadline is "web1, 12 Oct: " and what the day comes to.
func dayHeadline(a event.Alert) Headline {
	parts := dayParts(a.Event.Digest)
	where := host(a.Event)
	if n := a.Event.Digest.Hosts; n > 1 {
		where = literal(number(n) + " hosts")
	}
	h := Headline{Head: Line{literal(severityWord(a.Verdict.Severity)), where}, Tail: Line{literal(": " + parts[0])}}
	if t := newest(a); !t.IsZero() {
		h.Times = Line{literal(", " + inZone(t, a.Zone).Format("2 Jan"))}
	}
	if a.Event.Digest.Report != nil {
		h.Head = join(Line{literal("Report: ")}, h.Head)
		if !a.First.IsZero() {
			h.Times = Line{literal(", from " + inZone(a.First, a.Zone).Format("2 Jan"))}
		}
	}
	if len(parts) > 1 {
		h.More = Line{literal("; " + strings.Join(parts[1:], "; "))}
	}
	return h
}

func dayTitle(a event.Alert) Line {
	where := marked(orUnknown(a.Event.Host, "host"))
	if n := a.Event.Digest.Hosts; n > 1 {
		where = Line{literal(number(n) + " hosts")}
	}
	l := join(Line{literal("The day of ")}, where)
	if a.Event.Digest.Report != nil {
		l = join(Line{literal("Report of ")}, where)
	}
	if a.First.IsZero() || a.Last.IsZero() {
		return append(l, timed(a, ", ")...)
	}
	return append(l, literal(", "+clockOf(a).span(a.First, a.Last)))
}

// sections returns what a host's day holds, what waits for an answer first. link is
// that of a report.
func sections(a event.Alert, link Line) []Section {
	d := a.Event.Digest
	var all []Section
	add := func(s Section) {
		if len(s.Head) > 0 || len(s.Rows) > 0 || s.More > 0 {
			all = append(all, s)
		}
	}
	if r := d.Report; r != nil {
		add(Section{Name: "In short", Head: Line{untrusted(r.Sentence)}, Whole: true})
		add(unanswered(d, clockOf(a)))
		return append(all, reported(r, link)...)
	}
	add(unanswered(d, clockOf(a)))
	add(rowSection("Counted, not told", d.Counted))
	add(rowSection("Ordinary logins", d.Rows))
	if d.Failures != nil {
		add(failures(d.Failures))
	}
	add(pairSection("Usual from now on", d.Promoted, ""))
	add(pairSection("Learned unasked", d.Learned, "this host is young; if one was not you: sudo sshnotify history forget, and look into it"))
	add(told(d))
	return all
}

func unanswered(d *event.Digest, c clock) Section {
	s := Section{Name: "Waits for an answer", More: d.MoreUnanswered}
	for _, u := range d.Unanswered {
		l := Line{untrusted(event.Ref(u.Ref)), literal(" " + severityWord(u.Severity)), untrusted(orUnknown(u.User, "user"))}
		if !blank(u.From) {
			l = append(l, literal(" from "), untrusted(u.From))
		}
		if d.Hosts > 1 && len(u.Hosts) > 0 {
			l = join(l, Line{literal(" → ")}, rowHosts(event.Row{Hosts: u.Hosts, MoreHosts: u.MoreHosts}))
		}
		for i, r := range u.Reasons {
			sep := ", "
			if i == 0 {
				sep = ": "
			}
			l = append(l, literal(sep), untrusted(r))
		}
		if u.Count > 1 {
			l = append(l, literal(", ×"+number(u.Count)))
		}
		if !u.Since.IsZero() {
			l = append(l, literal(", since "+c.in(u.Since).Format("2 Jan ")+c.minutes(u.Since)))
		}
		s.Rows = append(s.Rows, l)
	}
	if len(s.Rows) > 0 || s.More > 0 {
		s.Head = Line{literal("was that you? sshnotify ack REF; if not: sshnotify show REF")}
	}
	return s
}

func rowSection(name string, rows []event.Row) Section {
	s := Section{Name: name}
	if len(rows) == 0 {
		return s
	}
	s.Head = Line{literal(number(sum(rows)))}
	for _, r := range rowsOf(rows) {
		l := r.line(2)
		for i, ref := range r.of.Refs {
			sep := ", "
			if i == 0 {
				sep = " · ref "
			}
			l = append(l, literal(sep), untrusted(event.Ref(ref)))
		}
		s.Rows = append(s.Rows, l)
	}
	return s
}

func failures(f *event.Failures) Section {
	s := Section{Name: "Failed logins", Head: Line{literal(number(f.Attempts) + attackers(f))}}
	if f.Accounts > 0 {
		s.Head = append(s.Head, literal(", "+atLeast(f)+plural(f.Accounts, "name")+" tried"))
	}
	row := func(name string, l Line) {
		if len(l) > 0 {
			s.Rows = append(s.Rows, join(Line{literal(name + ": ")}, l))
		}
	}
	row("hosts", tallied(f.Hosts))
	row("names", tallied(f.Names))
	row("countries", tallied(countryNames(f.Countries)))
	row("networks", tallied(f.Networks))
	var fresh Line
	if f.NewAddresses > 0 {
		fresh = Line{literal(atLeast(f) + plural(f.NewAddresses, "address"))}
	}
	for _, x := range []struct {
		of    string
		names []string
	}{{"name", f.NewNames}, {"network", f.NewNetworks}} {
		of := x.of + " "
		if len(x.names) > 1 {
			of = x.of + "s "
		}
		for i, name := range x.names {
			switch {
			case i > 0:
				of = ", "
			case len(fresh) > 0:
				of = "; " + of
			}
			fresh = append(fresh, literal(of), untrusted(name))
		}
	}
	row("new since yesterday", fresh)
	for _, r := range rowsOf(f.Worst) {
		s.Rows = append(s.Rows, r.line(0))
	}
	return s
}

// countryNames returns a tally of ISO codes with the countries' names.
func countryNames(t event.Tally) event.Tally {
	most := slices.Clone(t.Most)
	for i := range most {
		most[i].Name = country.Name(most[i].Name)
	}
	return event.Tally{Most: most, Rest: t.Rest}
}

// tallied is "root ×2,000, admin ×614, others ×409".
func tallied(t event.Tally) Line {
	var l Line
	add := func(name Span, n int) {
		if len(l) > 0 {
			l = append(l, literal(", "))
		}
		l = append(l, name, literal(" ×"+number(n)))
	}
	others := t.Rest
	for i, c := range t.Most {
		if i >= tallyShown {
			others += c.N
			continue
		}
		add(untrusted(orUnknown(c.Name, "name")), c.N)
	}
	if others > 0 {
		add(literal("others"), others)
	}
	return l
}

func pairSection(name string, rows []event.PairRow, head string) Section {
	s := Section{Name: name}
	for _, p := range rows {
		if p.More > 0 {
			s.More += p.More
			continue
		}
		l := Line{untrusted(orUnknown(p.User, "user"))}
		if !blank(p.From) {
			l = append(l, literal(" from "), untrusted(p.From))
		}
		if !blank(p.Key) {
			l = append(l, literal(" with "), fingerprint(p.Key))
		}
		if p.Days > 1 {
			l = append(l, literal(fmt.Sprintf(", on %d days", p.Days)))
		}
		if !blank(p.Ref) {
			l = append(l, literal(" · ref "), untrusted(event.Ref(p.Ref)))
		}
		s.Rows = append(s.Rows, l)
	}
	if head != "" && (len(s.Rows) > 0 || s.More > 0) {
		s.Head = Line{literal(head)}
	}
	return s
}

// told says how ordinary logins are told from now on, and what else there is.
func told(d *event.Digest) Section {
	s := Section{Name: "How logins are told"}
	for _, m := range d.Modes {
		s.Rows = append(s.Rows, mode(m))
	}
	if !blank(d.Offer) {
		s.Rows = append(s.Rows, Line{literal(`each in a message, as before the update; notify = "auto" in `), untrusted(d.Offer), literal(" tells what is unusual at once, and the rest here")})
	}
	return s
}

func mode(m event.ModeChange) Line {
	now := "in a message each"
	if m.To == event.ModeDigest {
		now = "in this digest, once a day"
	}
	what := Line{literal("from now on, ordinary logins")}
	if !blank(m.User) {
		what = Line{literal("from now on, logins of "), untrusted(m.User)}
		if !blank(m.From) {
			what = append(what, literal(" from "), untrusted(m.From))
		}
	}
	switch {
	case m.Hosts > 1:
		what = append(what, literal(" to "+number(m.Hosts)+" hosts"))
	case m.Hosts == 1:
		what = append(what, literal(" to "), untrusted(shortHost(m.Host)))
	}
	why := ""
	if m.Count > 0 {
		why = fmt.Sprintf(" (%s in 24 hours)", number(m.Count))
	}
	l := append(what, literal(" come "+now+why))
	if m.To == event.ModeDigest {
		l = append(l, literal(`; notify = "all" tells each`))
	}
	return l
}

// dayBody returns the sections in as many rows of each as there is room for.
func (m Message) dayBody(f Form, size int) []Line {
	var lines []Line
	for rows := daySection; rows >= 0; rows-- {
		lines = nil
		for _, s := range m.Sections {
			l := Line{{Kind: Bold, Spans: []Span{literal(s.Name + ":")}}}
			if len(s.Head) > 0 {
				l = join(l, Line{literal(" ")}, s.Head)
			}
			if !s.Whole {
				l = f.shorten(l, dayEach)
			}
			lines = append(lines, l)
			for _, r := range s.Rows[:min(len(s.Rows), rows)] {
				lines = append(lines, f.shorten(join(Line{literal("• ")}, r), dayEach))
			}
			if more := max(0, len(s.Rows)-rows) + s.More; more > 0 {
				and := "• and "
				if len(s.Rows) == 0 {
					and = "• "
				}
				lines = append(lines, Line{literal(and + number(more) + " more")})
			}
		}
		if len(lines) <= dayLines && f.total(lines) <= size {
			return lines
		}
	}
	for f.total(lines) > size {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// number writes 3023 as 3,023.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
