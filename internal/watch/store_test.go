package watch

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// What is counted survives; what is damaged is begun anew, and said.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	var said bytes.Buffer
	s := &Store{Dir: dir, Log: slog.New(slog.NewTextHandler(&said, nil))}
	engine, book, err := s.Load(attack.Options{})
	if err != nil || said.Len() > 0 {
		t.Fatal(err, said.String())
	}
	at := time.Now().UTC().Truncate(time.Second)
	for range 6 {
		engine.Take(parse.Result{Outcome: parse.Failure, Time: at, IP: netip.MustParseAddr("203.0.113.7"), User: "root", Service: "sshd", Count: 1})
	}
	book.Due = at
	w := &Watcher{Attacks: engine, Pending: book}
	if err := s.Save(w); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{attacksFile: 0o600, bookFile: 0o600, StatsFile: 0o600, KnownFile: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	known, err := os.ReadFile(filepath.Join(dir, KnownFile))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := attack.ReadKnown(known); err != nil || len(k.Attackers) != 1 || k.Attackers[0].Attempts != 6 {
		t.Errorf("%s, %v", known, err)
	}

	engine, book, err = s.Load(attack.Options{})
	if err != nil || said.Len() > 0 || !book.Due.Equal(at) {
		t.Fatal(err, said.String(), book)
	}
	if n, _, ok := engine.Reputation(netip.MustParseAddr("203.0.113.7")); !ok || n != 6 {
		t.Errorf("%d attempts, %v", n, ok)
	}
	for _, name := range []string{attacksFile, bookFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"v":1,`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, book, err = s.Load(attack.Options{})
	if err != nil || engine == nil || book == nil || !strings.Contains(said.String(), "counted anew") {
		t.Errorf("%v, %s", err, said.String())
	}
}

// A kill between the book and the engine must find an attack that ended in both,
// not in neither: then it is entered once, and in the digest.
func TestStoreKeepsTheBookFirst(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	engine, book, err := s.Load(attack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book.More = 7
	if err := os.MkdirAll(filepath.Join(dir, attacksFile, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(&Watcher{Attacks: engine, Pending: book}); err == nil {
		t.Error("the engine was not kept, and that is no error")
	}
	if b := state.Read[PendingDigest](filepath.Join(dir, bookFile)); b.More != 7 {
		t.Errorf("the book: %+v", b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// An event is queued however often that fails, until the watcher is told to
// end; what can be stored never is no reason to wait.
func TestPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := spool.Open(spool.Options{Dir: dir})
	e := event.Event{ID: event.NewID(), Kind: event.KindAttack, Time: time.Now(), Via: event.ViaWatch, Attack: &event.Attack{Note: event.Note{Title: "x"}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no folder
		t.Fatal(err)
	}
	if err := Put(ctx, s, e, slog.New(slog.DiscardHandler)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is once
		if err := Put(ctx, s, e, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("error %v", err)
		}
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "new", "*.json")); len(all) != 1 {
		t.Errorf("queued: %q", all)
	}
}
