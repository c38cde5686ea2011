package parse

import "strings"

var pureFTPd = Daemon{
	Service: "pure-ftpd", Parser: "pureftpd", read: readPureFTPd,
	Programs: []string{"pure-ftpd", "pure-ftpd-mysql", "pure-ftpd-ldap", "pure-ftpd-postgresql",
		"pure-ftpd-virtualchroot", "pure-ftpd-mysql-virtualchroot", "pure-ftpd-ldap-virtualchroot", "pure-ftpd-postgresql-virtualchroot"},
	pairs: byAccount, Drops: true,
}

// readPureFTPd reads "(NAME@ADDR) [LEVEL] MESSAGE", as pure-ftpd's log.c writes to
// syslog. NAME is "?" until somebody is in, and then of an account that is
// there.
func readPureFTPd(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	if strings.HasPrefix(s, "pam_") {
		readPAM(s, false, r)
		return
	}
	s, ok := strings.CutPrefix(s, "(")
	if !ok {
		return
	}
	who, rest, ok := strings.Cut(s, ") [")
	if !ok {
		return
	}
	at := strings.LastIndexByte(who, '@')
	level, message, ok := strings.Cut(rest, "] ")
	if at < 0 || !ok || strings.IndexByte(level, ' ') >= 0 {
		return
	}
	r.Outcome = Other
	peer{text: who[at+1:], ip: address(who[at+1:])}.into(r)
	if name, ok := strings.CutPrefix(message, "Authentication failed for user "); ok && level == "WARNING" {
		r.Outcome, r.Method, r.kind = Failure, "password", kindFailed
		r.User = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
		return
	}
	if name, ok := strings.CutPrefix(message, "Can't login as ["); ok && level == "WARNING" {
		if i := strings.LastIndex(name, "]: account disabled"); i >= 0 { // the password was right
			r.Outcome, r.kind, r.User = Failure, kindRefused, name[:i]
		}
		return
	}
	if strings.HasPrefix(message, "Anonymous user logged in") && level == "INFO" && who[:at] == "?" {
		r.Outcome, r.Method, r.User = Success, "none", "ftp"
		return
	}
	if name, ok := strings.CutSuffix(message, " is now logged in"); ok && level == "INFO" && who[:at] == "?" && len(name) <= maxName {
		// Who is in already says nothing of that sort, whatever a file is called.
		r.Outcome, r.Method, r.User = Success, "password", name
	}
}
