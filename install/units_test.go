package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// tool skips the test where a program is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// As systemd itself sees the unit: without errors, and as closed as promised.
func TestUnitIsHardened(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	for name, places := range map[string]Places{
		"as packaged":  {Binary: "/bin/true"},
		"other places": {Binary: "/bin/true", Config: "/srv/sshnotify/c.toml", Spool: "/srv/sshnotify/spool", State: "/srv/sshnotify/state"},
	} {
		t.Run(name, func(t *testing.T) {
			unit := filepath.Join(t.TempDir(), unitName)
			if err := os.WriteFile(unit, []byte(places.Unit()), 0o644); err != nil {
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
		})
	}
}

// What the service needs, which hardening would take away without a word.
func TestUnitKeepsWhatTheServiceNeeds(t *testing.T) {
	unit := Places{}.Unit()
	for _, want := range []string{
		"\nType=notify\n", "\nUser=sshnotify\n", "\nProtectProc=default\n", "\nProcSubset=all\n",
		"\nReadWritePaths=/var/spool/sshnotify -/run/sshnotify\n", "\nStateDirectory=sshnotify\n", "\nWantedBy=multi-user.target\n",
		"\nExecStart=/usr/bin/sshnotify deliver --follow --config /etc/sshnotify/config.toml --spool /var/spool/sshnotify\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
	for _, bad := range []string{"PrivateUsers=", "WatchdogSec=1", "notify-reload"} {
		if strings.Contains(unit, bad) {
			t.Errorf("the unit has %q", bad)
		}
	}
}

func TestTextsTakeOtherPlaces(t *testing.T) {
	p := Places{Binary: "/opt/sshnotify/sshnotify", Config: "/srv/sshnotify/etc/c.toml", Spool: "/srv/sshnotify/spool", State: "/srv/sshnotify/state"}
	for name, text := range map[string]string{
		"unit": p.Unit(), "tmpfiles": p.Tmpfiles(), "sysusers": p.Sysusers(), "openrc": p.OpenRC(), "selinux": p.SELinux(),
	} {
		for _, old := range []string{DefaultBinary, DefaultSpool, DefaultState, "/etc/sshnotify"} {
			if strings.Contains(text, old) {
				t.Errorf("%s still has %s:\n%s", name, old, text)
			}
		}
	}
	if u := p.Unit(); strings.Contains(u, "StateDirectory") || !strings.Contains(u, "ReadWritePaths=/srv/sshnotify/state /srv/sshnotify/spool ") {
		t.Errorf("unit:\n%s", u)
	}
	for _, bad := range []Places{
		{Spool: "/var/spool"}, {State: "/var/lib"}, {Config: "/etc/sshnotify.toml"}, {Spool: "/srv/sshnotify/a b"},
		{Binary: "/opt/sshnotify/%h/sshnotify"}, {Spool: "sshnotify"}, {State: "/srv/sshnotify;x"},
	} {
		if err := bad.filled().check(); err == nil {
			t.Errorf("%+v: accepted", bad)
		}
	}
}

// tmpfiles.d, which boots rely on, must say what install makes.
func TestTmpfilesAgreesWithInstall(t *testing.T) {
	text := Places{}.Tmpfiles()
	for _, d := range hostFolders(Places{}.filled()) {
		line := "d " + d.path + " " + octal(d.mode) + " " + d.owner.User + " " + d.owner.Group + " -\n"
		if !strings.Contains(text, line) {
			t.Errorf("tmpfiles.d lacks %q", line)
		}
	}
}

// sysusers.d and tmpfiles.d, read by systemd's own programs.
func TestSystemdMakesUserAndFolders(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	sysusers, tmpfiles := tool(t, "systemd-sysusers"), tool(t, "systemd-tmpfiles")
	w := newWorld(t, systemFiles(map[string]string{sysusersPath: Places{}.Sysusers(), tmpfilesPath: Places{}.Tmpfiles()}))
	for _, args := range [][]string{
		{sysusers, "--root=" + w.Root, "sshnotify.conf"},
		{tmpfiles, "--root=" + w.Root, "--create", "sshnotify.conf"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for _, d := range hostFolders(Places{}.filled()) {
		f := must(w.stat(d.path))(t)
		uid, gid, err := w.ids(d.owner)
		if err != nil || !f.dir || f.mode != d.mode || f.uid != uid || f.gid != gid {
			t.Errorf("%s: %s %d:%d, error %v", d.path, octal(f.mode), f.uid, f.gid, err)
		}
	}
}

func TestOpenRCScriptParses(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-n")
	cmd.Stdin = strings.NewReader(Places{}.OpenRC())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	shellcheck := tool(t, "shellcheck")
	// The variables are read by openrc-run.
	cmd = exec.CommandContext(t.Context(), shellcheck, "-s", "sh", "-e", "SC2034", "-")
	cmd.Stdin = strings.NewReader(Places{}.OpenRC())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The units of a user's own systemd, with a path that needs quoting.
func TestUserUnits(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	dir := t.TempDir()
	for _, u := range userUnits([]string{"/bin/true", "deliver", "--once", "--spool", `/home/it's "me" 100% $x/spool`}) {
		if err := os.WriteFile(filepath.Join(dir, u.name), []byte(u.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), analyze, "--user", "verify", "--man=no", filepath.Join(dir, timerName+".timer"), filepath.Join(dir, timerName+".service"))
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), timerName) {
		t.Errorf("%v\n%s", err, out)
	}
}
