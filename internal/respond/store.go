package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// Store is the folder of all responses: evidence, and what undo needs to know. What
// stands in it decides what root puts back, so that it is root's alone, as are all
// folders above it.
type Store struct {
	path string
	dir  *state.Folder
}

// OpenStore opens the folder, and makes it where it is missing.
func OpenStore(path string) (*Store, error) {
	d, err := state.MakeFolder(path)
	if err != nil {
		return nil, err
	}
	if !d.IsOurs() {
		d.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: state.ErrExposed}
	}
	if os.Geteuid() == 0 {
		if err := rootsOwn(path); err != nil {
			d.Close()
			return nil, err
		}
	}
	return &Store{path, d}, nil
}

// Close gives the folder up.
func (s *Store) Close() error { return s.dir.Close() }

// rootsOwn returns an error that names who besides root could put another folder in
// the place of this one.
func rootsOwn(path string) error {
	at, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for ; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		// In a sticky folder, nobody but their owner takes root's things away.
		if !ok || st.Uid != 0 || info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return &fs.PathError{Op: "open", Path: at, Err: state.ErrExposed}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

const (
	undoName = "undo.json"
	sshdName = "sshd.json"
	lockName = "respond.lock"
	maxStore = 1 << 20
)

// lock waits for another response to end.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*runLimit)
	defer cancel()
	if unlock, err = s.dir.Lock(ctx, lockName); errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("another response is still at work")
	}
	return unlock, err
}

// Kept is a change that was made, or begun, and how it was before.
type Kept struct {
	Action Action    `json:"action"`
	By     string    `json:"by"`
	Began  time.Time `json:"began"`
	Done   time.Time `json:"done,omitzero"`   // when it was seen to be so
	Undone time.Time `json:"undone,omitzero"` //
	Until  time.Time `json:"until,omitzero"`  // when it ends by itself

	User    string         `json:"user,omitempty"`   // of a lock
	Expiry  string         `json:"expiry,omitempty"` // the account's before, as in shadow(5)
	Denied  bool           `json:"denied,omitempty"` // locked by sshd, not by its expiry
	Key     string         `json:"key,omitempty"`
	Network []netip.Prefix `json:"network,omitempty"` // blocked
}

// Record is all that was done about an event.
type Record struct {
	Subject Subject `json:"subject"`
	Kept    []Kept  `json:"kept"`
}

// open is the newest change of an action that is in force, or was begun; nil where
// there is none.
func (r *Record) open(a Action) *Kept {
	for i := len(r.Kept) - 1; i >= 0; i-- {
		if k := &r.Kept[i]; k.Action == a && k.Undone.IsZero() {
			return k
		}
	}
	return nil
}

// record reads what was done about an event; a zero one where nothing was.
func (s *Store) record(id string) (r Record, err error) {
	d, err := state.OwnFolder(filepath.Join(s.path, id))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer d.Close()
	err = read(d, undoName, &r)
	return r, err
}

// keep writes down a change before it is made, or what became of it.
func (s *Store) keep(r Record) error {
	if !event.ValidID(r.Subject.ID) {
		return fmt.Errorf("%q is no id of an event", r.Subject.ID)
	}
	return write(filepath.Join(s.path, r.Subject.ID), undoName, r)
}

// ids are the events that something is kept of.
func (s *Store) ids() (out []string, err error) {
	entries, err := os.ReadDir(s.path)
	for _, e := range entries {
		if event.ValidID(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Records returns what is in force, or was begun, of all events.
func (s *Store) Records() (out []Record, err error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		r, err := s.record(id)
		if err != nil {
			return out, err
		}
		if slices.ContainsFunc(r.Kept, func(k Kept) bool { return k.Undone.IsZero() && k.Action != End }) {
			out = append(out, r)
		}
	}
	return out, nil
}

// denied is what sshd is told, of all events.
type denied struct {
	Keys  []string `json:"keys"`
	Users []string `json:"users"`
}

func (s *Store) denied() (d denied, err error) {
	err = read(s.dir, sshdName, &d)
	return d, err
}

func (s *Store) deny(d denied) error { return write(s.path, sshdName, d) }

// read fills v from a file; one that is missing leaves it alone.
func read(d *state.Folder, name string, v any) error {
	b, err := d.ReadFile(name, maxStore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	return err
}

// write makes v what stands in a file, for good: a change follows that nobody could
// undo without it.
func write(folder, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	d, err := state.MakeFolder(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Replace(name, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return errors.Join(state.SyncFolder(folder), state.SyncFolder(filepath.Dir(folder)))
}
