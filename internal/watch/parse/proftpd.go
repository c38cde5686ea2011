package parse

import "strings"

var proFTPD = Daemon{
	Service: "proftpd", Parser: "proftpd", Programs: []string{"proftpd"}, read: readProFTPD,
	pairs: byAccount,
}

// readProFTPD reads "SERVER (NAME[ADDR]): MESSAGE" and "SERVER (NAME[ADDR]) -
// MESSAGE", as proftpd writes to its own log and to syslog.
func readProFTPD(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	if strings.HasPrefix(s, "pam_") {
		readPAM(s, false, r)
		return
	}
	server, rest := cutFirst(s)
	if strings.HasPrefix(rest, "- ") || strings.HasSuffix(server, ":") { // before anybody is there
		if !r.bare {
			r.Outcome = Other
		}
		return
	}
	rest, ok := strings.CutPrefix(rest, "(")
	if !ok || server == "" {
		return
	}
	// Neither a server's name nor one that the name service gives holds a
	// bracket.
	open := strings.IndexByte(rest, '[')
	end := strings.Index(rest, "])")
	if open < 0 || end < open {
		return
	}
	ip := address(rest[open+1 : end])
	rest = rest[end+2:]
	message, ok := cutAnyPrefix(rest, ": ", " - ", " ")
	if !ok {
		return
	}
	message = strings.TrimPrefix(message, "- ")
	r.Outcome, r.IP = Other, ip
	if module, denied, ok := strings.Cut(message, ": Login denied: "); ok && strings.HasPrefix(module, "mod_ban/") {
		// Somebody whom mod_ban has shut out for what he did before came again.
		r.Outcome, r.kind = Failure, kindRefused
		if name, isUser := strings.CutPrefix(denied, "user '"); isUser {
			r.User = strings.TrimSuffix(name, "' banned")
		}
		return
	}
	name, isUser := strings.CutPrefix(message, "USER ")
	if anon, ok := strings.CutPrefix(message, "ANON "); ok { // of <Anonymous>, by its alias
		name, isUser = anon, true
	}
	login, isLogin := strings.CutSuffix(strings.TrimSuffix(name, "."), ": Login successful") // mod_sftp leaves the point out
	denied, isDenied := cutAnySuffix(name, ": AnonRejectPasswords denies login", ": Limit access denies login", ": Limit configuration denies login")
	switch {
	case isUser && isLogin:
		r.Outcome, r.User, r.Method = Success, login, "password"
	case isUser && strings.Contains(name, " (Login failed): "):
		// Behind the last one stands proftpd's reason.
		r.User = name[:strings.LastIndex(name, " (Login failed): ")]
		r.Outcome, r.Method, r.kind = Failure, "password", kindFailed
		r.Invalid = strings.HasSuffix(name, ": No such user found")
	case isUser && isDenied:
		r.Outcome, r.User, r.kind = Failure, denied, kindFailed
	case strings.HasPrefix(message, "Refusing empty password from user '"):
		r.Outcome, r.User, r.kind = Failure, strings.TrimSuffix(message[len("Refusing empty password from user '"):], "'"), kindFailed
	case strings.Contains(message, "no such user"):
		if i := strings.LastIndex(name, ": no such user found from "); isUser && i >= 0 {
			r.User = name[:i]
		}
		r.Outcome, r.Invalid, r.kind = Failure, true, kindInvalid
	case isUser && strings.Contains(name, ": user is not a UserAlias from "):
		r.User = name[:strings.LastIndex(name, ": user is not a UserAlias from ")]
		r.Outcome, r.kind = Failure, kindFailed
	case strings.HasPrefix(strings.ToLower(message), "security violation: root login attempted"):
		r.Outcome, r.User, r.kind = Failure, "root", kindFailed
	case strings.HasSuffix(message, " session opened."): // FTP, FTPS, SFTP, SSH2
		r.kind = kindStart
	case strings.HasSuffix(message, " session closed."):
		r.kind = kindOver
	}
	if r.Outcome == Success && r.whole > maxWhole {
		r.Outcome, r.Ambiguous = Other, true
	}
}
