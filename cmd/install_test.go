package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/standin"
)

const madeUpWebhook = "https://hooks.slack.com/services/T00000000/B00000000/MadeUpSecret"

// place is an account with an empty home, or a host in a folder, and what
// commands that are run there have said.
type place struct {
	t        *testing.T
	home     string
	root     string // of an image; empty: an account on this machine
	in       string
	out, err bytes.Buffer
	ask      *prompter
	session  login.Host   // of no connection, unless a test sets it
	said     bytes.Buffer // the questions
}

func newAccount(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, home: t.TempDir()}
	p.write(".bashrc", "# mine\nexport A=1")
	return p
}

// newImage is a folder like Debian's /, as far as the set-up looks at it.
func newImage(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, root: t.TempDir()}
	p.home = p.root
	p.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
	p.write("etc/group", "root:x:0:\n")
	p.write("etc/ssh/sshd_config", "UsePAM yes\n")
	p.write("usr/lib/systemd/systemd", "")
	p.write("usr/sbin/pam-auth-update", "")
	p.write("etc/pam.d/common-session", "session required pam_unix.so\n")
	p.write("etc/pam.d/sshd", "session required pam_loginuid.so\n@include common-session\nsession required pam_env.so\n")
	return p
}

func (p *place) write(name, content string) {
	p.t.Helper()
	name = filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.home, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// snapshot returns modes and contents of all files.
func (p *place) snapshot() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(p.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += "\n" + string(b)
		}
		all[path] = text
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func (p *place) app() *app {
	p.out.Reset()
	p.err.Reset()
	return &app{
		in: strings.NewReader(p.in), out: &p.out, err: &p.err, uid: os.Getuid(),
		places: paths.User{UID: os.Getuid(), Home: p.home, MachineID: "0123"},
	}
}

func (p *place) setter(a *app) setter {
	return setter{
		app: a, getenv: func(string) string { return "" },
		exe: func() (string, error) { return filepath.Join(p.t.TempDir(), "none"), nil },
		host: func(string) (install.Host, error) {
			h := install.Live()
			h.Run = nil
			if p.root != "" {
				h.Root, h.Chown = p.root, func(string, int, int) error { return nil }
			}
			return h, nil
		},
	}
}

// program returns a small file to install in the place of this test.
func (p *place) program(s *setter) {
	exe := filepath.Join(p.t.TempDir(), "sshnotify")
	if err := os.WriteFile(exe, []byte("program"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	s.exe = func() (string, error) { return exe, nil }
}

func (p *place) install(change func(*installOptions)) error {
	a := p.app()
	o := installOptions{changer: changer{setter: p.setter(a), ask: func() *prompter { return p.ask }}, past: p.past(a), session: p.session, noWorker: true, shells: []string{"bash"}, noWait: true}
	o.system = p.root != ""
	p.program(&o.setter)
	if change != nil {
		change(&o)
	}
	if o.system {
		o.shells = nil
	}
	return o.run(p.t.Context())
}

// past is what a host had before: nothing but what the place has in var/log.
func (p *place) past(a *app) *historyImport {
	h := newHistoryImport(a)
	h.records.Root, h.records.Journalctl, h.account = p.home, "", "alice"
	return h
}

func (p *place) uninstall(change func(*uninstallOptions)) error {
	a := p.app()
	o := uninstallOptions{changer: changer{setter: p.setter(a), ask: func() *prompter { return p.ask }}}
	o.system = p.root != ""
	p.program(&o.setter)
	o.deliver = func(context.Context, *setup) error { return errors.New("the network is down") }
	if change != nil {
		change(&o)
	}
	return o.run(p.t.Context())
}

// answers makes a person of a list of answers.
func (p *place) answers(lines ...string) {
	p.said.Reset()
	p.ask = &prompter{in: strings.NewReader(strings.Join(lines, "\n") + "\n"), out: &p.said}
}

func (p *place) noSecret() {
	p.t.Helper()
	for _, s := range []string{p.out.String(), p.err.String(), p.said.String()} {
		if strings.Contains(s, "MadeUpSecret") {
			p.t.Errorf("the webhook URL is shown:\n%s", s)
		}
	}
}

func TestInstallAndUninstallAnAccount(t *testing.T) {
	p := newAccount(t)
	before := p.snapshot()
	p.in = madeUpWebhook + "\n"
	fromStdin := func(o *installOptions) { o.webhookFile = "-" }

	if err := p.install(func(o *installOptions) { fromStdin(o); o.dryRun = true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.snapshot()); diff != "" {
		t.Errorf("--dry-run changed something:\n%s", diff)
	}
	if out := p.out.String(); !strings.Contains(out, "+# >>> sshnotify >>>") || !strings.Contains(out, "+[destination.slack]") {
		t.Errorf("no diff:\n%s", out)
	}
	p.noSecret()

	if err := p.install(fromStdin); err != nil {
		t.Fatal(err)
	}
	p.noSecret()
	if got := p.read(".config/sshnotify/slack.url"); got != madeUpWebhook+"\n" {
		t.Errorf("the URL's file holds %q", got)
	}
	for _, name := range []string{"config.toml", "slack.url"} {
		if info, err := os.Stat(filepath.Join(p.home, ".config/sshnotify", name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if !strings.Contains(p.read(".bashrc"), "/.local/bin/sshnotify' hook --config") {
		t.Errorf("no hook:\n%s", p.read(".bashrc"))
	}
	for _, want := range []string{"write " + p.home + "/.bashrc", "ssh -N", "to undo: sshnotify uninstall", "log in from another window"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, p.out.String())
		}
	}

	once := p.snapshot()
	if err := p.install(fromStdin); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, p.snapshot()); diff != "" || !strings.Contains(p.out.String(), "nothing to do") || p.err.Len() > 0 {
		t.Errorf("the second time:\n%s%s%s", diff, p.out.String(), p.err.String())
	}

	if err := p.uninstall(nil); err != nil {
		t.Fatal(err)
	}
	if p.read(".bashrc") != "# mine\nexport A=1" || p.read(".config/sshnotify/slack.url") == "" {
		t.Error("without --purge the hook goes, and the settings stay")
	}
	if err := p.uninstall(func(o *uninstallOptions) { o.purge = true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.snapshot()); diff != "" {
		t.Errorf("after --purge (-before +after):\n%s", diff)
	}
}

func TestInstallAsks(t *testing.T) {
	slack, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	for name, c := range map[string]struct {
		answers  []string
		messages int
		asked    string
		err      string
	}{
		"a URL and a test message":           {[]string{"", slack.URL(), "", ""}, 1, "Send a test message", ""},
		"no test message":                    {[]string{"1", slack.URL(), "n", ""}, 0, "Send a test message", ""},
		"a wrong answer first":               {[]string{"slack", "ftp://x", slack.URL(), "n", ""}, 0, "must begin with https://", ""},
		"three wrong answers":                {[]string{"", "a", "b", "c", "d"}, 0, "", "no webhook URL"},
		"nobody answers any more":            {nil, 0, "Where shall alerts go?", "no answer"},
		"the webhook is wrong, and no":       {[]string{"", slack.URL() + "x", "y", "n"}, 0, "It did not arrive", "nothing was changed"},
		"the webhook is wrong, all the same": {[]string{"", slack.URL() + "x", "y", "y", ""}, 0, "It did not arrive", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			before, sent := p.snapshot(), len(slack.Messages())
			p.answers(c.answers...)
			if c.answers == nil {
				p.ask.in, c.err = strings.NewReader(""), errNoAnswer.Error()
			}
			err := p.install(nil)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if c.err != "" && !cmp.Equal(before, p.snapshot()) {
				t.Error("something was changed")
			}
			if got := len(slack.Messages()) - sent; got != c.messages {
				t.Errorf("%d messages, want %d", got, c.messages)
			}
			if !strings.Contains(p.said.String(), c.asked) {
				t.Errorf("%q is not said:\n%s", c.asked, p.said.String())
			}
		})
	}
}

func TestInstallUsage(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "url")
	if err := os.WriteFile(file, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ args, want string }{
		"no webhook, and nobody to ask": {"install", "nobody to ask"},
		"--yes asks nothing":            {"install --yes", "nobody to ask"},
		"no URL":                        {"install --webhook-url x", "must begin with https://"},
		"two lines":                     {"install --webhook-url-file " + file, "white space"},
		"empty standard input":          {"install --webhook-url-file -", "empty"},
		"an empty flag":                 {"install --webhook-url=", "--webhook-url is empty"},
		"both ways":                     {"install --webhook-url a --webhook-url-file b", "are mutually exclusive"},
		"to test and not to":            {"install --test --no-test", "are mutually exclusive"},
		"a test that changes nothing":   {"install --test --dry-run", "are mutually exclusive"},
		"a shell for the host":          {"install --system --shell bash", "are mutually exclusive"},
		"a service for an account":      {"install --services sudo", "--services needs --system"},
		"a watcher for an account":      {"install --watch", "--watch needs --system"},
		"a hub for an account":          {"install --hub https://hub.example.com", "--hub needs --system"},
		"to be a hub, and another's":    {"install --system --hub https://hub.example.com --hub-listen :1", "are mutually exclusive"},
		"a hub and a webhook":           {"install --system --hub https://hub.example.com --webhook-url-file -", "are mutually exclusive"},
		"a hub without TLS":             {"install --system --hub http://hub.example.com", "--hub: must be the hub's address: https"},
		"a hub that is no address":      {"install --system --hub-listen 8443", "--hub-listen: must be an address and a port"},
		"a token for no hub":            {"install --system --token-file -", "--token-file needs --hub"},
		"a name of no hub":              {"install --system --hub-name x", "--hub-name needs --hub-listen"},
		"an unknown shell":              {"install --shell tcsh", "is not known"},
		"an unknown service":            {"install --system --services ftp", "is not known"},
		"no time to wait":               {"install --wait 0s", "--wait must be"},
		"an argument":                   {"uninstall now", "unexpected argument"},
		"doctor of a host's shell":      {"doctor --system --shell bash", "are mutually exclusive"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := &app{in: strings.NewReader(""), out: &out, err: &errs, uid: os.Getuid(), places: paths.User{UID: 1, Home: home, MachineID: "x"}}
			args := strings.Fields(c.args)
			if args[0] == "install" && !strings.Contains(c.args, "--system") && !strings.Contains(c.args, "--shell") {
				args = append(args, "--shell", "bash")
			}
			if code := a.run(t.Context(), args); code != exitUsage || !strings.Contains(errs.String(), c.want) || !strings.Contains(errs.String(), "hint:") {
				t.Errorf("exit %d:\n%s", code, errs.String())
			}
		})
	}
}

func TestInstallKeepsSettings(t *testing.T) {
	p := newAccount(t)
	const mine = "spool_dir = \"/tmp/none/sshnotify\"\n[destination.log]\n"
	p.write(".config/sshnotify/config.toml", strings.ReplaceAll(mine, "/tmp/none", p.home))
	before := p.read(".config/sshnotify/config.toml")
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	if p.read(".config/sshnotify/config.toml") != before {
		t.Error("the settings are others now")
	}
	if !strings.Contains(p.read(".bashrc"), "--spool '"+p.home+"/sshnotify'") {
		t.Errorf("the hook writes to another spool than the settings':\n%s", p.read(".bashrc"))
	}
	for _, want := range []string{"process list", "the webhook URL is not used"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("no warning %q:\n%s", want, p.err.String())
		}
	}
	p.noSecret()

	p.write(".config/sshnotify/config.toml", "[destination\n")
	if err := p.install(nil); exitCode(err) != exitSettings {
		t.Errorf("with broken settings: %v", err)
	}
}

func TestInstallTheHost(t *testing.T) {
	p := newImage(t)
	before := p.snapshot()
	p.in = madeUpWebhook
	fromStdin := func(o *installOptions) { o.webhookFile, o.noTest = "-", true }

	p.answers("n")
	if err := p.install(fromStdin); exitCode(err) != exitFailed || !cmp.Equal(before, p.snapshot()) {
		t.Errorf("after a no: %v", err)
	}
	p.answers("y")
	if err := p.install(fromStdin); err != nil {
		t.Fatal(err)
	}
	if q := p.said.String(); !strings.Contains(q, "write /etc/pam.d/sshd") {
		t.Errorf("what is to be done is not shown:\n%s", q)
	}
	p.noSecret()
	stack := p.read("etc/pam.d/sshd")
	if !strings.Contains(stack, "pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --no-worker") {
		t.Errorf("no hook:\n%s", stack)
	}
	once := p.snapshot()
	p.ask = nil
	if err := p.install(func(o *installOptions) { o.json = true }); err != nil {
		t.Fatal(err)
	}
	var doc struct{ Changed []any }
	if err := json.Unmarshal(p.out.Bytes(), &doc); err != nil || len(doc.Changed) > 0 || !cmp.Equal(once, p.snapshot()) {
		t.Errorf("the second time: %v\n%s", err, p.out.String())
	}
	if err := p.uninstall(func(o *uninstallOptions) { o.purge = true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.snapshot()); diff != "" {
		t.Errorf("after --purge (-before +after):\n%s", diff)
	}
}

// A hub is a host with an address for others in its settings. Twice is the same as
// once, and it goes again.
func TestInstallAHub(t *testing.T) {
	p := newImage(t)
	before := p.snapshot()
	p.in = madeUpWebhook
	hub := func(o *installOptions) {
		o.webhookFile, o.noTest = "-", true
		o.hub = hubFlags{listen: "0.0.0.0:8443", names: []string{"hub.example.com", "10.0.0.5"}}
	}
	if err := p.install(hub); err != nil {
		t.Fatal(err)
	}
	if got := p.read("etc/sshnotify/conf.d/hub.toml"); !strings.HasSuffix(got, "[hub]\nlisten = \"0.0.0.0:8443\"\nnames = [\"hub.example.com\", \"10.0.0.5\"]\n") {
		t.Errorf("%s", got)
	}
	if got := p.read("etc/sshnotify/config.toml"); !strings.Contains(got, "[destination.slack]") {
		t.Errorf("a hub has no destination:\n%s", got)
	}
	once := p.snapshot()
	if err := p.install(hub); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, p.snapshot()); diff != "" {
		t.Errorf("the second time changes something (-before +after):\n%s", diff)
	}
	if err := p.uninstall(func(o *uninstallOptions) { o.purge = true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.snapshot()); diff != "" {
		t.Errorf("after --purge (-before +after):\n%s", diff)
	}
}

func TestInstallRefusesWithAHint(t *testing.T) {
	for name, c := range map[string]struct {
		files      map[string]string
		err, hints string
	}{
		"sshd without PAM":             {map[string]string{"etc/ssh/sshd_config": "UsePAM no\n"}, "does not use PAM", "UsePAM yes"},
		"a stack that is not known":    {map[string]string{"etc/pam.d/sshd": "session include nowhere\nsession required pam_env.so\n"}, "which is not there", "pam_exec.so quiet"},
		"a user writes the hook's env": {map[string]string{"etc/pam.d/sshd": "auth required pam_env.so user_readenv=1\nsession required pam_unix.so\n"}, "pam_env", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newImage(t)
			for name, text := range c.files {
				p.write(name, text)
			}
			before := p.snapshot()
			// Nobody is asked for a webhook that can't be used.
			p.answers()
			err := p.install(nil)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(strings.Join((&app{}).hints(err), "\n"), c.hints) {
				t.Errorf("error %v, hints %q", err, (&app{}).hints(err))
			}
			if p.said.Len() > 0 || !cmp.Equal(before, p.snapshot()) {
				t.Errorf("asked %q, or changed something", p.said.String())
			}
		})
	}
}
