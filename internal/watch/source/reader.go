package source

import (
	"errors"
	"io"
	"iter"
	"math"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// readerBuffer is what standard input's lines may take before the one who
// writes it must wait, in bytes.
const readerBuffer = 4 << 20

// reader is standard input, or what else is read once.
type reader struct {
	*stream
	in io.Reader
}

// OpenReader reads r to its end. Nothing is kept of how far it came. Close ends
// Read, and closes r if it can be closed; a read of r that even so does not end
// stays behind. In a replay (o.Once) r may be compressed by gzip.
func OpenReader(r io.Reader, o Options) (Source, error) {
	return openReader(r, o.named("stdin"), kindStdin)
}

func openReader(r io.Reader, o Options, kind string) (Source, error) {
	o.StateDir = ""
	s, err := newStream(o, kind, readerBuffer)
	if err != nil {
		return nil, err
	}
	s.keep.trouble(true, true, nil)
	in := &reader{s, r}
	go in.run()
	return in, nil
}

func (s *reader) run() {
	split := splitter{source: s.opt.Name}
	in, err := s.in, error(nil)
	if s.opt.Once {
		in, err = Unpack(in, math.MaxInt64)
	}
	if err == nil {
		err = pump(in, &split, func(b Batch) bool {
			b.from = s.opt.Name + "\x00"
			return s.queue.put(b, s.done)
		})
	}
	if errors.Is(err, io.EOF) {
		var b Batch
		if split.flush(&b); len(b.Lines) > 0 {
			b.from = s.opt.Name + "\x00"
			s.queue.put(b, s.done)
		}
	} else {
		s.keep.trouble(true, false, err)
	}
	s.queue.end(err)
}

// Lines returns the lines of r, and at last its error, if that is not io.EOF.
func Lines(r io.Reader, name string) iter.Seq2[line.Line, error] {
	return func(yield func(line.Line, error) bool) {
		split := splitter{source: name}
		more := true
		give := func(b Batch) bool {
			for _, l := range b.Lines {
				if more = more && yield(l, nil); !more {
					break
				}
			}
			return more
		}
		if err := pump(r, &split, give); !errors.Is(err, io.EOF) {
			yield(line.Line{}, err)
			return
		}
		var b Batch
		if more {
			split.flush(&b)
			give(b)
		}
	}
}

// pump splits what r gives and hands on what is complete, until r gives an
// error, which it returns, or give says no.
func pump(r io.Reader, split *splitter, give func(Batch) bool) error {
	buf := make([]byte, chunk)
	for {
		n, err := r.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			var b Batch
			data = data[split.feed(data, &b):]
			if len(b.Lines) > 0 && !give(b) {
				return io.EOF
			}
		}
		if err != nil {
			return err
		}
	}
}

func (s *reader) Close() (err error) {
	s.once.Do(func() {
		close(s.done)
		s.queue.end(nil)
		if c, ok := s.in.(io.Closer); ok {
			err = c.Close()
		}
	})
	return err
}
