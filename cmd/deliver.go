package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/release"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/syslog"
	"github.com/sshnotify/sshnotify/internal/syslog/logger"
)

type deliverOptions struct {
	app      *app
	spoolDir string
	once     bool
	follow   bool
	flush    bool
	syslog   bool
	hub      bool // insist on being one

	judging atomic.Pointer[judging] // by the settings of now
	metrics *figures.Listener       // of a worker that stays
}

func newDeliverCmd(a *app) *cobra.Command {
	o := deliverOptions{app: a}
	c := &cobra.Command{
		Use:   "deliver",
		Short: "Deliver the events that wait in the spool",
		Long: long(`deliver looks up and sends the events that wait in the spool, and runs until all
of them are delivered, waiting between retries. With --once it makes one attempt
at everything that is due. With --follow it keeps running, for a service manager:
SIGHUP reloads the settings, SIGTERM stops it after the current message. A spool
has one worker at a time. With --flush nothing is held back: repeats don't wait
for their window, nor usual logins for the daily digest. If a worker is already
running, it is asked to do so, and deliver waits for it.`,
			`deliver refuses to run as one user on behalf of another (real and effective uid
or gid differ), and with a state folder that belongs to another user or that
others can write to: exit status 1.`,
			exits(exitDone, exitFailed, exitUsage, exitAgain, exitSettings)),
		Example: `  # send what waits, now, from a timer or by hand
  sshnotify deliver --once

  # what sshnotify.service runs
  sshnotify deliver --follow --config /etc/sshnotify/config.toml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to work on (default: from the settings)")
	f.BoolVar(&o.once, "once", false, "make one attempt at everything that is due, then exit")
	f.BoolVar(&o.follow, "follow", false, "keep running, for a service manager")
	f.BoolVar(&o.flush, "flush", false, "don't hold repeats and usual logins back")
	f.BoolVar(&o.syslog, "syslog", false, "log to the system log, not to standard error")
	return c
}

// gcPercent keeps a worker small: it stays for months beside what the server
// is there for, and collecting a few megabytes more often costs it nothing.
const gcPercent = 25

func (o *deliverOptions) run(ctx context.Context) error {
	if o.once && o.follow {
		return &usageError{errors.New("--once and --follow are mutually exclusive")}
	}
	debug.SetGCPercent(gcPercent)
	var broker fleet.Broker
	c, err := o.app.settings()
	if err == nil {
		broker, err = o.app.brokerOf(c.Hub)
	}
	if err != nil {
		if o.syslog { // nobody reads this worker's standard error
			_ = syslog.New().Send(syslog.Err, "deliver: events wait, because the settings are wrong: "+err.Error())
		}
		return err
	}
	if o.hub && !c.Hub.Hub() {
		return withHint(&settingsError{errors.New("this is no hub: the settings have neither listen nor nats in [hub]")}, `put into the settings: [hub], and under it listen = "0.0.0.0:8443"`)
	}
	if o.flush && o.follow {
		return &usageError{errors.New("--flush and --follow are mutually exclusive")}
	}
	if o.flush {
		// Before this process becomes the service, which may ask nothing of itself.
		if s := spool.Open(spool.For(o.app.spoolDir(o.spoolDir, c), o.app.uid)); s.Busy() {
			if err := deliver.Ask(s, deliver.Request{Op: deliver.OpFlush}); err != nil {
				return err
			}
			if o.awaitFlush(ctx, s, c); s.Busy() {
				return o.anyWaiting(ctx, s, c)
			}
		}
	}
	job, err := o.job(c)
	if err != nil {
		if o.syslog {
			_ = syslog.New().Send(syslog.Err, "deliver: events wait: "+err.Error())
		}
		return err
	}
	if o.follow {
		stop, err := o.answerGate(ctx, job.Log, job.StateDir)
		if err != nil {
			job.Log.Warn("the second step can't ask whether a login is usual", "error", err)
		} else {
			defer stop()
		}
	}
	switch {
	case o.follow && c.Hub.Standby:
		standBy(ctx, c, job)
	case !c.Hub.Hub() && !c.Hub.Standby:
		job.Figures.NoHub()
	}
	run := func() error { return deliver.Run(ctx, job) }
	if o.follow && c.Hub.Hub() {
		run = func() error { return runHub(ctx, c, job, broker, o.app.settings) }
	} else if c.Hub.Hub() {
		job.Inbox = hub.NewInbox(job.Store)
	}
	err = run()
	if o.metrics != nil {
		o.metrics.Close()
	}
	if !errors.Is(err, spool.ErrLocked) {
		return err
	}
	if silence := job.Spool.Silence(time.Now()); silence > spool.SilentAfter {
		return withHint(fmt.Errorf("another worker has the queue of %s, and has shown no life for %v: it may be stopped", job.Spool.Dir(), silence.Round(time.Second)),
			silentHint(job.Spool.Dir()))
	}
	job.Log.Info("another worker is already running")
	if !o.once {
		return nil
	}
	return o.anyWaiting(ctx, job.Spool, c)
}

const (
	// flushLimit is longer than an attempt takes at a slow destination.
	flushLimit = 45 * time.Second
	flushLook  = 100 * time.Millisecond
)

// awaitFlush waits until a worker has tried all that waits, or has gone.
func (o *deliverOptions) awaitFlush(ctx context.Context, s *spool.Spool, c config.Config) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	for s.Busy() && o.untried(ctx, s, c) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(flushLook):
		}
	}
}

// untried reports whether a request or an event waits that no worker has tried, or
// failed to try.
func (o *deliverOptions) untried(ctx context.Context, s *spool.Spool, c config.Config) bool {
	files, err := s.Waiting()
	if err != nil {
		return false
	}
	for _, f := range files {
		switch {
		case f.Folder == spool.InFailed:
		case f.IsWorkers() && !strings.HasPrefix(f.Name, "msg-"):
			return true
		case f.IsEvent():
			b, err := s.Peek(f)
			if err != nil {
				continue
			}
			if r, err := deliver.DecodeRecord(b); err == nil && !r.Tried() {
				return true
			}
		}
	}
	handed, _ := o.app.handedOver(ctx, c)
	for _, data := range handed {
		if r, err := deliver.DecodeRecord(data); err == nil && !r.Tried() {
			return true
		}
	}
	return false
}

// silentHint is what to do about a worker that holds the lock and does nothing.
func silentHint(spoolDir string) string {
	lock := shellQuoted(filepath.Join(spoolDir, "cur", ".lock"))
	return "see who it is: fuser -v " + lock + "; and let it go on: fuser -k -CONT " + lock + "; or end it: fuser -k " + lock
}

// anyWaiting returns deliver.ErrWaiting if an event waits.
func (o *deliverOptions) anyWaiting(ctx context.Context, s *spool.Spool, c config.Config) error {
	files, err := s.Waiting()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Folder != spool.InFailed && (f.IsEvent() || f.IsWorkers()) {
			return deliver.ErrWaiting
		}
	}
	handed, err := o.app.handedOver(ctx, c)
	if err == nil && len(handed) > 0 {
		err = deliver.ErrWaiting
	}
	return err
}

// job puts together a worker for the settings c, and becomes the user that
// works the spool.
func (o *deliverOptions) job(c config.Config) (deliver.Job, error) {
	a := o.app
	dir, stateDir := a.spoolDir(o.spoolDir, c), a.stateDir(c)
	if err := a.becomeOwner(dir, stateDir); err != nil {
		return deliver.Job{}, err
	}
	if err := ownState(stateDir); err != nil {
		return deliver.Job{}, err
	}
	s := spool.Open(spool.For(dir, a.uid))
	sys := syslog.New()
	log := a.logger()
	if o.syslog {
		log = logger.New(sys, slog.LevelWarn)
	}
	db, err := store.Open(databaseFile(stateDir), store.Options{})
	if err != nil {
		return deliver.Job{}, err
	}
	name, _ := os.Hostname() // without one, a note of our own names no host
	j := deliver.Job{
		Spool: s, Flush: o.flush, Store: db, StateDir: stateDir, Hostname: name, Log: log,
		Alarm: func(text string) {
			if err := sys.Send(syslog.Warning, text); err != nil && !o.syslog {
				log.Warn(text)
			}
		},
		NewWatcher: deliver.Watch,
		Alive:      alive,
		Figures:    figures.NewRecorder(stateDir, watchDir(c, stateDir), release.Version()),
	}
	first := true
	j.Load = func() (deliver.Settings, error) {
		if !first {
			fresh, err := a.settings()
			if err != nil {
				return deliver.Settings{}, err
			}
			c = fresh
		}
		first = false
		now, before, err := asBefore(db, c, true)
		if err != nil {
			log.Warn(unknownBefore, "error", err)
		}
		c = now
		for _, text := range a.unworded(c) {
			log.Warn(text)
		}
		set, err := workerSettings(c, stateDir, db)
		if before && c.Notify == policy.NotifyAll {
			set.Offer = cmp.Or(c.SaidIn["notify"], a.settingsPlace(c))
		}
		if err == nil && c.History.Enabled {
			known := history.New(db, c.History.Options(c.Zone()))
			set.Memory = &memory{known}
			set.Report = sentReport(c, stateDir)
			set.Answered = func(id string) (bool, error) {
				all, err := known.Acknowledgements(context.Background(), id)
				if errors.Is(err, history.ErrNoLogin) {
					return true, nil // it was forgotten: there is nothing to acknowledge
				}
				return slices.ContainsFunc(all, func(a history.Acknowledgement) bool { return a.Undone.IsZero() }), err
			}
		}
		if err == nil && c.History.Enabled && o.follow {
			err = takeAnswers(c, &set, db, stateDir, name, log, j.Alarm)
		}
		if err == nil && c.Hub.Host() && o.follow {
			host := func() string { return cmp.Or(c.Host, name) }
			set.AddBeside(func(ctx context.Context, tell deliver.Tell) {
				asked.Codes{Dir: stateDir, DB: db, Host: login.Live(), Log: log, Take: asked.ForHub(host, tell, log)}.Serve(ctx)
			})
		}
		if err == nil && c.Hub.Host() {
			set.HandingOver, err = a.handingOver(c, stateDir, db)
			if o.follow {
				set.AddBeside(a.carryOrders(c, dir, stateDir, db, log))
			}
		}
		if err == nil {
			o.judging.Store(&judging{set, db})
			if o.metrics != nil {
				if err := o.metrics.Listen(c.Metrics.Listen); err != nil {
					j.Alarm(fmt.Sprintf("the figures can't be served at %s: %v", c.Metrics.Listen, err))
				}
			}
		}
		return set, err
	}
	switch {
	case o.once:
		j.Mode = deliver.Once
	case o.follow:
		j.Mode = deliver.Follow
		o.metrics = figures.NewListener(j.Figures, log)
		j.Reload = hangups()
		j.Ready = func() { notify(log, daemon.SdNotifyReady) }
		j.Status = func(s deliver.Status) {
			if s == deliver.Reloading {
				notify(log, daemon.SdNotifyReloading+"\nMONOTONIC_USEC="+monotonicUsec())
			} else {
				notify(log, daemon.SdNotifyReady)
			}
		}
	}
	return j, nil
}

// alive reports whether a session of this host lives. Of another's nobody here can see
// it; a boot id has no colon but where a hub put the host's name before it.
func alive(s event.Session) (alive, sure bool) {
	if strings.Contains(s.Boot, ":") {
		return true, false
	}
	return login.Alive("/", s)
}

// ownState makes sure that the worker's state folder is its own: what is read
// there decides what is told, and what is written there is partly a stranger's
// text. A folder that can't be made is no reason not to deliver.
func ownState(dir string) error {
	f, err := state.MakeFolder(dir)
	if err == nil {
		defer f.Close()
		if !f.IsOurs() {
			err = &fs.PathError{Op: "open", Path: dir, Err: state.ErrExposed}
		}
	}
	if !errors.Is(err, state.ErrExposed) {
		return nil
	}
	return withHint(fmt.Errorf("the state folder is not used: %w", err),
		fmt.Sprintf("ls -ld %s, which uid %d should own, and: chmod go-w %[1]s", shellQuoted(dir), os.Geteuid()))
}

// hangups returns a value for each SIGHUP, for as long as the process lives.
func hangups() <-chan struct{} {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGHUP)
	out := make(chan struct{}, 1)
	go func() {
		for range sig {
			select {
			case out <- struct{}{}:
			default: // a reload is on its way already
			}
		}
	}()
	return out
}

// notify tells systemd how the service is, if it is one (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd can't be notified", "error", err)
	}
}

// monotonicUsec is CLOCK_MONOTONIC in microseconds, which systemd wants with
// RELOADING=1 (sd_notify(3)).
func monotonicUsec() string {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return "0"
	}
	return strconv.FormatInt(time.Duration(ts.Nano()).Microseconds(), 10)
}
