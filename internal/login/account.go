package login

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// Account gives the name and the home folder of h.UID from /etc/passwd, see
// passwd(5): "uid:N" and "" where it is not in there. os/user is not asked:
// under cgo it may call LDAP, and wait for it.
func (h Host) Account() (name, home string) {
	uid := strconv.Itoa(h.UID)
	if f := h.passwd(2, uid); f != nil {
		return f[0], f[5]
	}
	return "uid:" + uid, ""
}

// HomeOf gives the home folder of a user from /etc/passwd; "" where the user is
// not in there.
func (h Host) HomeOf(name string) string {
	if f := h.passwd(0, name); f != nil {
		return f[5]
	}
	return ""
}

// passwd gives the first line of /etc/passwd whose field n is value.
func (h Host) passwd(n int, value string) []string {
	f, err := os.Open(h.path("etc/passwd"))
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Split(lines.Text(), ":")
		if len(field) < 7 || field[n] != value {
			continue
		}
		// A name with "+" or "-" in front stands for entries of NIS.
		if name := field[0]; name != "" && name[0] != '+' && name[0] != '-' {
			return field
		}
	}
	return nil
}
