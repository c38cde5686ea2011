package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// errTooLarge says that what is packed is more than was wanted.
var errTooLarge = errors.New("it is too large, the rest is left out")

// Unpack returns the content of r, at most so many bytes of it where r is packed:
// by gzip, bzip2, xz or zstd, as its first bytes say and not its name. What holds
// lines in another form is a *PackedError.
func Unpack(r io.Reader, most int64) (*bufio.Reader, error) {
	const sniffed = 4096
	content := bufio.NewReaderSize(r, sniffed)
	for range 2 { // some pack twice
		plain, err := unpacked(content)
		if err != nil {
			return nil, err
		}
		if plain == nil {
			break
		}
		content = bufio.NewReaderSize(&bounded{plain, most}, sniffed)
	}
	if p := packedAs(content); p != nil {
		return nil, p
	}
	return content, nil
}

// maxWindow is how far back a zstd file may refer, in bytes: 128 MiB is what
// zstd --long takes.
const maxWindow = 128 << 20

// unpacked returns what r holds packed; nil where we can't unpack it, or need not.
func unpacked(r *bufio.Reader) (io.Reader, error) {
	head, _ := r.Peek(6) // its error comes again when it is read
	switch has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }; {
	case has("\x1f\x8b"):
		return gzip.NewReader(r)
	case has("BZh"):
		return bzip2.NewReader(r), nil
	case has("\xfd7zXZ\x00"):
		return xz.NewReader(r)
	case has("\x28\xb5\x2f\xfd"):
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	}
	return nil, nil
}

// PackedError is a file whose lines another program has to take out of it.
type PackedError struct {
	As      string // what it is
	Command string // writes its lines, where a file's name follows
}

func (e *PackedError) Error() string { return "it is " + e.As }

// packedAs tells what r is that we can't unpack; nil if it is none of these.
func packedAs(r *bufio.Reader) *PackedError {
	head, _ := r.Peek(8)
	for magic, p := range map[string]PackedError{
		"\x04\x22\x4d\x18": {"packed with lz4", "lz4 -dc"},
		"\x1f\x9d":         {"packed with compress", "zcat"},
		"LZIP":             {"packed with lzip", "lzip -dc"},
		"PK\x03\x04":       {"packed with zip", "unzip -p"},
		"LPKSHHRH":         {"a file of the journal", "journalctl -o json --file"},
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return &p
		}
	}
	return nil
}

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
