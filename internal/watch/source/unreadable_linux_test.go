package source

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnreadable: a file that may not be read is waited for. Root, whom no mode
// keeps out, is somebody else for as long.
func TestUnreadable(t *testing.T) {
	for _, row := range []struct {
		name  string
		first bool // it is unreadable from the start on
		want  []string
	}{
		{"from the first start on", true, []string{"line 2", "line 3"}},
		{"after a restart", false, []string{"line 1", "line 2", "line 3"}},
	} {
		b := newBench(t)
		for dir := filepath.Dir(b.path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		b.mkdir(b.opt.StateDir)
		if err := os.Chown(b.opt.StateDir, 65534, -1); err != nil {
			t.Skip(err)
		}
		asNobody(t, func() {
			b.writeAs(0o644, "")
			if !row.first {
				b.open()
				b.writeAs(0o644, "line 1\n")
				b.take(1)
				b.stop()
			} else {
				b.writeAs(0o600, "line 1\n")
			}
			b.writeAs(0o600, "")
			b.open()
			b.until("the trouble to be told", func(f *file) bool { return strings.Contains(f.keep.status().Err, "permission") })
			if st := b.src.Status(); !st.There || st.Readable || !st.Denied {
				t.Errorf("%s: %+v", row.name, st)
			}
			b.writeAs(0o600, "line 2\n")
			b.until("another look", func(f *file) bool { return f.keep.status().Err != "" })
			if b.writeAs(0o644, "line 3\n"); strings.Contains(b.said.String(), "is lost") {
				t.Errorf("%s: said %s", row.name, b.said)
			}
			b.take(2)
			b.want(row.want...)
			if st := b.src.Status(); !st.Readable || st.Err != "" || st.Denied {
				t.Errorf("%s: %+v", row.name, st)
			}
			b.stop()
		})
	}
}

// writeAs writes as root, and sets the mode.
func (b *bench) writeAs(mode os.FileMode, text string) {
	b.t.Helper()
	unix.SetfsuidRetUid(0)
	defer unix.SetfsuidRetUid(65534)
	b.write(b.path, text)
	if err := os.Chmod(b.path, mode); err != nil {
		b.t.Fatal(err)
	}
}

// asNobody runs f with the file rights of another user, on a thread of its own.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := unix.SetfsuidRetUid(65534); err != nil {
		t.Fatal(err)
	}
	defer unix.SetfsuidRetUid(0)
	f()
}
