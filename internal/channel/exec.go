package channel

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// ExecType is the channel's name in the settings.
const ExecType = "exec"

// Exec are the settings of a program that tells alerts.
type Exec struct {
	Command []string      `toml:"command,required" doc:"the program, by its absolute path, and its arguments; never a shell"`
	Input   string        `toml:"input" check:"oneof=json text" doc:"what comes on standard input: \"json\" (default), as a webhook gets it, or \"text\", as people read it"`
	Again   []int         `toml:"again" check:"min=1,max=255" doc:"exit statuses that ask to try again, beside 75"`
	Timeout time.Duration `toml:"timeout" check:"min=1s,max=5m" doc:"after which the program and what it started are killed; \"30s\""`
}

// Validate asks for the path of a program.
func (s *Exec) Validate(at strictoml.At) {
	// Whoever may write to the file would run what they like as the worker.
	if f := at.Node().File; f.Mode&0o002 != 0 {
		at.Fail("command", "a program is named here, and others can change this file").Hint = "chmod o-w " + strictoml.ShellWord(f.Name)
	}
	if at.Has("command") && at.OK() && (len(s.Command) == 0 || !filepath.IsAbs(s.Command[0])) {
		at.Fail("command", "must begin with the absolute path of a program")
	}
}

const (
	// execTimeout is the default: Apprise alone takes a second or two to start.
	execTimeout = 30 * time.Second
	// execGrace is how long a killed program's output is waited for.
	execGrace = time.Second
	// execOutput is how much of what a program says is kept, in bytes.
	execOutput = 4 << 10
	// execPath is the PATH of programs; nothing of the worker's own environment
	// reaches them.
	execPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// tempFail is EX_TEMPFAIL of sysexits(3).
const tempFail = 75

// Words say that a program that gets JSON gets a headline alone.
func (s *Exec) Words() (headline, text bool) { return true, s.Input == "text" }

// Open returns the channel. The program need not be there yet.
func (s *Exec) Open(name string, _ Env) (Channel, error) {
	if len(s.Command) == 0 || !filepath.IsAbs(s.Command[0]) {
		return nil, errors.New("no absolute path of a program")
	}
	p := &program{name: name, command: s.Command, text: s.Input == "text", again: s.Again, timeout: s.Timeout}
	if p.timeout <= 0 {
		p.timeout = execTimeout
	}
	return p, nil
}

type program struct {
	name    string
	command []string
	text    bool
	again   []int
	timeout time.Duration
}

func (p *program) Name() string   { return p.name }
func (p *program) Traits() Traits { return Traits{} }

// Send runs the program: exit status 0 means told, 75 again, any other that this
// alert can't be told. It runs as whoever runs this.
func (p *program) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	input, err := p.input(a)
	if err != nil {
		return nil, &Error{Class: Bug, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	out := &start{left: execOutput}
	c := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	c.Dir, c.Env = "/", []string{"PATH=" + execPath, "LANG=C.UTF-8"}
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(input), out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = execGrace
	err = c.Run()
	if c.ProcessState == nil {
		if err := ctx.Err(); err != nil {
			return nil, &Error{Class: Again, Err: err}
		}
		return nil, p.notStarted(err)
	}
	return nil, p.ended(ctx, c.ProcessState, out.buf.String())
}

func (p *program) input(a event.Alert) ([]byte, error) {
	if p.text {
		return []byte(message.New(a).Plain(false)), nil
	}
	b, err := NewPayload(a).Bytes()
	return append(b, '\n'), err
}

// notStarted classes an error of fork or exec: without the program nothing can be
// told, while what a host has run out of comes back, and a program that is just
// being replaced does.
func (p *program) notStarted(err error) *Error {
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case ok && (errno == syscall.EAGAIN || errno == syscall.ENOMEM || errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ETXTBSY):
		return failed(Again, "%s can't be started: %w", filepath.Base(p.command[0]), errno)
	case ok:
		err = errno
	default:
		err = errors.New("not started")
	}
	e := failed(Broken, "%s can't be run: %w", p.command[0], err)
	e.Hint = "see whether the program is there, and whether everybody may run it: ls -lL " + p.command[0]
	return e
}

// ended returns what became of the alert; nil if it was told.
func (p *program) ended(ctx context.Context, s *os.ProcessState, output string) error {
	said := ""
	if text := p.excerpt(output); text != "" {
		said = ": " + text
	}
	program := filepath.Base(p.command[0])
	switch code := s.ExitCode(); {
	case code == 0:
		return nil // also where a child of its keeps the output open
	case code < 0 && ctx.Err() != nil:
		e := failed(Again, "%s was killed after %v: %w", program, p.timeout, ctx.Err())
		if errors.Is(ctx.Err(), context.Canceled) {
			e = failed(Again, "%s was killed: %w", program, ctx.Err())
		}
		e.Sent = true
		return e
	case code < 0:
		e := failed(Again, "%s ended by itself: %s%s", program, s, said)
		e.Sent = true
		return e
	case code == tempFail, slices.Contains(p.again, code):
		return failed(Again, "%s asks to try again (exit status %d)%s", program, code, said)
	default:
		e := failed(Bug, "%s failed (exit status %d)%s", program, code, said)
		e.Hint = "run it by hand as the worker's user; a status that asks to try again is 75, or stands in again"
		return e
	}
}

// excerpt returns the last line of what a program said, where the reason mostly
// stands, without what its arguments may hold of secrets.
func (p *program) excerpt(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	text := lines[len(lines)-1]
	for _, arg := range p.command[1:] {
		for _, word := range strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune("/?&=:;, \"%@", r) }) {
			if len(word) >= 4 {
				text = strings.ReplaceAll(text, word, "…")
			}
		}
	}
	return event.Clean(strings.TrimSpace(text), 2*excerptLength)
}

// start keeps the start of what is written to it, and takes the rest, so that
// nobody waits.
type start struct {
	buf  bytes.Buffer
	left int
}

func (s *start) Write(b []byte) (int, error) {
	n := min(len(b), s.left)
	s.buf.Write(b[:n])
	s.left -= n
	return len(b), nil
}

// Checks look whether there is such a program.
func (p *program) Checks() []doctor.Check {
	return []doctor.Check{{Run: func(_ context.Context, r *doctor.Report) {
		name := "program " + p.name
		info, err := os.Stat(p.command[0])
		hint := "look at command of destination." + p.name + " in " + r.Config
		switch {
		case errors.Is(err, os.ErrNotExist):
			r.Fail(name, hint, "there is no %s", p.command[0])
		case err != nil:
			r.Warn(name, hint, "%v", err)
		case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
			r.Fail(name, "chmod +x "+p.command[0], "%s is no program", p.command[0])
		case info.Mode()&0o022 != 0:
			r.Fail(name, "chmod go-w "+p.command[0], "others can write to %s, and so have the worker run anything", p.command[0])
		default:
			r.OK(name, "%s is there", p.command[0])
		}
	}}}
}
