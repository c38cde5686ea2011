package parse

import "strings"

// readPAM reads "pam_NAME(SERVICE:auth): authentication failure; …", which
// modules write before the daemon says the same. sshd says that it is sshd's:
// then no ruser stands in the line, and nothing in front of rhost is a
// stranger's.
func readPAM(s string, sshd bool, r *reading) {
	if !strings.HasPrefix(s, "pam_") {
		return
	}
	module, rest, ok := strings.Cut(s, "(")
	if !ok {
		return
	}
	service, rest, ok := strings.Cut(rest, "): ")
	if !ok || strings.IndexByte(service, ' ') >= 0 {
		return
	}
	service, stage, _ := strings.Cut(service, ":")
	// A line that names no program must at least be of a service that is one.
	if d := r.daemonOf(service); sshd && isRead(d) && d.pairs != byAddress {
		return
	}
	if foreign(service) {
		return
	}
	if stage != "auth" {
		r.Outcome = Other
		return
	}
	readModule(module, rest, sshd, r)
}

// readModule reads what a module of PAM says while it asks who somebody is.
func readModule(module, words string, sshd bool, r *reading) {
	details, ok := strings.CutPrefix(words, "authentication failure; ")
	if !ok {
		r.Outcome = Other
		return
	}
	r.kind = kindPAM
	if module != "pam_unix" {
		r.kind = kindPAMModule
	}
	pamDetails(details, sshd, r)
}

// readOldPAM reads the same of a line that names the module in its program's
// place, and "N more authentication failures; …".
func readOldPAM(d *Daemon, module, words string, r *reading) {
	words, sshd := strings.Trim(words, " "), d.pairs == byAddress
	if words != "" && words[0] >= '0' && words[0] <= '9' {
		readPAMMore(words, sshd, r)
	} else {
		readModule(module, words, sshd, r)
	}
	if d.local {
		r.IP, r.peer = peerIP{}, ""
	}
}

// readLibrary reads what libraries write in any daemon's name: libpam and its modules
// of their own troubles, and TCP wrappers of who is turned away. Of those one may
// have put a name of his own choice in front of his address.
func readLibrary(s string, r *reading) {
	s = strings.Trim(s, " ")
	if host, ok := strings.CutPrefix(s, "refused connect from "); ok {
		host = host[strings.LastIndexAny(host, " @")+1:]
		host = strings.Trim(host, "()")
		r.Outcome = Failure
		peer{text: host, ip: address(host)}.into(r)
		return
	}
	if _, ok := cutAnyPrefix(s, "PAM ", "pam_", "gkr-pam: ", "connect from ", "warning: can't get client address: ", "warning: /etc/hosts."); ok {
		r.Outcome = Other
	}
}

// foreign reports whether a PAM service belongs to a program that is not
// watched, though a watched one may be configured to use another's.
func foreign(service string) bool {
	switch service {
	case "cockpit", "dovecot", "login", "gdm-password", "lightdm", "cron", "crond", "smtp", "imap", "pop3", "polkit-1":
		return true
	}
	return false
}

// readPAMMore reads "N more authentication failures; …" behind "PAM ".
func readPAMMore(s string, sshd bool, r *reading) {
	digits, rest := cutFirst(s)
	n, ok := number(digits)
	rest, found := cutAnyPrefix(rest, "more authentication failures; ", "more authentication failure; ")
	if !ok || !found || n < 1 {
		if strings.HasPrefix(s, "service(") {
			r.Outcome = Other
		}
		return
	}
	pamDetails(rest, sshd, r)
	r.Count, r.kind = min(n, maxRepeat), kindPAMMore
}

// pamDetails reads "logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDR  user=NAME",
// of which user= may be missing.
func pamDetails(s string, sshd bool, r *reading) {
	i := strings.Index(s, " ruser=")
	if i < 0 {
		return
	}
	r.Outcome = Failure
	s = s[i+len(" ruser="):]
	if rest, ok := strings.CutPrefix(s, " rhost="); ok && sshd {
		host, name := cutFirst(rest)
		peer{text: host, ip: address(host)}.into(r)
		r.User = strings.TrimPrefix(strings.TrimLeft(name, " "), "user=")
		return
	}
	// FTP servers write the name that was tried into ruser, so that both it and
	// user= may hold what looks like the rest. The right place is the one at
	// which the line ends, or goes on with the same name.
	several := strings.Count(s, " rhost=") > 1
	found := 0
	for at := 0; ; {
		i := strings.Index(s[at:], " rhost=")
		if i < 0 {
			r.Ambiguous = r.Ambiguous || found == 0
			break
		}
		i += at
		at = i + 1
		ruser := s[:i]
		host, rest := cutFirst(s[i+len(" rhost="):])
		user, named := strings.CutPrefix(strings.TrimPrefix(rest, " "), "user=")
		if rest != "" && (!named || several && user != strings.TrimRight(ruser, " ")) {
			continue
		}
		if found++; found > 1 {
			r.IP, r.User, r.By, r.peer, r.Ambiguous = peerIP{}, "", "", "", true
			return
		}
		peer{text: host, ip: address(host)}.into(r)
		r.User, r.By = user, ruser
		if user == "" || user == ruser {
			r.User, r.By = ruser, ""
		}
		if r.whole > maxWhole {
			r.IP, r.peer, r.Ambiguous = peerIP{}, "", true
		}
	}
}
