package install

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
)

// planner gathers a plan. What is already as it should be adds no change.
type planner struct {
	ctx  context.Context
	h    Host
	f    Findings
	plan Plan
	rec  record
	// recAt is the place of the record, and recBefore the number of changes
	// that come before it is written: its folder, and the user who owns that.
	recAt     string
	recBefore int
	made      map[string]bool // folders that the plan makes
	// renewed: the program or its settings are others now, so that what runs
	// must be started again.
	renewed bool
}

func newPlanner(ctx context.Context, h Host, f Findings, recAt string) (*planner, error) {
	recAt, err := h.resolve(recAt)
	if err != nil {
		return nil, err
	}
	rec, err := h.loadRecord(recAt)
	if err != nil {
		return nil, err
	}
	return &planner{ctx: ctx, h: h, f: f, rec: rec, recAt: recAt, made: map[string]bool{}}, nil
}

func (p *planner) add(c Change) { p.plan.Changes = append(p.plan.Changes, c) }

func (p *planner) note(format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...))
}

// walk plans all artifacts of a table, and returns the plan.
func (p *planner) walk(table []artifact) (Plan, error) {
	for _, a := range table {
		if err := a.plan(p); err != nil {
			return Plan{}, err
		}
	}
	return p.finish()
}

// file puts in a whole file, and reports whether its content changes.
func (p *planner) file(w wholeFile) (bool, error) {
	f, err := p.h.read(w.path)
	if err != nil {
		return false, err
	}
	it, ours := p.rec.find(kindFile, f.path)
	if f.exists && bytes.Equal(f.data, w.content) {
		return false, p.rights(f, w.mode, w.owner, w.why)
	}
	untouched := ours && it.SHA256 == sum(f.data)
	if f.exists && !untouched && !w.replace {
		p.note("%s stays as it is: it is not what sshnotify put there", f.path)
		return false, nil
	}
	if err := p.parents(f.path); err != nil {
		return false, err
	}
	if !ours {
		it = item{Kind: kindFile, Path: f.path, Created: !f.exists, Purge: w.purge}
		if f.exists && len(f.data) <= maxBefore {
			it.Before, it.Mode = f.data, f.mode
		}
	}
	it.SHA256 = sum(w.content)
	p.rec.set(it)
	p.add(Change{
		Action: Write, Path: f.path, Mode: w.mode, Owner: w.owner, Old: f.data, New: w.content,
		Existed: f.exists, Hidden: w.hidden, Why: w.why,
	})
	return true, nil
}

// edit changes a part of a file of its owner's, keeping mode and owner. A file
// that does not exist is made with the given mode.
func (p *planner) edit(f file, content []byte, mode fs.FileMode, why string) error {
	if f.exists && bytes.Equal(f.data, content) {
		return nil
	}
	if err := p.parents(f.path); err != nil {
		return err
	}
	if _, ours := p.rec.find(kindEdit, f.path); !ours {
		p.rec.set(item{Kind: kindEdit, Path: f.path, Created: !f.exists})
	}
	c := Change{Action: Write, Path: f.path, Mode: mode, Old: f.data, New: content, Existed: f.exists, Why: why}
	if f.exists {
		c.Mode = f.mode
	}
	if f.exists && f.uid == os.Geteuid() && !canGive(f.gid) {
		p.note("%s belongs to the group %d, which only root can keep: it gets your own", f.path, f.gid)
	}
	if f.links > 1 {
		p.note("%s has %d names (hard links): only this one gets the change", f.path, f.links)
	}
	p.add(c)
	return nil
}

// canGive reports whether this process may give its files to a group.
func canGive(gid int) bool {
	if os.Geteuid() == 0 || gid == os.Getegid() {
		return true
	}
	groups, err := os.Getgroups()
	return err != nil || slices.Contains(groups, gid)
}

// folder makes a folder, or sets the owner and mode of one that is there. With
// purge it goes on purge only.
func (p *planner) folder(d folder, purge bool) error {
	f, err := p.h.stat(d.path)
	if err != nil {
		return err
	}
	if f.exists {
		if !f.dir {
			return fmt.Errorf("%s: not a folder", f.path)
		}
		return p.rights(f, d.mode, d.owner, d.why)
	}
	if p.made[f.path] {
		return nil
	}
	if err := p.parents(f.path); err != nil {
		return err
	}
	p.made[f.path] = true
	p.rec.set(item{Kind: kindFolder, Path: f.path, Created: true, Purge: purge})
	p.add(Change{Action: Mkdir, Path: f.path, Mode: d.mode, Owner: d.owner, Why: d.why})
	return nil
}

// parents makes the folders above a path.
func (p *planner) parents(of string) error {
	dir := path.Dir(of)
	f, err := p.h.stat(dir)
	if err != nil {
		return err
	}
	if f.exists {
		if !f.dir {
			return fmt.Errorf("%s: not a folder", f.path)
		}
		return nil
	}
	// /etc and the like are everybody's; what a user lacks is her own.
	mode := fs.FileMode(0o700)
	if p.h.UID == 0 {
		mode = 0o755
	}
	return p.folder(folder{path: dir, mode: mode}, false)
}

// rights sets the owner and mode of what is there, where they are not right.
func (p *planner) rights(f file, mode fs.FileMode, o Owner, why string) error {
	uid, gid := f.uid, f.gid
	if o != (Owner{}) {
		var err error
		if uid, gid, err = p.h.ids(o); err != nil {
			// The user is added by this very plan, or at the first boot.
			uid, gid = -1, -1
		}
	}
	if f.mode == mode && f.uid == uid && f.gid == gid {
		return nil
	}
	p.add(Change{Action: Owning, Path: f.path, Mode: mode, Owner: o, Existed: true, Why: why})
	return nil
}

// run plans a command, or says that it is left to do where none can be run.
func (p *planner) run(why string, undo []string, args ...string) {
	c := Command{Args: args}
	if p.h.Run == nil {
		p.note("left to do (%s): %s", why, c)
		return
	}
	p.add(Change{Action: Run, Command: c, Undo: Command{Args: undo}, Why: why})
}

// recordHere reports that the record is written at this point of the plan.
func (p *planner) recordHere() { p.recBefore = len(p.plan.Changes) }

// finish puts the record into the plan. It comes before what it tells of, so
// that a plan that was cut off in the middle can be undone.
func (p *planner) finish() (Plan, error) {
	f, err := p.h.read(p.recAt)
	if err != nil {
		return Plan{}, err
	}
	content, err := p.rec.bytes()
	if err != nil {
		return Plan{}, err
	}
	c := Change{
		Action: Write, Path: f.path, Mode: 0o600, Old: f.data, New: content, Existed: f.exists,
		Hidden: true, Why: "what was put in, for uninstall",
	}
	switch {
	case len(p.rec.Items) == 0 && !f.exists, bytes.Equal(content, f.data):
		return p.plan, nil
	case len(p.rec.Items) == 0:
		c.Action, c.New = Remove, nil
	}
	p.plan.Changes = slices.Insert(p.plan.Changes, p.recBefore, c)
	return p.plan, nil
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

// last returns the change that was added last.
func (p *planner) last() *Change { return &p.plan.Changes[len(p.plan.Changes)-1] }
