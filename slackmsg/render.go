package slackmsg

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/message"
)

// form is where in a payload a line is shown, which decides what is done to it.
type form int

const (
	asText    form = iota // the top-level text: markup may act there, we use none
	asMrkdwn              // an attachment's text
	asEscaped             // its title, fallback and footer: entities and emoji act there, no more
)

// count returns how the characters of a form are counted.
func (f form) count() message.Form { return message.Form{Rune: runeWidth, Marks: f.marks} }

// runeWidth is the number of characters that one becomes.
func runeWidth(r rune) int {
	switch r {
	case '&':
		return len("&amp;")
	case '<', '>':
		return len("&lt;")
	}
	return 1
}

// marks counts what stands around a span.
func (f form) marks(s message.Span) int {
	switch {
	case s.Kind == message.Bold && f == asMrkdwn:
		return len("**")
	case s.Kind == message.Link:
		return len("<|>")
	case f.inCode(s):
		return len("``")
	}
	return 0
}

// inCode reports whether a span needs a code span to be shown as it is.
func (f form) inCode(s message.Span) bool {
	return s.Kind == message.Exact && f != asEscaped && holdsEmoji(s.Text)
}

// render puts a line into a form. Lines are rendered once, at the end; nothing
// is ever replaced in what was rendered.
func render(l message.Line, f form) string {
	cells := f.cells(nil, l)
	neutralize(cells, f != asEscaped)
	var b strings.Builder
	for _, c := range cells {
		if c.ready || runeWidth(c.r) == 1 {
			b.WriteRune(c.r)
		} else {
			b.WriteString(Escape(string(c.r)))
		}
	}
	return b.String()
}

func (f form) cells(cells []cell, l message.Line) []cell {
	fixed := func(s string, ready bool) {
		for _, r := range s {
			cells = append(cells, cell{r: r, ready: ready})
		}
	}
	for _, s := range l {
		switch s.Kind {
		case message.Literal:
			fixed(s.Text, false)
		case message.Untrusted:
			cells = append(cells, untrustedCells(s.Text)...)
		case message.Exact:
			around := ""
			if f.inCode(s) {
				around = "`"
			}
			fixed(around+s.Text+around, false)
		case message.Markup:
			fixed(s.Text, f != asEscaped)
		case message.Bold:
			mark := ""
			if f == asMrkdwn {
				mark = "*"
			}
			fixed(mark, true)
			cells = f.cells(cells, s.Spans)
			fixed(mark, true)
		case message.Link:
			name := message.Line(s.Spans).Text()
			if f == asMrkdwn {
				fixed("<"+Escape(s.Text)+"|"+Escape(name)+">", true)
			} else {
				fixed(name+": "+s.Text, false)
			}
		}
	}
	return cells
}
