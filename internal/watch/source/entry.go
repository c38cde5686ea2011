package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// entry is what is used of an entry of the journal, as journalctl(1) writes it
// with -o json. What begins with an underscore is journald's own word, see
// systemd.journal-fields(7).
type entry struct {
	Cursor     field `json:"__CURSOR"`
	Realtime   field `json:"__REALTIME_TIMESTAMP"` // microseconds
	Message    field `json:"MESSAGE"`
	Identifier field `json:"SYSLOG_IDENTIFIER"`
	SyslogPID  field `json:"SYSLOG_PID"`
	Comm       field `json:"_COMM"`
	Exe        field `json:"_EXE"`
	PID        field `json:"_PID"`
	UID        field `json:"_UID"`
	Host       field `json:"_HOSTNAME"`
}

// entryFields are those that must be asked for: journalctl gives those with two
// underscores always.
const entryFields = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_COMM,_EXE,_PID,_UID,_HOSTNAME"

// field is one of the journal's: a string, or an array of numbers for bytes that
// are no text, or an array of these where it was given several times, or null
// where it is too long to show.
type field string

// UnmarshalJSON never fails: what is none of these is empty. Several values
// become one, with spaces between them.
func (f *field) UnmarshalJSON(b []byte) error {
	*f = field(fieldText(b, true))
	return nil
}

func fieldText(b []byte, several bool) string {
	if len(b) == 0 {
		return ""
	}
	switch b[0] {
	case '"':
		if bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
			return string(b[1 : len(b)-1])
		}
		var s string
		if json.Unmarshal(b, &s) == nil {
			return s
		}
	case '[':
		// Numbers and not bytes, which would be read as base64.
		var numbers []uint16
		if json.Unmarshal(b, &numbers) == nil {
			text := make([]byte, len(numbers))
			for i, n := range numbers {
				text[i] = byte(n)
			}
			return string(text)
		}
		var values []json.RawMessage
		if !several || json.Unmarshal(b, &values) != nil {
			return ""
		}
		var texts []string
		for _, v := range values {
			if t := fieldText(v, false); t != "" {
				texts = append(texts, t)
			}
		}
		return strings.Join(texts, " ")
	}
	return ""
}

var errNoEntry = errors.New("is no entry of the journal")

// parseEntry makes a line of what journalctl wrote, and gives its cursor.
func parseEntry(b []byte, source string) (line.Line, string, error) {
	var e entry
	if err := json.Unmarshal(b, &e); err != nil || !validCursor(string(e.Cursor)) {
		return line.Line{}, "", errNoEntry
	}
	l := line.Line{Source: source, Host: string(e.Host), Program: e.program(), Text: oneLine(string(e.Message))}
	if len(l.Text) > line.MaxText {
		l.Text, l.Cut = strings.Clone(l.Text[:line.MaxText]), true
	}
	if us, err := strconv.ParseInt(string(e.Realtime), 10, 64); err == nil && us > 0 {
		l.Time = time.UnixMicro(us).UTC()
	}
	for _, pid := range []field{e.PID, e.SyslogPID} {
		if n, err := strconv.ParseInt(string(pid), 10, 32); err == nil && n > 0 {
			l.PID = int(n)
			break
		}
	}
	return l, string(e.Cursor), nil
}

// oneLine keeps an entry one line: in a line of its own, what a stranger sent
// could look like what the program says.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\n", " ")
}

// believed are the programs whose word is taken for who got in or tried to:
// everybody may write to the journal in their name.
var believed = []string{"sshd", "sshd-session", "sshd-auth", "dropbear", "vsftpd", "proftpd", "pure-ftpd", "sudo", "su", "login"}

// program is the name that the entry bears. If that is one of the believed, and
// it was written neither by root nor by a program of that name that the system
// has, it says who wrote it instead.
func (e entry) program() string {
	name := string(e.Identifier)
	if name == "" {
		name = string(e.Comm)
	}
	if !slices.Contains(believed, name) || e.UID == "" || e.UID == "0" {
		return name
	}
	exe := string(e.Exe)
	if strings.HasPrefix(path.Base(exe), name) && slices.ContainsFunc(systemFolders, func(dir string) bool {
		return strings.HasPrefix(path.Clean(exe), dir)
	}) {
		return name
	}
	return "uid " + string(e.UID) + " as " + name
}

// systemFolders are where only root can put a program.
var systemFolders = []string{"/usr/", "/bin/", "/sbin/", "/opt/", "/nix/store/", "/gnu/store/", "/snap/"}

// It is made when it is first asked for: every login's hook would pay for it.
var cursorForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z=;]+$`) })

// maxCursor is far above the length of any cursor.
const maxCursor = 512

// validCursor says whether c can be given back to journalctl.
func validCursor(c string) bool { return len(c) <= maxCursor && cursorForm().MatchString(c) }

// cursorTime is when the entry of a cursor was written, in microseconds.
func cursorTime(c string) (us int64, ok bool) {
	for part := range strings.SplitSeq(c, ";") {
		if hex, found := strings.CutPrefix(part, "t="); found {
			us, err := strconv.ParseInt(hex, 16, 64)
			return us, err == nil && us > 0
		}
	}
	return 0, false
}
