package install

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
)

// Report is what applying a plan came to. Its JSON is part of --json's output.
type Report struct {
	Done   []Change `json:"changed"`          // what was changed and stands
	Undone []Change `json:"undone,omitempty"` // what was changed and taken back after a failure
	// Left is what was changed and could not be taken back, with the reason.
	Left []Failure `json:"left,omitempty"`
	// Failed is what went wrong without ending the plan.
	Failed []Failure `json:"failed,omitempty"`
	Notes  []string  `json:"notes"`
}

// Failure is a change and what went wrong with it, or with taking it back.
type Failure struct {
	Change Change `json:"change"`
	Err    string `json:"error"`
}

// ErrChanged: a file is not any more what it was when the plan was made.
// Nothing of the plan stands; make a new one.
var ErrChanged = errors.New("changed since the plan was made")

// Apply makes the changes, in order, each file at once or not at all. If one
// fails, those before it are taken back in reverse order, and the error is that
// of the first failure; Report says what could not be taken back. A cancelled
// context counts as a failure.
func (p Plan) Apply(ctx context.Context, h Host) (Report, error) {
	r := Report{Done: []Change{}, Notes: append([]string{}, p.Notes...)}
	var undo []func(context.Context) error
	for _, c := range p.Changes {
		err := ctx.Err()
		var back func(context.Context) error
		if err == nil {
			back, err = h.apply(ctx, c)
		}
		if err == nil {
			r.Done, undo = append(r.Done, c), append(undo, back)
			continue
		}
		if c.mayFail && ctx.Err() == nil {
			r.Failed = append(r.Failed, Failure{c, err.Error()})
			continue
		}
		r.takeBack(context.WithoutCancel(ctx), undo)
		if c.Action == Run {
			return r, fmt.Errorf("%s: %w", c.Command, err)
		}
		return r, err
	}
	return r, nil
}

func (r *Report) takeBack(ctx context.Context, undo []func(context.Context) error) {
	for i, c := range slices.Backward(r.Done) {
		if undo[i] == nil {
			r.Left = append(r.Left, Failure{c, "can't be taken back"})
		} else if err := undo[i](ctx); err != nil {
			r.Left = append(r.Left, Failure{c, err.Error()})
		} else {
			r.Undone = append(r.Undone, c)
		}
	}
	r.Done = []Change{}
}

// apply makes one change and returns what takes it back: nil if nothing can.
func (h Host) apply(ctx context.Context, c Change) (back func(context.Context) error, err error) {
	switch c.Action {
	case Run:
		return h.applyRun(ctx, c)
	case Purge:
		return nil, h.plain(os.RemoveAll(h.real(c.Path)))
	case Link:
		return h.applyLink(c)
	case Unlink:
		return h.applyUnlink(c)
	}
	// What stands there now, which taking back restores.
	was, err := h.stat(c.Path)
	if err == nil && was.exists && !was.dir {
		was, err = h.read(c.Path)
	}
	if err != nil {
		return nil, err
	}
	if was.path != c.Path {
		return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
	}
	switch c.Action {
	case Write:
		if was.dir || was.exists != c.Existed || !bytes.Equal(was.data, c.Old) {
			return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
		}
		return h.applyWrite(c, was)
	case Remove:
		if !was.exists || was.dir || !bytes.Equal(was.data, c.Old) {
			return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
		}
		back = func(context.Context) error { return h.put(was) }
		return back, h.plain(os.Remove(h.real(c.Path)))
	case Mkdir:
		if was.exists {
			return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
		}
		return h.applyMkdir(c)
	case Rmdir:
		return h.applyRmdir(was)
	case Owning:
		back = func(context.Context) error { return h.setRights(was.path, was.mode, was.uid, was.gid) }
		uid, gid, err := h.wanted(c, was.uid, was.gid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Path, err)
		}
		if err := h.setRights(c.Path, c.Mode, uid, gid); err != nil {
			return nil, errors.Join(err, back(ctx))
		}
		return back, nil
	}
	return nil, fmt.Errorf("unknown action %q", c.Action)
}

func (h Host) applyRun(ctx context.Context, c Change) (func(context.Context) error, error) {
	if h.Run == nil {
		return nil, errNoCommands
	}
	undo := func(ctx context.Context) error {
		_, err := h.Run(ctx, c.Undo)
		return err
	}
	_, err := h.Run(ctx, c.Command)
	if err == nil && c.proof != nil {
		err = c.proof(h)
	}
	switch {
	case err != nil && len(c.Undo.Args) > 0:
		// It may have done half of its work: a service that does not come up is
		// enabled all the same, and started again and again. That it has done
		// nothing is no error.
		_ = undo(context.WithoutCancel(ctx))
		return nil, err
	case err != nil || len(c.Undo.Args) == 0:
		return nil, err
	}
	return undo, nil
}

func (h Host) applyWrite(c Change, was file) (func(context.Context) error, error) {
	uid, gid, err := h.wanted(c, was.uid, was.gid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	if err := h.put(file{path: c.Path, data: c.New, mode: c.Mode, uid: uid, gid: gid}); err != nil {
		return nil, err
	}
	return func(context.Context) error {
		if was.exists {
			return h.put(was)
		}
		return h.plain(os.Remove(h.real(c.Path)))
	}, nil
}

func (h Host) applyMkdir(c Change) (func(context.Context) error, error) {
	uid, gid, err := h.wanted(c, h.UID, os.Getegid())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	// Nobody gets in before it has its owner and mode.
	if err := os.Mkdir(h.real(c.Path), 0o700); err != nil {
		return nil, h.plain(err)
	}
	back := func(context.Context) error { return h.rmdir(c.Path) }
	if err := h.setRights(c.Path, c.Mode, uid, gid); err != nil {
		return nil, errors.Join(err, back(context.Background()))
	}
	return back, nil
}

// rmdir takes away a folder that was made a moment ago, with what the service
// has put into it since. An event in it stays, and is root's from then on: the
// folder's user is taken out next, and somebody else may get the number.
func (h Host) rmdir(dir string) error {
	name := h.real(dir)
	err := os.Remove(name)
	if !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		return h.plain(err)
	}
	kept := false
	walk := func(p string, d fs.DirEntry, err error) error {
		kept = kept || err != nil || d.Type().IsRegular() && path.Ext(p) == ".json" &&
			slices.Contains([]string{"new", "cur", "failed"}, filepath.Base(filepath.Dir(p)))
		return nil
	}
	if err := filepath.WalkDir(name, walk); err != nil || !kept {
		return h.plain(cmp.Or(err, os.RemoveAll(name)))
	}
	return errors.Join(errors.New("an event is in it; it is root's now"), filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return h.plain(err)
		}
		return h.plain(h.setOwner(p, h.UID, os.Getegid()))
	}))
}

func (h Host) applyRmdir(was file) (func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	if !was.exists {
		return nothing, nil
	}
	err := os.Remove(h.real(was.path))
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		// What somebody put there meanwhile is not ours.
		return nothing, nil
	}
	if err != nil {
		return nil, h.plain(err)
	}
	return func(context.Context) error {
		if err := os.Mkdir(h.real(was.path), 0o700); err != nil {
			return h.plain(err)
		}
		return h.setRights(was.path, was.mode, was.uid, was.gid)
	}, nil
}

func (h Host) applyLink(c Change) (func(context.Context) error, error) {
	back := func(context.Context) error { return h.plain(os.Remove(h.real(c.Path))) }
	return back, h.plain(os.Symlink(string(c.New), h.real(c.Path)))
}

func (h Host) applyUnlink(c Change) (func(context.Context) error, error) {
	if target, err := os.Readlink(h.real(c.Path)); err != nil || target != string(c.Old) {
		return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
	}
	back := func(context.Context) error { return h.plain(os.Symlink(string(c.Old), h.real(c.Path))) }
	return back, h.plain(os.Remove(h.real(c.Path)))
}

// wanted returns the owner that a change asks for. It is looked up now: a user
// that an earlier change added had no number when the plan was made.
func (h Host) wanted(c Change, uid, gid int) (int, int, error) {
	if c.Owner == (Owner{}) {
		if !c.Existed && c.Action == Write {
			return h.UID, os.Getegid(), nil
		}
		return uid, gid, nil
	}
	return h.ids(c.Owner)
}

func (h Host) setRights(p string, mode fs.FileMode, uid, gid int) error {
	// A change of owner clears setid bits, so the mode comes second.
	if err := h.setOwner(h.real(p), uid, gid); err != nil {
		return h.plain(err)
	}
	return h.plain(os.Chmod(h.real(p), mode))
}
