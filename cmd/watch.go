package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/passwd"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/publish"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

type watchOptions struct {
	app          *app
	spoolDir     string
	replay       string
	explain      string
	json         bool
	showUnparsed bool
	stdin        bool
	settingsFile string // of writeSettings, instead of the settings
	writeTo      string
}

func newWatchCmd(a *app) *cobra.Command {
	o := watchOptions{app: a}
	c := &cobra.Command{
		Use:   "watch",
		Short: "Watch logs, the journal and pipes for attacks and patterns",
		Long: long(`watch reads the sources in the settings ([source.NAME]; without any, the journal
if there is one, else the usual logs). It queues an alert at once when somebody
gets in after failures. Attacks are reported in the daily digest, or with
watch.notify = "each" when one starts and when it ends. Lines that match a
[[pattern]] are reported, too. It keeps running, for a service manager: SIGHUP
reloads the settings, SIGTERM stops it. It blocks nobody.`,
			`The watcher's service can't read the settings, since they may hold secrets.
Before it starts, root checks them with --write-settings, which writes the part
that the watcher needs; --settings reads that.`,
			`With --replay it reads a file once, by the time stamps of its lines, queues
nothing, and prints the alerts that it would have raised, each attack separately;
at the end it prints what became of the lines. With --explain it prints what it
makes of one line. Both also accept journal entries, as written by
journalctl -o json.`,
			`Any user can write lines in any daemon's name to auth.log, secure or messages,
with logger(1). Journal entries are believed only if the kernel says that the
daemon's own program wrote them: with systemd, read the journal.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  # what would it have reported last week?
  sudo sshnotify watch --replay /var/log/auth.log.1

  sshnotify watch --explain "$(tail -n 1 /var/log/auth.log)"

  # only what the daemons wrote, as the kernel says
  sudo journalctl -o json --since -7d | sshnotify watch --replay -

  # the output of another program
  tcpdump -l port 23 | sshnotify watch --stdin

  # what sshnotify-watch.service runs, the first line as root
  sshnotify watch --config /etc/sshnotify/config.toml --write-settings /run/sshnotify-watch.json
  sshnotify watch --settings /run/sshnotify-watch.json --spool /var/spool/sshnotify`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			replay, explain := c.Flags().Changed("replay"), c.Flags().Changed("explain")
			write := c.Flags().Changed("write-settings")
			switch {
			case write && (replay || explain || o.stdin || o.json || o.showUnparsed || o.settingsFile != ""):
				return &usageError{errors.New("--write-settings does nothing else")}
			case o.settingsFile != "" && o.app.configFile != "":
				return &usageError{errors.New("--settings and --config are mutually exclusive")}
			case write && o.writeTo == "":
				return &usageError{errors.New("--write-settings is empty")}
			case write:
				return o.writeSettings()
			case replay && explain, o.stdin && (replay || explain):
				return &usageError{errors.New("--replay, --explain and --stdin are mutually exclusive")}
			case explain:
				return o.explainLine()
			case replay:
				return o.replayFile(c.Context())
			case o.json || o.showUnparsed:
				return &usageError{errors.New("--json and --show-unparsed are for --replay and --explain")}
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to write to (default: from the settings)")
	f.StringVar(&o.replay, "replay", "", "read `FILE` once (- for standard input) and print what it would have raised")
	f.StringVar(&o.explain, "explain", "", "print what is made of a `LINE`")
	f.BoolVar(&o.json, "json", false, "print a JSON object per line")
	f.BoolVar(&o.stdin, "stdin", false, "watch standard input only, until its end")
	f.StringVar(&o.settingsFile, "settings", "", "read `FILE`, written by --write-settings, instead of the settings")
	f.StringVar(&o.writeTo, "write-settings", "", "check the settings, write the part that watch needs to `FILE`, without secrets, and exit")
	f.BoolVar(&o.showUnparsed, "show-unparsed", false, "with --replay: also print the most common lines that were not recognized; not with --json")
	return c
}

// explainLine judges one line, without what came before.
func (o *watchOptions) explainLine() error {
	a := o.app
	if strings.TrimSpace(o.explain) == "" {
		return withHint(&usageError{errors.New("--explain got an empty line")},
			`where there is no auth.log: sshnotify watch --explain "$(sudo journalctl -o json -n 1 _COMM=sshd + _COMM=sshd-session)"`)
	}
	c, err := o.settings()
	if err != nil {
		return err
	}
	l := line.Line{Source: "standard input", Text: o.explain}
	if e, ok := new(source.Entries).Line(o.explain, l.Source); ok {
		l = e
	}
	r := parse.Explain(l, parse.Options{Zone: time.Local})
	if o.json {
		return json.NewEncoder(a.out).Encode(r.Explanation())
	}
	if r.Unread != "" {
		fmt.Fprintf(a.out, "%s: its line, but not one that is read\n  %-8s %s\n", r.Parser, "form", r.Form())
	} else if r.Outcome == parse.None {
		fmt.Fprintln(a.out, "not recognized by any parser")
		if l.Entry != nil && l.Entry.Claim != "" {
			by := watch.Forger{UID: event.Clean(l.Entry.UID, 20), Exe: event.Clean(l.Entry.Exe, 200), Daemon: l.Entry.Claim}
			fmt.Fprintf(a.out, "nothing shows that %s wrote it: %s\n", by.Daemon, by)
		}
	} else {
		fmt.Fprintf(a.out, "%s: %s\n", r.Parser, r.Outcome)
		for _, f := range []struct{ label, value string }{
			{"address", addressText(r)}, {"user", r.User}, {"method", r.Method}, {"key", r.Key}, {"count", countText(r.Count)},
			{"time", timeText(r.Time)}, {"note", doubtText(r)},
		} {
			if f.value != "" {
				fmt.Fprintf(a.out, "  %-8s %s\n", f.label, f.value)
			}
		}
	}
	patterns, err := newPatterns(c)
	if err != nil || patterns == nil {
		return err
	}
	for _, name := range patterns.Explain(l) {
		fmt.Fprintf(a.out, "pattern %s matches\n", name)
	}
	return nil
}

func addressText(r parse.Result) string {
	switch {
	case !r.IP.IsValid():
		return ""
	case r.Port != 0:
		return fmt.Sprintf("%s port %d", r.IP, r.Port)
	}
	return r.IP.String()
}

func doubtText(r parse.Result) string {
	if !r.Ambiguous {
		return ""
	}
	return "ambiguous: could be forged, a stranger may have written what looks like the daemon's words"
}

func countText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// newPatterns makes the engine of the settings' patterns; nil without any.
func newPatterns(c config.Config) (*pattern.Engine, error) {
	if len(c.Patterns) == 0 {
		return nil, nil
	}
	e, err := pattern.New(c.Patterns, pattern.Options{Zone: c.Zone(), Logged: time.Local})
	if err != nil {
		return nil, &settingsError{err}
	}
	return e, nil
}

// newWatcher makes a watcher without sources, counts and a way out.
func (o *watchOptions) newWatcher(c config.Config) (*watch.Watcher, error) {
	patterns, err := newPatterns(c)
	if err != nil {
		return nil, err
	}
	host := c.Host
	if host == "" {
		host, _ = os.Hostname() // an event without a host is told all the same
	}
	return &watch.Watcher{
		Settings: watch.Settings{
			Host: host, Labels: c.Labels, Each: c.Watch.Notify == config.WatchEach, Zone: c.Zone(),
			DigestAt: c.Digest.Time(),
			Place:    builtinPlace(),
			Ignored:  func(user string) bool { return slices.Contains(c.Watch.Ignore.Users, user) },
		},
		Parser: parse.New(parse.Options{Zone: time.Local}), Patterns: patterns, Log: o.app.logger(),
	}, nil
}

func attackOptions(c config.Config) attack.Options {
	return attack.Options{Detectors: attack.WithDefaults(c.Detectors), Ignore: c.Watch.Ignore.Networks}
}

// run watches until it is told to end, with the settings anew at each SIGHUP.
func (o *watchOptions) run(ctx context.Context) error {
	log := o.app.logger()
	hup := hangups()
	c, err := o.settings()
	if err != nil {
		return err
	}
	for {
		again, err := o.watchWith(ctx, c, hup)
		if err != nil || !again {
			return err
		}
		next, err := o.settings()
		if err != nil { // somebody's typing error must not leave the host unwatched
			log.Error("the settings can't be read, and stay as they were", "error", err)
			continue
		}
		c = next
		log.Info("settings are read again")
	}
}

// watchWith watches with one load of the settings; again says that others are
// wanted.
func (o *watchOptions) watchWith(ctx context.Context, c config.Config, hup <-chan struct{}) (again bool, err error) {
	a, log := o.app, o.app.logger()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := o.newWatcher(c)
	if err != nil {
		return false, err
	}
	dir := o.stateDir(c)
	now, stop := context.WithTimeout(ctx, time.Second) // a watcher that ends has it for a moment
	unlock, err := state.Lock(now, filepath.Join(dir, "lock"))
	stop()
	if errors.Is(err, context.DeadlineExceeded) {
		return false, withHint(errors.New("another sshnotify watch is already running"), "systemctl status sshnotify-watch")
	}
	if err != nil {
		return false, err
	}
	defer unlock()
	if moved, err := state.Tidy(dir); err != nil || len(moved) > 0 {
		log.Warn("the state folder held what is no file of the watcher's", "moved", moved, "error", err)
	}
	s := spool.Open(spool.For(a.spoolDir(o.spoolDir, c), a.uid))
	w.Put = func(e event.Event) error { return watch.Put(ctx, s, e, log) }
	w.UID = uidOf
	w.Covered = newCovers(s.Dir(), log).covered
	w.Account = func(uid int) string { name, _ := login.Host{Root: "/", UID: uid}.Account(); return name }
	shown := watchFigures{dir: dir, named: len(c.Sources) > 0, log: log}
	store := &watch.Store{Dir: dir, Log: log}
	if w.Attacks, w.Pending, err = store.Load(attackOptions(c)); err != nil {
		return false, &settingsError{err}
	}
	public := publish.New(c.Publish, dir, w.Place, func() publish.Names { return ourNames(c, passwd.ReadFile("/etc/passwd")) }, log)
	if public != nil {
		w.Published = public.Ended
		defer public.SaySkipped()
	}
	w.Save = func(w *watch.Watcher) error {
		if public != nil {
			public.Age(time.Now())
		}
		shown.write(w)
		return store.Save(w)
	}
	if w.Patterns != nil {
		w.Runner = pattern.NewRunner(pattern.RunnerOptions{Report: func(r pattern.Result) {
			if r.Err != nil || r.Exit != 0 {
				log.Warn("a match's program failed", "pattern", r.Pattern, "program", r.Program, "exit", r.Exit, "error", r.Err, "output", r.Output)
			}
		}})
		defer func() {
			ending, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer stop()
			if n := w.Runner.Close(ending); n > 0 {
				log.Warn("programs of matches were not run", "count", n)
			}
		}()
	}
	sources, err := o.sources(c, filepath.Join(dir, "sources"))
	if err != nil {
		return false, err
	}
	defer func() {
		for _, src := range sources {
			err = errors.Join(err, src.Close())
		}
	}()
	shown.sources = sources
	notify(log, daemon.SdNotifyReady)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, sources) }()
	select {
	case err := <-done:
		if ctx.Err() != nil {
			err = nil
		}
		return false, err
	case <-hup:
		again = true
		cancel()
	case <-ctx.Done():
	}
	if err := <-done; err != nil {
		log.Error("not all could be kept, and is read again", "error", err)
	}
	return again, nil
}

// uidOf returns the number of a user whom the password file names.
func uidOf(name string) (string, bool) {
	u, ok := install.Live().UserByName(name)
	return strconv.Itoa(u.UID), ok
}

// sources opens what is to be watched.
func (o *watchOptions) sources(c config.Config, dir string) ([]source.Source, error) {
	log := o.app.logger()
	if !o.stdin {
		named := c.Sources.OrUsual()
		if !slices.ContainsFunc(named, func(s source.Named) bool { return s.There() }) {
			log.Warn("there is nothing to watch yet: no journal, and none of the usual logs; name one in the settings: [source.NAME] with path")
		}
		return source.OpenAll(named, source.Options{StateDir: dir, Log: log, MachineID: paths.MachineID()})
	}
	s, err := source.OpenReader(o.app.in, source.Options{Name: "standard input", Log: log})
	if err != nil {
		return nil, err
	}
	return []source.Source{s}, nil
}

// leastPerson is the least number of an account that is somebody's, as login.defs
// has it: those below come with the system and its packages.
const leastPerson = 1000

// ourNames returns what no post may hold: this host's accounts but root, which every
// host has, by the password file alone (a name service may be far away), the people of
// the settings with their keys, and the names of the host.
func ourNames(c config.Config, passwords string) publish.Names {
	var n publish.Names
	passwd.Find(passwords, func(u passwd.User) bool {
		if u.UID >= leastPerson {
			n.Parts = append(n.Parts, u.Name)
		} else {
			n.Words = append(n.Words, u.Name)
		}
		return false
	})
	for name, p := range c.People {
		n.Parts = append(append(append(n.Parts, name), p.Accounts...), p.Phone, p.Slack, p.Email)
		local, _, _ := strings.Cut(p.Email, "@")
		n.Parts = append(n.Parts, local)
		for _, k := range p.Keys {
			n.Parts = append(n.Parts, strings.TrimPrefix(string(k), "SHA256:"))
		}
	}
	machine, _ := os.Hostname() // without one there is no name to keep back
	for _, host := range []string{machine, c.Host} {
		labels := strings.Split(host, ".")
		n.Parts = append(n.Parts, host, labels[0])
		if len(labels) > 2 {
			n.Parts = append(n.Parts, labels[1:len(labels)-1]...) // of db1.example.com, example
		}
	}
	isRoot := func(name string) bool { return strings.EqualFold(name, "root") }
	n.Words, n.Parts = slices.DeleteFunc(n.Words, isRoot), slices.DeleteFunc(n.Parts, isRoot)
	return n
}

// builtinPlace asks the built-in database; nil where it can't be read.
func builtinPlace() func(netip.Addr) (network, country string, asn uint32) {
	db, err := builtin.Open()
	if err != nil {
		return nil
	}
	return func(ip netip.Addr) (string, string, uint32) {
		f, err := db.Lookup(context.Background(), ip)
		if err != nil {
			return "", "", 0
		}
		return f.Network.Name, f.Place.Country, f.Network.ASN
	}
}

// stateDir is where the watcher keeps how far it has come: the service
// manager's folder, where the settings name none.
func (o *watchOptions) stateDir(c config.Config) string {
	if dir := os.Getenv("STATE_DIRECTORY"); c.Watch.StateDir == "" && filepath.IsAbs(dir) {
		return dir
	}
	return watchDir(c, o.app.stateDir(c))
}

// watchDir is the watcher's folder that goes with a worker's.
func watchDir(c config.Config, stateDir string) string {
	dir := filepath.Join(stateDir, "watch")
	if host := (paths.User{}); stateDir == host.StateDir() {
		dir = hostWatchState
	}
	return cmp.Or(c.Watch.StateDir, dir)
}

// hostWatchState is the state folder of sshnotify-watch.service.
const hostWatchState = "/var/lib/sshnotify-watch"

// replayFile reads a file in event time, and queues nothing.
func (o *watchOptions) replayFile(ctx context.Context) error {
	a := o.app
	c, err := o.settings()
	if err != nil {
		return err
	}
	w, err := o.newWatcher(c)
	if err != nil {
		return err
	}
	if w.Attacks, err = attack.New(attackOptions(c)); err != nil {
		return &settingsError{err}
	}
	w.Each = true // each attack is shown, wherever the settings have it told
	w.Put = func(e event.Event) error {
		if o.json {
			data, err := e.Encode()
			if err == nil {
				_, err = a.out.Write(data)
			}
			return err
		}
		_, err := fmt.Fprintln(a.out, replayLine(e, c.Zone()))
		return err
	}
	src, err := o.openReplay()
	if errors.Is(err, fs.ErrNotExist) {
		err = withHint(err, "ls /var/log shows what there is; of the journal: journalctl -o json | sshnotify watch --replay -")
	}
	if err != nil {
		return err
	}
	defer src.Close()
	shapes := newShapes()
	taken := 0
	take := func(batches [][]line.Line) error {
		for _, lines := range batches {
			if o.showUnparsed {
				shapes.take(lines)
			}
			if err := w.Take(source.Numbered(lines, taken)); err != nil {
				return err
			}
			taken += len(lines)
		}
		return nil
	}
	var entries source.Entries
	zones := parse.NewZones(nil)
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if err := take(zones.Rest()); err != nil {
				return err
			}
			return replayError(o.replay, err)
		}
		for i, l := range b.Lines {
			if e, ok := entries.Line(l.Text, l.Source); ok && !l.Cut {
				b.Lines[i] = e
			}
		}
		if err := take(zones.Take(b.Lines)); err != nil {
			return err
		}
	}
	if err := take(zones.Rest()); err != nil {
		return err
	}
	if err := w.Finish(time.Now()); err != nil {
		return err
	}
	if !o.json {
		replayTable(a.out, w.Stats(), w.Patterns, w.Attacks.Flood())
		if o.showUnparsed {
			shapes.print(a.out)
		}
	}
	return nil
}

func (o *watchOptions) openReplay() (source.Source, error) {
	if o.replay == "-" {
		return source.OpenReader(o.app.in, source.Options{Once: true})
	}
	if _, err := os.Stat(o.replay); err != nil {
		return nil, replayError(o.replay, err)
	}
	return source.OpenFile(source.Options{Path: o.replay, Once: true, Log: o.app.logger()})
}

// replayError adds what to do where a file has no lines of its own, or where a
// host keeps none of the usual logs.
func replayError(path string, err error) error {
	if packed, ok := errors.AsType[*source.PackedError](err); ok {
		return withHint(fmt.Errorf("%s: %w", path, err), packed.Command+" "+shellQuoted(path)+" | sshnotify watch --replay -")
	}
	if errors.Is(err, fs.ErrNotExist) && source.HasJournal() && slices.Contains(source.SystemLogs(), path) {
		return withHint(err, "without a syslog daemon the journal has it: sudo journalctl -o json --since -7d | sshnotify watch --replay -")
	}
	return err
}
