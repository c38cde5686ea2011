package install

import (
	"os"
	"strings"
	"testing"
)

// A log that the watcher may not read is said, with what opens it for good; nothing is
// changed about it.
func TestInstallSaysWhichLogsAreClosed(t *testing.T) {
	const (
		log   = "/var/log/vsftpd.log"
		cant  = ": sshnotify-watch may not read it"
		opens = "sudo chgrp adm " + log + " && sudo chmod g+r " + log
	)
	rule := func(line string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) {
			w.write("/etc/logrotate.d/other", log+".bak {\n\tnocreate\n}\n")
			w.write("/etc/logrotate.d/vsftpd", "/var/log/xferlog {\n\tnocreate\n}\n"+log+"\n{\n\t"+line+"\n\tmissingok\n}\n")
		}
	}
	for _, c := range []struct {
		name    string
		mode    os.FileMode
		gid     int // in the host's /etc/group; adm is 4
		also    func(*testing.T, *world)
		problem string // none: it may
		not     string // what is not said
		hint    string
	}{
		{"Debian's vsftpd: root's alone, until logrotate makes one", 0o600, 0, rule("create 640 root adm"), log + cant + " (" + log + " is 0600 root:", "logrotate", opens},
		{"a rule that keeps new ones closed", 0o600, 0, rule("nocreate"), "; /etc/logrotate.d/vsftpd closes each new one (nocreate): write create 0640 root adm there", "", opens},
		{"a rule without a mode", 0o600, 0, rule("create"), log + cant, "logrotate", opens},
		{"the group is right, the mode is not", 0o600, 4, nil, log + cant, "", opens},
		{"another program's group", 0o640, 77, nil, log + cant, "", "sudo gpasswd -a sshnotify-watch snort && sudo systemctl restart sshnotify-watch.service"},
		{"a folder that is closed", 0o644, 0, func(t *testing.T, w *world) {
			if err := os.Chmod(w.real("/var/log"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "(/var/log is 0700 ", "", "sudo chgrp adm /var/log && sudo chmod g+rx /var/log"},
		{"open to adm", 0o640, 4, nil, "", "", ""},
		{"open to all", 0o644, 0, nil, "", "", ""},
		{"not there", 0, 0, func(_ *testing.T, w *world) { os.Remove(w.real(log)) }, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12", map[string]string{log: "x"})
			logGroupsOf(w, "adm", "systemd-journal")
			w.write("/etc/group", w.text("/etc/group")+"snort:x:77:\n")
			if err := os.Chown(w.real(log), 0, c.gid); err != nil {
				t.Skip(err)
			}
			if err := os.Chmod(w.real(log), c.mode); err != nil {
				t.Fatal(err)
			}
			if c.also != nil {
				c.also(t, w)
			}
			o := watchOptions()
			o.Logs = []string{log}
			for _, installed := range []bool{false, true} {
				notes := strings.Join(must(PlanSystem(t.Context(), w.Host, o))(t).Notes, "\n")
				problem, hint := w.LogProblem(log)
				if (problem == "") != (c.problem == "") || !strings.Contains(problem, c.problem) || hint != c.hint || c.not != "" && strings.Contains(problem, c.not) {
					t.Errorf("installed %v: %q, %q", installed, problem, hint)
				}
				if c.problem == "" && strings.Contains(notes, log) || c.problem != "" && !strings.Contains(notes, problem+": "+hint) {
					t.Errorf("installed %v: notes %q", installed, notes)
				}
				w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			}
			if f := must(w.stat(log))(t); f.exists && (f.mode != c.mode || f.gid != c.gid) {
				t.Errorf("it is %s of %d now", octal(f.mode), f.gid)
			}
		})
	}
}
