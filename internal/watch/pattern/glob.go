package pattern

import (
	"regexp"
	"strings"
)

// globs makes regular expressions of globs, which take linear time whatever is
// in them.
func globs(patterns []string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range patterns {
		expr := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(p))
		all = append(all, regexp.MustCompile(`(?s)\A`+expr+`\z`)) // of a quoted text: can't fail
	}
	return all
}

func anyMatches(all []*regexp.Regexp, s string) bool {
	for _, re := range all {
		if re.MatchString(s) {
			return true
		}
	}
	return false
}
