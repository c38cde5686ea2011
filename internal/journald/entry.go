// Package journald reads entries of systemd's journal, as journalctl(1) writes them
// with -o json, and says whose word each of them is.
//
// It must never take a name that a writer chose for who wrote: everybody may write
// to the journal, in any name.
package journald

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is what is used of an entry. What begins with an underscore is journald's
// own word, see systemd.journal-fields(7); a client that sends such a field has it
// dropped.
type Entry struct {
	Cursor     Field `json:"__CURSOR"`
	Realtime   Field `json:"__REALTIME_TIMESTAMP"` // microseconds
	Message    Field `json:"MESSAGE"`
	Identifier Field `json:"SYSLOG_IDENTIFIER"`
	SyslogPID  Field `json:"SYSLOG_PID"`
	Transport  Field `json:"_TRANSPORT"`
	PID        Field `json:"_PID"`
	UID        Field `json:"_UID"`
	Comm       Field `json:"_COMM"`
	Exe        Field `json:"_EXE"`
	Caps       Field `json:"_CAP_EFFECTIVE"`
	Unit       Field `json:"_SYSTEMD_UNIT"`
	Host       Field `json:"_HOSTNAME"`
}

// Fields are those that journalctl must be asked for with --output-fields: those
// with two underscores it always gives.
const Fields = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_TRANSPORT,_PID,_UID,_COMM,_EXE,_CAP_EFFECTIVE,_SYSTEMD_UNIT,_HOSTNAME"

// Parse reads one entry. Fields of a form that no journalctl writes are empty.
func Parse(b []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(b, &e)
	return e, err
}

// Text is the message. On standard error dropbear puts a process and a time before
// it, which are taken off.
func (e Entry) Text() string {
	text := e.Message.Joined()
	if e.Transport.Only() != "stdout" || !strings.HasPrefix(text, "[") || e.Writer() != "dropbear" {
		return text
	}
	const stamp = time.Stamp + " "
	pid, rest, ok := strings.Cut(text[1:], "] ")
	if _, err := strconv.Atoi(pid); err != nil || !ok || len(rest) < len(stamp) {
		return text
	}
	if _, err := time.Parse(stamp, rest[:len(stamp)]); err != nil {
		return text
	}
	return rest[len(stamp):]
}

// Time is when journald got the entry; zero where that is no time.
func (e Entry) Time() time.Time { return microseconds(e.Realtime) }

func microseconds(f Field) time.Time {
	us, err := strconv.ParseInt(f.Only(), 10, 64)
	if err != nil || us <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Process is the writer's number: the kernel's word, or where that is not known
// the writer's own; 0 for none.
func (e Entry) Process() int {
	for _, f := range []Field{e.PID, e.SyslogPID} {
		if n, err := strconv.ParseInt(f.Only(), 10, 32); err == nil && n > 0 {
			return int(n)
		}
	}
	return 0
}

// Field is a field of an entry: its values, one for each time that it was given.
type Field []string

// Only is the value of a field that was given once, or "". journald gives its own
// once.
func (f Field) Only() string {
	if len(f) != 1 {
		return ""
	}
	return f[0]
}

// Joined is all values, with spaces between them.
func (f Field) Joined() string {
	if len(f) == 1 {
		return f[0]
	}
	return strings.Join(f, " ")
}

// UnmarshalJSON reads a string, or an array of numbers for bytes that are no text,
// or an array of these where the field was given several times, or null where it
// is too long to show. It never fails: what is none of these is empty.
func (f *Field) UnmarshalJSON(b []byte) error {
	*f = nil
	if text, ok := value(b); ok {
		*f = Field{text}
		return nil
	}
	var several []json.RawMessage
	if len(b) == 0 || b[0] != '[' || json.Unmarshal(b, &several) != nil {
		return nil
	}
	for _, v := range several {
		if text, ok := value(v); ok {
			*f = append(*f, text)
		}
	}
	return nil
}

func value(b []byte) (string, bool) {
	if len(b) == 0 {
		return "", false
	}
	switch b[0] {
	case '"':
		if bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
			return string(b[1 : len(b)-1]), true
		}
		var s string
		err := json.Unmarshal(b, &s)
		return s, err == nil
	case '[':
		// Numbers and not bytes, which would be read as base64.
		var numbers []uint16
		if json.Unmarshal(b, &numbers) != nil {
			return "", false
		}
		text := make([]byte, len(numbers))
		for i, n := range numbers {
			if n > 0xff {
				return "", false
			}
			text[i] = byte(n)
		}
		return string(text), true
	}
	return "", false
}
