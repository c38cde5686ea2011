package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/message"
)

type ackOptions struct {
	queue queueOptions
	ask   *prompter // nil: nobody to ask
	now   func() time.Time
	host  login.Host

	user, network, key, note string
	all, undo, yes, noWorker bool
}

func newAckCmd(a *app) *cobra.Command {
	o := ackOptions{queue: queueOptions{app: a}, now: time.Now, host: login.Live()}
	c := &cobra.Command{
		Use:   "ack {REF… | --user NAME | --network NETWORK | --key FINGERPRINT | --all}",
		Short: "Say of a login that it was expected",
		Long: long(`ack says of a login "that was us": its user, network and key are usual from then
on, and nothing else is. Until somebody says so, what was told as high or critical
stays new, and is told again; and so do a password and a new key of a known user.
REF is the "ref" of a message; sshnotify history lists them, too.`,
			`With --user, --network or --key it is about all of theirs that are not usual yet,
whether they wait for an answer or not; with --all about each that waits. They are
shown, and ack asks first; without a terminal, --yes is required.`,
			`It is remembered who said so, when, and from where, and told to the destinations
that got the alert. What is said from the address or with the key of the login
itself is told as "acknowledged from within", as severe as the alert was. --undo
takes it back.`,
			`On a host that hands over to a hub it is a claim: the hub shows it, and believes
nobody who says so on the host that was logged in to.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify ack 7K3F --note "dave is in Malta until Sunday"
  sshnotify ack --user dave
  sshnotify ack 7K3F --undo`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: o.queue.completeRefs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "user", "network", "key"); err != nil {
				return err
			}
			o.ask = a.terminal()
			return o.run(c.Context(), args)
		},
	}
	f := c.Flags()
	f.StringVar(&o.user, "user", "", "what is not usual yet of `NAME`")
	f.StringVar(&o.network, "network", "", "what is not usual yet from this address or `NETWORK`")
	f.StringVar(&o.key, "key", "", "what is not usual yet with this key's `FINGERPRINT`")
	f.BoolVar(&o.all, "all", false, "all that waits")
	f.StringVar(&o.note, "note", "", "`TEXT` that is remembered and told with it")
	f.BoolVar(&o.undo, "undo", false, "take it back")
	f.BoolVar(&o.yes, "yes", false, "don't ask")
	f.StringVar(&o.queue.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
	return c
}

// mostAcked is how many are said of at once.
const mostAcked = 500

func (o *ackOptions) run(ctx context.Context, refs []string) error {
	a := o.queue.app
	chosen := o.user != "" || o.network != "" || o.key != "" || o.all
	switch {
	case len(refs) == 0 && !chosen:
		return withHint(&usageError{errors.New("nothing says which login is meant")}, "for example: sshnotify ack 7K3F, with the ref of a message")
	case len(refs) > 0 && chosen:
		return &usageError{errors.New("a REF and --user, --network, --key or --all are mutually exclusive")}
	case o.undo && chosen:
		return withHint(&usageError{errors.New("--undo takes a REF")}, "sshnotify show REF tells what was acknowledged")
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	by, _ := o.host.Account()
	from := o.host.Origin()
	dir := a.spoolDir(o.queue.spoolDir, c)
	if c.Hub.Host() {
		return o.claim(c, dir, refs, cmp.Or(by, "somebody"))
	}
	var notes []event.Event
	err = a.asOwner(dir, a.stateDir(c), func() (err error) {
		notes, err = o.acknowledge(ctx, c, refs, chosen, by, from)
		return err
	})
	// What was acknowledged before something failed is told all the same.
	for _, n := range notes {
		if e := a.enqueue(dir, n); e != nil {
			return errors.Join(err, withHint(e, "it is acknowledged, and nobody is told of it"))
		}
	}
	if err != nil || len(notes) == 0 || o.noWorker {
		return err
	}
	return a.ensureWorker(dir)
}

// minRef is how much of an id a claim must name: what a message shows of it.
const minRef = 4

// claim has the hub show that somebody at this host says so of logins.
func (o *ackOptions) claim(c config.Config, dir string, refs []string, by string) error {
	a := o.queue.app
	if o.undo || len(refs) == 0 {
		return withHint(errors.New("this host hands over to a hub, which remembers"), "run it there: "+c.Hub.URL+"; here, sshnotify ack REF makes a claim that is shown there")
	}
	for i, ref := range refs {
		refs[i] = strings.ToUpper(strings.TrimSpace(ref))
		if ref := refs[i]; len(ref) < minRef || !event.ValidID(ref+strings.Repeat("0", max(0, event.IDLength-len(ref)))) {
			return &usageError{fmt.Errorf("%q is no REF of a message", ref)}
		}
	}
	for _, ref := range refs {
		n := message.Claimed(ref, by, o.note)
		e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: o.now(), Host: c.Host, User: by, Via: event.ViaSelf, Alert: &n}
		if e.Host == "" {
			e.Host, _ = os.Hostname() // the hub knows it in any case
		}
		if err := a.enqueue(dir, e); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "claimed: %s; it counts when it is acknowledged at the hub: sshnotify ack %[1]s\n", ref)
	}
	if o.noWorker {
		return nil
	}
	return a.ensureWorker(dir)
}

// acknowledge records it, and returns what is to be told.
func (o *ackOptions) acknowledge(ctx context.Context, c config.Config, refs []string, chosen bool, by string, from netip.Addr) ([]event.Event, error) {
	a := o.queue.app
	db, err := o.memory(c)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	entries, err := o.find(ctx, c, db, refs)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		fmt.Fprintln(a.out, "nothing of that waits for an answer")
		return nil, nil
	}
	if chosen {
		for _, e := range entries {
			fmt.Fprintf(a.out, "%s  %s\n", e.Time.In(c.Zone()).Format(time.DateTime), spokenOf(e))
		}
		if !o.yes {
			if o.ask == nil {
				return nil, withHint(&usageError{errors.New("nobody to ask, nothing was acknowledged")}, "--yes acknowledges without asking")
			}
			if yes, err := o.ask.yes(ctx, fmt.Sprintf("acknowledge %s?", logins(len(entries))), false); err != nil || !yes {
				return nil, err
			}
		}
	}
	return o.say(ctx, c, db, entries, by, from)
}

// memory opens what is remembered, to change it.
func (o *ackOptions) memory(c config.Config) (*history.DB, error) {
	a := o.queue.app
	old, err := a.recall(c) // which makes no database
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(errors.New("nothing is remembered yet"), "the first login makes the memory; sshnotify doctor tells whether logins arrive")
	} else if err != nil {
		return nil, historyError(err)
	}
	old.Close()
	return history.Open(databaseFile(a.stateDir(c)), c.History.Options(c.Zone()))
}

func (o *ackOptions) find(ctx context.Context, c config.Config, db *history.DB, refs []string) ([]history.Entry, error) {
	if len(refs) == 0 {
		ip, err := network(o.network)
		if err != nil {
			return nil, err
		}
		all, err := db.Unanswered(ctx, history.Filter{User: o.user, IP: ip, Key: o.key}, !o.all, mostAcked)
		return all, historyError(err)
	}
	var out []history.Entry
	for _, ref := range refs {
		if strings.TrimSpace(ref) == "" {
			return nil, &usageError{errors.New("the REF is empty")}
		}
		found, err := db.Find(ctx, strings.ToUpper(ref), mostKnown+1)
		if short, ok := elsewhere(ref); ok && err == nil && len(found) == 0 {
			found, err = db.Find(ctx, strings.ToUpper(short), mostKnown+1)
		}
		if err == nil && len(found) == 0 {
			found, err = o.gotIn(ctx, c, db, strings.ToUpper(ref))
		}
		switch {
		case err != nil:
			return nil, historyError(err)
		case len(found) == 0:
			return nil, withHint(fmt.Errorf("no login is remembered whose id begins with %q", ref), "sshnotify history lists refs; only logins can be acknowledged")
		case len(found) > 1:
			var hints []string
			for _, e := range found[:min(len(found), mostKnown)] {
				hints = append(hints, e.ID+"  "+spokenOf(e).String())
			}
			return nil, withHint(fmt.Errorf("%q is the beginning of %s logins", ref, atLeast(len(found))), slices.Concat([]string{"give more of the id:"}, hints)...)
		}
		out = append(out, found[0])
	}
	return out, nil
}

// gotIn returns the logins that watchers told of as ones after failures, by the refs
// of their messages: where those came first, the hook's word of the login was not
// told again, and has another.
func (o *ackOptions) gotIn(ctx context.Context, c config.Config, db *history.DB, ref string) (found []history.Entry, err error) {
	st, err := lookInto(o.queue.app.stateDir(c))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	all, err := deliver.ReadDelivered(ctx, st, "", time.Time{})
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		ip, err := network(t.IP)
		if !t.GotIn || !strings.HasPrefix(t.ID, ref) || err != nil {
			continue
		}
		near := history.Filter{User: t.User, IP: ip, Since: t.Time.Add(-deliver.SameLogin), Until: t.Time.Add(deliver.SameLogin), Limit: 1}
		for e, err := range db.List(ctx, near) {
			if err != nil {
				return nil, err
			}
			found = append(found, e)
		}
	}
	return found, nil
}

func spokenOf(e history.Entry) message.Login {
	from := "nowhere"
	if e.IP.IsValid() {
		from = e.IP.String()
	}
	return message.Login{Ref: event.Ref(e.ID), User: event.Clean(e.User, maxProblem), From: from, Severity: e.Severity}
}

func (o *ackOptions) say(ctx context.Context, c config.Config, db *history.DB, entries []history.Entry, by string, from netip.Addr) (notes []event.Event, err error) {
	a := o.queue.app
	session := ""
	if from.IsValid() {
		session = from.String()
	}
	sent := o.destinations(ctx, c)
	for _, e := range entries {
		var changed bool
		if o.undo {
			changed, err = db.Unacknowledge(ctx, e.ID, o.now())
		} else {
			changed, err = db.Acknowledge(ctx, history.Acknowledgement{Time: o.now(), Event: e.ID, By: by, Session: session, Note: o.note})
		}
		if err != nil {
			return notes, historyError(err)
		}
		l := spokenOf(e)
		switch {
		case !changed && o.undo:
			fmt.Fprintf(a.out, "not acknowledged before: %s\n", l)
			continue
		case !changed:
			fmt.Fprintf(a.out, "acknowledged before: %s\n", l)
			continue
		case o.undo:
			fmt.Fprintf(a.out, "no longer acknowledged: %s\n", l)
		default:
			fmt.Fprintf(a.out, "acknowledged: %s\n", l)
		}
		n := message.Acknowledged(l, cmp.Or(by, "somebody"), o.note, o.undo, !o.undo && within(ctx, db, e, from))
		n.Only, n.Of = sent[e.ID], e.ID
		notes = append(notes, event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: o.now(), Host: e.Host, User: by, Via: event.ViaSelf, Alert: &n})
	}
	return notes, nil
}

// within reports whether somebody acknowledges a login from where it came
// itself, or in a session that was opened with its key.
func within(ctx context.Context, db *history.DB, e history.Entry, from netip.Addr) bool {
	if !from.IsValid() {
		return false
	}
	if history.SameSource(from, e.IP) {
		return true
	}
	p, err := from.Prefix(from.BitLen())
	if err != nil || e.Key == "" {
		return false
	}
	for own, err := range db.List(ctx, history.Filter{IP: p, Limit: 1}) {
		return err == nil && own.Key == e.Key
	}
	return false
}

// destinations returns who got which event lately.
func (o *ackOptions) destinations(ctx context.Context, c config.Config) map[string][]string {
	out := map[string][]string{}
	db, err := lookInto(o.queue.app.stateDir(c))
	if err != nil {
		return out // all of them are told
	}
	defer db.Close()
	all, err := deliver.ReadDelivered(ctx, db, "", time.Time{})
	if err != nil {
		return out
	}
	for _, d := range all {
		for _, s := range d.Sent {
			out[d.ID] = append(out[d.ID], s.Dest)
		}
	}
	return out
}
