package glob

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"", ""}, {"*", ""}, {"a*b?c", "axxbyc"}, {"*a*a*b", "aaaaaaaaaa"}, {"?", "é"}, {"é*", "éa"}, {"a", "ab"}, {"?*", "\xff"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := Match(pattern, s)
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(pattern) > 200 {
			return
		}
		want := regexp.MustCompile("(?s)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$")
		if got != want.MatchString(s) {
			t.Errorf("%q, %q: %v", pattern, s, got)
		}
	})
}

// TestMatchOfManyStars: a pattern that would make a matcher that tries everything
// never end.
func TestMatchOfManyStars(t *testing.T) {
	if Match(strings.Repeat("a*", 1000)+"b", strings.Repeat("a", 10_000)) {
		t.Error("it matches")
	}
}
