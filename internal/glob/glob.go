// Package glob matches texts with patterns of * and ?. It takes no longer for any
// pattern than for the worst text, so that patterns may be anybody's.
package glob

import "unicode/utf8"

// Match reports whether a pattern with * (any characters) and ? (one) fits all
// of s. It takes no more than len(pattern)·len(s) steps, whatever both are.
func Match(pattern, s string) bool {
	star, from := -1, 0 // the last *, and where in s it was tried to end
	p, i := 0, 0
	for i < len(s) {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += size
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			_, size := utf8.DecodeRuneInString(s[from:])
			from += size
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
