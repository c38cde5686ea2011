package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
)

type queueOptions struct {
	app      *app
	spoolDir string
	json     bool
	noWorker bool
}

func newQueueCmd(a *app) *cobra.Command {
	o := queueOptions{app: a}
	c := &cobra.Command{
		Use:   "queue",
		Short: "List what waits in the spool, and what was given up",
		Long: long(`queue lists the events that wait, and the dead letters. An event is named by its
id, or by as much of its beginning as is clear; a message's "ref" is one.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify queue
  sshnotify queue show 7K3F
  sshnotify queue retry          # everything, dead letters included
  sshnotify queue drop 7K3F`,
		Args: noCommand,
		RunE: func(*cobra.Command, []string) error { return o.list() },
	}
	f := c.PersistentFlags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to look at (default: that of the settings)")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line")
	list := &cobra.Command{
		Use: "list", Short: "List what waits, and what was given up",
		Long:    long("list is what queue does without a subcommand.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue list --json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return o.list() },
	}
	show := &cobra.Command{
		Use: "show ID", Short: "Show all that is known of an event",
		Long:    long("show prints an event as it is stored, and how far it is with each destination.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue show 7K3F",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return o.show(args[0]) },
	}
	retry := &cobra.Command{
		Use: "retry [ID…]", Short: "Try again now, dead letters too",
		Long: long(`retry makes waiting events due at once, and takes dead letters back. Without an ID
it means all. A worker that runs is asked to do it; otherwise one is started.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue retry 7K3F",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return o.request(c.Context(), deliver.OpRetry, args)
		},
	}
	retry.Flags().BoolVar(&o.noWorker, "no-worker", false, "start no worker: a service delivers")
	drop := &cobra.Command{
		Use: "drop ID…", Short: "Remove events without telling them",
		Long:    long("drop removes events from the spool, waiting or given up, and tells nobody.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue drop 7K3F 9QXA",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return o.request(c.Context(), deliver.OpDrop, args) },
	}
	c.AddCommand(list, show, retry, drop)
	return c
}

// entry is an event in the spool, as --json lists it.
type entry struct {
	deliver.Record
	ID       string       `json:"id"`
	Folder   spool.Folder `json:"folder"`
	Progress []string     `json:"progress,omitempty"`
	Problem  string       `json:"problem,omitempty"` // why it can't be read
}

// open gives the spool, and reads what is in it: the oldest event first.
func (o *queueOptions) open() (config.Config, *spool.Spool, []entry, error) {
	c, err := o.app.settings()
	if err != nil {
		return c, nil, nil, err
	}
	s := spool.Open(spoolOptions(o.app.spoolDir(o.spoolDir, c), o.app.uid))
	files, err := s.Waiting()
	if err != nil {
		return c, s, nil, err
	}
	var all []entry
	for _, f := range files {
		id, isEvent := strings.CutSuffix(f.Name, ".json")
		if !isEvent || !event.ValidID(id) && f.Folder != spool.InFailed {
			continue // a message or a request of the worker's, or foreign
		}
		e := entry{ID: id, Folder: f.Folder}
		b, err := s.Peek(f)
		if err == nil {
			e.Record, err = deliver.DecodeRecord(b)
		}
		if err != nil {
			e.Problem = err.Error()
			e.Event.Time = f.Time
		}
		e.Progress = e.Record.Progress()
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.Event.Time.Compare(b.Event.Time) })
	return c, s, all, nil
}

func (o *queueOptions) list() error {
	_, s, all, err := o.open()
	if err != nil {
		return err
	}
	a := o.app
	if silence := s.Silence(time.Now()); silence > spool.SilentAfter && s.Busy() {
		fmt.Fprintf(a.err, "sshnotify: warning: the worker has shown no life for %v: it may be stopped\nsshnotify: hint: %s\n",
			silence.Round(time.Second), silentHint(s.Dir()))
	}
	if o.json {
		enc := json.NewEncoder(a.out)
		for _, e := range all {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "nothing waits")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REF\tTIME (UTC)\tWHAT\tSTATE")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", event.Ref(e.ID), e.Event.Time.UTC().Format(time.DateTime), e.what(), e.state())
	}
	return w.Flush()
}

func (e *entry) what() string {
	if e.Problem != "" {
		return "can't be read: " + event.Clean(e.Problem, 80)
	}
	if n := e.Event.Note; n != nil {
		text := n.Text
		if n.Title != "" {
			text = n.Title
		}
		return event.Clean("alert: "+text, 60)
	}
	s := string(e.Event.Kind) + " of " + e.Event.User
	if ip := e.Event.Remote.IP; ip.IsValid() {
		s += " from " + ip.String()
	}
	return s
}

func (e *entry) state() string {
	s := "waiting"
	if e.Folder == spool.InFailed {
		s = "dead letter"
	}
	if len(e.Progress) > 0 {
		s += "; " + strings.Join(e.Progress, "; ")
	}
	return s
}

// find gives the one event that an id, or the beginning of one, names.
func find(all []entry, name string) (entry, error) {
	var found []entry
	prefix := strings.ToUpper(name)
	for _, e := range all {
		switch n := len(found); {
		case !strings.HasPrefix(e.ID, prefix) && e.ID != name:
		case n > 0 && found[n-1].ID == e.ID:
			// A second report of a login that waits already: the first has a record.
			if len(e.Parts) > 0 {
				found[n-1] = e
			}
		default:
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return entry{}, withHint(fmt.Errorf("no event %q is in the spool", name), "sshnotify queue lists what is")
	}
	err := fmt.Errorf("%q is the beginning of %d events", name, len(found))
	var ids []string
	for _, e := range found[:min(len(found), 5)] {
		ids = append(ids, e.ID)
	}
	return entry{}, withHint(err, "give more of the id: "+strings.Join(ids, ", "))
}

func (o *queueOptions) show(name string) error {
	_, _, all, err := o.open()
	if err != nil {
		return err
	}
	e, err := find(all, name)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(o.app.out)
	if !o.json {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(e)
}

// request has a worker do something to events: the one that runs, or this
// process in its place.
func (o *queueOptions) request(ctx context.Context, op string, args []string) error {
	c, s, all, err := o.open()
	if err != nil {
		return err
	}
	r := deliver.Request{Op: op}
	for _, arg := range args {
		e, err := find(all, arg)
		if err != nil {
			return err
		}
		if !event.ValidID(e.ID) {
			return withHint(fmt.Errorf("%q is no event of ours", arg), "look at it, and remove the file by hand")
		}
		r.IDs = append(r.IDs, e.ID)
	}
	if op == deliver.OpRetry && len(all) == 0 {
		fmt.Fprintln(o.app.out, "nothing waits")
		return nil
	}
	if s.Busy() {
		if err := deliver.Ask(s, r); err != nil {
			return err
		}
		fmt.Fprintln(o.app.out, "the worker that runs was asked to do it")
		return nil
	}
	dir := o.app.spoolDir(o.spoolDir, c)
	if err := o.app.becomeOwner(dir, o.app.stateDir(c)); err != nil {
		return err
	}
	s = spool.Open(spoolOptions(dir, o.app.uid))
	q, err := s.Lock(ctx, false)
	if err != nil {
		return err
	}
	err = deliver.Carry(q, r)
	if err := errors.Join(err, q.Unlock()); err != nil {
		return err
	}
	if op == deliver.OpDrop {
		fmt.Fprintf(o.app.out, "%d dropped\n", len(r.IDs))
		return nil
	}
	if o.noWorker {
		fmt.Fprintln(o.app.out, "the next worker tries again")
		return nil
	}
	fmt.Fprintln(o.app.out, "a worker tries again")
	return o.app.ensureWorker(dir)
}
