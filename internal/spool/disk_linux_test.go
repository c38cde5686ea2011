package spool

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mounting runs the calling test once more in a mount namespace of its own,
// where it may mount and which leaves nothing behind, and reports whether this
// is that second run.
func mounting(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SPOOL_TEST_MOUNTING") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "SPOOL_TEST_MOUNTING="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "SKIP-MOUNT") {
		t.Skip("no right to mount")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func mountTmpfs(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("SKIP-MOUNT: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	if !mounting(t) {
		return
	}
	o := hostOptions(t, t.TempDir())
	mountTmpfs(t, o.Dir, "size=128k")
	s := Open(o)
	q := mustLock(t, s)
	spent := 0
	where := o.Dir
	for ; where == o.Dir; spent++ {
		name := newEvent()
		var err error
		if where, err = s.Put(name, content(name)); err != nil {
			t.Fatal(err)
		}
	}
	if where != o.Overflow || spent < 5 {
		t.Errorf("after %d events the next went to %q", spent, where)
	}
	for _, name := range files(t, o.Dir, newName) {
		if b, err := os.ReadFile(filepath.Join(o.Dir, newName, name)); err != nil || !bytes.Equal(b, content(name)) {
			t.Errorf("torn: %s has %d bytes, %v", name, len(b), err)
		}
	}
	if left := files(t, o.Dir, tmpName); len(left) > 0 {
		t.Errorf("left in tmp/: %q", left)
	}
	o.Overflow = ""
	_, err := Open(o).Put(newEvent(), make([]byte, 4096))
	wantErrs(t, "without an overflow", err, syscall.ENOSPC)

	// The worker: it can claim, but copy nothing from the overflow.
	names, _, err := q.Claim(0)
	wantErrs(t, "Claim of the overflow", err, syscall.ENOSPC)
	if len(names) != spent-1 {
		t.Errorf("claimed %d of %d", len(names), spent-1)
	}
	name := names[0]
	wantErrs(t, "Write", q.Write(name, make([]byte, 64<<10)), syscall.ENOSPC)
	wantErrs(t, "Fail with a reason", q.Fail(name, make([]byte, 64<<10)), syscall.ENOSPC)
	if b, err := q.Read(name); err != nil || !bytes.Equal(b, content(name)) {
		t.Errorf("after a Write that failed: %d bytes, %v", len(b), err)
	}
	if err := q.Fail(name, nil); err != nil {
		t.Errorf("Fail as it is: %v", err)
	}
	for _, n := range names[1:4] {
		if err := q.Remove(n); err != nil {
			t.Error(err)
		}
	}
	if names, _, err := q.Claim(0); err != nil || len(names) != 1 {
		t.Errorf("with room again: claimed %q, %v", names, err)
	}
	q.Unlock()
}

// A real overflow is another file system, and so is a log partition mounted on
// a subfolder.
func TestClaimFromOtherFileSystems(t *testing.T) {
	if !mounting(t) {
		return
	}
	o := hostOptions(t, t.TempDir())
	for _, dir := range []string{o.Overflow, filepath.Join(o.Dir, curName)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		mountTmpfs(t, dir, "size=1m")
	}
	s := Open(o)
	inDir, inOver := newEvent(), newEvent()
	mustPut(t, s, inDir)
	s.limit.count = 1
	mustPut(t, s, inOver)
	q := mustLock(t, s)
	if got := mustClaim(t, q); len(got) != 2 {
		t.Errorf("claimed %q", got)
	}
	for _, name := range []string{inDir, inOver} {
		if b, err := q.Read(name); err != nil || !bytes.Equal(b, content(name)) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
	q.Unlock()
}

func TestReadOnlySpool(t *testing.T) {
	if !mounting(t) {
		return
	}
	for _, tt := range []struct {
		situation string
		prepare   func(t *testing.T, s *Spool)
		waiting   int
	}{
		{"empty", func(*testing.T, *Spool) {}, 0},
		{"in use", func(t *testing.T, s *Spool) {
			mustPut(t, s, newEvent())
			q := mustLock(t, s)
			mustClaim(t, q)
			mustPut(t, s, newEvent())
			q.Unlock()
		}, 2},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			o := hostOptions(t, t.TempDir())
			mountTmpfs(t, o.Dir, "size=1m")
			s := Open(o)
			tt.prepare(t, s)
			readOnly(t, o.Dir)
			name := newEvent()
			if where, err := s.Put(name, content(name)); err != nil || where != o.Overflow {
				t.Errorf("Put = %q, %v; want it in the overflow", where, err)
			}
			_, err := s.Lock(t.Context(), false)
			wantErrs(t, "Lock", err, syscall.EROFS)
			if files, err := s.Waiting(); err != nil || len(files) != tt.waiting+1 {
				t.Errorf("Waiting = %v, %v", files, err)
			}
			if s.Busy() {
				t.Error("busy")
			}
			own := Open(Options{Dir: o.Dir})
			_, err = own.Put(name, content(name))
			wantErrs(t, "a user's Put", err, syscall.EROFS)
		})
	}
}
