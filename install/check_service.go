package install

import (
	"bytes"
	"io/fs"
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
		c.add(name, OK, "", "none: the hook starts a worker when it needs one")
		return
	}
	switch {
	case unit == "" && c.workers:
		c.add(name, OK, "", "none: the hook starts a worker when it needs one")
		return
	case unit == "":
		c.add(name, Fail, again, "not there")
		return
	case !c.h.exists(link):
		c.add(name, Fail, again, "%s is not started at boot", unit)
		return
	case unit == unitPath && c.outdated(unit, places.Unit(), places), unit == openrcPath && c.outdated(unit, places.OpenRC(), places):
		c.add(name, Warn, again, "%s is of an older sshnotify", unit)
		return
	case !f.Running:
		c.add(name, OK, "", "%s, started at boot", unit)
		return
	}
	asked, restart := []string{"systemctl", "is-active", unitName}, "systemctl restart "+unitName+" && journalctl -u sshnotify -n 20"
	if f.Init == "openrc" {
		asked, restart = []string{"rc-service", "sshnotify", "status"}, "rc-service sshnotify restart"
	}
	if out, err := c.h.ask(c.ctx, asked...); err != nil {
		c.add(name, Fail, restart, "not running (%s)", strings.TrimSpace(string(out)))
		return
	}
	c.add(name, OK, "", "%s is running", unit)
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
		c.add("folders", OK, "", "%s, %s, %s", places.Spool, places.State, RunDir)
	}
	c.settings(places)
}

func (c *checks) checkFolders(name, hint string, places Places, folders []whole) (good bool) {
	good = true
	for _, d := range folders {
		f, err := c.h.stat(d.path)
		if err != nil {
			c.add(name, Fail, hint, "%v", err)
			good = false
			continue
		}
		uid, gid, err := c.h.ids(d.owner)
		switch {
		case !f.exists && d.path == places.Spool:
			c.add(name, Fail, hint, "%s: not there, so events can't be kept", d.path)
		case !f.exists:
			c.add(name, Warn, hint, "%s: not there", d.path)
		case !f.dir:
			c.add(name, Fail, hint, "%s: not a folder", f.path)
		case err != nil:
			c.add(name, Fail, hint, "%v", err)
		case f.uid != uid || f.gid != gid || f.mode != d.mode:
			c.add(name, Fail, hint, "%s is %s %s:%s, and must be %s %s", f.path,
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
		c.add("settings", Fail, again, "%s: not there", places.Config)
		return
	}
	_, gid, err := c.h.ids(readByService)
	hint := "chown root:" + ServiceUser + " " + f.path + " && chmod 0640 " + f.path
	switch {
	case err != nil:
		c.add("settings", Fail, again, "%v", err)
	case f.uid != 0 && f.uid != c.h.UID:
		c.add("settings", Fail, hint, "%s belongs to %s, not to root", f.path, c.h.userName(f.uid))
	case f.mode&0o022 != 0:
		c.add("settings", Fail, hint, "%s can be written by others (mode %s)", f.path, octal(f.mode))
	case f.mode&0o004 == 0 && (f.gid != gid || f.mode&0o040 == 0):
		c.add("settings", Fail, hint, "%s can't be read by the service (%s %s:%s)", f.path, octal(f.mode), c.h.userName(f.uid), c.h.groupName(f.gid))
	case f.mode&fs.FileMode(0o004) != 0:
		c.add("settings", Warn, hint, "%s can be read by everybody", f.path)
	default:
		c.add("settings", OK, "", "%s", f.path)
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
		c.add("SELinux", Warn, "sudo semodule -l | grep sshnotify", "enforcing; whether the module is loaded could not be found out")
	case !strings.Contains("\n"+string(out), "\nsshnotify"):
		c.add("SELinux", Fail, hint, "enforcing, and the module is not loaded: the hook may not write")
	default:
		c.add("SELinux", OK, "", "enforcing, and the module is loaded")
	}
}
