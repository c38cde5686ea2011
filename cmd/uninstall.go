package cmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/event"
)

type uninstallOptions struct {
	changer
	setter
	app *app
	ask func() *asker
	// deliver makes one attempt at what waits in a set-up's spool.
	deliver func(ctx context.Context, s *setup) error

	root  string
	purge bool
}

func newUninstallCmd(a *app) *cobra.Command {
	o := uninstallOptions{changer: changer{app: a}, setter: newSetter(a), app: a, ask: a.terminal}
	o.deliver = o.deliverOnce
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take out what install put in",
		Long: long(`uninstall takes out of the account, or with --system out of the host, just what
install put in. What its owner has changed since stays, and so do settings,
history and the queue, unless --purge is given. Events that wait are delivered
first, as far as they can be; those that can't are named before --purge throws
them away, which it does after a question, or with --yes.`,
			exits(exitDone, exitFailed, exitUsage)),
		Example: `  sshnotify uninstall --dry-run
  sshnotify uninstall --purge
  sudo sshnotify uninstall --system`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("root") && o.root == "" {
				return &usageError{fmt.Errorf("%s: --root is empty", c.CommandPath())}
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.system, "system", false, "take it out of the whole host")
	f.StringVar(&o.root, "root", "", "work on the image of a host in `DIR`; none of its commands is run")
	f.BoolVar(&o.purge, "purge", false, "take out settings, history and the queue too")
	f.BoolVar(&o.dryRun, "dry-run", false, "show every change as a unified diff, and change nothing")
	f.BoolVar(&o.json, "json", false, "print a JSON object with what was changed")
	f.BoolVar(&o.yes, "yes", false, "ask nothing")
	return c
}

func (o *uninstallOptions) run(ctx context.Context) error {
	s, err := o.find()
	if err != nil {
		return o.hinted(err)
	}
	// What is in the way is said before anything is sent.
	p, err := o.plan(ctx, s, true)
	if err != nil {
		return o.hinted(err)
	}
	if o.dryRun {
		return o.showPlan(p)
	}
	var q *asker
	if !o.yes && !o.json {
		q = o.ask()
	}
	if q != nil && !p.Empty() {
		for _, c := range p.Changes {
			fmt.Fprintln(q.out, " ", c)
		}
		if yes, err := q.yes(ctx, "Make these changes?", false); err != nil || !yes {
			return cmp.Or(err, error(&silentError{exitFailed}))
		}
	}
	o.sendWaiting(ctx, s)
	p, lost, err := o.mindQueue(ctx, s, q)
	if err != nil {
		return o.hinted(err)
	}
	r, err := p.Apply(ctx, s.host)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted, what was changed was taken back")
	}
	if o.json {
		doc := newResult(r)
		doc.Queued = lost
		if err != nil {
			doc.Error = err.Error()
		}
		return errors.Join(o.hinted(err), o.document(doc))
	}
	o.showReport(r, err)
	if err == nil && p.Empty() {
		o.say("nothing to do: it is not set up")
	}
	return o.hinted(err)
}

func (o *uninstallOptions) find() (*setup, error) {
	if o.system {
		return o.hostSetup(o.root)
	}
	return o.accountSetup(o.root, nil)
}

func (o *uninstallOptions) plan(ctx context.Context, s *setup, dropQueue bool) (install.Plan, error) {
	u := install.UndoOptions{Purge: o.purge, DropQueue: dropQueue}
	if o.system {
		return install.PlanSystemUninstall(ctx, s.host, s.places(), u)
	}
	return install.PlanUserUninstall(ctx, s.host, s.userOptions(), u)
}

// waiting is an event that is in the queue still.
type waiting struct {
	ID    string `json:"id"`
	What  string `json:"what"`
	State string `json:"state"`
}

// queued names what is in a set-up's spool.
func (o *uninstallOptions) queued(s *setup) []waiting {
	queue := queueOptions{app: s.app(o.app), spoolDir: s.onDisk(s.spool)}
	_, _, all, _ := queue.open() // it comes with all that can be read
	var out []waiting
	for _, e := range all {
		out = append(out, waiting{e.ID, e.what(), e.state()})
	}
	return out
}

// sendWaiting has the worker deliver what can be delivered now.
func (o *uninstallOptions) sendWaiting(ctx context.Context, s *setup) {
	if s.image() || s.broken != nil || !s.there {
		return
	}
	n := 0
	for _, w := range o.queued(s) {
		if w.State != "dead letter" {
			n++
		}
	}
	if n == 0 {
		return
	}
	o.say("what waits is sent first: %d", n)
	if err := o.deliver(ctx, s); err != nil {
		o.warn(fmt.Sprintf("not all could be sent: %v", err))
	}
}

// deliverLimit is longer than one attempt at a destination takes, with the
// look-ups before it.
const deliverLimit = time.Minute

// deliverOnce runs a worker of its own: as root it becomes the service's user,
// which this process must not.
func (o *uninstallOptions) deliverOnce(ctx context.Context, s *setup) error {
	exe, err := o.exe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	c := exec.CommandContext(ctx, exe, "deliver", "--once", "--config", s.config, "--spool", s.spool, "--log-level", "error")
	var said bytes.Buffer
	c.Stderr = &said
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitAgain {
		return errors.New("some wait for a later attempt")
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(said.String(), "sshnotify: error: "), "\n"); err != nil && first != "" {
		return errors.New(first)
	}
	return err
}

// mindQueue plans anew, and sees to it that nobody's events go unseen: what
// waits still is named, and goes only after a yes.
func (o *uninstallOptions) mindQueue(ctx context.Context, s *setup, q *asker) (install.Plan, []waiting, error) {
	p, err := o.plan(ctx, s, false)
	var queued *install.QueuedError
	if !errors.As(err, &queued) {
		return p, nil, err
	}
	lost := o.queued(s)
	if !o.json {
		fmt.Fprintf(o.app.err, "sshnotify: warning: %v:\n", queued)
		for _, w := range lost {
			fmt.Fprintf(o.app.err, "  %s  %s: %s\n", event.Ref(w.ID), w.What, w.State)
		}
	}
	drop := o.yes
	if q != nil {
		if drop, err = q.yes(ctx, "Throw them away?", false); err != nil {
			return p, nil, err
		}
	}
	if !drop {
		return p, nil, withHint(fmt.Errorf("nothing was changed: %w", queued),
			"send them: "+shellLine("sshnotify", "deliver", "--config", s.config, "--spool", s.spool), "throw them away: the same command with --yes", "or keep them: leave --purge out")
	}
	p, err = o.plan(ctx, s, true)
	return p, lost, err
}
