package form

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Spell returns a name or an address character by character, as text of XML.
func Spell(s string) string {
	var out []string
	for _, r := range s {
		out = append(out, spoken(r))
	}
	return strings.Join(out, " ")
}

// spoken returns how a character is named, as text of XML.
func spoken(r rune) string {
	switch r {
	case '.':
		return "dot"
	case ':':
		return "colon"
	case '-':
		return "dash"
	case '_':
		return "underscore"
	case '/':
		return "slash"
	case '\\':
		return "backslash"
	case '@':
		return "at"
	case '+':
		return "plus"
	case '=':
		return "equals"
	case '→':
		return "on"
	case '×':
		return "times"
	case '·', '•', '…':
		return ","
	}
	if !unicode.IsGraphic(r) || r == utf8.RuneError || r == 0xfffe || r == 0xffff {
		return "?"
	}
	return html.EscapeString(string(r))
}

// speak writes words, as text of XML. Those that are no words, numbers of several
// digits and names that have some, are spelt.
func speak(b *strings.Builder, s string) {
	for i, word := range strings.Split(s, " ") {
		if i > 0 {
			b.WriteByte(' ')
		}
		inner := strings.TrimRight(word, ".,;:)\"")
		tail := word[len(inner):]
		head := inner[:len(inner)-len(strings.TrimLeft(inner, "(\""))]
		inner = inner[len(head):]
		b.WriteString(html.EscapeString(head))
		switch {
		case !strings.ContainsFunc(inner, isSpelt):
			b.WriteString(html.EscapeString(inner))
		case utf8.RuneCountInString(inner) == 1 && !strings.ContainsAny(inner, "→×·•…"):
			b.WriteString(html.EscapeString(inner))
		default:
			b.WriteString(Spell(inner))
		}
		b.WriteString(html.EscapeString(tail))
	}
}

func isSpelt(r rune) bool {
	return !unicode.IsLetter(r) && !strings.ContainsRune("'-,", r)
}
