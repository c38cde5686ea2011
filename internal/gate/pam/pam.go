// Package pam owns what pam_exec(8) runs of the second step: it puts the gate together
// for one login, of the environment that sshd gives and the gate's settings. The small
// program sshnotify-gate is this package and nothing else.
//
// It must never exit with 0 because something went wrong, nor read the worker's
// settings by itself: they are large, and a login that is not asked needs none of them.
package pam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/syslog"
	"github.com/sshnotify/sshnotify/internal/syslog/logger"
)

// SettingsFile is the gate's own. Its secrets are root's, and not the worker's, who
// reads another one.
const SettingsFile = "/etc/sshnotify/gate.toml"

// The exit statuses: all but Let keeps somebody out, or has them asked.
const (
	Let    = 0
	Refuse = 1
)

// Step is what pam_exec runs.
type Step struct {
	What     string // "known", "ask" or "verify"
	Settings string // the gate's file
	Config   string // the worker's; empty: the usual one
}

// Parse reads what stands behind "sshnotify gate" in a line of PAM. ok is false for
// what is no step, or not understood.
func Parse(args []string) (s Step, ok bool) {
	if len(args) == 0 || !slices.Contains([]string{"known", "ask", "verify"}, args[0]) {
		return s, false
	}
	s = Step{What: args[0], Settings: SettingsFile}
	for rest := args[1:]; len(rest) > 0; {
		name, value, given := strings.Cut(rest[0], "=")
		rest = rest[1:]
		if !given && len(rest) > 0 {
			value, rest = rest[0], rest[1:]
		}
		switch {
		case name == "--settings" && value != "":
			s.Settings = value
		case name == "--config" && value != "":
			s.Config = value
		default:
			return s, false
		}
	}
	return s, true
}

// Outside is what a step may need of the worker's settings, which are read when it does.
type Outside struct {
	Client *outbound.Client
	People func(*slog.Logger) policy.People
}

// Main is the small program: it says whether a login is known, and has the large one
// do all else, which it becomes. It returns only with an exit status.
func Main(args []string, large func() (string, error)) int {
	return guarded(func(log *slog.Logger) int {
		if s, ok := Parse(args); ok && s.What == "known" {
			set, err := Settings(s.Settings, true)
			// Whether an account may go without a second step depends on whom codes go
			// to, which the worker's settings may say.
			if err != nil || set.Gate.Unenrolled != "allow" || len(set.People) > 0 {
				return s.run(set, err, Outside{}, nil, nil, log)
			}
		}
		path, err := large()
		if err == nil {
			err = syscall.Exec(path, append([]string{path, "gate"}, args...), os.Environ())
		}
		log.Error("gate: refused, because sshnotify can't be run", "error", err)
		return Refuse
	})
}

// Run answers PAM.
func (s Step) Run(o Outside, in io.Reader, out io.Writer) int {
	return guarded(func(log *slog.Logger) int {
		set, err := Settings(s.Settings, true)
		return s.run(set, err, o, in, out, log)
	})
}

// guarded has do answer PAM. Nothing that goes wrong is a reason for Let.
func guarded(do func(*slog.Logger) int) (code int) {
	log := logger.New(syslog.New(), slog.LevelInfo)
	defer func() {
		if r := recover(); r != nil {
			log.Error("gate: a bug, please report it", "error", r)
			code = Refuse
		}
	}()
	if err := hook.NotMixed(); err != nil || os.Geteuid() != 0 {
		log.Error("gate: refused, because it does not run as root alone", "error", err)
		return Refuse
	}
	return do(log)
}

func (s Step) run(set gate.Settings, setErr error, o Outside, in io.Reader, out io.Writer, log *slog.Logger) int {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	e, err := login.ReadAuth(login.Live(), time.Now())
	if err != nil {
		log.Error("gate: refused", "error", err)
		return Refuse
	}
	e.Login.Auth = sshauth.Parse(e.Login.Auth.Info).Cleaned()
	if setErr != nil {
		log.Error("gate: its settings are wrong", "error", setErr)
		if s.What == "ask" {
			fmt.Fprintln(out, "The second step does not work at the moment. Ask the administrator.")
		}
		return Refuse
	}
	g := New(set, o, log)
	// The memory knows them by what they type, as the hook does; all else is the
	// account's.
	typed, judge := e.User, g.Judge
	g.Judge = func(ctx context.Context, e event.Event) (gate.Opinion, error) {
		e.User = typed
		return judge(ctx, e)
	}
	if e.User, err = AccountName(ctx, typed); err != nil {
		log.Error("gate: refused", "user", typed, "error", err)
		return Refuse
	}
	switch s.What {
	case "known":
		if g.Known(ctx, e) {
			return Let
		}
		return Refuse
	case "ask":
		err = g.Ask(ctx, e, out)
	default:
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(in, maxTyped)); err == nil {
			b, _, _ = bytes.Cut(b, []byte{0})
			err = g.Verify(ctx, e, string(b))
		}
	}
	if err == nil {
		return Let
	}
	if refused := (*gate.ErrRefused)(nil); errors.As(err, &refused) && s.What == "ask" {
		fmt.Fprintln(out, refused.Text)
	} else if refused == nil {
		log.Error("gate: refused", "what", s.What, "error", err)
	}
	return Refuse
}

const (
	// timeout is less than LoginGraceTime's two minutes.
	timeout = 100 * time.Second
	// maxTyped is what pam_exec passes on at most.
	maxTyped = 1 << 10
)

// Settings reads a file of the gate's. Without needed, one at its usual place may be
// missing: people are set up before install writes it. Secrets in a file that others
// can read are refused then, and not at a login, which that would be the end of.
func Settings(file string, needed bool) (gate.Settings, error) {
	s := gate.DefaultSettings()
	b, mode, err := strictoml.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && file == SettingsFile && !needed {
		return s, nil
	}
	if err == nil {
		in := &strictoml.File{Name: file}
		if !needed {
			in.Mode = mode
		}
		if err = in.Unmarshal(b, &s); err == nil && mode&0o022 != 0 {
			err = errors.New("others may write in it: chmod go-w it")
		}
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// New puts the gate together.
func New(s gate.Settings, o Outside, log *slog.Logger) *gate.Gate {
	g := &gate.Gate{
		Rules: s.Gate, Vault: gate.NewVault(s.StateDir), RunDir: s.RunDir, Senders: s.Gate.Senders(o.Client), Now: time.Now, Log: log,
	}
	people := sync.OnceValue(func() policy.People {
		if len(s.People) > 0 || o.People == nil {
			return s.People
		}
		return o.People(log)
	})
	g.Contact = func(factor string, e event.Event) string { return gate.Contact(people(), factor, e) }
	queue := spool.Open(spool.For(s.Spool, 0))
	g.Judge = func(ctx context.Context, e event.Event) (gate.Opinion, error) {
		owner, _, err := queue.Owner()
		if err != nil {
			return gate.Opinion{}, err
		}
		return gate.Question(ctx, s.WorkerDir, owner, e)
	}
	g.Tell = func(e event.Event) error {
		data, err := e.Encode()
		if err == nil {
			_, err = queue.Put(e.ID+".json", data)
		}
		return err
	}
	return g
}
