package source

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
)

// gzipped gives the content of a compressed file. It is meant to be read
// forward: to go back it begins again.
type gzipped struct {
	file *os.File
	r    *gzip.Reader
	at   int64
}

// openGzip opens the compressed file at path.
func openGzip(path string) (*gzipped, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	g := &gzipped{file: f}
	if err := g.rewind(); err != nil {
		f.Close()
		return nil, err
	}
	return g, nil
}

func (g *gzipped) rewind() error {
	_, err := g.file.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	g.at = 0
	g.r, err = gzip.NewReader(bufio.NewReader(g.file))
	return err
}

// ReadAt fills b with what stands at off; io.EOF says that there is less.
func (g *gzipped) ReadAt(b []byte, off int64) (int, error) {
	if off < g.at {
		if err := g.rewind(); err != nil {
			return 0, err
		}
	}
	skipped, err := io.CopyN(io.Discard, g.r, off-g.at)
	g.at += skipped
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(g.r, b)
	g.at += int64(n)
	if err == io.ErrUnexpectedEOF && n > 0 {
		// gzip gives the same error for a file that is cut off: the next
		// call tells which it was, with nothing read.
		err = io.EOF
	}
	return n, err
}

func (g *gzipped) Close() error { return g.file.Close() }
