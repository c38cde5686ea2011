package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// newHome makes a host with one account, alice's, which is the test's own.
func newHome(t *testing.T, shell string, files map[string]string) *world {
	t.Helper()
	all := map[string]string{
		"/home/alice/":          "",
		"/usr/bin/sshnotify":    "program",
		"/home/alice/.profile":  ". ~/.bashrc\n",
		"/home/alice/.ssh/keys": "x",
	}
	for name, content := range files {
		all["/home/alice/"+name] = content
		if content == "(none)" {
			delete(all, "/home/alice/"+name)
		}
	}
	all["/etc/passwd"] = fmt.Sprintf("alice:x:%d:%d:Alice:/home/alice:%s\n", os.Getuid(), os.Getgid(), shell)
	w := newWorld(t, all)
	w.crontab = new(string)
	return w
}

func homeOptions() UserOptions {
	return UserOptions{
		Binary: "/usr/bin/sshnotify",
		Config: "/home/alice/.config/sshnotify/config.toml",
		Spool:  "/home/alice/.local/state/sshnotify/0123/spool",
		State:  "/home/alice/.local/state/sshnotify/0123",
		Files: []FileText{
			{Path: "/home/alice/.config/sshnotify/config.toml", Content: []byte("[destination.slack]\n")},
			{Path: "/home/alice/.config/sshnotify/slack.url", Content: []byte("SECRET\n"), Secret: true},
		},
		Resend: true,
	}
}

// Install, install, uninstall: the same bytes, modes and links, whatever was in
// the start-up file.
func TestPromiseUninstallRestoresTheAccount(t *testing.T) {
	type row struct {
		shell string
		files map[string]string
		prep  func(t *testing.T, w *world)
	}
	rows := map[string]row{
		"missing .bashrc":                {"/bin/bash", nil, nil},
		"no profile at all":              {"/bin/bash", map[string]string{".profile": "(none)"}, nil},
		"a profile that skips .bashrc":   {"/bin/bash", map[string]string{".bash_profile": "export A=1", ".bashrc": debianGuard}, nil},
		"zsh":                            {"/usr/bin/zsh", map[string]string{".zshenv": "export A=1"}, nil},
		"zsh, nothing there":             {"/usr/bin/zsh", nil, nil},
		"fish":                           {"/usr/bin/fish", map[string]string{".config/fish/config.fish": "set x 1\n"}, nil},
		"fish, nothing there":            {"/usr/bin/fish", nil, nil},
		"a link into a repository":       {"/bin/bash", map[string]string{".bashrc": "-> dotfiles/bashrc", "dotfiles/bashrc": debianGuard}, nil},
		"two dotfiles that are one file": {"/bin/bash", map[string]string{".bashrc": "-> shared", ".bash_profile": "-> shared", "shared": "export A=1\n"}, nil},
		"an empty crontab line":          {"/bin/bash", nil, func(_ *testing.T, w *world) { *w.crontab = "# mine\n\nMAILTO=x\n0 1 * * * true\n" }},
		"only root may read it": {"/bin/bash", map[string]string{".bashrc": "A=1\n"}, func(t *testing.T, w *world) {
			if err := os.Chmod(w.real("/home/alice/.bashrc"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"lingering": {"/bin/bash", nil, func(_ *testing.T, w *world) { w.write("/var/lib/systemd/linger/alice", "") }},
	}
	for name, text := range startFileTexts {
		rows[".bashrc, "+name] = row{"/bin/bash", map[string]string{".bashrc": text}, nil}
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHome(t, r.shell, r.files)
			if r.prep != nil {
				r.prep(t, w)
			}
			before, cronBefore := w.snapshot("/"), *w.crontab
			p := must(PlanUser(t.Context(), w.Host, homeOptions()))(t)
			if strings.Contains(p.Diff(), "SECRET") {
				t.Error("the diff shows a secret")
			}
			w.apply(p)
			for _, c := range checkAccount(t, w.Host, homeOptions()) {
				if c.State != doctor.OK {
					t.Errorf("check: %+v", c)
				}
			}
			if p := must(PlanUser(t.Context(), w.Host, homeOptions()))(t); !p.Empty() {
				t.Errorf("the second install changes something:\n%s", p.Diff())
			}
			w.apply(must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{Purge: true}))(t))
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
			}
			if *w.crontab != cronBefore {
				t.Errorf("crontab:\n%s", *w.crontab)
			}
			if p := must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{Purge: true}))(t); !p.Empty() {
				t.Errorf("the second uninstall changes something:\n%s", p.Diff())
			}
		})
	}
}

// Without --purge settings and queue stay, so that a new install finds them.
func TestUninstallKeepsSettings(t *testing.T) {
	w := newHome(t, "/bin/bash", map[string]string{".bashrc": debianGuard})
	w.apply(must(PlanUser(t.Context(), w.Host, homeOptions()))(t))
	w.write("/home/alice/.config/sshnotify/config.toml", "mine\n")
	w.write("/home/alice/.local/state/sshnotify/0123/spool/new/7K3F.json", "{}")
	plan := must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{}))(t)
	w.apply(plan)
	if got := w.content("/home/alice/.bashrc"); got != debianGuard {
		t.Errorf(".bashrc:\n%s", got)
	}
	if got := w.content("/home/alice/.config/sshnotify/config.toml"); got != "mine\n" {
		t.Errorf("settings: %q", got)
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, "1 event waits") || !strings.Contains(notes, "--purge") {
		t.Errorf("notes:\n%s", notes)
	}
	if p := must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{}))(t); !p.Empty() {
		t.Errorf("the second uninstall changes something:\n%s", p.Diff())
	}
	var q *QueuedError
	_, err := PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{Purge: true})
	if !errors.As(err, &q) || q.Waiting != 1 {
		t.Errorf("purging a queue that is not empty: %v", err)
	}
	w.apply(must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{Purge: true, DropQueue: true}))(t))
	if w.exists("/home/alice/.config/sshnotify") || w.exists("/home/alice/.local") {
		t.Errorf("left: %v", w.snapshot("/home/alice"))
	}
}

// What the owner wrote around the block, before or after, stays.
func TestUninstallKeepsLaterEdits(t *testing.T) {
	w := newHome(t, "/usr/bin/fish", map[string]string{".zshenv": "A=1\n"})
	o := homeOptions()
	o.Shells = []string{Zsh, Fish}
	w.apply(must(PlanUser(t.Context(), w.Host, o))(t))
	w.write("/home/alice/.zshenv", "# on top\n"+w.content("/home/alice/.zshenv")+"B=2")
	w.write("/home/alice/.config/fish/conf.d/sshnotify.fish", w.content("/home/alice/.config/fish/conf.d/sshnotify.fish")+"set mine 1\n")
	w.apply(must(PlanUserUninstall(t.Context(), w.Host, o, UndoOptions{Purge: true}))(t))
	if got := w.content("/home/alice/.zshenv"); got != "# on top\nA=1\nB=2" {
		t.Errorf(".zshenv: %q", got)
	}
	if got := w.content("/home/alice/.config/fish/conf.d/sshnotify.fish"); got != "set mine 1\n" {
		t.Errorf("fish: %q", got)
	}
}

func TestUninstallWithoutARecord(t *testing.T) {
	w := newHome(t, "/bin/bash", map[string]string{".bashrc": debianGuard})
	w.apply(must(PlanUser(t.Context(), w.Host, homeOptions()))(t))
	if err := os.Remove(w.real(homeOptions().State + "/" + recordName)); err != nil {
		t.Fatal(err)
	}
	w.apply(must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{}))(t))
	if got := w.content("/home/alice/.bashrc"); got != debianGuard {
		t.Errorf(".bashrc:\n%s", got)
	}
	if *w.crontab != "" {
		t.Errorf("crontab: %q", *w.crontab)
	}
}

func TestInstallTellsOfOlderHooks(t *testing.T) {
	w := newHome(t, "/bin/bash", map[string]string{".bashrc": debianGuard + "curl -X POST https://hooks.slack.com/services/SECRET\n"})
	p := must(PlanUser(t.Context(), w.Host, homeOptions()))(t)
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "/home/alice/.bashrc: line 10 posts to a Slack webhook") || strings.Contains(notes, "SECRET") {
		t.Errorf("notes:\n%s", notes)
	}
}

// The record says what may be taken away, so nobody else may write it.
func TestRecordOfOthersIsRefused(t *testing.T) {
	w := newHome(t, "/bin/bash", nil)
	w.apply(must(PlanUser(t.Context(), w.Host, homeOptions()))(t))
	if err := os.Chmod(w.real(homeOptions().State+"/"+recordName), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{}); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("got %v", err)
	}
}

func TestPlanUserPlaces(t *testing.T) {
	for _, c := range []struct {
		name, shell string
		files       map[string]string
		options     func(*UserOptions)
		want        []string // files that get a block
	}{
		{"bash, Debian's profile", "/bin/bash", map[string]string{".bashrc": debianGuard}, nil, []string{".bashrc"}},
		{"bash, a profile that reads .profile", "/bin/bash", map[string]string{".bash_profile": "[ -f ~/.profile ] && . ~/.profile\n"}, nil, []string{".bashrc"}},
		{"bash, a profile that only speaks of .bashrc", "/bin/bash", map[string]string{".profile": "# see .bashrc\n"}, nil, []string{".bashrc", ".profile"}},
		{"zsh, ZDOTDIR of the environment", "/bin/zsh", nil, func(o *UserOptions) { o.ZDotDir = "/home/alice/z" }, []string{"z/.zshenv"}},
		{
			"zsh, ZDOTDIR that ~/.zshenv sets", "/bin/zsh",
			map[string]string{".zshenv": "export ZDOTDIR=$HOME/z\n"},
			func(o *UserOptions) { o.ZDotDir = "/home/alice/z" },
			[]string{".zshenv"},
		},
		{"fish, another XDG_CONFIG_HOME", "/bin/fish", nil, func(o *UserOptions) { o.ConfigHome = "/home/alice/cfg" }, []string{"cfg/fish/conf.d/sshnotify.fish"}},
		{
			"all shells", "/bin/sh", nil,
			func(o *UserOptions) { o.Shells = []string{Zsh, Bash, Fish, Bash} },
			[]string{".bashrc", ".config/fish/conf.d/sshnotify.fish", ".zshenv"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newHome(t, c.shell, c.files)
			o := homeOptions()
			if c.options != nil {
				c.options(&o)
			}
			w.apply(must(PlanUser(t.Context(), w.Host, o))(t))
			want := map[string]bool{}
			for _, n := range c.want {
				want["/home/alice/"+n] = true
			}
			got := map[string]bool{}
			for name, content := range w.snapshot("/home/alice") {
				if strings.Contains(content, blockBegin) {
					got[name] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files with a block (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanUserRefuses(t *testing.T) {
	for _, c := range []struct {
		name, shell string
		files       map[string]string
		options     func(*UserOptions)
		want        string
	}{
		{"a shell that is not known", "/bin/tcsh", nil, nil, `shell "tcsh" is not known`},
		{"a shell that is asked for and not known", "/bin/bash", nil, func(o *UserOptions) { o.Shells = []string{"ksh"} }, `shell "ksh" is not known`},
		{"a block cut in half", "/bin/bash", map[string]string{".bashrc": blockBegin + "\n"}, nil, "/home/alice/.bashrc: damaged sshnotify block: the block that line 1 begins has no end"},
		{"a .bashrc that is a folder", "/bin/bash", map[string]string{".bashrc/x": ""}, nil, "/home/alice/.bashrc: is a folder"},
		{"a relative path", "/bin/bash", nil, func(o *UserOptions) { o.Binary = "sshnotify" }, `program "sshnotify": not an absolute path`},
		{"a newline in a path", "/bin/bash", nil, func(o *UserOptions) { o.Spool = "/a\nb" }, "a control character"},
		{"no home", "/bin/bash", nil, func(o *UserOptions) { o.Home = "/home/bob" }, "home folder /home/bob: not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newHome(t, c.shell, c.files)
			o := homeOptions()
			if c.options != nil {
				c.options(&o)
			}
			_, err := PlanUser(t.Context(), w.Host, o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			var se *ShellError
			if errors.As(err, &se) && !strings.Contains(se.Line, "/usr/bin/sshnotify") {
				t.Errorf("no line to add by hand: %q", se.Line)
			}
		})
	}
	t.Run("another's home", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root gives files away")
		}
		w := newHome(t, "/bin/bash", nil)
		if err := os.Chown(w.real("/home/alice"), 1234, 1234); err != nil {
			t.Fatal(err)
		}
		if _, err := PlanUser(t.Context(), w.Host, homeOptions()); err == nil || !strings.Contains(err.Error(), "belongs to 1234") {
			t.Errorf("got %v", err)
		}
	})
}

// An immutable .bashrc: the failure is told, and all the rest taken back.
func TestInstallWithAnImmutableFile(t *testing.T) {
	w := newHome(t, "/bin/bash", map[string]string{".bashrc": "A=1\n"})
	f := w.real("/home/alice/.bashrc")
	if out, err := exec.CommandContext(t.Context(), "chattr", "+i", f).CombinedOutput(); err != nil {
		t.Skipf("chattr: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("chattr", "-i", f).Run() })
	before := w.snapshot("/")
	_, err := must(PlanUser(t.Context(), w.Host, homeOptions()))(t).Apply(t.Context(), w.Host)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "/home/alice/.bashrc") {
		t.Errorf("error: %v", err)
	}
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

func TestSettingsOfTheOwnerStay(t *testing.T) {
	w := newHome(t, "/bin/bash", map[string]string{".config/sshnotify/config.toml": "mine\n"})
	o := homeOptions()
	p := must(PlanUser(t.Context(), w.Host, o))(t)
	w.apply(p)
	if got := w.content("/home/alice/.config/sshnotify/config.toml"); got != "mine\n" || !strings.Contains(strings.Join(p.Notes, "\n"), "config.toml stays as it is") {
		t.Errorf("got %q, notes %q", got, p.Notes)
	}
	o.Files[0].Replace = true
	w.apply(must(PlanUser(t.Context(), w.Host, o))(t))
	if got := w.content("/home/alice/.config/sshnotify/config.toml"); got != "[destination.slack]\n" {
		t.Errorf("replaced: %q", got)
	}
	w.apply(must(PlanUserUninstall(t.Context(), w.Host, o, UndoOptions{Purge: true}))(t))
	if got := w.content("/home/alice/.config/sshnotify/config.toml"); got != "mine\n" {
		t.Errorf("after uninstall: %q", got)
	}
}

func TestCheckUserFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  doctor.Result
	}{
		{
			"the block is gone", func(w *world) { w.write("/home/alice/.bashrc", "A=1\n") },
			result("hook bash", doctor.Fail, "/home/alice/.bashrc: no block", againUser),
		},
		{
			"the block stands behind a guard",
			func(w *world) {
				w.write("/home/alice/.bashrc", "case $- in *i*) ;; *) return;; esac\n"+w.content("/home/alice/.bashrc"))
			},
			result("hook bash", doctor.Fail, "/home/alice/.bashrc: what stands above the block may keep it from being read", againUser),
		},
		{
			"the block was edited",
			func(w *world) {
				w.write("/home/alice/.bashrc", strings.Replace(w.content("/home/alice/.bashrc"), "hook", "hook -x", 1))
			},
			result("hook bash", doctor.Warn, "/home/alice/.bashrc: the block is an older one, or was changed", againUser),
		},
		{
			"the program is gone", func(w *world) { os.Remove(w.real("/usr/bin/sshnotify")) },
			result("program", doctor.Fail, "/usr/bin/sshnotify: not there", againUser),
		},
		{
			"others can read the queue", func(w *world) { os.Chmod(w.real(homeOptions().Spool), 0o755) },
			result("folders", doctor.Fail, homeOptions().Spool+" has mode 0755, and must have 0700", "chmod 0700 '"+homeOptions().Spool+"'"),
		},
		{
			"the crontab was emptied", func(w *world) { *w.crontab = "# none\n" },
			result("resend", doctor.Warn, "no line in the crontab: what an ended worker left waits for the next login", againUser),
		},
		{
			"the tutorial's hook",
			func(w *world) {
				w.write("/home/alice/.zshrc", "# curl https://hooks.slack.com/none\ncurl -s -d x https://hooks.slack.com/services/SECRET\n")
			},
			result("other hooks", doctor.Warn, "/home/alice/.zshrc: line 2 posts to a Slack webhook: a login is told twice", ""),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newHome(t, "/bin/bash", maps.Clone(map[string]string{".bashrc": "A=1\n"}))
			w.apply(must(PlanUser(t.Context(), w.Host, homeOptions()))(t))
			c.spoil(w)
			var bad []doctor.Result
			for _, r := range checkAccount(t, w.Host, homeOptions()) {
				if r.State != doctor.OK {
					bad = append(bad, r)
				}
			}
			if diff := cmp.Diff([]doctor.Result{c.want}, bad); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A shell learns the key from sshd only where the administrator has it so, which
// an account is told when it is set up, and by doctor.
func TestAccountSaysThatKeysAreNotTold(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		said   bool
	}{
		"as it comes":       {"UsePAM yes\n", true},
		"switched on":       {"ExposeAuthInfo yes\n", false},
		"it can't be known": {"", false},
	} {
		w := newHome(t, "/bin/bash", nil)
		w.write("/etc/ssh/sshd_config", c.config)
		p := must(PlanUser(t.Context(), w.Host, homeOptions()))(t)
		r := doctor.Run(t.Context(), doctor.Target{}, AccountChecks(w.Host, homeOptions()))
		if said := strings.Contains(strings.Join(p.Notes, "\n"), "ExposeAuthInfo yes"); said != c.said {
			t.Errorf("%s: notes %q", name, p.Notes)
		}
		if got := find(r.Results, "keys"); (got.Name != "") != c.said {
			t.Errorf("%s: check %+v", name, got)
		}
	}
}
