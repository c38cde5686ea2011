package pattern

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// literal is a text without which a regular expression can't match.
type literal struct {
	text string // if fold: ASCII in lower case
	fold bool
}

const (
	// Fewer characters are in every line and would save nothing; more
	// alternatives take as long as the expression.
	minLiteral  = 2
	maxLiterals = 8
	// The steps of a match are at most the product of an expression's size and
	// what is seen of the line. So the biggest that is taken sees 4 KiB, and one of
	// 128 or less, which most are, the longest line; either takes at most 0.2 s.
	maxProgram = 2000
	maxSteps   = 128 * line.MaxText
)

// matcher is a regular expression with what bounds its cost.
type matcher struct {
	re    *regexp.Regexp
	needs []literal // one of them is in every line that matches; nil: not known
	reach int       // how many bytes of a line it sees
}

func newMatcher(re *regexp.Regexp) (matcher, error) {
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return matcher{}, err
	}
	parsed = parsed.Simplify()
	prog, err := syntax.Compile(parsed)
	if err != nil {
		return matcher{}, err
	}
	n := len(prog.Inst)
	if n > maxProgram {
		return matcher{}, fmt.Errorf("the regular expression has %d steps, at most %d are taken: split it, or repeat less", n, maxProgram)
	}
	m := matcher{re: re, reach: maxSteps / n, needs: literalsOf(parsed)}
	if shortest(m.needs) < minLiteral {
		m.needs = nil
	}
	return m, nil
}

func (m *matcher) find(text string) []int {
	return m.re.FindStringSubmatchIndex(text[:min(len(text), m.reach)])
}

func (m *matcher) matches(text string) bool {
	return m.re.MatchString(text[:min(len(text), m.reach)])
}

func literalsOf(re *syntax.Regexp) []literal {
	switch re.Op {
	case syntax.OpLiteral:
		if l := longestLiteral(re.Rune, re.Flags&syntax.FoldCase != 0); l.text != "" {
			return []literal{l}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literalsOf(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literalsOf(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []literal
		for _, sub := range re.Sub {
			if found := literalsOf(sub); shortest(found) > shortest(best) {
				best = found
			}
		}
		return best
	case syntax.OpAlternate:
		var all []literal
		for _, sub := range re.Sub {
			found := literalsOf(sub)
			if found == nil {
				return nil
			}
			all = append(all, found...)
		}
		if len(all) <= maxLiterals {
			return all
		}
	}
	return nil
}

// longestLiteral leaves out what a line may have in another form: U+FFFD
// matches any byte that is no UTF-8, and outside of ASCII the cases of a letter
// differ in length.
func longestLiteral(runes []rune, fold bool) literal {
	best := ""
	for part := range strings.FieldsFuncSeq(string(runes), func(r rune) bool { return r == utf8.RuneError || fold && r >= utf8.RuneSelf }) {
		if len(part) > len(best) {
			best = part
		}
	}
	if fold {
		best = strings.ToLower(best)
	}
	return literal{text: best, fold: fold}
}

func shortest(all []literal) (n int) {
	for i, l := range all {
		if i == 0 || len(l.text) < n {
			n = len(l.text)
		}
	}
	return n
}

// folded is a line in lower case, made when the first pattern needs it.
type folded struct {
	buf   []byte
	ready bool
	ascii bool
}

// has reports whether a line may match an expression that requires one of all.
func (f *folded) has(text string, all []literal) bool {
	if all == nil {
		return true
	}
	for _, l := range all {
		if !l.fold {
			if strings.Contains(text, l.text) {
				return true
			}
			continue
		}
		f.fill(text)
		// Outside of ASCII there are letters that fold to ASCII ones: K is a Kelvin.
		if !f.ascii || bytes.Contains(f.buf, []byte(l.text)) {
			return true
		}
	}
	return false
}

func (f *folded) fill(text string) {
	if f.ready {
		return
	}
	f.ready, f.ascii = true, true
	f.buf = append(f.buf[:0], text...)
	for i, c := range f.buf {
		switch {
		case c >= utf8.RuneSelf:
			f.ascii = false
			return
		case 'A' <= c && c <= 'Z':
			f.buf[i] = c + 'a' - 'A'
		}
	}
}
