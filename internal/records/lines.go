package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

func (h Host) parser() *parse.Parser {
	return parse.New(parse.Options{Zone: h.Zone, Now: h.Now, Alone: true})
}

// lines returns the lines of a log, and the entries of the journal among them. Lines
// without a zone have the time that the others tell, see parse.Zones.
func (r *Record) lines(in io.Reader) iter.Seq2[line.Line, error] {
	return parse.NewZones(r.host.Now).Lines(func(yield func(line.Line, error) bool) {
		var entries source.Entries
		for l, err := range source.Lines(in, r.Name) {
			if err == nil && !l.Cut {
				if e, ok := entries.Line(l.Text, r.Name); ok {
					l = e
				}
			}
			if !yield(l, err) {
				return
			}
		}
	})
}

// readLines reads a log of lines, as syslog daemons and the daemons themselves
// write them, or the output of journalctl -o json. Anybody on the host may write a
// line of auth.log with logger(1). That is no news to the memory but what makes a
// stranger known, so the journal, which knows who wrote, is better where there is
// one.
func (r *Record) readLines(in io.Reader, n *Counts, give func(history.Entry) bool) error {
	p := r.host.parser()
	for l, err := range r.lines(in) {
		more := true
		switch {
		case err != nil:
			return err
		case l.Entry != nil:
			more = r.entry(p, l, n, give)
		case strings.TrimSpace(l.Text) == "" && !l.Cut, strings.HasPrefix(l.Text, "-- "): // journalctl's own
			if r.Format != history.SourceJournal {
				n.Other++
			}
		default:
			more = n.take(p.Parse(l), history.SourceAuthLog, give)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// entry takes one entry of the journal. Only what a daemon wrote is believed:
// everybody may write to the journal in its name.
func (r *Record) entry(p *parse.Parser, l line.Line, n *Counts, give func(history.Entry) bool) bool {
	if r.Began.IsZero() {
		r.Began = l.Time
	}
	if l.Entry.Daemon == "" {
		n.Other++
		return true
	}
	return n.take(p.Parse(l), history.SourceJournal, give)
}

// take counts what a line says, and gives the login that it tells of. One that
// could be read in two ways is none: a stranger may have chosen which.
func (n *Counts) take(r parse.Result, from history.Source, give func(history.Entry) bool) bool {
	certain := r.IP.IsValid() && !r.Ambiguous && (r.Certain || r.Service != "sshd") && plausible(r.Time)
	switch {
	case r.Unread != "":
		n.Unread.Add(r)
		n.Bad++
	case r.Time.IsZero():
		n.Bad++
	case r.Outcome != parse.Success || !parse.Remote(r.Service) || anonymous(r.User):
		n.Other++
	case certain:
		n.Logins++
		return give(history.Entry{Time: r.Time, Host: r.Host, User: r.User, Service: r.Service, Method: r.Method, Key: r.Key, CA: r.CA, KeyID: r.KeyID,
			IP: r.IP, Port: r.Port, Source: from})
	default:
		n.Bad++
	}
	return true
}

// anonymous reports whether a user is anybody at all, as FTP servers let them in.
func anonymous(user string) bool { return user == "ftp" || user == "anonymous" }

// plausible refuses the times of a clock that was never set, and those that
// can't be stored.
func plausible(t time.Time) bool { return t.UTC().Year() >= 1990 && t.UTC().Year() <= 9999 }

// journalError is a journal that can't be read: many hosts have none.
type journalError struct{ err error }

func (e *journalError) Error() string { return "journalctl: " + e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// OpenJournal starts journalctl, which is read later: until then it waits. What is
// older than since, to the day, is not in it.
func (h Host) OpenJournal(since time.Time) *Record {
	r := &Record{Name: "journal", Format: history.SourceJournal, host: h}
	// Days are enough: what is too old is left out anyway.
	s, err := source.OpenJournal(source.Options{
		Name: r.Name, Once: true, Journalctl: h.Journalctl,
		JournalArgs: []string{"--quiet", "--since=" + since.Add(-24*time.Hour).Format(time.DateOnly)},
		Matches:     journald.RemoteMatches(),
	})
	if err != nil {
		r.err = &journalError{err}
		return r
	}
	r.journal = s
	// It may be root's, and we no longer: then nothing ends it but that nobody takes
	// what it writes, and that is not waited for.
	r.stop = func() { go s.Close() }
	return r
}

// readJournal gives what journalctl says, as long as it says something.
func (r *Record) readJournal(ctx context.Context, give func(line.Line) bool) error {
	for {
		patient, cancel := context.WithTimeout(ctx, r.host.Silence)
		b, err := r.journal.Read(patient)
		cancel()
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return &journalError{fmt.Errorf("said nothing for %v", r.host.Silence)}
		case err != nil:
			return &journalError{err}
		}
		for _, l := range b.Lines {
			if !give(l) {
				return nil
			}
		}
	}
}

// Said is one thing that a record tells: a line of text, or a login of wtmp.
type Said struct {
	Time  time.Time // of the line, or of the one before where it bears none
	Line  line.Line // with its time, where it bears one
	Login *history.Entry
}

// All returns everything that the record tells. An error ends it like its end;
// what came before holds. Unlike Logins it judges nothing: whose word a line is
// stands in its Entry, where it has one.
func (r *Record) All(ctx context.Context) iter.Seq2[Said, error] {
	return func(yield func(Said, error) bool) {
		if err := r.all(ctx, func(s Said) bool { return yield(s, nil) }); err != nil {
			yield(Said{}, err)
		}
	}
}

func (r *Record) all(ctx context.Context, give func(Said) bool) error {
	if r.err != nil {
		return r.err
	}
	var at time.Time
	giveLine := func(l line.Line) bool {
		if !l.Time.IsZero() {
			at = l.Time
		}
		return give(Said{Time: at, Line: l})
	}
	if r.journal != nil {
		return r.readJournal(ctx, giveLine)
	}
	content, err := r.content(ctx)
	if err != nil {
		return err
	}
	if r.Format == history.SourceWtmp {
		return readWtmp(content, new(Counts), func(e history.Entry) bool { return give(Said{Time: e.Time, Login: &e}) })
	}
	p := r.host.parser()
	for l, err := range r.lines(content) {
		if err != nil {
			return err
		}
		if l.Time = p.Time(l); !giveLine(l) {
			return nil
		}
	}
	return nil
}
