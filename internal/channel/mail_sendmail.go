package channel

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// sendmailPath is where every mail system has its program to hand mail over
// (Filesystem Hierarchy Standard, 4.10 and 6.1).
const sendmailPath = "/usr/sbin/sendmail"

// The exit statuses of sendmail that are told apart besides tempFail (sysexits.h).
const (
	exitNoUser = 67
	exitNoHost = 68
	exitNoPerm = 77
	exitConfig = 78
)

// sendmail hands mail to the host's own mail system, which has a queue.
type sendmail struct{ path string }

func (s *sendmail) String() string { return s.path }

func (s *sendmail) open(ctx context.Context) (postSession, *Error) {
	return &sendmailRun{s.path, ctx}, nil
}

type sendmailRun struct {
	path string
	ctx  context.Context
}

func (*sendmailRun) close() {}

// send runs the program. Its exit status says what became of the mail; words on
// standard error do not, as several have some for a mail that they took.
func (s *sendmailRun) send(from, to string, l letter) *mailFailure {
	var said bytes.Buffer
	c := exec.CommandContext(s.ctx, s.path, "-oi", "-f", from, "--", to)
	c.Env = []string{"PATH=" + execPath, "HOME=" + os.Getenv("HOME"), "LC_ALL=C"}
	c.Dir = "/"
	c.Stdin = bytes.NewReader(bytes.ReplaceAll(l, []byte("\r\n"), []byte("\n"))) // as files have lines
	c.Stderr, c.WaitDelay = &said, execGrace
	err := c.Run()
	if err == nil {
		return nil
	}
	if s.ctx.Err() != nil {
		e := failed(Again, "%s: %s took longer than it may", to, s.path)
		e.Sent = true
		e.Hint = "Postfix's and Exim's program can't queue a mail for a service, which may gain no privileges: set server = \"localhost\" and tls = \"none\""
		return &mailFailure{Error: e, over: true}
	}
	exit, ran := errors.AsType[*exec.ExitError](err)
	if !ran {
		e := failed(Broken, "%s can't be run: %w", s.path, err)
		if errors.Is(err, fs.ErrNotExist) {
			e = failed(Broken, "there is no %s", s.path)
			e.Hint = "install a mail system that brings it (apt install postfix, or msmtp-mta), or name an SMTP server"
		}
		return &mailFailure{Error: e, over: true}
	}
	class, hint := Bug, "look at what the mail system wrote: journalctl -t postfix -t sendmail -t msmtp"
	switch exit.ExitCode() {
	case tempFail:
		class, hint = Again, ""
	case exitNoUser, exitNoHost:
		class, hint = Broken, "see whether the address in to is right"
	case exitNoPerm, exitConfig:
		class = Broken
	case -1: // killed
		class = Again
	}
	e := failed(class, "%s: %s: %v: %q", to, s.path, exit, event.Clean(strings.Join(strings.Fields(said.String()), " "), 2*excerptLength))
	e.Hint = hint
	return &mailFailure{Error: e}
}
