package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/gate"
)

// gateSettings are those that install writes: the defaults, said.
const gateSettings = `# The second step at login; only root reads this. docs/gate.md has every key.
[gate]
# "always", or only where the login is unusual:
when = ["new_network", "new_country", "new_key", "unknown_key", "foreign_key", "tor", "attack", "score"]
# The first that a user has is asked for. "sms" and "voice" need [gate.twilio],
# "slack" needs [gate.slack], "email" needs [gate.mail].
factors = ["totp", "recovery"]
`

// gateTrial is how long the second step stands without anybody having logged in.
const gateTrial = 5 * time.Minute

// gateSettles is how long sshd may take to read its settings.
const gateSettles = time.Second

// gateOptionsOf are what install and uninstall need of the gate.
func gateOptionsOf(a *app, s *setup) (install.GateOptions, *gateOptions, error) {
	g := &gateOptions{app: s.app(a), file: gateFile}
	o := install.GateOptions{
		Binary: s.binary, State: install.GateState, Settings: install.FileText{Path: gateFile, Content: []byte(gateSettings)},
	}
	made, err := g.gate(a.logger())
	if err != nil {
		return o, g, err
	}
	o.Unenrolled = made.Unenrolled == "allow"
	o.Has = func(user string) bool { return made.Enrolled(user) }
	return o, g, nil
}

func (o *installOptions) runGate(ctx context.Context) error {
	s, err := o.find(nil)
	if err != nil {
		return o.hinted(err)
	}
	if s.image() {
		return &usageError{errors.New("--gate changes how people log in to a host that runs: --root takes none")}
	}
	g, own, err := gateOptionsOf(o.app, s)
	if err != nil {
		return err
	}
	p, err := install.PlanGate(ctx, s.host, g)
	if err != nil {
		return o.hinted(err)
	}
	if o.dryRun {
		return o.showPlan(p)
	}
	if p.Empty() {
		o.say("nothing to do: it is set up")
		return o.finish(result{}, nil)
	}
	q := o.prompter()
	if err := o.confirm(ctx, q, p); err != nil {
		return err
	}
	settings := gate.DefaultSettings()
	guard, err := startGuard(own, settings.RunDir, time.Now().Add(gateTrial))
	if err != nil {
		return fmt.Errorf("nothing was changed, because what takes it back could not be started: %w", err)
	}
	doc, err := o.apply(ctx, s, p)
	switch {
	case err != nil:
		guard.keep() // there is nothing to take back
		return o.finish(doc, err)
	case o.noWait:
		o.warn("nobody has tried it: keep a session open", "sudo sshnotify uninstall --system --gate takes it out")
		return o.finish(doc, guard.keep())
	}
	// sshd reads its settings a moment after it is told to. A connection from before has
	// those of before, however long somebody types. Where the hook can't see the
	// connection's process, as in a container with another's /proc, the login counts:
	// nobody could show it there else.
	select {
	case <-ctx.Done():
	case <-time.After(gateSettles):
	}
	start := time.Now()
	boot, unknown := o.session.Started(start)
	o.say("Keep this session open. Log in from another window now; without a login within %v all of it is taken back.", gateTrial)
	wait, cancel := context.WithTimeout(ctx, gateTrial-10*time.Second)
	defer cancel()
	doc.Seen = o.watch(wait, s, start, false, func(l seenLogin) bool {
		return install.GateTries(s.host, l.service, l.user) && (unknown != nil || l.session.PID == 0 || !l.session.Began(boot).Before(start))
	})
	kept := doc.Seen != nil
	if kept && q != nil {
		if kept, err = q.yes(ctx, "Did the login go as it should?", true); err != nil {
			kept = false
		}
	}
	if kept {
		return o.finish(doc, guard.keep())
	}
	_, undoErr := undoGate(context.WithoutCancel(ctx), s.host, g, install.UndoOptions{})
	if undoErr == nil {
		undoErr = guard.keep()
	}
	return o.finish(doc, errors.Join(withHint(errors.New("nobody logged in, or not as they should: it was taken back"), "sudo journalctl -t sshd -t sshnotify says what happened"), undoErr))
}

func undoGate(ctx context.Context, h install.Host, g install.GateOptions, o install.UndoOptions) (install.Report, error) {
	p, err := install.PlanGateUninstall(ctx, h, g, o)
	if err != nil {
		return install.Report{}, err
	}
	return p.Apply(ctx, h)
}

// gateChecks are the second step's, where this looks at the machine itself.
func (x examined) gateChecks() []doctor.Check {
	if x.image() || x.app.uid != 0 {
		return nil
	}
	g, own, err := gateOptionsOf(x.app, x.setup)
	if err != nil {
		g.Has = func(string) bool { return true }
	}
	return append(install.GateChecks(x.host, g), install.CodesCheck(x.host), doctor.Check{Needs: doctor.NeedsHost, Run: func(_ context.Context, r *doctor.Report) {
		if !install.GateInstalled(x.host) {
			return
		}
		if err != nil {
			r.Fail("gate settings", "sudo sshnotify gate list", "%v", err)
			return
		}
		s, err := own.settings()
		if err != nil {
			return // said
		}
		if until := gate.NewVault(s.StateDir).Off(r.Now); !until.IsZero() {
			r.Warn("gate", "sudo sshnotify gate off --for 0s", "nobody is asked until %s UTC", until.UTC().Format("15:04"))
			return
		}
		r.OK("gate settings", "%s", own.file)
		if s.Gate.Twilio == nil && s.Gate.Slack == nil && s.Gate.Mail == nil {
			return
		}
		switch sent, most := gate.NewVault(s.StateDir).SentToday(r.Now), s.Gate.SendsPerDay; {
		case sent >= most:
			r.Fail("gate codes", "sends_per_day in "+own.file, "no more codes go out today: %d did; apps and recovery codes go on", sent)
		case sent > most/2:
			r.Warn("gate codes", "sends_per_day in "+own.file, "%d of %d codes went out today", sent, most)
		default:
			r.OK("gate codes", "%d of %d codes went out today", sent, most)
		}
	}})
}

// guard takes the second step out again, in a process of its own, which a lost
// connection does not end.
type guard struct{ file string }

// guardFile is in the gate's folder of a boot; the guard works as long as it is there.
const guardFile = "trial"

func startGuard(o *gateOptions, runDir string, until time.Time) (guard, error) {
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return guard{}, err
	}
	g := guard{filepath.Join(runDir, guardFile)}
	if err := os.WriteFile(g.file, nil, 0o600); err != nil {
		return guard{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return guard{}, err
	}
	args := []string{exe, "gate", "guard", g.file, strconv.FormatInt(until.Unix(), 10)}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		// A service of its own: what ends with a session may end it, too.
		run := exec.Command("systemd-run", append([]string{"--quiet", "--collect", "--"}, args...)...)
		if run.Run() == nil {
			return g, nil
		}
	}
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return guard{}, err
	}
	return g, c.Process.Release()
}

// keep has the guard go.
func (g guard) keep() error { return os.Remove(g.file) }

func newGateGuardCmd(o *gateOptions) *cobra.Command {
	return &cobra.Command{
		Use: "guard FILE UNTIL", Short: "Take the second step out again, unless somebody keeps it", Hidden: true, Args: cobra.ExactArgs(2),
		Long:    long("guard is what install --gate starts: while FILE is there at UNTIL (seconds since 1970), it takes out what install put in.", exits(exitDone, exitFailed, exitUsage)),
		Example: "  # started by\n  sudo sshnotify install --system --gate",
		RunE: func(c *cobra.Command, args []string) error {
			until, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return &usageError{err}
			}
			for time.Now().Unix() < until {
				if _, err := os.Stat(args[0]); err != nil {
					return nil
				}
				time.Sleep(time.Second)
			}
			ch := newChanger(o.app)
			ch.system = true
			s, err := ch.find(nil)
			if err != nil {
				return err
			}
			g, _, _ := gateOptionsOf(o.app, s) // settings that are wrong let nobody in
			_, err = undoGate(context.WithoutCancel(c.Context()), s.host, g, install.UndoOptions{})
			return errors.Join(err, os.Remove(args[0]))
		},
	}
}

func (o *uninstallOptions) runGate(ctx context.Context) error {
	s, err := o.find(nil)
	if err != nil {
		return o.hinted(err)
	}
	g, _, _ := gateOptionsOf(o.app, s) // settings that are wrong are no reason to stay
	p, err := install.PlanGateUninstall(ctx, s.host, g, install.UndoOptions{Purge: o.purge})
	if err != nil {
		return o.hinted(err)
	}
	if o.dryRun {
		return o.showPlan(p)
	}
	if err := o.confirm(ctx, o.prompter(), p); err != nil {
		return err
	}
	doc, err := o.apply(ctx, s, p)
	if err == nil && p.Empty() {
		o.say("nothing to do: it is not set up")
	}
	return o.finish(doc, err)
}
