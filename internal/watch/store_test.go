package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// Nothing that an engine wrote is so large.
func TestStoreReadsNoHugeFile(t *testing.T) {
	var said strings.Builder
	s := &Store{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&said, nil))}
	path := filepath.Join(s.Dir, attacksFile)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxAttacks+1)); err != nil {
		t.Fatal(err)
	}
	if engine, _, err := s.Load(attack.Options{}); err != nil || engine == nil || !strings.Contains(said.String(), state.ErrTooLarge.Error()) {
		t.Errorf("%v, %s", err, said.String())
	}
}

// What can't be kept is an error, leaves nothing behind, and takes nothing along.
func TestStoreSaysWhatItCannotKeep(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	engine, book, err := s.Load(attack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book.Attempts = 7
	if err := os.MkdirAll(filepath.Join(dir, attacksFile, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(&Watcher{Attacks: engine, Pending: book}); err == nil {
		t.Error("the engine was not kept, and that is no error")
	}
	if b := state.Read[PendingDigest](filepath.Join(dir, bookFile)); b.Attempts != 7 {
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

// Where nothing came, nothing is written: a disk may sleep.
func TestIdleStore(t *testing.T) {
	p := newPost(t)
	s := &Store{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	p.Pending = new(PendingDigest)
	written := func() (names []string) {
		t.Helper()
		if err := s.Save(p.Watcher); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(s.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
			if err := os.Remove(filepath.Join(s.Dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		return names
	}
	if n := len(written()); n < 3 {
		t.Errorf("%d files at first", n)
	}
	if err := p.Tick(night); err != nil { // finds when the first digest is due
		t.Fatal(err)
	}
	written()
	if err := p.Tick(night.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if names := written(); len(names) > 0 {
		t.Errorf("idle, and wrote %v", names)
	}
	p.takes("Nov 20 02:10:04 db1 sshd[3]: Failed password for root from 203.0.113.7 port 1002 ssh2")
	if n := len(written()); n < 3 {
		t.Errorf("%d files after a line", n)
	}
}

// Nor are the attackers written down anew because time went by.
func TestIdleStoreKeepsTheAttackers(t *testing.T) {
	p := newPost(t)
	s := &Store{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	p.Pending = new(PendingDigest)
	save := func(at time.Time) os.FileInfo {
		t.Helper()
		if err := p.Tick(at); err != nil {
			t.Fatal(err)
		}
		s.shared = time.Time{} // a minute ago
		if err := s.Save(p.Watcher); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(s.Dir, KnownFile))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	try := func(second int) {
		p.takes(fmt.Sprintf("Nov 20 02:10:%02d db1 sshd[3]: Failed password for root from 203.0.113.7 port 1002 ssh2", second))
	}
	for i := range 6 {
		try(i)
	}
	first := save(night)
	if !os.SameFile(first, save(night.Add(time.Minute))) {
		t.Error("idle, and written anew")
	}
	if try(30); os.SameFile(first, save(night.Add(2*time.Minute))) {
		t.Error("not written after an attempt")
	}
}
