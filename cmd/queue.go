package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/store"
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
		Short: "List pending events and dead letters",
		Long: long(`queue lists pending events, dead letters, and unexpected files in the spool; at a
hub, also what hosts handed over. Each
has an id; any unambiguous prefix of it will do, such as the "ref" of a message.
An event that repeats one already delivered is held until the end of its window
(group.window); retry sends it at once.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify queue
  sshnotify queue show 7K3F
  sshnotify queue retry          # everything, dead letters included
  sshnotify queue drop 7K3F`,
		Args: noCommand,
		RunE: func(*cobra.Command, []string) error { return o.list() },
	}
	f := c.PersistentFlags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to look at (default: from the settings)")
	f.BoolVar(&o.json, "json", false, "print a JSON object per line")
	list := &cobra.Command{
		Use: "list", Short: "List pending events and dead letters",
		Long:    long("list is what queue does without a subcommand.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue list --json",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return o.list() },
	}
	show := &cobra.Command{
		Use: "show ID", Short: "Show everything about an event",
		Long:    long("show prints an event as it is stored, and its state at each destination.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue show 7K3F",
		Args:    needsOne,
		RunE:    func(_ *cobra.Command, args []string) error { return o.show(args[0]) },
	}
	retry := &cobra.Command{
		Use: "retry [ID…]", Short: "Try again now, dead letters included",
		Long: long(`retry makes pending events due now, including those held for their repeat window,
and requeues dead letters. Without an ID it means all of them. If a worker is
running, it is asked to do so; otherwise one is started.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue retry 7K3F",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return o.request(c.Context(), deliver.OpRetry, args)
		},
	}
	retry.Flags().BoolVar(&o.noWorker, "no-worker", false, "don't start a worker: a service delivers")
	drop := &cobra.Command{
		Use: "drop ID…", Short: "Remove events without delivering them",
		Long:    long("drop removes pending events, dead letters and unexpected files from the spool, at\na hub also what hosts handed over. They are not delivered.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify queue drop 7K3F 9QXA",
		Args:    needsSome,
		RunE:    func(c *cobra.Command, args []string) error { return o.request(c.Context(), deliver.OpDrop, args) },
	}
	for _, sub := range []*cobra.Command{show, retry, drop} {
		sub.ValidArgsFunction = o.completeRefs
	}
	c.AddCommand(list, show, retry, drop)
	return c
}

// inHub is the Folder of what a host handed over, which is in the hub's database.
const inHub spool.Folder = "hub"

// entry is a file in the spool, or an event that a host handed over, as --json lists it.
type entry struct {
	deliver.Record
	ID       string       `json:"id"`
	Folder   spool.Folder `json:"folder"`
	Ref      string       `json:"ref"` // as much of the id as is clear
	Progress []string     `json:"progress,omitempty"`
	Held     time.Time    `json:"held_until,omitzero"` // for its repeat window, quiet hours, or a budget of the day
	Problem  string       `json:"problem,omitempty"`   // why it is no event, or can't be read
	File     string       `json:"file,omitempty"`      // of what is no event: its name, cleaned
	Content  string       `json:"content,omitempty"`   // the beginning of it, cleaned; for show
	// readable says that it can be retried: it is an event, whatever else is wrong.
	readable bool
	foreign  bool // it has an event's name, and is no file
	file     spool.File
}

// maxContent is how much of a foreign file is shown, in characters.
const maxContent = 1000

// open returns the spool, and reads what is in it: the oldest event first. What
// can be read comes with an error, too.
func (o *queueOptions) open() (config.Config, *spool.Spool, []entry, error) {
	c, err := o.app.settings()
	if err != nil {
		return c, nil, nil, err
	}
	s := spool.Open(spool.For(o.app.spoolDir(o.spoolDir, c), o.app.uid))
	files, err := s.Waiting()
	strange, strangeErr := s.Strange()
	if err == nil {
		err = strangeErr
	}
	now := time.Now()
	held := heldUntil(c, s, o.app.stateDir(c), now)
	var all []entry
	for _, f := range append(files, strange...) {
		if f.IsWorkers() {
			continue // a message or a request
		}
		e := entry{ID: f.ID(), Folder: f.Folder, file: f}
		e.read(s)
		if e.readable && f.Folder != spool.InFailed {
			e.Held = held(e.Record)
		}
		e.Progress = e.Record.Progress()
		all = append(all, e)
	}
	handed, handedErr := o.app.handedOver(context.Background(), c)
	for id, data := range handed {
		e := entry{ID: id, Folder: inHub}
		r, err := deliver.DecodeRecord(data)
		if e.readable = err == nil; e.readable {
			e.Record, e.Held, e.Progress = r, held(r), r.Progress()
		} else {
			e.Problem = event.Clean(err.Error(), maxProblem)
		}
		all = append(all, e)
	}
	err = errors.Join(err, handedErr)
	slices.SortStableFunc(all, func(a, b entry) int { return a.Event.Time.Compare(b.Event.Time) })
	giveRefs(all)
	return c, s, all, err
}

// handedOver returns, at a hub, the records of what hosts handed over and no worker is
// done with, by the ids of the events.
func (a *app) handedOver(ctx context.Context, c config.Config) (map[string][]byte, error) {
	if !c.Hub.Hub() {
		return nil, nil
	}
	db, err := lookInto(a.stateDir(c))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	all, err := hub.Waiting(ctx, db)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no worker has run yet
	}
	return all, err
}

// heldUntil returns until when a waiting record is held for its repeat window, for
// quiet hours, or for a budget of the day; the zero time if it is not.
func heldUntil(c config.Config, s *spool.Spool, stateDir string, now time.Time) func(deliver.Record) time.Time {
	holds, quiet, day := deliver.Holds{}, map[string]policy.Quiet{}, deliver.Budgets{}
	for _, d := range c.AlertDestinations() {
		quiet[d.Name] = c.QuietOf(d)
	}
	if db, err := lookInto(stateDir); err == nil {
		holds = deliver.ReadHolds(context.Background(), db, s.Dir(), c.Group.Window, now)
		day = deliver.ReadBudgets(db, budgets(c), c.Zone())
		db.Close()
	}
	return func(r deliver.Record) (until time.Time) {
		for _, t := range []time.Time{holds.Until(r), deliver.QuietUntil(r, quiet, now), day.Until(r, now)} {
			if t.After(until) {
				until = t
			}
		}
		return until
	}
}

// read fills in what a file holds. Only the worker's own folders hold records:
// anybody else's file that looks like one is an event at most.
func (e *entry) read(s *spool.Spool) {
	var err error
	if !e.file.IsEvent() {
		e.File = e.file.Show()
		if e.Problem = s.Why(e.file); e.Problem == "" {
			e.Problem = "no event of ours"
			if _, err := s.Peek(e.file); errors.Is(err, spool.ErrForeign) {
				e.Problem = event.Clean(bare(err).Error(), maxProblem)
			}
		}
		e.Event.Time = e.file.Time
		return
	}
	b, err := s.Peek(e.file)
	if err == nil && e.Folder != spool.InCur && e.Folder != spool.InFailed {
		e.Record.V = event.Version
		e.Event, err = sshauth.Decode(b)
	} else if err == nil {
		e.Record, err = deliver.DecodeRecord(b)
	}
	if err == nil && e.Event.ID+".json" != e.file.Name {
		err = fmt.Errorf("it holds the event %s", e.Event.ID)
	}
	why := s.Why(e.file)
	if err != nil {
		e.Record = deliver.Record{}
		e.Event.Time = e.file.Time
		e.Problem = event.Clean(cmp.Or(why, bare(err).Error()), maxProblem)
		e.foreign = errors.Is(err, spool.ErrForeign)
		return
	}
	e.readable = true
	e.Problem = why
}

// bare leaves out the path, which the list's own column tells.
func bare(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// maxProblem is how much of a problem is shown, in characters.
const maxProblem = 300

// giveRefs finds for each id the shortest beginning that is clear, of four
// characters at least.
func giveRefs(all []entry) {
	ids := make([]string, 0, len(all))
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	common := func(a, b string) int {
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		return n
	}
	for i := range all {
		e := &all[i]
		n := len(event.Ref(e.ID))
		at, _ := slices.BinarySearch(ids, e.ID)
		if at > 0 {
			n = max(n, common(ids[at-1], e.ID)+1)
		}
		if at+1 < len(ids) {
			n = max(n, common(ids[at+1], e.ID)+1)
		}
		e.Ref = e.ID[:min(n, len(e.ID))]
	}
}

func (o *queueOptions) list() error {
	_, s, all, err := o.open()
	if err != nil && len(all) == 0 {
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
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "nothing waits")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REF\tTIME (UTC)\tWHAT\tSTATE")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Ref, e.Event.Time.UTC().Format(time.DateTime), e.what(), e.state())
	}
	return errors.Join(w.Flush(), err)
}

func (e *entry) what() string {
	if e.File != "" {
		return fmt.Sprintf("file %q: %s", e.File, event.Clean(e.Problem, 80))
	}
	if !e.readable {
		return "can't be read: " + event.Clean(e.Problem, 80)
	}
	if title, text := message.Note(e.Event, nil); title != "" || text != "" {
		return event.Clean(string(e.Event.Kind)+": "+cmp.Or(title, text), 60)
	}
	s := string(e.Event.Kind) + " of " + e.Event.User
	if e.From != "" {
		s += " to " + e.From
	}
	if ip := e.Event.Remote.IP; ip.IsValid() {
		s += " from " + ip.String()
	}
	return s
}

func (e *entry) state() string {
	s := "waiting"
	switch {
	case e.File != "" && e.Folder == spool.InFailed:
		s = "refused"
	case e.Folder == spool.InFailed:
		s = "dead letter"
	case e.File != "" || e.foreign:
		s = "no event"
	case !e.Held.IsZero():
		s = "held until " + clock(e.Held, time.Now())
	}
	if e.readable && e.Problem != "" {
		s += "; " + event.Clean(e.Problem, 80)
	}
	if len(e.Progress) > 0 {
		s += "; " + strings.Join(e.Progress, "; ")
	}
	return s
}

// clock writes a time to come as the list's own column does: in UTC, with the
// day where it is another one.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	// A minute that has begun is over before it is due.
	if up := t.Truncate(time.Minute); up.Before(t) {
		t = up.Add(time.Minute)
	}
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// find returns the one file that an id, or the beginning of one, names.
func find(all []entry, name string) (entry, error) {
	var found []entry
	prefix := strings.ToUpper(name)
	for _, e := range all {
		if name == "" || !strings.HasPrefix(e.ID, prefix) && e.File != name {
			continue
		}
		at := slices.IndexFunc(found, func(x entry) bool { return x.ID == e.ID })
		switch {
		case at < 0:
			found = append(found, e)
		case len(e.Deliveries) > 0:
			// A second report of a login that waits already: the first has a record.
			found[at] = e
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return entry{}, withHint(fmt.Errorf("no event in the spool matches %q", name), "sshnotify queue lists what is")
	}
	err := fmt.Errorf("%q is the beginning of %d events", name, len(found))
	var ids []string
	for _, e := range found[:min(len(found), 5)] {
		ids = append(ids, e.ID)
	}
	return entry{}, withHint(err, "give more of the id: "+strings.Join(ids, ", "))
}

// findIn is find among what could be read: what could not is an error only if
// it may be what is looked for.
func findIn(all []entry, name string, unread error) (entry, error) {
	e, err := find(all, name)
	if err != nil && unread != nil {
		err = errors.Join(err, unread)
	}
	return e, err
}

func (o *queueOptions) show(name string) error {
	_, s, all, err := o.open()
	if err != nil && len(all) == 0 {
		return err
	}
	e, err := findIn(all, name, err)
	if err != nil {
		return err
	}
	if !e.readable && e.Folder != inHub {
		if b, err := s.Peek(e.file); err == nil {
			e.Content = event.Clean(string(b[:min(len(b), 4*maxContent)]), maxContent)
		}
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
	if err != nil && len(all) == 0 {
		return err
	}
	unread := err
	r := deliver.Request{Op: op}
	for _, arg := range args {
		e, err := findIn(all, arg, unread)
		if err != nil {
			return err
		}
		if op == deliver.OpRetry && !e.readable && e.Folder != spool.InCur {
			return withHint(fmt.Errorf("%s is not an event and can't be retried: %s", e.Ref, e.Problem),
				"look at it: sshnotify queue show "+e.Ref, "remove it: sshnotify queue drop "+e.Ref)
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
		fmt.Fprintln(o.app.out, "the running worker was asked to do it")
		return nil
	}
	dir := o.app.spoolDir(o.spoolDir, c)
	if err := o.app.becomeOwner(dir, o.app.stateDir(c)); err != nil {
		return err
	}
	s = spool.Open(spool.For(dir, o.app.uid))
	q, err := s.Lock(ctx, false)
	if err != nil {
		return err
	}
	var in deliver.Inbox
	if c.Hub.Hub() {
		db, err := store.Open(databaseFile(o.app.stateDir(c)), store.Options{})
		if err != nil {
			return errors.Join(err, q.Unlock())
		}
		defer db.Close()
		in = hub.NewInbox(db)
	}
	err = deliver.Carry(q, in, r)
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
