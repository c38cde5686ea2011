package install

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// PlanUserUninstall plans to take out of one account what PlanUser put in. The
// options are those of PlanUser; only Home, ConfigHome, ZDotDir, State, Spool
// and Resend are looked at.
func PlanUserUninstall(ctx context.Context, h Host, o UserOptions, u UndoOptions) (Plan, error) {
	acc, err := h.account(o)
	if err != nil {
		return Plan{}, err
	}
	if err := checkPath("state folder", acc.State); err != nil {
		return Plan{}, err
	}
	p, err := newPlanner(ctx, h, path.Join(acc.State, recordName))
	if err != nil {
		return Plan{}, err
	}
	t := newTakeout(p, u)
	if err := t.mindQueue(acc.Spool); err != nil {
		return Plan{}, err
	}
	places := h.allStartFiles(acc)
	for _, it := range p.rec.Items {
		if it.Kind == kindEdit {
			places = append(places, it.Path)
		}
	}
	for _, f := range places {
		if err := t.cutFrom(f, cutBlock, "the hook goes"); err != nil {
			return Plan{}, err
		}
	}
	if acc.Resend {
		if err := t.stopResend(acc); err != nil {
			return Plan{}, err
		}
	}
	if err := t.files(); err != nil {
		return Plan{}, err
	}
	t.recordHere()
	if u.Purge {
		for _, d := range []string{acc.Spool, acc.State} {
			if err := t.purge(d, "queue, history and cache"); err != nil {
				return Plan{}, err
			}
		}
	} else {
		t.kept("sshnotify uninstall --purge")
	}
	t.emptied()
	return t.finish()
}

// kept says what stays without purging.
func (t *takeout) kept(command string) {
	var names []string
	for _, it := range t.rec.Items {
		if it.Purge && it.Path != "" && t.h.exists(it.Path) {
			names = append(names, it.Path)
		}
	}
	if len(names) > 0 {
		t.note("settings and history stay (%s); %s takes them out", strings.Join(names, ", "), command)
	}
}

func (t *takeout) stopResend(a userPlace) error {
	dir := path.Join(a.ConfigHome, "systemd/user")
	wants := path.Join(dir, "timers.target.wants")
	if t.h.exists(path.Join(wants, timerName+".timer")) {
		t.run("nothing sends what waits any more", []string{"systemctl", "--user", "enable", "--now", timerName + ".timer"},
			"systemctl", "--user", "disable", "--now", timerName+".timer")
		t.unlinked(path.Join(wants, timerName+".timer"))
	}
	old, ok, err := t.crontab()
	if err != nil || !ok {
		return err
	}
	text, err := cutBlock(old)
	if err != nil {
		return fmt.Errorf("crontab: %w", err)
	}
	t.setCrontab(old, text, "nothing sends what waits any more")
	return nil
}

// unlinked notes what systemctl disable takes out: a link, and its folder with
// the last one.
func (t *takeout) unlinked(link string) {
	t.gone[link] = true
	t.gone[path.Dir(link)] = t.willBeEmpty(path.Dir(link))
}

// PlanSystemUninstall plans to take out of the host what PlanSystem put in.
func PlanSystemUninstall(ctx context.Context, h Host, places Places, u UndoOptions) (Plan, error) {
	places = places.filled()
	if err := places.check(); err != nil {
		return Plan{}, err
	}
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can change the whole host", Do: "sudo sshnotify uninstall --system"}
	}
	p, err := newPlanner(ctx, h, places.recordPath())
	if err != nil {
		return Plan{}, err
	}
	t := newTakeout(p, u)
	if err := t.mindQueue(places.Spool, RunDir, path.Join(places.Spool, "watch")); err != nil {
		return Plan{}, err
	}
	// The hook goes first: from here on no login needs what follows.
	if err := t.pamOut(); err != nil {
		return Plan{}, err
	}
	if err := t.serviceOut(places); err != nil {
		return Plan{}, err
	}
	t.recordHere()
	if u.Purge {
		if err := t.purgeSystem(places); err != nil {
			return Plan{}, err
		}
	} else {
		t.kept("sshnotify uninstall --system --purge")
	}
	t.emptied()
	return t.finish()
}

func (t *takeout) pamOut() error {
	asked, done := false, false // of pam-auth-update
	for _, name := range t.h.pamNames() {
		f, err := t.h.read(path.Join(pamDirs[0], name))
		if err != nil || !f.exists || !bytes.Contains(f.data, []byte("sshnotify")) {
			continue
		}
		if strings.HasPrefix(name, "common-") {
			if !asked {
				asked, done = true, t.profileOut()
			}
			if done {
				continue
			}
		}
		if err := t.cutFrom(f.path, cutHook, "the hook goes"); err != nil {
			return err
		}
	}
	// Edits of files that are gone.
	for _, it := range append([]item(nil), t.rec.Items...) {
		if it.Kind == kindEdit {
			t.rec.drop(it)
		}
	}
	return nil
}

func (t *takeout) serviceOut(places Places) error {
	init, running := t.h.initSystem()
	if running && init == "systemd" {
		t.watchStop() // before who tells what it found
	}
	switch {
	case running && init == "systemd" && t.h.exists(unitWants):
		t.run("the service is stopped", []string{"systemctl", "enable", "--now", unitName}, "systemctl", "disable", "--now", unitName)
		t.unlinked(unitWants)
	case running && init == "openrc" && t.h.exists(openrcLevel):
		t.run("the service is stopped", []string{"rc-service", "sshnotify", "start"}, "rc-service", "sshnotify", "stop")
		t.run("the service is not started at boot", []string{"rc-update", "add", "sshnotify", "default"}, "rc-update", "del", "sshnotify", "default")
	}
	t.links()
	t.known(unitPath, places.Unit())
	t.known(sysusersPath, places.Sysusers())
	t.known(openrcPath, places.OpenRC())
	t.known(watchUnitPath, places.WatchUnit())
	t.known(watchSysusersPath, t.h.watchSysusers(places))
	t.known(watchTmpfilesPath, places.WatchTmpfiles())
	if err := t.files(); err != nil {
		return err
	}
	if running && init == "systemd" && (t.gone[unitPath] || t.gone[watchUnitPath]) {
		t.run("systemd forgets the unit", nil, "systemctl", "daemon-reload")
	}
	if it, ok := t.rec.findName(kindSELinux, "sshnotify"); ok {
		t.rec.drop(it)
		t.run("the SELinux module", nil, "semodule", "-r", "sshnotify")
	}
	return nil
}

func (t *takeout) purgeSystem(places Places) error {
	for _, d := range []string{places.Spool, RunDir, places.State, WatchState, WatchRunDir, watchSettings} {
		if err := t.purge(d, "queue, history and cache"); err != nil {
			return err
		}
	}
	if err := t.handOver(path.Dir(places.Config)); err != nil {
		return err
	}
	t.handOverHost()
	t.userOut(WatchUser, "the watcher's user")
	t.userOut(ServiceUser, "the service's user")
	return nil
}

// handOver makes root's what its owner has put into the settings' folder, and
// keeps it there: who next gets the number of the service's group would read
// secrets.
func (t *takeout) handOver(dir string) error {
	f, err := t.h.stat(dir)
	if err != nil || !f.dir {
		return err
	}
	return filepath.WalkDir(t.h.real(f.path), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return t.h.plain(err)
		}
		at := path.Join(f.path, strings.TrimPrefix(name, t.h.real(f.path)))
		if !d.IsDir() && !d.Type().IsRegular() || t.isGone(at) {
			return nil
		}
		left, err := t.h.stat(at)
		if err != nil {
			return err
		}
		owner := left.gid
		if t.h.userName(left.uid) != ServiceUser && t.h.userName(left.uid) != WatchUser && t.h.groupName(owner) != ServiceUser && t.h.groupName(owner) != WatchUser {
			return nil
		}
		t.add(Change{Action: Owning, Path: at, Mode: left.mode.Perm() &^ 0o077, Owner: ownedByRoot, Existed: true, Why: "its group goes"})
		return nil
	})
}

// handOverHost makes root's what the users to be taken out own elsewhere, such
// as what a pattern's program has written. Of a file of somebody else's that has
// their group, no more than that is root's then.
func (t *takeout) handOverHost() {
	for _, what := range []struct {
		flag, change string
		there        func(string) bool
	}{{"-user", "chown", t.hasUser}, {"-group", "chgrp", t.hasGroup}} {
		var whose []string
		for _, name := range []string{WatchUser, ServiceUser} {
			if _, added := t.rec.findName(kindUser, name); added && t.h.Run != nil && what.there(name) {
				whose = append(whose, "-o", what.flag, name)
			}
		}
		if len(whose) == 0 {
			continue
		}
		args := append([]string{"find", "/", "-xdev", "("}, whose[1:]...)
		t.run("nothing is left to who gets their numbers next", nil, append(args, ")", "-exec", what.change, "-h", "root", "{}", "+")...)
		t.plan.Changes[len(t.plan.Changes)-1].mayFail = true
	}
}

func (t *takeout) hasUser(name string) bool { _, ok := t.h.UserByName(name); return ok }

func (t *takeout) hasGroup(name string) bool { _, ok := t.h.groupByName(name); return ok }

// userOut takes out a user that was added.
func (t *takeout) userOut(name, why string) {
	it, ok := t.rec.findName(kindUser, name)
	if !ok {
		return
	}
	t.rec.drop(it)
	if t.h.Run == nil {
		t.note("left to do: take the user %s out of the image", name)
		return
	}
	if _, there := t.h.UserByName(name); !there {
		return
	}
	cmd := "userdel"
	if !t.h.exists("/usr/sbin/userdel") && !t.h.exists("/usr/bin/userdel") && t.h.exists("/usr/sbin/deluser") {
		cmd = "deluser"
	}
	t.run(why, nil, cmd, name)
	// A process of that user's may still be ending.
	t.plan.Changes[len(t.plan.Changes)-1].mayFail = true
}
