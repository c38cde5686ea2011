package cmd

import (
	"os"
	"testing"
)

// TestMain ends at once where a command that is tested has started a worker, which is
// this program again: it would run all tests once more.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "deliver" {
		os.Exit(0)
	}
	os.Exit(m.Run())
}
