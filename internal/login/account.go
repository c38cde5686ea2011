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

// HomeOf returns the home folder of a user from /etc/passwd; "" where the user
// is not in there.
func (h Host) HomeOf(name string) string {
	u, _ := passwd.ByName(passwd.ReadFile(h.path("etc/passwd")), name)
	return u.Home
}
