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
	host := h.UID == 0
	dir := absolute(o.spoolDir)
	if dir == "" {
		dir = hookPlaces(h, e.Via).SpoolDir()
	}
	s := spool.Open(spoolOptions(dir, h.UID))
	where, err := s.Put(e.ID+".json", data)
	if err != nil {
		say(syslog.Err, "hook: this is not in the spool and will not be sent (%v): %s", err, data)
		return
	}
	if host && where != dir {
		say(syslog.Warning, "hook: %s can't take events, this one is kept in %s", dir, where)
	}
	if o.noWorker || s.Busy() {
		return
	}
	if err := startWorker(s.Dir(), o.configFile, workerEnv(h, e.Via)); err != nil {
		say(syslog.Err, "hook: no worker could be started, the event waits in the spool: %v", err)
	}
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
