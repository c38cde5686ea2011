package cmd

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/docs"
)

// The page of the settings has all that the reference has, and nothing of its
// Markdown.
func TestManSettings(t *testing.T) {
	page := string(manSettings("1.2.3", "2026-11-21"))
	if want := ".TH \"SSHNOTIFY.TOML\" 5 \"2026\\-11\\-21\" \"sshnotify 1.2.3\" \"sshnotify\"\n"; !strings.HasPrefix(page, want) {
		t.Errorf("it begins with %.80q", page)
	}
	n := 0
	for _, m := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(docs.Settings, -1) {
		n++
		if !strings.Contains(page, ".TP\n"+manInline(m[1])) {
			t.Errorf("%s is missing", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^##+ (.*)$").FindAllStringSubmatch(docs.Settings, -1) {
		if n++; !strings.Contains(page, manQuote(manPlain(m[1]))+"\n") {
			t.Errorf("no section %s", m[1])
		}
	}
	if n < 150 {
		t.Errorf("only %d keys and sections were looked for", n)
	}
	if m := regexp.MustCompile("(?m)^.*(?:`|\\*\\*|\\]\\(|^\\||^#|^- ).*$").FindString(page); m != "" {
		t.Errorf("Markdown is left: %s", m)
	}
}
