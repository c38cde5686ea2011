package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// putWait is the longest wait between two tries to queue an event.
const putWait = 30 * time.Second

// putPatiently queues an event, however long that takes: the lines that it came
// of wait where they are.
func putPatiently(ctx context.Context, s *spool.Spool, e event.Event, log *slog.Logger) error {
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

// watchStore keeps what is counted over restarts. What can't be read is begun
// anew, and said.
type watchStore struct {
	dir    string
	log    *slog.Logger
	shared time.Time // when others last got to know the attackers
}

const (
	attacksFile = "attacks.jsonl"
	bookFile    = "book.json"
	knownFile   = "known.json" // for the worker, which raises the risk by it
	shareEvery  = time.Minute
)

func (s *watchStore) load(o attack.Options) (*attack.Engine, *watch.Book, error) {
	book := state.Read[watch.Book](filepath.Join(s.dir, bookFile))
	f, err := state.Open(filepath.Join(s.dir, attacksFile), os.O_RDONLY)
	if err == nil {
		defer f.Close()
		e, err := attack.Restore(f, o)
		if err == nil {
			return e, &book, nil
		}
		s.log.Warn("what was counted before can't be read, and is counted anew", "error", err)
	} else if !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("what was counted before can't be read, and is counted anew", "error", err)
	}
	e, err := attack.New(o)
	if err != nil {
		return nil, nil, &settingsError{err}
	}
	return e, &book, nil
}

func (s *watchStore) save(w *watch.Watcher) error {
	e := w.Attacks
	// The book first: an attack that ended is then in it, and where a kill comes
	// between the two, in the engine as well, and is entered once.
	if err := state.Write(filepath.Join(s.dir, bookFile), *w.Book); err != nil {
		return err
	}
	t, err := renameio.NewPendingFile(filepath.Join(s.dir, attacksFile), renameio.WithPermissions(0o600), renameio.WithTempDir(s.dir))
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
	if err := state.Write(filepath.Join(s.dir, watch.StatsFile), w.Stats()); err != nil {
		return err
	}
	if f := e.Flood(); f.Any() {
		if err := state.Write(filepath.Join(s.dir, watch.FloodFile), f); err != nil {
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
func (s *watchStore) share(e *attack.Engine) error {
	data, err := json.Marshal(e.Known())
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir, knownFile)
	if old, err := state.ReadFile(file, maxKnownFile); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return state.ReplaceAs(file, data, 0o644)
}

// builtinPlace asks the built-in database; nil where it can't be read.
func builtinPlace() func(netip.Addr) (network, country string, asn uint32) {
	db, err := builtin.Open()
	if err != nil {
		return nil
	}
	return func(ip netip.Addr) (string, string, uint32) {
		f, err := db.Lookup(context.Background(), ip)
		if err != nil {
			return "", "", 0
		}
		return f.Network.Name, f.Place.Country, f.Network.ASN
	}
}

// usualSources are those that need no settings: the journal, or else the system's
// logs of who is let in, and the logs that daemons write themselves.
func usualSources(exists func(string) bool, journal bool) []source.Named {
	var out []source.Named
	if journal {
		out = append(out, source.Named{Name: "journal", Type: source.JournalType, Settings: &source.Journal{Match: journald.Matches()}})
	}
	logs := parse.Logs()
	if !journal {
		logs = append([]string{"/var/log/auth.log", "/var/log/secure"}, logs...)
	}
	for _, path := range logs {
		if exists(path) {
			out = append(out, source.Named{Name: filepath.Base(path), Type: source.FileType, Settings: &source.File{Path: path}})
		}
	}
	return out
}

func liveSources() []source.Named {
	return usualSources(func(path string) bool { _, err := os.Stat(path); return err == nil }, hasJournal())
}

// hasJournal reports whether this host has a journal that can be read.
func hasJournal() bool {
	_, err := exec.LookPath("journalctl")
	_, running := os.Stat("/run/systemd/journal/socket")
	return err == nil && running == nil
}

func openSources(c config.Config, dir string, log *slog.Logger) (out []source.Source, err error) {
	named := []source.Named(c.Sources)
	if len(named) == 0 {
		named = liveSources()
	}
	if len(named) == 0 {
		return nil, withHint(&settingsError{errors.New("there is nothing to watch: no journal, and none of the usual logs")},
			"name one: [source.NAME] with path")
	}
	defer func() {
		if err != nil {
			for _, s := range out {
				s.Close()
			}
		}
	}()
	for _, n := range named {
		s, err := n.Settings.Open(source.Options{Name: n.Name, StateDir: dir, Log: log, MachineID: paths.MachineID()})
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}
