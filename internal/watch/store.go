package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
	shared time.Time // when others last got to know the attackers
}

const (
	attacksFile = "attacks.jsonl"
	bookFile    = "book.json"
	// KnownFile is an attack.Known, for the worker, which raises the risk by it.
	KnownFile  = "known.json"
	maxKnown   = 16 << 20
	shareEvery = time.Minute
)

// Load returns what was counted, or a new engine and book; an error is one of o.
func (s *Store) Load(o attack.Options) (*attack.Engine, *PendingDigest, error) {
	book := state.Read[PendingDigest](filepath.Join(s.Dir, bookFile))
	f, err := state.Open(filepath.Join(s.Dir, attacksFile), os.O_RDONLY)
	if err == nil {
		defer f.Close()
		e, err := attack.Restore(f, o)
		if err == nil {
			return e, &book, nil
		}
		s.Log.Warn("what was counted before can't be read, and is counted anew", "error", err)
	} else if !errors.Is(err, fs.ErrNotExist) {
		s.Log.Warn("what was counted before can't be read, and is counted anew", "error", err)
	}
	e, err := attack.New(o)
	if err != nil {
		return nil, nil, err
	}
	return e, &book, nil
}

// Save writes down what w has counted.
func (s *Store) Save(w *Watcher) error {
	e := w.Attacks
	// The book first: an attack that ended is then in it, and where a kill comes
	// between the two, in the engine as well, and is entered once.
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
		if err := state.Write(filepath.Join(s.Dir, FloodFile), f); err != nil {
			return err
		}
	}
	if now := time.Now(); now.Sub(s.shared) >= shareEvery {
		s.shared = now
		return s.share(e)
	}
	return nil
}

// share writes down who is known to attack, for the worker to read.
func (s *Store) share(e *attack.Engine) error {
	data, err := json.Marshal(e.Known())
	if err != nil {
		return err
	}
	file := filepath.Join(s.Dir, KnownFile)
	if old, err := state.ReadFile(file, maxKnown); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return state.ReplaceAs(file, data, 0o644)
}
