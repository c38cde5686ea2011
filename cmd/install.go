package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

type installOptions struct {
	changer
	past    *historyImport // where this machine's earlier logins are
	session login.Host     // in which this runs
	// noWorker leaves what is acknowledged to the next worker to tell.
	noWorker bool

	hub         hubFlags
	respond     respondFlags
	orders      []install.FileText // of respond
	notify      string
	webhookURL  string
	webhookFile string
	shells      []string
	services    []string
	watchLogs   bool
	gate        bool
	test        bool
	noTest      bool
	wait        time.Duration
	noWait      bool
}

func newInstallCmd(a *app) *cobra.Command {
	o := installOptions{changer: newChanger(a), past: newHistoryImport(a), session: login.Live()}
	c := &cobra.Command{
		Use:   "install",
		Short: "Set up an account, or with --system the whole host",
		Long: long(`install sets up the account of whoever runs it: it writes the settings, adds the
hook to the shell's start-up files, and a timer or cron job for what a worker
left behind. With --system it sets up the whole host: the hook in PAM, a service
with a user of its own, and the settings in /etc/sshnotify.`,
			`It prints a line for each thing it changes, and sshnotify uninstall takes just
that out again. Existing settings are kept, and installing twice is the same as
once. On a terminal it asks where alerts shall go, which logins shall be told (it
shows what each answer would have meant for the last thirty days), whether to
import earlier logins, and whether this session is yours, which acknowledges it;
otherwise it asks nothing.`,
			`With --system --watch it adds a second service, for sshnotify watch, with a user
of its own that may read logs, and no network. Installing again without --watch
keeps it; uninstall takes it out.`,
			`With --system --gate it has sshd ask for a second step at login, and changes
nothing else: see sshnotify gate. It refuses where somebody could not log in any
more, and takes all of it back after five minutes in which nobody did.`,
			`With --system --hub the host hands its events over to a hub, and needs no
destination: it joins the hub with a token of "sshnotify fleet token". A host that
has joined stays as it is. With --system --hub-listen the host is that hub, beside
what it tells of itself.`,
			`With --system --respond a host that has joined a hub carries out the hub's orders
about a login, by a service of root's that checks each of them: docs/respond.md. It
says which CA must have signed them. --respond=evidence,end allows these alone.`,
			`At the end it waits for a login from another window, and prints what it saw: for
two minutes on a terminal, otherwise only with --wait.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify install
  sshnotify install --webhook-url-file - <slack.url
  sshnotify install --dry-run --webhook-url-file slack.url

  sudo sshnotify install --system
  sudo sshnotify install --system --services sshd,sudo --yes --webhook-url-file slack.url
  sudo sshnotify install --system --watch
  sudo sshnotify install --system --gate
  sudo sshnotify install --system --hub https://hub.example.com:8443 --token-file -
  sudo sshnotify install --system --respond`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return &usageError{err}
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	o.addFlags(f, "set up the whole host")
	f.StringVar(&o.webhookURL, "webhook-url", "", "Slack's webhook `URL`; others can see it in the process list")
	f.StringVar(&o.webhookFile, "webhook-url-file", "", "read the webhook URL from `FILE`, or from standard input if that is -")
	f.StringSliceVar(&o.shells, "shell", nil, "bash, zsh or fish, may be repeated (default: the login shell)")
	f.StringSliceVar(&o.services, "services", nil, "with --system: PAM services to report: sshd, sudo, su, login (default sshd)")
	f.BoolVar(&o.watchLogs, "watch", false, "with --system: add a service that watches logs")
	f.BoolVar(&o.gate, "gate", false, "with --system: ask for a second step at login, and nothing else; taken back unless somebody logs in")
	f.StringVar(&o.notify, "notify", "", "which logins are told: auto, unusual or all, as in the settings (`MODE`)")
	f.StringVar(&o.hub.url, "hub", "", "with --system: hand over to the hub at `URL`, and tell nothing here")
	f.StringVar(&o.hub.tokenFile, "token-file", "", "with --hub: join it with the token in `FILE`, or on standard input if that is -")
	f.StringVar(&o.hub.listen, "hub-listen", "", "with --system: be a hub, which hosts reach at this `ADDRESS`, such as 0.0.0.0:8443")
	f.StringSliceVar(&o.hub.names, "hub-name", nil, "with --hub-listen: a `NAME` or address by which hosts call it, may be repeated (default: the host's name)")
	f.StringVar(&o.respond.allow, "respond", "", "with --system: carry out these `ORDERS` of the hub: evidence, end, lock, key, block (default: all)")
	f.Lookup("respond").NoOptDefVal = allOrders
	f.StringVar(&o.respond.caFile, "hub-ca", "", "with --respond: the `FILE` that sshnotify fleet ca printed at the hub (default: what this host joined by)")
	f.BoolVar(&o.test, "test", false, "send a test message before anything is changed")
	f.BoolVar(&o.noTest, "no-test", false, "send no test message")
	f.DurationVar(&o.wait, "wait", 0, "wait this long for a login, and exit 1 if none is seen (on a terminal: 2m, and 0)")
	f.BoolVar(&o.noWait, "no-wait", false, "don't wait for a login")
	return c
}

// check refuses flags that contradict each other.
func (o *installOptions) check(c *cobra.Command) error {
	set := c.Flags().Changed
	for _, pair := range [][2]string{
		{"webhook-url", "webhook-url-file"}, {"test", "no-test"}, {"wait", "no-wait"}, {"dry-run", "test"}, {"dry-run", "wait"},
		{"system", "shell"}, {"root", "wait"},
	} {
		if set(pair[0]) && set(pair[1]) {
			return fmt.Errorf("--%s and --%s are mutually exclusive", pair[0], pair[1])
		}
	}
	for _, name := range []string{"webhook-url", "webhook-url-file", "root", "hub", "token-file", "hub-listen", "respond", "hub-ca"} {
		if set(name) && c.Flag(name).Value.String() == "" {
			return fmt.Errorf("--%s is empty", name)
		}
	}
	if set("notify") && !slices.Contains(notifyModes(), o.notify) {
		return fmt.Errorf("--notify: %q is not known: %s are", o.notify, strings.Join(notifyModes(), ", "))
	}
	if err := o.hub.check(set, o.system); err != nil {
		return err
	}
	if err := o.respond.check(set, o.system); err != nil {
		return err
	}
	if set("services") && !o.system {
		return errors.New("--services needs --system")
	}
	if o.watchLogs && !o.system {
		return errors.New("--watch needs --system")
	}
	if o.gate && !o.system {
		return errors.New("--gate needs --system")
	}
	if set("wait") && o.wait <= 0 {
		return errors.New("--wait must be more than nothing, for example 2m")
	}
	for _, s := range o.shells {
		if !slices.Contains([]string{install.Bash, install.Zsh, install.Fish}, s) {
			return fmt.Errorf("--shell: %q is not known: bash, zsh and fish are", s)
		}
	}
	for _, s := range o.services {
		if !slices.Contains([]string{"sshd", "sudo", "su", "login"}, s) {
			return fmt.Errorf("--services: %q is not known: sshd, sudo, su and login are", s)
		}
	}
	return nil
}

func (o *installOptions) run(ctx context.Context) error {
	if o.gate {
		return o.runGate(ctx)
	}
	s, err := o.find(o.shells)
	if err != nil {
		return o.hinted(err)
	}
	if s.broken != nil {
		return s.broken
	}
	if o.orders, err = o.respondFiles(s); err != nil {
		return err
	}
	// What is in the way is said before anybody looks for a webhook.
	if _, err := o.plan(ctx, s, slackAt(outbound.NewSecret("https://hooks.slack.com/services/")), o.notify); err != nil {
		return o.hinted(err)
	}
	if s.keeps, err = s.kept(time.Now()); err != nil {
		o.warn(err.Error())
	}
	o.saidHub(s)
	q := o.prompter()
	if err := o.readToken(ctx, s, q); err != nil {
		return err
	}
	to, err := o.destination(ctx, s, q)
	if err != nil {
		return err
	}
	if err := o.tryOut(ctx, s, to, q); err != nil {
		return err
	}
	notify, err := o.chooseNotify(ctx, s, q, to != nil)
	if err != nil {
		return err
	}
	p, err := o.plan(ctx, s, to, notify)
	if err != nil {
		return o.hinted(err)
	}
	if o.dryRun {
		return o.showPlan(p)
	}
	if o.system {
		if err := o.confirm(ctx, q, p); err != nil {
			return err
		}
	}
	start := time.Now()
	doc, err := o.apply(ctx, s, p)
	if err == nil {
		if doc.Joined, err = o.joinHub(ctx, s); err != nil {
			doc.Error = err.Error()
		}
	}
	if err == nil {
		if !o.system && !s.image() {
			if err := o.app.renewWorker(ctx, s.spool); err != nil {
				o.warn(err.Error())
			}
		}
		o.finished(s, p)
		if fresh := o.offerImport(ctx, s, q); !o.handsOver(s) && (fresh || !s.there || s.mute) {
			o.offerAck(ctx, s, q)
		}
		doc.Seen, err = o.await(ctx, s, q, start)
	}
	return o.finish(doc, err)
}

// destination returns where alerts shall go, nil where settings are there already.
func (o *installOptions) destination(ctx context.Context, s *setup, q *prompter) (*chosen, error) {
	url, err := o.given(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case o.hub.url != "": // the hub has the destinations
		return nil, nil
	case s.there && !s.mute:
		o.notUsed(s, url)
		return nil, nil
	case !url.IsZero(), o.dryRun && !s.mute:
		return slackAt(url), nil
	case q != nil && !o.dryRun:
		return o.askDestination(ctx, q, s.mute)
	case s.mute: // the system log has been chosen, or the next install asks
		return nil, nil
	}
	return nil, &usageError{withHint(errors.New("no webhook URL, and nobody to ask"), whereWebhook)}
}

// plan returns what is to be changed. notify is "" where that is to stay.
func (o *installOptions) plan(ctx context.Context, s *setup, to *chosen, notify string) (install.Plan, error) {
	var files []install.FileText
	if o.hub.url != "" && !s.there {
		files = append(files, install.FileText{Path: s.config, Content: s.settingsText("", nil)})
	}
	if to != nil && (!s.there || s.mute) {
		dir := filepath.Dir(s.config)
		main := install.FileText{Path: s.config, Content: s.settingsText(notify, to)}
		if s.mute {
			main = install.FileText{Path: s.addedFile(to.typ), Content: s.addedText(to.text(dir))}
		}
		files = append(to.secrets(dir), main)
	}
	if s.there && notify != "" {
		files = append(files, install.FileText{Path: s.addedFile("notify"), Content: s.addedText(notifyText(notify))})
	}
	files = append(append(files, o.hubFiles(s)...), s.keeps...)
	files = append(files, o.orders...)
	if o.system {
		opt := install.SystemOptions{Places: s.places(), BinaryFrom: s.from, Files: files, Services: o.services, Watch: o.watchLogs, Respond: o.respond.allow != "", Publish: s.settings.Publish.Dir}
		for _, l := range s.settings.Sources.OrUsual() {
			if l.Type == source.FileType {
				opt.Logs = append(opt.Logs, l.Settings.Reads())
			}
		}
		if !s.image() && s.from != "" && install.Look(ctx, s.host).Packaged {
			opt.BinaryFrom = "" // the package's program is the package's to replace
		}
		return install.PlanSystem(ctx, s.host, opt)
	}
	opt := s.userOptions()
	opt.Files = files
	p, err := install.PlanUser(ctx, s.host, opt)
	if err != nil {
		return p, err
	}
	if !s.ownHome {
		p.Notes = append(p.Notes, s.home+" is not the account's home in /etc/passwd, so that its crontab and timers stay as they are: an event that an ended worker left waits for the next login")
	}
	if hostTells(ctx, s.host) {
		p.Notes = append(p.Notes, "the host is set up too (sshnotify install --system): each of this account's logins makes two messages, one from each")
	}
	return p, nil
}

// settingsText is the settings file of a new set-up.
func (s *setup) settingsText(notify string, to *chosen) []byte {
	text := "# Written by sshnotify install, and yours from now on: sshnotify config check\n" +
		"# says whether a change is right.\n" +
		"spool_dir = " + strconv.Quote(s.spool) + "\n" +
		"state_dir = " + strconv.Quote(s.state) + "\n"
	if to != nil { // else a hub judges and tells
		text += notifyText(notify) + "\n" + to.text(filepath.Dir(s.config))
	}
	return []byte(text)
}

// addedText is a settings file that only adds to those that are there.
func (s *setup) addedText(text string) []byte {
	return []byte("# Written by sshnotify install, and yours from now on; read after " + s.config + ".\n" + text)
}

func notifyText(mode string) string { return "notify = " + strconv.Quote(mode) + "\n" }

// finished says what comes next.
func (o *installOptions) finished(s *setup, p install.Plan) {
	if o.json {
		return
	}
	if p.Empty() {
		o.say("nothing to do: it is set up")
	}
	undo := "sshnotify uninstall"
	switch {
	case o.system:
		undo = "sudo sshnotify uninstall --system"
	case s.host.UID == 0 && !s.image():
		o.say("note: root's other commands mean the whole host; for this account: sshnotify --config %s …", s.config)
	}
	if s.image() {
		undo += " --root " + s.host.Root
	}
	if !o.system && o.app.configFile != "" {
		undo += " --config " + s.config
	}
	o.say("to undo: %s", undo)
	if sudoer := o.getenv("SUDO_USER"); !o.system && sudoer != "" && os.Geteuid() == 0 {
		o.warn("this was for root's own account, not for "+sudoer+"'s and not for the whole host", "sudo sshnotify install --system")
	}
}

// offerImport has an empty memory filled from what the host has, where there is
// somebody to ask, and says how it is done where there is not. It reports whether the
// memory was empty.
func (o *installOptions) offerImport(ctx context.Context, s *setup, q *prompter) (empty bool) {
	if s.image() || o.json || o.handsOver(s) || s.there && !s.settings.History.Enabled {
		return false
	}
	if remembers(ctx, s.state) {
		return false
	}
	words := []string{"history", "import", "--config", s.config}
	if q == nil {
		o.say("to know who usually comes from where: sshnotify history import")
		return true
	}
	if yes, err := q.yes(ctx, "Remember earlier logins, from wtmp, the journal and auth.log?", true); err != nil || !yes {
		return true
	}
	// A process of its own: as root it becomes the service's user for good.
	c := exec.CommandContext(ctx, s.binary, words...)
	c.Stdout, c.Stderr = o.app.out, o.app.err
	if err := c.Run(); err != nil {
		o.warn("not all of the earlier logins are remembered", "sshnotify history import does the rest")
	}
	return true
}
