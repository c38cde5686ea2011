package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/spool"
)

type alertOptions struct {
	app      *app
	spoolDir string
	severity event.Severity
	title    string
	ip       string
	noWorker bool
}

func newAlertCmd(a *app) *cobra.Command {
	o := alertOptions{app: a, severity: event.Medium}
	c := &cobra.Command{
		Use:   "alert MESSAGE",
		Short: "Queue a message of your own",
		Long: long(`alert puts a message of your own into the spool. It is delivered like a login: it
survives an outage, and goes to every destination whose min_severity it reaches.
If MESSAGE is -, it is read from standard input. alert prints the short form of
the event's id, which sshnotify queue accepts.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify alert --severity high --title "Backup failed" "db1: no space left on /srv"

  # the output of a cron job
  df -h / | sshnotify alert --severity low -`,
		Args: needsOne,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to write to (default: from the settings)")
	f.TextVar(&o.severity, "severity", event.Medium, "low, medium, high or critical")
	f.StringVar(&o.title, "title", "", "the message's `TITLE`")
	f.StringVar(&o.ip, "ip", "", "look up the `ADDRESS` that the message is about")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker: a service delivers")
	return c
}

// maxMessage is how much of a message is read; the event keeps less of it.
const maxMessage = 64 << 10

func (o *alertOptions) run(_ context.Context, message string) error {
	if message == "-" {
		b, err := io.ReadAll(io.LimitReader(o.app.in, maxMessage))
		if err != nil {
			return err
		}
		message = string(b)
	}
	if strings.TrimSpace(message) == "" {
		return &usageError{errors.New("the message is empty")}
	}
	e := event.Event{
		ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Via: event.ViaCLI,
		Alert: &event.Note{Severity: o.severity, Title: o.title, Text: message},
	}
	if o.ip != "" {
		ip, err := address("--ip", o.ip)
		if err != nil {
			return err
		}
		e.Remote.IP = ip
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	e.Host = host
	e.User, _ = login.Live().Account()
	c, err := o.app.settings()
	if err != nil {
		return err
	}
	dir := o.app.spoolDir(o.spoolDir, c)
	if err := o.app.enqueue(dir, e); err != nil {
		return err
	}
	fmt.Fprintln(o.app.out, event.Ref(e.ID))
	if o.noWorker {
		return nil
	}
	return o.app.ensureWorker(dir)
}

// enqueue puts an event into a spool.
func (a *app) enqueue(dir string, e event.Event) error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); a.uid == 0 && errors.Is(err, fs.ErrNotExist) {
		// A hook must keep its event all the same. A person can put it right.
		return fmt.Errorf("%s: %w", dir, spool.ErrMissing)
	}
	s := spool.Open(spool.For(dir, a.uid))
	where, err := s.Put(e.ID+".json", data)
	if err != nil {
		return err
	}
	if where != dir {
		fmt.Fprintf(a.err, "sshnotify: warning: %s can't take events, this one is kept in %s\n", dir, where)
	}
	return nil
}

// ensureWorker starts a worker in the background if none runs.
func (a *app) ensureWorker(dir string) error {
	if spool.Open(spool.For(dir, a.uid)).Busy() {
		return nil
	}
	program, err := hook.Self()
	if err == nil {
		err = hook.StartWorker(program, dir, paths.Absolute(a.configFile), hook.WorkerEnv())
	}
	if err != nil {
		return fmt.Errorf("the message is queued, but no worker could be started: %w", err)
	}
	return nil
}
