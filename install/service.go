package install

import (
	"path"
	"slices"
	"strings"
)

// The places of what the service consists of, where no package brings it.
const (
	unitPath     = "/etc/systemd/system/sshnotify.service"
	unitWants    = "/etc/systemd/system/multi-user.target.wants/sshnotify.service"
	sysusersPath = "/etc/sysusers.d/sshnotify.conf"
	tmpfilesPath = "/etc/tmpfiles.d/sshnotify.conf"
	openrcPath   = "/etc/init.d/sshnotify"
	openrcLevel  = "/etc/runlevels/default/sshnotify"
)

var (
	ownedByRoot    = Owner{"root", "root"}
	readByService  = Owner{"root", ServiceUser}
	ownedByService = Owner{ServiceUser, ServiceUser}
)

// serviceUser adds the service's user. added is false where that is left to
// the first boot of an image.
func (p *planner) serviceUser(f Findings, places Places) (added bool, err error) {
	if f.Init == "systemd" && !f.Packaged {
		if _, err := p.file(whole{path: sysusersPath, content: []byte(places.Sysusers()), mode: 0o644, owner: ownedByRoot, why: "the service's user"}); err != nil {
			return false, err
		}
	}
	if f.ServiceUser {
		return true, nil
	}
	if p.h.Run == nil {
		if f.Init == "systemd" {
			p.note("the user %s is added when the image boots (sysusers.d), and gets its folders then (tmpfiles.d)", ServiceUser)
			return false, nil
		}
		return false, &HostError{
			Reason: "no user " + ServiceUser + " in the image, and no systemd to add it at boot",
			Do:     Command{Args: append([]string{"chroot", p.h.real("/")}, p.h.userCommands(places)[0].do...)}.String(),
		}
	}
	p.rec.set(item{Kind: kindUser, Name: ServiceUser, Created: true, Purge: true})
	if f.Init == "systemd" {
		p.run("the service's user", []string{"userdel", ServiceUser}, "systemd-sysusers", sysusersPath)
		return true, nil
	}
	for _, c := range p.h.userCommands(places) {
		p.run("the service's user", c.undo, c.do...)
	}
	return true, nil
}

// noInit is an init system that no service is known for.
const noInit = "unknown"

type userCommand struct{ do, undo []string }

// userCommands add the user where systemd does not: with the shadow tools, or
// those of busybox.
func (h Host) userCommands(places Places) []userCommand {
	nologin := "/usr/sbin/nologin"
	if !h.exists(nologin) {
		nologin = "/sbin/nologin"
	}
	if h.exists("/usr/sbin/useradd") || h.exists("/usr/bin/useradd") {
		return []userCommand{{
			[]string{"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", places.State, "--shell", nologin, ServiceUser},
			[]string{"userdel", ServiceUser},
		}}
	}
	return []userCommand{
		{[]string{"addgroup", "-S", ServiceUser}, []string{"delgroup", ServiceUser}},
		{
			[]string{"adduser", "-S", "-D", "-H", "-h", places.State, "-s", nologin, "-G", ServiceUser, "-g", ServiceUser, ServiceUser},
			[]string{"deluser", ServiceUser},
		},
	}
}

// folders makes the folders of the design, with their owners and modes.
func (p *planner) folders(places Places) error {
	for _, d := range hostFolders(places) {
		if err := p.folder(d.path, d.mode, d.owner, d.why, true); err != nil {
			return err
		}
	}
	return nil
}

// hostFolders are those of the service. The queue can be passed through, to the
// watcher's part of it (see watchFolders).
func hostFolders(places Places) []whole {
	out := []whole{
		{path: places.Spool, mode: 0o751, owner: readByService, why: "the queue of events"},
		{path: places.State, mode: 0o700, owner: ownedByService, why: "history and cache"},
		{path: RunDir, mode: 0o750, owner: readByService, why: "where hooks write when the queue's disk is full"},
	}
	for _, root := range []string{places.Spool, RunDir} {
		out = append(out,
			whole{path: path.Join(root, "tmp"), mode: 0o710 | setgid, owner: readByService},
			whole{path: path.Join(root, "new"), mode: 0o770 | setgid, owner: readByService})
	}
	return append(out,
		whole{path: path.Join(places.Spool, "cur"), mode: 0o700, owner: ownedByService},
		whole{path: path.Join(places.Spool, "failed"), mode: 0o700, owner: ownedByService})
}

// service puts the service in and has it started. changed says that its
// program or its settings are others now.
func (p *planner) service(f Findings, places Places, files []FileText, changed bool) error {
	switch f.Init {
	case "systemd":
		return p.systemd(f, places, files, changed)
	case "openrc":
		return p.openrc(f, places, changed)
	}
	if f.Init == noInit {
		p.note("no systemd and no OpenRC here: the hook starts a worker when it needs one")
	}
	return nil
}

func (p *planner) systemd(f Findings, places Places, files []FileText, changed bool) error {
	unit, reread := p.h.packagedUnit(), false
	if unit == "" || places != (Places{}).filled() {
		unit = unitPath
		c, err := p.file(whole{path: unitPath, content: []byte(places.Unit()), mode: 0o644, owner: ownedByRoot, why: "the service"})
		if err != nil {
			return err
		}
		reread, changed = c, changed || c
		text := places.Tmpfiles()
		for _, at := range p.settingsFiles(files) {
			text += "z " + at + " 0640 root " + ServiceUser + " -\n"
		}
		if _, err := p.file(whole{path: tmpfilesPath, content: []byte(text), mode: 0o644, owner: ownedByRoot, why: "the service's folders"}); err != nil {
			return err
		}
	}
	if !f.Running {
		return p.link(unitWants, unit, "the service is started at boot")
	}
	if reread {
		p.run("systemd reads the unit", nil, "systemctl", "daemon-reload")
	}
	_, err := p.h.ask(p.ctx, "systemctl", "is-active", "--quiet", unitName)
	switch active := err == nil; {
	case !active || !p.h.exists(unitWants):
		p.run("the service is started, now and at boot", []string{"systemctl", "disable", "--now", unitName}, "systemctl", "enable", "--now", unitName)
	case changed:
		p.run("the service takes up what is new", []string{"systemctl", "try-restart", unitName}, "systemctl", "restart", unitName)
	}
	return nil
}

// settingsFiles are the settings and secrets that are put in now or were put
// in before.
func (p *planner) settingsFiles(files []FileText) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.Path)
	}
	for _, it := range p.rec.Items {
		if it.Kind == kindFile && it.Purge && !slices.Contains(out, it.Path) {
			out = append(out, it.Path)
		}
	}
	return out
}

func (p *planner) openrc(f Findings, places Places, changed bool) error {
	c, err := p.file(whole{path: openrcPath, content: []byte(places.OpenRC()), mode: 0o755, owner: ownedByRoot, why: "the service"})
	if err != nil {
		return err
	}
	if !f.Running {
		return p.link(openrcLevel, openrcPath, "the service is started at boot")
	}
	if !p.h.exists(openrcLevel) {
		p.run("the service is started at boot", []string{"rc-update", "del", "sshnotify", "default"}, "rc-update", "add", "sshnotify", "default")
	}
	if _, err := p.h.ask(p.ctx, "rc-service", "sshnotify", "status"); err != nil {
		p.run("the service is started", []string{"rc-service", "sshnotify", "stop"}, "rc-service", "sshnotify", "start")
	} else if c || changed {
		p.run("the service takes up what is new", nil, "rc-service", "sshnotify", "restart")
	}
	return nil
}

// link has a service started at the boot of an image, as systemctl enable and
// rc-update do on a host that runs.
func (p *planner) link(at, target, why string) error {
	if p.h.exists(at) {
		return nil
	}
	dir, err := p.h.resolve(path.Dir(at))
	if err != nil {
		return err
	}
	at = path.Join(dir, path.Base(at))
	if err := p.parents(at); err != nil {
		return err
	}
	p.rec.set(item{Kind: kindLink, Path: at, Name: target, Created: true})
	p.add(Change{Action: Link, Path: at, New: []byte(target), Why: why})
	return nil
}

// policy puts the SELinux module's source in, and loads it if asked to.
func (p *planner) policy(f Findings, places Places, load bool) error {
	if f.SELinux == "" {
		return nil
	}
	at := path.Join(path.Dir(places.Config), "sshnotify.cil")
	c, err := p.file(whole{path: at, content: []byte(places.SELinux()), mode: 0o644, owner: ownedByRoot, why: "source of the SELinux module"})
	if err != nil {
		return err
	}
	loading := []string{"semodule", "-i", at}
	labels := []string{"restorecon", "-RF", places.Spool, RunDir}
	if !load || p.h.Run == nil {
		if f.SELinux == "enforcing" {
			p.note("SELinux keeps the hook from writing until its module is loaded: %s && %s", strings.Join(loading, " "), strings.Join(labels, " "))
		}
		return nil
	}
	if _, loaded := p.rec.findName(kindSELinux, "sshnotify"); c || !loaded {
		p.rec.set(item{Kind: kindSELinux, Name: "sshnotify", Created: true})
		p.run("the SELinux module", []string{"semodule", "-r", "sshnotify"}, loading...)
		p.run("the labels of the queue", nil, labels...)
	}
	return nil
}
