package parse

import (
	"strings"
	"time"
)

var dropbear = Daemon{
	Service: "dropbear", Parser: "dropbear", Programs: []string{"dropbear", "dropbearmulti"}, read: readDropbear,
	Units: []string{"dropbear"},
}

// readDropbear reads what dropbear's svr-auth*.c and common-session.c write, in
// the words of 2019 to 2025, and those of before 2013 that OpenWrt's logs have.
func readDropbear(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	if _, pid, message, ok := cutDropbearStart(&stamps{zone: time.UTC, now: time.Now}, s); ok {
		s, r.PID = message, pid
	}
	switch {
	case strings.HasPrefix(s, "Bad password attempt for "), strings.HasPrefix(s, "bad password attempt for "),
		strings.HasPrefix(s, "Bad PAM password attempt for "), strings.HasPrefix(s, "bad PAM password attempt for "),
		strings.HasPrefix(s, "Too-long password attempt for "):
		dropbearEnd(s, kindFailed, r)
		r.Method = "password"
	case strings.HasPrefix(s, "Login attempt for nonexistent user"), strings.HasPrefix(s, "login attempt for nonexistent user"):
		dropbearEnd(s, kindInvalid, r)
		r.Invalid = true
	case strings.HasPrefix(s, "Login attempt with wrong user "):
		dropbearEnd(s, kindInvalid, r)
	case strings.HasPrefix(s, "Pubkey auth bad signature for "), strings.HasPrefix(s, "Pubkey auth attempt with unknown algo for "):
		dropbearEnd(s, kindOffered, r)
		r.Method = "publickey"
	case strings.HasPrefix(s, "Max auth tries reached - user "):
		dropbearEnd(s, kindMaximum, r)
	case strings.HasPrefix(s, "Exit before auth from <"):
		dropbearExit(s[len("Exit before auth from <"):], r)
	case strings.HasPrefix(s, "Exit before auth ("), strings.HasPrefix(s, "exit before auth ("):
		dropbearFails(s[len("Exit before auth "):], r)
	case strings.HasSuffix(s, ", extra auth required"): // a second factor is still to come
		r.Outcome = Other
	case strings.HasPrefix(s, "Password auth succeeded for "), strings.HasPrefix(s, "PAM password auth succeeded for "),
		strings.HasPrefix(s, "password auth succeeded for "), strings.HasPrefix(s, "Auth succeeded with blank password for "):
		dropbearAccepted(s, "password", r)
	case strings.HasPrefix(s, "Pubkey auth succeeded for "), strings.HasPrefix(s, "pubkey auth succeeded for "):
		dropbearAccepted(s, "publickey", r)
	case strings.HasPrefix(s, "Child connection from "), strings.HasPrefix(s, "connection from "):
		_, from, _ := strings.Cut(s, "from ")
		if p, ok := hostPort(from); ok {
			r.Outcome, r.kind = Other, kindStart
			p.into(r)
		}
	case strings.HasPrefix(s, "pam_"):
		readPAM(s, false, r)
	default:
		if _, ok := cutAnyPrefix(s, "Exit (", "exit after auth (", "Exit before auth", "exit before auth", "Early exit", "Not backgrounding", "Running in background",
			"Exited normally", "User account '", "User '", "user '", "root login rejected", "Failed loading ", "Failed listening on ", "Failed lookup of ",
			"Forced command ", "Got request for ", "Bad pubkey", "Timeout before auth", "Logins are restricted to the group ", "Too many groups for user ",
			"Client trying multiple usernames", "Attempted username with a null byte", "Max auth tries reached", "Generated hostkey ",
			"pam_authenticate() failed", "pam_acct_mgmt() failed", "Rejecting, user-", "No user presence check ", "User verification required ",
			"Badly formatted ", "Aiee, segfault", "Terminated by signal", "Couldn't ", "Can't ", "Failed reading ", "Failed to ", "No hostkeys available",
			"premature exit", "Premature kexdh_init", "Didn't receive ", "Error reading: ", "Error writing: ", "Integrity error ", "Incompatible remote version ",
			"Disconnect received", "Remote host closed", "Keepalive timeout", "Idle timeout", "User ", "X11 ", "syslogin_", "lastlog_", "login_init_entry: ", "wtmp_write: "); ok {
			r.Outcome = Other
		}
	}
}

// cutDropbearStart takes off "[812] Nov 27 10:00:00 ", which dropbear -E writes to
// its standard error.
func cutDropbearStart(c *stamps, s string) (at time.Time, pid int, message string, ok bool) {
	if len(s) < len("[1] Jan 02 15:04:05 x") || s[0] != '[' {
		return time.Time{}, 0, "", false
	}
	digits, rest, _ := strings.Cut(s[1:], "] ")
	if pid, ok = number(digits); !ok || monthOf(rest) == 0 {
		return time.Time{}, 0, "", false
	}
	at, rest, ok = c.cut(rest)
	return at, pid, strings.TrimLeft(rest, " "), ok
}

// dropbearEnd reads "… 'NAME' from ADDR:PORT"; the name may be missing, and so
// may the address, which then stands on another line of the process.
func dropbearEnd(s string, k kind, r *reading) {
	before, p, ok := endHostPort(s)
	if !ok && k == kindInvalid && strings.HasSuffix(s, "ogin attempt for nonexistent user") { // since 2020.79 if it may not log more
		before, ok = s, true
	}
	if !ok && (k == kindMaximum || k == kindInvalid) && strings.HasSuffix(s, "'") { // the address stands on the process's other lines
		before, ok = s, true
	}
	if !ok {
		return
	}
	r.Outcome, r.kind = Failure, k
	if _, account, ok := strings.Cut(before, "'"); ok && k == kindOffered { // it is there, and its key follows
		r.User, _, _ = strings.Cut(account, "'")
	} else if name, ok := strings.CutSuffix(before, "'"); ok {
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
	dropbearFails(rest, r)
}

// dropbearFails reads "(user 'NAME', N fails): WHY". Before 2020.79 the address is
// on other lines of the process.
func dropbearFails(s string, r *reading) {
	r.Outcome, r.kind = Other, kindOver
	rest, ok := strings.CutPrefix(s, "(user '")
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
