package spool

import "golang.org/x/sys/unix"

// renameNoReplace is renameat2(2), since Linux 3.15.
func renameNoReplace(from int, name string, to int, newName string) error {
	return unix.Renameat2(from, name, to, newName, unix.RENAME_NOREPLACE)
}
