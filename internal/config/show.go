package config

import "strings"

// Settings land under the wrong key, and a secret with them. So errors show
// keys and values only where they look like what belongs there; the place in
// the file says the rest. Slack's tokens have 24 characters, the longest word
// that a setting takes has 13.
const (
	maxShownKey   = 32
	maxShownValue = 20
)

// isName is about the names of tables and labels, which are shown and typed.
func isName(s string) bool {
	if s == "" || len(s) > maxShownKey {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func joinKeys(keys []string) string {
	path := ""
	for _, k := range keys {
		path = joinPath(path, k)
	}
	return path
}

func joinPath(parent, key string) string {
	if !isName(key) {
		key = `"…"`
	}
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// not ends a sentence about what a value must be.
func not(s string) string {
	if s == "" {
		return ", not empty"
	}
	if len(s) > maxShownValue {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte(" ._:/-", c) < 0 {
			return ""
		}
	}
	return `, not "` + s + `"`
}

// oneOf writes "a, b or c".
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// didYouMean is a hint at the word that was meant, if one is near: a letter
// wrong in a short word, up to three in a long one.
func didYouMean(s string, words []string) string {
	if len(s) > maxShownKey {
		return ""
	}
	best, least := "", 0
	for _, w := range words {
		d := distance(strings.ToLower(s), w)
		if d <= min(3, max(1, len(w)/3)) && (best == "" || d < least) {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return `did you mean "` + best + `"?`
}

// distance counts the bytes to add, leave out, replace, or swap with their
// neighbour, to make b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
