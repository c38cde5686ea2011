package install

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// edited plans one edit of a file as it is now.
func edited(t *testing.T, w *world, name, content string) Plan {
	t.Helper()
	p := must(newPlanner(t.Context(), w.Host, Findings{}, "/record/installed.json"))(t)
	f := must(w.read(name))(t)
	if err := p.edit(f, []byte(content), 0o644, "test"); err != nil {
		t.Fatal(err)
	}
	return p.plan
}

func TestApplyKeepsTheFile(t *testing.T) {
	t.Run("mode", func(t *testing.T) {
		w := newWorld(t, map[string]string{"/f": "old"})
		if err := os.Chmod(w.real("/f"), 0o640|fs.ModeSetgid); err != nil {
			t.Fatal(err)
		}
		w.apply(edited(t, w, "/f", "new"))
		fi, _ := os.Stat(w.real("/f"))
		if fi.Mode() != 0o640|fs.ModeSetgid || w.content("/f") != "new" {
			t.Errorf("got %v %q", fi.Mode(), w.content("/f"))
		}
	})
	t.Run("owner", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root gives files away")
		}
		w := newWorld(t, map[string]string{"/f": "old"})
		if err := os.Chown(w.real("/f"), 1234, 4321); err != nil {
			t.Fatal(err)
		}
		w.apply(edited(t, w, "/f", "new"))
		if f := must(w.read("/f"))(t); f.uid != 1234 || f.gid != 4321 {
			t.Errorf("belongs to %d:%d", f.uid, f.gid)
		}
	})
	t.Run("a link into a repository", func(t *testing.T) {
		w := newWorld(t, map[string]string{"/home/a/.bashrc": "-> dotfiles/bashrc", "/home/a/dotfiles/bashrc": "old"})
		w.apply(edited(t, w, "/home/a/.bashrc", "new"))
		if target, _ := os.Readlink(w.real("/home/a/.bashrc")); target != "dotfiles/bashrc" || w.content("/home/a/dotfiles/bashrc") != "new" {
			t.Errorf("link to %q, repository has %q", target, w.content("/home/a/dotfiles/bashrc"))
		}
	})
	t.Run("an absolute link stays inside of the root folder", func(t *testing.T) {
		w := newWorld(t, map[string]string{"/home/a/.bashrc": "-> /repo/bashrc", "/repo/bashrc": "old"})
		w.apply(edited(t, w, "/home/a/.bashrc", "new"))
		if got := w.content("/repo/bashrc"); got != "new" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a link that leads nowhere", func(t *testing.T) {
		w := newWorld(t, map[string]string{"/home/a/.bashrc": "-> ../repo/bashrc", "/repo": "-> /home/repo", "/home/repo/": ""})
		w.apply(edited(t, w, "/home/a/.bashrc", "new"))
		if got := w.content("/home/repo/bashrc"); got != "new" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("links without end", func(t *testing.T) {
		w := newWorld(t, map[string]string{"/a": "-> b", "/b": "-> a"})
		if _, err := w.read("/a"); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("got %v", err)
		}
	})
}

func TestApplyTakesBackWhatItDid(t *testing.T) {
	w := newWorld(t, map[string]string{"/etc/a": "a", "/etc/gone": "gone", "/etc/empty/": ""})
	before := w.snapshot("/")
	w.fail["systemctl start x"] = errBoom
	p := Plan{Changes: []Change{
		{Action: Write, Path: "/etc/a", Mode: 0o600, Old: []byte("a"), New: []byte("b"), Existed: true},
		{Action: Mkdir, Path: "/etc/d", Mode: 0o700},
		{Action: Write, Path: "/etc/d/new", Mode: 0o600, New: []byte("n")},
		{Action: Link, Path: "/etc/l", New: []byte("a")},
		{Action: Remove, Path: "/etc/gone", Old: []byte("gone"), Existed: true},
		{Action: Rmdir, Path: "/etc/empty", Existed: true},
		{Action: Owning, Path: "/etc/a", Mode: 0o640, Existed: true},
		{Action: Run, Command: Command{Args: []string{"systemctl", "daemon-reload"}}},
		{Action: Run, Command: Command{Args: []string{"systemctl", "stop", "y"}}, Undo: Command{Args: []string{"systemctl", "start", "y"}}},
		{Action: Run, Command: Command{Args: []string{"systemctl", "start", "x"}}},
		{Action: Write, Path: "/etc/never", Mode: 0o600, New: []byte("n")},
	}}
	r, err := p.Apply(t.Context(), w.Host)
	if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "systemctl start x") {
		t.Errorf("error: %v", err)
	}
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("what is left (-before +after):\n%s", diff)
	}
	if len(r.Done) != 0 || len(r.Undone) != 8 || len(r.Left) != 1 || r.Left[0].Change.Command.Args[1] != "daemon-reload" {
		t.Errorf("report: done %v, undone %v, left %v", r.Done, r.Undone, r.Left)
	}
	want := []string{"systemctl daemon-reload", "systemctl stop y", "systemctl start x", "systemctl start y"}
	if diff := cmp.Diff(want, w.ran); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestReportAsJSON(t *testing.T) {
	c := Change{Action: Mkdir, Path: "/d", Mode: 0o700}
	b, err := json.Marshal(Report{Done: []Change{c}, Left: []Failure{{c, "boom"}}, Notes: []string{"n"}})
	want := `{"changed":[{"action":"mkdir","path":"/d","mode":"0700"}],"left":[{"change":{"action":"mkdir","path":"/d","mode":"0700"},"error":"boom"}],"notes":["n"]}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestApplyRefusesAStalePlan(t *testing.T) {
	for _, c := range []struct {
		name   string
		change Change
		spoil  func(w *world)
	}{
		{"the file was edited", Change{Action: Write, Path: "/f", Mode: 0o644, Old: []byte("old"), New: []byte("new"), Existed: true}, func(w *world) { w.write("/f", "other") }},
		{"the file came up", Change{Action: Write, Path: "/g", Mode: 0o644, New: []byte("new")}, func(w *world) { w.write("/g", "other") }},
		{"the file is a link now", Change{Action: Write, Path: "/g", Mode: 0o644, New: []byte("new")}, func(w *world) { w.write("/g", "-> elsewhere") }},
		{"the file to take away was edited", Change{Action: Remove, Path: "/f", Old: []byte("old"), Existed: true}, func(w *world) { w.write("/f", "other") }},
		{"the folder came up", Change{Action: Mkdir, Path: "/d", Mode: 0o755}, func(w *world) { w.write("/d/", "") }},
		{"the link leads elsewhere now", Change{Action: Unlink, Path: "/l", Old: []byte("a"), Existed: true}, func(w *world) { w.write("/l", "-> b") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"/f": "old"})
			c.spoil(w)
			before := w.snapshot("/")
			if _, err := (Plan{Changes: []Change{c.change}}).Apply(t.Context(), w.Host); !errors.Is(err, ErrChanged) {
				t.Errorf("error: %v", err)
			}
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

func TestApplyStopsWhenCancelled(t *testing.T) {
	w := newWorld(t, map[string]string{"/f": "old"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := edited(t, w, "/f", "new").Apply(ctx, w.Host); !errors.Is(err, context.Canceled) || w.content("/f") != "old" {
		t.Errorf("error %v, file %q", err, w.content("/f"))
	}
}

// A folder in which nothing can be made, as with chattr +i: the error names
// the path, and nothing is left behind.
func TestApplyInAReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root writes everywhere; the immutable row covers it")
	}
	w := newWorld(t, map[string]string{"/home/a/.bashrc": "old"})
	p := edited(t, w, "/home/a/.bashrc", "new")
	if err := os.Chmod(w.real("/home/a"), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(w.real("/home/a"), 0o700) })
	if _, err := p.Apply(t.Context(), w.Host); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "/home/a") || strings.Contains(err.Error(), w.Root) {
		t.Errorf("error: %v", err)
	}
}

func TestPlanShowsWhatItDoes(t *testing.T) {
	p := Plan{
		Changes: []Change{
			{Action: Write, Path: "/etc/a", Mode: 0o644, Old: []byte("one\ntwo"), New: []byte("one\n2\ntwo"), Existed: true, Why: "a line"},
			{Action: Write, Path: "/etc/key", Mode: 0o640, Owner: Owner{"root", "sshnotify"}, New: []byte("SECRET"), Hidden: true},
			{Action: Mkdir, Path: "/var/spool/sshnotify/new", Mode: 0o770 | fs.ModeSetgid, Owner: Owner{"root", "sshnotify"}},
			{Action: Run, Command: Command{Args: []string{"crontab", "-"}, Stdin: []byte("x")}, Why: "a line for cron"},
		},
		Notes: []string{"a note"},
	}
	want := `# write /etc/a: a line
--- a/etc/a
+++ b/etc/a
@@ -1,2 +1,3 @@
 one
+2
 two
\ No newline at end of file
# create /etc/key (0640 root:sshnotify)
# (the content is not shown)
# mkdir /var/spool/sshnotify/new (2770 root:sshnotify)
# run crontab -: a line for cron
`
	if diff := cmp.Diff(want, p.Diff()); diff != "" {
		t.Errorf("diff (-want +got):\n%s", diff)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"changes":[{"action":"write","path":"/etc/a","mode":"0644","why":"a line","diff":"--- a/etc/a\n+++ b/etc/a\n@@ -1,2 +1,3 @@\n one\n+2\n two\n\\ No newline at end of file\n"},` +
		`{"action":"write","path":"/etc/key","mode":"0640","owner":"root","group":"sshnotify","created":true},` +
		`{"action":"mkdir","path":"/var/spool/sshnotify/new","mode":"2770","owner":"root","group":"sshnotify"},` +
		`{"action":"run","command":["crontab","-"],"why":"a line for cron"}],"notes":["a note"]}`
	if diff := cmp.Diff(wantJSON, string(b)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if (Plan{}).Diff() != "" || !(Plan{}).Empty() {
		t.Error("an empty plan shows something")
	}
}

func TestLiveAndAt(t *testing.T) {
	if h := must(At("/"))(t); h.Run == nil || !h.live() {
		t.Error("At(\"/\") is not this machine")
	}
	dir := t.TempDir()
	if h := must(At(dir))(t); h.Run != nil || h.live() || h.real("/../etc/x") != filepath.Join(dir, "etc/x") {
		t.Errorf("At(%q) = %+v", dir, h)
	}
	if _, err := At(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("At of nothing: %v", err)
	}
	out, err := Live().Run(t.Context(), Command{Args: []string{"cat"}, Stdin: []byte("in")})
	if string(out) != "in" || err != nil {
		t.Errorf("run: %q, %v", out, err)
	}
	if _, err := Live().Run(t.Context(), Command{Args: []string{"sh", "-c", "echo why >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), `exit status 3: "why"`) {
		t.Errorf("run: %v", err)
	}
}
