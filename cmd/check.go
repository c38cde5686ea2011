package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/release"
	"github.com/sshnotify/sshnotify/internal/spool"
)

type checkOptions struct {
	app     *app
	state   string
	warn    []string
	crit    []string
	timeout int
	verbose int
	version bool
}

// pluginName is the command whose exit codes are those of monitoring plugins.
const pluginName = "check"

func newCheckCmd(a *app) *cobra.Command {
	o := checkOptions{app: a}
	c := &cobra.Command{
		Use:   pluginName,
		Short: "Check sshnotify, as a plugin of Nagios and Icinga",
		Long: long(`check prints a line on how sshnotify itself stands, with performance data, and
exits as plugins of Nagios and Icinga do: what waits and since when, dead letters,
destinations that are out of order, whether the worker and the watcher live, the
logins and attackers of the last hour.`,
			`It may run as any user, such as nagios, also by NRPE: it reads the figures that
the worker writes for everybody, without names of people and addresses. Whoever
runs sshnotify for an account of his own gets that account's.`,
			`-w and -c take ranges of the Monitoring Plugins, of what waits, or of a figure
that is named: waiting, retry (what a destination has not taken), oldest (how long
such an event has waited, in seconds), dead, logins and attackers (of the last
hour), silence (of a source of the watcher, in seconds). At a hub: hosts, silent
and gaps (of them), inbox (what its worker has not claimed, as of the last two
minutes), inbox_oldest (in seconds), copy (how old it is, in seconds, where the hub stands by). On a host that
hands over: hub (how long ago it answered, in seconds).`,
			`EXIT STATUS
  0   OK
  1   WARNING
  2   CRITICAL
  3   UNKNOWN: wrong usage, help, or nothing to read`),
		Example: `  sshnotify check
  sshnotify check -w 50,oldest=300 -c 500,oldest=1800 -c dead=10`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringArrayVarP(&o.warn, "warning", "w", nil, "`RANGES` outside of which it is WARNING (default 100,oldest=600,dead=0,silence=86400)")
	f.StringArrayVarP(&o.crit, "critical", "c", nil, "`RANGES` outside of which it is CRITICAL (default 1000,oldest=3600)")
	f.IntVarP(&o.timeout, "timeout", "t", 10, "`SECONDS` after which it gives up")
	f.CountVarP(&o.verbose, "verbose", "v", "say all, however long the line gets")
	f.BoolVarP(&o.version, "version", "V", false, "print the version")
	f.StringVar(&o.state, "state", "", "state folder `DIR` to look at (default: from the settings, else the account's own, else the host's)")
	return c
}

// checked is the outcome of check: all else that its command ends with is
// UNKNOWN.
type checked struct{ verdict *figures.Verdict }

func (e *checked) Error() string { return e.verdict.String() }

func (o *checkOptions) run(ctx context.Context) error {
	if o.version {
		fmt.Fprintf(o.app.out, "sshnotify %s\n", release.Version())
		return &silentError{int(figures.Unknown)}
	}
	t := figures.DefaultThresholds()
	for _, flag := range []struct {
		name   string
		values []string
		crit   bool
	}{{"warning", o.warn, false}, {"critical", o.crit, true}} {
		for _, v := range flag.values {
			if err := t.Set(v, flag.crit); err != nil {
				return &usageError{fmt.Errorf("--%s: %w", flag.name, err)}
			}
		}
	}
	if o.timeout <= 0 {
		return &usageError{errors.New("--timeout: must be a number of seconds, not " + strconv.Itoa(o.timeout))}
	}
	done := make(chan *figures.Verdict, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- figures.Undecided(fmt.Sprintf("a fault of the program: %v", p))
			}
		}()
		done <- o.judge(t, time.Now())
	}()
	select {
	case v := <-done:
		return &checked{v}
	case <-ctx.Done():
		return &checked{figures.Undecided("interrupted")}
	case <-time.After(time.Duration(o.timeout) * time.Second):
		return &checked{figures.Undecided(fmt.Sprintf("no answer within %d s", o.timeout))}
	}
}

// judge reads what there is to read, and judges it.
func (o *checkOptions) judge(t figures.Thresholds, now time.Time) *figures.Verdict {
	stateDir, spoolDir, watched, err := o.places()
	if err != nil {
		return figures.Undecided(err.Error())
	}
	f, err := figures.Read(stateDir)
	var s *spool.Spool
	live, unread := f.Queue, error(fs.ErrPermission)
	if spoolDir != "" {
		s = spool.Open(spool.For(spoolDir, o.app.uid))
		live, unread = liveQueue(s, f.Queue, now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && unread == nil && live.Waiting+live.Dead > 0: // no worker has run yet
	case errors.Is(err, fs.ErrNotExist):
		return figures.Undecided("no figures in " + stateDir + ": no worker has run yet, or an older sshnotify")
	case errors.Is(err, fs.ErrPermission):
		return figures.Undecided(stateDir + " is closed to this user: sudo sshnotify install --system opens it, or sudo chmod 0711 " + stateDir)
	case err != nil:
		return figures.Undecided(err.Error())
	}
	if unread == nil {
		f.Queue = live
		f.Stopped = !s.Busy()
	}
	var watch *figures.Watch
	if w, err := figures.ReadWatch(watched); err == nil {
		watch = &w
	}
	return figures.Judge(f, watch, t, now, o.verbose > 0)
}

// places returns the state folders of the worker and of the watcher, and the
// spool: those of the settings that this user may read, else his own, if there is
// something, else the host's. An empty spool is not to be looked at.
func (o *checkOptions) places() (stateDir, spoolDir, watched string, err error) {
	a, c, host := o.app, config.Default(), paths.User{}
	if o.state != "" {
		dir := paths.Absolute(o.state)
		return dir, "", watchDir(c, dir), nil
	}
	if c, err = a.settingsWithoutSecrets(); err != nil {
		closed := errors.Is(err, fs.ErrPermission) && (a.configFile == "" || paths.Absolute(a.configFile) == host.ConfigFile())
		if !closed {
			return "", "", "", err
		}
		c = config.Default()
	}
	stateDir, spoolDir = a.stateDir(c), a.spoolDir("", c)
	if a.uid != 0 && c.StateDir == "" && a.configFile == "" {
		if _, err := os.Stat(spoolDir); err != nil {
			stateDir, spoolDir = host.StateDir(), host.SpoolDir()
		}
	}
	return stateDir, spoolDir, watchDir(c, stateDir), nil
}

// liveQueue returns what waits as it is now, and not when the worker last wrote
// it down; an error where this user may not look.
func liveQueue(s *spool.Spool, last figures.Queue, now time.Time) (figures.Queue, error) {
	files, err := s.Waiting()
	if err != nil {
		return last, err
	}
	busy := s.Busy()
	q := figures.Queue{Retry: last.Retry, Oldest: last.Oldest}
	for _, f := range files {
		switch {
		case !f.IsEvent():
		case f.Folder == spool.InFailed:
			q.Dead++
		default:
			q.Waiting++
			// What nobody has taken yet waits for a worker, which has it within
			// a moment.
			if (f.Folder != spool.InCur || !busy) && (q.Oldest.IsZero() || f.Time.Before(q.Oldest)) {
				q.Oldest = f.Time
			}
		}
	}
	if q.Waiting == 0 {
		q.Retry, q.Oldest = 0, time.Time{}
	}
	q.Retry = min(q.Retry, q.Waiting)
	return q, nil
}

// pluginExit ends a command that is a monitoring plugin: whatever was wrong with
// how it was called is UNKNOWN, on standard output, which is all that is shown.
func (a *app) pluginExit(err error) int {
	var (
		v      *checked
		silent *silentError
	)
	switch {
	case errors.As(err, &v):
	case err == nil: // the help
		return int(figures.Unknown)
	case errors.As(err, &silent):
		return silent.code
	default:
		v = &checked{figures.Undecided(err.Error())}
	}
	fmt.Fprintln(a.out, v.verdict)
	return int(v.verdict.Status)
}
