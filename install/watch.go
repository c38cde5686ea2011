package install

import (
	"path"
	"slices"
	"strings"
)

// The places of what the watcher's service consists of, where no package
// brings it.
const (
	watchUnitPath     = "/etc/systemd/system/sshnotify-watch.service"
	watchUnitWants    = "/etc/systemd/system/multi-user.target.wants/sshnotify-watch.service"
	watchSysusersPath = "/etc/sysusers.d/sshnotify-watch.conf"
	watchTmpfilesPath = "/etc/tmpfiles.d/sshnotify-watch.conf"
	watchSettings     = "/run/sshnotify-watch.json" // what root hands over at its start
)

// logGroups may read logs: adm those in /var/log where a distribution lets it,
// systemd-journal the journal.
var logGroups = [...]string{"adm", "systemd-journal"}

// watchFolders are the watcher's way into the queue (see package spool), which
// is its own, but that the service's group may take from it; and its state.
func watchFolders(places Places) []whole {
	drop, own := path.Join(places.Spool, "watch"), Owner{WatchUser, ServiceUser}
	return []whole{
		{path: drop, mode: 0o751, owner: readByService, why: "where the watcher puts what it finds"},
		{path: path.Join(drop, "tmp"), mode: 0o700 | setgid, owner: own},
		{path: path.Join(drop, "new"), mode: 0o770 | setgid, owner: own},
		{path: WatchState, mode: 0o711, owner: Owner{WatchUser, WatchUser}, why: "how far the watcher has come"},
	}
}

// watchable says why the watcher's service can't be put in, and what runs it
// instead.
func (f Findings) watchable(places Places) error {
	if f.Init == "systemd" {
		return nil
	}
	return &HostError{
		Reason: "--watch puts in a service of systemd's, which is not used here",
		Do:     "run this as root, from what starts services here: " + places.Binary + " watch --config " + places.Config + " --spool " + places.Spool,
	}
}

// watchInstalled says whether install put the watcher's service in, or somebody
// enabled a package's.
func (h Host) watchInstalled() bool { return h.exists(watchUnitPath) || h.exists(watchUnitWants) }

// watchSysusers is the list of the watcher's groups cut down to those that the
// host has: systemd-sysusers would make the others.
func (h Host) watchSysusers(places Places) string {
	var keep []string
	for line := range strings.Lines(places.WatchSysusers()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "m" {
			if _, ok := h.groupByName(f[2]); !ok {
				continue
			}
		}
		keep = append(keep, line)
	}
	return strings.Join(keep, "")
}

// lacksGroups gives the groups of the host that the watcher should be in and is
// not.
func (h Host) lacksGroups() []string {
	var out []string
	for _, f := range h.entries("/etc/group", 4) {
		if slices.Contains(logGroups[:], f[0]) && !slices.Contains(strings.Split(f[3], ","), WatchUser) {
			out = append(out, f[0])
		}
	}
	return out
}

// watchUser adds the watcher's user. added is false where that is left to the
// first boot of an image.
func (p *planner) watchUser(places Places) (added bool, err error) {
	list := "sshnotify-watch.conf" // the package's, by name
	if p.h.packaged(watchUnitName) == "" {
		list = watchSysusersPath
		if _, err := p.file(whole{path: list, content: []byte(p.h.watchSysusers(places)), mode: 0o644, owner: ownedByRoot, why: "the watcher's user"}); err != nil {
			return false, err
		}
	}
	_, there := p.h.UserByName(WatchUser)
	switch {
	case there && len(p.h.lacksGroups()) == 0:
	case p.h.Run == nil:
		if !there {
			p.note("the user %s is added when the image boots (sysusers.d), and gets its folders then (tmpfiles.d)", WatchUser)
		}
		_, service := p.h.UserByName(ServiceUser)
		return there && service, nil
	case there:
		p.run("the watcher may read logs", nil, "systemd-sysusers", list)
	default:
		p.rec.set(item{Kind: kindUser, Name: WatchUser, Created: true, Purge: true})
		p.run("the watcher's user", []string{"userdel", WatchUser}, "systemd-sysusers", list)
	}
	return true, nil
}

// inServiceGroup says whether the watcher is a member of the service's group,
// which may read its secrets.
func (h Host) inServiceGroup() bool {
	return slices.ContainsFunc(h.entries("/etc/group", 4), func(f []string) bool {
		return f[0] == ServiceUser && slices.Contains(strings.Split(f[3], ","), WatchUser)
	})
}

// leaveGroup takes the watcher out of the service's group.
func (p *planner) leaveGroup() {
	if p.h.inServiceGroup() {
		p.run("the watcher reads no secrets", nil, "gpasswd", "-d", WatchUser, ServiceUser)
	}
}

// watch puts the watcher's service in and has it started. changed says that its
// program or its settings are others now.
func (p *planner) watch(f Findings, places Places, changed bool) error {
	added, err := p.watchUser(places)
	if err != nil {
		return err
	}
	if added {
		p.leaveGroup()
		before := len(p.plan.Changes)
		folders := watchFolders(places)
		if f.Running {
			// systemd would make it, and would not take it away when this is undone.
			folders = append(folders, whole{path: WatchRunDir, mode: 0o710, owner: Owner{WatchUser, WatchUser}})
		}
		for _, d := range folders {
			if err := p.folder(d.path, d.mode, d.owner, d.why, true); err != nil {
				return err
			}
		}
		if len(p.plan.Changes) > before && p.active(f, unitName) && !p.starts(unitName) {
			p.run("the service looks into the new folders", nil, "systemctl", "reload", unitName)
		}
	}
	unit, reread := p.h.packaged(watchUnitName), false
	if unit == "" || places != (Places{}).filled() {
		unit = watchUnitPath
		reread, err = p.file(whole{path: unit, content: []byte(places.WatchUnit()), mode: 0o644, owner: ownedByRoot, why: "the watcher's service"})
		if err != nil {
			return err
		}
		if _, err := p.file(whole{path: watchTmpfilesPath, content: []byte(places.WatchTmpfiles()), mode: 0o644, owner: ownedByRoot, why: "the watcher's folders"}); err != nil {
			return err
		}
	}
	if !f.Running {
		return p.link(watchUnitWants, unit, "the watcher is started at boot")
	}
	if reread {
		p.run("systemd reads the watcher's unit", nil, "systemctl", "daemon-reload")
	}
	switch {
	case !p.active(f, watchUnitName) || !p.h.exists(watchUnitWants):
		p.run("the watcher is started, now and at boot", []string{"systemctl", "disable", "--now", watchUnitName}, "systemctl", "enable", "--now", watchUnitName)
	case reread || changed:
		p.run("the watcher takes up what is new", nil, "systemctl", "restart", watchUnitName)
	}
	return nil
}

// watchOn sees to a watcher that is there already and was not asked for again:
// it stays as it is, but for a program or settings that are others now.
func (p *planner) watchOn(f Findings) {
	if p.h.watchInstalled() && p.active(f, watchUnitName) {
		p.run("the watcher takes up what is new", nil, "systemctl", "try-restart", watchUnitName)
	}
}

// active says whether a unit runs now.
func (p *planner) active(f Findings, unit string) bool {
	if f.Init != "systemd" || !f.Running {
		return false
	}
	_, err := p.h.ask(p.ctx, "systemctl", "is-active", "--quiet", unit)
	return err == nil
}

// starts says whether the plan starts a unit, anew or for the first time.
func (p *planner) starts(unit string) bool {
	return slices.ContainsFunc(p.plan.Changes, func(c Change) bool {
		a := c.Command.Args
		return c.Action == Run && a[0] == "systemctl" && (a[1] == "enable" || a[1] == "restart") && a[len(a)-1] == unit
	})
}

// watchStop stops the watcher's service.
func (t *takeout) watchStop() {
	if !t.h.exists(watchUnitWants) {
		return
	}
	t.run("the watcher is stopped", []string{"systemctl", "enable", "--now", watchUnitName}, "systemctl", "disable", "--now", watchUnitName)
	t.unlinked(watchUnitWants)
}
