package hook

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, r := range []struct {
		args string
		want Options
		err  string
	}{
		{"", Options{}, ""},
		{"--spool /s --config=/c --no-worker", Options{Spool: "/s", Config: "/c", NoWorker: true}, ""},
		{"--services sshd,su --services=sudo", Options{Services: []string{"sshd", "su", "sudo"}}, ""},
		{"--services= --log-level debug", Options{}, ""},
		{"--no-worker=false", Options{}, ""},
		{"--no-worker=perhaps --spool /s", Options{Spool: "/s"}, `--no-worker: "perhaps" is neither true nor false`},
		{"--nonsense --spool /s", Options{Spool: "/s"}, `unknown flag "--nonsense"`},
		{"word --spool /s -- --no-worker", Options{Spool: "/s"}, ""},
		{"--no-worker --spool", Options{NoWorker: true}, "--spool needs a value"},
	} {
		got, err := Parse(strings.Fields(r.args))
		if !reflect.DeepEqual(got, r.want) || (err == nil) != (r.err == "") || err != nil && err.Error() != r.err {
			t.Errorf("%q: %+v, %v", r.args, got, err)
		}
	}
}

func TestBeside(t *testing.T) {
	root := t.TempDir()
	put := func(path string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := put("usr/bin/sshnotify")
	if err := os.MkdirAll(filepath.Join(root, "opt/elsewhere/sshnotify"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"usr/libexec/sshnotify", "usr/lib/sshnotify", "usr/bin"} {
		if got, err := beside(filepath.Join(root, dir)); err != nil || got != want {
			t.Errorf("%s: %q, %v", dir, got, err)
		}
	}
	if got, err := beside(filepath.Join(root, "opt/elsewhere")); err == nil {
		t.Errorf("a folder is no program: %q", got)
	}
}

// What the small program is made of decides how fast it starts, and how much
// stands on the way of a login.
func TestSmallProgramIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/sshnotify-hook").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	allowed := map[string]bool{
		"cmd/sshnotify-hook": true, "internal/event": true, "internal/hook": true, "internal/login": true,
		"internal/passwd": true, "internal/paths": true, "internal/release": true, "internal/spool": true, "internal/syslog": true,
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		own, isOwn := strings.CutPrefix(dep, "github.com/sshnotify/sshnotify/")
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case isOwn && !allowed[own]:
			t.Errorf("sshnotify-hook reaches %s, which no login has time for", own)
		case isOwn, dep == "golang.org/x/sys/unix", dep == "github.com/gofrs/flock":
		case strings.Contains(first, "."):
			t.Errorf("sshnotify-hook reaches %s", dep)
		case dep == "net" || strings.HasPrefix(dep, "net/") && dep != "net/netip", dep == "regexp", dep == "flag", dep == "text/template", dep == "os/user", dep == "os/exec":
			t.Errorf("sshnotify-hook reaches %s of the standard library, which makes it slow to start", dep)
		}
	}
}
