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
	name, isUser := strings.CutPrefix(message, "USER ")
	switch {
	case isUser && strings.HasSuffix(message, ": Login successful."):
		r.Outcome, r.User, r.Method = Success, strings.TrimSuffix(name, ": Login successful."), "password"
	case isUser && strings.Contains(name, " (Login failed): "):
		// Behind the last one stands proftpd's reason.
		r.User = name[:strings.LastIndex(name, " (Login failed): ")]
		r.Outcome, r.Method, r.kind = Failure, "password", kindFailed
		r.Invalid = strings.HasSuffix(name, ": No such user found")
	case strings.Contains(message, "no such user"):
		if i := strings.LastIndex(name, ": no such user found from "); isUser && i >= 0 {
			r.User = name[:i]
		}
		r.Outcome, r.Invalid, r.kind = Failure, true, kindInvalid
	case strings.HasPrefix(message, "SECURITY VIOLATION"):
		r.Outcome, r.User, r.kind = Failure, "root", kindFailed
	case message == "FTP session opened.":
		r.kind = kindStart
	case message == "FTP session closed.":
		r.kind = kindOver
	}
	if r.Outcome == Success && r.whole > maxWhole {
		r.Outcome, r.Ambiguous = Other, true
	}
}
