//go:build !linux

package cmd

import "golang.org/x/sys/unix"

// isAway says on which network file system a folder is; empty: on none.
func isAway(st *unix.Statfs_t) string {
	switch name := unix.ByteSliceToString(st.Fstypename[:]); name {
	case "nfs", "smbfs", "fusefs", "webdav", "afpfs", "osxfuse", "macfuse", "p9fs":
		return name
	}
	return ""
}
