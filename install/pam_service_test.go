package install

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// The lines of those who become somebody else, in every form that people write
// them in, and what doctor says of it.
func TestCheckLinesOfSuAndSudo(t *testing.T) {
	const (
		own  = "/usr/bin/sshnotify hook --spool /var/spool/sshnotify --no-worker --services su,su-l"
		redo = "sudo sshnotify install --system --services su"
	)
	through := "pam_exec.so quiet seteuid /usr/bin/prlimit --as=unlimited --nofile=1024 -- "
	for _, c := range []struct {
		name, line string
		state      doctor.State
		message    string
	}{
		{"by hand, as for sshd", "pam_exec.so quiet /usr/bin/sshnotify hook --no-worker --services su", doctor.Fail, "lacks seteuid"},
		{"with =", "pam_exec.so quiet /usr/bin/sshnotify hook --no-worker --services=su,su-l", doctor.Fail, "lacks seteuid"},
		{"an older version's", "pam_exec.so quiet " + own, doctor.Fail, "lacks seteuid"},
		{"through prlimit, not as root", strings.Replace(through, "seteuid ", "", 1) + own, doctor.Fail, "lacks seteuid"},
		{"for sshd alone", "pam_exec.so quiet seteuid /usr/bin/sshnotify hook --no-worker", doctor.Fail, "which --services must name"},
		{"with the caller's limits", "pam_exec.so quiet seteuid " + own, doctor.Warn, "keeps the limits"},
		{"through prlimit", through + own, doctor.OK, ""},
		{"options in another order, the module by its path", strings.NewReplacer("quiet seteuid", "seteuid quiet", "pam_exec.so", "/lib/x86_64-linux-gnu/security/pam_exec.so").Replace(through) + own, doctor.OK, ""},
		{"as install writes it", "", doctor.OK, ""},
		{"its output to people", strings.Replace(through, "quiet", "quiet stdout", 1) + own, doctor.Fail, "has stdout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12", map[string]string{prlimit: "x"})
			o := systemOptions()
			o.Services = []string{"sshd", "su"}
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			set := w.content("/etc/pam.d/su")
			if c.line != "" {
				w.write("/etc/pam.d/su", "session optional "+c.line+"\n"+fixture(t, "debian12")["/etc/pam.d/su"])
			}
			r := find(checkHost(t, w.Host, Places{}), "hook su")
			if r.State != c.state || !strings.Contains(r.Message, c.message) || c.state != doctor.OK && r.Hint != redo {
				t.Errorf("%+v", r)
			}
			// Whatever it was, it is brought up to date, and taken out to the byte.
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			if got := w.content("/etc/pam.d/su"); strings.Count(got, "sshnotify hook") != 1 || !strings.Contains(got, "quiet seteuid /bin/sh -c ["+lifted+"] sshnotify "+own) || c.line == "" && got != set {
				t.Errorf("installed again:\n%s", got)
			}
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t))
			if diff := cmp.Diff(fixture(t, "debian12")["/etc/pam.d/su"], w.content("/etc/pam.d/su")); diff != "" {
				t.Errorf("taken out (-want +got):\n%s", diff)
			}
		})
	}
}

// A line for su in a file that all include, or of another service.
func TestCheckLinesElsewhere(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	w.write("/etc/pam.d/runuser", "session optional pam_exec.so quiet /usr/bin/sshnotify hook --services runuser\nsession required pam_unix.so\n")
	r := find(slices.DeleteFunc(checkHost(t, w.Host, Places{}), func(r doctor.Result) bool { return r.State != doctor.Fail }), "other hooks")
	if !strings.Contains(r.Message, "/etc/pam.d/runuser: line 1 lacks seteuid") || !strings.Contains(r.Hint, "sed -i") {
		t.Errorf("%+v", r)
	}
}

// What lifts limits is linked with the host's libraries, and heeds LD_PRELOAD:
// it is not run where users write PAM's environment.
func TestLimitsAreNotLiftedForWhoWritesTheEnvironment(t *testing.T) {
	w := booted(t, "debian12", map[string]string{prlimit: "x"})
	o := systemOptions()
	o.Services = []string{"su"}
	su := strings.Replace(fixture(t, "debian12")["/etc/pam.d/su"], "pam_env.so readenv=1\n", "pam_env.so readenv=1 user_readenv=1\n", 1)
	w.write("/etc/pam.d/su", su)
	w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
	if got := w.content("/etc/pam.d/su"); !strings.Contains(got, "pam_exec.so quiet seteuid /usr/bin/sshnotify hook") {
		t.Errorf("su:\n%s", got)
	}
	w.write("/etc/pam.d/su", "session optional pam_exec.so quiet seteuid /usr/bin/prlimit --as=unlimited /usr/bin/sshnotify hook --services su\n"+su)
	if r := find(checkHost(t, w.Host, Places{}), "hook su"); r.State != doctor.Fail || !strings.Contains(r.Message, "as root") {
		t.Errorf("%+v", r)
	}
}

// Where pam-auth-update leaves the files alone, or another profile is in the
// way, sshd's own file gets the line, and gives it back.
func TestProfileFallsBack(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"a rule of the owner's": func(w *world) {
			w.write(commonSession, strings.Replace(w.content(commonSession), "session\toptional\tpam_systemd.so", "session\toptional\tpam_umask.so\nsession\toptional\tpam_systemd.so", 1))
		},
		"without its markers": func(w *world) { w.write(commonSession, "session required pam_unix.so\n") },
		"another profile of that name": func(w *world) {
			w.write(profilePath, "Name: mine\n")
		},
		"sshd does not include it": func(w *world) {
			w.write("/etc/pam.d/sshd", strings.Replace(w.content("/etc/pam.d/sshd"), "@include common-session", "session required pam_unix.so", 1))
		},
		"pam_env stands before it": func(w *world) {
			w.write("/etc/pam.d/sshd", strings.Replace(w.content("/etc/pam.d/sshd"), "@include common-session", "session required pam_env.so\n@include common-session", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12")
			spoil(w)
			before := w.snapshot("/")
			p := must(PlanSystem(t.Context(), w.Host, systemOptions()))(t)
			w.apply(p)
			if !strings.Contains(w.content("/etc/pam.d/sshd"), hookText) || slices.Contains(w.ran, enableProfile) || !strings.Contains(strings.Join(p.Notes, "\n"), "gets a line of its own: ") {
				t.Errorf("ran %v, notes %v", w.ran, p.Notes)
			}
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
		})
	}
}

// An older version's line in openssh-server's file is moved into the profile.
func TestProfileTakesAnOlderLineOver(t *testing.T) {
	w := booted(t, "debian12")
	plain := w.content("/etc/pam.d/sshd")
	w.write("/etc/pam.d/sshd", string(must(w.setHook([]byte(plain), testHook))(t)))
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	if w.content("/etc/pam.d/sshd") != plain || !strings.Contains(w.content(commonSession), hookText) {
		t.Errorf("sshd:\n%s", w.content("/etc/pam.d/sshd"))
	}
	packaged := testHook
	packaged.Small = "/usr/libexec/sshnotify/hook"
	if text, ok := packaged.profile(); !ok || text != pamConfigText {
		t.Errorf("the package brings another profile than install:\n%s", text)
	}
}

// pam-auth-update says 0 whatever it did.
func TestProfileThatIsNotTaken(t *testing.T) {
	w := booted(t, "debian12")
	before := w.snapshot("/etc/pam.d")
	p := must(PlanSystem(t.Context(), w.Host, systemOptions()))(t)
	w.write(profileSaved+"/session", "")
	w.write(commonSession, strings.Replace(w.content(commonSession), "# and here are more", "# and here is more", 1))
	before["/etc/pam.d/common-session"] = w.snapshot("/etc/pam.d")["/etc/pam.d/common-session"]
	if r, err := p.Apply(t.Context(), w.Host); err == nil || !strings.Contains(err.Error(), "did not put the hook into") || len(r.Done) > 0 {
		t.Errorf("%v, %+v", err, r.Done)
	}
	if diff := cmp.Diff(before, w.snapshot("/etc/pam.d")); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// A service that starts, writes into its folders, and then does not come up: it
// is stopped, and its folders go before its user does.
func TestTakingBackLeavesNothingToTheNextUser(t *testing.T) {
	for name, event := range map[string]bool{"without an event": false, "with an event that came meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			w := booted(t, "debian12")
			before := w.snapshot("/")
			run := w.Run
			w.Run = func(ctx context.Context, c Command) ([]byte, error) {
				if c.String() == startWatch {
					for _, at := range []string{"/var/lib/sshnotify/history.db", "/var/spool/sshnotify/cur/.lock", WatchState + "/lock", WatchRunDir + "/pipe"} {
						w.write(at, "x")
					}
					if event {
						w.write("/var/spool/sshnotify/new/A.json", "{}")
					}
					run(ctx, c)
					return nil, errBoom
				}
				return run(ctx, c)
			}
			r, err := must(PlanSystem(t.Context(), w.Host, watchOptions()))(t).Apply(t.Context(), w.Host)
			if !errors.Is(err, errBoom) {
				t.Errorf("error: %v", err)
			}
			stop := slices.Index(w.ran, "systemctl disable --now sshnotify-watch.service")
			if del := slices.Index(w.ran, "userdel sshnotify-watch"); stop < 0 || del < stop {
				t.Errorf("ran %v", w.ran)
			}
			if !event {
				if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
					t.Errorf("left (-before +after):\n%s", diff)
				}
				return
			}
			if w.content("/var/spool/sshnotify/new/A.json") != "{}" || len(r.Left) == 0 {
				t.Errorf("the event is gone, or not told of: %v", r.Left)
			}
			for _, dir := range []string{"/var/spool/sshnotify", "/var/spool/sshnotify/new"} {
				if f := must(w.stat(dir))(t); f.uid != os.Getuid() || f.gid != os.Getegid() {
					t.Errorf("%s belongs to %d:%d", dir, f.uid, f.gid)
				}
			}
			if _, err := os.Stat(filepath.Join(w.Root, WatchState)); err == nil {
				t.Error("the watcher's state is left")
			}
		})
	}
}

// What its owner put beside the settings stays, and is root's alone.
func TestPurgeHandsOver(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
	w.write("/etc/sshnotify/mine.key", "x")
	_, gid, err := w.ids(readByService)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(w.real("/etc/sshnotify/mine.key"), os.Getuid(), gid); err != nil {
		t.Fatal(err)
	}
	chmod(t, w, "/etc/sshnotify/mine.key", 0o640)
	w.ran = nil
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	for at, mode := range map[string]os.FileMode{"/etc/sshnotify": 0o700, "/etc/sshnotify/mine.key": 0o600} {
		if f := must(w.stat(at))(t); f.mode != mode || f.gid != os.Getegid() {
			t.Errorf("%s: %s, group %d", at, octal(f.mode), f.gid)
		}
	}
	// What somebody else has with their group stays that one's.
	for _, command := range []string{
		"find / -xdev '(' -user sshnotify-watch -o -user sshnotify ')' -exec chown -h root '{}' +",
		"find / -xdev '(' -group sshnotify-watch -o -group sshnotify ')' -exec chgrp -h root '{}' +",
	} {
		found := slices.Index(w.ran, command)
		if del := slices.Index(w.ran, "userdel sshnotify"); found < 0 || del < found {
			t.Errorf("ran %v", w.ran)
		}
	}
}

// Whose rule a jump skips is the same without the hook.
func TestCutHookShortensJumps(t *testing.T) {
	const hook = "session optional pam_exec.so quiet /usr/bin/sshnotify hook\n"
	const limits, unix = "session required pam_limits.so\n", "session required pam_unix.so\n"
	auth := "auth [success=1 default=ignore] pam_unix.so\n"
	jump := func(to string) string {
		return "session [success=" + to + " default=ignore] pam_succeed_if.so user ingroup [a b]\n"
	}
	for _, row := range [][2]string{
		{jump("1") + hook + limits + unix, jump("ignore") + limits + unix},
		{jump("2") + hook + limits + unix, jump("1") + limits + unix},
		{jump("2") + limits + auth + hook + unix, jump("1") + limits + auth + unix},
		{jump("3") + hook + limits + hook + unix, jump("1") + limits + unix},
		{jump("1") + limits + hook + unix, jump("1") + limits + unix},
		{auth + hook + limits, auth + limits},
		{hook + jump("1") + limits + unix, jump("1") + limits + unix},
		{jump("2") + "@include common-session\n" + hook + unix, jump("2") + "@include common-session\n" + unix},
		{jump("1") + strings.TrimSuffix(hook, "\n"), strings.TrimSuffix(jump("ignore"), "\n")},
	} {
		got, err := cutHook([]byte(row[0]))
		if err != nil || string(got) != row[1] {
			t.Errorf("of\n%s\nis left, %v:\n%s", row[0], err, got)
		}
	}
}

// A session's login, its logout and the watcher's word of it are known to be one
// by the process that runs the hook: no shell may stand between.
func TestLiftedHookIsTheServicesChild(t *testing.T) {
	k := Hook{Binary: "/usr/bin/sshnotify", Spool: "/s", Unlimited: true}
	words := k.words()
	at := slices.Index(words, k.Binary)
	out, err := exec.Command(words[0], append(slices.Clone(words[1:at]), "/bin/sh", "-c", "echo $PPID")...).Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != strconv.Itoa(os.Getpid()) {
		t.Errorf("the parent is %s, not %d, %v", got, os.Getpid(), err)
	}
}
