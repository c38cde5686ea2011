// Package form owns how the lines of a message are written in the syntaxes that
// services read them in: what is escaped, what is replaced, and how long it
// becomes. In none of them do a stranger's words make a mention, a link, markup
// or another line.
//
// It must never choose a word, cut a line on its own, or send anything.
package form

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/message"
)

// Form is a syntax.
type Form string

// The forms. Slack's is package slackmsg's.
const (
	Plain    Form = "plain"    // text that nothing acts on
	At       Form = "at"       // text in which @ and # act: Mastodon
	Post     Form = "post"     // as At, and host names become links: X
	Markdown Form = "markdown" // what Mattermost and Discord make of it
	Chat     Form = "chat"     // what Rocket.Chat makes of it, which knows no escape
	HTML     Form = "html"     // of elements only b, a and br
	Entities Form = "entities" // Telegram's text; its markup is Marked's
	GSM      Form = "gsm"      // the alphabet of SMS, 3GPP TS 23.038
	Speech   Form = "speech"   // what is read aloud, as text of XML
)

// Names returns the names of all forms.
func Names() []string {
	var all []string
	for _, f := range []Form{Plain, At, Post, Markdown, Chat, HTML, Entities, GSM, Speech} {
		all = append(all, string(f))
	}
	return all
}

// Count returns how the characters of a form are counted: those of SMS in
// septets, those of Telegram in UTF-16 units, those of X by its weights, all
// others as they are written.
func (f Form) Count() message.Form { return message.Form{Rune: f.width, Marks: f.marks} }

// Bytes returns how the bytes of a form are counted, in UTF-8.
func (f Form) Bytes() message.Form {
	return message.Form{Marks: f.marks, Rune: func(r rune) int {
		n := utf8.RuneLen(f.tame(r))
		if r == ':' || r == '.' || r == '=' { // which may have to be replaced
			n = utf8.RuneLen(likeColon)
		}
		return max(n, utf8.RuneLen(r)) + f.width(r) - 1
	}}
}

func (f Form) width(r rune) int {
	switch f {
	case Post:
		if r == ':' || r == '.' { // which may have to be replaced
			return 2
		}
		return weight(f.tame(r))
	case Markdown:
		if strings.ContainsRune(markdownMarks+markdownStarts, r) {
			return 2
		}
	case HTML:
		return len(html.EscapeString(string(r))) - utf8.RuneLen(r) + 1
	case Entities:
		if r > 0xffff {
			return 2
		}
	case GSM:
		return septets(gsm(r))
	case Speech:
		return utf8.RuneCountInString(spoken(r)) + len(" ")
	}
	return 1
}

// weight is what a character counts in a post to X
// (https://docs.x.com/fundamentals/counting-characters).
func weight(r rune) int {
	if r <= 0x10ff || r >= 0x2000 && r <= 0x200d || r >= 0x2010 && r <= 0x201f || r >= 0x2032 && r <= 0x2037 {
		return 1
	}
	return 2
}

func (f Form) marks(s message.Span) int {
	switch {
	case f == Markdown && s.Kind == message.Bold:
		return len("****")
	case f == Markdown && s.Kind == message.Link:
		return len("[]()")
	case f == Chat && s.Kind == message.Bold:
		return len("**")
	case f == Chat && s.Kind == message.Link:
		return len("[]()")
	case (f == Markdown || f == Chat) && s.Kind == message.Exact:
		return len("``")
	case f == HTML && s.Kind == message.Bold:
		return len("<b></b>")
	case f == HTML && s.Kind == message.Link:
		return len(`<a href=""></a>`)
	case s.Kind == message.Link:
		return len(": ")
	}
	return 0
}

// Lines returns lines as text of several.
func (f Form) Lines(lines []message.Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, f.Line(l))
	}
	return strings.Join(out, f.Break())
}

// Break returns what ends a line.
func (f Form) Break() string {
	if f == HTML {
		return "<br>"
	}
	return "\n"
}

// Line returns a line as text. Nothing is ever replaced in what was returned.
func (f Form) Line(l message.Line) string {
	var b strings.Builder
	f.write(&b, l)
	return b.String()
}

func (f Form) write(b *strings.Builder, l message.Line) {
	for _, s := range l {
		switch s.Kind {
		case message.Literal:
			f.text(b, s.Text)
		case message.Untrusted:
			f.text(b, f.tamed(s.Text))
		case message.Exact:
			f.exact(b, s.Text)
		case message.Markup:
			f.markup(b, s.Text)
		case message.Bold:
			before, after := f.bold()
			b.WriteString(before)
			f.write(b, s.Spans)
			b.WriteString(after)
		case message.Link:
			f.link(b, s)
		}
	}
}

func (f Form) bold() (before, after string) {
	switch f {
	case Markdown:
		return "**", "**"
	case Chat:
		return "*", "*"
	case HTML:
		return "<b>", "</b>"
	}
	return "", ""
}

// markup writes the owner's own words as they are, where the form has markup.
func (f Form) markup(b *strings.Builder, s string) {
	if f == GSM || f == Speech {
		f.text(b, s)
		return
	}
	b.WriteString(s)
}

// exact writes an address or a fingerprint, in which an emoji may hide:
// 2001:db8:cd::1 holds a compact disc.
func (f Form) exact(b *strings.Builder, s string) {
	switch {
	case f == Markdown && strings.Contains(s, ":"), f == Chat:
		b.WriteString("`" + s + "`")
	case f == Speech:
		b.WriteString(Spell(s))
	default:
		f.text(b, s)
	}
}

// link writes a link of ours. In speech an address is of no use.
func (f Form) link(b *strings.Builder, s message.Span) {
	switch f {
	case Markdown, Chat:
		b.WriteString("[")
		f.write(b, s.Spans)
		b.WriteString("](" + strings.NewReplacer("(", "%28", ")", "%29", "[", "%5B", "]", "%5D").Replace(s.Text) + ")")
	case HTML:
		b.WriteString(`<a href="` + html.EscapeString(s.Text) + `">`)
		f.write(b, s.Spans)
		b.WriteString("</a>")
	case Speech:
		f.write(b, s.Spans)
	default:
		f.write(b, s.Spans)
		f.text(b, ": "+s.Text)
	}
}

// Look-alikes stand for characters of a stranger that would act where there is
// no escape, or none that all servers and clients of a service know. Those that
// Unicode calls the wide forms won't do: Mastodon takes ＃ for #, X ＠ for @.
const (
	likeAt     = '\ufe6b' // ﹫
	likeHash   = '\ufe5f' // ﹟
	likeDollar = '\ufe69' // ﹩
	likeColon  = '\u2236' // ∶
	likeDot    = '\u2024' // ․
	likeHyphen = '\u2010' // ‐
	likeLess   = '\u2039' // ‹
	likeMore   = '\u203a' // ›
	likeAnd    = '\ufe60' // ﹠
)

// likeMarks are look-alikes of the characters that act in Chat, one after the
// other.
const likeMarks = "*∗_ˍ~∼`ˋ[［]］|∣\\∖<‹>›$﹩+＋#﹟＃﹟@﹫＠﹫"

func likeMark(r rune) rune {
	marks := []rune(likeMarks)
	for i := 0; i < len(marks); i += 2 {
		if marks[i] == r {
			return marks[i+1]
		}
	}
	return r
}

// tame returns what stands for a character of a stranger's wherever that stands.
func (f Form) tame(r rune) rune {
	switch {
	case f == Chat:
		return likeMark(r)
	case f != At && f != Post && f != Markdown:
	case r == '@' || r == '＠':
		return likeAt
	case f == Markdown && r == '<':
		return likeLess
	case f == Markdown && r == '>':
		return likeMore
	case f == Markdown && r == '&': // begins an entity, &#10; a line
		return likeAnd
	case f == Markdown:
	case r == '#' || r == '＃':
		return likeHash
	case f == Post && (r == '$' || r == '＄'):
		return likeDollar
	}
	return r
}

// tamed returns a stranger's words without what would act.
func (f Form) tamed(s string) string {
	var b strings.Builder
	var before rune
	for i, r := range s {
		rest := s[i+utf8.RuneLen(r):]
		after, _ := utf8.DecodeRuneInString(rest)
		after = f.tame(after) // a look-alike may be a letter
		out := f.tame(r)
		switch {
		case r == ':' && strings.HasPrefix(rest, "//"): // of a URL, which clients look for in any text
			out = likeColon
		case r == ':' && (f == Markdown || f == Chat) && !digit(after) && after != ' ' && rest != "": // of an emoji
			out = likeColon
		case r == '.' && (f == Post || f == Chat) && inWord(before) && (unicode.IsLetter(after) || f == Chat && digit(after)): // Chat links addresses, too
			out = likeDot
		case f == Chat && strings.Trim(s[:i], "0123456789") == "" && (r == '.' || r == '-'): // begins a list
			out = map[rune]rune{'.': likeDot, '-': likeHyphen}[r]
		case r == '.' && f == Markdown && strings.HasSuffix(strings.ToLower(s[:i]), "www"):
			out = likeDot
		}
		b.WriteRune(out)
		before = out
	}
	return b.String()
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// text writes words that do not act, escaped.
func (f Form) text(b *strings.Builder, s string) {
	switch f {
	case Markdown:
		escapeMarkdown(b, s)
	case Chat: // at its start, > quotes a line
		b.WriteString(strings.NewReplacer("<", "‹", ">", "›").Replace(s))
	case HTML:
		b.WriteString(html.EscapeString(s))
	case GSM:
		for _, r := range s {
			b.WriteString(gsm(r))
		}
	case Speech:
		speak(b, s)
	default:
		b.WriteString(s)
	}
}

// What a backslash is put before: what acts anywhere, and what acts at the start
// of a line. Mattermost shows a backslash that stands before another character.
const (
	markdownMarks  = "\\`*_[]~|"
	markdownStarts = "#+-.)"
)

func escapeMarkdown(b *strings.Builder, s string) {
	start := true // of the line, or after a number there
	if b.Len() > 0 {
		start = strings.Trim(b.String(), "0123456789>*+-.) ") == ""
	}
	for _, r := range s {
		r = Markdown.tame(r)
		switch {
		case strings.ContainsRune(markdownMarks, r), start && strings.ContainsRune(markdownStarts, r):
			b.WriteByte('\\')
		case start && r == '=': // underlines the line before
			r = '＝'
		}
		start = start && digit(r)
		b.WriteRune(r)
	}
}

// Mark is a piece of a text that Telegram shows in a way of its own
// (https://core.telegram.org/bots/api#messageentity).
type Mark struct {
	Type   string `json:"type"`   // bold, code or text_link
	Offset int    `json:"offset"` // in UTF-16 units, as is
	Length int    `json:"length"`
	URL    string `json:"url,omitempty"`
}

// Marked returns a text of lines and its marks. A stranger's words stand in code,
// in which Telegram looks for no mention, link, hashtag or command.
func Marked(lines []message.Line) (string, []Mark) {
	var m marker
	for i, l := range lines {
		if i > 0 {
			m.text("\n")
		}
		m.line(l, false)
	}
	return m.b.String(), m.marks
}

type marker struct {
	b     strings.Builder
	at    int
	marks []Mark
}

func (m *marker) text(s string) {
	m.b.WriteString(s)
	for _, r := range s {
		m.at += Entities.width(r)
	}
}

func (m *marker) line(l message.Line, bold bool) {
	for _, s := range l {
		from := m.at
		mark := Mark{Offset: from}
		switch s.Kind {
		case message.Bold:
			m.line(s.Spans, true)
			continue
		case message.Link:
			m.text(message.Line(s.Spans).Text())
			mark.Type, mark.URL = "text_link", s.Text
		case message.Untrusted:
			m.text(Entities.tamed(s.Text))
			mark.Type = "code"
		case message.Exact:
			m.text(s.Text)
			mark.Type = "code"
		default:
			m.text(s.Text)
			if bold {
				mark.Type = "bold"
			}
		}
		if mark.Length = m.at - from; mark.Type != "" && mark.Length > 0 {
			m.marks = append(m.marks, mark)
		}
	}
}
