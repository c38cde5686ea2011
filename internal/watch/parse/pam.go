package parse

import "strings"

// readPAM reads "pam_NAME(SERVICE:auth): authentication failure; …", which
// modules write before the daemon says the same. sshd says that it is sshd's:
// then no ruser stands in the line, and nothing in front of rhost is a
// stranger's.
func readPAM(s string, sshd bool, r *reading) {
	module, rest, ok := strings.Cut(s, "(")
	if !ok || !strings.HasPrefix(module, "pam_") {
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
	details, ok := strings.CutPrefix(rest, "authentication failure; ")
	if !ok || stage != "auth" {
		r.Outcome = Other
		return
	}
	r.kind = kindPAM
	if module != "pam_unix" {
		r.kind = kindPAMModule
	}
	pamDetails(details, sshd, r)
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
