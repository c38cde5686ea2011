package spool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever somebody calls a file in new/: it is claimed, kept or left, and never
// elsewhere.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"0123456789ABCDEFGHJKMNPQRS.json", "0123456789ABCDEFGHJKMNPQRS.JSON", "req-1.req", "req-.req", ".lock", ".summary", ".tmp-1-1",
		"foreign-00000000-x", "a b", "ä", "\xff", "\x1b[2J", "-rf", "a\nb", "..json", strings.Repeat("x", 200), "AAAAAAAAAAAAAAAAAAAAAAAA\n\n.json",
	} {
		f.Add(name)
	}
	base := fastDir(f)
	f.Fuzz(func(t *testing.T, name string) {
		if Claimable(name) && !ValidName(name) {
			t.Errorf("%q is claimable and not valid", name)
		}
		if ValidName(name) && name != filepath.Base(name) {
			t.Errorf("%q is a path", name)
		}
		if kept := "foreign-00000000-" + tame(name); !ValidName(kept) {
			t.Errorf("%q would be kept as %q", name, kept)
		}
		if name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return
		}
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s := Open(Options{Dir: dir})
		q := mustLock(t, s)
		defer q.Unlock()
		if err := os.Mkdir(filepath.Join(dir, newName), 0o700); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		if os.WriteFile(filepath.Join(dir, newName, name), []byte("kept"), 0o600) != nil {
			return // no name for a file
		}
		names, more, err := q.Claim(0)
		if err != nil || more {
			t.Fatalf("Claim: %v, %v", more, err)
		}
		foreign := q.Foreign()
		_, err = os.Lstat(filepath.Join(dir, newName, name))
		stayed := err == nil
		switch {
		case strings.HasPrefix(name, "."):
			if !stayed || len(names)+len(foreign) > 0 {
				t.Errorf("%q: claimed %q, foreign %v", name, names, foreign)
			}
		case Claimable(name):
			if b, err := q.Read(name); stayed || len(names) != 1 || names[0] != name || string(b) != "kept" {
				t.Errorf("%q: claimed %q, holds %q, %v", name, names, b, err)
			}
		default:
			if stayed || len(names) > 0 || len(foreign) != 1 {
				t.Fatalf("%q: claimed %q, foreign %v", name, names, foreign)
			}
			if b, err := q.ReadFailed(foreign[0].Moved); string(b) != "kept" {
				t.Errorf("%q: kept as %q, holds %q, %v", name, foreign[0].Moved, b, err)
			}
		}
		if empty, err := q.NewIsEmpty(); !empty || err != nil {
			t.Errorf("%q: NewIsEmpty = %v, %v", name, empty, err)
		}
	})
}
