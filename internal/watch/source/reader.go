package source

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"sync"
	"unsafe"

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
// stays behind. In a replay (o.Once) r may be packed, see Unpack.
func OpenReader(r io.Reader, o Options) (Source, error) {
	in, err := newReader(r, o.named("stdin"), kindStdin)
	if err != nil {
		return nil, err
	}
	go in.run()
	return in, nil
}

func newReader(r io.Reader, o Options, kind string) (*reader, error) {
	o.StateDir = ""
	s, err := newStream(o, kind, readerBuffer)
	if err != nil {
		return nil, err
	}
	s.keep.trouble(true, true, nil)
	return &reader{s, r}, nil
}

// run reads ahead.
func (s *reader) run() {
	for b, err := range s.batches(forGood) {
		if err != nil {
			s.queue.end(err)
			return
		}
		if !s.queue.put(b, s.done) {
			break
		}
	}
	s.queue.end(nil)
}

// batches is what the package's own gives of a reader.
func (s *reader) batches(use use) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		in, err := s.in, error(nil)
		if s.opt.Once {
			in, err = Unpack(in, math.MaxInt64)
		}
		for b := range batches(in, s.opt.Name, use, &err) {
			b.from = s.opt.Name + "\x00"
			if !yield(b, nil) {
				return
			}
		}
		if err != nil {
			s.keep.trouble(true, false, err)
			yield(Batch{}, err)
		}
	}
}

// onceRead is a file that is read once: it makes nobody wait, so that nobody reads
// ahead. The lines of a batch are good until the next Read, and their texts until
// the one after that: who keeps any of a text clones it.
type onceRead struct {
	*reader
	mu   sync.Mutex
	next func() (Batch, error, bool)
	stop func()
}

func openOnce(f io.Reader, o Options) (Source, error) {
	in, err := newReader(f, o, kindFile)
	if err != nil {
		return nil, err
	}
	next, stop := iter.Pull2(in.batches(twoReads))
	return &onceRead{reader: in, next: next, stop: stop}, nil
}

func (s *onceRead) Read(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err, more := s.next()
	if err == nil && !more {
		err = io.EOF
	}
	if err != nil {
		return Batch{}, err
	}
	s.given++
	b.seq = s.given
	s.keep.got(b)
	return b, nil
}

func (s *onceRead) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	return s.reader.Close()
}

// Lines returns the lines of r, and at last its error, if that is not io.EOF.
func Lines(r io.Reader, name string) iter.Seq2[line.Line, error] {
	return func(yield func(line.Line, error) bool) {
		var err error
		for b := range batches(r, name, oneLine, &err) {
			for _, l := range b.Lines {
				if !yield(l, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(line.Line{}, err)
		}
	}
}

// use is how long a batch of batches is good.
type use int

const (
	forGood  use = iota
	oneLine      // its texts are; its lines until the next batch
	twoReads     // its texts until the batch after the next, its lines until the next
)

// batches splits what r gives, until it gives an error, which *failed is then if it is
// not io.EOF; with one to begin with there are none.
func batches(r io.Reader, name string, use use, failed *error) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		split := splitter{source: name}
		buf, before := make([]byte, chunk), make([]byte, chunk)
		var b Batch
		for *failed == nil {
			n, err := r.Read(buf)
			text := unsafe.String(unsafe.SliceData(buf), n)
			if use != twoReads {
				text = string(buf[:n])
			}
			for len(text) > 0 {
				if b.Lines, b.offs = b.Lines[:0], b.offs[:0]; use == forGood {
					b = Batch{}
				}
				text = text[split.feed(text, &b):]
				if len(b.Lines) > 0 && !yield(b) {
					return
				}
			}
			buf, before = before, buf
			*failed = err
		}
		if !errors.Is(*failed, io.EOF) {
			return
		}
		*failed = nil
		b = Batch{}
		if split.flush(&b); len(b.Lines) > 0 {
			yield(b)
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
