package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

// maxOldList bounds what is read of a list of delivered events: a line has some
// 500 bytes, and a spool takes 100,000 events.
const maxOldList = 1 << 30

// documents are the kinds of documents that had a file each, by the beginning
// of its name, and their kind in the database.
var documents = [...]struct{ prefix, kind string }{
	{"destination-", kindDestination}, {"refused-", kindRefused}, {"provider-", "provider"},
}

// RanBefore reports whether a worker of an earlier version kept its lists in a state
// folder, which are not taken over yet.
func RanBefore(stateDir string) bool { return len(toldLists(stateDir)) > 0 }

func toldLists(stateDir string) []string { return named(stateDir, "told-", ".jsonl") }

// takeOver brings what earlier versions kept in files of their own into the
// database, once: told-SPOOL.jsonl, and a JSON document each for a destination,
// a provider, and what was refused. What is in the database already is newer.
func takeOver(db *store.DB, stateDir string) error {
	forgetAnswers(filepath.Join(stateDir, "cache"))
	lists := toldLists(stateDir)
	var files []string
	for _, d := range documents {
		files = append(files, named(stateDir, d.prefix, ".json")...)
	}
	if len(lists)+len(files) == 0 {
		return nil
	}
	var done []string
	err := db.WriteDurably(context.Background(), store.BatchLimit, func(t *store.Tx) error {
		done = nil
		for _, path := range append(lists, files...) {
			b, err := state.ReadFile(path, maxOldList)
			if err != nil {
				continue // the next worker tries again
			}
			if spool, ok := strings.CutPrefix(filepath.Base(path), "told-"); ok {
				err = takeOverList(t, strings.TrimSuffix(spool, ".jsonl"), b)
			} else {
				err = takeOverDocument(t, strings.TrimSuffix(filepath.Base(path), ".json"), b)
			}
			if err != nil {
				return err
			}
			done = append(done, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range done {
		errs = append(errs, state.Remove(path), state.Remove(path+".lock"))
	}
	return errors.Join(errs...)
}

// forgetAnswers removes what services answered, cache/PROVIDER/KEY.json, which is
// asked for again. What can't be removed, because a command of root's made it, is
// in nobody's way; nor is what others keep in a folder of that name.
func forgetAnswers(dir string) {
	for _, provider := range named(dir, "", "") {
		for _, f := range append(named(provider, "", ".json"), named(provider, ".new-", "")...) {
			_ = state.Remove(f)
		}
		_ = syscall.Rmdir(provider)
	}
	_ = syscall.Rmdir(dir)
}

// named returns what is in a folder by the two ends of its name. The folder's own
// name may be any: it is no pattern.
func named(dir, prefix, suffix string) (paths []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) && len(name) >= len(prefix)+len(suffix) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

func takeOverList(t *store.Tx, spool string, list []byte) error {
	for line := range bytes.Lines(list) {
		var d Delivered
		if json.Unmarshal(line, &d) != nil || !event.ValidID(d.ID) { // a crash left a torn line
			continue
		}
		if _, err := t.Exec(`INSERT OR IGNORE INTO delivered(spool, id, at, event) VALUES (?, ?, ?, ?)`, spool, d.ID, d.At.UnixMilli(), string(bytes.TrimSpace(line))); err != nil {
			return err
		}
	}
	return nil
}

func takeOverDocument(t *store.Tx, base string, doc []byte) error {
	for _, d := range documents {
		name, ok := strings.CutPrefix(base, d.prefix)
		if !ok || !json.Valid(doc) { // a crash left it torn
			continue
		}
		_, err := t.Exec(`INSERT OR IGNORE INTO state(kind, name, value) VALUES (?, ?, ?)`, d.kind, name, string(bytes.TrimSpace(doc)))
		return err
	}
	return nil
}
