package message

import (
	"fmt"
	"strconv"
	"strings"
)

// The limits of plain text are those of the Slack message, so that a terminal
// shows about what Slack would.
const (
	textHeadline = 80
	textTitle    = 250
	textBody     = 700
	textDigest   = 3800
	textLines    = 5
	textFooter   = 300
)

// Select Graphic Rendition, ECMA-48 8.3.117; 38;2 is a 24-bit colour.
const (
	ansiBold    = "\x1b[1m"
	ansiNotBold = "\x1b[22m"
	ansiDim     = "\x1b[2m"
	ansiReset   = "\x1b[0m"
)

// Text returns the line as plain text. Strings from outside bring no escape
// sequence: every control character in them is spelt out.
func (l Line) Text() string { return l.text("", "") }

func (l Line) text(bold, notBold string) string {
	var b strings.Builder
	for _, s := range l {
		switch s.Kind {
		case Bold:
			b.WriteString(bold + Line(s.Spans).text(bold, notBold) + notBold)
		case Link:
			b.WriteString(Line(s.Spans).Text() + ": " + s.Text)
		default:
			b.WriteString(s.Text)
		}
	}
	return b.String()
}

// Short returns the one line that must be enough, as plain text of at most 80
// characters.
func (m Message) Short() string { return m.Headline.Fit(Form{}, textHeadline).Text() }

// Plain returns the message for people: the headline, then the rest beside a bar.
// In colour the bar has the verdict's, and labels are bold; else no escape
// sequence is written.
func (m Message) Plain(coloured bool) string {
	p := Page{Headline: m.Short(), Colour: Colour(m.Verdict), Title: m.Title.Fit(Form{}, textTitle), Footer: m.Footer.Fit(Form{}, textFooter)}
	p.Lines = m.Body(Form{}, m.BodySize(textBody, textDigest), textLines)
	return p.Plain(coloured)
}

// Page is a message whose parts are of their final length.
type Page struct {
	Headline string
	Colour   string // #rrggbb of the bar
	Title    Line
	Lines    []Line
	Footer   Line
}

// Plain returns the page as Message.Plain does.
func (p Page) Plain(coloured bool) string {
	bar, bold, notBold, dim, reset := "▌ ", "", "", "", ""
	if coloured {
		bold, notBold, dim, reset = ansiBold, ansiNotBold, ansiDim, ansiReset
		if rgb, err := strconv.ParseUint(strings.TrimPrefix(p.Colour, "#"), 16, 24); err == nil {
			bar = fmt.Sprintf("\x1b[38;2;%d;%d;%dm▌%s ", rgb>>16, rgb>>8&0xff, rgb&0xff, ansiReset)
		}
	}
	var b strings.Builder
	row := func(s string) { b.WriteString(bar + s + "\n") }
	b.WriteString(p.Headline + "\n")
	row(bold + p.Title.Text() + notBold)
	for _, l := range p.Lines {
		row(l.text(bold, notBold))
	}
	row(dim + p.Footer.Text() + reset)
	return b.String()
}
