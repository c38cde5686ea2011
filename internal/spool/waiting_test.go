package spool

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestWaiting(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	if got, err := s.Waiting(); err != nil || len(got) > 0 {
		t.Errorf("a fresh spool: %v, %v", got, err)
	}
	if left := files(t, o.Dir); len(left) > 0 {
		t.Errorf("looking made %q", left)
	}
	inNew, inOver, inCur, inFailed := newEvent(), newEvent(), newEvent(), newEvent()
	q := mustLock(t, s)
	for _, err := range []error{q.Write(inCur, []byte("12")), q.Write(inFailed, []byte("123")), q.Fail(inFailed, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(o.Dir, newName, inNew), []byte("1"))
	put(t, filepath.Join(o.Overflow, newName, inOver), nil)
	if err := os.Symlink("/etc/passwd", filepath.Join(o.Dir, newName, newEvent())); err != nil {
		t.Fatal(err)
	}
	got, err := s.Waiting()
	want := []File{{inNew, InNew, 1, time.Time{}}, {inOver, InOverflow, 0, time.Time{}}, {inCur, InCur, 2, time.Time{}}, {inFailed, InFailed, 3, time.Time{}}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(File{}, "Time")); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for _, f := range got {
		if time.Since(f.Time).Abs() > time.Minute {
			t.Errorf("%s was changed at %v", f.Folder, f.Time)
		}
	}
	s.fault = func(op, path string) error {
		if op == "open" && strings.HasSuffix(path, "/"+curName) {
			return syscall.EACCES
		}
		return nil
	}
	got, err = s.Waiting()
	wantErrs(t, "with cur/ closed", err, fs.ErrPermission)
	if len(got) != 3 {
		t.Errorf("with cur/ closed: %v", got)
	}
	if missing := Open(Options{Dir: "/proc/nonexistent/spool"}); true {
		if got, err := missing.Waiting(); err != nil || len(got) > 0 {
			t.Errorf("a user without a spool: %v, %v", got, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name             string
		valid, claimable bool
	}{
		{"0123456789ABCDEFGHJKMNPQRS.json", true, true},
		{"0123456789abcdefghjkmnpqrs.json", true, false},
		{"0123456789ABCDEFGHJKMNPQR.json", true, false},
		{"0123456789ABCDEFGHJKMNPQRI.json", true, false}, // I is no digit of Crockford's
		{"0123456789ABCDEFGHJKMNPQ\n\n.json", false, false},
		{"0123456789ABCDEFGHJKMNPQRS.json.json", true, false},
		{"0123456789ABCDEFGHJKMNPQRS", true, false},
		{"req-1.req", true, true},
		{"req-.req", true, false},
		{"req-.reqreq", true, false},
		{"req.req", true, false},
		{"x.req", true, false},
		{"req-a/b.req", false, false},
		{"req-" + strings.Repeat("x", 73) + ".req", false, false},
		{".", false, false},
		{"..", false, false},
		{"", false, false},
		{".lock", false, false},
	} {
		if got := ValidName(tt.name); got != tt.valid {
			t.Errorf("ValidName(%q) = %v", tt.name, got)
		}
		if got := Claimable(tt.name); got != tt.claimable {
			t.Errorf("Claimable(%q) = %v", tt.name, got)
		}
	}
}
