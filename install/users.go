package install

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// UserByID looks a user up in the host's own /etc/passwd. ok is false for one
// that only a name service knows.
func (h Host) UserByID(uid int) (u passwd.User, ok bool) {
	return passwd.ByID(h.text("/etc/passwd"), uid)
}

// UserByName is UserByID for a name.
func (h Host) UserByName(name string) (passwd.User, bool) {
	return passwd.ByName(h.text("/etc/passwd"), name)
}

// userName returns a name for messages: that of /etc/passwd, or the number.
func (h Host) userName(uid int) string {
	if u, ok := h.UserByID(uid); ok {
		return u.Name
	}
	return strconv.Itoa(uid)
}

func (h Host) groups() []passwd.Group { return passwd.Groups(h.text("/etc/group")) }

func (h Host) groupByName(name string) (gid int, ok bool) {
	for _, g := range h.groups() {
		if g.Name == name {
			return g.GID, true
		}
	}
	return 0, false
}

func (h Host) groupName(gid int) string {
	for _, g := range h.groups() {
		if g.GID == gid {
			return g.Name
		}
	}
	return strconv.Itoa(gid)
}

// Owner is a user and a group by name. The zero value means the user who runs
// the program, or the owner that is there already.
type Owner struct {
	User, Group string
}

func (o Owner) String() string {
	if o == (Owner{}) {
		return ""
	}
	return o.User + ":" + o.Group
}

// ids returns the numbers of an owner. A tree need not have an /etc/passwd to
// have a root.
func (h Host) ids(o Owner) (uid, gid int, err error) {
	if u, ok := h.UserByName(o.User); ok {
		uid = u.UID
	} else if o.User != "root" {
		return 0, 0, fmt.Errorf("no user %s in /etc/passwd", o.User)
	}
	if g, ok := h.groupByName(o.Group); ok {
		gid = g
	} else if o.Group != "root" {
		return 0, 0, fmt.Errorf("no group %s in /etc/group", o.Group)
	}
	return uid, gid, nil
}

// shellKind names a shell by its path: bash, zsh, fish, or "" for any other.
func shellKind(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if slices.Contains([]string{Bash, Zsh, Fish}, name) {
		return name
	}
	return ""
}
