package install

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

const page = "/var/www/attackers"

func publishCheck(t *testing.T, w *world, dir string) doctor.Result {
	t.Helper()
	r := doctor.Run(t.Context(), doctor.Target{Host: true, Now: time.Now()}, HostChecks(w.Host, Places{}, dir))
	return find(r.Results, "publish")
}

// The folder of [publish] is made and opened, with the watcher or when the
// settings name it later, and undone like all else.
func TestInstallOpensTheFolderOfPublish(t *testing.T) {
	for _, c := range []struct {
		name  string
		later bool
		ran   []string
	}{
		{"with the watcher", false, []string{
			sysusersHost, "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", sysusersOwn,
			"systemctl daemon-reload", "systemctl daemon-reload", enableWatch, startWatch, enableProfile,
		}},
		{"later", true, []string{"systemctl daemon-reload", "systemctl try-restart sshnotify-watch.service"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12")
			logGroupsOf(w, "adm", "systemd-journal")
			before := w.snapshot("/")
			o := watchOptions()
			if c.later {
				w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
				if r := publishCheck(t, w, page); r.State != doctor.Fail || r.Hint != againWatch+" makes it, and opens it for the watcher" {
					t.Errorf("check before: %+v", r)
				}
				o.Watch, w.ran = false, nil
			}
			o.Publish = page
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			if diff := cmp.Diff(c.ran, w.ran); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if !strings.HasSuffix(w.content(publishDropIn), "\n[Service]\nReadWritePaths=-"+page+"\n") {
				t.Errorf("drop-in:\n%s", w.content(publishDropIn))
			}
			if f := must(w.stat(page))(t); w.userName(f.uid) != WatchUser || f.mode != 0o755 {
				t.Errorf("the folder is %s of %s", octal(f.mode), w.userName(f.uid))
			}
			if p := must(PlanSystem(t.Context(), w.Host, o))(t); !p.Empty() {
				t.Errorf("the second install changes something:\n%s", p.Diff())
			}
			if r := publishCheck(t, w, page); r.State != doctor.OK {
				t.Errorf("check: %+v", r)
			}
			w.write(page+"/index.html", "attackers")
			w.write(page+"/feed.json", "{}")
			kept := w.snapshot(page)
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t))
			if diff := cmp.Diff(kept, w.snapshot(page)); diff != "" || w.exists(publishDropIn) {
				t.Errorf("after uninstall (-before +after):\n%s", diff)
			}
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
			if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
				t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
			}
		})
	}
}

// What keeps a watcher from publishing, and what to do.
func TestCheckPublish(t *testing.T) {
	for _, c := range []struct {
		name, dir, problem, hint string
		spoil                    func(t *testing.T, w *world)
	}{
		{"in a home", "/home/alice/www", "no way into /home", "/var/www", nil},
		{"among the settings", "/etc/sshnotify/www", "no way into /etc/sshnotify", "/var/www", nil},
		{"a name that units don't take", "/var/www/the page", "letters, digits", "/var/www", nil},
		{"somebody else's", page, "sshnotify-watch may not write there (0755 root:root)", "sudo chown sshnotify-watch " + page, func(t *testing.T, w *world) {
			if err := os.Chown(w.real(page), 0, 0); err != nil {
				t.Skip(err)
			}
		}},
		{"a file", page, "not a folder", "/var/www", func(_ *testing.T, w *world) { os.Remove(w.real(page)); w.write(page, "x") }},
		{"closed by the unit", page, "the unit keeps it closed", again, func(_ *testing.T, w *world) {
			w.answers["systemctl show -p ReadWritePaths --value sshnotify-watch.service"] = "/var/spool/sshnotify/watch\n"
		}},
		{"open by the owner's own drop-in", page, "", "", func(_ *testing.T, w *world) {
			os.Remove(w.real(publishDropIn))
			w.answers["systemctl show -p ReadWritePaths --value sshnotify-watch.service"] = "/var/spool/sshnotify/watch -/var/www\n"
		}},
		{"in the watcher's own", WatchState, "", "", func(_ *testing.T, w *world) {
			w.answers["systemctl show -p ReadWritePaths --value sshnotify-watch.service"] = "/var/spool/sshnotify/watch\n"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12")
			logGroupsOf(w, "adm", "systemd-journal")
			o := watchOptions()
			o.Publish = c.dir
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			if c.spoil != nil {
				c.spoil(t, w)
			}
			r := publishCheck(t, w, c.dir)
			if (r.State == doctor.OK) != (c.problem == "") || !strings.Contains(r.Message, strings.TrimPrefix(c.problem, "the unit")) || !strings.Contains(r.Hint, c.hint) {
				t.Errorf("check: %+v", r)
			}
		})
	}
}

// A folder that is there may hold a whole web site: it stays its owner's.
func TestInstallLeavesAFolderOfOthers(t *testing.T) {
	w := booted(t, "debian12", map[string]string{page + "/index.html": "mine"})
	o := watchOptions()
	o.Publish = page
	p := must(PlanSystem(t.Context(), w.Host, o))(t)
	w.apply(p)
	if !strings.Contains(strings.Join(p.Notes, "\n"), "sudo chown sshnotify-watch "+page) || w.content(page+"/index.html") != "mine" {
		t.Errorf("notes: %q", p.Notes)
	}
}
