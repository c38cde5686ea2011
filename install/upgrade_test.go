package install

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leave puts on a host what an install of version 0.1 changed there, as
// testdata/installed keeps it.
func (w *world) leave(name string) {
	w.t.Helper()
	var doc struct {
		Files map[string]struct {
			Mode   fs.FileMode
			Text   string
			Target string
		}
		Crontab string
	}
	b := must(os.ReadFile(filepath.Join("testdata", "installed", name+".json")))(w.t)
	if err := json.Unmarshal(b, &doc); err != nil {
		w.t.Fatal(err)
	}
	if w.crontab != nil {
		*w.crontab = doc.Crontab
	}
	for at, f := range doc.Files {
		switch {
		case f.Target != "":
			w.write(at, "-> "+f.Target)
			continue
		case f.Mode.IsDir():
			w.write(at+"/", "")
		default:
			w.write(at, f.Text)
		}
		chmod(w.t, w, at, f.Mode&^fs.ModeType)
	}
}

// What version 0.1 has installed is brought up to date, and taken out to the
// byte, with the record that it has left.
func TestPromiseUninstallRestoresWhatAnOlderVersionInstalled(t *testing.T) {
	for _, again := range []bool{false, true} {
		for _, host := range []string{"debian12", "fedora42", "alpine"} {
			t.Run(host+map[bool]string{true: ", installed again"}[again], func(t *testing.T) {
				w := booted(t, host, map[string]string{"/usr/sbin/deluser": ""})
				o := systemOptions()
				if host != "alpine" {
					logGroupsOf(w, "adm", "systemd-journal")
					o.Watch, o.Services = true, []string{"sshd", "sudo", "su"}
				}
				before := w.snapshot("/")
				w.leave("host-" + host)
				w.addUser()
				if o.Watch {
					w.addWatcher()
				}
				for _, unit := range []string{unitName, watchUnitName} {
					w.answers["systemctl is-active --quiet "+unit] = ""
				}
				w.answers["rc-service sshnotify status"] = "started"
				if again {
					w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
				}
				w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
				if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
					t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
				}
			})
		}
		for _, shell := range []string{Bash, Zsh, Fish} {
			t.Run(shell+map[bool]string{true: ", installed again"}[again], func(t *testing.T) {
				w := newHome(t, "/bin/"+shell, map[string]string{".bashrc": debianGuard, ".zshenv": "export A=1"})
				if shell == Zsh {
					w.write("/var/lib/systemd/linger/alice", "")
				}
				before := w.snapshot("/")
				w.leave("account-" + shell)
				if again {
					w.apply(must(PlanUser(t.Context(), w.Host, homeOptions()))(t))
				}
				w.apply(must(PlanUserUninstall(t.Context(), w.Host, homeOptions(), UndoOptions{Purge: true}))(t))
				if diff := cmp.Diff(before, w.snapshot("/")); diff != "" || *w.crontab != "" {
					t.Errorf("after uninstall --purge (-before +after), crontab %q:\n%s", *w.crontab, diff)
				}
			})
		}
	}
}
