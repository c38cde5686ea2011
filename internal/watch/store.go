package watch

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// putWait is the longest wait between two tries to queue an event.
const putWait = 30 * time.Second

// Put queues an event, however long that takes: the lines that it came
// of wait where they are.
func Put(ctx context.Context, s *spool.Spool, e event.Event, log *slog.Logger) error {
	data, err := e.Encode()
	if err != nil {
		log.Error("an event can't be stored", "kind", e.Kind, "error", err)
		return nil // it never will be
	}
	for wait := time.Second; ; wait = min(2*wait, putWait) {
		_, err := s.Put(e.ID+".json", data)
		if err == nil {
			return nil
		}
		log.Error("an alert can't be queued, and waits", "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// Store keeps what is counted over restarts. What can't be read is begun
// anew, and said.
type Store struct {
	Dir    string
	Log    *slog.Logger
	saved  bool      // something was written
	shared time.Time // when others last got to know the attackers
}

const (
	attacksFile = "attacks.jsonl"
	bookFile    = "book.json"
	// KnownFile is an attack.Known, for the worker, which raises the risk by it.
	KnownFile = "known.json"
	maxKnown  = 16 << 20
	// maxAttacks is beyond what an engine writes that holds all that it may.
	maxAttacks = 64 << 20
	shareEvery = time.Minute
)

// Load returns what was counted, or a new engine and book; an error is one of o.
func (s *Store) Load(o attack.Options) (*attack.Engine, *PendingDigest, error) {
	book := state.Read[PendingDigest](filepath.Join(s.Dir, bookFile))
	e, err := s.restore(o)
	if err == nil {
		return e, &book, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.Log.Warn("what was counted before can't be read, and is counted anew", "error", err)
	}
	if e, err = attack.New(o); err != nil {
		return nil, nil, err
	}
	return e, &book, nil
}

func (s *Store) restore(o attack.Options) (*attack.Engine, error) {
	f, err := state.Open(filepath.Join(s.Dir, attacksFile), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxAttacks {
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: state.ErrTooLarge}
	}
	return attack.Restore(f, o)
}

// Save writes down what w has counted, if anything has changed since.
func (s *Store) Save(w *Watcher) error {
	if w.changed || !s.saved {
		if err := s.write(w); err != nil {
			return err
		}
		s.saved, w.changed = true, false
	}
	if now := time.Now(); now.Sub(s.shared) >= shareEvery {
		s.shared = now
		return s.share(w.Attacks)
	}
	return nil
}

func (s *Store) write(w *Watcher) error {
	e := w.Attacks
	if err := state.Write(filepath.Join(s.Dir, bookFile), *w.Pending); err != nil {
		return err
	}
	t, err := renameio.NewPendingFile(filepath.Join(s.Dir, attacksFile), renameio.WithPermissions(0o600), renameio.WithTempDir(s.Dir))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	if err := e.Snapshot(t); err != nil {
		return err
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	if err := state.Write(filepath.Join(s.Dir, StatsFile), w.Stats()); err != nil {
		return err
	}
	if f := e.Flood(); f.Any() {
		return state.Write(filepath.Join(s.Dir, FloodFile), f)
	}
	return nil
}

// share writes down who is known to attack, for the worker to read.
func (s *Store) share(e *attack.Engine) error {
	known, file := e.Known(), filepath.Join(s.Dir, KnownFile)
	if data, err := state.ReadFile(file, maxKnown); err == nil {
		// The time goes on where nothing happens.
		if old, err := attack.ReadKnown(data); err == nil && slices.Equal(old.Attackers, known.Attackers) {
			return nil
		}
	}
	data, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return state.ReplaceAs(file, data, 0o644)
}
