package cmd

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/spool"
)

func newRespondOrdersCmd(a *app) *cobra.Command {
	o := respondOptions{show: showOptions{queue: queueOptions{app: a}}, host: respond.Live()}
	c := &cobra.Command{
		Use:   "orders",
		Short: "Carry out the orders of a hub that wait",
		Long: long(`orders is what sshnotify-respond.service runs, when the worker has fetched an order
from the hub. It believes none of it: the hub's CA that root trusts must have signed
it, for this host, within the last five minutes; it was not seen before; and the
host's own settings allow it (allow in [respond]). What is refused is told, with the
reason, and what is done is told as respond tells it.`,
			`sudo sshnotify install --system --respond sets it up.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify respond orders",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.takeOrders(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.show.queue.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
	return c
}

// evidenceWait is how long the hub may take to have a copy of evidence, until something
// is ended all the same.
const evidenceWait = 15 * time.Second

// trust is whom this host takes orders from, and as what.
type trust struct {
	ca    *x509.Certificate
	name  string // the host's at the hub
	allow []string
}

// trusts returns whom this host takes orders from. All that it goes by must be root's:
// the worker fetches the orders, and must not be able to make its own.
func (a *app) trusts(c config.Config) (trust, error) { return a.trustsIn(c, a.settingsPlace(c)) }

// trustsIn is trusts for settings of which this is the first file.
func (a *app) trustsIn(c config.Config, settings string) (trust, error) {
	t := trust{name: c.Respond.Name, allow: c.Respond.Allow}
	if len(t.allow) == 0 {
		return t, errors.New("the settings allow no orders: allow in [respond]")
	}
	place := c.Respond.CAFile
	if place == "" {
		place = filepath.Join(filepath.Dir(settings), order.CAName)
	}
	for _, file := range append([]string{place}, c.Files...) {
		if err := respond.RootsOwn(file); err != nil {
			if errors.Is(err, fs.ErrNotExist) && file == place {
				return t, fmt.Errorf("the hub's CA is not there: %w", err)
			}
			return t, fmt.Errorf("what orders are held against: %w", err)
		}
	}
	text, err := os.ReadFile(place)
	if err != nil {
		return t, err
	}
	if t.ca, err = order.ParseCA(text); err != nil {
		return t, fmt.Errorf("%s: %w", place, err)
	}
	return t, nil
}

// maxRounds is how often it is looked for more before systemd has to start this anew.
const maxRounds = 8

func (o *respondOptions) takeOrders(ctx context.Context) error {
	a := o.show.queue.app
	if a.uid != 0 {
		return withHint(respond.ErrNotRoot, "sudo sshnotify respond orders")
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	folder := order.In(a.spoolDir(o.show.queue.spoolDir, c))
	if err := respond.RootsOwn(string(folder)); err != nil {
		return withHint(fmt.Errorf("the folder of orders: %w", err), "sudo sshnotify install --system --respond makes it")
	}
	st, err := respond.OpenStore(a.respondDir(c))
	if err != nil {
		return err
	}
	defer st.Close()
	t, untrusted := a.trusts(c)
	var foreign []string
	for range maxRounds {
		found, more, err := folder.Take()
		for _, f := range found {
			why := o.takeOrder(ctx, c, st, t, untrusted, f)
			if why != "" {
				foreign = append(foreign, why)
			}
		}
		if err != nil {
			return err
		}
		if len(found) == 0 && !more {
			break
		}
	}
	if len(foreign) > 0 {
		fmt.Fprintf(a.err, "sshnotify: warning: %d files in %s were no orders of the hub's: %s\n", len(foreign), folder, foreign[0])
		// Whoever puts them there could have everybody told of nothing else.
		if before, err := st.Once(ctx, "foreign "+o.host.Now().UTC().Format("2006-01-02T15"), o.host.Now()); err == nil && before == 0 {
			o.tellOrder(c, message.OrdersForeign(len(foreign), string(folder), foreign[0]))
		}
	}
	return untrusted
}

// takeOrder carries out what lay in the folder, or tells why not. What is no order of
// the hub's is only counted: why says what is wrong with it.
func (o *respondOptions) takeOrder(ctx context.Context, c config.Config, st *respond.Store, t trust, untrusted error, f order.Found) (why string) {
	a := o.show.queue.app
	switch {
	case f.Err != nil:
		return f.Name + ": " + f.Err.Error()
	case t.ca == nil: // it can't be told whose it is
		return f.Name + ": " + untrusted.Error()
	}
	x, err := order.Open(f.Data, t.ca)
	no, _ := errors.AsType[*order.Refusal](err)
	switch {
	case err != nil && no == nil, no != nil && !no.Known:
		return f.Name + ": " + err.Error()
	case err != nil && !order.ValidNonce(x.Nonce):
		o.tellOrder(c, message.OrderEnded(message.Order{Ref: x.Subject.Ref(), By: x.By, Wants: x.Wants()}, string(respond.Refused), no.Why))
		return ""
	}
	refuse := func(why string) string {
		fmt.Fprintf(a.err, "sshnotify: warning: order %s of %s about %s is refused: %s\n", x.Nonce, x.By, x.Subject.Ref(), why)
		o.endOrder(c, x, string(respond.Refused), why)
		return ""
	}
	before, seenErr := st.Once(ctx, x.Nonce, o.host.Now())
	switch {
	case errors.Is(seenErr, respond.ErrTooMany):
		return refuse(seenErr.Error())
	case seenErr != nil: // it could be carried out any number of times
		return refuse(fmt.Sprintf("it can't be written down that it was seen: %v", seenErr))
	case before == 1:
		return refuse("it was carried out or refused here before, and has been put there again")
	case before > 1: // which was told
		return ""
	case err != nil:
		return refuse(no.Why)
	case untrusted != nil:
		return refuse(untrusted.Error())
	}
	if err := x.Check(t.name, t.allow, o.host.Now()); err != nil {
		return refuse(err.Error())
	}
	o.carryOut(ctx, c, st, x)
	return ""
}

// carryOut does what an order says, as respond does by hand.
func (o *respondOptions) carryOut(ctx context.Context, c config.Config, st *respond.Store, x order.Order) {
	a := o.show.queue.app
	one := *o
	one.order, one.json, one.dryRun, one.do = &x, false, x.Look, "as ordered"
	s := o.host.Account(local(x, o.host.Boot))
	s.ID = st.IDOf(s.ID, func(kept string) bool { return event.HubID(x.Host, kept) == x.Subject.ID })
	r := &respond.Responder{
		Host: o.host, Subject: s, Folder: a.respondDir(c), Self: o.host.Self(), By: x.By + order.ByHub,
		Known: networksOf(c), Neighbours: x.Neighbours, For: x.For(), Undo: a.undoing(s.ID), Hub: o.hubAddresses(c),
	}
	out, err := one.respond(ctx, c, r, x.Actions, nil)
	if _, silent := errors.AsType[*silentError](err); err != nil && !silent {
		fmt.Fprintf(a.err, "sshnotify: warning: order %s about %s: %v\n", x.Nonce, x.Subject.Ref(), err)
		o.endOrder(c, x, string(respond.Failed), err.Error())
		return
	}
	o.endOrder(c, x, became(x, out), outcome(x, out))
}

// local is the subject of an order as this host knows such: by its own name and boot.
func local(x order.Order, boot string) respond.Subject {
	s := x.Subject
	s.User, s.Host = event.Clean(s.User, maxUserCell), ""
	s.Method, s.Key, s.KeyID, s.CA = event.Clean(s.Method, maxUserCell), event.Clean(s.Key, 96), event.Clean(s.KeyID, maxUserCell), event.Clean(s.CA, 96)
	s.IP = s.IP.Unmap().WithZone("")
	s.Session.Boot = strings.TrimPrefix(s.Session.Boot, x.Host+":")
	const kept = 32 // of a boot id, at a hub
	if len(s.Session.Boot) == kept && strings.HasPrefix(boot, s.Session.Boot) {
		s.Session.Boot = boot
	}
	return s
}

// hubAddresses are where the worker reaches the hub, by the kernel's word.
func (o *respondOptions) hubAddresses(c config.Config) []netip.Addr {
	u, err := url.Parse(c.Hub.URL)
	if err != nil || u.Scheme != "https" {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		port = 443
	}
	uid, _, err := spool.Open(spool.For(o.show.queue.app.spoolDir(o.show.queue.spoolDir, c), 0)).Owner()
	if err != nil {
		return nil
	}
	return o.host.Peers(uid, uint16(port))
}

// became is what became of an order in all.
func became(x order.Order, out responded) string {
	if x.Look {
		return message.OrderLooked
	}
	good, bad := len(out.Steps) == 0, false
	for _, s := range out.Steps {
		switch s.Outcome {
		case respond.Done, respond.Already:
			good = true
		case respond.Partly:
			good, bad = true, true
		default:
			bad = true
		}
	}
	switch {
	case good && bad:
		return string(respond.Partly)
	case good:
		return string(respond.Done)
	}
	return string(respond.Failed)
}

// outcome says how it went, action by action.
func outcome(x order.Order, out responded) string {
	var all []string
	for _, s := range out.Steps {
		text := string(s.Action)
		if s.Outcome != respond.Planned {
			text += " " + string(s.Outcome)
		}
		if len(s.Said) > 0 && (x.Look || s.Outcome == respond.Refused || s.Outcome == respond.Cannot || s.Outcome == respond.Failed) {
			text += " (" + strings.Join(s.Said, "; ") + ")"
		}
		if len(s.Left) > 0 {
			text += ", left: " + strings.Join(s.Left, ", ")
		}
		all = append(all, text)
	}
	if len(all) == 0 && out.Evidence != nil {
		all = append(all, fmt.Sprintf("evidence was taken, of %d processes", len(out.Evidence.Members.Own)+len(out.Evidence.Members.Stray)))
	}
	if out.Handed != "" {
		all = append(all, out.Handed)
	}
	return strings.Join(all, "; ")
}

// endOrder tells what became of an order, the hub first of all.
func (o *respondOptions) endOrder(c config.Config, x order.Order, became, said string) {
	n := message.OrderEnded(message.Order{Ref: x.Subject.Ref(), By: x.By, Wants: x.Wants()}, became, said)
	n.Of, n.Order = x.Subject.ID, &event.Ordered{Nonce: x.Nonce, Became: became}
	o.tellOrder(c, n)
}

func (o *respondOptions) tellOrder(c config.Config, n event.Note) {
	a := o.show.queue.app
	dir := a.spoolDir(o.show.queue.spoolDir, c)
	e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: c.Host, Via: event.ViaSelf, Alert: &n}
	if e.Host == "" {
		e.Host, _ = os.Hostname()
	}
	err := a.enqueue(dir, e)
	if err == nil && !o.noWorker {
		err = a.ensureWorker(dir)
	}
	if err != nil {
		fmt.Fprintf(a.err, "sshnotify: warning: nobody is told of it: %v\n", err)
	}
}

// handEvidence leaves a copy of evidence for the hub, where this host takes orders of
// one, and returns what to say of it, once the hub has it or was waited for.
func (o *respondOptions) handEvidence(ctx context.Context, c config.Config, ev *respond.Evidence, wait time.Duration) string {
	a := o.show.queue.app
	folder := order.In(a.spoolDir(o.show.queue.spoolDir, c))
	if a.uid != 0 || ev.Folder == "" || !c.Hub.Host() || c.Hub.Brokered() || !folder.Exists() || respond.RootsOwn(string(folder)) != nil {
		return ""
	}
	t, err := a.trusts(c)
	if err != nil || !slices.Contains(t.allow, order.Evidence) {
		return ""
	}
	name := ev.Subject.ID
	if o.order != nil {
		name = o.order.Nonce
	}
	data, err := os.ReadFile(filepath.Join(ev.Folder, respond.EvidenceFile))
	if err == nil && len(data) > fleet.MaxEvidence {
		err = fmt.Errorf("%d bytes are too much", len(data))
	}
	if err == nil {
		err = folder.LeaveEvidence(name, data)
	}
	if err != nil {
		return "the hub does not get the evidence: " + err.Error()
	}
	if wait == 0 {
		return ""
	}
	sum := sha256.Sum256(data)
	begun := time.Now()
	for time.Since(begun) < wait && ctx.Err() == nil {
		if r := folder.Receipt(name); r != nil && order.ReceiptFits(t.ca, t.name, sum, r) {
			return fmt.Sprintf("the hub has the evidence (%.1f s)", time.Since(begun).Seconds())
		}
		time.Sleep(evidencePoll)
	}
	return fmt.Sprintf("the hub has not said within %v that it has the evidence; it is kept here", wait)
}

// evidencePoll is how often it is looked for the hub's receipt.
const evidencePoll = 50 * time.Millisecond
