package history

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"strconv"
	"time"
)

// field is one of the journal's, in the forms of journalctl(1), -o json: a
// string, the bytes of one that is no text, an array of these where a field is
// given several times, or null for one that is too long to show.
type field string

// UnmarshalJSON never fails: what is none of these is empty.
func (f *field) UnmarshalJSON(b []byte) error {
	*f = ""
	var s string
	if json.Unmarshal(b, &s) == nil {
		*f = field(s)
		return nil
	}
	var bytes []uint8num
	if json.Unmarshal(b, &bytes) == nil {
		text := make([]byte, len(bytes))
		for i, n := range bytes {
			text[i] = byte(n)
		}
		*f = field(text)
		return nil
	}
	var several []json.RawMessage
	if json.Unmarshal(b, &several) == nil && len(several) > 0 && len(several[0]) > 0 && several[0][0] == '"' {
		json.Unmarshal(several[0], &s)
		*f = field(s)
	}
	return nil
}

// uint8num is a byte as a number; a slice of bytes would be read as base64.
type uint8num uint8

// journalEntry are the fields that are used of an entry; those with an
// underscore in front are journald's own words, see systemd.journal-fields(7).
type journalEntry struct {
	Message    field `json:"MESSAGE"`
	Identifier field `json:"SYSLOG_IDENTIFIER"`
	Comm       field `json:"_COMM"`
	UID        field `json:"_UID"`
	Host       field `json:"_HOSTNAME"`
	Source     field `json:"_SOURCE_REALTIME_TIMESTAMP"`
	Real       field `json:"__REALTIME_TIMESTAMP"`
}

// ReadJournal reads the logins that sshd wrote to the journal from the output
// of journalctl -o json. What is read is counted in c, which may be nil. Only
// what journald says was written by sshd as root is believed: everybody may
// write to the journal in sshd's name.
func ReadJournal(r io.Reader, c *Counts) iter.Seq2[Entry, error] {
	if c == nil {
		c = new(Counts)
	}
	return func(yield func(Entry, error) bool) {
		for line, err := range lines(r) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if line != nil && len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			e, ok, bad := parseJournal(line)
			switch {
			case bad:
				c.Bad++
			case !ok:
				c.Other++
			default:
				c.Logins++
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func parseJournal(line []byte) (e Entry, ok, bad bool) {
	var j journalEntry
	if line == nil || json.Unmarshal(line, &j) != nil {
		return e, false, true
	}
	const accept = "Accepted "
	if len(j.Message) < len(accept) || j.Message[:len(accept)] != accept {
		return e, false, false
	}
	if !isSSHD(string(j.Comm)) || j.UID != "0" {
		return e, false, false
	}
	a, ok := parseAccepted(string(j.Message))
	if !ok {
		return e, false, true
	}
	at, ok := microseconds(j.Source)
	if !ok {
		at, ok = microseconds(j.Real)
	}
	if !ok {
		return e, false, true
	}
	return a.entry(at, string(j.Host), SourceJournal), true, false
}

func microseconds(f field) (time.Time, bool) {
	n, err := strconv.ParseInt(string(f), 10, 64)
	t := time.UnixMicro(n)
	return t, err == nil && plausible(t)
}
