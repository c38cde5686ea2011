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
	f, err := os.Open(h.path("etc/passwd"))
	if err != nil {
		return "uid:" + uid, ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Split(lines.Text(), ":")
		if len(field) < 7 || field[2] != uid {
			continue
		}
		// A name with "+" or "-" in front stands for entries of NIS.
		if name := field[0]; name != "" && name[0] != '+' && name[0] != '-' {
			return name, field[5]
		}
	}
	return "uid:" + uid, ""
}
