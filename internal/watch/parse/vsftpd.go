package parse

import (
	"strings"
	"time"
)

var vsftpd = Daemon{
	Service: "vsftpd", Parser: "vsftpd", Programs: []string{"vsftpd"}, read: readVsftpd,
	pairs: byAccount, apart: true, logs: []string{"/var/log/vsftpd.log"},
}

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
	vsftpdCommand             // what the other side said
	vsftpdDone                // what only somebody does who is in: files and folders
)

var vsftpdEvents = [...]vsftpdEvent{
	{`FAIL LOGIN`, vsftpdFail},
	{`OK LOGIN`, vsftpdOK},
	{`FTP response`, vsftpdResponse},
	{`FTP command`, vsftpdCommand},
	{`CONNECT`, vsftpdDone},
	{`DEBUG`, vsftpdCommand},
	{`OK UPLOAD`, vsftpdDone},
	{`OK DOWNLOAD`, vsftpdDone},
	{`OK MKDIR`, vsftpdDone},
	{`OK DELETE`, vsftpdDone},
	{`OK RENAME`, vsftpdDone},
	{`OK RMDIR`, vsftpdDone},
	{`OK CHMOD`, vsftpdDone},
	{`FAIL UPLOAD`, vsftpdDone},
	{`FAIL DOWNLOAD`, vsftpdDone},
	{`FAIL MKDIR`, vsftpdDone},
	{`FAIL DELETE`, vsftpdDone},
	{`FAIL RENAME`, vsftpdDone},
	{`FAIL RMDIR`, vsftpdDone},
	{`FAIL CHMOD`, vsftpdDone},
}

const vsftpdMark = `: Client "`

// readVsftpd reads vsftpd's own log behind its time and [pid N], and the same
// lines as it sends them to syslog:
//
//	[NAME] EVENT: Client "ADDR"[, anon password "TEXT"][, "TEXT"][, N bytes][, N Kbyte/sec]
//
// Until a login NAME is whatever the other side said, and so is most of TEXT; none
// of it is escaped. So a line is believed only if there is one way to read it.
func readVsftpd(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	if strings.HasPrefix(s, "pam_") {
		readPAM(s, false, r)
		r.User = vsftpdName(r.User)
		return
	}
	s = cutVsftpdDate(s)
	if !strings.HasPrefix(s, "[") {
		// Before anybody is named the event stands first, and what follows the
		// address is all the other side's.
		event, behind, ok := strings.Cut(s, vsftpdMark)
		what := vsftpdEventAt(event, true)
		// Some write the name without its brackets.
		name, bare := strings.CutSuffix(event, " FAIL LOGIN")
		if bare && strings.IndexByte(name, ' ') < 0 {
			what = vsftpdFail
		} else {
			name = ""
		}
		if !ok || what == 0 {
			return
		}
		if c, ok := readVsftpdClient(behind); ok {
			c.what, c.name = what, name
			c.into(r)
		}
		return
	}
	var only vsftpdReading
	ways := 0
	for at := 0; ; {
		i := strings.Index(s[at:], vsftpdMark)
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		event := s[:i]
		what := vsftpdEventAt(event, false)
		if what == 0 {
			continue
		}
		c, ok := readVsftpdClient(s[i+len(vsftpdMark):])
		if !ok {
			continue
		}
		c.what, c.name = what, event[1:strings.LastIndex(event, "] ")]
		if c.possible() {
			only = c
			ways++
		}
	}
	switch {
	case ways == 0:
	case ways > 1:
		r.Outcome, r.Ambiguous = Other, true
	default:
		only.into(r)
		if r.whole > maxWhole {
			*r = reading{whole: r.whole, Result: Result{Outcome: Other, Ambiguous: r.Outcome != Other}}
		}
	}
}

// vsftpdName is a name as vsftpd writes it, who gives PAM the true one: a question
// mark stands for each byte that isprint(3) of the C locale does not know.
func vsftpdName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// vsftpdEventAt finds the event that s ends with, behind a name, or that it is.
func vsftpdEventAt(s string, whole bool) vsftpdKind {
	for i := range vsftpdEvents {
		e := &vsftpdEvents[i]
		if before, ok := strings.CutSuffix(s, e.mark); ok && (whole && before == "" || !whole && len(before) > 2 && strings.HasSuffix(before, "] ")) {
			return e.what
		}
	}
	return 0
}

// vsftpdReading is one way to read a line.
type vsftpdReading struct {
	what vsftpdKind
	name string
	ip   peerIP
	anon bool   // the password of an anonymous login stands there
	text string // what follows the address, without its opening quote
}

// readVsftpdClient reads what follows `Client "`. The end may have been cut off.
func readVsftpdClient(s string) (c vsftpdReading, ok bool) {
	host, rest, ok := strings.Cut(s, `"`)
	if c.ip = address(host); !ok || !c.ip.IsValid() {
		return c, false
	}
	if rest == "" {
		return c, true
	}
	if rest, ok = strings.CutPrefix(rest, ", "); !ok {
		return c, false
	}
	rest, c.anon = strings.CutPrefix(rest, "anon password ")
	c.text = strings.TrimPrefix(rest, `"`)
	return c, true
}

// possible reports whether vsftpd may have written a line that is read so. Who is
// in has an account, and no account's name holds brackets or quotes; a reason why
// somebody is not let in is vsftpd's own.
func (c *vsftpdReading) possible() bool {
	plain := !strings.ContainsAny(c.name, `[]"`)
	switch c.what {
	case vsftpdOK:
		return plain && (c.text == "" || c.anon)
	case vsftpdDone:
		return plain
	case vsftpdFail:
		if c.anon {
			return plain
		}
		return strings.IndexByte(strings.TrimSuffix(c.text, `"`), '"') < 0
	}
	return true
}

func (c *vsftpdReading) into(r *reading) {
	r.IP, r.User, r.Outcome = c.ip, c.name, Other
	switch c.what {
	case vsftpdFail:
		r.Outcome, r.Method, r.kind = Failure, "password", kindFailed
	case vsftpdOK:
		r.Outcome, r.Method = Success, "password"
	case vsftpdResponse:
		if refusal(c.text) {
			r.Outcome, r.kind = Failure, kindRefused
		}
	}
}

// cutVsftpdDate takes off the date and [pid N] of vsftpd's own log, where another
// logger's header stands in front of them.
func cutVsftpdDate(s string) string {
	if len(s) < len(time.ANSIC) {
		return s
	}
	rest, ok := strings.CutPrefix(s[len(time.ANSIC):], " [pid ")
	if !ok {
		return s
	}
	if _, err := time.Parse(time.ANSIC, s[:len(time.ANSIC)]); err != nil {
		return s
	}
	digits, rest, _ := strings.Cut(rest, "] ")
	if _, ok := number(digits); !ok {
		return s
	}
	return rest
}

// refusal reports whether an answer says that a login failed. "530 Please login
// with USER and PASS." only says that nobody tried.
func refusal(text string) bool {
	return strings.HasPrefix(text, "530 ") && !strings.HasPrefix(text, "530 Please login")
}
