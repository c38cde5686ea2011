package standin

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a program of Debian's that a test runs itself, and
// below which folder its package is: that where the gate unpacks packages,
// $SSHNOTIFY_SERVERS, or "/". The test is skipped where there is none, and fails
// where the gate wants it.
func Program(t testing.TB, name string) (path, root string) {
	t.Helper()
	root = os.Getenv("SSHNOTIFY_SERVERS")
	for _, dir := range []string{"usr/bin", "usr/lib/x86_64-linux-gnu/icinga2/sbin", "usr/sbin"} {
		if path := filepath.Join(root, dir, name); root != "" {
			if _, err := os.Stat(path); err == nil {
				return path, root
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("SSHNOTIFY_E2E") == "required" {
			t.Fatalf("SSHNOTIFY_E2E=required, and there is no %s: SSHNOTIFY_SERVERS says where .ci/run unpacks it", name)
		}
		t.Skipf("there is no %s", name)
	}
	return path, "/"
}

// Libraries is the environment in which a Program finds the libraries of its own
// package and those unpacked beside it.
func Libraries(root string) []string {
	return append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/x86_64-linux-gnu")+":"+filepath.Join(root, "lib/x86_64-linux-gnu"))
}

// Everyday reports whether the everyday tests run, which need nothing and are quick,
// and not the gate's as well.
func Everyday() bool { return os.Getenv("SSHNOTIFY_E2E") == "" }

// Gate skips a test, or the row of a large table, that takes a second or more, where
// the everyday tests run.
func Gate(t testing.TB) {
	t.Helper()
	if Everyday() {
		t.Skip("it takes its time: set SSHNOTIFY_E2E=1")
	}
}
