package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// raw runs statements on a file that nobody else has open.
func raw(path string, statements ...string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

// full returns a history with some hundred logins, closed.
func full(t *testing.T) (path string) {
	t.Helper()
	d := open(t, Options{})
	var all []Entry
	for i := range 250 {
		all = append(all, login(i, fmt.Sprintf("user%d", i%9), fmt.Sprintf("203.0.113.%d", i%50), i))
	}
	if _, _, err := d.Import(t.Context(), each(all...)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	return d.store.Path()
}

// useAll runs every method; none may panic.
func useAll(t *testing.T, d *DB) (errs []error) {
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	ctx := t.Context()
	e := login(1000, "user1", "203.0.113.1", 10_000)
	m, err := d.Recall(ctx, e)
	if note(err); err != nil && m.Known {
		t.Error("an error, and a memory that says it is known")
	}
	note(d.Record(ctx, e))
	for _, err := range d.List(ctx, Filter{}) {
		note(err)
	}
	_, err = d.BeginDigest(ctx, "a", e.Time)
	note(err)
	_, err = d.Prune(ctx)
	note(err)
	_, err = d.Forget(ctx, Filter{User: "user2"})
	note(err)
	_, err = d.store.Notice(ctx)
	note(err)
	return errs
}

func TestDamaged(t *testing.T) {
	rewrite := func(change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, row := range []struct {
		name   string
		damage func(*testing.T, string)
	}{
		{"not a database", rewrite(func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 100)) })},
		{"zeros", rewrite(func(b []byte) []byte { return make([]byte, len(b)) })},
		{"zeros after the first page", rewrite(func(b []byte) []byte { clear(b[4096:]); return b })},
		{"cut in two", rewrite(func(b []byte) []byte { return b[:len(b)/2] })},
		{"cut in a page", rewrite(func(b []byte) []byte { return b[:len(b)/2+100] })},
		{"another program's database", func(t *testing.T, path string) {
			if err := raw(path, "PRAGMA application_id = 7"); err != nil {
				t.Fatal(err)
			}
		}},
		{"without a table", func(t *testing.T, path string) {
			if err := raw(path, "DROP TABLE meta"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := full(t)
			row.damage(t, path)
			old := path + ".damaged-" + "20200101T000000.000"
			if err := os.WriteFile(old, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			reader := openAt(t, path, Options{ReadOnly: true})
			for _, err := range reader.List(t.Context(), Filter{}) { // may or may not meet the damage, and moves nothing
				if err != nil && !errors.Is(err, store.ErrDamaged) {
					t.Errorf("a reader: %v", err)
				}
			}
			d := openAt(t, path, Options{})
			if _, err := d.Prune(t.Context()); err != nil { // which looks for it
				t.Fatal(err)
			}
			n, err := d.store.Notice(t.Context())
			if err != nil || n == nil || n.Why == "" || !strings.HasPrefix(n.Moved, path+".damaged-") {
				t.Fatalf("%+v, %v", n, err)
			}
			if _, err := os.Stat(n.Moved); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(path + ".damaged-" + "*.000"); len(left) > 0 && left[0] == old {
				t.Error("an older damaged file is kept")
			}
			if errs := useAll(t, d); len(errs) > 0 {
				t.Errorf("the new one: %v", errs)
			}
			if err := d.store.ClearNotice(t.Context()); err != nil {
				t.Error(err)
			}
			if n, err := d.store.Notice(t.Context()); n != nil || err != nil {
				t.Errorf("%+v, %v", n, err)
			}
		})
	}
}

// A login that comes when the file is found damaged is remembered in the new one.
func TestDamageMetByALogin(t *testing.T) {
	path := full(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openAt(t, path, Options{})
	if m := recall(t, d, login(1, "alice", "203.0.113.7", 0)); !m.Young || m.Host.Count != 0 {
		t.Errorf("%+v", m)
	}
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	if n := len(list(t, d, Filter{})); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// Whatever bytes are wrong: an error or an answer, never a panic, and never
// longer than it may take.
func TestFlippedBytes(t *testing.T) {
	standin.Gate(t)
	path := full(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	healed := 0
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := append([]byte(nil), good...)
		for range 1 + rnd.IntN(200) {
			b[rnd.IntN(len(b))] ^= byte(1 + rnd.IntN(255))
		}
		dir := t.TempDir()
		d := openAt(t, filepath.Join(dir, "history.db"), Options{})
		if err := os.WriteFile(d.store.Path(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		useAll(t, d)
		if n, err := d.store.Notice(t.Context()); err == nil && n != nil {
			healed++
		}
		d.Close()
	}
	if healed < 8 {
		t.Errorf("%d of 20 were made anew", healed)
	}
}

// A file that was replaced under its user's hands is seen to be another.
func TestReplacedFile(t *testing.T) {
	d := open(t, Options{})
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	list(t, d, Filter{}) // so that who reads has it open, too
	for _, s := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(d.store.Path() + s); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	record(t, d, login(2, "bob", "203.0.113.7", 0))
	if got := list(t, d, Filter{}); len(got) != 1 || got[0].User != "bob" {
		t.Errorf("%+v", got)
	}
}

func TestPanicIsAnError(t *testing.T) {
	d := open(t, Options{})
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	var nothing *Entry
	for name, f := range map[string]func(){
		"a wrong pointer": func() { nothing.ID = "x" },
		"a panic":         func() { panic("at the worst time") },
	} {
		if err := d.store.Write(t.Context(), time.Minute, func(*store.Tx) error { f(); return nil }); err == nil || errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if m := recall(t, d, login(2, "alice", "203.0.113.7", 1)); m.User.Count != 1 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	record(t, d, login(2, "alice", "203.0.113.7", 1))
}

func TestNoTimeLeft(t *testing.T) {
	d := open(t, Options{})
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := login(2, "alice", "203.0.113.7", 1)
	if m, err := d.Recall(ctx, e); !errors.Is(err, context.Canceled) || m.Known {
		t.Errorf("%+v, %v", m, err)
	}
	if err := d.Record(ctx, e); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n, _, err := d.Import(ctx, each(e)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
	if m := recall(t, d, e); m.User.Count != 1 {
		t.Errorf("afterwards: %+v", m)
	}
}
