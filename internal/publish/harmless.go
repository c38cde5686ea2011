package publish

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// harmless makes a stranger's text one that means nothing to a chat, a social
// network, a search engine or a browser. Letters and digits stay. Of the rest
// only what is listed here does, because nobody knows all that is a mention,
// an emoji, a command or a link somewhere; the others are written as words, or
// as "?". It is never empty, and has at most most characters and an ellipsis.
func harmless(s string, most int) string {
	var b strings.Builder
	n, blank := 0, false
	for i, r := range s {
		piece := "?"
		switch word := words(r); {
		case r == ' ':
			blank = b.Len() > 0 // those at the ends are dropped, of several one stays
			continue
		case r == '.' && !continues(s[i+1:]):
			piece = "." // of "Inc."
		case r == '_':
			piece = "-"
		case word != "":
			piece = "(" + word + ")"
		case plain(r):
			piece = string(r)
		}
		if blank {
			piece, blank = " "+piece, false
		}
		width := utf8.RuneCountInString(piece)
		if n+width > most {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
		n += width
	}
	if b.Len() == 0 {
		return nothingSaid
	}
	return b.String()
}

// continues reports whether a point before s can be one of a host's name, of an
// address or of a file.
func continues(s string) bool {
	return s != "" && s[0] != ' ' && s[0] != ',' && s[0] != ')' && !strings.HasPrefix(s, "…")
}

// words are for what is common in names, so that it can be told what they were.
func words(r rune) string {
	switch r {
	case '@':
		return "at"
	case '.':
		return "dot"
	case ':':
		return "colon"
	case '/':
		return "slash"
	case '\\':
		return "backslash"
	case '#':
		return "hash"
	case '$':
		return "dollar"
	case '&':
		return "and"
	case '<':
		return "less"
	case '>':
		return "more"
	case '*':
		return "star"
	case '~':
		return "tilde"
	}
	return ""
}

// plain tells characters that only show themselves. Scripts that run from right
// to left are not among them: next to digits they change the order of what is
// seen. Nor are marks, which are drawn over their neighbours.
func plain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-+,=()%…", r):
		return true
	case r < 0x80, rightToLeft(r), r == utf8.RuneError:
		return false
	}
	return unicode.In(r, unicode.L, unicode.Nd) && event.Clean(string(r), 1) == string(r)
}

// rightToLeft goes by the blocks that Unicode keeps for such scripts
// (https://www.unicode.org/reports/tr9/, table 4 and DerivedBidiClass.txt).
func rightToLeft(r rune) bool {
	return 0x0590 <= r && r <= 0x08ff || 0xfb1d <= r && r <= 0xfdff || 0xfe70 <= r && r <= 0xfeff ||
		0x10800 <= r && r <= 0x10fff || 0x1e800 <= r && r <= 0x1efff
}
