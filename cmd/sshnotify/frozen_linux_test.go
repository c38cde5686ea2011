package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// freeze mounts a FUSE file system on a folder whose program never answers, as
// a server that is gone does not. What it returns ends that.
func freeze(t *testing.T, dir string) (thaw func()) {
	t.Helper()
	e2e(t)
	if os.Getuid() != 0 {
		lacking(t, "root to mount a file system")
	}
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		lacking(t, "/dev/fuse")
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse.Fd())
	if err := unix.Mount("frozen", dir, "fuse", 0, options); err != nil {
		fuse.Close()
		lacking(t, "leave to mount FUSE: "+err.Error())
	}
	thawed := false
	thaw = func() {
		if !thawed {
			thawed = true
			fuse.Close() // which ends all that waits for it
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(thaw)
	return thaw
}

// A login waits for a few seconds, and not for as long as a server is away. Its
// event is kept in the overflow, and told once, even where the spool gets it in
// the end.
func TestPromise1ASpoolThatDoesNotAnswer(t *testing.T) {
	eachHook(t, testPromise1ASpoolThatDoesNotAnswer)
}

func testPromise1ASpoolThatDoesNotAnswer(t *testing.T, small bool) {
	e2e(t)
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, forgetful)
	s.small = small
	b := newSandbox(t)
	within := b.within()
	for _, dir := range []string{"", "new", "cur", "tmp", "failed"} {
		if err := os.MkdirAll(filepath.Join(s.spool, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	hook := call{
		args: []string{"hook", "--no-worker", "--spool", s.spool}, within: within,
		env: append([]string{"PATH=" + os.Getenv("PATH")}, pamEnv("open_session", "alice", aliceIP)...),
	}
	thaw := freeze(t, s.spool)
	start := time.Now()
	if r := s.do(hook); r != (result{}) {
		t.Errorf("the hook must be silent and exit 0: %+v", r)
	}
	// Its patience, and what a busy machine adds: what hangs here hangs until it thaws.
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the login waited for %v", took)
	}
	over, err := filepath.Glob(filepath.Join(b.run, "sshnotify*", "new", "*.json"))
	if err != nil || len(over) != 1 {
		t.Fatalf("in the overflow: %q, %v", over, err)
	}
	b.saw("does not answer")

	thaw()
	if r := s.do(hook); r != (result{}) {
		t.Errorf("the hook must be silent and exit 0: %+v", r)
	}
	both, err := filepath.Glob(filepath.Join(s.spool, "new", "*.json"))
	if err != nil || len(both) != 1 || filepath.Base(both[0]) != filepath.Base(over[0]) {
		t.Fatalf("the same login is %q in the spool, and %q in the overflow: %v", both, over, err)
	}
	if r := s.do(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}, within: within}); r.code != 0 {
		t.Fatalf("deliver: %+v", r)
	}
	if n := len(s.slack.Messages()); n != 1 {
		t.Errorf("%d messages of one login", n)
	}
}
