package install

import (
	"cmp"
	"slices"
	"strings"
)

const againWatch = again + " --watch"

// watch checks the watcher's service, where there is one.
func (c *checks) watch(f Findings, places Places) {
	if f.Init != "systemd" || !c.h.watchInstalled() {
		return
	}
	c.watchService(f, places)
	u, ok := c.h.UserByName(WatchUser)
	switch lacks := c.h.lacksGroups(); {
	case !ok:
		c.Fail("watch user", againWatch, "no user %s", WatchUser)
	case u.UID == 0:
		c.Fail("watch user", "userdel "+WatchUser+" && "+againWatch, "%s is root", WatchUser)
	case c.h.inServiceGroup():
		c.Fail("watch user", "sudo gpasswd -d "+WatchUser+" "+ServiceUser+" && sudo systemctl restart "+watchUnitName, "%s is in the group %s, which may read the secrets", WatchUser, ServiceUser)
	case c.watchRunsIn(f, ServiceUser):
		c.Fail("watch user", againWatch+" && sudo systemctl restart "+watchUnitName, "%s has SupplementaryGroups=%s, which may read the secrets", watchUnitName, ServiceUser)
	case len(lacks) > 0:
		c.Warn("watch user", againWatch, "%s is not in the groups %s, whose logs it can't read", WatchUser, strings.Join(lacks, " and "))
	default:
		c.OK("watch user", "%s", WatchUser)
	}
	if folders := watchFolders(places); c.checkFolders("watch folders", againWatch, places, folders) {
		c.OK("watch folders", "%s", folders[0].path)
	}
}

// watchRunsIn says whether the watcher's unit, with its drop-ins, puts it into a
// group.
func (c *checks) watchRunsIn(f Findings, group string) bool {
	if !f.Running {
		return false
	}
	out, err := c.h.ask(c.ctx, "systemctl", "show", "-p", "SupplementaryGroups", "--value", watchUnitName)
	return err == nil && slices.Contains(strings.Fields(string(out)), group)
}

func (c *checks) watchService(f Findings, places Places) {
	const name = "watch service"
	unit := cmp.Or(c.h.packaged(watchUnitName), watchUnitName)
	if c.h.exists(watchUnitPath) {
		unit = watchUnitPath
	}
	switch {
	case !c.h.exists(watchUnitWants):
		c.Fail(name, againWatch, "%s is not started at boot", unit)
		return
	case unit == watchUnitPath && c.outdated(unit, places.WatchUnit(), places):
		c.Warn(name, againWatch, "%s is of an older sshnotify", unit)
		return
	case !f.Running:
		c.OK(name, "%s, started at boot", unit)
		return
	}
	if out, err := c.h.ask(c.ctx, "systemctl", "is-active", watchUnitName); err != nil {
		c.Fail(name, "systemctl restart "+watchUnitName+" && journalctl -u sshnotify-watch -n 20", "not running (%s)", strings.TrimSpace(string(out)))
		return
	}
	c.OK(name, "%s is running", unit)
}
