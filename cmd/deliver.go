package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

type deliverOptions struct {
	app      *app
	spoolDir string
	once     bool
	follow   bool
	flush    bool
	syslog   bool
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
		Args: cobra.NoArgs,
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
	c, err := o.app.settings()
	if err != nil {
		if o.syslog { // nobody reads this worker's standard error
			_ = syslog.New().Send(syslog.Err, "deliver: events wait, because the settings are wrong: "+err.Error())
		}
		return err
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
			if awaitFlush(ctx, s); s.Busy() {
				return anyWaiting(s)
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
	err = deliver.Run(ctx, job)
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
	return anyWaiting(job.Spool)
}

const (
	// flushLimit is longer than an attempt takes at a slow destination.
	flushLimit = 45 * time.Second
	flushLook  = 100 * time.Millisecond
)

// awaitFlush waits until a worker has tried all that is in a spool, or has gone.
func awaitFlush(ctx context.Context, s *spool.Spool) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	for s.Busy() && untried(s) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(flushLook):
		}
	}
}

// untried reports whether a request or an event waits in a spool that no worker
// has tried, or failed to try.
func untried(s *spool.Spool) bool {
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
	return false
}

// silentHint is what to do about a worker that holds the lock and does nothing.
func silentHint(spoolDir string) string {
	lock := shellQuoted(filepath.Join(spoolDir, "cur", ".lock"))
	return "see who it is: fuser -v " + lock + "; and let it go on: fuser -k -CONT " + lock + "; or end it: fuser -k " + lock
}

// anyWaiting returns deliver.ErrWaiting if an event is in the spool.
func anyWaiting(s *spool.Spool) error {
	files, err := s.Waiting()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Folder != spool.InFailed && (f.IsEvent() || f.IsWorkers()) {
			return deliver.ErrWaiting
		}
	}
	return nil
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
		log = slog.New(slog.NewTextHandler(syslogLines{sys}, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: noTime}))
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
		Alive:      func(s event.Session) (bool, bool) { return login.Alive("/", s) },
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
		set, err := workerSettings(c, stateDir, db)
		if err == nil && c.History.Enabled {
			set.Memory = &memory{history.New(db, c.History.Options(c.Zone()))}
		}
		return set, err
	}
	switch {
	case o.once:
		j.Mode = deliver.Once
	case o.follow:
		j.Mode = deliver.Follow
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

// syslogLines sends each line to the system log.
type syslogLines struct{ w *syslog.Writer }

var _ io.Writer = syslogLines{}

func (s syslogLines) Write(b []byte) (int, error) {
	return len(b), s.w.Send(syslog.Warning, string(bytes.TrimSpace(b)))
}

// noTime leaves out what the system log adds itself.
func noTime(groups []string, at slog.Attr) slog.Attr {
	if len(groups) == 0 && at.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return at
}
