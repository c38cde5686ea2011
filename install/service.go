package install

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// The places of what the services consist of, where no package brings them.
const (
	unitPath     = "/etc/systemd/system/sshnotify.service"
	unitWants    = "/etc/systemd/system/multi-user.target.wants/sshnotify.service"
	sysusersPath = "/etc/sysusers.d/sshnotify.conf"
	tmpfilesPath = "/etc/tmpfiles.d/sshnotify.conf"
	openrcPath   = "/etc/init.d/sshnotify"
	openrcLevel  = "/etc/runlevels/default/sshnotify"

	watchUnitPath     = "/etc/systemd/system/sshnotify-watch.service"
	watchUnitWants    = "/etc/systemd/system/multi-user.target.wants/sshnotify-watch.service"
	watchSysusersPath = "/etc/sysusers.d/sshnotify-watch.conf"
	watchTmpfilesPath = "/etc/tmpfiles.d/sshnotify-watch.conf"
	watchSettings     = "/run/sshnotify-watch.json" // what root hands over at its start

	respondPathPath     = "/etc/systemd/system/" + RespondPath
	respondPathWants    = "/etc/systemd/system/multi-user.target.wants/" + RespondPath
	respondUnitPath     = "/etc/systemd/system/" + RespondService
	respondTmpfilesPath = "/etc/tmpfiles.d/sshnotify-respond.conf"
)

var (
	ownedByRoot    = Owner{"root", "root"}
	readByService  = Owner{"root", ServiceUser}
	ownedByService = Owner{ServiceUser, ServiceUser}
)

// systemUser is the user of a service, with a group of that name.
type systemUser struct {
	name, what string    // what is "service" or "watcher"
	list       wholeFile // of sysusers.d, where no package brings it
	packaged   bool
	home       string
}

func (a systemUser) plan(p *planner) error {
	list := path.Base(a.list.path) // the package's, by its name
	if p.f.Init == "systemd" && !a.packaged {
		list = a.list.path
		if _, err := p.file(a.list); err != nil {
			return err
		}
	}
	_, there := p.h.UserByName(a.name)
	watcher := a.name == WatchUser
	switch add := p.h.addUser(a); {
	case there && (!watcher || len(p.h.lacksGroups()) == 0):
	case p.h.Run == nil && there:
	case p.h.Run == nil && p.f.Init == "systemd":
		p.note("the user %s is added when the image boots (sysusers.d), and gets its folders then (tmpfiles.d)", a.name)
	case p.h.Run == nil:
		return &HostError{
			Reason: "no user " + a.name + " in the image, and no systemd to add it at boot",
			Do:     Command{Args: append([]string{"chroot", p.h.real("/")}, add[0].do...)}.String(),
		}
	case there:
		p.run("the watcher may read logs", nil, "systemd-sysusers", list)
	default:
		p.rec.set(item{Kind: kindUser, Name: a.name, Created: true, Purge: true})
		if p.f.Init == "systemd" {
			add = []userCommand{{[]string{"systemd-sysusers", list}, []string{"userdel", a.name}}}
		}
		for _, c := range add {
			p.run("the "+a.what+"'s user", c.undo, c.do...)
		}
	}
	if watcher && p.h.inServiceGroup() {
		p.run("the watcher reads no secrets", nil, "gpasswd", "-d", WatchUser, ServiceUser)
	}
	return nil
}

func (a systemUser) undo(u *uninstaller) error {
	u.known(a.list)
	return nil
}

func (a systemUser) check(c *checker) {
	if a.name != WatchUser {
		return // its folders' check tells
	}
	u, ok := c.h.UserByName(WatchUser)
	switch lacks := c.h.lacksGroups(); {
	case !ok:
		c.Fail("watch user", againWatch, "no user %s", WatchUser)
	case u.UID == 0:
		c.Fail("watch user", "userdel "+WatchUser+" && "+againWatch, "%s is root", WatchUser)
	case c.h.inServiceGroup():
		c.Fail("watch user", "sudo gpasswd -d "+WatchUser+" "+ServiceUser+" && sudo systemctl restart "+watchUnitName, "%s is in the group %s, which may read the secrets", WatchUser, ServiceUser)
	case c.watchRunsIn(ServiceUser):
		c.Fail("watch user", againWatch+" && sudo systemctl restart "+watchUnitName, "%s has SupplementaryGroups=%s, which may read the secrets", watchUnitName, ServiceUser)
	case len(lacks) > 0:
		c.Warn("watch user", againWatch, "%s is not in the groups %s, whose logs it can't read", WatchUser, strings.Join(lacks, " and "))
	default:
		c.OK("watch user", "%s", WatchUser)
	}
}

// watchRunsIn reports whether the watcher's unit, with its drop-ins, puts it
// into a group.
func (c *checker) watchRunsIn(group string) bool {
	if !c.f.Running {
		return false
	}
	out, err := c.h.ask(c.ctx, "systemctl", "show", "-p", "SupplementaryGroups", "--value", watchUnitName)
	return err == nil && slices.Contains(strings.Fields(string(out)), group)
}

type userCommand struct{ do, undo []string }

// addUser returns the commands that add a user where systemd does not: those of
// the shadow tools, or of busybox.
func (h Host) addUser(a systemUser) []userCommand {
	nologin := "/usr/sbin/nologin"
	if !h.exists(nologin) {
		nologin = "/sbin/nologin"
	}
	if h.exists("/usr/sbin/useradd") || h.exists("/usr/bin/useradd") {
		return []userCommand{{
			[]string{"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", a.home, "--shell", nologin, a.name},
			[]string{"userdel", a.name},
		}}
	}
	return []userCommand{
		{[]string{"addgroup", "-S", a.name}, []string{"delgroup", a.name}},
		{
			[]string{"adduser", "-S", "-D", "-H", "-h", a.home, "-s", nologin, "-G", a.name, "-g", a.name, a.name},
			[]string{"deluser", a.name},
		},
	}
}

// logGroups may read logs: adm those in /var/log where a distribution lets it,
// systemd-journal the journal.
var logGroups = [...]string{"adm", "systemd-journal"}

// lacksGroups returns the groups of the host that the watcher should be in and
// is not.
func (h Host) lacksGroups() []string {
	var out []string
	for _, g := range h.groups() {
		if slices.Contains(logGroups[:], g.Name) && !slices.Contains(g.Members, WatchUser) {
			out = append(out, g.Name)
		}
	}
	return out
}

// inServiceGroup reports whether the watcher is a member of the service's
// group, which may read its secrets.
func (h Host) inServiceGroup() bool {
	return slices.ContainsFunc(h.groups(), func(g passwd.Group) bool {
		return g.Name == ServiceUser && slices.Contains(g.Members, WatchUser)
	})
}

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

// systemdService is a service that systemd starts at boot and keeps running.
type systemdService struct {
	name, what string      // sshnotify.service, and "service" or "watcher"
	title      string      // of its check
	files      []wholeFile // the unit, and its tmpfiles
	wants      string      // the link that has it started at boot
	// moved: the places are not a package's, whose unit is not used then.
	moved bool
	// refresh: a service that was not asked for is only started again where its
	// program or settings are others now.
	refresh bool
	again   string // the command that puts it right
}

func (a systemdService) plan(p *planner) error {
	if a.refresh {
		if (p.renewed || p.h.runsReplaced(p.ctx, a.name)) && p.h.WatchInstalled() && p.active(a.name) {
			p.run("the "+a.what+" takes up what is new", nil, "systemctl", "try-restart", a.name)
		}
		return nil
	}
	unit, reread := p.h.packaged(a.name), false
	if unit == "" || a.moved {
		unit = a.files[0].path
		for i, f := range a.files {
			changed, err := p.file(f)
			if err != nil {
				return err
			}
			reread = reread || changed && (i == 0 || path.Dir(f.path) == path.Dir(a.files[0].path))
		}
	}
	if !p.f.Running {
		return p.link(a.wants, unit, "the "+a.what+" is started at boot")
	}
	if reread {
		p.run("systemd reads the "+a.what+"'s unit", nil, "systemctl", "daemon-reload")
	}
	switch {
	case !p.active(a.name) || !p.h.exists(a.wants):
		p.run("the "+a.what+" is started at boot", []string{"systemctl", "disable", "--now", a.name}, "systemctl", "enable", a.name)
		// Not by enable --now: systemd 255, Ubuntu 24.04's, does not say then that the start failed.
		p.run("the "+a.what+" is started", nil, "systemctl", "start", a.name)
	case reread || p.renewed || p.h.runsReplaced(p.ctx, a.name):
		p.run("the "+a.what+" takes up what is new", []string{"systemctl", "try-restart", a.name}, "systemctl", "restart", a.name)
	}
	return nil
}

func (a systemdService) undo(u *uninstaller) error {
	if u.f.Running && u.f.Init == "systemd" && u.h.exists(a.wants) {
		u.run("the "+a.what+" is stopped", []string{"systemctl", "enable", "--now", a.name}, "systemctl", "disable", "--now", a.name)
		u.unlinked(a.wants)
	}
	for _, f := range a.files {
		u.known(f)
	}
	return nil
}

func (a systemdService) check(c *checker) {
	if a.refresh {
		return
	}
	file, unit := a.files[0], c.h.packaged(a.name)
	if c.h.exists(file.path) {
		unit = file.path
	}
	switch {
	case unit == "" && a.name == unitName && c.h.hookStartsWorkers():
		noService{}.check(c)
		return
	case unit == "" && a.name == unitName:
		c.Fail(a.title, a.again, "not there")
		return
	case !c.h.exists(a.wants):
		c.Fail(a.title, a.again, "%s is not started at boot", cmp.Or(unit, a.name))
		return
	case unit == file.path && c.outdated(file):
		c.Warn(a.title, a.again, "%s is of an older sshnotify", unit)
		return
	case !c.f.Running:
		c.OK(a.title, "%s, started at boot", unit)
		return
	}
	if out, err := c.h.ask(c.ctx, "systemctl", "is-active", a.name); err != nil {
		c.Fail(a.title, "systemctl restart "+a.name+" && journalctl -u "+strings.TrimSuffix(a.name, ".service")+" -n 20", "not running (%s)", strings.TrimSpace(string(out)))
		return
	}
	c.OK(a.title, "%s is running", unit)
	if c.h.runsReplaced(c.ctx, a.name) {
		c.Warn(a.title+"'s program", "sudo systemctl restart "+strings.TrimSuffix(a.name, ".service"), "the %s still runs the program from before an update", a.what)
	}
}

// runsReplaced reports whether a unit still runs a program in whose place another is.
func (h Host) runsReplaced(ctx context.Context, unit string) bool {
	out, err := h.ask(ctx, "systemctl", "show", "-p", "MainPID", "--value", unit)
	pid, err2 := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || err2 != nil || pid == 0 {
		return false
	}
	exe, err := os.Readlink(h.real("/proc/" + strconv.Itoa(pid) + "/exe"))
	return err == nil && strings.HasSuffix(exe, " (deleted)")
}

// active reports whether a unit runs now.
func (p *planner) active(unit string) bool {
	if p.f.Init != "systemd" || !p.f.Running {
		return false
	}
	_, err := p.h.ask(p.ctx, "systemctl", "is-active", "--quiet", unit)
	return err == nil
}

// starts reports whether the plan starts a unit, anew or for the first time.
func (p *planner) starts(unit string) bool {
	return slices.ContainsFunc(p.plan.Changes, func(c Change) bool {
		a := c.Command.Args
		return c.Action == Run && a[0] == "systemctl" && (a[1] == "start" || a[1] == "restart") && a[len(a)-1] == unit
	})
}

// WatchInstalled reports whether install put the watcher's service in, or
// somebody enabled a package's.
func (h Host) WatchInstalled() bool { return h.exists(watchUnitPath) || h.exists(watchUnitWants) }

// RespondInstalled reports whether install had orders of a hub carried out, or somebody
// enabled a package's unit.
func (h Host) RespondInstalled() bool { return h.exists(respondPathPath) || h.exists(respondPathWants) }

// Reload has the host's service read its settings again, where it runs.
func Reload(ctx context.Context, h Host) error {
	if h.Run == nil {
		return nil
	}
	for _, c := range []struct{ is, reload []string }{
		{[]string{"systemctl", "is-active", "--quiet", unitName}, []string{"systemctl", "reload", unitName}},
		{[]string{"rc-service", "sshnotify", "status"}, []string{"rc-service", "sshnotify", "reload"}},
	} {
		if _, err := h.ask(ctx, c.is...); err == nil {
			_, err := h.ask(ctx, c.reload...)
			return err
		}
	}
	return nil
}

// openrcService is the service on hosts with OpenRC.
type openrcService struct{ file wholeFile }

func (a openrcService) plan(p *planner) error {
	changed, err := p.file(a.file)
	if err != nil {
		return err
	}
	if !p.f.Running {
		return p.link(openrcLevel, openrcPath, "the service is started at boot")
	}
	if !p.h.exists(openrcLevel) {
		p.run("the service is started at boot", []string{"rc-update", "del", "sshnotify", "default"}, "rc-update", "add", "sshnotify", "default")
	}
	if _, err := p.h.ask(p.ctx, "rc-service", "sshnotify", "status"); err != nil {
		p.run("the service is started", []string{"rc-service", "sshnotify", "stop"}, "rc-service", "sshnotify", "start")
	} else if changed || p.renewed {
		p.run("the service takes up what is new", nil, "rc-service", "sshnotify", "restart")
	}
	return nil
}

func (a openrcService) undo(u *uninstaller) error {
	if u.f.Running && u.f.Init == "openrc" && u.h.exists(openrcLevel) {
		u.run("the service is stopped", []string{"rc-service", "sshnotify", "start"}, "rc-service", "sshnotify", "stop")
		u.run("the service is not started at boot", []string{"rc-update", "add", "sshnotify", "default"}, "rc-update", "del", "sshnotify", "default")
	}
	u.known(a.file)
	return nil
}

func (a openrcService) check(c *checker) {
	there := c.h.exists(openrcPath)
	switch {
	case !there && c.h.hookStartsWorkers():
		noService{}.check(c)
	case !there:
		c.Fail("service", again, "not there")
	case !c.h.exists(openrcLevel):
		c.Fail("service", again, "%s is not started at boot", openrcPath)
	case c.outdated(a.file):
		c.Warn("service", again, "%s is of an older sshnotify", openrcPath)
	case !c.f.Running:
		c.OK("service", "%s, started at boot", openrcPath)
	default:
		if out, err := c.h.ask(c.ctx, "rc-service", "sshnotify", "status"); err != nil {
			c.Fail("service", "rc-service sshnotify restart", "not running (%s)", strings.TrimSpace(string(out)))
			return
		}
		c.OK("service", "%s is running", openrcPath)
	}
}

// noService is what a host without a service has: workers that the hook starts.
type noService struct{ unknown bool } // no init system is known

func (a noService) plan(p *planner) error {
	if a.unknown {
		p.note("no systemd and no OpenRC here: the hook starts a worker when it needs one")
	}
	return nil
}

func (a noService) undo(*uninstaller) error { return nil }

func (a noService) check(c *checker) {
	c.OK("service", "none: the hook starts a worker when it needs one")
}

// selinuxModule lets the hook write, where SELinux is on.
type selinuxModule struct {
	source wholeFile
	spool  string
	load   bool
}

const selinuxName = "sshnotify"

func (a selinuxModule) plan(p *planner) error {
	if p.f.SELinux == "" {
		return nil
	}
	changed, err := p.file(a.source)
	if err != nil {
		return err
	}
	loading := []string{"semodule", "-i", a.source.path}
	labels := []string{"restorecon", "-RF", a.spool, RunDir}
	if !a.load || p.h.Run == nil {
		if p.f.SELinux == "enforcing" {
			p.note("SELinux keeps the hook from writing until its module is loaded: %s && %s", strings.Join(loading, " "), strings.Join(labels, " "))
		}
		return nil
	}
	if _, loaded := p.rec.findName(kindSELinux, selinuxName); changed || !loaded {
		p.rec.set(item{Kind: kindSELinux, Name: selinuxName, Created: true})
		p.run("the SELinux module", []string{"semodule", "-r", selinuxName}, loading...)
		p.run("the labels of the queue", nil, labels...)
	}
	return nil
}

func (a selinuxModule) undo(u *uninstaller) error {
	if it, ok := u.rec.findName(kindSELinux, selinuxName); ok {
		u.rec.drop(it)
		u.run("the SELinux module", nil, "semodule", "-r", selinuxName)
	}
	u.known(a.source)
	return nil
}

// check checks that SELinux lets the hook write, and has kept nothing from it
// today.
func (a selinuxModule) check(c *checker) {
	if c.f.SELinux == "enforcing" {
		out, err := c.h.ask(c.ctx, "semodule", "-l")
		switch {
		case err != nil:
			c.Warn("SELinux", "sudo semodule -l | grep sshnotify", "enforcing; whether the module is loaded could not be found out")
		case !strings.Contains("\n"+string(out), "\n"+selinuxName):
			c.Fail("SELinux", "sudo sshnotify install --system prints the commands that load the module", "enforcing, and the module is not loaded: the hook may not write")
		default:
			c.OK("SELinux", "enforcing, and the module is loaded")
		}
	}
	if c.f.SELinux == "" || c.h.Run == nil {
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

// hookStartsWorkers reports whether a hook is there that needs no service.
func (h Host) hookStartsWorkers() bool {
	return slices.ContainsFunc(h.hookRules(), func(l hookRule) bool {
		call, _ := l.rule.call()
		return !slices.Contains(call.args, "--no-worker")
	})
}
