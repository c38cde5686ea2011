package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// errTooLarge says that what is packed is more than was wanted.
var errTooLarge = errors.New("it is too large, the rest is left out")

// Unpack returns the content of r, at most so many bytes of what is compressed by
// gzip. What is packed otherwise is an error that says how.
func Unpack(r io.Reader, most int64) (*bufio.Reader, error) {
	const sniffed = 4096
	content := bufio.NewReaderSize(r, sniffed)
	if head, err := content.Peek(2); err == nil && string(head) == gzipMagic {
		plain, err := gzip.NewReader(content)
		if err != nil {
			return nil, err
		}
		content = bufio.NewReaderSize(&bounded{plain, most}, sniffed)
	}
	head, _ := content.Peek(6)
	for name, magic := range map[string]string{"xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "gzip twice": gzipMagic} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil, fmt.Errorf("it is packed by %s; unpack it, and give it as -", name)
		}
	}
	return content, nil
}

const gzipMagic = "\x1f\x8b"

// bounded is an error after so many bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// gzipped returns the content of a compressed file. It is meant to be read
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
		// gzip returns the same error for a file that is cut off: the next
		// call tells which it was, with nothing read.
		err = io.EOF
	}
	return n, err
}

func (g *gzipped) Close() error { return g.file.Close() }
