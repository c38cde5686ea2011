package message

import (
	"strings"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// SpanKind says whose words a span holds, and so what a renderer must do to
// them.
type SpanKind int

// The kinds.
const (
	Literal   SpanKind = iota // our own words
	Untrusted                 // anybody's words: to be neutralized
	Exact                     // an address or a fingerprint of proven form: shown unchanged
	Bold                      // Spans, in bold
	Link                      // Text is a web address made by safeURL, Spans what it is called
	Markup                    // the owner's own words, in the markup of the channel where it has one: written as they are
)

// Span is a part of a line that is escaped in one way. Spans hold words, and
// neither escaping nor length: both are the renderer's.
type Span struct {
	Kind  SpanKind
	Text  string
	Spans []Span
}

// Line is a line of text.
type Line []Span

// maxUntrusted bounds what is taken of a string from outside. Every form shows
// less.
const maxUntrusted = 4000

func literal(s string) Span { return Span{Kind: Literal, Text: s} }

// untrusted returns somebody else's words, cleaned.
func untrusted(s string) Span {
	return Span{Kind: Untrusted, Text: event.Clean(strings.TrimSpace(s), maxUntrusted)}
}

// blank reports whether untrusted would have nothing to show.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// label returns a bold name of a line, and the space after it.
func label(name ...Span) Line {
	return Line{{Kind: Bold, Spans: name}, literal(" ")}
}

// Words returns the line without markup of the owner's: as words of ours, for a form
// that is one of several that tell the same.
func (l Line) Words() Line {
	out := make(Line, len(l))
	for i, s := range l {
		if s.Kind == Markup {
			s.Kind = Literal
		}
		out[i] = s
	}
	return out
}

// join appends lines to each other.
func join(lines ...Line) Line {
	var out Line
	for _, l := range lines {
		out = append(out, l...)
	}
	return out
}

// Form is how a renderer counts characters. The zero value counts plain text.
type Form struct {
	Rune  func(rune) int // that one becomes; nil: 1
	Marks func(Span) int // that the span's markup takes beside its text; nil: plainMarks
}

// plainMarks counts the colon and the space between a link's name and address.
func plainMarks(s Span) int {
	if s.Kind == Link {
		return len(": ")
	}
	return 0
}

// Width returns the most characters that spans take.
func (f Form) Width(spans ...Span) int {
	marks := f.Marks
	if marks == nil {
		marks = plainMarks
	}
	n := 0
	for _, s := range spans {
		n += marks(s) + f.text(s.Text) + f.Width(s.Spans...)
	}
	return n
}

func (f Form) text(s string) int {
	if f.Rune == nil {
		return utf8.RuneCountInString(s)
	}
	n := 0
	for _, r := range s {
		n += f.Rune(r)
	}
	return n
}

// cut shortens s to a width, the "…" that says so included. It never cuts what
// one character becomes, and goes back to the space between two words where one
// is near.
func (f Form) cut(s string, limit int) string {
	total, keep := 0, 0 // keep: bytes of s that leave room for the "…"
	more := f.text("…")
	for i, r := range s {
		w := 1
		if f.Rune != nil {
			w = f.Rune(r)
		}
		if total+w <= limit-more {
			keep = i + utf8.RuneLen(r)
		}
		total += w
	}
	if total <= limit {
		return s
	}
	if limit < more {
		return ""
	}
	head := s[:keep]
	if space := strings.LastIndexByte(head, ' '); space > len(head)/2 && s[keep] != ' ' {
		head = head[:space]
	}
	return strings.TrimRight(head, " ,;:") + "…"
}

// cutMarkup returns the words of s that leave room for a "…" in a width. It cuts
// within no link and no mention.
func (f Form) cutMarkup(s string, limit int) string {
	limit -= f.text("…")
	for i := len(s); i >= 0; i = strings.LastIndexByte(s[:i], ' ') {
		head := s[:i]
		if f.text(head) <= limit && strings.Count(head, "<") == strings.Count(head, ">") && strings.Count(head, "[") == strings.Count(head, "]") {
			return head
		}
	}
	return ""
}

// shorten cuts each untrusted span to a width.
func (f Form) shorten(spans []Span, each int) Line {
	out := make(Line, len(spans))
	for i, s := range spans {
		if s.Kind == Untrusted {
			s.Text = f.cut(s.Text, each)
		}
		if len(s.Spans) > 0 {
			s.Spans = f.shorten(s.Spans, each)
		}
		out[i] = s
	}
	return out
}

// clip cuts the end of a line without bold to a width. What is exact is left out
// sooner than cut.
func (f Form) clip(l Line, limit int) Line {
	if f.Width(l...) <= limit {
		return l
	}
	var out Line
	for _, s := range l {
		w := f.Width(s)
		if w+f.text("…") <= limit {
			out = append(out, s)
			limit -= w
			continue
		}
		if s.Kind == Markup {
			s.Text = f.cutMarkup(s.Text, limit)
			return append(out, s, literal("…"))
		}
		if s.Kind == Exact || s.Kind == Link {
			return append(out, literal("…"))
		}
		return append(out, Span{Kind: s.Kind, Text: f.cut(s.Text, limit)})
	}
	return out
}
