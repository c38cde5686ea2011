package spool

import "golang.org/x/sys/unix"

// oPassage is O_PATH of open(2): it needs no right to read.
const oPassage = unix.O_PATH

// renameNoReplace is renameat2(2), since Linux 3.15.
func renameNoReplace(from int, name string, to int, newName string) error {
	return unix.Renameat2(from, name, to, newName, unix.RENAME_NOREPLACE)
}
