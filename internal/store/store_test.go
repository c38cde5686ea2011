package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func open(t testing.TB, path string, o Options) *DB {
	t.Helper()
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	d.BePatient(30)
	t.Cleanup(func() { d.Close() })
	return d
}

// rawFile makes a file without this package.
func rawFile(t testing.TB, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	return path
}

// number returns what a query for one number returns.
func number(t testing.TB, d *DB, q string, args ...any) (n int) {
	t.Helper()
	err := d.Read(t.Context(), time.Minute, func(tx *Tx) error {
		_, err := tx.One([]any{&n}, q, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return n
}

func exec(t testing.TB, d *DB, q string, args ...any) error {
	t.Helper()
	return d.Write(t.Context(), time.Minute, func(tx *Tx) error {
		_, err := tx.Exec(q, args...)
		return err
	})
}

// schemaOf lists what is in a file.
func schemaOf(t testing.TB, d *DB) string {
	t.Helper()
	var out []string
	err := d.Read(t.Context(), time.Minute, func(tx *Tx) error {
		return tx.Each(func(r *sql.Rows) error {
			var kind, name string
			err := r.Scan(&kind, &name)
			out = append(out, kind+" "+name)
			return err
		}, `SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2`)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// A file of an earlier version is brought up to date with all that is in it, by
// one of several processes that find it.
func TestEarlierVersionsAreTakenOver(t *testing.T) {
	script, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := rawFile(t, string(script))
	reader := open(t, path, Options{ReadOnly: true})
	if n := number(t, reader, `SELECT count(*) FROM login`); n != 10 {
		t.Errorf("a reader sees %d logins before it is brought up to date", n)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := exec(t, open(t, path, Options{}), `DELETE FROM meta WHERE name = 'no such'`); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d := open(t, path, Options{})
	if n := number(t, d, `SELECT count(*) FROM login`); n != 10 {
		t.Errorf("%d logins are left", n)
	}
	if n := number(t, d, `PRAGMA user_version`); n != Version {
		t.Errorf("it has version %d", n)
	}
	wrong := `SELECT count(*) FROM grp g WHERE kind = 1 AND n <> (SELECT count(*) FROM login WHERE g_user = g.id)`
	if n := number(t, d, wrong); n != 0 {
		t.Errorf("%d counts are wrong", n)
	}
	if err := exec(t, d, `DELETE FROM login WHERE time < (SELECT max(time) FROM login)`); err != nil {
		t.Fatal(err)
	}
	if n := number(t, d, wrong) + number(t, d, `SELECT count(*) FROM grp WHERE kind = 1`); n != 1 {
		t.Errorf("the counts are not kept: %d", n)
	}
	fresh := open(t, filepath.Join(t.TempDir(), FileName), Options{})
	if err := exec(t, fresh, `DELETE FROM meta`); err != nil {
		t.Fatal(err)
	}
	if a, b := schemaOf(t, fresh), schemaOf(t, d); a != b {
		t.Errorf("a new file has\n%s\nand one brought up to date\n%s", a, b)
	}
	if n := number(t, d, `SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'trigger')`); n != objects {
		t.Errorf("the constant should be %d", n)
	}
}

// After a transaction that failed, was cut short or undone, the next one finds
// the database as it was before, and usable at once.
func TestFailedTransactionsLeaveNothing(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), FileName), Options{})
	set := `INSERT INTO state(kind, name, value) VALUES ('test', ?, 'x')`
	if err := exec(t, d, set, "first"); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("changed its mind")
	for name, f := range map[string]func() error{
		"an error of the caller's": func() error {
			return d.Write(t.Context(), time.Minute, func(tx *Tx) error {
				_, err := tx.Exec(set, "second")
				return errors.Join(err, gone)
			})
		},
		"an error of SQLite's": func() error {
			return d.Write(t.Context(), time.Minute, func(tx *Tx) error {
				_, err := tx.Exec(set, "second")
				_, other := tx.Exec(set, "first")
				return errors.Join(err, other)
			})
		},
		"no time left": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			return d.Write(ctx, time.Minute, func(tx *Tx) error {
				_, err := tx.Exec(set, "second")
				cancel()
				return err
			})
		},
		"a panic": func() error {
			return d.WriteDurably(t.Context(), time.Minute, func(tx *Tx) error {
				_, err := tx.Exec(set, "second")
				panic(fmt.Sprint("at the worst time", err))
			})
		},
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := number(t, d, `SELECT count(*) FROM state`); n != 1 {
			t.Errorf("%s: %d rows", name, n)
		}
		if err := exec(t, d, `UPDATE state SET value = ?`, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.WriteDurably(t.Context(), time.Minute, func(tx *Tx) error {
		_, err := tx.Exec(set, "second")
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Links and other things in the file's place are neither followed nor waited for.
func TestWhatStandsInTheWay(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", FileName + "-journal"} {
		dir := t.TempDir()
		if name != FileName {
			d := open(t, filepath.Join(dir, FileName), Options{})
			if err := errors.Join(exec(t, d, `DELETE FROM meta`), d.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := exec(t, open(t, filepath.Join(dir, FileName), Options{}), `DELETE FROM meta`); err == nil {
			t.Errorf("%s was followed", name)
		}
	}
	if _, err := os.Lstat(victim); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a link was followed to make a file")
	}
}

// Whoever is under attack has a slow machine, and needs the memory most.
func TestASlowMachineIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	synctest.Test(t, func(t *testing.T) {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		err = d.Write(t.Context(), WriteLimit, func(tx *Tx) error {
			time.Sleep(8 * time.Second)
			_, err := tx.Exec("CREATE TABLE slow (n)")
			return err
		})
		if err != nil {
			t.Error(err)
		}
		var n int
		err = d.Read(t.Context(), ReadLimit, func(tx *Tx) error {
			time.Sleep(4 * time.Second)
			_, err := tx.One([]any{&n}, "SELECT count(*) FROM slow")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Who only uses what is there makes nothing, and replaces nothing.
func TestExisting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, FileName)
	beside := func() *DB { return open(t, path, Options{Existing: true}) }
	set := `INSERT INTO state(kind, name, value) VALUES ('test', 'x', 'x')`
	if err := exec(t, beside(), set); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the folder was made")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := exec(t, beside(), set); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("made: %v, %v", entries, err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("damaged", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec(t, beside(), set); !errors.Is(err, ErrDamaged) {
		t.Errorf("of a damaged file: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Fatalf("made: %v, %v", entries, err)
	}
	if err := errors.Join(os.Remove(path), exec(t, open(t, path, Options{}), `DELETE FROM meta`), exec(t, beside(), set)); err != nil {
		t.Error(err)
	}
}

// What version 4 knew was told is so of the host that its login came to, and what
// was usual stays usual on all.
func TestWhatWasToldIsTakenOver(t *testing.T) {
	var script strings.Builder
	for v := 1; v <= 4; v++ {
		b, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v))
		if err != nil {
			t.Fatal(err)
		}
		script.Write(b)
		script.WriteString(";\n")
	}
	fmt.Fprintf(&script, "PRAGMA application_id = %d; PRAGMA user_version = 4;\n", applicationID)
	script.WriteString(`
INSERT INTO grp(id, kind, a, b) VALUES (1, 0, 'db1', '');
INSERT INTO login(n, id, time, severity, usual, source, g_host) VALUES (1, 'known', 1000, 3, 0, 0, 1);
INSERT INTO pair(user, network, key, state, since, told, told_id, told_severity, told_reasons) VALUES
	('alice', 'AS1', 'k', 1, 500, NULL, NULL, NULL, NULL),
	('erin', 'AS1', 'k', 0, NULL, 1000, 'known', 3, '["tor"]'),
	('mallory', 'AS1', 'k', 0, NULL, 2000, 'forgotten', 2, '[]');
INSERT INTO alarm VALUES
	('erin', 'DE', 'k', 1000, 'known', 3, '["tor"]', 7),
	('mallory', 'FR', 'k', 2000, 'forgotten', 3, '[]', 2);`)
	path := rawFile(t, script.String())
	reader := open(t, path, Options{ReadOnly: true})
	if older := (*OlderError)(nil); !errors.As(reader.Current(t.Context()), &older) || older.Version != 4 {
		t.Errorf("who only reads it is told: %v", older)
	}
	d := open(t, path, Options{})
	if err := exec(t, d, `DELETE FROM meta WHERE name = 'no such'`); err != nil {
		t.Fatal(err)
	}
	if err := reader.Current(t.Context()); err != nil {
		t.Errorf("brought up to date, who reads it is told: %v", err)
	}
	for _, row := range []struct{ situation, query string }{
		{"a usual pair is not one host's", `SELECT count(*) FROM pair WHERE user = 'alice' AND state = 1 AND since = 500 AND only = ''`},
		{"one that was never told", `SELECT count(*) = 0 FROM told WHERE user = 'alice'`},
		{"told of a login that is known", `SELECT count(*) FROM told WHERE user = 'erin' AND host = 'db1' AND told = 1000 AND told_id = 'known' AND told_severity = 3 AND told_reasons = '["tor"]'`},
		{"told of a login that is forgotten", `SELECT count(*) FROM told WHERE user = 'mallory' AND host = '' AND told = 2000`},
		{"an alarm of a login that is known", `SELECT count(*) FROM alarm WHERE user = 'erin' AND place = 'DE' AND host = 'db1' AND unanswered = 7 AND told_reasons = '["tor"]'`},
		{"an alarm of a login that is forgotten", `SELECT count(*) FROM alarm WHERE user = 'mallory' AND place = 'FR' AND host = '' AND unanswered = 2`},
		{"nothing else", `SELECT (SELECT count(*) FROM told) = 2 AND (SELECT count(*) FROM alarm) = 2 AND (SELECT count(*) FROM pair) = 3`},
		{"the new version", `SELECT user_version = 5 FROM pragma_user_version`},
	} {
		if n := number(t, d, row.query); n != 1 {
			t.Errorf("%s: %d", row.situation, n)
		}
	}
}
