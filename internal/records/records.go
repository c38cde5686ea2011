// Package records reads the logins that a host had before sshnotify came to it,
// from wtmp, the journal and syslog files.
//
// It must never tell of a login that a record can't be believed about: of the
// journal's entries only sshd's own count.
package records

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// Host is where records are found, and how they are read.
type Host struct {
	Root       string    // the folder that paths are in
	In         io.Reader // what "-" is
	Journalctl string    // empty: there is none
	Silence    time.Duration
	Most       int64            // bytes that a packed one may have unpacked
	Zone       *time.Location   // of times without one
	Now        func() time.Time // tells the year of times without one
}

const (
	// Silence is how long journalctl may say nothing: a journal of some GiB is
	// searched by its index, which takes seconds.
	Silence = time.Minute
	// MaxUnpacked is far above a week of a busy host's auth.log, which has some
	// hundred MiB. What has more may be made to have no end.
	MaxUnpacked = 8 << 30
)

// Record is one file, or the journal, before it is read.
type Record struct {
	Name   string
	Format history.Source // empty: not known before it is read
	Named  bool           // by who asked
	// Began is when the first entry of the journal was written, once it was read.
	Began time.Time

	host    Host
	in      io.Reader
	stop    func()        // nil: nothing to close
	journal source.Source // nil: it is a file
	err     error         // why it can't be read
}

// Counts say what became of what was read.
type Counts struct {
	Logins int          // logins over the network, each one entry
	Other  int          // other things: failures, logouts, other programs
	Bad    int          // what could not be understood
	Unread parse.Unread // of these the lines of known daemons
}

// Failed returns a record that can't be read.
func Failed(name string, named bool, err error) *Record {
	return &Record{Name: name, Named: named, err: err}
}

// Close gives up a record, read or not.
func (r *Record) Close() {
	if r.stop != nil {
		r.stop()
	}
}

// Open opens what is named, or else what is there. Nothing is read yet.
func (h Host) Open(ctx context.Context, names []string, format history.Source, since time.Time) (all []*Record) {
	for _, name := range names {
		r := &Record{Name: name, Named: true, Format: format, host: h}
		if name == "-" {
			r.Name, r.in = "standard input", letGo(ctx, h.In)
		} else {
			r.open(ctx, name)
		}
		all = append(all, r)
	}
	if len(names) > 0 {
		return all
	}
	add := func(patterns ...string) {
		for _, p := range patterns {
			found, _ := filepath.Glob(filepath.Join(h.Root, "var/log", p)) // the patterns are good
			for _, path := range found {
				r := &Record{Name: path, host: h}
				r.open(ctx, path)
				all = append(all, r)
			}
		}
	}
	// As logrotate names them, with a number or with a date.
	add("wtmp", "wtmp.*", "wtmp-*")
	if h.Journalctl != "" {
		all = append(all, h.OpenJournal(since))
	}
	for _, path := range append(source.SystemLogs(), parse.Logs()...) {
		name := strings.TrimPrefix(path, "/var/log/")
		add(name, name+".*", name+"-*")
	}
	return all
}

func (r *Record) open(ctx context.Context, path string) {
	// O_NONBLOCK: a FIFO that nobody writes to must not hold it up.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.err = err
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			r.err = pe.Err // the name is said beside it
		}
		return
	}
	r.in, r.stop = f, func() { f.Close() }
	switch info, err := f.Stat(); {
	case err != nil:
		r.err = err
	case info.IsDir():
		r.err = errors.New("it is a folder")
	case info.Mode().IsRegular():
	case !r.Named: // in a folder that others than root may write to
		r.err = errors.New("it is no regular file")
	default:
		r.in = letGo(ctx, f)
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

// Logins returns the logins that the record tells of, and counts in n what it
// reads. An error ends it like its end; what came before holds.
func (r *Record) Logins(ctx context.Context, n *Counts) iter.Seq2[history.Entry, error] {
	return func(yield func(history.Entry, error) bool) {
		if err := r.read(ctx, n, func(e history.Entry) bool { return yield(e, nil) }); err != nil {
			yield(history.Entry{}, err)
		}
	}
}

func (r *Record) read(ctx context.Context, n *Counts, give func(history.Entry) bool) error {
	if r.err != nil {
		return r.err
	}
	if r.journal != nil {
		p := r.host.parser()
		return r.readJournal(ctx, func(l line.Line) bool { return r.entry(p, l, n, give) })
	}
	content, err := r.content(ctx)
	if err != nil {
		return err
	}
	if r.Format == history.SourceWtmp {
		return readWtmp(content, n, give)
	}
	return r.readLines(content, n, give)
}

// ErrNoForm says that nobody knows what a file is.
var ErrNoForm = errors.New("it is no wtmp, no output of journalctl -o json and no log of lines that are known")

// content returns a record's bytes, unpacked, and finds out what they are.
func (r *Record) content(ctx context.Context) (*bufio.Reader, error) {
	content, err := source.Unpack(&untilDone{ctx, r.in}, r.host.Most)
	if err != nil {
		return nil, err
	}
	head, err := content.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return nil, err
	}
	if r.Format == "" && len(head) > 0 {
		if r.Format = r.host.formOf(head); r.Format == "" {
			return nil, ErrNoForm
		}
	}
	return content, nil
}

// sniffed is how much of a file tells what it is.
const sniffed = 4096

// untilDone reads until ctx ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// formOf tells what a file is from how it begins; empty: none of ours. A record
// of wtmp begins with its type, a small number in four bytes; a line of a log with
// a time, or it is one that a daemon writes.
func (h Host) formOf(head []byte) history.Source {
	switch text := string(head); {
	case len(head) >= 4 && head[0] < 10 && text[1:4] == "\x00\x00\x00":
		return history.SourceWtmp
	case strings.HasPrefix(strings.TrimSpace(text), "{") && !strings.HasPrefix(text, `{"log":"`): // a container's
		return history.SourceJournal
	default:
		p := h.parser()
		for l := range strings.Lines(text) {
			if r := p.Parse(line.Line{Text: strings.TrimRight(l, "\r\n")}); r.Outcome != parse.None || !r.Time.IsZero() {
				return history.SourceAuthLog
			}
		}
	}
	return ""
}

// Unavailable reports whether an error is of a kind that is no wonder where
// nobody asked for the record.
func Unavailable(err error) bool {
	_, journal := errors.AsType[*journalError](err)
	return journal || errors.Is(err, ErrNoForm) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)
}
