package cmd

import (
	"os"
	"testing"
)

// endToEnd reports whether tests run that take many seconds.
func endToEnd() bool { return os.Getenv("SSHNOTIFY_E2E") != "" }

// e2e skips a test that does, unless they are switched on.
func e2e(t *testing.T) {
	t.Helper()
	if !endToEnd() {
		t.Skip("it takes some seconds: set SSHNOTIFY_E2E=1")
	}
}
