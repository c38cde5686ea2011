package parse

import "strings"

var dropbear = Daemon{
	Service: "dropbear", Parser: "dropbear", Programs: []string{"dropbear", "dropbearmulti"}, read: readDropbear,
	Units: []string{"dropbear"},
}

// readDropbear reads what dropbear's svr-auth*.c and common-session.c write.
func readDropbear(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	switch {
	case strings.HasPrefix(s, "Bad password attempt for "), strings.HasPrefix(s, "Bad PAM password attempt for "):
		dropbearEnd(s, kindFailed, r)
		r.Method = "password"
	case strings.HasPrefix(s, "Login attempt for nonexistent user"):
		dropbearEnd(s, kindInvalid, r)
		r.Invalid = true
	case strings.HasPrefix(s, "Login attempt with wrong user "):
		dropbearEnd(s, kindInvalid, r)
	case strings.HasPrefix(s, "Max auth tries reached - user "):
		dropbearEnd(s, kindMaximum, r)
	case strings.HasPrefix(s, "Exit before auth from <"):
		dropbearExit(s[len("Exit before auth from <"):], r)
	case strings.HasPrefix(s, "Password auth succeeded for "), strings.HasPrefix(s, "PAM password auth succeeded for "):
		dropbearAccepted(s, "password", r)
	case strings.HasPrefix(s, "Pubkey auth succeeded for "):
		dropbearAccepted(s, "publickey", r)
	case strings.HasPrefix(s, "Child connection from "):
		if p, ok := hostPort(s[len("Child connection from "):]); ok {
			r.Outcome, r.kind = Other, kindStart
			p.into(r)
		}
	case strings.HasPrefix(s, "pam_"):
		readPAM(s, false, r)
	default:
		if _, ok := cutAnyPrefix(s, "Exit (", "Exit before auth", "Early exit: ", "Not backgrounding", "Running in background",
			"User account '", "user '", "root login rejected", "Failed loading ", "Failed listening on ", "Forced command ",
			"Got request for ", "Bad pubkey"); ok {
			r.Outcome = Other
		}
	}
}

// dropbearEnd reads "… 'NAME' from ADDR:PORT"; the name may be missing, and so
// may the address, which then stands on another line of the process.
func dropbearEnd(s string, k kind, r *reading) {
	before, p, ok := endHostPort(s)
	if !ok && k == kindInvalid && s == "Login attempt for nonexistent user" {
		before, ok = s, true
	}
	if !ok {
		return
	}
	r.Outcome, r.kind = Failure, k
	if name, ok := strings.CutSuffix(before, "'"); ok {
		if i := strings.IndexByte(name, '\''); i >= 0 {
			r.User = name[i+1:]
		}
	}
	p.intoWhole(r)
}

// endHostPort cuts " from ADDR:PORT" off the end.
func endHostPort(s string) (before string, p peer, ok bool) {
	before, word := cutLast(s)
	p, ok = hostPort(word)
	if !ok {
		return "", peer{}, false
	}
	before, ok = strings.CutSuffix(before, " from")
	return before, p, ok
}

// dropbearAccepted reads "… for 'NAME' [with … key …] from ADDR:PORT". The name is
// of an account that is there.
func dropbearAccepted(s, method string, r *reading) {
	before, p, ok := endHostPort(s)
	if !ok {
		return
	}
	_, name, ok := strings.Cut(before, "'")
	if !ok {
		return
	}
	name, rest, _ := strings.Cut(name, "'")
	r.Outcome, r.Method, r.User = Success, method, name
	if _, print := cutLast(rest); strings.IndexByte(print, ':') > 0 {
		r.Key = print
	}
	p.into(r)
}

// dropbearExit reads "ADDR:PORT>: (user 'NAME', N fails): WHY" behind "Exit before
// auth from <". The name is of an account that is there; without fails nobody
// tried anything.
func dropbearExit(s string, r *reading) {
	host, rest, ok := strings.Cut(s, ">: ")
	if !ok {
		return
	}
	p, ok := hostPort(host)
	if !ok {
		return
	}
	r.Outcome, r.kind = Other, kindOver
	p.into(r)
	rest, ok = strings.CutPrefix(rest, "(user '")
	if !ok {
		return
	}
	name, rest, _ := strings.Cut(rest, "', ")
	digits, _ := cutFirst(rest)
	r.User = name
	if n, ok := number(digits); ok && n > 0 {
		r.Outcome, r.Count, r.kind = Failure, n, kindTotal
	}
}
