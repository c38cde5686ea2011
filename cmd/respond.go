package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/passwd"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

type respondOptions struct {
	show showOptions
	host respond.Host

	do, length string
	only       string
	dryRun     bool
	evenMine   bool
	json       bool
	noWorker   bool

	order    *order.Order  // that is carried out; nil: somebody does it by hand
	patience time.Duration // with the hub; 0: evidenceWait
}

func newRespondCmd(a *app) *cobra.Command {
	o := respondOptions{show: showOptions{queue: queueOptions{app: a}}, host: respond.Live()}
	c := &cobra.Command{
		Use:   "respond REF",
		Short: "What to do now about a login that nobody expected",
		Long: long(`respond takes evidence of a login, without changing anything: its processes with
their programs, files and connections, who may log in with its key, what was changed
since, and who else came from there. It is kept in a folder of its own, with a list of
sums. Then it prints the commands that end the session, lock the account, refuse the
key and block the address, and what each of them does not catch.`,
			`With --do it does them: it looks, writes down how to undo it, acts, looks whether
it is so, and says what is left. Sessions end last, so that nobody comes back. Twice
is the same as once. Each step is told to all destinations. respond undo takes all of
it back but the end of a session.`,
			`Your own session, account, key and address are left alone, as are those of the
settings' networks and where many of your own come from; --even-mine insists.`,
			`At a hub, --do has the host of the event do it, where that takes orders (sshnotify
install --system --respond there): it checks the order itself, and says what became
of it. --do evidence has it take evidence alone. sshnotify show lists the orders
about an event, and the evidence that came.`,
			`Without root it prints what it can see.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify respond 7K3F
  sudo sshnotify respond 7K3F --do end,lock,key,block --for 24h
  sudo sshnotify respond undo 7K3F`,
		Args:              needsOne,
		ValidArgsFunction: o.show.queue.completeRefs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "do", "for"); err != nil {
				return err
			}
			return o.run(c.Context(), args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.do, "do", "", "do these `ACTIONS`: end, lock, key, block, with commas between them; at a hub also evidence")
	f.StringVar(&o.length, "for", "", "how long lock, key and block hold, as 24h or 7d (default: block a day, the others until undone)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what --do would find, and change and keep nothing")
	f.BoolVar(&o.evenMine, "even-mine", false, "also what is your own")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	f.StringVar(&o.show.queue.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
	c.AddCommand(newRespondUndoCmd(a), newRespondListCmd(a), newRespondOrdersCmd(a))
	return c
}

func newRespondUndoCmd(a *app) *cobra.Command {
	o := respondOptions{show: showOptions{queue: queueOptions{app: a}}, host: respond.Live()}
	c := &cobra.Command{
		Use:   "undo REF",
		Short: "Take back what respond did",
		Long: long(`undo opens the account, takes the key and lets the address in again, as far as it is
still as respond left it: what somebody else changed since stays.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify respond undo 7K3F",
		Args:    needsOne,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "only"); err != nil {
				return err
			}
			return o.undo(c.Context(), args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.only, "only", "", "of these `ACTIONS` alone: lock, key, block")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	f.StringVar(&o.show.queue.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
	return c
}

func newRespondListCmd(a *app) *cobra.Command {
	o := respondOptions{show: showOptions{queue: queueOptions{app: a}}, host: respond.Live()}
	c := &cobra.Command{
		Use:   "list",
		Short: "List what respond did that is still in force",
		Long: long(`list prints which accounts, keys and addresses respond keeps out, since when, until
when and by whom. A time that is over without an undo was forgotten by a reboot.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify respond list",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return o.list() },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each")
	return c
}

// maxRespondFor is the longest that an action may be asked for.
const maxRespondFor = 366 * 24 * time.Hour

func (o *respondOptions) run(ctx context.Context, ref string) error {
	a := o.show.queue.app
	var actions []respond.Action
	var err error
	if o.do != "" {
		if actions, err = ordered(o.do); err != nil {
			return &usageError{err}
		}
	}
	var length time.Duration
	if o.length != "" {
		var ok bool
		if length, ok = strictoml.ParseDuration(o.length); !ok || length < time.Minute || length > maxRespondFor {
			return &usageError{fmt.Errorf("--for %q is no length between 1m and 366d, such as 24h", o.length)}
		}
	}
	if o.do == "" && (o.length != "" || o.dryRun || o.evenMine) {
		return &usageError{errors.New("--for, --dry-run and --even-mine go with --do")}
	}
	if o.do != "" && !o.dryRun && a.uid != 0 {
		return withHint(respond.ErrNotRoot, "sudo sshnotify respond "+ref+" --do "+o.do)
	}
	var c config.Config
	var all []*known
	r := &respond.Responder{Host: o.host, For: length, EvenMine: o.evenMine}
	var logins []pastLogin
	if c, err = a.settings(); err != nil {
		return err
	}
	// The memory is another user's, and may be damaged by them.
	err = a.asOwner(a.spoolDir(o.show.queue.spoolDir, c), a.stateDir(c), func() (err error) {
		c, all, err = o.show.find(ctx, ref)
		if short, ok := elsewhere(ref); ok && err == nil && len(all) == 0 {
			c, all, err = o.show.find(ctx, short)
		}
		if err != nil || len(all) != 1 {
			return err
		}
		if r.Subject, err = o.subject(ctx, c, all[0]); err != nil {
			return err
		}
		r.Subject = o.host.Account(r.Subject)
		logins, r.Neighbours, err = a.around(ctx, c, r.Subject)
		return err
	})
	if err != nil {
		return err
	}
	if err := theOne(ref, all, c.Zone()); err != nil {
		return err
	}
	if c.Hub.Hub() && all[0].from() != "" && o.do != "" {
		return o.giveOrder(ctx, all[0], actions, length)
	}
	if err := o.elsewhere(c, all[0], r.Subject); err != nil {
		return err
	}
	if o.do == order.Evidence {
		return &usageError{withHint(errors.New("--do evidence is an order to another host"), "here, evidence comes first: sudo sshnotify respond "+ref)}
	}
	r.Folder = a.respondDir(c)
	r.Self = o.host.Self()
	r.By = o.by(r.Self)
	r.Known = networksOf(c)
	r.Undo = a.undoing(r.Subject.ID)
	_, err = o.respond(ctx, c, r, actions, logins)
	return err
}

// respondDir is where evidence and undo are kept. Root's stands beside the state
// folder, which is the service's: whoever breaks that must not decide what root puts
// back.
func (a *app) respondDir(c config.Config) string {
	if a.uid == 0 {
		return strings.TrimRight(a.stateDir(c), "/") + install.RespondSuffix
	}
	return filepath.Join(a.stateDir(c), "respond")
}

// undoing is the command of a timer that undoes a response.
func (a *app) undoing(id string) []string {
	program, err := hook.Self()
	if err != nil {
		return nil
	}
	words := []string{program, "respond", "undo", id}
	if a.configFile != "" {
		words = append(words, "--config", a.configFile)
	}
	return words
}

// by says who asks: as whom they logged in, by the kernel's word.
func (o *respondOptions) by(self respond.Self) string {
	name, _ := login.Live().Account()
	if self.User != "" && self.User != name {
		return self.User + " (as " + cmp.Or(name, "root") + ")"
	}
	return cmp.Or(name, "root")
}

// subject is what is known of an event, for a response. The end of a login is
// responded to as that login, and so is the watcher's word of one.
func (o *respondOptions) subject(ctx context.Context, c config.Config, k *known) (respond.Subject, error) {
	h := k.head()
	s := respond.Subject{ID: k.ID, Kind: h.Kind, Time: h.Time, Host: h.Host, User: h.User, IP: h.IP, Method: h.Auth.Method, Key: h.Auth.Fingerprint, KeyID: h.Auth.KeyID, CA: h.Auth.CAFingerprint}
	gotIn := false
	switch {
	case k.Queue != nil:
		s.Session = k.Queue.Event.Session
		gotIn = k.Queue.Event.GotIn()
	case k.Delivered != nil:
		s.Session, gotIn = k.Delivered.Session, k.Delivered.GotIn
	}
	switch {
	case s.Kind == event.KindLogin, s.Kind == event.KindGate:
	case gotIn:
		s.Kind = event.KindLogin
	case s.Kind == event.KindAttack && s.IP.IsValid():
		s.User = "" // one that was tried, and did not get in
		return s, nil
	case s.Kind == event.KindLogout:
		s.Kind = event.KindLogin
	case s.IP.IsValid():
		s.Kind = event.KindAttack
		s.User = ""
		return s, nil
	default:
		return s, withHint(fmt.Errorf("%s is of no login and no address: there is nothing to respond to", event.Ref(k.ID)), "sshnotify show "+event.Ref(k.ID))
	}
	if h.Kind == event.KindLogin {
		return s, nil
	}
	if l := o.loginOf(ctx, c, s, k.from()); l != nil {
		s.ID, s.Time, s.Session = l.ID, l.Time, l.Session
		if l.Detail != nil {
			s.Method, s.Key, s.KeyID, s.CA = l.Detail.Auth.Method, l.Detail.Auth.Fingerprint, l.Detail.Auth.KeyID, l.Detail.Auth.CAFingerprint
		}
		if ip, err := netip.ParseAddr(l.IP); err == nil {
			s.IP = ip
		}
	}
	return s, nil
}

// loginOf returns the login that an event is of; nil where it is not known.
func (o *respondOptions) loginOf(ctx context.Context, c config.Config, s respond.Subject, from string) *deliver.Delivered {
	db, err := lookInto(o.show.queue.app.stateDir(c))
	if err != nil {
		return nil
	}
	defer db.Close()
	all, err := deliver.ReadDelivered(ctx, db, "", time.Time{})
	if err != nil {
		return nil
	}
	for _, d := range slices.Backward(all) {
		if d.Kind != event.KindLogin || d.From != from {
			continue
		}
		near := d.User == s.User && d.IP == s.IP.String() && d.Time.Sub(s.Time).Abs() <= deliver.SameLogin
		if d.Session.Same(s.Session) || s.Session.PID == 0 && near {
			return d
		}
	}
	return nil
}

// elsewhere returns what to do about an event of another host.
func (o *respondOptions) elsewhere(c config.Config, k *known, s respond.Subject) error {
	machine, _ := os.Hostname()
	from := k.from()
	if from == "" && (k.Delivered != nil || k.Queue != nil || s.Host == "" || s.Host == c.Host || firstLabel(s.Host) == firstLabel(machine)) {
		return nil
	}
	host := event.Clean(cmp.Or(s.Host, from), maxProblem)
	hints := []string{"on " + host + ": sudo sshnotify respond " + k.ID[:min(event.SharedID, len(k.ID))]}
	if c.Hub.Hub() && from != "" {
		hints = append(hints, "or by order, where "+host+" takes any: sudo sshnotify respond "+event.Ref(k.ID)+" --do evidence")
	}
	return withHint(fmt.Errorf("%s happened on %s", event.Ref(k.ID), host), hints...)
}

// networksOf are those of the settings that no response blocks.
func networksOf(c config.Config) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	for _, p := range slices.Concat(c.Login.Networks, c.Watch.Networks) {
		out[p] = "ignore_networks"
	}
	for name, all := range c.Networks {
		for _, p := range all {
			out[p] = event.Clean(name, maxProblem)
		}
	}
	return out
}

const (
	// lastLogins is how many logins of the user and of the address evidence has.
	lastLogins = 20
	// aroundTime is how far back it is looked who came from a network, and aroundMost
	// how many logins are looked at.
	aroundTime = 30 * 24 * time.Hour
	aroundMost = 1000
)

// around returns the newest logins of a user and of an address, and who else came from
// the surroundings of it whom nobody wondered about.
func (a *app) around(ctx context.Context, c config.Config, s respond.Subject) (logins []pastLogin, n respond.Neighbours, err error) {
	db, err := a.recall(c)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, n, nil
	}
	if err != nil {
		return nil, n, err
	}
	defer db.Close()
	owners := newOwners(c)
	list := func(f history.Filter, each func(history.Entry)) {
		for e, listErr := range db.List(ctx, f) {
			if listErr != nil {
				err = historyError(listErr)
				return
			}
			each(e)
		}
	}
	add := func(e history.Entry) {
		if !slices.ContainsFunc(logins, func(p pastLogin) bool { return p.ID == e.ID }) {
			logins = append(logins, pastLoginOf(owners, e))
		}
	}
	if s.User != "" {
		list(history.Filter{User: s.User, Limit: lastLogins}, add)
	}
	if !s.IP.IsValid() {
		return logins, n, err
	}
	bits := 24
	if s.IP.Is6() {
		bits = 64
	}
	near, _ := s.IP.Prefix(bits)
	list(history.Filter{IP: netip.PrefixFrom(s.IP, s.IP.BitLen()), Limit: lastLogins}, add)
	list(history.Filter{IP: near, Since: s.Time.Add(-aroundTime), Limit: aroundMost}, func(e history.Entry) {
		if e.ID == s.ID || e.Untaught || e.User == s.User && e.IP == s.IP {
			return
		}
		n.Logins++
		if user := event.Clean(e.User, maxUserCell); !slices.Contains(n.Users, user) {
			n.Users = append(n.Users, user)
		}
	})
	return logins, n, err
}

// responded is a response as --json prints it.
type responded struct {
	Evidence *respond.Evidence `json:"evidence,omitempty"`
	Steps    []respond.Step    `json:"steps"`
	Told     []string          `json:"told,omitempty"`   // the ids of the events that tell of it
	Handed   string            `json:"handed,omitempty"` // whether the hub has the evidence
}

func (o *respondOptions) respond(ctx context.Context, c config.Config, r *respond.Responder, actions []respond.Action, logins []pastLogin) (out responded, err error) {
	a := o.show.queue.app
	out.Evidence = r.Take(logins)
	if !o.dryRun {
		if err := r.Write(out.Evidence); err != nil {
			if len(actions) > 0 {
				return out, withHint(fmt.Errorf("the evidence can't be kept, and nothing is done: %w", err), "without it, the commands of sshnotify respond "+r.Subject.Ref()+" do the same")
			}
			fmt.Fprintf(a.err, "sshnotify: warning: the evidence is not kept: %v\n", err)
		}
	}
	if !o.json {
		o.printEvidence(c, out.Evidence)
	}
	if o.dryRun || len(actions) == 0 && o.order == nil {
		all := actions
		if len(all) == 0 && o.order == nil {
			all = respond.Actions
		}
		if !o.dryRun {
			out.Handed = o.handEvidence(ctx, c, out.Evidence, 0)
		}
		out.Steps = r.Plan(ctx, all)
		return out, o.end(out, true)
	}
	out.Handed = o.handEvidence(ctx, c, out.Evidence, cmp.Or(o.patience, evidenceWait))
	if out.Handed != "" && !o.json {
		fmt.Fprintln(a.out, out.Handed)
	}
	dir := a.spoolDir(o.show.queue.spoolDir, c)
	tell := func(n event.Note) {
		n.Of = r.Subject.ID
		if o.order != nil {
			n.Of = o.order.Subject.ID
		}
		e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: c.Host, User: r.By, Via: event.ViaSelf, Alert: &n}
		if e.Host == "" {
			e.Host, _ = os.Hostname()
		}
		// It must not keep anything from being done that nobody can be told.
		if err := a.enqueue(dir, e); err != nil {
			fmt.Fprintf(a.err, "sshnotify: warning: nobody is told of it: %v\n", err)
			return
		}
		out.Told = append(out.Told, e.ID)
		if !o.noWorker {
			if err := a.ensureWorker(dir); err != nil {
				fmt.Fprintf(a.err, "sshnotify: warning: %v\n", err)
			}
		}
	}
	var names []string
	for _, x := range actions {
		names = append(names, string(x))
	}
	m := out.Evidence.Members
	r.Begun = func() {
		tell(message.ResponseBegun(r.Subject.Ref(), r.By, names, len(m.Own)+len(m.Stray), out.Evidence.Sum, out.Handed))
	}
	for _, x := range actions {
		s, err := r.Do(ctx, x)
		if err != nil {
			return out, err
		}
		out.Steps = append(out.Steps, s)
		if !o.json {
			a.printStep(s, false)
		}
		if s.Outcome != respond.Already && s.Outcome != respond.Cannot {
			n := message.Responded(responseOf(r, s))
			if o.order != nil {
				n.Order = &event.Ordered{Nonce: o.order.Nonce, Action: string(s.Action), Became: string(s.Outcome)}
			}
			tell(n)
		}
	}
	return out, o.end(out, false)
}

func responseOf(r *respond.Responder, s respond.Step) message.Response {
	undo := s.Action != respond.End && (s.Outcome == respond.Done || s.Outcome == respond.Partly)
	return message.Response{Ref: r.Subject.Ref(), By: r.By, What: s.Title, Became: string(s.Outcome), Said: s.Said, Left: s.Left, Undo: undo}
}

// end prints what is not printed yet, and says whether all went well.
func (o *respondOptions) end(out responded, planned bool) error {
	a := o.show.queue.app
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(out); err != nil {
			return err
		}
	} else if planned {
		for _, s := range out.Steps {
			a.printStep(s, true)
		}
		if o.do == "" && out.Evidence != nil {
			fmt.Fprintf(a.out, "\nAll of it, looked at afterwards and with its undo kept:\n  sudo sshnotify respond %s --do %s\n", out.Evidence.Subject.Ref(), possible(out.Steps))
		}
	}
	if !planned && slices.ContainsFunc(out.Steps, func(s respond.Step) bool {
		return s.Outcome == respond.Failed || s.Outcome == respond.Refused || s.Outcome == respond.Partly
	}) {
		return &silentError{exitFailed}
	}
	return nil
}

// possible are the actions that can be done, for a command.
func possible(steps []respond.Step) string {
	var out []string
	for _, s := range steps {
		if s.Outcome != respond.Cannot {
			out = append(out, string(s.Action))
		}
	}
	return strings.Join(out, ",")
}

// printStep shows an action: with its commands where it is only planned.
func (a *app) printStep(s respond.Step, planned bool) {
	became := map[respond.Outcome]string{
		respond.Done: "done", respond.Partly: "done, and something is left", respond.Already: "already so",
		respond.Refused: "refused", respond.Failed: "FAILED", respond.Cannot: "not possible",
	}[s.Outcome]
	fmt.Fprintf(a.out, "\n%s", s.Title)
	if became != "" {
		fmt.Fprintf(a.out, ": %s", became)
	}
	fmt.Fprintln(a.out)
	list := func(name string, all []string) {
		for _, line := range all {
			fmt.Fprintf(a.out, "  %s%s\n", name, line)
		}
	}
	list("", s.Said)
	list("left: ", s.Left)
	if planned {
		list("", s.Commands)
		list("undo: ", s.Undo)
	}
	if planned || s.Outcome == respond.Done || s.Outcome == respond.Partly {
		list("does not catch: ", s.Misses)
	}
}

func (o *respondOptions) printEvidence(c config.Config, ev *respond.Evidence) {
	a, zone := o.show.queue.app, c.Zone()
	clean := func(s string, most int) string { return event.Clean(s, most) }
	s, m := ev.Subject, ev.Members
	fmt.Fprintf(a.out, "%s  %s", s.Ref(), s.Kind)
	if s.User != "" {
		fmt.Fprintf(a.out, " of %s", clean(s.User, maxUserCell))
	}
	if s.IP.IsValid() {
		fmt.Fprintf(a.out, " from %s", s.IP)
	}
	fmt.Fprintf(a.out, " at %s (%s)", s.Time.In(zone).Format(time.DateTime), zoneName(zone))
	if s.Key != "" {
		fmt.Fprintf(a.out, ", with %s", clean(s.Key, 64))
	}
	fmt.Fprintln(a.out)
	switch {
	case s.Kind == event.KindAttack:
	case m.Session != nil:
		fmt.Fprintf(a.out, "session %s is %s: %d processes of it, %d that it left elsewhere\n", m.ID, cmp.Or(clean(m.Session.State, 16), "open"), len(m.Own), len(m.Stray))
	case len(m.Own)+len(m.Stray) > 0:
		fmt.Fprintf(a.out, "%d processes of it run, %d that it left elsewhere\n", len(m.Own), len(m.Stray))
	default:
		fmt.Fprintln(a.out, "it has ended: nothing of it that can be told by runs any more")
	}
	if all := slices.Concat(m.Own, m.Stray); len(all) > 0 {
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  PID\tUSER\tBEGUN\tPROGRAM\tWORDS\n")
		const most = 30
		users := passwd.ReadFile("/etc/passwd")
		for _, p := range all[:min(len(all), most)] {
			user := fmt.Sprint(p.UID)
			if u, ok := passwd.ByID(users, p.UID); ok {
				user = clean(u.Name, maxUserCell)
			}
			exe := cmp.Or(p.Exe, "["+p.Name+"]")
			if p.Deleted {
				exe += " (deleted)"
			}
			fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", p.PID, user, p.Started.In(zone).Format(time.TimeOnly), clean(exe, 48), clean(p.Words(), 60))
		}
		w.Flush()
		if len(all) > most {
			fmt.Fprintf(a.out, "  and %d more\n", len(all)-most)
		}
		for _, p := range all {
			for _, x := range p.Sockets {
				if x.Remote.IsValid() {
					fmt.Fprintf(a.out, "  %s: %s %s to %s, %s\n", p, x.Proto, x.Local, x.Remote, x.State)
				} else {
					fmt.Fprintf(a.out, "  %s: %s %s, %s\n", p, x.Proto, x.Local, cmp.Or(x.State, "waits"))
				}
			}
		}
	}
	for _, k := range ev.Keys {
		fmt.Fprintf(a.out, "the key lets in %s: %s, line %d\n", k.User, k.File, k.Line)
	}
	for _, f := range ev.Changes {
		fmt.Fprintf(a.out, "changed since: %s at %s, %s\n", f.File, f.Changed.In(zone).Format(time.DateTime), f.Mode)
	}
	for _, x := range ev.Missing {
		fmt.Fprintf(a.out, "not seen: %s\n", clean(x, 300))
	}
	if ev.Folder != "" {
		fmt.Fprintf(a.out, "evidence: %s (%.2f s, sha256 of SHA256SUMS %s)\n", ev.Folder, ev.Took, ev.Sum)
	}
}

// undo takes back a response.
func (o *respondOptions) undo(ctx context.Context, ref string) error {
	a := o.show.queue.app
	if a.uid != 0 {
		return withHint(respond.ErrNotRoot, "sudo sshnotify respond undo "+ref)
	}
	var only []respond.Action
	var err error
	if o.only != "" {
		if only, err = respond.ParseActions(o.only); err != nil {
			return &usageError{err}
		}
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	all, err := o.records(c)
	if err != nil {
		return err
	}
	var found []respond.Record
	for _, rec := range all {
		if ref != "" && strings.HasPrefix(rec.Subject.ID, strings.ToUpper(ref)) {
			found = append(found, rec)
		}
	}
	if len(found) != 1 {
		err := fmt.Errorf("nothing of a response to %q is in force", ref)
		if len(found) > 1 {
			err = fmt.Errorf("%q is the beginning of %d responses", ref, len(found))
		}
		return withHint(err, "sudo sshnotify respond list")
	}
	r := &respond.Responder{Host: o.host, Subject: found[0].Subject, Folder: a.respondDir(c)}
	r.Self = o.host.Self()
	r.By = o.by(r.Self)
	steps, err := r.UndoAll(ctx, only)
	out := responded{Steps: steps}
	dir := a.spoolDir(o.show.queue.spoolDir, c)
	for _, s := range steps {
		if !o.json {
			a.printStep(s, false)
		}
		n := message.Undone(responseOf(r, s))
		n.Of = r.Subject.ID
		host, _ := os.Hostname()
		e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: cmp.Or(c.Host, host), User: r.By, Via: event.ViaSelf, Alert: &n}
		if err := a.enqueue(dir, e); err != nil {
			fmt.Fprintf(a.err, "sshnotify: warning: nobody is told of it: %v\n", err)
			continue
		}
		out.Told = append(out.Told, e.ID)
	}
	if len(out.Told) > 0 && !o.noWorker {
		if err := a.ensureWorker(dir); err != nil {
			fmt.Fprintf(a.err, "sshnotify: warning: %v\n", err)
		}
	}
	return errors.Join(err, o.end(out, false))
}

func (o *respondOptions) records(c config.Config) ([]respond.Record, error) {
	st, err := respond.OpenStore(o.show.queue.app.respondDir(c))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return st.Records()
}

// list shows what is in force.
func (o *respondOptions) list() error {
	a := o.show.queue.app
	if a.uid != 0 {
		return withHint(respond.ErrNotRoot, "sudo sshnotify respond list")
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	all, err := o.records(c)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(a.out)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	zone := c.Zone()
	if len(all) > 0 && !o.json {
		fmt.Fprintf(w, "REF\tWHAT\tSINCE (%s)\tUNTIL\tBY\n", zoneName(zone))
	}
	for _, rec := range all {
		for _, k := range rec.Kept {
			if !k.Undone.IsZero() || k.Action == respond.End {
				continue
			}
			if o.json {
				if err := enc.Encode(struct {
					ID string `json:"id"`
					respond.Kept
				}{rec.Subject.ID, k}); err != nil {
					return err
				}
				continue
			}
			what := strings.TrimSpace(string(k.Action) + " " + cmp.Or(k.User, k.Key))
			for _, p := range k.Network {
				what += " " + p.String()
			}
			until := "undone"
			if !k.Until.IsZero() {
				until = k.Until.In(zone).Format(time.DateTime)
				if time.Now().After(k.Until) {
					until += ", over"
				}
			}
			if k.Done.IsZero() {
				until += ", begun and not seen to be done"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", rec.Subject.Ref(), event.Clean(what, 100), k.Began.In(zone).Format(time.DateTime), until, event.Clean(k.By, maxUserCell))
		}
	}
	if len(all) == 0 && !o.json {
		fmt.Fprintln(a.out, "nothing that respond did is in force")
	}
	return w.Flush()
}
