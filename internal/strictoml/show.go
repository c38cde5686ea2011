package strictoml

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
func ownWords(n *Node, s string) bool {
	separator := func(r rune) bool { return strings.ContainsRune("._-/", r) }
	own := strings.FieldsFunc(n.Path, separator)
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

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// only reports whether all bytes of s are among those of set.
func only(s, set string) bool { return strings.Trim(s, set) == "" }

// isWord reports whether a part of a name is a word or a number, or a word with a
// number at its end: no token is made of such.
func isWord(s string) bool {
	tail := strings.TrimLeft(s, letters)
	return len(s)-len(tail) <= 20 && len(tail) <= 4 && only(tail, digits)
}

// IsName reports whether s is a name as tables and labels have it: 1 to 32
// letters, digits, _ and -.
func IsName(s string) bool {
	return s != "" && len(s) <= maxShownKey && only(s, letters+digits+"_-")
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
	if !IsName(key) || slices.ContainsFunc(strings.Split(strings.ReplaceAll(key, "-", "_"), "_"), notWord) {
		key = `"…"`
	}
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// Not ends a sentence about what a value must be: `, not "x"` where that can be
// no secret, and otherwise nothing.
func Not(s string) string {
	if s == "" {
		return ", not empty"
	}
	if len(s) > maxShownValue || !slices.ContainsFunc(shownForms, func(form string) bool { return regexp.MustCompile(form).MatchString(s) }) {
		return ""
	}
	return `, not "` + s + `"`
}

// OneOf writes "a, b or c".
func OneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Nearest returns the word that was meant, if one is near: a letter wrong in a
// short word, up to three in a long one; otherwise "".
func Nearest(s string, words []string) string {
	best, least := "", 0
	if len(s) > maxShownKey {
		return best
	}
	for _, w := range words {
		d := distance(strings.ToLower(s), w)
		if d <= min(3, max(1, len(w)/3)) && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

func didYouMean(s string, words []string) string {
	if w := Nearest(s, words); w != "" {
		return `did you mean "` + w + `"?`
	}
	return ""
}

// HintAt returns a hint at the name that was meant, or at those there are. what is
// what they are called together ("destinations").
func HintAt(s, what string, known []string) string {
	shown := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !IsName(name) })
	if hint := didYouMean(s, shown); hint != "" {
		return hint
	}
	switch {
	case len(known) == 0:
		return "the settings name no " + what
	case len(shown) == 0:
		return ""
	}
	return what + ": " + strings.Join(slices.Sorted(slices.Values(shown)), ", ")
}

// quiet leaves out of an error what is too long to be a name, and may be a
// secret under the wrong key.
func quiet(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		quoted := strings.Trim(w, `",;:`)
		if len(quoted) > maxShownKey || strings.HasPrefix(w, `"`) && Not(quoted) == "" || strings.IndexFunc(w, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			words[i] = `"…"` + w[len(strings.TrimRight(w, ",;:")):]
		}
	}
	return strings.Join(words, " ")
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
