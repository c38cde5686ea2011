package event

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes an outside string fit for a line of text: what can't be seen, or
// moves what is seen (controls, newlines, bidirectional and zero-width
// characters, odd spaces), is written out as \u202e, bytes that are no UTF-8
// become U+FFFD, and after max characters it ends in "…". Cleaning twice is
// cleaning once. What characters mean to Slack or to a terminal is not its
// business: that is escaped where it is shown.
func Clean(s string, max int) string {
	if isPlain(s) && len(s) <= max {
		return s
	}
	var b strings.Builder
	n := 0 // characters written
	for i, r := range s {
		piece := string(r)
		switch {
		case r == utf8.RuneError:
			piece = "\ufffd"
		case hidden(r):
			if r > 0xffff {
				piece = fmt.Sprintf(`\U%08x`, r)
			} else {
				piece = fmt.Sprintf(`\u%04x`, r)
			}
		}
		width := utf8.RuneCountInString(piece)
		rest := i+runeLen(s, i) < len(s)
		if n+width > max || rest && n+width == max {
			if max > 0 {
				b.WriteString("…")
			}
			break
		}
		b.WriteString(piece)
		n += width
	}
	return b.String()
}

func runeLen(s string, i int) int {
	_, n := utf8.DecodeRuneInString(s[i:])
	return n
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// hidden reports whether a character shows nothing, or changes how its
// neighbours are shown. Unicode's categories cover most; the rest are letters
// and marks that are drawn as nothing or as a space.
func hidden(r rune) bool {
	if r == ' ' {
		return false
	}
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Zs) ||
		unicode.Is(unicode.Variation_Selector, r) || !unicode.IsGraphic(r) && r != utf8.RuneError
}
