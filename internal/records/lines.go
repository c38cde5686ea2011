package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// syslogStart is how a line of a syslog file begins: a time as in RFC 3164 or
// RFC 3339.
var syslogStart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^(<\d{1,3}>(1 )?)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)`)
})

func (h Host) parser() *parse.Parser {
	return parse.New(parse.Options{Zone: h.Zone, Now: h.Now, Alone: true})
}

// readSyslog reads a syslog file (auth.log, secure). Anybody on the host may write
// such a line with logger(1). That is no news to the memory but what makes a
// stranger known, so the journal, which knows who wrote, is better where there is
// one.
func (r *Record) readSyslog(in io.Reader, n *Counts, give func(history.Entry) bool) error {
	p := r.host.parser()
	for l, err := range source.Lines(in, r.Name) {
		if err != nil {
			return err
		}
		// Most lines are something else, and need no more.
		if !l.Cut && !strings.Contains(l.Text, "Accepted ") {
			n.Other++
			continue
		}
		before, _, _ := strings.Cut(l.Text, ": Accepted ")
		program, _, _ := strings.Cut(before[strings.LastIndexByte(before, ' ')+1:], "[")
		claimed := len(before) < len(l.Text) && (program == "sshd" || program == "sshd-session")
		if !n.take(p.Parse(l), history.SourceAuthLog, claimed || l.Cut, give) {
			return nil
		}
	}
	return nil
}

// readEntries reads the output of journalctl -o json.
func (r *Record) readEntries(in io.Reader, n *Counts, give func(history.Entry) bool) error {
	p, entries := r.host.parser(), new(journald.Reader)
	for l, err := range source.Lines(in, r.Name) {
		switch {
		case err != nil:
			return err
		case strings.TrimSpace(l.Text) == "" && !l.Cut:
			continue
		}
		e, _, err := entries.Line([]byte(l.Text), r.Name)
		if err != nil || l.Cut {
			n.Bad++
			continue
		}
		if !r.entry(p, e, n, give) {
			return nil
		}
	}
	return nil
}

// entry takes one entry of the journal. Only what sshd wrote is believed:
// everybody may write to the journal in its name.
func (r *Record) entry(p *parse.Parser, l line.Line, n *Counts, give func(history.Entry) bool) bool {
	if r.Began.IsZero() {
		r.Began = l.Time
	}
	if l.Entry.Daemon != "sshd" || !strings.HasPrefix(l.Text, "Accepted ") {
		n.Other++
		return true
	}
	return n.take(p.Parse(l), history.SourceJournal, true, give)
}

// take counts what a line says, and returns the login that it tells of. claimed says
// that it ought to be one.
func (n *Counts) take(r parse.Result, from history.Source, claimed bool, give func(history.Entry) bool) bool {
	switch {
	case r.Parser == "sshd" && r.Certain && r.IP.IsValid() && plausible(r.Time) && (r.Host != "" || from == history.SourceJournal):
		n.Logins++
		return give(history.Entry{Time: r.Time, Host: r.Host, User: r.User, Service: "sshd", Method: r.Method, Key: r.Key,
			IP: r.IP, Port: r.Port, Source: from})
	case claimed:
		n.Bad++
	default:
		n.Other++
	}
	return true
}

// plausible refuses the times of a clock that was never set, and those that
// can't be stored.
func plausible(t time.Time) bool { return t.UTC().Year() >= 1990 && t.UTC().Year() <= 9999 }

// journalError is a journal that can't be read: many hosts have none.
type journalError struct{ err error }

func (e *journalError) Error() string { return "journalctl: " + e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// openJournal starts journalctl, which is read later: until then it waits.
func (h Host) openJournal(since time.Time) *Record {
	r := &Record{Name: "journal", Format: history.SourceJournal, host: h}
	// sshd-session is what OpenSSH has for a connection since 9.8. Only root's
	// are sshd's own words. Days are enough: what is too old is left out anyway.
	s, err := source.OpenJournal(source.Options{
		Name: r.Name, Once: true, Journalctl: h.Journalctl,
		JournalArgs: []string{"--quiet", "--since=" + since.Add(-24*time.Hour).Format(time.DateOnly)},
		Matches:     []string{"_UID=0", "_COMM=sshd", "+", "_UID=0", "_COMM=sshd-session"},
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

// readJournal reads what journalctl says, as long as it says something.
func (r *Record) readJournal(ctx context.Context, n *Counts, give func(history.Entry) bool) error {
	p := r.host.parser()
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
			if !r.entry(p, l, n, give) {
				return nil
			}
		}
	}
}
