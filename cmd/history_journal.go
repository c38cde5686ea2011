package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
)

// journalError is a journal that can't be read: many hosts have none.
type journalError struct{ err error }

func (e *journalError) Error() string { return e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// journal starts journalctl, which is read later: until then it waits.
func (o records) journal(ctx context.Context, since time.Time) *record {
	r := &record{name: "journal", format: history.SourceJournal}
	// sshd-session is what OpenSSH has for a connection since 9.8. Only root's
	// are sshd's own words. Days are enough: what is too old is left out anyway.
	args := []string{
		"--no-pager", "--quiet", "--output=json", "--since=" + since.Add(-24*time.Hour).Format(time.DateOnly),
		"_UID=0", "_COMM=sshd", "+", "_UID=0", "_COMM=sshd-session",
	}
	c := exec.Command(o.journalctl, args...)
	c.WaitDelay = time.Second
	says := new(firstWords)
	c.Stderr = says
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		r.err = &journalError{err}
		return r
	}
	j := &journal{c: c, out: out, says: says, silence: o.silence}
	unhook := context.AfterFunc(ctx, j.end)
	r.r = j
	r.stop = func() { unhook(); j.end() }
	return r
}

// journal reads what a journalctl says, as long as it says something.
type journal struct {
	c       *exec.Cmd
	out     io.ReadCloser
	says    *firstWords
	silence time.Duration
	silent  atomic.Bool
	over    error // of its end
}

// end ends journalctl. It may be root's, and we no longer: then it ends by
// itself when nobody takes what it writes.
func (j *journal) end() {
	_ = j.c.Process.Kill()
	j.out.Close()
}

func (j *journal) Read(p []byte) (int, error) {
	if j.over != nil {
		return 0, j.over
	}
	clock := time.AfterFunc(j.silence, func() {
		j.silent.Store(true)
		j.end()
	})
	n, err := j.out.Read(p)
	clock.Stop()
	switch {
	case err == nil:
		return n, nil
	case j.silent.Load():
		err = &journalError{fmt.Errorf("journalctl said nothing for %v", j.silence)}
	case errors.Is(err, io.EOF):
		if werr := j.c.Wait(); werr != nil {
			err = &journalError{fmt.Errorf("journalctl: %w", werr)}
			if s := j.says.String(); s != "" {
				err = &journalError{fmt.Errorf("journalctl: %s", s)}
			}
		}
	}
	j.over = err
	return n, err
}

// firstWords keeps the beginning of what a program says.
type firstWords struct{ b bytes.Buffer }

func (w *firstWords) Write(p []byte) (int, error) {
	const most = 4096
	w.b.Write(p[:min(len(p), most-w.b.Len())])
	return len(p), nil
}

func (w *firstWords) String() string {
	line, _, _ := strings.Cut(strings.TrimSpace(w.b.String()), "\n")
	return event.Clean(line, 200)
}
