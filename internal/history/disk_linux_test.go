package history

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// mounting runs the calling test once more in a mount namespace of its own,
// where it may mount and which leaves nothing behind, and reports whether this
// is that second run.
func mounting(t *testing.T) bool {
	t.Helper()
	if os.Getenv("HISTORY_TEST_MOUNTING") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "HISTORY_TEST_MOUNTING="+t.Name())
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

func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("SKIP-MOUNT: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	standin.Gate(t)
	if !mounting(t) {
		return
	}
	dir := mountTmpfs(t, "size=6m,mode=0700")
	now := day0
	d := openAt(t, filepath.Join(dir, "history.db"), Options{Now: func() time.Time { return now }})
	record(t, d, login(0, "alice", "203.0.113.7", 0))
	filler := filepath.Join(dir, "filler")
	// From nothing left to some pages: each step of a commit fails once.
	for free := range 14 {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		block := make([]byte, 64<<10)
		for err == nil {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		f.Truncate(info.Size() - int64(free)*4096)
		f.Close()
		for i := range 8 {
			now = now.Add(time.Minute)
			d.Record(t.Context(), login(1+free*100+i, "bob", "203.0.113.8", 1))
			d.Recall(t.Context(), login(0, "alice", "203.0.113.7", 0))
		}
		if free%4 == 0 {
			d.Forget(t.Context(), Filter{User: "carol"})
			d.Close()
		}
		os.Remove(filler)
		now = now.Add(time.Minute)
		// With room it goes on, and has lost nothing that it had said was there.
		record(t, d, login(1+free*100+50, "bob", "203.0.113.8", 1))
		if m := recall(t, d, login(99_999, "alice", "203.0.113.7", 60)); m.User.Count != 1 {
			t.Fatalf("%+v", m)
		}
	}
	if n, err := d.store.Notice(t.Context()); n != nil || err != nil {
		t.Errorf("it was taken for damaged: %+v, %v", n, err)
	}
	checkCounters(t, d)
}

func TestReadOnlyFileSystem(t *testing.T) {
	if !mounting(t) {
		return
	}
	dir := mountTmpfs(t, "mode=0700")
	for _, name := range []string{"there.db", "missing.db"} {
		d := openAt(t, filepath.Join(dir, name), Options{})
		if name == "there.db" {
			record(t, d, login(0, "alice", "203.0.113.7", 0))
			d.Close()
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		if m, err := d.Recall(t.Context(), login(1, "alice", "203.0.113.7", 1)); (err == nil) != m.Known {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if err := d.Record(t.Context(), login(1, "alice", "203.0.113.7", 1)); err == nil {
			t.Errorf("%s was written to", name)
		}
		d.Close()
	}
}

// What root reads stays the service's: SQLite gives files that root makes
// beside the database the owner of the database.
func TestRootLeavesTheFilesToTheirOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	const service = 65534
	d := open(t, Options{})
	record(t, d, login(0, "alice", "203.0.113.7", 0))
	d.Close()
	for _, path := range []string{d.store.Path(), filepath.Dir(d.store.Path())} {
		if err := os.Chown(path, service, service); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []Options{{ReadOnly: true}, {}} {
		root := openAt(t, d.store.Path(), o)
		list(t, root, Filter{})
		if !o.ReadOnly {
			record(t, root, login(1, "alice", "203.0.113.7", 0))
		}
		files, err := filepath.Glob(d.store.Path() + "*")
		if err != nil || len(files) != 3 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			if st := info.Sys().(*syscall.Stat_t); st.Uid != service || info.Mode().Perm() != 0o600 {
				t.Errorf("%s belongs to %d, %v", filepath.Base(f), st.Uid, info.Mode())
			}
		}
		root.Close()
	}
}
