// Package storetest opens databases for the tests of those who use one. Only
// tests import it.
package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sshnotify/sshnotify/internal/store"
)

// empty is a database without anything in it: making the tables takes longer than
// most tests.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, store.FileName)
	db, err := store.Open(path, store.Options{})
	if err == nil {
		err = errors.Join(db.Migrate(context.Background()), db.Close())
	}
	b, readErr := os.ReadFile(path)
	return b, errors.Join(err, readErr)
})

// Open returns the database of a state folder, which it makes where it can, and
// closes it after the test.
func Open(t testing.TB, stateDir string) *store.DB {
	t.Helper()
	path := filepath.Join(stateDir, store.FileName)
	if b, err := empty(); err != nil {
		t.Fatal(err)
	} else if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) && os.MkdirAll(stateDir, 0o700) == nil {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
