package install

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// enableProfile is how sshd's stack gets the hook on Debian.
const enableProfile = "env DEBIAN_FRONTEND=noninteractive pam-auth-update --enable sshnotify"

func systemOptions() SystemOptions {
	return SystemOptions{Files: []FileText{
		{Path: "/etc/sshnotify/config.toml", Content: []byte("[destination.slack]\n")},
		{Path: "/etc/sshnotify/slack.url", Content: []byte("SECRET\n"), Secret: true},
	}}
}

// booted are hosts that run: the fixture, and what only a running host has.
func booted(t *testing.T, name string, more ...map[string]string) *world {
	t.Helper()
	run := map[string]string{"/run/systemd/system/": ""}
	if name == "alpine" {
		run = map[string]string{"/run/openrc/": ""}
	}
	w := newWorld(t, systemFiles(append([]map[string]string{fixture(t, name), run}, more...)...))
	return w
}

// Install, install, uninstall on every distribution: the same bytes, owners
// and modes.
func TestPromiseUninstallRestoresTheHost(t *testing.T) {
	all := []string{"sshd", "sudo", "su", "login"}
	for _, c := range []struct {
		name, host string
		more       map[string]string
		services   []string
		options    func(*SystemOptions)
		hooks      []string // files that get the hook
		ran        []string
	}{
		{
			"Debian 12", "debian12", nil, nil, nil,
			[]string{"common-session"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableProfile},
		},
		{
			"Debian 12, all services", "debian12", nil, all, nil,
			[]string{"common-session", "login", "su", "sudo", "sudo-i"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableProfile},
		},
		{
			"Ubuntu 24.04, all services", "ubuntu2404", nil, all, nil,
			[]string{"common-session", "login", "su", "sudo", "sudo-i"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableProfile},
		},
		{
			"Fedora 42, SELinux on, three services", "fedora42", map[string]string{"/sys/fs/selinux/enforce": "1"}, []string{"sshd", "sudo", "su"},
			func(o *SystemOptions) { o.LoadPolicy = true },
			[]string{"sshd", "su", "sudo"},
			[]string{
				"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service",
				"semodule -i /etc/sshnotify/sshnotify.cil", "restorecon -RF /var/spool/sshnotify /run/sshnotify",
			},
		},
		{
			"RHEL 9", "rhel9", nil, nil, nil,
			[]string{"sshd"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service"},
		},
		{
			"Arch", "arch", nil, nil, nil,
			[]string{"sshd"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service"},
		},
		{
			"Alpine with OpenRC and busybox", "alpine", map[string]string{"/usr/sbin/deluser": ""}, nil, nil,
			[]string{"sshd"},
			[]string{
				"addgroup -S sshnotify", "adduser -S -D -H -h /var/lib/sshnotify -s /sbin/nologin -G sshnotify -g sshnotify sshnotify",
				"rc-update add sshnotify default", "rc-service sshnotify start",
			},
		},
		{
			"Debian 12 without the service", "debian12", map[string]string{"/usr/sbin/useradd": ""}, nil,
			func(o *SystemOptions) { o.NoService = true },
			[]string{"common-session"},
			[]string{"useradd --system --user-group --no-create-home --home-dir /var/lib/sshnotify --shell /sbin/nologin sshnotify", enableProfile},
		},
		{
			"Debian 12, other places", "debian12", map[string]string{"/opt/sshnotify/bin/sshnotify": "x"}, nil,
			func(o *SystemOptions) {
				o.Places = Places{
					Binary: "/opt/sshnotify/bin/sshnotify", Config: "/opt/sshnotify/etc/config.toml",
					Spool: "/srv/sshnotify/spool", State: "/srv/sshnotify/state",
				}
				o.Files = []FileText{{Path: "/opt/sshnotify/etc/config.toml", Content: []byte("x")}}
			},
			[]string{"common-session"},
			[]string{"systemd-sysusers /etc/sysusers.d/sshnotify.conf", "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableProfile},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, c.host, c.more)
			w.answers["rc-service sshnotify status"] = ""
			if c.host == "alpine" {
				delete(w.answers, "rc-service sshnotify status")
			}
			o := systemOptions()
			o.Services = c.services
			if c.options != nil {
				c.options(&o)
			}
			before := w.snapshot("/")
			p := must(PlanSystem(t.Context(), w.Host, o))(t)
			if strings.Contains(p.Diff(), "SECRET") {
				t.Error("the diff shows a secret")
			}
			w.apply(p)
			if diff := cmp.Diff(c.ran, w.ran); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			var hooked []string
			for name, content := range w.snapshot("/etc/pam.d") {
				if strings.Contains(content, "sshnotify hook") {
					hooked = append(hooked, strings.TrimPrefix(name, "/etc/pam.d/"))
				}
			}
			slices.Sort(hooked)
			if diff := cmp.Diff(c.hooks, hooked); diff != "" {
				t.Errorf("files with the hook (-want +got):\n%s", diff)
			}
			if c.host == "alpine" {
				w.answers["rc-service sshnotify status"] = "started"
			}
			w.answers["semodule -l"] = "sshnotify\n"
			if p := must(PlanSystem(t.Context(), w.Host, o))(t); !p.Empty() {
				t.Errorf("the second install changes something:\n%s", p.Diff())
			}
			for _, r := range checkHost(t, w.Host, o.Places) {
				if r.State != doctor.OK {
					t.Errorf("check: %+v", r)
				}
			}
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, o.Places, UndoOptions{Purge: true}))(t))
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
			}
			if p := must(PlanSystemUninstall(t.Context(), w.Host, o.Places, UndoOptions{Purge: true}))(t); !p.Empty() {
				t.Errorf("the second uninstall changes something:\n%s", p.Diff())
			}
		})
	}
}

// Hosts on which the hook would not work, or would do harm: what install says.
func TestPlanSystemRefuses(t *testing.T) {
	for _, c := range []struct {
		name, host string
		more       map[string]string
		answers    map[string]string
		want, do   string
	}{
		{"sshd without PAM, as it says itself", "debian12", map[string]string{"/usr/sbin/sshd": ""}, map[string]string{"/usr/sbin/sshd -T": "port 22\nusepam no\n"}, "sshd does not use PAM (/usr/sbin/sshd -T)", "UsePAM yes"},
		{"sshd built without PAM", "debian12", map[string]string{"/usr/sbin/sshd": ""}, map[string]string{"/usr/sbin/sshd -T": "port 22\n"}, "sshd does not use PAM", "UsePAM yes"},
		{"sshd without PAM, in its settings", "debian12", map[string]string{"/etc/ssh/sshd_config": "UsePAM no\nUsePAM yes\n"}, nil, "sshd does not use PAM (/etc/ssh/sshd_config)", "UsePAM yes"},
		{"Alpine's default sshd", "", map[string]string{"/etc/apk/world": "openssh-server\n", "/etc/pam.d/other": "session required pam_deny.so\n"}, nil, "/etc/pam.d/sshd: not there, so PAM does not know the service", "apk add openssh-server-pam"},
		{"no PAM", "", nil, nil, "this host has no PAM", "sshnotify install"},
		{
			"openSUSE, whose files are under /usr", "",
			map[string]string{"/usr/lib/pam.d/sshd": "session required pam_unix.so\n"}, nil,
			"/etc/pam.d/sshd: not there; the host uses /usr/lib/pam.d/sshd", "cp /usr/lib/pam.d/sshd /etc/pam.d/sshd",
		},
		{
			"NixOS", "",
			map[string]string{
				"/etc/pam.d/sshd": "-> /etc/static/pam.d/sshd", "/etc/static": "-> /nix/store/abc-etc/etc",
				"/nix/store/abc-etc/etc/pam.d/sshd": "-> /nix/store/def-sshd.pam", "/nix/store/def-sshd.pam": "session required pam_unix.so\n",
			}, nil, "/etc/pam.d/sshd is made from the system's configuration", "security.pam.services.sshd.rules.session.sshnotify = {",
		},
		{
			"a file that authselect writes", "",
			map[string]string{"/etc/pam.d/sshd": "-> /etc/authselect/sshd", "/etc/authselect/sshd": "session required pam_unix.so\n"}, nil,
			"which authselect writes", "session optional pam_exec.so",
		},
		{
			"a stack that is not understood", "debian12", map[string]string{"/etc/pam.d/sshd": "session requird pam_unix.so\n"}, nil,
			`/etc/pam.d/sshd: line 1: unknown control "requird"`, "session optional pam_exec.so",
		},
		{
			"a broken file that it includes", "debian12", map[string]string{"/etc/pam.d/common-session": "session\n"}, nil,
			`/etc/pam.d/common-session: line 1: a rule needs`, "session optional pam_exec.so",
		},
		{"a program that anybody can replace", "debian12", map[string]string{"/usr/bin/sshnotify": "(writable)"}, nil, "can be written by others than root", "install -m 0755"},
		{"no program", "debian12", map[string]string{"/usr/bin/sshnotify": "(none)"}, nil, "/usr/bin/sshnotify: not there", "install -m 0755"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := systemFiles(map[string]string{"/run/systemd/system/": ""})
			if c.host != "" {
				maps.Copy(files, fixture(t, c.host))
			}
			maps.Copy(files, c.more)
			if files["/usr/bin/sshnotify"] == "(none)" {
				delete(files, "/usr/bin/sshnotify")
			}
			w := newWorld(t, files)
			if files["/usr/bin/sshnotify"] == "(writable)" {
				if err := os.Chmod(w.real("/usr/bin"), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			maps.Copy(w.answers, c.answers)
			before := w.snapshot("/")
			_, err := PlanSystem(t.Context(), w.Host, systemOptions())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			do := ""
			var he *HostError
			var pe *PAMError
			if errors.As(err, &he) {
				do = he.Do
			} else if errors.As(err, &pe) {
				do = pe.Line
			}
			if !strings.Contains(do, c.do) {
				t.Errorf("to do: %q, want %q", do, c.do)
			}
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("planning changed something:\n%s", diff)
			}
		})
	}
}

// An image of a host, on which nothing can be run: it does the rest when it
// boots.
func TestInstallIntoAnImage(t *testing.T) {
	w := newWorld(t, systemFiles(fixture(t, "fedora42")))
	w.Run = nil
	before := w.snapshot("/")
	p := must(PlanSystem(t.Context(), w.Host, systemOptions()))(t)
	w.apply(p)
	if target, _ := os.Readlink(w.real(unitWants)); target != unitPath {
		t.Errorf("started at boot: link to %q", target)
	}
	for _, want := range []string{"z /etc/sshnotify/slack.url 0640 root sshnotify -", "d /var/spool/sshnotify 0751 root sshnotify -"} {
		if !strings.Contains(w.content(tmpfilesPath), want) {
			t.Errorf("tmpfiles.d lacks %q", want)
		}
	}
	if f := must(w.stat("/etc/sshnotify/slack.url"))(t); f.mode != 0o600 {
		t.Errorf("the secret has mode %s until the first boot", octal(f.mode))
	}
	notes := strings.Join(p.Notes, "\n")
	for _, want := range []string{"is added when the image boots", "semodule -i /etc/sshnotify/sshnotify.cil && restorecon"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
	if !strings.Contains(w.content("/etc/pam.d/sshd"), hookText) {
		t.Error("no hook")
	}
	if p := must(PlanSystem(t.Context(), w.Host, systemOptions()))(t); !p.Empty() {
		t.Errorf("the second install changes something:\n%s", p.Diff())
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
	}
}

// A package brought unit, user and folders: install adds the hook and starts
// the service, and uninstall leaves the package's files.
func TestInstallWithThePackage(t *testing.T) {
	w := booted(t, "debian12", map[string]string{"/usr/lib/systemd/system/sshnotify.service": Places{}.Unit()})
	w.addUser()
	o := systemOptions()
	w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
	for _, p := range []string{unitPath, sysusersPath, tmpfilesPath} {
		if w.exists(p) {
			t.Errorf("%s was written though the package has it", p)
		}
	}
	want := []string{"systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableProfile}
	if diff := cmp.Diff(want, w.ran); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if !w.exists("/usr/lib/systemd/system/sshnotify.service") || w.ran[len(w.ran)-1] != "systemctl disable --now sshnotify.service" {
		t.Errorf("ran %v", w.ran)
	}
	if _, there := w.UserByName(ServiceUser); !there {
		t.Error("the package's user was taken out")
	}
}

// The service fails to start: the host is as it was.
func TestInstallIsTakenBackWhenTheServiceFails(t *testing.T) {
	w := booted(t, "debian12")
	w.fail["systemctl start sshnotify.service"] = errBoom
	before := w.snapshot("/")
	r, err := must(PlanSystem(t.Context(), w.Host, systemOptions()))(t).Apply(t.Context(), w.Host)
	if !errors.Is(err, errBoom) {
		t.Errorf("error: %v", err)
	}
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
	if len(r.Left) != 1 || r.Left[0].Change.Command.String() != "systemctl daemon-reload" {
		t.Errorf("left: %v", r.Left)
	}
}

func TestUninstallKeepsWhatTheOwnerChanged(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	w.write("/etc/pam.d/sshd", w.content("/etc/pam.d/sshd")+"session optional pam_mine.so\n")
	w.write(unitPath, w.content(unitPath)+"# mine\n")
	w.write("/etc/sshnotify/mine.toml", "mine\n")
	p := must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t)
	w.apply(p)
	if got := w.content("/etc/pam.d/sshd"); got != fixture(t, "debian12")["/etc/pam.d/sshd"]+"session optional pam_mine.so\n" {
		t.Errorf("sshd:\n%s", got)
	}
	if !strings.HasSuffix(w.content(unitPath), "# mine\n") || !strings.Contains(strings.Join(p.Notes, "\n"), unitPath+" stays") {
		t.Errorf("unit, notes %q", p.Notes)
	}
	if got := w.content("/etc/sshnotify/mine.toml"); got != "mine\n" {
		t.Errorf("got %q", got)
	}
	if w.exists("/etc/sshnotify/slack.url") {
		t.Error("the secret is still there")
	}
}

// A stack that somebody broke since: the hook comes out all the same.
func TestUninstallOutOfABrokenStack(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	broken := "session mandatory pam_x.so\n"
	w.write("/etc/pam.d/sshd", w.content("/etc/pam.d/sshd")+broken)
	if _, err := PlanSystem(t.Context(), w.Host, systemOptions()); err == nil {
		t.Error("installed into a broken stack")
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if got := w.content("/etc/pam.d/sshd"); got != fixture(t, "debian12")["/etc/pam.d/sshd"]+broken {
		t.Errorf("sshd:\n%s", got)
	}
	text := "session optional \\\n pam_exec.so /usr/bin/sshnotify hook\nsession x\n"
	var pe *PAMError
	if got, err := cutHook([]byte(text)); !errors.As(err, &pe) {
		t.Errorf("a hook over two lines: %q, %v", got, err)
	}
}

// Events that wait are not thrown away unasked, not even those that a full
// disk sent to /run.
func TestPurgeMindsTheQueue(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	w.write("/run/sshnotify/new/A.json", "{}")
	w.write("/var/spool/sshnotify/failed/B.json", "{}")
	w.write("/var/spool/sshnotify/cur/.lock", "")
	w.write("/var/spool/sshnotify/cur/msg-A.json", "{}") // no event: a message that carries some
	var q *QueuedError
	_, err := PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true})
	if !errors.As(err, &q) || *q != (QueuedError{DefaultSpool, 1, 1}) {
		t.Errorf("got %v", err)
	}
	p := must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t)
	w.apply(p)
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "1 event waits to be told, and 1 could not be told; nothing sends them now") {
		t.Errorf("notes:\n%s", notes)
	}
	if p := must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t); !p.Empty() {
		t.Errorf("the second uninstall changes something:\n%s", p.Diff())
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true, DropQueue: true}))(t))
	if w.exists("/var/spool/sshnotify") || w.exists("/run/sshnotify") {
		t.Error("the queue is still there")
	}
}

func TestInstallUpdatesItsOwnFiles(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	// As an older sshnotify would have left it.
	old := strings.Replace(w.content(unitPath), "RestartSec=5", "RestartSec=9", 1)
	w.write(unitPath, old)
	rec := must(w.loadRecord(Places{}.recordPath()))(t)
	it, _ := rec.find(kindFile, unitPath)
	it.SHA256 = sum([]byte(old))
	rec.set(it)
	b := must(rec.bytes())(t)
	if err := os.WriteFile(w.real(Places{}.recordPath()), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := find(checkHost(t, w.Host, Places{}), "service"); r.State != doctor.Warn || !strings.Contains(r.Message, "older") {
		t.Errorf("check: %+v", r)
	}
	w.ran = nil
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	if diff := cmp.Diff([]string{"systemctl daemon-reload", "systemctl restart sshnotify.service"}, w.ran); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if w.content(unitPath) != (Places{}).Unit() {
		t.Error("the unit is not brought up to date")
	}
}

func TestInstallCopiesTheProgram(t *testing.T) {
	w := booted(t, "debian12", map[string]string{"/usr/bin/sshnotify": "an older one"})
	from := t.TempDir() + "/download"
	if err := os.WriteFile(from, []byte("the new one"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := systemOptions()
	o.BinaryFrom = from
	p := must(PlanSystem(t.Context(), w.Host, o))(t)
	if strings.Contains(p.Diff(), "the new one") {
		t.Error("the diff shows a program")
	}
	w.apply(p)
	if w.content("/usr/bin/sshnotify") != "the new one" {
		t.Error("not copied")
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if w.content("/usr/bin/sshnotify") != "an older one" {
		t.Error("not given back")
	}
}

// checkHost returns what doctor finds of a host.
func checkHost(t *testing.T, h Host, places Places) []doctor.Result {
	return doctor.Run(t.Context(), doctor.Target{Host: true, Now: time.Now()}, HostChecks(h, places, "")).Results
}

// checkAccount returns what doctor finds of an account.
func checkAccount(t *testing.T, h Host, o UserOptions) []doctor.Result {
	return doctor.Run(t.Context(), doctor.Target{Now: time.Now()}, AccountChecks(h, o)).Results
}

func result(name string, s doctor.State, message, hint string) doctor.Result {
	return doctor.Result{Name: name, State: s, Message: message, Hint: hint}
}

func find(rs []doctor.Result, name string) doctor.Result {
	for _, r := range rs {
		if r.Name == name {
			return r
		}
	}
	return doctor.Result{}
}

// The package's small program is the hook where it is there. A line of the
// larger one keeps working, and is brought up to date by the next install.
func TestSmallHook(t *testing.T) {
	const small = "/usr/libexec/sshnotify/hook"
	for _, name := range []string{"debian12", "fedora42"} {
		t.Run(name, func(t *testing.T) {
			w := booted(t, name)
			o := systemOptions()
			o.Services = []string{"sshd", "su"}
			before := w.snapshot("/etc/pam.d")
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			lines := func() string {
				var all strings.Builder
				for _, file := range []string{"sshd", "su", "common-session"} {
					if _, there := before["/etc/pam.d/"+file]; there {
						all.WriteString(w.content("/etc/pam.d/" + file))
					}
				}
				return all.String()
			}
			if got := lines(); !strings.Contains(got, "/usr/bin/sshnotify hook --spool") || strings.Contains(got, small) {
				t.Fatalf("without it:\n%s", got)
			}
			w.write(small, "program")
			if err := os.Chmod(filepath.Join(w.Root, small), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, service := range o.Services {
				if r := find(checkHost(t, w.Host, Places{}), "hook "+service); r.State != doctor.Warn || !strings.HasPrefix(r.Hint, again) {
					t.Errorf("the older line: %+v", r)
				}
			}
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			if got := lines(); !strings.Contains(got, small+" --spool") || strings.Contains(got, "/usr/bin/sshnotify hook") {
				t.Errorf("with it:\n%s", got)
			}
			for _, service := range o.Services {
				if r := find(checkHost(t, w.Host, Places{}), "hook "+service); r.State != doctor.OK {
					t.Errorf("the new line: %+v", r)
				}
			}
			if p := must(PlanSystem(t.Context(), w.Host, o))(t); len(p.Changes) > 0 {
				t.Errorf("a second install would change %v", p.Changes)
			}
			if found := Look(t.Context(), w.Host).OldHooks; len(found) > 0 {
				t.Errorf("taken for another notifier: %+v", found)
			}
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t))
			if diff := cmp.Diff(before, w.snapshot("/etc/pam.d")); diff != "" {
				t.Errorf("taken out (-want +got):\n%s", diff)
			}
		})
	}
	// Root's hook must not be what others can replace.
	w := booted(t, "debian12")
	w.write(small, "program")
	if err := os.Chmod(filepath.Join(w.Root, small), 0o757); err != nil {
		t.Fatal(err)
	}
	if got := w.smallHook(DefaultBinary); got != "" {
		t.Errorf("anybody's program is the hook: %s", got)
	}
}
