package pam

import (
	"os/exec"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, r := range []struct {
		line string
		want Step
		ok   bool
	}{
		{"known", Step{"known", SettingsFile, ""}, true},
		{"ask --settings /x", Step{"ask", "/x", ""}, true},
		{"verify --settings=/x --config /y", Step{"verify", "/x", "/y"}, true},
		{"", Step{}, false},
		{"enrol alice", Step{}, false},
		{"known --settings", Step{}, false},
		{"known --settings=", Step{}, false},
		{"known alice", Step{}, false},
		{"known --help", Step{}, false},
	} {
		got, ok := Parse(strings.Fields(r.line))
		if ok != r.ok || ok && got != r.want {
			t.Errorf("%q: %+v %v", r.line, got, ok)
		}
	}
}

// What the small program is made of decides how fast it starts: no command line, no
// database, no settings of the worker's, no look-ups.
func TestSmallProgramIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../../cmd/sshnotify-gate").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		own, isOwn := strings.CutPrefix(dep, "github.com/sshnotify/sshnotify/")
		for _, banned := range []string{"cmd", "enrich", "install", "internal/config", "internal/deliver", "internal/history", "internal/store", "internal/watch"} {
			if isOwn && (own == banned || banned != "cmd" && strings.HasPrefix(own, banned+"/")) {
				t.Errorf("sshnotify-gate reaches %s, which no login has time for", own)
			}
		}
		for _, banned := range []string{"github.com/spf13/", "modernc.org/", "github.com/oschwald/", "github.com/ulikunitz/", "rsc.io/qr"} {
			if strings.HasPrefix(dep, banned) {
				t.Errorf("sshnotify-gate reaches %s", dep)
			}
		}
	}
}
