package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// QueuedError: events wait in the queue that purging would throw away.
type QueuedError struct {
	Dir             string
	Waiting, Failed int
}

func (e *QueuedError) Error() string {
	wait := fmt.Sprintf("%d events wait", e.Waiting)
	if e.Waiting == 1 {
		wait = "1 event waits"
	}
	return fmt.Sprintf("%s: %s to be told, and %d could not be told", e.Dir, wait, e.Failed)
}

// UndoOptions say how much uninstalling takes out.
type UndoOptions struct {
	// Purge takes settings, history and the queue too, though their owner may
	// have changed them.
	Purge bool
	// DropQueue lets Purge throw waiting events away.
	DropQueue bool
}

// uninstaller plans an uninstall: it undoes the artifacts of a table, last one
// first, and takes out the files, links and folders of the record.
type uninstaller struct {
	*planner
	UndoOptions
	gone map[string]bool // what the plan takes away
}

// walk undoes a table. purge takes out what only a purge does, and command is
// what a person runs for that.
func (u *uninstaller) walk(table []artifact, purge func() error, command string) (Plan, error) {
	for _, a := range slices.Backward(table) {
		if err := a.undo(u); err != nil {
			return Plan{}, err
		}
	}
	u.links()
	if err := u.files(); err != nil {
		return Plan{}, err
	}
	if u.f.Running && u.f.Init == "systemd" && (u.gone[unitPath] || u.gone[watchUnitPath] || u.gone[publishDropIn]) {
		u.run("systemd forgets the unit", nil, "systemctl", "daemon-reload")
	}
	u.recordHere()
	if u.Purge {
		if err := purge(); err != nil {
			return Plan{}, err
		}
	} else {
		u.kept(command)
	}
	u.emptied()
	return u.finish()
}

// cutFrom takes what is ours out of a file of its owner's, and the file too if
// it was made for that and nothing else is in it.
func (u *uninstaller) cutFrom(p string, cut func([]byte) ([]byte, error), why string) error {
	f, err := u.h.read(p)
	if err != nil {
		return err
	}
	it, ours := u.rec.find(kindEdit, f.path)
	if ours {
		u.rec.drop(it)
	}
	if !f.exists || u.gone[f.path] {
		return nil
	}
	content, err := cut(f.data)
	var pe *PAMError
	if errors.As(err, &pe) {
		return inFile(err, f.path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	switch {
	case bytes.Equal(content, f.data) && !(ours && it.Created && len(f.data) == 0):
	case len(content) == 0 && ours && it.Created:
		u.gone[f.path] = true
		u.add(Change{Action: Remove, Path: f.path, Old: f.data, Existed: true, Why: why})
	default:
		// Once for each file, whatever its names.
		if u.made[f.path] {
			return nil
		}
		u.made[f.path] = true
		u.add(Change{Action: Write, Path: f.path, Mode: f.mode, Old: f.data, New: content, Existed: true, Why: why})
	}
	return nil
}

// files takes out the whole files, or gives back what they replaced.
func (u *uninstaller) files() error {
	for _, it := range slices.Backward(slices.Clone(u.rec.Items)) {
		if it.Kind != kindFile || it.Purge && !u.Purge {
			continue
		}
		f, err := u.h.read(it.Path)
		if err != nil {
			return err
		}
		u.rec.drop(it)
		switch {
		case !f.exists || f.path != it.Path:
		case sum(f.data) != it.SHA256 && !it.Purge:
			u.note("%s stays: it was changed after it was put in", f.path)
		case !it.Created && it.Mode == 0:
			u.note("%s stays: what it replaced was too large to be kept", f.path)
		case it.Created:
			u.gone[f.path] = true
			u.add(Change{Action: Remove, Path: f.path, Old: f.data, Existed: true, Hidden: it.Purge || len(f.data) > maxBefore})
		case it.Purge && sum(f.data) != it.SHA256:
			u.note("%s stays: it was there before sshnotify, and was changed since", f.path)
		default:
			u.add(Change{
				Action: Write, Path: f.path, Mode: it.Mode, Old: f.data, New: it.Before, Existed: true,
				Hidden: it.Purge, Why: "as it was before",
			})
		}
	}
	return nil
}

// known takes a file into the record that install would have put there as it
// is: the record may have been lost.
func (u *uninstaller) known(w wholeFile) {
	f, err := u.h.read(w.path)
	if err != nil || !f.exists || !bytes.Equal(f.data, w.content) {
		return
	}
	if _, ok := u.rec.find(kindFile, f.path); !ok {
		u.rec.set(item{Kind: kindFile, Path: f.path, Created: true, SHA256: sum(f.data)})
	}
}

// links takes out the links that had an image's service started.
func (u *uninstaller) links() {
	for _, it := range slices.Clone(u.rec.Items) {
		if it.Kind != kindLink {
			continue
		}
		u.rec.drop(it)
		if target, err := os.Readlink(u.h.real(it.Path)); err == nil && target == it.Name {
			u.gone[it.Path] = true
			u.add(Change{Action: Unlink, Path: it.Path, Old: []byte(it.Name), Existed: true})
		}
	}
}

// emptied takes out the folders that were made, where nothing is left in them.
func (u *uninstaller) emptied() {
	if u.Purge {
		// Purging is final: the record goes, whatever stays.
		u.gone[u.recAt] = true
	}
	for _, it := range slices.Backward(slices.Clone(u.rec.Items)) {
		if it.Kind != kindFolder || it.Purge && !u.Purge {
			continue
		}
		if u.isGone(it.Path) || !u.h.exists(it.Path) {
			u.rec.drop(it)
			continue
		}
		if !u.willBeEmpty(it.Path) {
			if u.Purge {
				u.rec.drop(it)
				u.note("%s stays: it is not empty", it.Path)
			}
			continue
		}
		u.rec.drop(it)
		u.gone[it.Path] = true
		u.add(Change{Action: Rmdir, Path: it.Path, Existed: true})
	}
}

// isGone reports whether the plan takes a path away, itself or with a folder above
// it.
func (u *uninstaller) isGone(p string) bool {
	for ; p != "/"; p = path.Dir(p) {
		if u.gone[p] {
			return true
		}
	}
	return false
}

func (u *uninstaller) willBeEmpty(dir string) bool {
	entries, err := os.ReadDir(u.h.real(dir))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !u.gone[path.Join(dir, e.Name())] {
			return false
		}
	}
	return true
}

// purge takes out a folder with all that is in it.
func (u *uninstaller) purge(dir, why string) error {
	if dir == "" {
		return nil
	}
	f, err := u.h.stat(dir)
	if err != nil || !f.exists {
		return err
	}
	u.gone[f.path] = true
	u.add(Change{Action: Purge, Path: f.path, Existed: true, Why: why})
	return nil
}

// queued counts the events in a spool's folders. Names that the spool itself
// would not take for an event do not count, nor do the worker's messages, which
// carry events that are counted.
func (h Host) queued(dirs ...string) (waiting, failed int) {
	count := func(dir string) (found int) {
		entries, _ := os.ReadDir(h.real(dir))
		for _, e := range entries {
			if n := e.Name(); e.Type().IsRegular() && path.Ext(n) == ".json" && n[0] != '.' && !strings.HasPrefix(n, "msg-") {
				found++
			}
		}
		return found
	}
	for _, d := range dirs {
		if d == "" {
			continue
		}
		waiting += count(path.Join(d, "new")) + count(path.Join(d, "cur"))
		failed += count(path.Join(d, "failed"))
	}
	return waiting, failed
}

// mindQueue keeps purging from throwing events away unasked.
func (u *uninstaller) mindQueue(spool string, others ...string) error {
	waiting, failed := u.h.queued(append([]string{spool}, others...)...)
	if waiting+failed == 0 {
		return nil
	}
	q := &QueuedError{spool, waiting, failed}
	switch {
	case !u.Purge:
		u.note("%s; nothing sends them now", q)
	case !u.DropQueue:
		return q
	default:
		u.note("%s; they are thrown away", q)
	}
	return nil
}

// kept says what stays without purging.
func (u *uninstaller) kept(command string) {
	var names []string
	for _, it := range u.rec.Items {
		if it.Purge && it.Path != "" && u.h.exists(it.Path) {
			names = append(names, it.Path)
		}
	}
	if len(names) > 0 {
		u.note("settings and history stay (%s); %s takes them out", strings.Join(names, ", "), command)
	}
}

// unlinked notes what systemctl disable takes out: a link, and its folder with
// the last one.
func (u *uninstaller) unlinked(link string) {
	u.gone[link] = true
	u.gone[path.Dir(link)] = u.willBeEmpty(path.Dir(link))
}

// handOver makes root's what the owner of the host has put into the settings' folder, and
// keeps it there, where the service's users go: who next gets the number of their group
// would read secrets.
func (u *uninstaller) handOver(dir string) error {
	f, err := u.h.stat(dir)
	if err != nil || !f.dir {
		return err
	}
	return filepath.WalkDir(u.h.real(f.path), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return u.h.plain(err)
		}
		at := path.Join(f.path, strings.TrimPrefix(name, u.h.real(f.path)))
		if !d.IsDir() && !d.Type().IsRegular() || u.isGone(at) {
			return nil
		}
		left, err := u.h.stat(at)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc([]string{ServiceUser, WatchUser}, func(name string) bool {
			_, goes := u.rec.findName(kindUser, name) // those of a package stay, and read it
			return goes && (u.h.userName(left.uid) == name || u.h.groupName(left.gid) == name)
		}) {
			return nil
		}
		u.add(Change{Action: Owning, Path: at, Mode: left.mode.Perm() &^ 0o077, Owner: ownedByRoot, Existed: true, Why: "its group goes"})
		return nil
	})
}

// handOverHost makes root's what the users to be taken out own elsewhere, such
// as what a pattern's program has written. Of a file of somebody else's that has
// their group, no more than that is root's then.
func (u *uninstaller) handOverHost() {
	for _, what := range []struct {
		flag, change string
		there        func(string) bool
	}{{"-user", "chown", u.hasUser}, {"-group", "chgrp", u.hasGroup}} {
		var whose []string
		for _, name := range []string{WatchUser, ServiceUser} {
			if _, added := u.rec.findName(kindUser, name); added && u.h.Run != nil && what.there(name) {
				whose = append(whose, "-o", what.flag, name)
			}
		}
		if len(whose) == 0 {
			continue
		}
		args := append([]string{"find", "/", "-xdev", "("}, whose[1:]...)
		u.run("nothing is left to who gets their numbers next", nil, append(args, ")", "-exec", what.change, "-h", "root", "{}", "+")...)
		u.last().mayFail = true
	}
}

func (u *uninstaller) hasUser(name string) bool { _, ok := u.h.UserByName(name); return ok }

func (u *uninstaller) hasGroup(name string) bool { _, ok := u.h.groupByName(name); return ok }

// userOut takes out a user that was added.
func (u *uninstaller) userOut(name, why string) {
	it, ok := u.rec.findName(kindUser, name)
	if !ok {
		return
	}
	u.rec.drop(it)
	if u.h.Run == nil {
		u.note("left to do: take the user %s out of the image", name)
		return
	}
	if _, there := u.h.UserByName(name); !there {
		return
	}
	cmd := "userdel"
	if !u.h.exists("/usr/sbin/userdel") && !u.h.exists("/usr/bin/userdel") && u.h.exists("/usr/sbin/deluser") {
		cmd = "deluser"
	}
	u.run(why, nil, cmd, name)
	// A process of that user's may still be ending.
	u.last().mayFail = true
}

// inFile names the file in an error of cutHook.
func inFile(err error, name string) error {
	var pe *PAMError
	if errors.As(err, &pe) && pe.File == "" {
		pe.File = name
	}
	return err
}
