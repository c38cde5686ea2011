package install

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// service checks that the service is there, current, started at boot and up.
func (c *checks) service(f Findings, places Places) {
	const name = "service"
	link, unit := "", ""
	switch f.Init {
	case "systemd":
		link = unitWants
		if unit = c.h.packagedUnit(); c.h.exists(unitPath) {
			unit = unitPath
		}
	case "openrc":
		link, unit = openrcLevel, openrcPath
		if !c.h.exists(openrcPath) {
			unit = ""
		}
	default:
		c.OK(name, "none: the hook starts a worker when it needs one")
		return
	}
	switch {
	case unit == "" && c.workers:
		c.OK(name, "none: the hook starts a worker when it needs one")
		return
	case unit == "":
		c.Fail(name, again, "not there")
		return
	case !c.h.exists(link):
		c.Fail(name, again, "%s is not started at boot", unit)
		return
	case unit == unitPath && c.outdated(unit, places.Unit(), places), unit == openrcPath && c.outdated(unit, places.OpenRC(), places):
		c.Warn(name, again, "%s is of an older sshnotify", unit)
		return
	case !f.Running:
		c.OK(name, "%s, started at boot", unit)
		return
	}
	asked, restart := []string{"systemctl", "is-active", unitName}, "systemctl restart "+unitName+" && journalctl -u sshnotify -n 20"
	if f.Init == "openrc" {
		asked, restart = []string{"rc-service", "sshnotify", "status"}, "rc-service sshnotify restart"
	}
	if out, err := c.h.ask(c.ctx, asked...); err != nil {
		c.Fail(name, restart, "not running (%s)", strings.TrimSpace(string(out)))
		return
	}
	c.OK(name, "%s is running", unit)
}

// outdated says whether a file is as install put it there, but would be
// another today.
func (c *checks) outdated(at, want string, places Places) bool {
	f, err := c.h.read(at)
	if err != nil || bytes.Equal(f.data, []byte(want)) {
		return false
	}
	rec, err := c.h.loadRecord(places.recordPath())
	if err != nil {
		return false
	}
	it, ours := rec.find(kindFile, f.path)
	return ours && it.SHA256 == sum(f.data)
}

// folders checks owners and modes: they keep the service from reading what is
// not its own, and from leading root astray.
func (c *checks) folders(places Places) {
	if c.checkFolders("folders", again, places, hostFolders(places)) {
		c.OK("folders", "%s, %s, %s", places.Spool, places.State, RunDir)
	}
	c.settings(places)
}

func (c *checks) checkFolders(name, hint string, places Places, folders []whole) (good bool) {
	good = true
	for _, d := range folders {
		f, err := c.h.stat(d.path)
		if err != nil {
			c.Fail(name, hint, "%v", err)
			good = false
			continue
		}
		uid, gid, err := c.h.ids(d.owner)
		switch {
		case !f.exists && d.path == places.Spool:
			c.Fail(name, hint, "%s: not there, so events can't be kept", d.path)
		case !f.exists:
			c.Warn(name, hint, "%s: not there", d.path)
		case !f.dir:
			c.Fail(name, hint, "%s: not a folder", f.path)
		case err != nil:
			c.Fail(name, hint, "%v", err)
		case f.uid != uid || f.gid != gid || f.mode != d.mode:
			c.Fail(name, hint, "%s is %s %s:%s, and must be %s %s", f.path,
				octal(f.mode), c.h.userName(f.uid), c.h.groupName(f.gid), octal(d.mode), d.owner)
		default:
			continue
		}
		good = false
	}
	return good
}

// settings checks that the service can read its settings, and nobody else.
func (c *checks) settings(places Places) {
	f, err := c.h.stat(places.Config)
	if err != nil || !f.exists || f.dir {
		c.Fail("settings", again, "%s: not there", places.Config)
		return
	}
	_, gid, err := c.h.ids(readByService)
	hint := "chown root:" + ServiceUser + " " + f.path + " && chmod 0640 " + f.path
	switch {
	case err != nil:
		c.Fail("settings", again, "%v", err)
	case f.uid != 0 && f.uid != c.h.UID:
		c.Fail("settings", hint, "%s belongs to %s, not to root", f.path, c.h.userName(f.uid))
	case f.mode&0o022 != 0:
		c.Fail("settings", hint, "%s can be written by others (mode %s)", f.path, octal(f.mode))
	case f.mode&0o004 == 0 && (f.gid != gid || f.mode&0o040 == 0):
		c.Fail("settings", hint, "%s can't be read by the service (%s %s:%s)", f.path, octal(f.mode), c.h.userName(f.uid), c.h.groupName(f.gid))
	case f.mode&fs.FileMode(0o004) != 0:
		c.Warn("settings", hint, "%s can be read by everybody", f.path)
	default:
		c.OK("settings", "%s", f.path)
	}
}

// policy checks that SELinux lets the hook write.
func (c *checks) policy(f Findings) {
	if f.SELinux != "enforcing" {
		return
	}
	const hint = "sudo sshnotify install --system prints the commands that load the module"
	out, err := c.h.ask(c.ctx, "semodule", "-l")
	switch {
	case err != nil:
		c.Warn("SELinux", "sudo semodule -l | grep sshnotify", "enforcing; whether the module is loaded could not be found out")
	case !strings.Contains("\n"+string(out), "\nsshnotify"):
		c.Fail("SELinux", hint, "enforcing, and the module is not loaded: the hook may not write")
	default:
		c.OK("SELinux", "enforcing, and the module is loaded")
	}
}

// programInUse checks that the service runs the program that is there now.
func (c *checks) programInUse(f Findings) {
	out, err := c.h.ask(c.ctx, "systemctl", "show", "-p", "MainPID", "--value", unitName)
	pid, err2 := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || err2 != nil || pid == 0 {
		return // that it does not run is reported already
	}
	if exe, err := os.Readlink(c.h.real("/proc/" + strconv.Itoa(pid) + "/exe")); err == nil && strings.HasSuffix(exe, " (deleted)") {
		c.Warn("service's program", "sudo systemctl restart sshnotify", "the service still runs the program from before an update")
	}
}

// denials looks for what SELinux kept the hook or the service from, today.
func (c *checks) denials(f Findings) {
	if c.h.Run == nil || f.SELinux == "" {
		return
	}
	const search = "ausearch -m AVC -ts today -c sshnotify --raw"
	out, err := c.h.ask(c.ctx, strings.Fields(search)...)
	n := strings.Count(string(out), "denied")
	var exit *exec.ExitError
	switch {
	case n > 0:
		c.Fail("SELinux denials", "sudo "+search+" | audit2why", "%d today", n)
	case err == nil || errors.As(err, &exit) && exit.ExitCode() == 1: // nothing found
		c.OK("SELinux denials", "none today")
	default:
		c.Warn("SELinux denials", "sudo "+search, "they could not be looked for: %v", err)
	}
}
