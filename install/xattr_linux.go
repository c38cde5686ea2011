package install

import (
	"strings"

	"golang.org/x/sys/unix"
)

// copyAttributes returns a new file the access list and the SELinux label of the
// one that it replaces. What the file system refuses is left at its default.
func copyAttributes(from, to string) {
	names := make([]byte, 64<<10) // XATTR_LIST_MAX, xattr(7)
	n, err := unix.Llistxattr(from, names)
	if err != nil {
		return
	}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		// Others speak of the old content (security.ima) or of what a program
		// may do (security.capability).
		if name != "security.selinux" && name != "system.posix_acl_access" && !strings.HasPrefix(name, "user.") {
			continue
		}
		if n, err := unix.Lgetxattr(from, name, value); err == nil {
			_ = unix.Lsetxattr(to, name, value[:n], 0)
		}
	}
}

// hasAccessList reports whether more than owners and mode say who may use a file.
func hasAccessList(name string) bool {
	_, err := unix.Getxattr(name, "system.posix_acl_access", nil)
	return err == nil
}
