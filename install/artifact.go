package install

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// artifact is one thing that install puts on a host. Each is named once, in the
// tables of system.go and account.go, which planning, uninstalling and doctor
// walk.
type artifact interface {
	// plan adds the changes that put it in or bring it up to date, none where
	// it is as it should be.
	plan(*planner) error
	// undo adds the changes that take it out. Whole files, folders and links
	// go by the record, and need to do nothing.
	undo(*uninstaller) error
	// check reports whether it is there and works.
	check(*checker)
}

// checker is what artifacts need to check themselves.
type checker struct {
	ctx context.Context
	h   Host
	f   Findings
	rec record
	*doctor.Report
}

// checkAll checks a table from its end: the hook comes first, and then what it
// needs.
func (c *checker) checkAll(table []artifact) {
	for i := range table {
		table[len(table)-1-i].check(c)
	}
}

// outdated reports whether a file is as install put it there, but would be
// another today.
func (c *checker) outdated(w wholeFile) bool {
	f, err := c.h.read(w.path)
	if err != nil || bytes.Equal(f.data, w.content) {
		return false
	}
	it, ours := c.rec.find(kindFile, f.path)
	return ours && it.SHA256 == sum(f.data)
}

// wholeFile is a file that belongs to sshnotify as a whole.
type wholeFile struct {
	path    string
	content []byte
	mode    fs.FileMode
	owner   Owner
	why     string
	hidden  bool // the content is shown nowhere
	purge   bool // it goes on purge only
	replace bool // also where its owner has another text there
}

// rootsFile is a text that everybody may read and root alone may write.
func rootsFile(at, content, why string) wholeFile {
	return wholeFile{path: at, content: []byte(content), mode: 0o644, owner: ownedByRoot, why: why}
}

// folder is a folder with an owner and a mode.
type folder struct {
	path  string
	mode  fs.FileMode
	owner Owner
	why   string
}

// recordFolder is the folder that the record of what was put in is written to;
// what comes after it in a table is in the record before it is on the host.
type recordFolder struct{ folder }

func (a recordFolder) plan(p *planner) error {
	defer p.recordHere()
	return p.folder(a.folder, true)
}

func (a recordFolder) undo(*uninstaller) error { return nil }

func (a recordFolder) check(*checker) {}

// program is the program that the hook runs.
type program struct {
	path, from string // from, on this machine, is copied there; "" where it is there
	host       bool   // root's hook runs it
}

func (a program) plan(p *planner) error {
	before := len(p.plan.Changes)
	if a.from != "" {
		// It is on this machine also when an image is set up.
		f, err := Host{Root: "/"}.read(a.from)
		if err != nil {
			return err
		}
		if !f.exists {
			return fmt.Errorf("%s: %w", a.from, fs.ErrNotExist)
		}
		w := wholeFile{path: a.path, content: f.data, mode: 0o755, why: "the program", hidden: true, replace: true}
		if a.host {
			w.owner = ownedByRoot
		}
		if _, err := p.file(w); err != nil {
			return err
		}
	}
	if !a.host {
		return nil
	}
	trusted := p.h.trusted
	if len(p.plan.Changes) > before {
		p.renewed, trusted = true, p.h.rootsOwn
	}
	if err := trusted(a.path); err != nil {
		return &HostError{Reason: "root's hook must not run this program: " + err.Error(), Do: "put it into /usr/bin: install -m 0755 sshnotify " + DefaultBinary}
	}
	return nil
}

func (a program) undo(*uninstaller) error { return nil }

func (a program) check(c *checker) {
	if a.host {
		if err := c.h.trusted(a.path); err != nil {
			c.Fail("program", "install -m 0755 sshnotify "+a.path, "%v", err)
			return
		}
		c.OK("program", "%s", a.path)
		return
	}
	f, err := c.h.stat(a.path)
	switch {
	case err != nil || !f.exists || f.dir:
		c.Fail("program", againUser, "%s: not there", a.path)
	case f.mode&0o111 == 0:
		c.Fail("program", "chmod +x "+quoteShell(f.path), "%s: not executable", f.path)
	default:
		c.OK("program", "%s", a.path)
	}
}

// trusted returns why a program must not be run by root's hook: whoever can
// replace it, or a folder above it, would be root at the next login.
func (h Host) trusted(p string) error {
	f, err := h.stat(p)
	switch {
	case err != nil:
		return err
	case !f.exists || f.dir:
		return fmt.Errorf("%s: not there", f.path)
	case f.mode&0o111 == 0:
		return fmt.Errorf("%s: not executable", f.path)
	}
	return h.rootsOwn(f.path)
}

// rootsOwn returns an error that names who besides root could replace what is
// at a path, or will be.
func (h Host) rootsOwn(p string) error {
	at, err := h.resolve(p)
	if err != nil {
		return err
	}
	for ; ; at = path.Dir(at) {
		f, err := h.stat(at)
		switch {
		case err != nil:
			return err
		case !f.exists:
			// It will be made, by root.
		case f.uid != 0 && f.uid != h.UID:
			return fmt.Errorf("%s belongs to %s, not to root", at, h.userName(f.uid))
		case f.mode&0o002 != 0 || f.mode&0o020 != 0 && f.gid != 0:
			return fmt.Errorf("%s can be written by others than root (mode %s)", at, octal(f.mode))
		}
		if at == "/" {
			return nil
		}
	}
}

// FileText is a settings file or a secret to put in.
type FileText struct {
	Path    string
	Content []byte
	Secret  bool // its content is shown in no diff
	// Replace an existing file that has another content. Without it such a
	// file stays as it is, and a note says so.
	Replace bool
}

// settingsFiles are settings and secrets, and their folders.
type settingsFiles struct {
	files         []FileText
	dirMode, mode fs.FileMode
	owner         Owner
	main          string // the host's settings file, to be checked
}

func (a settingsFiles) plan(p *planner) error {
	before := len(p.plan.Changes)
	for _, f := range a.files {
		if err := checkPath("settings file", f.Path); err != nil {
			return err
		}
		dir := folder{path.Dir(f.Path), a.dirMode, a.owner, "settings"}
		d, err := p.h.stat(dir.path)
		if err != nil {
			return err
		}
		// A folder that is there may have been opened to others for a reason.
		if !d.exists {
			if err := p.folder(dir, true); err != nil {
				return err
			}
		}
		if _, err := p.file(wholeFile{
			path: f.Path, content: f.Content, mode: a.mode, owner: a.owner, why: "settings",
			hidden: f.Secret, purge: true, replace: f.Replace,
		}); err != nil {
			return err
		}
	}
	p.renewed = p.renewed || len(p.plan.Changes) > before
	return nil
}

func (a settingsFiles) undo(*uninstaller) error { return nil }

// check checks that the service can read the host's settings, and nobody else.
func (a settingsFiles) check(c *checker) {
	if a.main == "" {
		return
	}
	f, err := c.h.stat(a.main)
	if err != nil || !f.exists || f.dir {
		c.Fail("settings", again, "%s: not there", a.main)
		return
	}
	_, gid, err := c.h.ids(readByService)
	hint := "chown root:" + ServiceUser + " " + f.path + " && chmod 0640 " + f.path
	switch {
	case err != nil:
		c.Fail("settings", again, "%v", err)
	case f.uid != 0 && f.uid != c.h.UID:
		c.Fail("settings", hint, "%s belongs to %s, not to root", f.path, c.h.userName(f.uid))
	case f.mode&0o022 != 0:
		c.Fail("settings", hint, "%s can be written by others (mode %s)", f.path, octal(f.mode))
	case f.mode&0o004 == 0 && (f.gid != gid || f.mode&0o040 == 0):
		c.Fail("settings", hint, "%s can't be read by the service (%s %s:%s)", f.path, octal(f.mode), c.h.userName(f.uid), c.h.groupName(f.gid))
	case f.mode&0o004 != 0:
		c.Warn("settings", hint, "%s can be read by everybody", f.path)
	default:
		c.OK("settings", "%s", f.path)
	}
}

// folders are folders whose owners and modes keep the service from reading what
// is not its own, and from leading root astray. The first must be there.
type folders struct {
	name, again string // of the check, and what puts them right
	dirs        []folder
	absent      bool // their users come with the first boot of an image, which makes them
	// reload is a service that looks at them only when it starts.
	reload string
}

func (a folders) plan(p *planner) error {
	if a.absent {
		return nil
	}
	before := len(p.plan.Changes)
	for _, d := range a.dirs {
		if err := p.folder(d, true); err != nil {
			return err
		}
	}
	if a.reload != "" && len(p.plan.Changes) > before && p.active(a.reload) && !p.starts(a.reload) {
		p.run("the service looks into the new folders", nil, "systemctl", "reload", a.reload)
	}
	return nil
}

func (a folders) undo(*uninstaller) error { return nil }

func (a folders) check(c *checker) {
	good, before := "", len(c.Results)
	for i, d := range a.dirs {
		if d.path == WatchRunDir {
			continue // systemd makes it with the service
		}
		f, err := c.h.stat(d.path)
		uid, gid, unknown := c.h.ids(d.owner)
		switch {
		case err != nil:
			c.Fail(a.name, a.again, "%v", err)
		case !f.exists && i == 0:
			c.Fail(a.name, a.again, "%s: not there, so events can't be kept", d.path)
		case !f.exists:
			c.Warn(a.name, a.again, "%s: not there", d.path)
		case !f.dir:
			c.Fail(a.name, a.again, "%s: not a folder", f.path)
		case unknown != nil:
			c.Fail(a.name, a.again, "%v", unknown)
		case f.uid != uid || f.gid != gid || f.mode != d.mode:
			c.Fail(a.name, a.again, "%s is %s %s:%s, and must be %s %s", f.path,
				octal(f.mode), c.h.userName(f.uid), c.h.groupName(f.gid), octal(d.mode), d.owner)
		default:
			if d.why != "" {
				good += ", " + d.path
			}
		}
	}
	if len(c.Results) == before {
		c.OK(a.name, "%s", good[2:])
	}
}
