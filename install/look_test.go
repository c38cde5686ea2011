package install

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

func TestLook(t *testing.T) {
	for _, c := range []struct {
		name, host string
		more       map[string]string
		answers    map[string]string
		want       Findings
	}{
		{
			"Debian 12", "debian12", map[string]string{"/run/systemd/system/": "", "/usr/sbin/sshd": ""},
			map[string]string{"/usr/sbin/sshd -T": "usepam yes\npamservicename sshd\n"},
			Findings{Distribution: "Debian GNU/Linux 12 (bookworm)", PAM: DebianPAM, Init: "systemd", Running: true, SSHD: SSHD{UsePAM: "yes", Service: "sshd", From: "/usr/sbin/sshd -T"}},
		},
		{
			"Fedora 42 with a hook of the tutorial's kind and one of ours", "fedora42",
			map[string]string{
				"/run/systemd/system/": "", "/sys/fs/selinux/enforce": "1\n",
				"/root/.bashrc":      "if [ -n \"$SSH_CLIENT\" ]; then\n  RISK=$(curl -s https://dublin.api.threatjammer.com/v1/x)\nfi\n",
				"/etc/pam.d/vsftpd":  "session required pam_unix.so\nsession optional pam_exec.so /usr/bin/sshnotify hook\n",
				"/etc/pam.d/x.bak":   "session optional pam_exec.so /usr/bin/sshnotify hook\n",
				"/etc/profile.d/a":   "curl -d x https://hooks.slack.com/services/SECRET\n",
				"/etc/ssh/sshrc":     "# nothing\n",
				"/etc/profile":       shBlock([]string{"/usr/bin/sshnotify", "hook"}),
				"/etc/ssh/sshrc.bak": "curl hooks.slack.com\n",
			}, nil,
			Findings{
				Distribution: "Fedora Linux 42 (Server Edition)", PAM: Authselect, Init: "systemd", Running: true, SELinux: "enforcing",
				SSHD:  SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no", From: "/etc/ssh/sshd_config"},
				Hooks: []HookLine{{"/etc/pam.d/vsftpd", 2}},
				OldHooks: []OldHook{
					{"/etc/profile.d/a", 1, "posts to a Slack webhook"},
					{"/root/.bashrc", 2, "asks Threat Jammer"},
				},
			},
		},
		{
			"Arch", "arch", nil, nil,
			Findings{Distribution: "Arch Linux", PAM: PlainPAM, Init: "systemd", SSHD: SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no", From: "/etc/ssh/sshd_config"}},
		},
		{
			"Alpine", "alpine", map[string]string{"/run/openrc/": ""}, nil,
			Findings{Distribution: "Alpine Linux v3.22", PAM: PlainPAM, Init: "openrc", Running: true, SSHD: SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no", From: "/etc/ssh/sshd_config"}},
		},
		{
			"NixOS", "", map[string]string{"/etc/pam.d/sshd": "-> /nix/store/x-sshd.pam", "/nix/store/x-sshd.pam": ""}, nil,
			Findings{PAM: NixPAM, SSHD: SSHD{Service: "sshd"}},
		},
		{
			"another notifier under pam_exec", "",
			map[string]string{"/etc/pam.d/sshd": "session optional pam_exec.so seteuid /usr/local/bin/telegram-notify.sh\n"}, nil,
			Findings{PAM: PlainPAM, SSHD: SSHD{Service: "sshd"}, OldHooks: []OldHook{{"/etc/pam.d/sshd", 1, "runs another notifier at login"}}},
		},
		{"nothing at all", "", nil, nil, Findings{PAM: NoPAM, SSHD: SSHD{Service: "sshd"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			if c.host != "" {
				files = fixture(t, c.host)
			}
			maps.Copy(files, c.more)
			w := newWorld(t, files)
			maps.Copy(w.answers, c.answers)
			if diff := cmp.Diff(c.want, Look(t.Context(), w.Host)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSSHDSettings(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  SSHD
	}{
		{"the first value counts", map[string]string{"/etc/ssh/sshd_config": "usepam yes\nUsePAM no\n"}, SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no"}},
		{"a comment does not", map[string]string{"/etc/ssh/sshd_config": "#UsePAM no\nUsePAM\tyes\n"}, SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no"}},
		{"with an equals sign", map[string]string{"/etc/ssh/sshd_config": "UsePAM=no\n"}, SSHD{UsePAM: "no", Service: "sshd", ExposeAuthInfo: "no"}},
		{"keys are told to shells", map[string]string{"/etc/ssh/sshd_config": "ExposeAuthInfo yes\nUsePAM yes\nExposeAuthInfo no\n"}, SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "yes"}},
		{"nothing behind Match", map[string]string{"/etc/ssh/sshd_config": "Match User x\nUsePAM no\n"}, SSHD{Service: "sshd", ExposeAuthInfo: "no"}},
		{
			"included in name order", map[string]string{
				"/etc/ssh/sshd_config":          "Include sshd_config.d/*.conf\nUsePAM no\n",
				"/etc/ssh/sshd_config.d/b":      "UsePAM no\n",
				"/etc/ssh/sshd_config.d/2.conf": "UsePAM no\n",
				"/etc/ssh/sshd_config.d/1.conf": "UsePAM yes\nPAMServiceName \"ssh-in\"\n",
			}, SSHD{UsePAM: "yes", Service: "ssh-in", ExposeAuthInfo: "no"},
		},
		{"a service name that is a path", map[string]string{"/etc/ssh/sshd_config": "PAMServiceName ../x\n"}, SSHD{Service: "sshd", ExposeAuthInfo: "no"}},
		{"includes itself", map[string]string{"/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config\nUsePAM yes\n"}, SSHD{UsePAM: "yes", Service: "sshd", ExposeAuthInfo: "no"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.From = "/etc/ssh/sshd_config"
			if diff := cmp.Diff(c.want, newWorld(t, c.files).sshd(t.Context())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOldHooksShowNoSecret(t *testing.T) {
	for _, o := range oldHooksIn("/f", []byte("curl https://hooks.slack.com/services/SECRET\n")) {
		if strings.Contains(o.What, "SECRET") {
			t.Errorf("shows %q", o.What)
		}
	}
}

func TestCheckSystemFindsWhatIsWrong(t *testing.T) {
	edit := func(w *world, name, old, new string) {
		w.write(name, strings.Replace(w.content(name), old, new, 1))
	}
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  doctor.Result
	}{
		{
			"the hook is gone", func(w *world) { w.write("/etc/pam.d/sshd", fixture(t, "debian12")["/etc/pam.d/sshd"]) },
			result("hook sshd", doctor.Fail, "/etc/pam.d/sshd: no line runs the hook", again),
		},
		{
			"the hook was put at the end, as every guide says",
			func(w *world) {
				w.write("/etc/pam.d/sshd", fixture(t, "debian12")["/etc/pam.d/sshd"]+testHook.Line()+"\n")
			},
			result("hook sshd", doctor.Fail, "/etc/pam.d/sshd: the hook comes behind pam_systemd.so", again),
		},
		{
			"the hook stands twice", func(w *world) { edit(w, "/etc/pam.d/sshd", "# Create a new", testHook.Line()+"\n# Create a new") },
			result("hook sshd", doctor.Fail, "/etc/pam.d/sshd: the hook is run 2 times", again),
		},
		{
			"the hook runs another program", func(w *world) { edit(w, "/etc/pam.d/sshd", "/usr/bin/sshnotify", "/opt/sshnotify") },
			result("hook sshd", doctor.Fail, "/etc/pam.d/sshd: line 23 runs /opt/sshnotify, not /usr/bin/sshnotify", again),
		},
		{
			"the hook writes elsewhere", func(w *world) { edit(w, "/etc/pam.d/sshd", "--spool /var/spool/sshnotify", "--spool /tmp") },
			result("hook sshd", doctor.Fail, `/etc/pam.d/sshd: line 23 writes to "/tmp", not to /var/spool/sshnotify`, again),
		},
		{
			"the hook is required", func(w *world) { edit(w, "/etc/pam.d/sshd", "optional     pam_exec", "required     pam_exec") },
			result("hook sshd", doctor.Fail, `/etc/pam.d/sshd: line 23 is "required", not optional: a failing hook would keep people out`, again),
		},
		{
			"users came to write the environment", func(w *world) {
				edit(w, "/etc/pam.d/common-auth", "auth\t[", "auth optional pam_env.so user_readenv=1\nauth\t[")
			},
			result("hook sshd", doctor.Fail, "/etc/pam.d/sshd: pam_env.so reads ~/.pam_environment in the auth stack: users write the hook's environment", again),
		},
		{
			"UsePAM was switched off", func(w *world) { edit(w, "/etc/ssh/sshd_config", "UsePAM yes", "UsePAM no") },
			result("sshd UsePAM", doctor.Fail, "no (/etc/ssh/sshd_config): the hook is never run", "UsePAM yes in /etc/ssh/sshd_config, then restart sshd"),
		},
		{
			"the service is down", func(w *world) { delete(w.answers, "systemctl is-active sshnotify.service") },
			result("service", doctor.Fail, "not running ()", "systemctl restart sshnotify.service && journalctl -u sshnotify -n 20"),
		},
		{
			"the queue is open to all", func(w *world) { chmod(t, w, "/var/spool/sshnotify/new", 0o777) },
			result("folders", doctor.Fail, "", again),
		},
		{
			"the settings are open to all", func(w *world) { chmod(t, w, "/etc/sshnotify/config.toml", 0o644) },
			result("settings", doctor.Warn, "/etc/sshnotify/config.toml can be read by everybody", "chown root:sshnotify /etc/sshnotify/config.toml && chmod 0640 /etc/sshnotify/config.toml"),
		},
		{
			"the service can't read the settings", func(w *world) { chmod(t, w, "/etc/sshnotify/config.toml", 0o600) },
			result("settings", doctor.Fail, "", "chown root:sshnotify /etc/sshnotify/config.toml && chmod 0640 /etc/sshnotify/config.toml"),
		},
		{
			"anybody can replace the program", func(w *world) { chmod(t, w, "/usr/bin/sshnotify", 0o757) },
			result("program", doctor.Fail, "/usr/bin/sshnotify can be written by others than root (mode 0757)", "install -m 0755 sshnotify /usr/bin/sshnotify"),
		},
		{
			"SELinux was switched on", func(w *world) {
				w.write("/sys/fs/selinux/enforce", "1")
				w.answers["semodule -l"] = "base\nssh\n"
			},
			result("SELinux", doctor.Fail, "enforcing, and the module is not loaded: the hook may not write", "sudo sshnotify install --system prints the commands that load the module"),
		},
		{
			"an older notifier", func(w *world) { w.write("/root/.bashrc", "\ncurl https://hooks.slack.com/services/SECRET\n") },
			result("other hooks", doctor.Warn, "/root/.bashrc: line 2 posts to a Slack webhook: a login is told twice", "sed -n 2p '/root/.bashrc'"),
		},
		{
			"the hook in another file too", func(w *world) { w.write("/etc/pam.d/vsftpd", testHook.Line()+"\n") },
			result("other hooks", doctor.Warn, "/etc/pam.d/vsftpd: line 1 runs the hook too", ""),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// With a line of its own: the profile's is the same.
			w := booted(t, "debian12", map[string]string{profileSaved + "/session": ""})
			w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
			c.spoil(w)
			var bad []doctor.Result
			for _, r := range checkHost(t, w.Host, Places{}) {
				if r.State != doctor.OK {
					bad = append(bad, r)
				}
			}
			if c.want.Message == "" && len(bad) == 1 {
				// It names this machine's users.
				c.want.Message = bad[0].Message
			}
			if diff := cmp.Diff([]doctor.Result{c.want}, bad); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The profile of pam-auth-update puts the hook into common-session, where
// doctor finds it, also if somebody else enabled it.
func TestCheckSystemSeesTheProfile(t *testing.T) {
	w := booted(t, "debian12", map[string]string{profileSaved + "/session": ""})
	w.apply(must(PlanSystem(t.Context(), w.Host, systemOptions()))(t))
	w.write("/etc/pam.d/sshd", fixture(t, "debian12")["/etc/pam.d/sshd"])
	text := w.content("/etc/pam.d/common-session")
	i := strings.Index(text, "session\trequired\tpam_unix.so")
	w.write("/etc/pam.d/common-session", text[:i]+testHook.Line()+"\n"+text[i:])
	for _, r := range checkHost(t, w.Host, Places{}) {
		if r.State != doctor.OK {
			t.Errorf("%+v", r)
		}
	}
}

// Ubuntu's sshd is started by a socket: until somebody has connected, its folder is
// not there, without which it does not say its settings.
func TestSSHDThatNobodyConnectedToSaysItsSettings(t *testing.T) {
	w := newWorld(t, map[string]string{"/usr/sbin/sshd": "", "/run/": ""})
	command := w.Host.Run
	w.Host.Run = func(ctx context.Context, c Command) ([]byte, error) {
		if c.Args[0] == "/usr/sbin/sshd" && !w.exists("/run/sshd") {
			return nil, errors.New(`exit status 255: "Missing privilege separation directory: /run/sshd"`)
		}
		return command(ctx, c)
	}
	w.answers["/usr/sbin/sshd -T"] = "usepam yes\n"
	if got := w.sshd(t.Context()); got.From != "/usr/sbin/sshd -T" || got.UsePAM != "yes" {
		t.Errorf("sshd's settings are %+v", got)
	}
}
