package cmd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

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
