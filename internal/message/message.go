// Package message owns the words: it makes of an event, of what is known about
// it and of the verdict a headline, a title, reasons, lines and a footer. They
// are trees of spans, which a renderer escapes and fits into its own limits.
//
// It must never import os, reach net/http, or ask for the time.
package message

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Message is all that is told of an alert, in words. Nothing in it has a limit:
// Fit and Body put it into the limits of a renderer.
type Message struct {
	Verdict  event.Verdict
	Time     time.Time // of the newest event
	Headline Headline  // the one line that must be enough
	Title    Title
	Reasons  []Line    // from medium on, the strongest first
	Link     Line      // to the runbook, from medium on, or to the page of a report; may be empty
	Text     Line      // an alert's own words; may be empty
	Lines    []Line    // what else there is to say, the most important first
	Rows     []Row     // of a digest, which has no Text and Lines
	Sections []Section // of a host's day, which has no Rows, either
	Footer   Footer
	Asked    *Asked    // nil: nothing is
	Long     bool      // whoever gets it wants all of it, however long
	own      []ownLine // in place of all but headline, title and footer; nil: the built-in lines
}

// New words an alert. It takes any alert, whatever its strings are.
func New(a event.Alert) Message {
	m := Message{Verdict: a.Verdict, Time: newest(a), Headline: headline(a), Title: title(a), Footer: footer(a)}
	m.words(a)
	if a.Ask != nil {
		m.ask(a)
	}
	if a.Verdict.Severity >= event.Medium {
		for _, r := range a.Verdict.Reasons {
			if !blank(r) {
				m.Reasons = append(m.Reasons, Line{untrusted(r)})
			}
		}
		if u := safeURL(a.Runbook); u != "" {
			m.Link = Line{{Kind: Link, Text: u, Spans: []Span{literal("runbook")}}}
		}
	}
	if isDay(a) {
		if r := a.Event.Digest.Report; r != nil {
			m.Link = pageLink(r)
		}
		m.Sections = sections(a, m.Link)
		return m
	}
	if len(a.Rows) > 0 {
		m.Rows = rowsOf(a.Rows)
		return m
	}
	if _, text := note(a.Event, clockOf(a)); !blank(text) {
		m.Text = Line{untrusted(text)}
	}
	m.Lines = details(a)
	return m
}

// details returns every line but the reasons and the text.
func details(a event.Alert) []Line {
	e, f := a.Event, a.Facts
	lines := []Line{addressLine(e, f), ispLine(e, f)}
	switch {
	case onHosts(a): // how they got in says more than the risk, which the first message told
		lines = []Line{hostsLine(a), addressLine(e, f), authLine(a), ispLine(e, f), riskLine(a)}
		return slices.DeleteFunc(lines, func(l Line) bool { return len(l) == 0 })
	case gotIn(e):
		lines = append(lines, authLine(a), riskLine(a))
	case e.Kind == event.KindGate:
		lines = append(lines, authLine(a), riskLine(a))
	case e.Kind == event.KindLogin && a.Verdict.Severity == event.Critical:
		lines = append(lines, authLine(a), riskLine(a))
	case e.Kind == event.KindLogin:
		lines = append(lines, riskLine(a), authLine(a))
		if a.Verdict.Severity < event.Medium { // the reasons say it better
			lines = append(lines, seenLine(a))
		}
	case e.Kind == event.KindLogout:
		lines = append(lines, sessionLine(a))
	case e.Kind == event.KindWitness:
		lines = append(lines, witnessLine(a))
	default:
		lines = append(lines, riskLine(a))
	}
	lines = append(lines, stepLine(a))
	return slices.DeleteFunc(lines, func(l Line) bool { return len(l) == 0 })
}

// Colour returns the colour of a verdict, as #rrggbb. What is unknown is never
// shown in that of safe.
func Colour(v event.Verdict) string {
	switch {
	case v.Severity >= event.High:
		return "#ff0002"
	case v.Severity == event.Medium:
		return "#ffe200"
	case v.Knowledge == event.Known:
		return "#02ff00"
	case NeedsExplaining(v):
		return "#2f81f7"
	}
	return "#9aa0a6"
}

// NeedsExplaining reports whether a verdict's colour is one that nobody knows
// from elsewhere: green, yellow, red and grey explain themselves, blue does not.
// The first message of that colour which a destination gets says what it means
// (event.Alert.NewBar).
func NeedsExplaining(v event.Verdict) bool {
	return v.Severity <= event.Low && v.Knowledge == event.Usual
}

// lateAfter is how late an alert must be delivered for that to be worth a word.
const lateAfter = 5 * time.Minute

// Footer is the reference that every command takes, or those of several events,
// the delay, and what a colour means.
type Footer struct {
	Line  Line
	Items []Line // more references, as many as there is room for
	Tail  Line
}

// refsShown is how many events of a message are named by their references: there
// is room for so many in the footer that cuts first, Slack's, beside all else.
const refsShown = 25

// Refs returns the references of the first of several events; none of one.
func Refs(a event.Alert) []string {
	var refs []string
	for _, id := range a.Refs[:min(len(a.Refs), refsShown)] {
		refs = append(refs, event.Ref(id))
	}
	return refs
}

func footer(a event.Alert) Footer {
	f := Footer{Line: Line{literal("ref "), untrusted(event.Ref(a.ID))}}
	if n := len(a.Refs); n > 0 {
		f.Line = Line{literal("ref ")}
		if n > 1 {
			f.Line = Line{literal("refs ")}
		}
		for _, ref := range Refs(a) {
			f.Items = append(f.Items, Line{untrusted(ref)})
		}
		if more := n - refsShown; more > 0 {
			f.Tail = Line{literal(fmt.Sprintf(" and %d more", more))}
		}
	}
	if a.Late >= lateAfter {
		f.Tail = append(f.Tail, literal(" · told "+duration(a.Late)+" late"))
	}
	if a.Quiet {
		f.Tail = append(f.Tail, literal(" · held for quiet hours"))
	}
	if a.NewBar {
		f.Tail = append(f.Tail, literal(" · a blue bar: nothing unusual, as far as this host remembers; no provider gave a score"))
	}
	return f
}

// Title is the first line of the full message.
type Title struct{ Line Line }

func title(a event.Alert) Title {
	e := a.Event
	host, user := marked(orUnknown(e.Host, "host")), marked(orUnknown(e.User, "user"))
	service := untrusted(serviceName(e))
	at, many, one, s := timed(a, " at "), "", "New ", ""
	if a.Count > 1 {
		at, many, s = timed(a, " until "), manyOf(a), "s"
		one = many
	}
	name, _ := note(e, clockOf(a))
	var l Line
	switch {
	case a.Test:
		l = join(Line{literal("Test message from sshnotify on host ")}, host, at)
	case public(e):
		l = Line{untrusted(cmp.Or(name, kindName(e.Kind)))}
	case isDay(a):
		l = dayTitle(a)
	case len(a.Rows) > 0:
		l = digestTitle(a)
	case onHosts(a):
		l = hostsTitle(a)
	case becomes(e):
		l = join(Line{literal(one), service, literal(" to ")}, user, by(e.Login.By), Line{literal(" on ")}, host, at)
	case e.Kind == event.KindLogin:
		l = join(Line{literal(one), service, literal(" login" + s + " of ")}, user, Line{literal(" to ")}, host, criticalAuth(a), at)
	case e.Kind == event.KindLogout && many != "":
		l = join(Line{literal(many), service, literal(" logouts of ")}, user, Line{literal(" from ")}, host, at)
	case e.Kind == event.KindLogout:
		l = join(Line{literal("End of the "), service, literal(" session of ")}, user, Line{literal(" on ")}, host, at)
	case crowd(a):
		l = join(Line{literal(many), service, literal(" sessions on ")}, host, at, Line{literal(unreported)})
	case e.Kind == event.KindWitness:
		l = join(Line{literal(many), service, literal(" session" + s + " of ")}, user, by(opener(e)), Line{literal(" on ")}, host, at, Line{literal(unreported)})
	case gotIn(e) && e.Attack.Title == "":
		after := Line{literal(" " + strings.TrimPrefix(name, "got in "))}
		l = join(Line{literal(one), service, literal(" login" + s + " of ")}, user, Line{literal(" to ")}, host, criticalAuth(a), after, at)
	case e.Kind == event.KindGate:
		l = join(Line{literal(many), untrusted(upperFirst(name)), literal(": ")}, user, Line{literal(" on ")}, host, at)
	case many != "":
		l = join(Line{literal(moreOf(a)), literal(" on ")}, host, at)
	default:
		l = join(Line{untrusted(cmp.Or(name, kindName(e.Kind))), literal(" on ")}, host, at)
	}
	return Title{l}
}

// marked puts a name between the contract's marks.
func marked(s string) Line { return Line{literal(">"), untrusted(s), literal("<")} }

// BodySize returns how many characters a message's body may have, where one of a
// single event may have so many, and a digest so many.
func (m Message) BodySize(single, digest int) int {
	switch {
	case len(m.Sections) > 0:
		return min(digest, daySize)
	case len(m.Rows) > 0 || m.Long:
		return digest
	}
	return single
}

// criticalAuth is how whoever is told as critical got in, which says what to
// lock first; nothing for any other.
func criticalAuth(a event.Alert) Line {
	if a.Verdict.Severity < event.Critical {
		return nil
	}
	u := a.Event.Auth()
	if blank(u.Method) && blank(u.Fingerprint) {
		return nil
	}
	return join(Line{literal(" with ")}, method(u))
}

// by names who became another user; nothing where nobody did.
func by(user string) Line {
	if blank(user) {
		return nil
	}
	return join(Line{literal(" by ")}, marked(user))
}

// timed is " at 02:15:04 (UTC), 21 Nov 2026", or nothing without a time.
func timed(a event.Alert, preposition string) Line {
	t := newest(a)
	if t.IsZero() {
		return nil
	}
	return Line{literal(preposition + clockOf(a).full(t))}
}
