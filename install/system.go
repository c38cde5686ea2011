package install

import (
	"context"
	"io/fs"
	"path"
	"slices"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

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
	// Respond has orders of a hub carried out by a service of root's, where systemd runs
	// services; that they are, stays without it, too.
	Respond bool
	// Publish is the folder of [publish], which is opened to the watcher where there
	// is one. Empty: the settings name none.
	Publish string
	// Logs are those that the watcher reads; that it may not is a note of the plan.
	Logs []string
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
	if o.Respond && f.Init != "systemd" {
		return Plan{}, &HostError{Reason: "--respond puts in a service of systemd's, which is not used here", Do: "sudo sshnotify respond REF, on this host"}
	}
	p, err := newPlanner(ctx, h, f, o.recordPath())
	if err != nil {
		return Plan{}, err
	}
	hook := Hook{Binary: o.Binary, Small: h.smallHook(o.Binary), Spool: o.Spool, Args: []string{"--config", o.Config}}
	if f.Init == "systemd" || f.Init == "openrc" {
		hook.Args = []string{"--no-worker"}
	}
	if len(o.Services) == 0 {
		o.Services = []string{"sshd"}
	}
	services, err := h.pamServices(o.Services, f.SSHD, hook)
	if err != nil {
		return Plan{}, err
	}
	return p.walk(hostArtifacts(h, f, p.rec, o, services))
}

// PlanSystemFiles plans to put settings files beside those of the host, and nothing
// else that PlanSystem does: for what upgrades a program alone.
func PlanSystemFiles(ctx context.Context, h Host, places Places, files []FileText) (Plan, error) {
	places = places.filled()
	if err := places.check(); err != nil {
		return Plan{}, err
	}
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can change the whole host", Do: "sudo sshnotify config upgrade --system"}
	}
	p, err := newPlanner(ctx, h, Findings{}, places.recordPath())
	if err != nil {
		return Plan{}, err
	}
	_, known := h.UserByName(ServiceUser)
	return p.walk(hostSettings(places, files, !known))
}

// PlanSystemUninstall plans to take out of the host what PlanSystem put in.
func PlanSystemUninstall(ctx context.Context, h Host, places Places, o UndoOptions) (Plan, error) {
	places = places.filled()
	if err := places.check(); err != nil {
		return Plan{}, err
	}
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can change the whole host", Do: "sudo sshnotify uninstall --system"}
	}
	f := Look(ctx, h)
	p, err := newPlanner(ctx, h, f, places.recordPath())
	if err != nil {
		return Plan{}, err
	}
	u := &uninstaller{p, o, map[string]bool{}}
	if err := u.mindQueue(places.Spool, RunDir, path.Join(places.Spool, "watch")); err != nil {
		return Plan{}, err
	}
	table := hostArtifacts(h, f, p.rec, SystemOptions{Places: places, Watch: true, Respond: true}, nil)
	return u.walk(table, func() error { return u.purgeHost(places) }, "sshnotify uninstall --system --purge")
}

// HostChecks returns the checks of all that PlanSystem puts in, and of what
// could keep it from working. They read no settings: publish is as in
// SystemOptions.
func HostChecks(h Host, places Places, publish string) []doctor.Check {
	places = places.filled()
	return []doctor.Check{{Needs: doctor.NeedsHost, Run: func(ctx context.Context, r *doctor.Report) {
		c := &checker{ctx: ctx, h: h, f: Look(ctx, h), Report: r}
		c.rec, _ = h.loadRecord(places.recordPath()) // without it nothing is called outdated
		services, err := h.pamServices(c.f.hookedServices(), c.f.SSHD, Hook{Binary: places.Binary, Small: h.smallHook(places.Binary), Spool: places.Spool})
		if err != nil {
			c.Fail("hook", again, "%v", err)
		}
		o := SystemOptions{Places: places, Watch: c.f.Init == "systemd" && h.WatchInstalled(), Publish: publish}
		c.checkAll(hostArtifacts(h, c.f, c.rec, o, services))
	}}}
}

// The commands that put things right.
const (
	again        = "sudo sshnotify install --system"
	againWatch   = again + " --watch"
	againRespond = again + " --respond"
)

// hostArtifacts is the table of all that is put on a host, in the order in which
// that is done: each needs only what is above it, and nothing is reported before
// there is who reports it.
func hostArtifacts(h Host, f Findings, rec record, o SystemOptions, services []pamService) []artifact {
	places := o.Places
	// In an image with systemd the first boot adds users and makes folders.
	absent := h.Run == nil && !f.ServiceUser
	_, watcher := h.UserByName(WatchUser)
	settings := hostSettings(places, o.Files, absent)
	moved := places != (Places{}).filled()
	table := []artifact{
		systemUser{
			ServiceUser, "service", rootsFile(sysusersPath, places.Sysusers(), "the service's user"), f.Packaged, places.State,
		},
		settings[0],
		program{places.Binary, o.BinaryFrom, true},
		settings[1],
		folders{name: "folders", again: again, dirs: hostFolders(places), absent: absent},
	}
	responds := f.Init == "systemd" && (o.Respond || h.RespondInstalled())
	if responds { // before the service, which looks for them
		table = append(table, folders{name: "folders of orders", again: againRespond, dirs: respondFolders(places), absent: absent})
	}
	unit := systemdService{
		name: unitName, what: "service", title: "service", wants: unitWants, moved: moved, again: again,
		files: []wholeFile{
			rootsFile(unitPath, places.Unit(), "the service"),
			rootsFile(tmpfilesPath, places.Tmpfiles()+rec.ownersAtBoot(o.Files), "the service's folders"),
		},
	}
	openrc := openrcService{rootsFile(openrcPath, places.OpenRC(), "the service")}
	openrc.file.mode = 0o755
	switch f.Init {
	case "systemd":
		table = append(table, unit)
	case "openrc":
		table = append(table, openrc)
	default:
		table = append(table, noService{f.Init == noInit})
	}
	watch := systemdService{
		name: watchUnitName, what: "watcher", title: "watch service", wants: watchUnitWants, moved: moved, again: againWatch, refresh: !o.Watch,
		files: []wholeFile{
			rootsFile(watchUnitPath, places.WatchUnit(), "the watcher's service"),
			rootsFile(watchTmpfilesPath, places.WatchTmpfiles(), "the watcher's folders"),
		},
	}
	if o.Watch {
		table = append(table,
			systemUser{
				WatchUser, "watcher", rootsFile(watchSysusersPath, h.watchSysusers(places), "the watcher's user"), h.packaged(watchUnitName) != "", WatchState,
			},
			folders{
				name: "watch folders", again: againWatch, dirs: watchFolders(places, f.Running),
				absent: h.Run == nil && !(watcher && f.ServiceUser), reload: unitName,
			})
	}
	if f.Init == "systemd" && (o.Watch || h.WatchInstalled()) {
		table = append(table, watchedLogs{o.Logs})
		if o.Publish != "" {
			table = append(table, publishFolder{o.Publish})
		}
	}
	if responds {
		table = append(table,
			systemdService{
				name: RespondPath, what: "wait for orders", title: "respond service", wants: respondPathWants, moved: moved, again: againRespond,
				files: []wholeFile{
					rootsFile(respondPathPath, places.RespondPathUnit(), "what waits for orders of the hub"),
					rootsFile(respondUnitPath, places.RespondUnit(), "the service that carries them out"),
					rootsFile(respondTmpfilesPath, places.RespondTmpfiles(), "the folders of orders"),
				},
			})
	}
	return append(table, watch,
		selinuxModule{rootsFile(path.Join(path.Dir(places.Config), "sshnotify.cil"), places.SELinux(), "source of the SELinux module"), places.Spool, o.LoadPolicy},
		pamHooks{services})
}

// hostFolders are those of the service. The queue can be passed through, to the
// watcher's part of it (see watchFolders).
func hostFolders(places Places) []folder {
	out := []folder{
		{places.Spool, 0o751, readByService, "the queue of events"},
		{places.State, 0o711, ownedByService, "history and cache"},
		{RunDir, 0o750, readByService, "where hooks write when the queue's disk is full"},
	}
	for _, root := range []string{places.Spool, RunDir} {
		out = append(out,
			folder{path.Join(root, "tmp"), 0o710 | fs.ModeSetgid, readByService, ""},
			folder{path.Join(root, "new"), 0o770 | fs.ModeSetgid, readByService, ""})
	}
	return append(out,
		folder{path.Join(places.Spool, "cur"), 0o700, ownedByService, ""},
		folder{path.Join(places.Spool, "failed"), 0o700, ownedByService, ""})
}

// watchFolders are the watcher's way into the queue (see package spool), which
// is its own, but that the service's group may take from it; and its state.
func watchFolders(places Places, running bool) []folder {
	inbox, own := path.Join(places.Spool, "watch"), Owner{WatchUser, ServiceUser}
	out := []folder{
		{inbox, 0o751, readByService, "where the watcher puts what it finds"},
		{path.Join(inbox, "tmp"), 0o700 | fs.ModeSetgid, own, ""},
		{path.Join(inbox, "new"), 0o770 | fs.ModeSetgid, own, ""},
		{WatchState, 0o711, Owner{WatchUser, WatchUser}, "how far the watcher has come"},
	}
	if running {
		// systemd would make it, and would not take it away when this is undone.
		out = append(out, folder{WatchRunDir, 0o710, Owner{WatchUser, WatchUser}, ""})
	}
	return out
}

// respondFolders are where the worker and root pass orders and evidence to each other,
// see package order.
func respondFolders(places Places) []folder {
	root := path.Join(places.Spool, "orders")
	out := []folder{{root, 0o750, readByService, "orders of the hub, and evidence for it"}}
	for _, name := range []string{"new", "tmp", "evidence", "receipts"} {
		out = append(out, folder{path.Join(root, name), 0o770 | fs.ModeSetgid, readByService, ""})
	}
	return out
}

// ownersAtBoot returns the lines of tmpfiles.d that give the settings and secrets,
// those put in now and those put in before, to the service's group at boot.
func (r record) ownersAtBoot(files []FileText) string {
	var paths []string
	for _, it := range r.Items {
		if it.Kind == kindFile && it.Purge {
			paths = append(paths, it.Path)
		}
	}
	for _, f := range files {
		if !slices.Contains(paths, f.Path) {
			paths = append(paths, f.Path)
		}
	}
	text := ""
	for _, at := range paths {
		text += "z " + at + " 0640 root " + ServiceUser + " -\n"
	}
	return text
}

// watchable returns why the watcher's service can't be put in, and what runs it
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

// purgeHost takes out what only a purge does: folders with all that is in them,
// and the users.
func (u *uninstaller) purgeHost(places Places) error {
	if err := u.purgePages(); err != nil {
		return err
	}
	for _, d := range []string{places.Spool, RunDir, places.State, WatchState, WatchRunDir, watchSettings} {
		if err := u.purge(d, "queue, history and cache"); err != nil {
			return err
		}
	}
	if err := u.purge(places.State+RespondSuffix, "evidence, and what respond undo knows"); err != nil {
		return err
	}
	if err := u.handOver(path.Dir(places.Config)); err != nil {
		return err
	}
	u.handOverHost()
	u.userOut(WatchUser, "the watcher's user")
	u.userOut(ServiceUser, "the service's user")
	return nil
}

// hostSettings are the folder of the host's settings with the record in it, and
// the files. Where the service's user is absent, they are root's alone.
func hostSettings(places Places, files []FileText, absent bool) []artifact {
	owner, dirMode, fileMode := readByService, fs.FileMode(0o750), fs.FileMode(0o640)
	if absent {
		owner, dirMode, fileMode = ownedByRoot, 0o700, 0o600
	}
	return []artifact{
		recordFolder{folder{path.Dir(places.Config), dirMode, owner, "settings"}},
		settingsFiles{files, dirMode, fileMode, owner, places.Config},
	}
}

// recordPath is beside the settings: the service can write its state folder,
// and files are taken away by what the record says.
func (p Places) recordPath() string { return path.Join(path.Dir(p.filled().Config), recordName) }

// noInit is an init system that no service is known for.
const noInit = "unknown"

func (f Findings) usable() error {
	if f.PAM == NoPAM {
		return &HostError{Reason: "no /etc/pam.d here: this host has no PAM", Do: "sshnotify install, as each user, sets up the shells"}
	}
	if f.SSHD.UsePAM == "no" {
		return &HostError{Reason: "sshd does not use PAM (" + f.SSHD.From + "), so the hook would never run", Do: "UsePAM yes in /etc/ssh/sshd_config, then restart sshd"}
	}
	return nil
}
