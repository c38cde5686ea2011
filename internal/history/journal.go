package history

import (
	"bytes"
	"io"
	"iter"
	"strings"

	"github.com/sshnotify/sshnotify/internal/journald"
)

// ReadJournal reads the logins that sshd wrote to the journal from the output
// of journalctl -o json. What is read is counted in c, which may be nil. Only
// what sshd wrote is believed: everybody may write to the journal in its name.
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
	if line == nil {
		return e, false, true
	}
	j, err := journald.Parse(line)
	if err != nil {
		return e, false, true
	}
	message := j.Message.First()
	if !strings.HasPrefix(message, "Accepted ") {
		return e, false, false
	}
	if j.Writer() != "sshd" {
		return e, false, false
	}
	a, ok := parseAccepted(message)
	if !ok {
		return e, false, true
	}
	at := j.Sent()
	if !plausible(at) {
		at = j.Time()
	}
	if !plausible(at) {
		return e, false, true
	}
	return a.entry(at, j.Host.Only(), SourceJournal), true, false
}
