package source

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// entryFields are those that journalctl is asked for.
const entryFields = journald.Fields

var errNoEntry = errors.New("is no entry of the journal")

// parseEntry makes a line of what journalctl wrote, and gives its cursor.
func parseEntry(b []byte, source string) (line.Line, string, error) {
	return readEntryOf(new(journald.Reader), b, source)
}

// readEntryOf is parseEntry behind what a reader has read.
func readEntryOf(r *journald.Reader, b []byte, source string) (line.Line, string, error) {
	e, err := journald.Parse(b)
	cursor := e.Cursor.Only()
	if err != nil || !validCursor(cursor) {
		return line.Line{}, "", errNoEntry
	}
	l := line.Line{
		Source: source, Host: e.Host.Only(), Program: e.Name(), PID: e.Process(), Time: e.Time(), Text: oneLine(e.Text()),
		Entry: &line.Entry{Daemon: r.Writer(e), UID: e.UID.Only(), Exe: e.Exe.Only()},
	}
	if l.Entry.Daemon != "" {
		l.Program = l.Entry.Daemon
	} else if claim := e.Claim(); claim != "" {
		l.Entry.Claim, l.Program = claim, "uid "+l.Entry.UID+" as "+claim
	}
	if len(l.Text) > line.MaxText {
		l.Text, l.Cut = strings.Clone(l.Text[:line.MaxText]), true
	}
	return l, cursor, nil
}

// Entries makes lines of entries of the journal that stand in a file.
type Entries struct{ r journald.Reader }

// Line makes a line of an entry, as journalctl -o json writes it; false for
// anything else.
func (s *Entries) Line(text, source string) (line.Line, bool) {
	if !strings.HasPrefix(text, "{") {
		return line.Line{}, false
	}
	l, _, err := readEntryOf(&s.r, []byte(text), source)
	return l, err == nil
}

// oneLine keeps an entry one line: in a line of its own, what a stranger sent
// could look like what the program says.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\n", " ")
}

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
