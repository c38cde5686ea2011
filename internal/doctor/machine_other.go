//go:build !linux

package doctor

import "golang.org/x/sys/unix"

// clockSynced is not known elsewhere.
func clockSynced() (synced, known bool) { return false, false }

// networkFS returns the name of a network file system; "" for any other.
func networkFS(st *unix.Statfs_t) string {
	switch name := unix.ByteSliceToString(st.Fstypename[:]); name {
	case "nfs", "smbfs", "fusefs", "webdav", "afpfs", "osxfuse", "macfuse", "p9fs":
		return name
	}
	return ""
}
