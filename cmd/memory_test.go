package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/store"
)

// A look-up of root's, before the service ever ran, makes nothing that the
// service could not open.
func TestRootMakesNoDatabase(t *testing.T) {
	p := newAccount(t)
	for uid, want := range map[int]error{0: fs.ErrNotExist, 1000: nil} {
		a := p.app()
		a.uid = uid
		dir := filepath.Join(t.TempDir(), "state")
		db, err := a.askBeside(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = store.Update(t.Context(), db, "provider", "x", func(*int) error { return nil })
		_, made := os.Lstat(dir)
		if !errors.Is(err, want) || !errors.Is(made, want) {
			t.Errorf("uid %d: it can be used: %v; made: %v", uid, err, made)
		}
	}
}

// install offers the import to a host whose memory is missing or empty, as the
// package's service leaves it, and to no other.
func TestRemembers(t *testing.T) {
	dir := t.TempDir()
	if remembers(t.Context(), dir) {
		t.Error("there is no database, and it remembers")
	}
	db, err := history.Open(databaseFile(dir), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n, _, err := db.Import(t.Context(), func(func(history.Entry, error) bool) {}); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := os.Stat(databaseFile(dir)); err != nil || remembers(t.Context(), dir) {
		t.Error("an empty database remembers", err)
	}
	if err := db.Record(t.Context(), history.Entry{ID: event.NewID(), Time: time.Now(), User: "alice", IP: netip.MustParseAddr("203.0.113.7")}); err != nil {
		t.Fatal(err)
	}
	if !remembers(t.Context(), dir) {
		t.Error("it forgot a login")
	}
	if err := os.WriteFile(databaseFile(dir), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !remembers(t.Context(), dir) {
		t.Error("a database that can't be read was taken for an empty one")
	}
}

// A host that told each login before notify could be "auto" still does, and so
// replay says, until its settings say otherwise.
func TestReplayOfAHostThatToldEachLogin(t *testing.T) {
	p := remembering(t)
	log := filepath.Join(t.TempDir(), "auth.log")
	var lines strings.Builder
	const logins = 20
	for i := range logins {
		fmt.Fprintf(&lines, "2026-01-20T%02d:15:04+00:00 db1 sshd[%d]: Accepted publickey for alice from 8.8.8.8 port 51234 ssh2: ED25519 %s\n", i, 800+i, aliceKey)
	}
	if err := os.WriteFile(log, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	told := func() int {
		p.runs(exitDone, "replay", "--json", log)
		if p.err.Len() > 0 {
			t.Errorf("it says %s", p.err.String())
		}
		return strings.Count(p.out.String(), `"kind":"login"`)
	}
	if n := told(); n == 0 || n == logins {
		t.Errorf("a new host: %d of %d are told", n, logins)
	}
	p.remember(pastLogins()...)
	if n := told(); n != logins {
		t.Errorf("a host that was upgraded: %d of %d are told", n, logins)
	}
	db, err := store.Open(p.databaseFile(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if was, err := toldBefore(db, config.Default(), true); !was.Before || err != nil {
		t.Fatal(was, err)
	}
	if n := told(); n != logins {
		t.Errorf("when its worker has begun: %d of %d are told", n, logins)
	}
}
