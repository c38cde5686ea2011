package config

import (
	"regexp"
	"slices"
	"strings"
)

// Settings land under the wrong key, and a secret with them. So errors show
// keys and values only where they look like what belongs there; the place in
// the file says the rest. Slack's tokens have 24 characters, a generated password
// may have eight: no such is made of short words or numbers alone.
const (
	maxShownKey   = 32
	maxShownValue = 20
)

// Where a secret belongs, or the path to one, nothing is shown but the words of
// the key itself: of "slack.url" under destination.slack.webhook_url_file each.
func ownWords(n *node, s string) bool {
	separator := func(r rune) bool { return strings.ContainsRune("._-/", r) }
	own := strings.FieldsFunc(n.path, separator)
	words := strings.FieldsFunc(s, separator)
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(own, w) })
}

// shownForms are what may be shown of a value: a time, a number or an address;
// words; a system, a fingerprint or a country, which nobody keeps secret. They are
// made into expressions where there is an error: every login starts this program.
var shownForms = []string{
	`^-?[0-9_]{1,10}([.:/-][0-9]{1,4})*$`, `^-?([0-9]{1,8}(\.[0-9]+)?(ns|us|ms|s|m|h|d)-?)+$`,
	`^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(:?[0-9.]{7,15})?(/[0-9]{1,3})?$`,
	`^\.?/?[A-Z]?[a-z]{1,10}([ ._:/-][a-z]{1,10})*$`,
	`^(AS[0-9.]*|SHA256:.*|[A-Z]{2})$`,
}

// isWord reports whether a part of a name is a word or a number, or a word with a
// number at its end: no token is made of such.
func isWord(s string) bool {
	digits := strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	return len(s)-len(digits) <= 20 && len(digits) <= 4 && strings.Trim(digits, "0123456789") == ""
}

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
	notWord := func(s string) bool { return !isWord(s) }
	if !isName(key) || slices.ContainsFunc(strings.Split(strings.ReplaceAll(key, "-", "_"), "_"), notWord) {
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
	if len(s) > maxShownValue || !slices.ContainsFunc(shownForms, func(form string) bool { return regexp.MustCompile(form).MatchString(s) }) {
		return ""
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
