// Package passwd reads the lists of users and groups, passwd(5) and group(5). It
// never asks a name service, which may be a network away.
package passwd

import (
	"io"
	"os"
	"strconv"
	"strings"
)

// User is an entry of /etc/passwd.
type User struct {
	Name        string
	UID, GID    int
	Home, Shell string
}

// Group is an entry of /etc/group.
type Group struct {
	Name    string
	GID     int
	Members []string // without those whose first group it is
}

// maxFile bounds what is read of a list.
const maxFile = 4 << 20

// ReadFile returns the text of a list, "" where it can't be read.
func ReadFile(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return ""
	}
	return string(b)
}

// Find returns the first user of a list that is wanted. Lines that are not
// understood are passed over, as are those of NIS, which begin with + or -.
func Find(list string, want func(User) bool) (User, bool) {
	for f := range entries(list) {
		uid, ok1 := number(f[2])
		gid, ok2 := number(f[3])
		u := User{Name: f[0], UID: uid, GID: gid}
		if len(f) >= 7 {
			u.Home, u.Shell = f[5], f[6]
		}
		if ok1 && ok2 && want(u) {
			return u, true
		}
	}
	return User{}, false
}

// ByName returns the user of that name.
func ByName(list, name string) (User, bool) {
	return Find(list, func(u User) bool { return u.Name == name })
}

// ByID returns the first user with that number.
func ByID(list string, uid int) (User, bool) {
	return Find(list, func(u User) bool { return u.UID == uid })
}

// Groups returns the groups of a list.
func Groups(list string) (out []Group) {
	for f := range entries(list) {
		gid, ok := number(f[2])
		if !ok {
			continue
		}
		g := Group{Name: f[0], GID: gid}
		if f[3] != "" {
			g.Members = strings.Split(f[3], ",")
		}
		out = append(out, g)
	}
	return out
}

// entries yields the fields of each entry, at least four.
func entries(list string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(list) {
			f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
			if len(f) < 4 || f[0] == "" || strings.ContainsAny(f[0][:1], "+-#") {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// number reads an id. The greatest one means "leave it" to chown(2), and where
// an int has 32 bits, the greater half does not fit.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n != 1<<32-1 && int(n) >= 0
}
