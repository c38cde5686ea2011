package parse

import "strings"

var sudo = Daemon{
	Service: "sudo", Parser: "sudo", Programs: []string{"sudo", "sudo.ws", "sudo-rs"}, read: readSudo,
	local: true, opens: []string{"sudo", "sudo-i"}, Users: true,
}

var su = Daemon{
	Service: "su", Parser: "su", Programs: []string{"su", "su-rs"}, read: readSu,
	local: true, opens: []string{"su", "su-l"}, Users: true,
}

// readSudo reads sudo's log lines (logging.c) and those of its PAM modules. The
// name is that of who called it: sudo asks for their own password.
func readSudo(s string, r *reading) {
	s = strings.Trim(s, " ")
	switch {
	case strings.HasPrefix(s, "pam_"):
		readPAM(s, false, r)
		r.IP, r.peer = peerIP{}, ""
		return
	case strings.HasPrefix(s, "PAM "):
		readPAMMore(s[len("PAM "):], false, r)
		r.IP, r.peer = peerIP{}, ""
		return
	}
	// Behind the first " ; " stands what the user typed.
	name, rest, ok := strings.Cut(s, " : ")
	if !ok || name == "" || strings.IndexByte(name, ' ') >= 0 {
		return
	}
	r.Outcome, r.User = Other, name
	why, _, _ := strings.Cut(rest, " ; ")
	digits, words := cutFirst(why)
	switch n, isNumber := number(digits); {
	case isNumber && strings.HasPrefix(words, "incorrect password attempt"):
		r.Outcome, r.Count, r.kind = Failure, max(n, 1), kindTotal
	case strings.HasPrefix(why, "user NOT in sudoers"), strings.HasPrefix(why, "user NOT authorized on host"),
		strings.HasPrefix(why, "command not allowed"):
		r.Outcome, r.kind = Failure, kindRefused
	case strings.HasPrefix(why, "TTY="), strings.HasPrefix(why, "PWD="), strings.HasPrefix(why, "HOST="):
		r.kind = kindGotIn
	}
}

// readSu reads the forms that util-linux, shadow and the BSDs give to su's lines.
// The name is that of the account that was tried, By of who tried.
func readSu(s string, r *reading) {
	s = strings.Trim(s, " ")
	switch {
	case strings.HasPrefix(s, "pam_"):
		readPAM(s, false, r)
		r.IP, r.peer = peerIP{}, ""
	case strings.HasPrefix(s, "FAILED SU (to "): // util-linux: "FAILED SU (to root) bob on pts/1"
		target, rest, ok := strings.Cut(s[len("FAILED SU (to "):], ") ")
		if !ok {
			return
		}
		r.Outcome, r.User, r.kind = Failure, target, kindFailed
		r.By, _ = cutFirst(rest)
	case strings.HasPrefix(s, "FAILED su for "): // shadow: "FAILED su for root by bob"
		target, by, ok := strings.Cut(s[len("FAILED su for "):], " by ")
		if !ok {
			return
		}
		r.Outcome, r.User, r.By, r.kind = Failure, target, by, kindFailed
	case strings.HasPrefix(s, "BAD SU "): // BSD: "BAD SU bob to root on /dev/pts/1"
		by, rest, ok := strings.Cut(s[len("BAD SU "):], " to ")
		if !ok {
			return
		}
		r.Outcome, r.By, r.kind = Failure, by, kindFailed
		r.User, _ = cutFirst(rest)
	case strings.HasPrefix(s, "(to "), strings.HasPrefix(s, "Successful su for "):
		r.Outcome, r.kind = Other, kindGotIn
	case strings.HasPrefix(s, "+ "), strings.HasPrefix(s, "- "), strings.HasPrefix(s, "pam_authenticate: "):
		r.Outcome = Other
	}
}
