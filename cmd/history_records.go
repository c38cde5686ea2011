package cmd

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/journald"
)

// records finds what else tells of logins.
type records struct {
	root       string    // the folder that paths are in
	in         io.Reader // what "-" is
	journalctl string    // empty: there is none
	silence    time.Duration
	most       int64 // bytes that a packed one may have unpacked
}

const (
	// A journal of some GiB is searched by its index, which takes seconds.
	journalSilence = time.Minute
	// A week of a busy host's auth.log has some hundred MiB. What has more may be
	// made to have no end.
	maxUnpacked = 8 << 30
)

func liveRecords(in io.Reader) records {
	r := records{root: "/", in: in, silence: journalSilence, most: maxUnpacked}
	if path, err := exec.LookPath("journalctl"); err == nil {
		r.journalctl = path
	}
	return r
}

// record is one file, or the journal's output, before it is read.
type record struct {
	name   string
	format history.Source // empty: not known yet
	named  bool           // by the command line
	r      io.Reader
	stop   func() // nil: nothing to close
	err    error  // why it can't be read

	began time.Time // of the journal's output, once it was read: when its first entry was written
	until time.Time // of a syslog file: from then on the journal is believed instead; zero: never
}

func (r *record) close() {
	if r.stop != nil {
		r.stop()
	}
}

// open opens what is named, or else what is there. Nothing is read yet.
func (o records) open(ctx context.Context, names []string, format history.Source, since time.Time) []*record {
	var all []*record
	for _, name := range names {
		r := &record{name: name, named: true, format: format}
		if name == "-" {
			r.name, r.r = "standard input", letGo(ctx, o.in)
		} else {
			r.file(ctx, name)
		}
		all = append(all, r)
	}
	if len(names) > 0 {
		return all
	}
	add := func(patterns ...string) {
		for _, p := range patterns {
			found, _ := filepath.Glob(filepath.Join(o.root, "var/log", p)) // the patterns are good
			for _, path := range found {
				r := &record{name: path}
				r.file(ctx, path)
				all = append(all, r)
			}
		}
	}
	// As logrotate names them, with a number or with a date.
	add("wtmp", "wtmp.*", "wtmp-*")
	if o.journalctl != "" {
		all = append(all, o.journal(ctx, since))
	}
	add("auth.log", "auth.log.*", "auth.log-*", "secure", "secure.*", "secure-*")
	return all
}

func (r *record) file(ctx context.Context, path string) {
	// O_NONBLOCK: a FIFO that nobody writes to must not hold it up.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.err = err
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			r.err = pe.Err // the name is said beside it
		}
		return
	}
	r.r, r.stop = f, func() { f.Close() }
	switch info, err := f.Stat(); {
	case err != nil:
		r.err = err
	case info.IsDir():
		r.err = errors.New("it is a folder")
	case info.Mode().IsRegular():
	case !r.named: // in a folder that others than root may write to
		r.err = errors.New("it is no regular file")
	default:
		r.r = letGo(ctx, f)
	}
}

// letGo reads what may never come, until ctx ends.
func letGo(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	return out
}

// content gives a record's bytes, of a packed one at most so many, and finds out
// what they are.
func (r *record) content(ctx context.Context, most int64) (io.Reader, error) {
	if r.err != nil {
		return nil, r.err
	}
	packed := bufio.NewReaderSize(&bounded{ctx: ctx, r: r.r, left: math.MaxInt64}, sniffed)
	content := packed
	if head, err := packed.Peek(2); err == nil && bytes.Equal(head, []byte{0x1f, 0x8b}) {
		plain, err := gzip.NewReader(packed)
		if err != nil {
			return nil, err
		}
		content = bufio.NewReaderSize(&bounded{ctx: ctx, r: plain, left: most}, sniffed)
	}
	head, err := content.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return nil, err
	}
	if packing := otherPacking(head); packing != "" {
		return nil, fmt.Errorf("it is packed by %s; unpack it, and give it as -", packing)
	}
	if r.format == "" && len(head) > 0 {
		if r.format = formOf(head); r.format == "" {
			return nil, errNoForm
		}
	}
	return content, nil
}

var (
	errNoForm   = errors.New("it is no wtmp, no output of journalctl -o json and no syslog file")
	errTooLarge = errors.New("it is too large, the rest is left out")
)

// firstLine remembers the beginning of what it reads.
type firstLine struct {
	r    io.Reader
	line []byte
}

// maxFirst is far above the length of an entry of the journal with its fields.
const maxFirst = 64 << 10

func (f *firstLine) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if left := maxFirst - len(f.line); left > 0 {
		f.line = append(f.line, p[:min(n, left)]...)
	}
	return n, err
}

// time is when the journal's entry in the first line was written; zero for none.
func (f *firstLine) time() time.Time {
	line, _, _ := bytes.Cut(f.line, []byte("\n"))
	e, err := journald.Parse(line)
	if err != nil {
		return time.Time{}
	}
	return e.Time()
}

// bounded reads until ctx ends or more than so many bytes came.
type bounded struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// sniffed is how much of a file tells what it is.
const sniffed = 4096

// otherPacking names what a file is packed by that can't be unpacked here.
func otherPacking(head []byte) string {
	for name, magic := range map[string]string{"xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "gzip twice": "\x1f\x8b"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return name
		}
	}
	return ""
}

// syslogStart is how a line of a syslog file begins: a time as in RFC 3164 or
// RFC 3339, after a priority from a relay that keeps it.
var syslogStart = regexp.MustCompile(`(?m)^(<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)`)

// formOf tells what a file is from how it begins; empty: none of ours. A record
// of wtmp begins with its type, a small number in four bytes.
func formOf(head []byte) history.Source {
	switch {
	case len(head) >= 4 && head[0] < 10 && bytes.Equal(head[1:4], make([]byte, 3)):
		return history.SourceWtmp
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")):
		return history.SourceJournal
	case syslogStart.Match(head):
		return history.SourceAuthLog
	}
	return ""
}
