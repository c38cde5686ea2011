package login

import (
	"strconv"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// Account returns the name and the home folder of h.UID from /etc/passwd:
// "uid:N" and "" where it is not in there. os/user is not asked: under cgo it may
// call LDAP, and wait for it.
func (h Host) Account() (name, home string) {
	if u, ok := passwd.ByID(passwd.ReadFile(h.path("etc/passwd")), h.UID); ok {
		return u.Name, u.Home
	}
	return "uid:" + strconv.Itoa(h.UID), ""
}

// OwnHome returns the home folder of h.UID from /etc/passwd if it is that of the user
// of a name, and "" for anybody else: what stands in another's home is that one's word.
func (h Host) OwnHome(name string) string {
	u, ok := passwd.ByName(passwd.ReadFile(h.path("etc/passwd")), name)
	if !ok || u.UID != h.UID {
		return ""
	}
	return u.Home
}
