package install

import (
	"path"
	"slices"
	"strings"
)

// publishDropIn is what opens the folder of [publish] to the watcher's unit,
// beside a drop-in of the owner's.
const publishDropIn = "/etc/systemd/system/sshnotify-watch.service.d/sshnotify-publish.conf"

// publishFolder is where the watcher writes the page of attackers: a folder that
// the settings name, and that its unit keeps closed by itself.
type publishFolder struct{ path string }

func (a publishFolder) dropIn() wholeFile {
	return rootsFile(publishDropIn, "# Put here by sshnotify install, for file under [publish]; sshnotify uninstall\n"+
		"# takes it out.\n[Service]\nReadWritePaths=-"+a.path+"\n", "the watcher may write where the settings publish")
}

func (a publishFolder) plan(p *planner) error {
	if w := p.h.publishWrong(a.path); w.final {
		p.note("%s: %s", w.problem, w.hint)
		return nil
	}
	f, err := p.h.stat(a.path)
	if err != nil {
		return err
	}
	// One that is there may hold a whole web site.
	if !f.exists {
		if err := p.folder(folder{a.path, 0o755, Owner{WatchUser, WatchUser}, "where the watcher publishes"}, false); err != nil {
			return err
		}
		p.rec.drop(item{Kind: kindFolder, Path: f.path})
		p.rec.set(item{Kind: kindFolder, Path: f.path, Name: published, Created: true})
	} else if w := p.h.publishWrong(a.path); w.problem != "" {
		p.note("%s: %s", w.problem, w.hint)
	}
	if changed, err := p.file(a.dropIn()); err != nil || !changed {
		return err
	}
	p.renewed = true
	if p.f.Running {
		p.run("systemd reads the watcher's unit", nil, "systemctl", "daemon-reload")
	}
	return nil
}

// undo leaves the file to the record, and the folder to it and to purgePages.
func (a publishFolder) undo(*uninstaller) error { return nil }

// published is the name in the record of a folder that was made to publish in.
const published = "published"

// purgePages takes what the watcher writes (see package publish) out of the folders
// that were made for that. One in which somebody put more stays.
func (u *uninstaller) purgePages() error {
	for _, it := range u.rec.Items {
		if it.Kind != kindFolder || it.Name != published {
			continue
		}
		for _, name := range []string{"index.html", "feed.json"} {
			if err := u.purge(path.Join(it.Path, name), "what was published"); err != nil {
				return err
			}
		}
	}
	return nil
}

// check checks that the folder is there, is the watcher's, and is open to its
// unit, whoever opened it.
func (a publishFolder) check(c *checker) {
	const name = "publish"
	if w := c.h.publishWrong(a.path); w.problem != "" {
		c.Fail(name, w.hint, "%s", w.problem)
		return
	}
	open := c.h.text(publishDropIn) == string(a.dropIn().content)
	if out, err := c.h.ask(c.ctx, "systemctl", "show", "-p", "ReadWritePaths", "--value", watchUnitName); err == nil {
		open = slices.ContainsFunc(append(strings.Fields(string(out)), WatchState, WatchRunDir), func(p string) bool {
			return within(a.path, strings.TrimLeft(p, "-+"))
		})
	}
	if !open {
		c.Fail(name, again, "%s: the watcher's unit keeps it closed", a.path)
		return
	}
	c.OK(name, "%s", a.path)
}

// within reports whether a path is a folder or lies in it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// publishWrong is why the watcher can't publish into a folder.
type publishWrong struct {
	problem, hint string // empty: it can, as far as the folder is concerned
	final         bool   // no install changes that
}

// PublishProblem returns why the watcher's user can't publish into a folder, and
// what to do about it; empty where it can.
func (h Host) PublishProblem(dir string) (problem, hint string) {
	if _, watched := h.UserByName(WatchUser); !watched {
		return "nobody watches on this host, so nothing is published", againWatch
	}
	w := h.publishWrong(dir)
	return w.problem, w.hint
}

func (h Host) publishWrong(dir string) publishWrong {
	const elsewhere = `file = "/var/www/attackers" under [publish], for example`
	if strings.Trim(dir, pathLetters) != "" {
		return publishWrong{dir + ": a folder for the watcher's unit has letters, digits and ./_+@- only", elsewhere, true}
	}
	for _, closed := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/run/sshnotify", path.Dir(DefaultConfig), DefaultSpool} {
		if within(dir, closed) {
			return publishWrong{dir + ": the watcher's unit has no way into " + closed, elsewhere, true}
		}
	}
	f, err := h.stat(dir)
	uid, gid, unknown := h.ids(Owner{WatchUser, WatchUser})
	switch {
	case err != nil:
		return publishWrong{err.Error(), "ls -ld " + dir, false}
	case !f.exists:
		return publishWrong{dir + ": not there", againWatch + " makes it, and opens it for the watcher", false}
	case !f.dir:
		return publishWrong{dir + ": not a folder", elsewhere, true}
	case f.mode&0o002 != 0, unknown == nil && (f.uid == uid && f.mode&0o200 != 0 || f.gid == gid && f.mode&0o020 != 0):
		return publishWrong{}
	}
	return publishWrong{dir + ": " + WatchUser + " may not write there (" + octal(f.mode) + " " + h.userName(f.uid) + ":" + h.groupName(f.gid) + ")", "sudo chown " + WatchUser + " " + dir, false}
}
