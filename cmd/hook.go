package cmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

type hookOptions struct {
	spoolDir   string
	configFile string
	services   []string
	noWorker   bool
}

func (o *hookOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to write to (default: the host's for root, one's own otherwise)")
	f.StringSliceVar(&o.services, "services", []string{"sshd"}, "PAM services to tell of")
	f.BoolVar(&o.noWorker, "no-worker", false, "start no worker: a service delivers")
}

func newHookCmd() *cobra.Command {
	var o hookOptions
	c := &cobra.Command{
		Use:   "hook",
		Short: "Put one login or logout into the spool (run by PAM or a shell)",
		Long: long(`hook reads one login or logout from the environment that pam_exec or a login
shell gives it, writes it to the spool, and returns: it waits for no network,
reads no settings, resolves no name and prints nothing. What goes wrong is said
in the system log. Unless --no-worker is given it starts a worker in the
background if none runs; --config FILE is handed to it.`,
			"EXIT STATUS\n  0   always: a login must not fail because it can't be told"),
		Example: `  # in /etc/pam.d/sshd, before any pam_env line
  session optional pam_exec.so quiet /usr/bin/sshnotify hook --no-worker`,
		Args: cobra.ArbitraryArgs,
		// Main takes the usual way round all this. Where flags of all commands
		// stand before the name, a wrong one is no more an error than after it.
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if wantsHelp(args) {
				return c.Help()
			}
			runHook(args)
			return nil
		},
	}
	o.flags(c.Flags())
	return c
}

// wantsHelp reports whether a person asks what the hook is.
func wantsHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}

// runHook is all of sshnotify that stands on the way of a login. It never
// fails: whatever happens ends in a line in the system log.
func runHook(args []string) {
	// First of all: as long as this process is another user's as well, that user
	// can kill it; and it can't be anything else without some limits.
	raiseLimits()
	foreign, identityErr := becomeEffective()
	// A user's environment may hold GOGC=off or a memory limit of a few bytes,
	// with which the collector would never stop.
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
	quiet()
	log := syslog.New()
	say := func(p syslog.Priority, format string, v ...any) {
		// There is nobody left to tell that the system log can't be told.
		_ = log.Send(p, fmt.Sprintf(format, v...))
	}
	defer func() {
		if r := recover(); r != nil {
			say(syslog.Err, "hook: a bug, please report it: %v", r)
		}
	}()
	if identityErr != nil {
		say(syslog.Warning, "hook: it can't become its effective user entirely: %v", identityErr)
	}
	var o hookOptions
	f := pflag.NewFlagSet("hook", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	o.flags(f)
	f.StringVar(&o.configFile, "config", "", "")
	f.String("log-level", "", "")
	if err := f.Parse(args); err != nil {
		// The login is told all the same, with what was understood so far.
		say(syslog.Err, "hook: the command line in the PAM or shell set-up is wrong: %v", err)
	}
	h := login.Live()
	e, err := login.Read(h, login.Options{Services: o.services, Now: time.Now()})
	if errors.Is(err, login.ErrNothing) {
		return
	}
	if err != nil {
		say(syslog.Warning, "hook: nothing can be told of this login: %v", err)
		return
	}
	data, err := e.Encode()
	if err != nil {
		say(syslog.Err, "hook: %s of %q can't be stored: %v", e.Kind, e.User, err)
		return
	}
	stranger := foreign || viaPAM(e.Via)
	dir := absolute(o.spoolDir)
	if dir == "" {
		dir = hookPlaces(h, stranger).SpoolDir()
	}
	p, err := putInTime(dir, h.UID, e.ID+".json", data)
	if err != nil {
		say(syslog.Err, "hook: this is not in the spool and will not be sent (%v): %s", err, data)
		return
	}
	if p.late {
		// Whoever asked that spool for its worker would wait as well.
		say(syslog.Warning, "hook: %s does not answer (%v), this one is kept in %s", dir, errLate, p.where)
		return
	}
	if h.UID == 0 && p.where != dir {
		say(syslog.Warning, "hook: %s can't take events, this one is kept in %s", dir, p.where)
	}
	now := time.Now()
	silent := p.spool.Silence(now) > spool.SilentAfter
	if o.noWorker && !silent {
		return
	}
	if p.spool.Busy() {
		if silent {
			say(syslog.Err, "hook: the worker of %s has shown no life for %v, and nothing is sent: it may be stopped", dir, p.spool.Silence(now).Round(time.Second))
		}
		return
	}
	if o.noWorker || isApart() { // which a worker refuses
		return
	}
	if err := startWorker(dir, o.configFile, workerEnv(h, stranger)); err != nil {
		say(syslog.Err, "hook: no worker could be started, the event waits in the spool: %v", err)
	}
}

// putPatience is how long a login waits for the spool. A disk that has much to
// do takes some hundred milliseconds.
const putPatience = 3 * time.Second

// errLate means that a spool did not answer in time: its file system is frozen,
// or a server away.
var errLate = fmt.Errorf("it has not answered for %v", putPatience)

// put says where an event is now.
type put struct {
	spool *spool.Spool
	where string
	late  bool // the spool itself did not answer
}

// putInTime puts an event into a spool, or, where that takes too long, into the
// host's overflow. The end of the process then ends the attempt, if that waits
// for a server; if it comes about all the same, the event is there twice, under
// one id, which is told once.
func putInTime(dir string, uid int, name string, data []byte) (put, error) {
	type answer struct {
		put
		err error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- answer{err: fmt.Errorf("a bug, please report it: %v", r)}
			}
		}()
		s := spool.Open(spoolOptions(dir, uid)) // which looks at the folder
		where, err := s.Put(name, data)
		done <- answer{put{spool: s, where: where}, err}
	}()
	select {
	case a := <-done:
		return a.put, a.err
	case <-time.After(putPatience):
	}
	if uid != 0 {
		return put{}, errLate
	}
	s := spool.Open(spool.Options{Dir: dir, UID: uid, Host: true, Overflow: overflow(dir)})
	where, err := s.PutOverflow(name, data)
	if err != nil {
		return put{}, errors.Join(errLate, err)
	}
	return put{s, where, true}, nil
}

// quiet makes sure that nothing, not even the runtime's own complaints, is
// printed into somebody's session.
func quiet() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	for fd := range 3 {
		dup2(int(null.Fd()), fd)
	}
}

// viaPAM says whose word the environment is.
func viaPAM(v event.Via) bool { return v == event.ViaPAM }
