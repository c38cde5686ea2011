package source

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// Entries makes lines of entries of the journal that stand in a file.
type Entries struct{ r journald.Reader }

// Line makes a line of an entry, as journalctl -o json writes it; false for
// anything else.
func (s *Entries) Line(text, source string) (line.Line, bool) {
	if !strings.HasPrefix(text, "{") {
		return line.Line{}, false
	}
	l, cursor, err := s.r.Line([]byte(text), source)
	return l, err == nil && validCursor(cursor)
}

// It is made when it is first asked for: every login's hook would pay for it.
var cursorForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z=;]+$`) })

// maxCursor is far above the length of any cursor.
const maxCursor = 512

// validCursor reports whether c can be given back to journalctl.
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
