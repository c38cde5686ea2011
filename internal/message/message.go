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
	Reasons  []Line // from medium on, the strongest first
	Link     Line   // to the runbook, from medium on; may be empty
	Text     Line   // an alert's own words; may be empty
	Lines    []Line // what else there is to say, the most important first
	Rows     []Row  // of a digest, which has no Text and Lines
	Footer   Footer
}

// New words an alert. It takes any alert, whatever its strings are.
func New(a event.Alert) Message {
	m := Message{Verdict: a.Verdict, Time: newest(a), Headline: headline(a), Title: title(a), Footer: footer(a)}
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
	if len(a.Rows) > 0 {
		m.Rows = rowsOf(a.Rows)
		return m
	}
	if _, text := Note(a.Event, a.Zone); !blank(text) {
		m.Text = Line{untrusted(text)}
	}
	m.Lines = details(a)
	return m
}

// details returns every line but the reasons and the text.
func details(a event.Alert) []Line {
	e, f := a.Event, a.Facts
	lines := []Line{addressLine(e, f), ispLine(f)}
	switch e.Kind {
	case event.KindLogin:
		lines = append(lines, riskLine(f), authLine(a))
		if a.Verdict.Severity < event.Medium { // the reasons say it better
			lines = append(lines, seenLine(a))
		}
	case event.KindLogout:
		lines = append(lines, sessionLine(a))
	case event.KindWitness:
		lines = append(lines, witnessLine(a))
	default:
		lines = append(lines, riskLine(f))
	}
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
	case v.Knowledge == event.Usual:
		return "#2f81f7"
	}
	return "#9aa0a6"
}

// lateAfter is how late an alert must be delivered for that to be worth a word.
const lateAfter = 5 * time.Minute

// Footer is the reference that every command takes, the delay, and the repeats
// that are counted along.
type Footer struct {
	Line  Line
	Items []Line // whose repeats, as many as there is room for
}

func footer(a event.Alert) Footer {
	f := Footer{Line: Line{literal("ref "), untrusted(event.Ref(a.ID))}}
	if a.Late >= lateAfter {
		f.Line = append(f.Line, literal(" · told "+duration(a.Late)+" late"))
	}
	if len(a.Repeats) > 0 {
		t := tallyOf(a.Repeats)
		f.Line = append(f.Line, literal(fmt.Sprintf(" · with %d more: ", t.n)))
		f.Items = t.items()
	}
	return f
}

// Title is the first line of the full message.
type Title struct{ Line Line }

func title(a event.Alert) Title {
	e := a.Event
	host, user := marked(orUnknown(e.Host, "host")), marked(orUnknown(e.User, "user"))
	service := untrusted(serviceName(e))
	more := ""
	at := timed(a, " at ")
	if a.Count > 1 {
		at, more = timed(a, " until "), fmt.Sprintf("%d more ", a.Count)
	}
	one := cmp.Or(more, "New ")
	s := ""
	if more != "" {
		s = "s"
	}
	name, _ := Note(e, a.Zone)
	var l Line
	switch {
	case a.Test:
		l = join(Line{literal("Test message from sshnotify on host ")}, host, at)
	case public(e):
		l = Line{untrusted(cmp.Or(name, kindName(e.Kind)))}
	case len(a.Rows) > 0:
		l = digestTitle(a)
	case becomes(e):
		l = join(Line{literal(one), service, literal(" to ")}, user, by(e.Login.By), Line{literal(" on ")}, host, at)
	case e.Kind == event.KindLogin:
		l = join(Line{literal(one), service, literal(" login" + s + " of ")}, user, Line{literal(" to ")}, host, at)
	case e.Kind == event.KindLogout && more != "":
		l = join(Line{literal(more), service, literal(" logouts of ")}, user, Line{literal(" from ")}, host, at)
	case e.Kind == event.KindLogout:
		l = join(Line{literal("End of the "), service, literal(" session of ")}, user, Line{literal(" on ")}, host, at)
	case crowd(a):
		l = join(Line{literal(more), service, literal(" sessions on ")}, host, at, Line{literal(unreported)})
	case e.Kind == event.KindWitness:
		l = join(Line{literal(more), service, literal(" session" + s + " of ")}, user, by(opener(e)), Line{literal(" on ")}, host, at, Line{literal(unreported)})
	case more != "":
		l = join(Line{literal(moreOf(a.Count, e.Kind)), literal(" on ")}, host, at)
	default:
		l = join(Line{untrusted(cmp.Or(name, kindName(e.Kind))), literal(" on ")}, host, at)
	}
	return Title{l}
}

// marked puts a name between the contract's marks.
func marked(s string) Line { return Line{literal(">"), untrusted(s), literal("<")} }

// by names who became another user; nothing where nobody did.
func by(user string) Line {
	if blank(user) {
		return nil
	}
	return join(Line{literal(" by ")}, marked(user))
}

// timed is " at 02:15:04 AM (UTC), 21 Nov 2026", or nothing without a time.
func timed(a event.Alert, preposition string) Line {
	t := newest(a)
	if t.IsZero() {
		return nil
	}
	return Line{literal(preposition + inZone(t, a.Zone).Format(clock))}
}
