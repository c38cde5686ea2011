package parse

import (
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
// rsyslog, syslogd of the BSDs and of Busybox, socklog, vsftpd and proftpd make
// of them. A line without a time is taken for a message, with or without its
// program.
func (p *Parser) header(s string) header {
	s = strings.TrimLeft(strings.TrimSuffix(s, "\r"), " ")
	rest, is5424 := cutPriority(s)
	var h header
	t, after, ok := p.stamps.cut(rest)
	switch {
	case ok:
		h.time, rest = t, strings.TrimLeft(after, " ")
	case is5424 && strings.HasPrefix(rest, "- "):
		rest = rest[2:]
	default:
		return bareHeader(rest)
	}
	if after, found := strings.CutPrefix(rest, "[pid "); found {
		digits, message, _ := strings.Cut(after, "] ")
		if pid, isNumber := number(digits); isNumber {
			h.program, h.pid, h.tagged, h.message = "vsftpd", pid, true, message
			return h
		}
	}
	h.message = rest
	behind := rest
	for range maxTokens {
		word, after := cutFirst(behind)
		if word == "" {
			break
		}
		if word[0] == '<' && word[len(word)-1] == '>' { // FreeBSD's syslogd -v
			behind = after
			continue
		}
		if name, pid, isTag := tag(word); isTag && !is5424 {
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
			h.program, h.pid, h.tagged, h.message = name, pid, true, strings.TrimLeft(after, " ")
			return h
		}
		if facility(word) {
			behind = after
			continue
		}
		if h.host == "" {
			h.host, behind = word, after
			if strings.HasPrefix(after, "last message repeated ") {
				h.message = after
				return h
			}
			continue
		}
		if program, pid, message, ok := rest5424(word, after); ok {
			h.program, h.pid, h.tagged, h.message = program, pid, true, message
			return h
		}
		break
	}
	h.host = ""
	return h
}

// bareHeader is for a line without a time: "sshd[1]: message", or a message.
func bareHeader(s string) header {
	word, after := cutFirst(s)
	if name, pid, ok := tag(word); ok && isRead(daemonOf(name)) {
		return header{program: name, pid: pid, tagged: true, message: strings.TrimLeft(after, " ")}
	}
	return header{message: s}
}

// cutPriority takes off "<35>", and the version that RFC 5424 writes behind it.
func cutPriority(s string) (rest string, is5424 bool) {
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
		default:
			return "", 0, false
		}
	}
	return name, pid, true
}

// facility reports whether a word is a facility and a level: auth.info.
func facility(word string) bool {
	name, level, ok := strings.Cut(word, ".")
	if !ok {
		return false
	}
	switch level {
	case "emerg", "alert", "crit", "err", "error", "warn", "warning", "notice", "info", "debug":
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
// structured data, message.
func rest5424(program, s string) (name string, pid int, message string, ok bool) {
	process, s := cutFirst(s)
	if process != "-" {
		if pid, ok = number(process); !ok {
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
