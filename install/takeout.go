package install

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// QueuedError: events wait in the queue that purging would throw away.
type QueuedError struct {
	Dir             string
	Waiting, Failed int
}

func (e *QueuedError) Error() string {
	return fmt.Sprintf("%s: %d events wait to be told, and %d could not be told", e.Dir, e.Waiting, e.Failed)
}

// UndoOptions say how much uninstalling takes out.
type UndoOptions struct {
	// Purge takes settings, history and the queue too, though their owner may
	// have changed them.
	Purge bool
	// DropQueue lets Purge throw waiting events away.
	DropQueue bool
}

// takeout plans an uninstall.
type takeout struct {
	*planner
	UndoOptions
	gone map[string]bool // what the plan takes away
}

func newTakeout(p *planner, o UndoOptions) *takeout {
	return &takeout{p, o, map[string]bool{}}
}

// cutFrom takes what is ours out of a file of its owner's, and the file too if
// it was made for that and nothing else is in it.
func (t *takeout) cutFrom(p string, cut func([]byte) ([]byte, error), why string) error {
	f, err := t.h.read(p)
	if err != nil {
		return err
	}
	it, ours := t.rec.find(kindEdit, f.path)
	if ours {
		t.rec.drop(it)
	}
	if !f.exists || t.gone[f.path] {
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
		t.gone[f.path] = true
		t.add(Change{Action: Remove, Path: f.path, Old: f.data, Existed: true, Why: why})
	default:
		// Once for each file, whatever its names.
		if t.made[f.path] {
			return nil
		}
		t.made[f.path] = true
		t.add(Change{Action: Write, Path: f.path, Mode: f.mode, Old: f.data, New: content, Existed: true, Why: why})
	}
	return nil
}

// files takes out the whole files, or gives back what they replaced.
func (t *takeout) files() error {
	for _, it := range slices.Backward(slices.Clone(t.rec.Items)) {
		if it.Kind != kindFile || it.Purge && !t.Purge {
			continue
		}
		f, err := t.h.read(it.Path)
		if err != nil {
			return err
		}
		t.rec.drop(it)
		switch {
		case !f.exists || f.path != it.Path:
		case sum(f.data) != it.SHA256 && !it.Purge:
			t.note("%s stays: it was changed after it was put in", f.path)
		case !it.Created && it.Mode == 0:
			t.note("%s stays: what it replaced was too large to be kept", f.path)
		case it.Created:
			t.gone[f.path] = true
			t.add(Change{Action: Remove, Path: f.path, Old: f.data, Existed: true, Hidden: it.Purge || len(f.data) > maxBefore})
		case it.Purge && sum(f.data) != it.SHA256:
			t.note("%s stays: it was there before sshnotify, and was changed since", f.path)
		default:
			t.add(Change{
				Action: Write, Path: f.path, Mode: it.Mode, Old: f.data, New: it.Before, Existed: true,
				Hidden: it.Purge, Why: "as it was before",
			})
		}
	}
	return nil
}

// known takes a file into the record that install would have put there as it
// is: the record may have been lost.
func (t *takeout) known(p, text string) {
	f, err := t.h.read(p)
	if err != nil || !f.exists || string(f.data) != text {
		return
	}
	if _, ok := t.rec.find(kindFile, f.path); !ok {
		t.rec.set(item{Kind: kindFile, Path: f.path, Created: true, SHA256: sum(f.data)})
	}
}

// links takes out the links that had an image's service started.
func (t *takeout) links() {
	for _, it := range slices.Clone(t.rec.Items) {
		if it.Kind != kindLink {
			continue
		}
		t.rec.drop(it)
		if target, err := os.Readlink(t.h.real(it.Path)); err == nil && target == it.Name {
			t.gone[it.Path] = true
			t.add(Change{Action: Unlink, Path: it.Path, Old: []byte(it.Name), Existed: true})
		}
	}
}

// emptied takes out the folders that were made, where nothing is left in them.
func (t *takeout) emptied() {
	if t.Purge {
		// Purging is final: the record goes, whatever stays.
		t.gone[t.recAt] = true
	}
	for _, it := range slices.Backward(slices.Clone(t.rec.Items)) {
		if it.Kind != kindFolder || it.Purge && !t.Purge {
			continue
		}
		if t.isGone(it.Path) || !t.h.exists(it.Path) {
			t.rec.drop(it)
			continue
		}
		if !t.willBeEmpty(it.Path) {
			if t.Purge {
				t.rec.drop(it)
				t.note("%s stays: it is not empty", it.Path)
			}
			continue
		}
		t.rec.drop(it)
		t.gone[it.Path] = true
		t.add(Change{Action: Rmdir, Path: it.Path, Existed: true})
	}
}

// isGone says whether the plan takes a path away, itself or with a folder above
// it.
func (t *takeout) isGone(p string) bool {
	for ; p != "/"; p = path.Dir(p) {
		if t.gone[p] {
			return true
		}
	}
	return false
}

func (t *takeout) willBeEmpty(dir string) bool {
	entries, err := os.ReadDir(t.h.real(dir))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !t.gone[path.Join(dir, e.Name())] {
			return false
		}
	}
	return true
}

// purge takes out a folder with all that is in it.
func (t *takeout) purge(dir, why string) error {
	if dir == "" {
		return nil
	}
	f, err := t.h.stat(dir)
	if err != nil || !f.exists {
		return err
	}
	t.gone[f.path] = true
	t.add(Change{Action: Purge, Path: f.path, Existed: true, Why: why})
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
func (t *takeout) mindQueue(spool string, others ...string) error {
	waiting, failed := t.h.queued(append([]string{spool}, others...)...)
	if waiting+failed == 0 {
		return nil
	}
	q := &QueuedError{spool, waiting, failed}
	switch {
	case !t.Purge:
		t.note("%s; nothing sends them now", q)
	case !t.DropQueue:
		return q
	default:
		t.note("%s; they are thrown away", q)
	}
	return nil
}

// inFile names the file in an error of cutHook.
func inFile(err error, name string) error {
	var pe *PAMError
	if errors.As(err, &pe) && pe.File == "" {
		pe.File = name
	}
	return err
}
