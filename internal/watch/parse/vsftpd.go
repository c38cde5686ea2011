package parse

import "strings"

// vsftpdEvent is what stands between "[NAME] " and `: Client "ADDR"` in vsftpd's
// log (logging.c).
type vsftpdEvent struct {
	mark string
	what vsftpdKind
}

type vsftpdKind uint8

const (
	vsftpdFail     vsftpdKind = iota + 1
	vsftpdOK                  // a login
	vsftpdResponse            // what the server answered
	vsftpdFree                // what the other side said, or a file that it named
)

var vsftpdEvents = [...]vsftpdEvent{
	{` FAIL LOGIN: Client "`, vsftpdFail},
	{` OK LOGIN: Client "`, vsftpdOK},
	{` FTP response: Client "`, vsftpdResponse},
	{` FTP command: Client "`, vsftpdFree},
	{` OK UPLOAD: Client "`, vsftpdFree},
	{` OK DOWNLOAD: Client "`, vsftpdFree},
	{` OK MKDIR: Client "`, vsftpdFree},
	{` OK DELETE: Client "`, vsftpdFree},
	{` OK RENAME: Client "`, vsftpdFree},
	{` OK RMDIR: Client "`, vsftpdFree},
	{` OK CHMOD: Client "`, vsftpdFree},
	{` FAIL UPLOAD: Client "`, vsftpdFree},
	{` FAIL DOWNLOAD: Client "`, vsftpdFree},
	{` FAIL MKDIR: Client "`, vsftpdFree},
	{` FAIL DELETE: Client "`, vsftpdFree},
	{` FAIL RENAME: Client "`, vsftpdFree},
	{` FAIL RMDIR: Client "`, vsftpdFree},
	{` FAIL CHMOD: Client "`, vsftpdFree},
}

// readVsftpd reads vsftpd's own log behind its time and [pid N], and the same
// lines as it sends them to syslog.
func readVsftpd(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	if strings.HasPrefix(s, "pam_") {
		readPAM(s, false, r)
		return
	}
	client := strings.Index(s, `: Client "`)
	if client < 0 {
		return
	}
	// Before the name is known the event stands first, and what follows the
	// address is all the other side's.
	for _, first := range [...]string{"CONNECT", "FTP command", "FTP response", "DEBUG"} {
		if s[:client] == first {
			ip, text, ok := vsftpdClient(s[client+len(`: Client "`):])
			if !ok {
				return
			}
			r.IP = ip
			r.Outcome = Other
			if first == "FTP response" && refusal(text) {
				r.Outcome, r.kind = Failure, kindRefused
			}
			return
		}
	}
	var first, last vsftpdCandidate
	n := 0
	for _, e := range vsftpdEvents {
		for at := 0; ; {
			i := strings.Index(s[at:], e.mark)
			if i < 0 {
				break
			}
			i += at
			at = i + 1
			c := vsftpdCandidate{what: e.what, at: i}
			var ok bool
			if c.ip, c.text, ok = vsftpdClient(s[i+len(e.mark):]); !ok {
				continue
			}
			if n++; n == 1 || c.at < first.at {
				first = c
			}
			if n == 1 || c.at > last.at {
				last = c
			}
		}
	}
	switch {
	case n == 0:
		return
	case n > 1 && last.text != "" && first.what >= vsftpdResponse:
		// Either the name or the command holds a line of its own.
		r.Outcome = Other
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(s[:last.at], "["), "]")
	r.IP, r.User = last.ip, name
	switch last.what {
	case vsftpdFail:
		r.Outcome, r.Method, r.kind = Failure, "password", kindFailed
	case vsftpdOK:
		r.Outcome, r.Method = Success, "password"
	case vsftpdResponse:
		r.Outcome = Other
		if refusal(last.text) {
			r.Outcome, r.kind = Failure, kindRefused
		}
	default:
		r.Outcome = Other
	}
}

type vsftpdCandidate struct {
	what vsftpdKind
	at   int
	ip   peerIP
	text string
}

// vsftpdClient reads `ADDR"` or `ADDR", "TEXT"` at the end of a line.
func vsftpdClient(s string) (ip peerIP, text string, ok bool) {
	host, rest, ok := strings.Cut(s, `"`)
	if !ok {
		return ip, "", false
	}
	if rest == "" {
		return address(host), "", true
	}
	text, ok = strings.CutPrefix(rest, `, "`)
	if !ok || !strings.HasSuffix(text, `"`) {
		return ip, "", false
	}
	return address(host), text[:len(text)-1], true
}

// refusal reports whether an answer says that a login failed. "530 Please login
// with USER and PASS." only says that nobody tried.
func refusal(text string) bool {
	return strings.HasPrefix(text, "530 ") && !strings.HasPrefix(text, "530 Please login")
}
