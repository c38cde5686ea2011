package publish

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names are those of this host, its accounts and its people. What was tried and
// holds one of them, in whatever case, is not published.
type Names struct {
	Words []string // where they stand between other characters than letters and digits
	Parts []string // inside another word, too, if they have three characters
}

// leastPart is how long a name must be for being looked for inside of words: jo is
// in major.
const leastPart = 3

// in reports whether what was tried holds one of the names.
func (n Names) in(tried string) bool {
	tried = strings.ToLower(tried)
	for _, w := range n.Words {
		if holdsWord(tried, strings.ToLower(w)) {
			return true
		}
	}
	for _, p := range n.Parts {
		p = strings.ToLower(p)
		if holdsWord(tried, p) || utf8.RuneCountInString(p) >= leastPart && strings.Contains(tried, p) {
			return true
		}
	}
	return false
}

// holdsWord reports whether a word stands in s by itself.
func holdsWord(s, word string) bool {
	if word == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(s[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+len(word):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		from = i + len(word)
	}
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
