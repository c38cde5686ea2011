package install

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// User is an entry of /etc/passwd (passwd(5)).
type User struct {
	Name        string
	UID, GID    int
	Home, Shell string
}

// UserByID looks a user up in the host's own /etc/passwd. ok is false for one
// that only a name service knows.
func (h Host) UserByID(uid int) (u User, ok bool) {
	return h.findUser(func(u User) bool { return u.UID == uid })
}

// UserByName is UserByID for a name.
func (h Host) UserByName(name string) (User, bool) {
	return h.findUser(func(u User) bool { return u.Name == name })
}

func (h Host) findUser(want func(User) bool) (User, bool) {
	for _, f := range h.entries("/etc/passwd", 7) {
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			continue
		}
		if u := (User{Name: f[0], UID: uid, GID: gid, Home: f[5], Shell: f[6]}); want(u) {
			return u, true
		}
	}
	return User{}, false
}

// userName returns a name for messages: that of /etc/passwd, or the number.
func (h Host) userName(uid int) string {
	if u, ok := h.UserByID(uid); ok {
		return u.Name
	}
	return strconv.Itoa(uid)
}

func (h Host) groupByName(name string) (gid int, ok bool) {
	for _, f := range h.entries("/etc/group", 4) {
		if gid, err := strconv.Atoi(f[2]); err == nil && f[0] == name {
			return gid, true
		}
	}
	return 0, false
}

func (h Host) groupName(gid int) string {
	for _, f := range h.entries("/etc/group", 4) {
		if f[2] == strconv.Itoa(gid) {
			return f[0]
		}
	}
	return strconv.Itoa(gid)
}

// entries returns the lines of a colon-separated file that have n fields.
func (h Host) entries(p string, n int) [][]string {
	f, err := h.read(p)
	if err != nil {
		return nil
	}
	var out [][]string
	for line := range strings.SplitSeq(string(f.data), "\n") {
		if fields := strings.Split(line, ":"); len(fields) == n {
			out = append(out, fields)
		}
	}
	return out
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
