package history

import (
	"bufio"
	"errors"
	"io"
	"iter"
)

// Counts say what a reader made of what it read.
type Counts struct {
	Logins int // logins over the network, each one entry
	Other  int // other things: failures, logouts, other programs
	Bad    int // records that could not be understood
}

// maxLine is the longest line that is read; a longer one is skipped and
// counted as bad. The journal's objects have some 2 KiB.
const maxLine = 1 << 20

// lines gives the lines of r without their ends. A line is only good until the
// next; nil stands for one that is too long. An error of r comes last.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		b := bufio.NewReaderSize(r, 64<<10)
		var long []byte
		skipping := false
		for {
			piece, err := b.ReadSlice('\n')
			part := errors.Is(err, bufio.ErrBufferFull)
			if err != nil && !part && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			line := piece
			if part || len(long) > 0 || skipping {
				if skipping = skipping || len(long)+len(piece) > maxLine; skipping {
					long, line = long[:0], nil
				} else {
					long = append(long, piece...)
					line = long
				}
			}
			if part {
				continue
			}
			end := err != nil
			if !end || len(line) > 0 || skipping {
				if !yield(trimEnd(line), nil) {
					return
				}
			}
			if end {
				return
			}
			long, skipping = long[:0], false
		}
	}
}

func trimEnd(line []byte) []byte {
	for _, end := range []byte{'\n', '\r'} {
		if n := len(line); n > 0 && line[n-1] == end {
			line = line[:n-1]
		}
	}
	return line
}
