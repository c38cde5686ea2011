package install

import (
	"context"
	"io/fs"
	"path"
	"slices"
)

const setgid = fs.ModeSetgid

// SystemOptions say what to put in for the whole host.
type SystemOptions struct {
	Places
	// BinaryFrom, a path on this machine, is copied to Places.Binary.
	BinaryFrom string
	// Files are put in as root:sshnotify 0640.
	Files []FileText
	// Services get the hook: sshd (none means that), sudo, su, login.
	Services []string
	// NoService leaves the service out: the hook starts workers.
	NoService bool
	// Watch puts the watcher in, as a service of its own, where systemd runs
	// services. One that is there stays without it, too.
	Watch bool
	// LoadPolicy loads the SELinux module where SELinux is on.
	LoadPolicy bool
}

// PlanSystem plans the set-up of the whole host. *PAMError says that a stack is
// not understood, *HostError what has to be done first.
func PlanSystem(ctx context.Context, h Host, o SystemOptions) (Plan, error) {
	o.Places = o.filled()
	if err := o.Places.check(); err != nil {
		return Plan{}, err
	}
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can set up the whole host", Do: "sudo sshnotify install --system"}
	}
	f := Look(ctx, h)
	if err := f.usable(); err != nil {
		return Plan{}, err
	}
	if o.NoService {
		f.Init = ""
	} else if f.Init == "" {
		f.Init = noInit
	}
	if o.Watch {
		if err := f.watchable(o.Places); err != nil {
			return Plan{}, err
		}
	}
	p, err := newPlanner(ctx, h, o.recordPath())
	if err != nil {
		return Plan{}, err
	}
	if err := p.system(f, o); err != nil {
		return Plan{}, err
	}
	return p.finish()
}

// recordPath is beside the settings: the service can write its state folder,
// and files are taken away by what the record says.
func (p Places) recordPath() string { return path.Join(path.Dir(p.filled().Config), recordName) }

func (f Findings) usable() error {
	if f.PAM == NoPAM {
		return &HostError{Reason: "no /etc/pam.d here: this host has no PAM", Do: "sshnotify install, as each user, sets up the shells"}
	}
	if f.SSHD.UsePAM == "no" {
		return &HostError{Reason: "sshd does not use PAM (" + f.SSHD.From + "), so the hook would never run", Do: "UsePAM yes in /etc/ssh/sshd_config, then restart sshd"}
	}
	return nil
}

func (p *planner) system(f Findings, o SystemOptions) error {
	hook, services := Hook{Binary: o.Binary, Spool: o.Spool}, o.Services
	if f.Init == "systemd" || f.Init == "openrc" {
		hook.Args = []string{"--no-worker"}
	} else {
		hook.Args = []string{"--config", o.Config}
	}
	if len(services) == 0 {
		services = []string{"sshd"}
	}
	ds, err := p.h.doorsFor(services, f.SSHD, hook)
	if err != nil {
		return err
	}
	there, err := p.serviceUser(f, o.Places)
	if err != nil {
		return err
	}
	settingsOwner, dirMode, fileMode := readByService, fs.FileMode(0o750), fs.FileMode(0o640)
	if !there {
		settingsOwner, dirMode, fileMode = ownedByRoot, 0o700, 0o600
	}
	if err := p.folder(path.Dir(o.Config), dirMode, settingsOwner, "settings", true); err != nil {
		return err
	}
	p.recordHere()
	before := len(p.plan.Changes)
	if err := p.binary(o.Binary, o.BinaryFrom, ownedByRoot); err != nil {
		return err
	}
	replaced := len(p.plan.Changes) > before
	trusted := p.h.trusted
	if replaced {
		trusted = p.h.rootsOwn
	}
	if err := trusted(o.Binary); err != nil {
		return &HostError{Reason: "root's hook must not run this program: " + err.Error(), Do: "put it into /usr/bin: install -m 0755 sshnotify " + DefaultBinary}
	}
	before = len(p.plan.Changes)
	for _, s := range o.Files {
		if err := p.settings(s, dirMode, fileMode, settingsOwner); err != nil {
			return err
		}
	}
	changed := replaced || len(p.plan.Changes) > before
	if there {
		if err := p.folders(o.Places); err != nil {
			return err
		}
	}
	if err := p.service(f, o.Places, o.Files, changed); err != nil {
		return err
	}
	switch {
	case o.Watch:
		if err := p.watch(f, o.Places, changed); err != nil {
			return err
		}
	case changed:
		p.watchOn(f)
	}
	if err := p.policy(f, o.Places, o.LoadPolicy); err != nil {
		return err
	}
	// The hook comes last: nothing is told before there is who tells it.
	profiled, err := p.pam(f, ds)
	if err != nil {
		return err
	}
	p.systemNotes(f, ds, profiled)
	return nil
}

func (p *planner) systemNotes(f Findings, ds []door, profiled bool) {
	if f.SSHD.UsePAM == "" {
		p.note("whether sshd uses PAM could not be found out: it must say UsePAM yes")
	}
	for _, l := range f.Hooks {
		if !slices.ContainsFunc(ds, func(d door) bool { return l.File == path.Join(pamDirs[0], d.name) }) && (l.File != commonSession || !profiled) {
			p.note("%s: line %d runs the hook too", l.File, l.Row)
		}
	}
	for _, o := range f.OldHooks {
		p.note("%s: line %d %s: a login would be told twice", o.File, o.Row, o.What)
	}
	if f.PAM == DebianPAM && !profiled {
		p.note("when an update of openssh-server brings another /etc/pam.d/sshd, dpkg asks: keep the line, or install again")
	}
}
