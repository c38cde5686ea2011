package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/spool"
)

type showOptions struct {
	queue queueOptions
	json  bool
}

func newShowCmd(a *app) *cobra.Command {
	o := showOptions{queue: queueOptions{app: a}}
	c := &cobra.Command{
		Use:   "show REF",
		Short: "Show everything about an event",
		Long: long(`show prints what is known of an event that waits, was given up, was told, or is
remembered: what happened, what is known of the address, the severity and its
reasons, and what each destination has answered. REF is the "ref" of a message,
or any beginning of an event's id; several that fit are listed.

A login stays as long as the history keeps it (history.keep); anything else for a
day after it was told.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify show 7K3F
  sshnotify show 7K3F --json`,
		Args:              needsOne,
		ValidArgsFunction: o.queue.completeRefs,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c.Context(), args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.queue.spoolDir, "spool", "", "spool `DIR` to look at (default: from the settings)")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return c
}

// known is all that is known of one event, as --json prints it.
type known struct {
	ID        string             `json:"id"`
	Queue     *entry             `json:"queue,omitempty"`     // it waits, or is a dead letter
	Delivered *deliver.Delivered `json:"delivered,omitempty"` // what became of it
	History   *pastLogin         `json:"history,omitempty"`   // as it is remembered
	// Acknowledged is what was said of its user, network and key.
	Acknowledged []history.Acknowledgement `json:"acknowledged,omitempty"`
	// Orders are those that a hub gave about it, and Evidence the files that came.
	Orders   []shownOrder `json:"orders,omitempty"`
	Evidence []string     `json:"evidence,omitempty"`

	zone *time.Location
}

// mostKnown is how many events of a beginning are listed.
const mostKnown = 10

func (o *showOptions) run(ctx context.Context, ref string) error {
	c, all, err := o.find(ctx, ref)
	if short, ok := elsewhere(ref); ok && err == nil && len(all) == 0 {
		c, all, err = o.find(ctx, short)
	}
	if err != nil {
		return err
	}
	if err := theOne(ref, all, c.Zone()); err != nil {
		return err
	}
	a := o.queue.app
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(all[0])
	}
	return all[0].print(a, c)
}

// theOne returns what to say where a REF is that of no event, or of several.
func theOne(ref string, all []*known, zone *time.Location) error {
	switch {
	case len(all) == 0:
		return withHint(fmt.Errorf("no event is known whose id begins with %q", ref),
			"sshnotify queue and sshnotify history list refs; what is no login is known for a day after it was told")
	case len(all) > 1:
		hints := []string{"give more of the id:"}
		for _, k := range all[:min(len(all), mostKnown)] {
			hints = append(hints, k.ID+"  "+k.line(zone))
		}
		return withHint(fmt.Errorf("%q is the beginning of %s events", ref, atLeast(len(all))), hints...)
	}
	return nil
}

// elsewhere returns what an event whose id begins with ref may begin with here, where
// the ref is of a hub, or of a host that hands over to this one: the rest differs.
func elsewhere(ref string) (short string, ok bool) {
	if len(ref) <= event.SharedID {
		return "", false
	}
	return ref[:event.SharedID], true
}

// atLeast says that there may be more.
func atLeast(n int) string {
	if n > mostKnown {
		return fmt.Sprintf("more than %d", mostKnown)
	}
	return fmt.Sprint(n)
}

// find looks in the queue, then in what was delivered, then in the history. The
// newest comes first.
func (o *showOptions) find(ctx context.Context, ref string) (config.Config, []*known, error) {
	if strings.TrimSpace(ref) == "" {
		return config.Config{}, nil, &usageError{errors.New("the REF is empty")}
	}
	a, prefix := o.queue.app, strings.ToUpper(ref)
	c, s, waiting, unread := o.queue.open()
	if unread != nil && len(waiting) == 0 && s == nil {
		return c, nil, unread
	}
	byID := map[string]*known{}
	of := func(id string) *known {
		if byID[id] == nil {
			byID[id] = &known{ID: id, zone: c.Zone()}
		}
		return byID[id]
	}
	for i, e := range waiting {
		// A second report of what waits already has no record.
		if (strings.HasPrefix(e.ID, prefix) || e.File == ref) && (of(e.ID).Queue == nil || len(e.Deliveries) > 0) {
			of(e.ID).Queue = &waiting[i]
		}
	}
	st, err := lookInto(a.stateDir(c))
	if err == nil {
		var all []*deliver.Delivered
		all, err = deliver.ReadDelivered(ctx, st, "", time.Time{})
		for _, d := range all {
			if strings.HasPrefix(d.ID, prefix) {
				of(d.ID).Delivered = d
			}
		}
		for id, k := range byID {
			if !c.Hub.Hub() || err != nil {
				break
			}
			var orders []hub.Ordered
			orders, err = (&hub.Orders{DB: st}).Of(ctx, id)
			for _, x := range orders {
				k.Orders = append(k.Orders, orderShown(x))
			}
			k.Evidence = hub.EvidenceOf(evidenceDir(a.stateDir(c)), id)
		}
		err = errors.Join(err, st.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = errors.Join(unread, err)
	}
	db, err := a.recall(c)
	if err == nil {
		var found []history.Entry
		found, err = db.Find(ctx, prefix, mostKnown+1)
		owners := newOwners(c)
		for _, e := range found {
			p := pastLoginOf(owners, e)
			if len(found) == 1 && len(byID) == 1 { // the same login under the id of another source
				for id := range byID {
					p.ID = id
				}
			}
			of(p.ID).History = &p
			if of(p.ID).Acknowledged, err = db.Acknowledgements(ctx, e.ID); err != nil {
				break
			}
		}
		err = errors.Join(historyError(err), db.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = errors.Join(unread, err)
	}
	if len(byID) == 0 {
		return c, nil, unread
	}
	var all []*known
	for _, k := range byID {
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y *known) int { return cmp.Or(y.head().Time.Compare(x.head().Time), cmp.Compare(x.ID, y.ID)) })
	return c, all, nil
}

// head is what all sources have of an event.
type head struct {
	Kind            event.Kind
	Time            time.Time
	Host, User      string
	IP              netip.Addr
	Auth            event.Auth
	Facts           event.Facts
	Step            event.Step
	Title, Text     string // of what is no login
	Verdict         event.Verdict
	judged, foreign bool
}

// head returns the best of what there is: the event itself, what was told, what
// is remembered.
func (k *known) head() head {
	switch {
	case k.Queue != nil:
		e := k.Queue.Event
		h := head{Kind: e.Kind, Time: e.Time, Host: e.Host, User: e.User, IP: e.Remote.IP, Auth: e.Auth(), Facts: k.Queue.Facts, Step: e.Login.Step,
			Verdict: k.Queue.Verdict, judged: len(k.Queue.Deliveries) > 0, foreign: !k.Queue.readable}
		h.Title, h.Text = message.Note(e, k.zone)
		return h
	case k.Delivered != nil:
		d := k.Delivered
		h := head{Kind: d.Kind, Time: d.Time, Host: d.Host, User: d.User, Verdict: d.Verdict, judged: true}
		h.IP, _ = netip.ParseAddr(d.IP)
		if x := d.Detail; x != nil {
			h.Verdict.Reasons, h.Auth, h.Facts, h.Step, h.Title, h.Text = x.Reasons, x.Auth, x.Facts, x.Step, x.Title, x.Text
		} else if p := k.History; p != nil {
			h.Auth, h.Facts = p.Auth, p.facts()
		}
		return h
	}
	p := k.History
	h := head{Kind: event.KindLogin, Time: p.Time, Host: p.Host, User: p.User, IP: p.Remote.IP, Auth: p.Auth, Facts: p.facts()}
	if p.Severity != nil {
		h.Verdict.Severity, h.judged = *p.Severity, true
	}
	for _, key := range p.Reasons { // the words are known for a day
		h.Verdict.Reasons = append(h.Verdict.Reasons, strings.ReplaceAll(key, "_", " "))
	}
	return h
}

func (p *pastLogin) facts() event.Facts {
	return event.Facts{Network: p.Network, Place: p.Place, Traits: p.Traits}
}

// what says in one line what happened.
func (k *known) what() string {
	if k.Queue != nil {
		return k.Queue.what()
	}
	h := k.head()
	if title := cmp.Or(h.Title, h.Text); title != "" {
		return event.Clean(string(h.Kind)+": "+title, maxProblem)
	}
	s := string(h.Kind)
	if h.User != "" {
		s += " of " + h.User
	}
	if h.IP.IsValid() {
		s += " from " + h.IP.String()
	}
	return event.Clean(s, maxProblem)
}

func (k *known) line(zone *time.Location) string {
	return k.head().Time.In(zone).Format(time.DateTime) + "  " + k.what()
}

// from returns which host handed the event over; empty: it is this one's own.
func (k *known) from() string {
	switch {
	case k.Delivered != nil:
		return k.Delivered.From
	case k.Queue != nil:
		return k.Queue.Record.From
	}
	return ""
}

func (k *known) print(a *app, c config.Config) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name string, values ...string) {
		for _, v := range values {
			if v = strings.TrimSpace(event.Clean(v, 4*maxProblem)); v != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, v)
				name = ""
			}
		}
	}
	zone := c.Zone()
	at := func(t time.Time) string { return t.In(zone).Format(time.DateTime) }
	h := k.head()
	row("id", k.ID)
	row("what", k.what())
	row("time", at(h.Time)+" ("+zoneName(zone)+")")
	row("host", h.Host)
	row("handed over by", k.from())
	if h.Title != "" { // else it stands in the first line
		row("text", h.Text)
	}
	f := h.Facts
	if f.Name != "" || f.Scope != "" {
		row("place", strings.Join(slices.DeleteFunc([]string{f.Name, f.Scope}, empty), ", "))
	}
	row("network", networkText(f.Network))
	row("place", strings.Join(slices.DeleteFunc([]string{f.Place.City, f.Place.Region, f.Place.Country}, empty), ", "))
	t := f.Traits
	row("sort", strings.Join(slices.DeleteFunc([]string{
		said("Tor exit", t.Tor), said("VPN", t.VPN), said("proxy", t.Proxy), said("hosting", t.Hosting), said("mobile", t.Mobile),
	}, empty), ", "))
	row("auth", strings.TrimSpace(h.Auth.Method+" "+h.Auth.Fingerprint))
	if h.Auth.KeyID != "" {
		row("certificate", fmt.Sprintf("%q, serial %d, of %s", h.Auth.KeyID, h.Auth.Serial, h.Auth.CAFingerprint))
	}
	row("second step", message.StepText(h.Step))
	if r := f.Risk; r != nil && r.Known {
		row("risk", strings.TrimSpace(fmt.Sprintf("%s %d %s", r.Provider, r.Score, r.Word)), r.Reason)
	} else if r != nil {
		row("risk", strings.TrimSpace(r.Provider+" unknown: "+r.Problem))
	}
	if h.judged && !h.foreign {
		row("severity", h.Verdict.Severity.String())
	}
	row("why", h.Verdict.Reasons...)
	row("rule", h.Verdict.Rule)
	for _, s := range k.Acknowledged {
		text := at(s.Time) + " by " + s.By
		if s.Session != "" {
			text += " from " + s.Session
		}
		if !s.Undone.IsZero() {
			text += ", taken back at " + at(s.Undone)
		}
		if s.Note != "" {
			text += ": " + s.Note
		}
		row("acknowledged", text)
	}
	for _, x := range k.Orders {
		text := at(x.Made) + " by " + x.By + " to " + x.Host + ": " + strings.Join(x.Asked, ", ") + ": " + string(x.State)
		if x.Said != "" {
			text += ". " + x.Said
		}
		row("order", text)
	}
	row("evidence", k.Evidence...)
	k.printFate(row, at)
	return w.Flush()
}

func empty(s string) bool { return s == "" }

// said is what somebody says of an address, and who; nothing where nobody does.
func said(what, source string) string {
	if source == "" {
		return ""
	}
	return what + " (" + source + ")"
}

// printFate says what became of it.
func (k *known) printFate(row func(string, ...string), at func(time.Time) string) {
	if e := k.Queue; e != nil {
		state := "waiting"
		switch {
		case e.Folder == spool.InFailed && e.readable:
			state = "dead letter"
		case e.Folder == spool.InFailed:
			state = "refused"
		case !e.readable:
			state = "no event"
		case !e.Held.IsZero():
			state = "held until " + at(e.Held)
		}
		row("state", state)
		row("problem", e.Problem)
		for _, d := range e.Deliveries {
			switch tried := d.Attempted(); {
			case d.Maybe:
				row(d.Dest, "may have arrived at "+at(d.Done)+", and is not sent again: "+tried.Error)
			case !d.Done.IsZero():
				row(d.Dest, "told at "+at(d.Done))
			case d.Dead:
				row(d.Dest, fmt.Sprintf("given up after %d tries: %s", tried.Tries, tried.Error))
			case tried.Error != "":
				row(d.Dest, fmt.Sprintf("tried %d times since %s: %s", tried.Tries, at(tried.Since), tried.Error))
			default:
				row(d.Dest, "not tried yet")
			}
		}
		return
	}
	if d := k.Delivered; d != nil {
		whole := "login" // that it is a part of
		switch d.Kind {
		case event.KindDigest:
			whole = "digest"
		case event.KindLogin: // what the watcher said of it was told first
			whole = "attack"
		}
		if d.Of != "" {
			row(whole, "ref "+event.Ref(d.Of))
		}
		for _, s := range d.Sent {
			if s.Maybe {
				row(s.Dest, "may have arrived at "+at(s.At)+", and is not sent again")
				continue
			}
			row(s.Dest, "told at "+at(s.At))
		}
		switch {
		case len(d.Sent) > 0:
		case d.Dead:
			row("state", "given up")
		case d.Of != "":
			row("state", "told as a part of that "+whole)
		case k.digest() != "":
			row("state", k.digest())
		case d.Silence != "":
			row("state", "told to nobody, by the silence of "+event.Clean(d.Silence, 300))
		case d.Ignored:
			row("state", "left out by the settings: told to nobody")
		default:
			row("state", "told to nobody: no destination wants it")
		}
		return
	}
	if s := k.digest(); s != "" {
		row("state", s)
		return
	}
	row("state", "remembered; when it was told is known for a day only")
}

// digest says which digest has it, or that one will.
func (k *known) digest() string {
	switch p := k.History; {
	case p == nil || !p.Usual:
		return ""
	case p.Digest != "":
		return "told in the daily digest, ref " + event.Ref(p.Digest)
	case p.class == history.LeftOut || p.class == history.Silenced:
		return ""
	}
	return "waits for the daily digest"
}

// completeRefs completes the refs of what waits, and of what was told lately.
func (o *queueOptions) completeRefs(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	set, _, all, _ := o.open()
	var refs []string
	for _, e := range all {
		refs = append(refs, e.Ref+"\t"+e.what())
	}
	if c.Name() == "show" && c.Parent() != nil && c.Parent().Name() != "queue" {
		if db, err := lookInto(o.app.stateDir(set)); err == nil {
			told, _ := deliver.ReadDelivered(c.Context(), db, "", time.Now().Add(-24*time.Hour))
			db.Close()
			for _, d := range told {
				refs = append(refs, event.Ref(d.ID)+"\t"+(&known{Delivered: d}).what())
			}
		}
	}
	return refs, cobra.ShellCompDirectiveNoFileComp
}
