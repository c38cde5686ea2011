package source

import (
	"bytes"
	"strings"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// maxPart is what is kept of a line: a carriage return and one more byte than
// is given, which shows that it was cut.
const maxPart = line.MaxText + 2

var newline = []byte{'\n'}

// splitter makes lines of bytes that come in pieces. Of a line that is longer
// than line.MaxText it keeps no more than that.
type splitter struct {
	source string
	start  int64  // where the line begins that is not complete yet
	next   int64  // where the next byte belongs
	part   []byte // of that line, at most maxPart
}

// feed appends the complete lines in data to b, until b has MaxLines, and
// returns how many bytes it took.
func (s *splitter) feed(data []byte, b *Batch) (taken int) {
	if n := min(MaxLines, bytes.Count(data, newline)); b.Lines == nil && n > 0 {
		b.Lines, b.offs = make([]line.Line, 0, n), make([]int64, 0, n)
	}
	if s.next > s.start { // a line has begun
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			s.keep(data)
			return len(data)
		}
		s.keep(data[:end])
		s.next++
		s.give(b, string(s.part))
		taken = end + 1
		data = data[taken:]
	}
	last := bytes.LastIndexByte(data, '\n')
	// One string for all of them: a line then costs no allocation.
	text := string(data[:last+1])
	for len(text) > 0 {
		if len(b.Lines) >= MaxLines {
			return taken
		}
		end := strings.IndexByte(text, '\n')
		s.next += int64(end) + 1
		taken += end + 1
		s.give(b, text[:end])
		text = text[end+1:]
	}
	if len(b.Lines) < MaxLines {
		s.keep(data[last+1:])
		taken += len(data) - last - 1
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

func (s *splitter) keep(data []byte) {
	s.next += int64(len(data))
	if len(s.part) == 0 {
		data = bytes.TrimLeft(data, "\x00")
	}
	room := maxPart - len(s.part)
	s.part = append(s.part, data[:min(len(data), room)]...)
}
