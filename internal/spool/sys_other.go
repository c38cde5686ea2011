//go:build !linux

package spool

import "golang.org/x/sys/unix"

// oPassage is Linux's: a watcher's inbox is made there alone.
const oPassage = 0

// renameNoReplace is Linux's; link(2), which is tried first, does the same
// everywhere else.
func renameNoReplace(int, string, int, string) error { return unix.ENOSYS }
