package parse

import (
	"encoding/json"
	"strings"
)

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
	if event, ok := strings.CutPrefix(s, "@cee:"); ok {
		readSudoJSON(event, r)
		return
	}
	if r.bare { // its own file, "Jan _2 15:04:05 : NAME : …"
		s = strings.TrimPrefix(s, ": ")
	}
	// Behind the first " ; " stands what the user typed.
	name, rest, ok := strings.Cut(s, " : ")
	if !ok || name == "" || strings.IndexByte(name, ' ') >= 0 {
		return
	}
	if r.bare && !strings.Contains(rest, "; PWD=") && !strings.Contains(rest, " ; USER=") && !strings.Contains(rest, " ; COMMAND=") {
		return // anybody writes a word and a colon
	}
	why, _, _ := strings.Cut(rest, " ; ")
	sudoSays(why, name, r)
}

// readSudoJSON reads an event of sudo since 1.9.4 with "Defaults log_format=json"
// (eventlog.c).
func readSudoJSON(s string, r *reading) {
	type details struct{ Reason, Submituser string }
	var line struct {
		Sudo struct{ Accept, Reject, Alert, Exit *details }
	}
	if json.Unmarshal([]byte(s), &line) != nil {
		return
	}
	switch e := line.Sudo; {
	case e.Reject != nil:
		sudoSays(e.Reject.Reason, e.Reject.Submituser, r)
	case e.Accept != nil:
		r.Outcome, r.User, r.kind = Other, e.Accept.Submituser, kindGotIn
	case e.Alert != nil, e.Exit != nil:
		r.Outcome = Other
	}
}

// sudoSays reads why sudo refused what a user asked for; where it did not, other
// words stand there.
func sudoSays(why, user string, r *reading) {
	r.Outcome, r.User = Other, user
	digits, words := cutFirst(why)
	switch n, isNumber := number(digits); {
	case isNumber && (strings.HasPrefix(words, "incorrect password attempt") || strings.HasPrefix(words, "incorrect authentication attempt")):
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
	case strings.HasPrefix(s, "+ "), strings.HasPrefix(s, "- "):
		readSuLog(s, r)
	case !r.bare && isSuBSD(s): // "bob to root on /dev/pts/1"
		r.Outcome, r.kind = Other, kindGotIn
	case !r.bare && (strings.HasPrefix(s, "no passwd entry for user") || strings.HasPrefix(s, "Successful su ") ||
		strings.HasPrefix(s, "unknown GID") || strings.HasPrefix(s, "Authentication failure") || strings.HasPrefix(s, "Could not ")):
		r.Outcome = Other
	}
}

// readSuLog reads busybox' line, which is also shadow's second one: "- pts/1
// bob:root", "+ /dev/pts/1 bob-root", "+ ??? bob:root"; the minus is a failure.
func readSuLog(s string, r *reading) {
	tty, names := cutFirst(s[2:])
	by, user, ok := strings.Cut(names, ":")
	if !ok {
		by, user, ok = strings.Cut(names, "-")
	}
	isTTY := strings.HasPrefix(tty, "/dev/") || strings.HasPrefix(tty, "pts/") || strings.HasPrefix(tty, "tty") || strings.HasPrefix(tty, "?") || tty == "console" || tty == "none"
	if !isTTY || !ok || by == "" || user == "" || strings.IndexByte(names, ' ') >= 0 {
		return
	}
	switch r.Outcome = Other; {
	case r.bare:
	case s[0] == '+':
		r.kind = kindGotIn
	default:
		r.Outcome, r.User, r.By, r.kind = Failure, user, by, kindRefused
	}
}

// isSuBSD reports whether s is "BY to USER on TTY".
func isSuBSD(s string) bool {
	words := strings.Fields(s)
	return len(words) == 5 && words[1] == "to" && words[3] == "on"
}
