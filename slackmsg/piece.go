package slackmsg

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// form is where a line is shown, which decides what is done to it.
type form int

const (
	asText     form = iota // Slack's top-level text: markup may act there, we use none
	asMrkdwn               // an attachment's text
	asEscaped              // its title, fallback and footer: entities and emoji act there, no more
	asPlain                // a log line: nothing acts
	asTerminal             // a terminal that knows colours
)

// slack reports whether Slack reads the form.
func (f form) slack() bool { return f == asText || f == asMrkdwn || f == asEscaped }

type kind int

const (
	own     kind = iota // our words
	outside             // anybody's words
	exact               // an address or a fingerprint of proven form: shown unchanged
	bold                // switches bold on or off
	link                // a URL from the settings, made safe by safeURL
)

// piece is a part of a line that is escaped in one way. Lines are put together
// of pieces and rendered once, at the end; nothing is ever replaced in what
// was rendered.
type piece struct {
	kind kind
	text string
}

type line []piece

// say gives our own words.
func say(s string) piece { return piece{own, s} }

// quote gives somebody else's words, at most limit characters of them as Slack
// gets them.
func quote(s string, limit int) piece {
	return piece{outside, cut(event.Clean(strings.TrimSpace(s), limit), limit, asEscaped)}
}

// blank reports whether quote would have nothing to show.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// label gives a bold name of a line, and the space after it.
func label(name ...piece) line {
	return slices.Concat(line{{kind: bold}}, name, line{{kind: bold}, say(" ")})
}

// width is the number of characters of a rendered string.
func width(s string) int { return utf8.RuneCountInString(s) }

// width is the most characters that the line takes in a form, which is what it
// takes unless a mark of quotation is replaced.
func (l line) width(f form) int {
	n := 0
	for _, p := range l {
		n += p.width(f)
	}
	return n
}

func (p piece) width(f form) int {
	n := 0
	switch {
	case p.kind == bold && f == asMrkdwn:
		return len("*")
	case p.kind == link:
		n = len("<|runbook>") // one more than "runbook: "
	case p.inCode(f):
		n = len("``")
	}
	for _, r := range p.text {
		n += f.runeWidth(r)
	}
	return n
}

// inCode reports whether the piece needs a code span to be shown as it is.
func (p piece) inCode(f form) bool {
	return p.kind == exact && (f == asMrkdwn || f == asText) && holdsEmoji(p.text)
}

// render puts the line into a form.
func (l line) render(f form) string {
	var cells []cell
	fixed := func(s string, ready bool) {
		for _, r := range s {
			cells = append(cells, cell{r: r, ready: ready})
		}
	}
	isBold := false
	for _, p := range l {
		switch p.kind {
		case own:
			fixed(p.text, false)
		case outside:
			cells = append(cells, looseCells(p.text)...)
		case exact:
			around := ""
			if p.inCode(f) {
				around = "`"
			}
			fixed(around+p.text+around, false)
		case bold:
			isBold = !isBold
			switch {
			case f == asMrkdwn:
				fixed("*", true)
			case f == asTerminal && isBold:
				fixed(ansiBold, true)
			case f == asTerminal:
				fixed(ansiNotBold, true)
			}
		case link:
			if f == asMrkdwn {
				fixed("<"+Escape(p.text)+"|runbook>", true)
			} else {
				fixed("runbook: "+p.text, false)
			}
		}
	}
	if f.slack() {
		defuse(cells, f != asEscaped)
	}
	var b strings.Builder
	for _, c := range cells {
		switch {
		case !f.slack() || c.ready:
			b.WriteRune(c.r)
		case c.r == '&':
			b.WriteString("&amp;")
		case c.r == '<':
			b.WriteString("&lt;")
		case c.r == '>':
			b.WriteString("&gt;")
		default:
			b.WriteRune(c.r)
		}
	}
	return b.String()
}

// runeWidth is the number of characters that one becomes.
func (f form) runeWidth(r rune) int {
	switch {
	case !f.slack():
		return 1
	case r == '&':
		return len("&amp;")
	case r == '<' || r == '>':
		return len("&lt;")
	default:
		return 1
	}
}

// cut shortens s to a width, the "…" that says so included. It never cuts an
// entity, and goes back to the space between two words where one is near.
func cut(s string, limit int, f form) string {
	total, keep := 0, 0 // keep: bytes of s that leave room for the "…"
	for i, r := range s {
		w := f.runeWidth(r)
		if total+w <= limit-1 {
			keep = i + utf8.RuneLen(r)
		}
		total += w
	}
	if total <= limit {
		return s
	}
	if limit < 1 {
		return ""
	}
	head := s[:keep]
	if space := strings.LastIndexByte(head, ' '); space > len(head)/2 && s[keep] != ' ' {
		head = head[:space]
	}
	return strings.TrimRight(head, " ,;:") + "…"
}

// clip shortens a line without markup to a width. What is exact is left out
// sooner than cut.
func clip(l line, limit int, f form) line {
	if l.width(f) <= limit {
		return l
	}
	var out line
	room := limit
	for _, p := range l {
		w := p.width(f)
		if w < room { // one is kept for the "…"
			out = append(out, p)
			room -= w
			continue
		}
		if p.kind == exact || p.kind == link {
			return append(out, say("…"))
		}
		return append(out, piece{p.kind, cut(p.text, room, f)})
	}
	return out
}

// fingerprint is exact where it has the form that ssh-keygen -l gives.
func fingerprint(s string, limit int) piece {
	if sha256Fingerprint().MatchString(s) {
		return piece{exact, s}
	}
	return quote(s, limit)
}

var sha256Fingerprint = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}=?$`)
})
