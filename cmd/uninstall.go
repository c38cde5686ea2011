package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
)

type uninstallOptions struct {
	changer
	// deliver makes one attempt at what waits in a set-up's spool.
	deliver func(ctx context.Context, s *setup) error
	purge   bool
	gate    bool
}

func newUninstallCmd(a *app) *cobra.Command {
	o := uninstallOptions{changer: newChanger(a)}
	o.deliver = o.deliverOnce
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Undo install",
		Long: long(`uninstall removes from the account, or with --system from the host, just what
install put in. What you have changed since is kept, and so are settings, history
and queue unless --purge is given. Pending events are delivered first, including
those held for their repeat window or the daily digest. Those that can't be
delivered are listed with the reason: without --purge they are kept, and the exit
status is 75; --purge discards them after asking, or with --yes. Without a
terminal to ask on, it changes nothing, and the exit status is 1.`,
			exits(exitDone, exitFailed, exitUsage, exitAgain)),
		Example: `  sshnotify uninstall --dry-run
  sshnotify uninstall --purge
  sudo sshnotify uninstall --system`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("root") && o.root == "" {
				return &usageError{errors.New("--root is empty")}
			}
			if o.gate && !o.system {
				return &usageError{errors.New("--gate needs --system")}
			}
			if o.gate {
				return o.runGate(c.Context())
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	o.addFlags(f, "remove it from the whole host")
	f.BoolVar(&o.purge, "purge", false, "remove settings, history and queue too")
	f.BoolVar(&o.gate, "gate", false, "with --system: take the second step out, and nothing else")
	return c
}

func (o *uninstallOptions) run(ctx context.Context) error {
	s, err := o.find(nil)
	if err != nil {
		return o.hinted(err)
	}
	// What is in the way is said before anything is sent.
	p, err := o.plan(ctx, s, true)
	if err != nil {
		return o.hinted(err)
	}
	first, err := o.gatePlan(ctx, s)
	if err != nil {
		return o.hinted(err)
	}
	whole := install.Plan{Changes: slices.Concat(first.Changes, p.Changes), Notes: slices.Concat(first.Notes, p.Notes)}
	if o.dryRun {
		return o.showPlan(whole)
	}
	q := o.prompter()
	if err := o.confirm(ctx, q, whole); err != nil {
		return err
	}
	step, err := o.apply(ctx, s, first)
	if err != nil {
		return o.finish(step, err)
	}
	o.sendWaiting(ctx, s)
	left := o.nameLeft(s)
	p, lost, err := o.mindQueue(ctx, s, q)
	if err != nil {
		return o.hinted(err)
	}
	doc, err := o.apply(ctx, s, p)
	doc.Done, doc.Notes = slices.Concat(step.Done, doc.Done), slices.Concat(step.Notes, doc.Notes)
	if doc.Queued = lost; !o.purge {
		doc.Queued = left
	}
	switch {
	case err != nil:
	case anyLeft(left) && o.json:
		err = &silentError{exitAgain}
	case anyLeft(left):
		err = withHint(fmt.Errorf("%s: %w", s.spool, deliver.ErrWaiting),
			"send them: "+shellLine("sshnotify", "deliver", "--flush", "--config", s.config, "--spool", s.spool),
			"throw them away: "+shellLine("rm", "-r", "--", s.spool))
	case whole.Empty() && !o.json:
		o.say("nothing to do: it is not set up")
	}
	return o.finish(doc, err)
}

// gatePlan takes the second step out, before the program that it runs may go: PAM
// would let nobody in. Settings that are wrong are no reason to stay.
func (o *uninstallOptions) gatePlan(ctx context.Context, s *setup) (install.Plan, error) {
	if !o.system || !install.GateInstalled(s.host) {
		return install.Plan{}, nil
	}
	g, _, _ := gateOptionsOf(o.app, s)
	return install.PlanGateUninstall(ctx, s.host, g, install.UndoOptions{Purge: o.purge})
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
	Ref   string `json:"ref"`
	What  string `json:"what"`
	State string `json:"state"`
	dead  bool
}

// queued names what is in a set-up's spool.
func (o *uninstallOptions) queued(s *setup) []waiting {
	queue := queueOptions{app: s.app(o.app), spoolDir: s.onDisk(s.spool)}
	_, _, all, _ := queue.open() // it comes with all that can be read
	var out []waiting
	for _, e := range all {
		if e.File == "" { // what is no event is nobody's loss
			out = append(out, waiting{e.ID, e.Ref, e.what(), e.state(), e.Folder == spool.InFailed})
		}
	}
	return out
}

// sendWaiting has the worker deliver what can be delivered now.
func (o *uninstallOptions) sendWaiting(ctx context.Context, s *setup) {
	if s.image() || !s.there {
		return
	}
	n := 0
	for _, w := range o.queued(s) {
		if !w.dead {
			n++
		}
	}
	switch {
	case s.broken != nil && n > 0:
		o.warn(fmt.Sprintf("what waits can't be sent, because the settings are wrong: %v", s.broken))
		return
	case s.broken != nil:
		return
	case n > 0:
		o.say("what waits is sent first: %d", n)
	case s.settings.Notify == policy.NotifyAll:
		return // there is no digest to come
	}
	if err := o.deliver(ctx, s); err != nil {
		o.warn(fmt.Sprintf("not all could be sent: %v", err))
	}
}

// nameLeft names what could not be sent, where it stays in the queue.
func (o *uninstallOptions) nameLeft(s *setup) []waiting {
	if o.purge {
		return nil // named with the question
	}
	left := o.queued(s)
	if len(left) > 0 && !o.json {
		fmt.Fprintf(o.app.err, "sshnotify: warning: %s keeps what could not be sent:\n", s.spool)
		o.name(left)
	}
	return left
}

// maxNamed is how many events are named.
const maxNamed = 100

func (o *uninstallOptions) name(all []waiting) {
	for _, w := range all[:min(len(all), maxNamed)] {
		fmt.Fprintf(o.app.err, "  %s  %s: %s\n", w.Ref, w.What, w.State)
	}
	if more := len(all) - maxNamed; more > 0 {
		fmt.Fprintf(o.app.err, "  and %d more: sshnotify queue\n", more)
	}
}

// anyLeft reports whether somebody waits to be told; a dead letter was given up
// before.
func anyLeft(all []waiting) bool {
	return slices.ContainsFunc(all, func(w waiting) bool { return !w.dead })
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
	c := exec.CommandContext(ctx, exe, "deliver", "--once", "--flush", "--config", s.config, "--spool", s.spool, "--log-level", "error")
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
func (o *uninstallOptions) mindQueue(ctx context.Context, s *setup, q *prompter) (install.Plan, []waiting, error) {
	p, err := o.plan(ctx, s, false)
	var queued *install.QueuedError
	if !errors.As(err, &queued) {
		return p, nil, err
	}
	lost := o.queued(s)
	if !o.json {
		fmt.Fprintf(o.app.err, "sshnotify: warning: %v:\n", queued)
		o.name(lost)
	}
	drop := o.yes
	if q != nil {
		if drop, err = q.yes(ctx, "Throw them away?", false); err != nil {
			return p, nil, err
		}
	}
	if !drop {
		return p, nil, withHint(fmt.Errorf("nothing was changed: %w", queued),
			"send them: "+shellLine("sshnotify", "deliver", "--flush", "--config", s.config, "--spool", s.spool), "throw them away: the same command with --yes", "or keep them: leave --purge out")
	}
	p, err = o.plan(ctx, s, true)
	return p, lost, err
}
