package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
)

type doctorOptions struct {
	setter
	app *app
	now func() time.Time

	whole  bool // --system
	shells []string
	online bool
	json   bool
}

func newDoctorCmd(a *app) *cobra.Command {
	o := doctorOptions{setter: newSetter(a), app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Is it set up so that it works?",
		Long: long(`doctor checks all that could keep logins from being told: the hook and its
place, the program, settings and secrets, the spool and what waits in it, the
worker or the service, destinations and providers, disk, clock and host name. A
line a check: ✓ is well, ! works, but not as well as it could, ✗ means that
logins may go untold. A hint is a command to paste.`,
			`It looks at the account of whoever runs it, or with --system at the host; run
by root, whose account has no set-up of its own, at the host as well. It changes
nothing, and asks the network nothing unless --online is given: then Slack is
sent an empty message, which it refuses without posting it; another host behind
a webhook is asked for its front page; and a provider is asked about a
documentation address, which costs up to three requests of its quota.`,
			exits(exitDone, exitFailed, exitUsage)),
		Example: `  sshnotify doctor
  sudo sshnotify doctor --system --online
  sudo sshnotify doctor --system --json | jq '.checks[] | select(.state != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.whole && len(o.shells) > 0 {
				return &usageError{fmt.Errorf("%s: --system and --shell can't both be meant", c.CommandPath())}
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.whole, "system", false, "check the whole host")
	f.StringSliceVar(&o.shells, "shell", nil, "check the hook of bash, zsh or fish, may be repeated (default: the login shell)")
	f.BoolVar(&o.online, "online", false, "reach each destination and provider")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return c
}

// diagnosis is what --json prints.
type diagnosis struct {
	OK     bool                  `json:"ok"`    // no check failed
	Scope  string                `json:"scope"` // host or account
	Config string                `json:"config"`
	Checks []install.CheckResult `json:"checks"`
}

// examination gathers what doctor finds.
type examination struct {
	*setup
	app    *app
	system bool
	now    time.Time
	out    []install.CheckResult
}

func (x *examination) add(name string, s install.State, hint, format string, args ...any) {
	if s == install.OK {
		hint = ""
	}
	x.out = append(x.out, install.CheckResult{Name: name, State: s, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// command is how a person runs a subcommand for this set-up.
func (x *examination) command(sub string) string {
	s := "sshnotify " + sub
	if x.system {
		s = "sudo " + s
	}
	if x.app.configFile != "" || x.host.UID == 0 && !x.system {
		s += " --config " + x.config
	}
	return s
}

func (o *doctorOptions) run(ctx context.Context) error {
	x := &examination{app: o.app, now: o.now(), system: o.isSystem()}
	var err error
	if x.system {
		x.setup, err = o.hostSetup("")
	} else {
		x.setup, err = o.accountSetup("", o.shells)
	}
	if err != nil {
		return err
	}
	if x.system && x.host.UID != 0 {
		return withHint(errors.New("only root can look at all of the host's set-up"), "sudo sshnotify doctor --system")
	}
	if x.system {
		x.credentials()
		x.out = install.CheckSystem(ctx, x.host, x.places(), hookedServices(ctx, x.host))
		x.denials(ctx)
		x.programInUse(ctx)
	} else {
		x.out = install.CheckUser(ctx, x.host, x.userOptions())
		if hostTells(ctx, x.host) {
			x.add("other hooks", install.Warn, "sshnotify uninstall", "the host's set-up tells of this account's logins too: each makes two messages")
		}
	}
	x.settingsFile(ctx)
	x.folders()
	x.queue()
	x.destinations()
	x.providers(ctx)
	x.memory(ctx)
	x.watched()
	x.hostName()
	x.clock()
	x.systemLog()
	if o.online {
		x.online(ctx)
	}
	return o.show(x)
}

// isSystem says whether the host's set-up is meant: also by root, whose own
// account has none.
func (o *doctorOptions) isSystem() bool {
	if o.whole || o.app.uid != 0 || len(o.shells) > 0 {
		return o.whole
	}
	own, err := o.accountSetup("", nil)
	if err != nil {
		return true
	}
	if own.there && o.app.configFile == "" {
		return false
	}
	_, err = os.Stat(filepath.Join(own.state, "installed.json"))
	return err != nil
}

var marks = map[install.State]struct{ mark, colour string }{
	install.OK:   {"✓", "\x1b[32m"},
	install.Warn: {"!", "\x1b[33m"},
	install.Fail: {"✗", "\x1b[31m"},
}

func (o *doctorOptions) show(x *examination) error {
	count := map[install.State]int{}
	for _, c := range x.out {
		count[c.State]++
	}
	if o.json {
		d := diagnosis{OK: count[install.Fail] == 0, Scope: "account", Config: x.config, Checks: x.out}
		if x.system {
			d.Scope = "host"
		}
		enc := json.NewEncoder(o.app.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(d); err != nil {
			return err
		}
	} else {
		o.lines(x, count)
	}
	if count[install.Fail] > 0 {
		return &silentError{exitFailed}
	}
	return nil
}

func (o *doctorOptions) lines(x *examination, count map[install.State]int) {
	a := o.app
	for _, c := range x.out {
		m := marks[c.State]
		mark := m.mark
		if a.colour {
			mark = m.colour + mark + "\x1b[0m"
		}
		fmt.Fprintf(a.out, "%s %s: %s\n", mark, c.Name, c.Message)
		if c.Hint != "" {
			fmt.Fprintf(a.out, "  hint: %s\n", c.Hint)
		}
	}
	what := "this account"
	if x.system {
		what = "this host"
	}
	switch {
	case count[install.Fail] > 0:
		fmt.Fprintf(a.out, "%s: %d failed, %d to look at\n", what, count[install.Fail], count[install.Warn])
	case count[install.Warn] > 0:
		fmt.Fprintf(a.out, "%s: it works; %d to look at\n", what, count[install.Warn])
	default:
		fmt.Fprintf(a.out, "%s: all is well\n", what)
	}
}

// settingsFile checks that the settings can be used, and says what they name.
func (x *examination) settingsFile(ctx context.Context) {
	again := "sshnotify install"
	if x.system {
		again = "sudo sshnotify install --system"
	}
	if !x.there {
		x.add("settings content", install.Warn, again, "%s: not there, so that alerts go to the system log and nothing is looked up", x.config)
		return
	}
	if x.broken != nil {
		for _, e := range config.Errors(x.broken) {
			hint := e.Hint
			if hint == "" {
				hint = x.command("config check")
			}
			x.add("settings content", install.Fail, hint, "%v", e)
		}
		return
	}
	c := x.settings
	if _, err := workerSettings(c, ""); err != nil {
		x.add("settings content", install.Fail, x.command("config check"), "%v", err)
		return
	}
	x.add("settings content", install.OK, "", "%s; destinations: %s; providers: %s", x.config,
		names(c.Destinations, func(d config.Destination) string { return d.Name }, "none"),
		names(c.Providers, func(p config.Provider) string { return p.Name }, "none"))
	x.secrets()
	if x.system {
		x.asService(ctx)
		return
	}
	for _, f := range c.Files {
		x.ownFile(f)
	}
}
