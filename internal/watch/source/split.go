package source

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// maxPart is what is kept of a line: a carriage return and one more byte than
// is given, which shows that it was cut.
const maxPart = line.MaxText + 2

// splitter makes lines of bytes that come in pieces. Of a line that is longer
// than line.MaxText it keeps no more than that.
type splitter struct {
	source string
	start  int64  // where the line begins that is not complete yet
	next   int64  // where the next byte belongs
	part   []byte // of that line, at most maxPart
}

// feed appends the complete lines in text to b, until b has MaxLines, and
// returns how many bytes it took. The lines share text.
func (s *splitter) feed(text string, b *Batch) (taken int) {
	if n := min(MaxLines, strings.Count(text, "\n")); cap(b.Lines) == 0 && n > 0 {
		b.Lines, b.offs = make([]line.Line, 0, n), make([]int64, 0, n)
	}
	for taken < len(text) && len(b.Lines) < MaxLines {
		part, _, ended := strings.Cut(text[taken:], "\n")
		taken += len(part)
		if !ended || s.next > s.start { // a line has begun
			s.keep(part)
		} else {
			s.next += int64(len(part))
		}
		if !ended {
			break
		}
		taken++
		s.next++
		if len(s.part) > 0 {
			part = string(s.part)
		}
		s.give(b, part)
	}
	return taken
}

// flush returns the line that was never completed, if there is one.
func (s *splitter) flush(b *Batch) {
	if s.next > s.start {
		s.give(b, string(s.part))
	}
}

func (s *splitter) give(b *Batch, text string) {
	// A file that was truncated under a writer that does not append begins with
	// as many zeros as it was long.
	if strings.HasPrefix(text, "\x00") {
		text = strings.TrimLeft(text, "\x00")
	}
	text = strings.TrimSuffix(text, "\r")
	l := line.Line{Source: s.source}
	if len(text) > line.MaxText {
		text, l.Cut = text[:line.MaxText], true
	}
	l.Text = text
	b.add(l, s.start)
	s.start = s.next
	s.part = s.part[:0]
}

func (s *splitter) keep(data string) {
	s.next += int64(len(data))
	if len(s.part) == 0 {
		data = strings.TrimLeft(data, "\x00")
	}
	room := maxPart - len(s.part)
	s.part = append(s.part, data[:min(len(data), room)]...)
}
