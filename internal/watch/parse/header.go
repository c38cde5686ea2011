package parse

import (
	"encoding/json"
	"strings"
	"time"
)

// header is what stands before the message: a time, a host, a program.
type header struct {
	time    time.Time
	host    string
	program string
	pid     int
	tagged  bool // program is what the logger wrote; if not, message is all behind the time
	message string
}

// maxTokens is how many words may stand between the time and the message.
const maxTokens = 5

// header takes a line's start apart. It knows RFC 3164 and RFC 5424, and what
// rsyslog, syslogd of the BSDs, of Solaris, of AIX and of Busybox, socklog,
// svlogd, containers, vsftpd and proftpd make of them. A line without a time is
// taken for a message, with or without its program.
func (p *Parser) header(s string) header {
	s = strings.TrimLeft(strings.TrimSuffix(s, "\r"), " ")
	if strings.HasPrefix(s, dockerStart) {
		return p.docker(s)
	}
	rest, is5424 := cutPriority(s)
	var h header
	t, after, ok := p.stamps.cut(rest)
	switch {
	case ok:
		h.time, rest = t, strings.TrimLeft(after, " ")
	case is5424 && strings.HasPrefix(rest, "- "):
		rest = rest[2:]
	case sinceBoot(rest):
		_, rest, _ = strings.Cut(rest, "] ")
	default:
		return p.bareHeader(rest)
	}
	if after, found := strings.CutPrefix(rest, "[pid "); found {
		digits, message, _ := strings.Cut(after, "] ")
		if pid, isNumber := number(digits); isNumber {
			h.program, h.pid, h.tagged, h.message = "vsftpd", pid, true, message
			return h
		}
	}
	if strings.HasPrefix(rest, "0x") {
		if name, pid, message, ok := unifiedLog(rest); ok {
			h.program, h.pid, h.tagged, h.message = name, pid, true, message
			return h
		}
	}
	h.message = rest
	behind := rest
	if from, forwarded := strings.CutPrefix(rest, "Message forwarded from "); forwarded { // AIX
		h.host, behind = cutFirst(from)
		h.host = strings.TrimSuffix(h.host, ":")
	}
	for range maxTokens {
		word, after := cutFirst(behind)
		if word == "" {
			break
		}
		if word[0] == '<' && word[len(word)-1] == '>' { // FreeBSD's syslogd -v
			behind = after
			continue
		}
		if word[0] == '[' && h.host == "" { // OpenWrt's logread -t
			if _, _, isTime := p.stamps.cut(word); isTime {
				h.message, behind = after, after
				continue
			}
			if name, ok := strings.CutSuffix(word[1:], "]"); ok && isRead(daemonOf(name)) { // metalog
				h.program, h.tagged, h.message = name, true, after
				return h
			}
		}
		if (word == "stdout" || word == "stderr") && h.host == "" { // CRI: "stderr F MESSAGE", P of a part
			if message, whole := strings.CutPrefix(after, "F "); whole {
				inner := p.header(message)
				inner.time = h.time
				return inner
			}
		}
		known := h.host == "" && word == p.lastHost // as in most lines
		if !known && !is5424 {
			if name, pid, isTag := tag(word); isTag {
				if _, isLevel := strings.CutSuffix(word, ":"); isLevel && facility(name) {
					// socklog's; a second time may follow.
					h.message, behind = after, after
					if _, cut, ok := p.stamps.cut(after); ok {
						behind = strings.TrimLeft(cut, " ")
						h.message = behind
					}
					continue
				}
				if h.host == "" && (name == "error" || name == "fatal") {
					break // the start of a message
				}
				h.program, h.pid, h.tagged, h.message = name, pid, true, cutSolarisID(strings.TrimLeft(after, " "))
				return h
			}
		}
		if !known && facility(word) {
			behind = after
			continue
		}
		if word == "---" && strings.HasPrefix(after, "last message repeated ") { // macOS
			h.message = strings.TrimSuffix(after, " ---")
			return h
		}
		if h.host == "" {
			if h.host, behind = word, after; !known && !is5424 {
				p.lastHost = strings.Clone(word)
			}
			if strings.HasPrefix(after, "last message repeated ") {
				h.message = after
				return h
			}
			continue
		}
		if _, inner, ok := p.stamps.cut(behind); ok { // another logger's whole line
			h.host, behind = "", strings.TrimLeft(inner, " ")
			continue
		}
		if program, pid, message, ok := rest5424(word, after, is5424); ok {
			h.program, h.pid, h.tagged, h.message = program, pid, true, message
			return h
		}
		break
	}
	h.host = ""
	return h
}

// Split returns what a logger put in front of a line's message apart from it: the
// program, "" where the line names none, and the message.
func Split(text string) (program, message string) {
	p := Parser{stamps: stamps{zone: time.UTC, now: time.Now}}
	h := p.header(text)
	return h.program, h.message
}

// bareHeader is for a line without a time: "sshd[1]: message", or a message.
func (p *Parser) bareHeader(s string) header {
	word, after := cutFirst(s)
	if name, pid, ok := tag(word); ok {
		if isRead(daemonOf(name)) {
			return header{program: name, pid: pid, tagged: true, message: cutSolarisID(strings.TrimLeft(after, " "))}
		}
		if facility(name) && strings.HasSuffix(word, ":") { // socklog's
			return p.header(after)
		}
	}
	if at, pid, message, ok := cutDropbearStart(&p.stamps, s); ok {
		return header{time: at, program: dropbear.Service, pid: pid, tagged: true, message: message}
	}
	return header{message: s}
}

// sinceBoot reports whether s begins with the seconds of journalctl -o
// short-monotonic, "[ 1234.567890] ".
func sinceBoot(s string) bool {
	if s == "" || s[0] != '[' {
		return false
	}
	seconds, _, ok := strings.Cut(s[1:], "] ")
	whole, fraction, point := strings.Cut(strings.TrimLeft(seconds, " "), ".")
	_, isNumber := number(whole)
	_, isFraction := number(fraction)
	return ok && point && isNumber && isFraction
}

// unifiedLog reads the columns of macOS' log show behind its time: thread, type,
// activity, process number, time to live, and "sshd: message".
func unifiedLog(s string) (name string, pid int, message string, ok bool) {
	var column [6]string
	for i := range column {
		column[i], s = cutFirst(strings.TrimLeft(s, " "))
	}
	name, _, isTag := tag(column[5])
	pid, isNumber := number(column[3])
	return name, pid, s, isTag && isNumber && strings.HasPrefix(column[2], "0x")
}

// cutSolarisID takes off "[ID 800047 auth.info] ", which syslogd of Solaris and
// illumos puts in front of a message.
func cutSolarisID(s string) string {
	rest, ok := strings.CutPrefix(s, "[ID ")
	if !ok {
		return s
	}
	id, message, ok := strings.Cut(rest, "] ")
	digits, level := cutFirst(id)
	if _, isNumber := number(digits); !ok || !isNumber || !facility(level) {
		return s
	}
	return message
}

// dockerStart is how each line of docker's json-file begins.
const dockerStart = `{"log":"`

// docker reads a line of a container's output. Its time is docker's own; what has
// no newline at its end is a part of a line.
//
// https://docs.docker.com/engine/logging/drivers/json-file/
func (p *Parser) docker(s string) header {
	var entry struct {
		Log    string
		Stream string
		Time   time.Time
	}
	if json.Unmarshal([]byte(s), &entry) != nil || entry.Stream == "" || entry.Time.IsZero() {
		return header{message: s}
	}
	text, whole := strings.CutSuffix(entry.Log, "\n")
	if !whole || strings.HasPrefix(text, dockerStart) || strings.Contains(text, "\n") {
		return header{message: s}
	}
	h := p.header(text)
	h.time = entry.Time
	return h
}

// cutPriority takes off "<35>", and the version that RFC 5424 writes behind it; in
// front may stand how long the message is (RFC 6587).
func cutPriority(s string) (rest string, is5424 bool) {
	if s != "" && s[0] >= '1' && s[0] <= '9' {
		if length, after := cutFirst(s[:min(len(s), 8)]); strings.HasPrefix(after, "<") {
			s = s[len(length)+1:]
		}
	}
	if len(s) < 3 || s[0] != '<' {
		return s, false
	}
	end := strings.IndexByte(s[:min(len(s), 5)], '>')
	if end < 0 {
		return s, false
	}
	if _, ok := number(s[1:end]); !ok {
		return s, false
	}
	return strings.CutPrefix(s[end+1:], "1 ")
}

// tag reads "name[1]:", "name[1]" and "name:".
func tag(word string) (name string, pid int, ok bool) {
	name, colon := strings.CutSuffix(word, ":")
	if strings.HasSuffix(name, "]") {
		open := strings.LastIndexByte(name, '[')
		if open < 0 {
			return "", 0, false
		}
		if pid, ok = number(name[open+1 : len(name)-1]); !ok {
			return "", 0, false
		}
		name = name[:open]
	} else if !colon {
		return "", 0, false
	}
	if name == "" {
		return "", 0, false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-_./()@+", c) >= 0:
		case c == ':' && strings.HasSuffix(name, ".service") && strings.IndexByte(name, '@') > 0: // of a socket
		default:
			return "", 0, false
		}
	}
	return name, pid, true
}

// facility reports whether a word is a facility and a level: auth.info, or as AIX
// writes it auth|security:info.
func facility(word string) bool {
	if rest, aix := strings.CutPrefix(word, "auth|security:"); aix {
		return facility("auth." + rest)
	}
	name, level, ok := strings.Cut(word, ".")
	if !ok {
		return false
	}
	switch level {
	case "emerg", "emergency", "alert", "crit", "critical", "err", "error", "warn", "warning", "notice", "info", "debug":
	default:
		return false
	}
	switch name {
	case "auth", "authpriv", "security", "daemon", "ftp", "user", "syslog", "console",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7":
		return true
	}
	return false
}

// rest5424 reads what follows RFC 5424's host: program, process, message id,
// structured data, message. sure: it is of that form, whatever the process is called.
func rest5424(program, s string, sure bool) (name string, pid int, message string, ok bool) {
	process, s := cutFirst(s)
	if process != "-" {
		if pid, ok = number(process); !ok && !sure {
			return "", 0, "", false
		}
	}
	id, s := cutFirst(s)
	if id == "" || s == "" {
		return "", 0, "", false
	}
	if s[0] == '-' {
		s = s[1:]
	} else if s, ok = cutStructured(s); !ok {
		return "", 0, "", false
	}
	if s != "" && s[0] != ' ' {
		return "", 0, "", false
	}
	s = strings.TrimLeft(s, " ")
	return program, pid, strings.TrimPrefix(s, "\ufeff"), true
}

// cutStructured takes off [id name="value"]…, in which \" and \] are escaped.
func cutStructured(s string) (rest string, ok bool) {
	for strings.HasPrefix(s, "[") {
		quoted := false
		end := -1
		for i := 1; i < len(s) && end < 0; i++ {
			switch c := s[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == ']' && !quoted:
				end = i
			}
		}
		if end < 0 {
			return "", false
		}
		s, ok = s[end+1:], true
	}
	return s, ok
}
