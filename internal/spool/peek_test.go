package spool

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestPeekReadsWhatWaitingNames(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	q := mustLock(t, s)
	inCur, inFailed := newEvent(), newEvent()
	mustPut(t, s, inCur, inFailed)
	mustClaim(t, q)
	if err := q.Fail(inFailed, nil); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, newEvent(), RequestName("0123456789ABCDEFGHJKMNPQRS"))
	inOver := newEvent()
	put(t, filepath.Join(o.Overflow, newName, inOver), content(inOver))
	waiting, err := s.Waiting()
	if err != nil || len(waiting) != 5 {
		t.Fatalf("Waiting = %v, %v", waiting, err)
	}
	for _, f := range waiting {
		if b, err := s.Peek(f); err != nil || !bytes.Equal(b, content(f.Name)) {
			t.Errorf("%s in %s: %d bytes, %v", f.Name, f.Folder, len(b), err)
		}
		if !Claimable(f.Name) {
			t.Errorf("%s would not be claimed", f.Name)
		}
	}
	gone := waiting[0]
	if err := os.Remove(filepath.Join(o.Dir, newName, gone.Name)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Peek(gone)
	wantErrs(t, "gone", err, fs.ErrNotExist)
	if err := os.Symlink("/etc/passwd", filepath.Join(o.Dir, newName, gone.Name)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Peek(gone)
	wantErrs(t, "a link", err, ErrForeign)
}
