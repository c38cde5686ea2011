package parse_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// formRow is a line of testdata/forms.txt.
type formRow struct{ release, want, text string }

func formRows(t testing.TB) (out []formRow) {
	t.Helper()
	data, err := os.ReadFile("testdata/forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	var part []string
	for l := range strings.Lines(string(data)) {
		l = strings.TrimSuffix(l, "\n")
		if l == "" || strings.HasPrefix(l, "#") && len(part) == 0 {
			continue
		}
		if part = append(part, l); len(part) == 3 {
			out = append(out, formRow{part[0], part[1], part[2]})
			part = nil
		}
	}
	return out
}

// summary is what a row says of a result.
func summary(r parse.Result) string {
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	ip := "-"
	if r.IP.IsValid() {
		ip = r.IP.String()
	}
	return strings.Join([]string{string(r.Outcome), or(r.Parser), ip, or(r.User)}, " ")
}

func TestForms(t *testing.T) {
	for _, f := range formRows(t) {
		got := explain(f.text)
		if s := summary(got); s != f.want {
			t.Errorf("%s:\n%s\nis %s, not %s", f.release, f.text, s, f.want)
		}
		// The first line of a log is what it is by itself.
		if first := summary(parse.New(parse.Options{Now: november}).Parse(line.Line{Text: f.text})); first != summary(got) {
			t.Errorf("%s:\n%s\nis %s where it stands first in a log, and %s by itself", f.release, f.text, first, summary(got))
		}
	}
}
