package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	now := time.Now()
	living := func(pid int) bool { return pid == 77 }
	for _, tt := range []struct {
		situation, name string
		age             time.Duration
		stays           bool
	}{
		{"its writer was killed two hours ago", "4711-00000000000000ff", 2 * time.Hour, false},
		{"its writer was killed a moment ago", "4711-00000000000000ff", time.Second, true},
		{"its writer lives and the clock jumped ahead", "77-00000000000000ff", 48 * time.Hour, true},
		{"the clock jumped back", "4711-00000000000000ff", -48 * time.Hour, true},
		{"an old file of somebody else's", "core", 2 * time.Hour, false},
		{"a new file of somebody else's", "core", 0, true},
		{"a process id that can't be", "99999999999999999999-ff", 2 * time.Hour, false},
		{"the mark", fullName, 48 * time.Hour, true},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			dir := fastDir(t)
			path := filepath.Join(dir, tt.name)
			put(t, path, nil)
			if err := os.Chtimes(path, now.Add(-tt.age), now.Add(-tt.age)); err != nil {
				t.Fatal(err)
			}
			d, err := openFolder(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			sweep(d, now, living)
			if _, err := os.Lstat(path); (err == nil) != tt.stays {
				t.Errorf("stays: %v, want %v", err == nil, tt.stays)
			}
		})
	}
}

func TestSweepLeavesWhatIsNoFile(t *testing.T) {
	dir := fastDir(t)
	target := filepath.Join(fastDir(t), "target")
	put(t, target, nil)
	link := filepath.Join(dir, "4711-ff")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	d, err := openFolder(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	sweep(d, time.Now().Add(1000*time.Hour), func(int) bool { return false })
	for _, path := range []string{link, target} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestLeftoversAreSweptSomeDay(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	path := filepath.Join(s.o.Dir, tmpName, fmt.Sprintf("%d-0123456789abcdef", unusedPID()))
	put(t, path, nil)
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	for range 64 * 40 { // by chance it stays once in 10^17
		mustPut(t, s, "ABCDEFGHJKMNPQRSTVWXYZ0123.json")
		if _, err := os.Lstat(path); err != nil {
			return
		}
	}
	t.Error("never removed")
}

// unusedPID is above every pid_max of Linux, and fits.
func unusedPID() int { return 1<<31 - 2 }

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) || alive(unusedPID()) {
		t.Error("can't tell the living from the dead")
	}
	if pid, ok := writer(tempName()); !ok || pid != os.Getpid() {
		t.Errorf("the writer of a name made here is %d, %v", pid, ok)
	}
}
