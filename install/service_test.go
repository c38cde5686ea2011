package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// logGroupsOf gives a host the groups whose members read logs.
func logGroupsOf(w *world, names ...string) {
	for i, name := range names {
		w.write("/etc/group", w.text("/etc/group")+name+":x:"+strconv.Itoa(4+i)+":\n")
	}
}

func watchOptions() SystemOptions {
	o := systemOptions()
	o.Watch = true
	return o
}

const (
	disableProfile = "env DEBIAN_FRONTEND=noninteractive pam-auth-update --remove sshnotify"
	enableWatch    = "systemctl enable sshnotify-watch.service"
	startWatch     = "systemctl start sshnotify-watch.service"
	sysusersHost   = "systemd-sysusers /etc/sysusers.d/sshnotify.conf"
	sysusersOwn    = "systemd-sysusers /etc/sysusers.d/sshnotify-watch.conf"
)

// The host, its watcher, and back: the same bytes, owners and modes.
func TestPromiseUninstallTakesTheWatcherOut(t *testing.T) {
	elsewhere := Places{Binary: "/opt/sshnotify/bin/sshnotify", Config: "/opt/sshnotify/etc/config.toml", Spool: "/srv/sshnotify/spool", State: "/srv/sshnotify/state"}
	for _, c := range []struct {
		name   string
		places Places
		groups []string
		first  bool // the host was set up without the watcher before
		ran    []string
	}{
		{
			"all at once", Places{}, []string{"adm", "systemd-journal"}, false,
			[]string{sysusersHost, "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", sysusersOwn, "systemctl daemon-reload", enableWatch, startWatch, enableProfile},
		},
		{
			"on a host that tells of logins already", Places{}, []string{"adm", "systemd-journal"}, true,
			[]string{sysusersOwn, "systemctl reload sshnotify.service", "systemctl daemon-reload", enableWatch, startWatch},
		},
		{
			"a host without the group adm", Places{}, []string{"systemd-journal"}, true,
			[]string{sysusersOwn, "systemctl reload sshnotify.service", "systemctl daemon-reload", enableWatch, startWatch},
		},
		{
			"other places", elsewhere, []string{"adm", "systemd-journal"}, false,
			[]string{sysusersHost, "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", sysusersOwn, "systemctl daemon-reload", enableWatch, startWatch, enableProfile},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12", map[string]string{"/opt/sshnotify/bin/sshnotify": "x"})
			logGroupsOf(w, c.groups...)
			before := w.snapshot("/")
			o := watchOptions()
			o.Places = c.places
			if c.places != (Places{}) {
				o.Files = []FileText{{Path: c.places.Config, Content: []byte("x")}}
			}
			if c.first {
				without := o
				without.Watch = false
				w.apply(must(PlanSystem(t.Context(), w.Host, without))(t))
				w.ran = nil
			}
			w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
			if diff := cmp.Diff(c.ran, w.ran); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			for _, g := range c.groups {
				if !strings.Contains(w.text("/etc/group"), g+":x:") || len(w.lacksGroups()) > 0 {
					t.Errorf("groups:\n%s", w.text("/etc/group"))
				}
			}
			if strings.Count(w.text("/etc/group"), "adm:") != len(c.groups)-1 {
				t.Errorf("a group was made:\n%s", w.text("/etc/group"))
			}
			if p := must(PlanSystem(t.Context(), w.Host, o))(t); !p.Empty() {
				t.Errorf("the second install changes something:\n%s", p.Diff())
			}
			o.Watch = false
			if p := must(PlanSystem(t.Context(), w.Host, o))(t); !p.Empty() {
				t.Errorf("install without --watch changes something:\n%s", p.Diff())
			}
			for _, r := range checkHost(t, w.Host, o.Places) {
				if r.State != doctor.OK {
					t.Errorf("check: %+v", r)
				}
			}
			if r := find(checkHost(t, w.Host, o.Places), "watch service"); !strings.Contains(r.Message, "is running") {
				t.Errorf("check: %+v", r)
			}
			// systemd makes them when the service starts.
			w.write(WatchState+"/positions.json", "{}")
			w.write(WatchRunDir+"/snort", "")
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

// The watcher ends before the service that tells what it found; its user and
// state stay until a purge.
func TestUninstallKeepsTheWatchersState(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
	w.write(WatchState+"/positions.json", "{}")
	w.ran = nil
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{}))(t))
	want := []string{disableProfile, "systemctl disable --now sshnotify-watch.service", "systemctl disable --now sshnotify.service", "systemctl daemon-reload"}
	if diff := cmp.Diff(want, w.ran); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	for _, p := range []string{watchUnitPath, watchSysusersPath, watchTmpfilesPath, watchUnitWants} {
		if w.exists(p) {
			t.Errorf("%s is left", p)
		}
	}
	if _, there := w.UserByName(WatchUser); !there || !w.exists(WatchState+"/positions.json") {
		t.Error("the user or its state is gone")
	}
	if r := find(checkHost(t, w.Host, Places{}), "watch service"); r.Name != "" {
		t.Errorf("check: %+v", r)
	}
	w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
	if r := find(checkHost(t, w.Host, Places{}), "watch service"); r.State != doctor.OK {
		t.Errorf("after installing again: %+v", r)
	}
}

func TestPurgeCountsTheWatchersQueue(t *testing.T) {
	w := booted(t, "debian12")
	w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
	w.write("/var/spool/sshnotify/watch/new/A.json", "{}")
	_, err := PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true})
	var q *QueuedError
	if !errors.As(err, &q) || q.Waiting != 1 {
		t.Errorf("got %v", err)
	}
}

func TestWatcherTakesUpANewProgram(t *testing.T) {
	w := booted(t, "debian12")
	from := filepath.Join(t.TempDir(), "sshnotify")
	for _, c := range []struct {
		name, text string
		watch      bool
		ran        []string
	}{
		{"first", "one", true, []string{sysusersHost, "systemctl daemon-reload", "systemctl enable sshnotify.service", "systemctl start sshnotify.service", sysusersOwn, "systemctl daemon-reload", enableWatch, startWatch, enableProfile}},
		{"with --watch", "two", true, []string{"systemctl restart sshnotify.service", "systemctl restart sshnotify-watch.service"}},
		{"without --watch", "three", false, []string{"systemctl restart sshnotify.service", "systemctl try-restart sshnotify-watch.service"}},
		{"nothing new", "three", false, nil},
	} {
		if err := os.WriteFile(from, []byte(c.text), 0o755); err != nil {
			t.Fatal(err)
		}
		o := watchOptions()
		o.BinaryFrom, o.Watch = from, c.watch
		w.ran = nil
		w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
		if diff := cmp.Diff(c.ran, w.ran); diff != "" {
			t.Errorf("%s: commands (-want +got):\n%s", c.name, diff)
		}
	}
	// Somebody put the program there by hand, and what runs is the one before.
	for pid, unit := range map[string]string{"41": "sshnotify.service", "42": "sshnotify-watch.service"} {
		w.write("/proc/"+pid+"/exe", "-> /usr/bin/sshnotify (deleted)")
		w.answers["systemctl show -p MainPID --value "+unit] = pid + "\n"
	}
	for watch, last := range map[bool]string{true: "systemctl restart sshnotify-watch.service", false: "systemctl try-restart sshnotify-watch.service"} {
		o := watchOptions()
		o.BinaryFrom, o.Watch = from, watch
		w.ran = nil
		w.apply(must(PlanSystem(t.Context(), w.Host, o))(t))
		if diff := cmp.Diff([]string{"systemctl restart sshnotify.service", last}, w.ran); diff != "" {
			t.Errorf("replaced by hand: commands (-want +got):\n%s", diff)
		}
	}
}

func TestWatchNeedsSystemd(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		more map[string]string
		off  bool
	}{
		"OpenRC":                     {"alpine", nil, false},
		"systemd, without a service": {"debian12", map[string]string{"/usr/sbin/useradd": ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := booted(t, c.host, c.more)
			o := watchOptions()
			o.NoService = c.off
			_, err := PlanSystem(t.Context(), w.Host, o)
			var he *HostError
			if !errors.As(err, &he) || !strings.Contains(he.Do, "sshnotify watch --config /etc/sshnotify/config.toml --spool /var/spool/sshnotify") {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestWatcherInAnImage(t *testing.T) {
	w := newWorld(t, systemFiles(fixture(t, "fedora42")))
	w.Run = nil
	before := w.snapshot("/")
	p := must(PlanSystem(t.Context(), w.Host, watchOptions()))(t)
	w.apply(p)
	if target, _ := os.Readlink(w.real(watchUnitWants)); target != watchUnitPath {
		t.Errorf("started at boot: link to %q", target)
	}
	if w.content(watchTmpfilesPath) != (Places{}).WatchTmpfiles() || !strings.Contains(w.content(watchSysusersPath), "u sshnotify-watch ") {
		t.Error("the first boot adds no user and no folders")
	}
	if !strings.Contains(strings.Join(p.Notes, "\n"), "the user sshnotify-watch is added when the image boots") {
		t.Errorf("notes: %q", p.Notes)
	}
	if p := must(PlanSystem(t.Context(), w.Host, watchOptions()))(t); !p.Empty() {
		t.Errorf("the second install changes something:\n%s", p.Diff())
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("after uninstall --purge (-before +after):\n%s", diff)
	}
}

// A package brought the unit, the user and the folders.
func TestWatcherWithThePackage(t *testing.T) {
	w := booted(t, "debian12", map[string]string{
		"/usr/lib/systemd/system/sshnotify.service": Places{}.Unit(), "/usr/lib/systemd/system/sshnotify-watch.service": Places{}.WatchUnit(),
	})
	w.addUser()
	if r := find(checkHost(t, w.Host, Places{}), "watch service"); r.Name != "" {
		t.Errorf("a watcher that nobody asked for is checked: %+v", r)
	}
	w.addWatcher()
	w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
	for _, p := range []string{watchUnitPath, watchSysusersPath, watchTmpfilesPath} {
		if w.exists(p) {
			t.Errorf("%s was written though the package has it", p)
		}
	}
	if diff := cmp.Diff([]string{"systemctl enable sshnotify.service", "systemctl start sshnotify.service", enableWatch, startWatch, enableProfile}, w.ran); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	w.apply(must(PlanSystemUninstall(t.Context(), w.Host, Places{}, UndoOptions{Purge: true}))(t))
	if _, there := w.UserByName(WatchUser); !there || !w.exists("/usr/lib/systemd/system/sshnotify-watch.service") || w.exists(watchUnitWants) {
		t.Error("the package's user or unit was taken out, or the watcher goes on")
	}
}

// The watcher fails to start: the host is as it was.
func TestInstallIsTakenBackWhenTheWatcherFails(t *testing.T) {
	w := booted(t, "debian12")
	w.fail[startWatch] = errBoom
	before := w.snapshot("/")
	_, err := must(PlanSystem(t.Context(), w.Host, watchOptions()))(t).Apply(t.Context(), w.Host)
	if !errors.Is(err, errBoom) {
		t.Errorf("error: %v", err)
	}
	if diff := cmp.Diff(before, w.snapshot("/")); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// What doctor says of a watcher that does not work.
func TestCheckWatcher(t *testing.T) {
	for _, c := range []struct {
		name, check string
		state       doctor.State
		message     string
		spoil       func(t *testing.T, w *world)
	}{
		{"stopped", "watch service", doctor.Fail, "not running", func(_ *testing.T, w *world) {
			delete(w.answers, "systemctl is-active sshnotify-watch.service")
		}},
		{"disabled", "watch service", doctor.Fail, "not started at boot", func(_ *testing.T, w *world) { os.Remove(w.real(watchUnitWants)) }},
		{"without its user", "watch user", doctor.Fail, "no user sshnotify-watch", func(_ *testing.T, w *world) { w.delUser(WatchUser) }},
		{"not in adm", "watch user", doctor.Warn, "not in the groups adm", func(_ *testing.T, w *world) {
			w.write("/etc/group", strings.Replace(w.text("/etc/group"), "adm:x:4:sshnotify-watch", "adm:x:4:syslog", 1))
		}},
		{"in the service's group", "watch user", doctor.Fail, "may read the secrets", func(_ *testing.T, w *world) {
			w.write("/etc/group", regexp.MustCompile(`(?m)^sshnotify:.*`).ReplaceAllString(w.text("/etc/group"), "${0}sshnotify-watch"))
		}},
		{"a drop-in that puts it there", "watch user", doctor.Fail, "may read the secrets", func(_ *testing.T, w *world) {
			w.answers["systemctl show -p SupplementaryGroups --value sshnotify-watch.service"] = "snort sshnotify\n"
		}},
		{"without its drop", "watch folders", doctor.Warn, "watch/new: not there", func(_ *testing.T, w *world) {
			os.Remove(w.real("/var/spool/sshnotify/watch/new"))
		}},
		{"with a drop that others write", "watch folders", doctor.Fail, "must be 0751 root:sshnotify", func(t *testing.T, w *world) {
			chmod(t, w, "/var/spool/sshnotify/watch", 0o777)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := booted(t, "debian12")
			logGroupsOf(w, "adm", "systemd-journal")
			w.apply(must(PlanSystem(t.Context(), w.Host, watchOptions()))(t))
			c.spoil(t, w)
			r := find(checkHost(t, w.Host, Places{}), c.check)
			if r.State != c.state || !strings.Contains(r.Message, c.message) || !strings.Contains(r.Hint, "sshnotify install --system --watch") && c.name != "stopped" && c.name != "in the service's group" {
				t.Errorf("check: %+v", r)
			}
		})
	}
}

func TestWatchUnitIsHardened(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	unit := filepath.Join(t.TempDir(), watchUnitName)
	if err := os.WriteFile(unit, []byte(Places{Binary: "/bin/true"}.WatchUnit()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Skipf("systemd-analyze is too old for this: %v\n%s", err, out)
	}
	if level, _ := strconv.ParseFloat(string(m[1]), 64); level > 1.5 {
		t.Errorf("exposure level %v\n%s", level, out)
	}
}

// What the watcher needs, and what keeps it from the rest.
func TestWatchUnit(t *testing.T) {
	p := Places{Binary: "/opt/sshnotify/sshnotify", Config: "/srv/sshnotify/etc/c.toml", Spool: "/srv/sshnotify/spool", State: "/srv/sshnotify/state"}
	for name, c := range map[string]struct{ unit, run, make, write, hide string }{
		"usual places": {
			Places{}.WatchUnit(), "/usr/bin/sshnotify watch --settings /run/sshnotify-watch.json --spool /var/spool/sshnotify",
			"+/usr/bin/sshnotify watch --config /etc/sshnotify/config.toml --write-settings /run/sshnotify-watch.json",
			"/var/spool/sshnotify/watch", "-/var/spool/sshnotify/tmp -/var/spool/sshnotify/new -/run/sshnotify -/etc/sshnotify",
		},
		"other places": {
			p.WatchUnit(), "/opt/sshnotify/sshnotify watch --settings /run/sshnotify-watch.json --spool /srv/sshnotify/spool",
			"+/opt/sshnotify/sshnotify watch --config /srv/sshnotify/etc/c.toml --write-settings /run/sshnotify-watch.json",
			"/srv/sshnotify/spool/watch", "-/srv/sshnotify/spool/tmp -/srv/sshnotify/spool/new -/run/sshnotify -/srv/sshnotify/etc",
		},
	} {
		for _, want := range []string{
			"Type=notify", "User=sshnotify-watch", "Group=sshnotify-watch", "StateDirectory=sshnotify-watch",
			"ExecStart=" + c.run, "ExecStartPre=" + c.make, "ExecReload=" + c.make, "ReadWritePaths=" + c.write, "InaccessiblePaths=" + c.hide, "PrivateNetwork=yes", "IPAddressDeny=any",
			"RestrictAddressFamilies=AF_UNIX", "ProtectSystem=strict", "StateDirectoryMode=0711", "ProtectProc=default", "ProcSubset=all", "ProtectKernelTunables=no", "ProtectControlGroups=no", "UMask=0077", "CapabilityBoundingSet=", "MemoryMax=128M", "Restart=always",
			"WantedBy=multi-user.target",
		} {
			if strings.Count(c.unit, "\n"+want+"\n") != 1 {
				t.Errorf("%s: the unit lacks %q", name, want)
			}
		}
		if strings.Contains(c.unit, "notify-reload") || strings.Count(c.unit, "\nReadWritePaths=") != 1 || strings.Contains(c.unit, p.State) || strings.Contains(c.unit, "\nSupplementaryGroups=") {
			t.Errorf("%s:\n%s", name, c.unit)
		}
	}
	if text := p.WatchTmpfiles(); strings.Contains(text, DefaultSpool) {
		t.Errorf("tmpfiles still has %s:\n%s", DefaultSpool, text)
	}
}

// The lists, read by systemd's own programs, must make what install makes.
func TestSystemdMakesTheWatchersUserAndFolders(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	sysusers, tmpfiles := tool(t, "systemd-sysusers"), tool(t, "systemd-tmpfiles")
	w := newWorld(t, systemFiles(map[string]string{
		sysusersPath: Places{}.Sysusers(), tmpfilesPath: Places{}.Tmpfiles(),
		watchTmpfilesPath: Places{}.WatchTmpfiles(),
	}))
	logGroupsOf(w, "adm")
	w.write(watchSysusersPath, w.watchSysusers(Places{}))
	for _, args := range [][]string{
		{sysusers, "--root=" + w.Root, "sshnotify.conf", "sshnotify-watch.conf"},
		{tmpfiles, "--root=" + w.Root, "--create", "sshnotify.conf", "sshnotify-watch.conf"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for _, d := range watchFolders(Places{}.filled(), false) {
		f := must(w.stat(d.path))(t)
		uid, gid, err := w.ids(d.owner)
		if err != nil || !f.dir || f.mode != d.mode || f.uid != uid || f.gid != gid {
			t.Errorf("%s: %s %d:%d, error %v", d.path, octal(f.mode), f.uid, f.gid, err)
		}
	}
	if g := w.text("/etc/group"); !strings.Contains(g, "adm:x:4:sshnotify-watch\n") || strings.Contains(g, "systemd-journal") || len(w.lacksGroups()) > 0 {
		t.Errorf("groups:\n%s", g)
	}
}
