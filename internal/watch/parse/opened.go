package parse

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Opened is a session that pam_unix says was opened. Its strings are cleaned.
type Opened struct {
	Service string // as PAM knows it: sshd, su, su-l, sudo, sudo-i, login; "" there is none
	User    string // whose session it is
	By      string // who opened it; uid:1000 where only that is known
}

// maxAccount is how many characters of a name are kept: as many as of the one
// in the hook's event, with which it is compared.
const maxAccount = 128

// opened reads what pam_unix writes when a session is opened (pam_unix_sess.c):
//
//	pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)
//
// Before Linux-PAM 1.4 the first uid is not there. Nothing in the line is a
// stranger's: the user is an account by then, and so is who runs the program.
func opened(d *Daemon, message string) Opened {
	rest, ok := strings.CutPrefix(strings.TrimLeft(message, " "), "pam_unix(")
	if !ok {
		return Opened{}
	}
	service, rest, _ := strings.Cut(rest, ":")
	rest, ok = strings.CutPrefix(strings.TrimRight(rest, " "), "session): session opened for user ")
	if !ok {
		return Opened{}
	}
	service = strings.TrimSuffix(service, ".pam") // Alpine's sshd of before OpenSSH 9.8
	for _, s := range d.opens {
		if s != service {
			continue
		}
		at := strings.LastIndex(rest, " by ")
		if at < 0 {
			return Opened{}
		}
		user, _ := cutUID(rest[:at])
		who := rest[at+len(" by "):]
		by, ok := cutUID(who)
		if !ok {
			return Opened{}
		}
		if by == "" { // without a terminal pam_unix knows no name
			by = "uid:" + who[len("(uid="):len(who)-1]
		}
		return Opened{Service: s, User: event.Clean(user, maxAccount), By: event.Clean(by, maxAccount)}
	}
	return Opened{}
}

// cutUID takes "(uid=1000)" off a name.
func cutUID(s string) (name string, ok bool) {
	rest, ok := strings.CutSuffix(s, ")")
	i := strings.LastIndex(rest, "(uid=")
	if !ok || i < 0 {
		return s, false
	}
	digits := rest[i+len("(uid="):]
	if digits == "" || strings.ContainsFunc(digits, func(c rune) bool { return c != '-' && (c < '0' || c > '9') }) {
		return s, false
	}
	return s[:i], true
}
