package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

type silenceOptions struct {
	app  *app
	now  func() time.Time
	host login.Host

	spoolDir, network, kind, length string
	set                             event.Silence
	json, noWorker                  bool
}

// longestSilence is how long one holds at most: whoever forgets it hears of the
// host again.
const longestSilence = 30 * 24 * time.Hour

func newSilenceCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "silence",
		Short: "Keep events from being told for a while",
		Long: long(`silence keeps events from being told until a time, with a reason: while a release
is rolled out, or a machine is set up. They are remembered and counted. What is
critical is told all the same. The beginning, the end and how much was held are
told to the destinations.`,
			`It is for root, or for the user whose logins are told.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify silence add --user deploy --for 2h --why "release 4.2"`,
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSilenceAddCmd(a), newSilenceListCmd(a), newSilenceRemoveCmd(a))
	return c
}

func newSilenceAddCmd(a *app) *cobra.Command {
	o := silenceOptions{app: a, now: time.Now, host: login.Live()}
	c := &cobra.Command{
		Use:   "add",
		Short: "Begin a silence",
		Long: long(`add begins a silence of the events for which all of the flags match, and prints
its ref. Globs have * for any characters and ? for one.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify silence add --user deploy --for 2h --why "release 4.2"
  sshnotify silence add --host 'test-*' --kind login --for 1d --why "new machines"`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notEmpty(c, "user", "host", "network", "kind", "rule", "for", "why"); err != nil {
				return err
			}
			return o.add(c.Context())
		},
	}
	var kinds []string
	for _, k := range policy.SilencedKinds() {
		kinds = append(kinds, string(k))
	}
	f := c.Flags()
	f.StringVar(&o.set.User, "user", "", "events of `NAME`, a glob")
	f.StringVar(&o.set.Host, "host", "", "events of `HOST`, a glob")
	f.StringVar(&o.network, "network", "", "events from this address or `NETWORK`")
	f.StringVar(&o.kind, "kind", "", "events of this `KIND`: "+strings.Join(kinds, ", "))
	f.StringVar(&o.set.Rule, "rule", "", "logins that the rule `NAME` of the settings matches")
	f.StringVar(&o.length, "for", "", "how long: 30m, 2h, 1d; at most 30d")
	f.StringVar(&o.set.Why, "why", "", "the `REASON`, which is told with it")
	o.common(c)
	return c
}

func (o *silenceOptions) common(c *cobra.Command) {
	c.Flags().StringVar(&o.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	c.Flags().BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
}

func newSilenceListCmd(a *app) *cobra.Command {
	o := silenceOptions{app: a, now: time.Now}
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the silences that hold",
		Long:    long(`list prints what is silenced until when, how much was held, by whom and why.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify silence list --json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.list(c.Context()) },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each")
	return c
}

func newSilenceRemoveCmd(a *app) *cobra.Command {
	o := silenceOptions{app: a, now: time.Now, host: login.Live()}
	c := &cobra.Command{
		Use:     "remove REF…",
		Short:   "End silences before their time",
		Long:    long(`remove ends silences, and tells what they held. sshnotify silence list has their refs.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify silence remove 7K3F",
		Args:    needsSome,
		RunE:    func(c *cobra.Command, args []string) error { return o.remove(c.Context(), args) },
	}
	o.common(c)
	return c
}

func (o *silenceOptions) add(ctx context.Context) error {
	c, err := o.app.settings()
	if err != nil {
		return err
	}
	if c.Hub.Host() {
		return withHint(errors.New("this host hands over to a hub, which decides what is told"), "run it there, with the host's name: sshnotify silence add --host … at "+c.Hub.URL)
	}
	if err := o.complete(c); err != nil {
		return err
	}
	s := o.set
	return o.change(ctx, c, func(db *store.DB) ([]event.Note, error) {
		if err := deliver.AddSilence(ctx, db, s); err != nil {
			return nil, err
		}
		fmt.Fprintf(o.app.out, "%s  %s until %s\n", event.Ref(s.ID), s, s.Until.In(c.Zone()).Format(untilFormat))
		return []event.Note{message.SilenceBegun(s, c.Zone())}, nil
	})
}

// complete checks the flags, and makes a silence of them.
func (o *silenceOptions) complete(c config.Config) error {
	s := &o.set
	var err error
	if s.Network, err = network(o.network); err != nil {
		return err
	}
	if s.Kind = event.Kind(o.kind); o.kind != "" && !slices.Contains(policy.SilencedKinds(), s.Kind) {
		return &usageError{fmt.Errorf("--kind: %q can't be silenced", o.kind)}
	}
	length, ok := strictoml.ParseDuration(o.length)
	switch {
	case s.User == "" && s.Host == "" && !s.Network.IsValid() && s.Kind == "" && s.Rule == "":
		return withHint(&usageError{errors.New("nothing says what is to be silent")}, "--user, --host, --network, --kind or --rule; for a whole host: --host '*'")
	case o.length == "":
		return withHint(&usageError{errors.New("--for is missing")}, "a silence has an end: --for 2h")
	case !ok || length <= 0 || length > longestSilence:
		return withHint(&usageError{fmt.Errorf("--for: %q is not a time such as 30m, 2h or 1d, of at most 30d", o.length)}, "what is never to be told is for the settings: ignore = true of a [[rule]]")
	case strings.TrimSpace(s.Why) == "":
		return withHint(&usageError{errors.New("--why is missing")}, `a silence has a reason: --why "release 4.2"`)
	case s.Rule != "" && !slices.ContainsFunc(c.Rules, func(r policy.Rule) bool { return r.Name == s.Rule }):
		return &usageError{fmt.Errorf("--rule: no rule of the settings is called %q", s.Rule)}
	}
	s.ID, s.From = event.NewID(), o.now().UTC()
	s.Until = s.From.Add(length).Truncate(time.Second)
	s.User, s.Host, s.Why = event.Clean(s.User, maxSilence), event.Clean(s.Host, maxSilence), event.Clean(strings.TrimSpace(s.Why), maxSilence)
	s.By, _ = o.host.Account()
	if from := o.host.Origin(); from.IsValid() {
		s.Peer = from.String()
	}
	return nil
}

const (
	maxSilence  = 200 // characters of each text of a silence
	untilFormat = "15:04 MST, Mon 2 Jan 2006"
)

// change lets f alter the silences as the owner of the state folder, and tells what
// it returns, if only in part.
func (o *silenceOptions) change(ctx context.Context, c config.Config, f func(*store.DB) ([]event.Note, error)) error {
	a := o.app
	dir, stateDir := a.spoolDir(o.spoolDir, c), a.stateDir(c)
	var notes []event.Note
	err := a.asOwner(dir, stateDir, func() error {
		if a.uid != 0 {
			if err := ownState(stateDir); err != nil {
				return err
			}
		}
		db, err := a.askBeside(stateDir)
		if err == nil {
			defer db.Close()
			err = db.Migrate(ctx)
		}
		if err == nil {
			notes, err = f(db)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return withHint(err, "the first worker makes the database; sshnotify doctor tells whether it is set up")
		}
		return historyError(err)
	})
	for _, n := range notes {
		e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: o.now(), Host: c.Host, Via: event.ViaSelf, Alert: &n}
		if e.Host == "" {
			e.Host, _ = os.Hostname() // without one it names no host
		}
		if e := a.enqueue(dir, e); e != nil {
			return errors.Join(err, withHint(e, "it is done, and nobody is told of it"))
		}
	}
	if err != nil || len(notes) == 0 || o.noWorker {
		return err
	}
	return a.ensureWorker(dir)
}

// silences returns those that hold.
func (o *silenceOptions) silences(ctx context.Context, db *store.DB) ([]event.Silence, error) {
	all, err := deliver.ReadSilences(ctx, db)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s event.Silence) bool { return !s.Until.After(o.now()) }), nil
}

func (o *silenceOptions) list(ctx context.Context) error {
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	var all []event.Silence
	db, err := a.recall(c) // for its errors
	if err == nil {
		db.Close()
		var st *store.DB
		if st, err = lookInto(a.stateDir(c)); err == nil {
			defer st.Close()
			all, err = o.silences(ctx, st)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return historyError(err)
	}
	if o.json {
		enc := json.NewEncoder(a.out)
		for _, s := range all {
			if err := enc.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "nothing is silenced")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REF\tWHAT\tUNTIL\tHELD\tBY\tWHY")
	for _, s := range all {
		held := 0
		for n := range maps.Values(s.Held) {
			held += n
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", event.Ref(s.ID), s, s.Until.In(c.Zone()).Format(untilFormat), held, s.By, s.Why)
	}
	return w.Flush()
}

func (o *silenceOptions) remove(ctx context.Context, refs []string) error {
	c, err := o.app.settings()
	if err != nil {
		return err
	}
	by, _ := o.host.Account()
	return o.change(ctx, c, func(db *store.DB) (notes []event.Note, err error) {
		all, err := o.silences(ctx, db)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			ref = strings.ToUpper(strings.TrimSpace(ref))
			found := slices.DeleteFunc(slices.Clone(all), func(s event.Silence) bool { return ref == "" || !strings.HasPrefix(s.ID, ref) })
			switch {
			case len(found) == 0:
				return notes, withHint(fmt.Errorf("no silence has the ref %q", ref), "sshnotify silence list has those that hold")
			case len(found) > 1:
				return notes, fmt.Errorf("%q is the beginning of %d refs: give more of it", ref, len(found))
			}
			if err := deliver.RemoveSilence(ctx, db, found[0].ID); err != nil {
				return notes, err
			}
			fmt.Fprintf(o.app.out, "ended: %s\n", found[0])
			notes = append(notes, message.SilenceEnded(found[0], by))
		}
		return notes, nil
	})
}
