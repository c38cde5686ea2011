package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

type doctorOptions struct {
	setter
	now func() time.Time

	whole  bool // --system
	shells []string
	online bool
	json   bool
}

func newDoctorCmd(a *app) *cobra.Command {
	o := doctorOptions{setter: newSetter(a), now: time.Now}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check that everything works",
		Long: long(`doctor checks everything that could keep logins from being reported: the hook and
its place, the program, settings and secrets, the spool and what waits in it, the
worker or the service, destinations and providers, disk, clock and host name. A
line a check: ✓ is well, ! works, but not as well as it could, ✗ means that
logins may go unreported. A hint is a command to paste.`,
			`It looks at the account of whoever runs it, or with --system at the host; run
by root, whose account has no set-up of its own, at the host as well. It changes
nothing, and unless --online is given it asks nobody but the service itself, where
that serves metrics. With it Slack is sent an empty message, which it refuses
without posting it; another host behind a webhook is asked for its front page; and
a provider is asked about a documentation address, which costs up to three
requests of its quota. A host's hub is asked whether it lets the host in.`,
			exits(exitDone, exitFailed, exitUsage)),
		Example: `  sshnotify doctor
  sudo sshnotify doctor --system --online
  sudo sshnotify doctor --system --json | jq '.checks[] | select(.state != "ok")'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.whole && len(o.shells) > 0 {
				return &usageError{errors.New("--system and --shell are mutually exclusive")}
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.whole, "system", false, "check the whole host")
	f.StringSliceVar(&o.shells, "shell", nil, "check the hook of bash, zsh or fish, may be repeated (default: the login shell)")
	f.BoolVar(&o.online, "online", false, "contact each destination and provider")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return c
}

// examined is the set-up that doctor looks at.
type examined struct {
	*setup
	app   *app
	whole bool // the whole host's, not an account's
}

func (o *doctorOptions) run(ctx context.Context) error {
	x := examined{app: o.app, whole: o.isSystem()}
	var err error
	if x.whole {
		x.setup, err = o.hostSetup("")
	} else {
		x.setup, err = o.accountSetup("", o.shells)
	}
	if err != nil {
		return err
	}
	if x.whole && x.host.UID != 0 {
		return withHint(errors.New("only root can look at all of the host's set-up"), "sudo sshnotify doctor --system")
	}
	r := doctor.Run(ctx, doctor.Target{
		Host: x.whole, Settings: x.broken == nil, Online: o.online, Now: o.now(),
		Config: x.config, Explicit: o.app.configFile != "" || x.host.UID == 0 && !x.whole,
	}, x.checks())
	if o.json {
		enc := json.NewEncoder(o.app.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		r.WriteText(o.app.out, o.app.colour)
	}
	if r.Count(doctor.Fail) > 0 {
		return &silentError{exitFailed}
	}
	return nil
}

// isSystem reports whether the host's set-up is meant: also by root, whose own
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

// metricsTimeout is far above what the service's own answer takes.
const metricsTimeout = 2 * time.Second

// again is the command that sets it up, or brings it up to date.
func (x examined) again() string {
	if x.whole {
		return "sudo sshnotify install --system"
	}
	return "sshnotify install"
}

// checks returns all checks, in the order in which their results are shown.
func (x examined) checks() []doctor.Check {
	c := x.settings
	queue := spool.Open(spool.For(x.spool, x.host.UID))
	none := len(c.Destinations) == 0 && !c.Hub.Host() // the hub tells
	toLog, reached := none, []string{channel.LogType} // without destinations
	if !toLog {
		reached = nil
	}
	for _, d := range c.Destinations {
		toLog, reached = toLog || d.Type == channel.LogType, append(reached, d.Name)
	}
	var watched []doctor.Check
	if sources := x.watchedSources(); len(sources) > 0 {
		watched = []doctor.Check{
			{Needs: doctor.NeedsHost, Run: func(_ context.Context, r *doctor.Report) { x.witnessed(r) }},
			watch.Check(watchDir(c, x.state), sources, source.HasJournal(), x.host.LogProblem),
		}
	}
	var memory []doctor.Check
	if !c.Hub.Host() || c.Hub.AloneAfter > 0 { // else the hub remembers
		memory = append(memory, history.Check(databaseFile(x.state), c.History.Options(c.Zone()), c.History.Enabled))
	}
	var service []doctor.Check // what only a worker that stays does
	start := "sshnotify deliver --follow"
	if x.whole {
		start = "sudo systemctl restart sshnotify"
	}
	if !c.Heartbeat.URL.IsZero() {
		service = append(service, deliver.HeartbeatCheck(databaseFile(x.state), x.state, start))
	}
	if c.Metrics.Listen != "" {
		service = append(service, figures.ListenCheck(c.Metrics, newClient(c, metricsTimeout), start))
	}
	service = append(service, x.hubChecks(start)...)
	return slices.Concat(
		install.HostChecks(x.host, x.places(), c.Publish.Dir),
		install.AccountChecks(x.host, x.userOptions()),
		x.gateChecks(),
		[]doctor.Check{
			{Needs: doctor.NeedsAccount, Run: func(ctx context.Context, r *doctor.Report) {
				if hostTells(ctx, x.host) {
					r.Warn("other hooks", "sshnotify uninstall", "the host's set-up reports this account's logins too: each makes two messages")
				}
			}},
			{Run: x.settingsCheck},
			doctor.Folders(x.spool, x.state, hook.Patience, x.again()),
			deliver.QueueCheck(queue, func(now time.Time) func(deliver.Record) time.Time { return heldUntil(c, queue, x.state, now) }, silentHint(x.spool)),
			deliver.DestinationsCheck(databaseFile(x.state), reached, budgets(c), c.Zone()),
			{Run: x.providers},
		}, memory, service, watched, []doctor.Check{
			doctor.HostName(c.Host),
			doctor.Clock(),
			doctor.SystemLog(toLog, none && x.there && x.broken == nil),
		},
		x.channelChecks(),
		[]doctor.Check{{Needs: doctor.NeedsSettings | doctor.NeedsOnline, Run: x.online}},
	)
}

// channelChecks returns those that the destinations' channels bring.
func (x examined) channelChecks() (all []doctor.Check) {
	targets, err := destinations(x.settings)
	if err != nil {
		return nil // as the settings' own check says
	}
	for _, t := range targets {
		if c, ok := t.Dest.(channel.Checker); ok {
			all = append(all, c.Checks()...)
		}
		if bot, ok := t.Dest.(*channel.SlackBot); ok && !x.settings.Hub.Host() {
			all = append(all, asked.Checks(bot, x.settings.People, x.settings.Hub.Hub())...)
		}
	}
	return all
}

// watchedSources returns the sources of the watcher, none where nobody watches.
func (x examined) watchedSources() []source.Named {
	c := x.settings
	// The package makes the folder, whether somebody watches or not.
	if _, err := os.Stat(filepath.Join(watchDir(c, x.state), "sources")); err != nil && len(c.Sources)+len(c.Patterns) == 0 {
		return nil
	}
	return c.Sources.OrUsual()
}

// providers reports how each provider stands.
func (x examined) providers(ctx context.Context, r *doctor.Report) {
	client := newClient(x.settings, x.settings.Enrich.Timeout)
	data := x.settings.Enrich.Builtin // nothing takes its place
	db, err := lookInto(x.state)
	if err != nil {
		r.Fail("providers", "", "%v", err)
		return
	}
	defer db.Close()
	for _, p := range x.settings.Providers {
		made, err := newProvider(p, client, x.state, db)
		if err != nil {
			r.Fail("provider "+p.Name, r.Command("config check"), "%v", err)
			continue
		}
		enrich.Examine(ctx, r, made)
		if _, ok := made.(*mmdb.Provider); ok {
			data = false
		}
		if c, ok := made.(interface{ Close() }); ok {
			c.Close()
		}
	}
	if data {
		builtin.Check().Run(ctx, r)
	}
}

// online reaches each provider; channels bring checks of their own. What is
// asked and answered is kept nowhere: the state folder is the service's.
func (x examined) online(ctx context.Context, r *doctor.Report) {
	c := x.settings
	client := newClient(c, sendTimeout)
	for _, p := range c.Providers {
		made, err := newProvider(p, client, "", nil)
		if err != nil {
			r.Fail("online "+p.Name, r.Command("config check"), "%v", err)
			continue
		}
		enrich.Reach(ctx, r, made, c.Enrich.Timeout)
	}
	if len(c.Destinations)+len(c.Providers) == 0 {
		r.OK("online", "no destinations or providers configured")
	}
}
