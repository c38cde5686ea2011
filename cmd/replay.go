package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/records"
	"github.com/sshnotify/sshnotify/internal/replay"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

type replayOptions struct {
	app    *app
	json   bool
	online bool
}

func newReplayCmd(a *app) *cobra.Command {
	o := replayOptions{app: a}
	c := &cobra.Command{
		Use:   "replay [FILE…]",
		Short: "Show what logs would have told, message by message",
		Long: long(`replay plays the logins and attacks of logs in their own time through the whole
judgement of these settings, and prints the messages as they would have come,
then how many there were by day and by user. It begins with an empty memory,
sends nothing, and remembers nothing.`,
			`A FILE is an auth.log or a secure, the output of journalctl -o json, or a wtmp,
packed (gzip, bzip2, xz, zstd) or not; "-" is standard input. Several may overlap: what two of them tell
counts once. Without a FILE it reads what this host has, as sshnotify history
import does. Logins are sshd's, which the hook reports; of FTP servers and dropbear
it shows what the watcher would have told.`,
			`Addresses are looked up in what is on this host: the built-in database and the
files of the settings. With --online the services that the settings name are
asked, too, which counts against their quotas.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify replay /var/log/auth.log.1 /var/log/auth.log
  journalctl -o json --since=-30d | sshnotify replay -
  sudo sshnotify replay --json | jq 'select(.severity == "high").headline'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), args) },
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "print a JSON object for each message, and no table")
	f.BoolVar(&o.online, "online", false, "ask the services that the settings name, too")
	return c
}

func (o *replayOptions) run(ctx context.Context, args []string) error {
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	c = a.judgedBy(c)
	host := newHistoryImport(a)
	all := host.records.Open(ctx, args, "", time.Now().Add(-c.History.Keep))
	defer func() {
		for _, r := range all {
			r.Close()
		}
	}()
	if len(all) == 0 {
		return withHint(errors.New("there is no wtmp, no journal and no auth.log here"), "name the files that there are: sshnotify replay FILE…")
	}
	tally := replay.Tally{Zone: c.Zone()}
	encode := json.NewEncoder(a.out)
	counts, bad, err := o.play(ctx, c, all, func(t *deliver.Told) error {
		l := replay.LineOf(t)
		tally.Add(l)
		if o.json {
			return encode.Encode(l)
		}
		_, err := fmt.Fprintf(a.out, "%s\n%s\n", t.Time.In(c.Zone()).Format("Mon 2 Jan 2006 15:04:05 MST"), message.New(t.Alert).Plain(a.colour))
		return err
	})
	if err != nil {
		return err
	}
	failed := len(bad) == len(all)
	for _, r := range all {
		if err := bad[r]; err != nil && (r.Named || !records.Unavailable(err)) {
			fmt.Fprintf(a.err, "sshnotify: error: %s: %s\n", event.Clean(r.Name, 200), event.Clean(err.Error(), 300))
			failed = true
		}
	}
	if !o.json {
		if err := tally.Print(a.out, counts); err != nil {
			return err
		}
	}
	if failed {
		return &silentError{exitFailed}
	}
	return nil
}

// judgedBy returns the settings that the host's worker judges by, which depend on
// whether it told logins before.
func (a *app) judgedBy(c config.Config) config.Config {
	db, err := lookInto(a.stateDir(c))
	if errors.Is(err, fs.ErrNotExist) {
		return c
	}
	if err == nil {
		defer db.Close()
		c, _, err = asBefore(db, c, false)
	}
	if err != nil {
		fmt.Fprintf(a.err, "sshnotify: warning: %s: %s\n", unknownBefore, event.Clean(err.Error(), 300))
		c = c.Before()
	}
	return c
}

// play plays records through the judgement of settings, with a memory of its own.
func (o *replayOptions) play(ctx context.Context, c config.Config, all []*records.Record, told func(*deliver.Told) error) (replay.Counts, map[*records.Record]error, error) {
	fail := func(err error) (replay.Counts, map[*records.Record]error, error) { return replay.Counts{}, nil, err }
	a := o.app
	lookups, err := localEngine(c, a.stateDir(c))
	if o.online {
		var done func()
		if lookups, done, err = a.lookups(c); err == nil {
			defer done()
		}
	}
	if err != nil {
		return fail(err)
	}
	var p replay.Player
	if p.Watcher, err = a.replayWatcher(c); err != nil {
		return fail(err)
	}
	p.Host = p.Watcher.Host
	// What the worker says as it goes along is of deliveries that there are none of.
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: max(slog.Level(a.logLevel), slog.LevelWarn)}))
	worker, done, err := a.replayWorker(c, lookups, p.Host, log)
	if err != nil {
		return fail(err)
	}
	defer done()
	p.Judges = []replay.Judge{{Worker: worker, Told: told}}
	return p.Play(ctx, all)
}

// replayWorker returns a worker of a replay's, which judges by settings and has an
// empty memory of its own until done is called.
func (a *app) replayWorker(c config.Config, lookups *enrich.Engine, host string, log *slog.Logger) (w *deliver.Replay, done func(), err error) {
	set, err := a.replaySettings(c, lookups)
	if err != nil {
		return nil, nil, err
	}
	done = func() {}
	if c.History.Enabled {
		var m *memory
		if m, done, err = replayMemory(c, func() time.Time { return w.Now() }); err != nil {
			return nil, nil, err
		}
		set.Memory = m
	}
	return deliver.NewReplay(set, host, log), done, nil
}

// replaySettings are the settings of a replay's worker, without a memory.
func (a *app) replaySettings(c config.Config, lookups *enrich.Engine) (deliver.Settings, error) {
	set, err := workerSettings(c, a.stateDir(c), nil)
	set.Enrich = func(ctx context.Context, ip netip.Addr) event.Facts { return lookups.Lookup(ctx, ip) }
	return set, err
}

// replayMemory returns an empty memory, which is no more once done is called.
func replayMemory(c config.Config, now func() time.Time) (m *memory, done func(), err error) {
	dir, err := os.MkdirTemp("", "sshnotify-replay-")
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(filepath.Join(dir, store.FileName), store.Options{CacheKiB: importCache, Scratch: true})
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	opts := c.History.Options(c.Zone())
	opts.Now = now
	return &memory{history.New(db, opts)}, func() {
		db.Close()
		os.RemoveAll(dir)
	}, nil
}

// replayWatcher returns a watcher for a replay.
func (a *app) replayWatcher(c config.Config) (*watch.Watcher, error) {
	w, err := (&watchOptions{app: a}).newWatcher(c)
	if err != nil {
		return nil, err
	}
	w.Pending = new(watch.PendingDigest)
	if w.Attacks, err = attack.New(attackOptions(c)); err != nil {
		return nil, &settingsError{err}
	}
	return w, nil
}
