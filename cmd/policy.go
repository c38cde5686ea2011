package cmd

import (
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
	"github.com/sshnotify/sshnotify/internal/digest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/policy"
)

func newPolicyCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Show how logins are judged",
		Long:    long(`policy shows how logins are judged: severity, reasons and rules.`, exits(exitDone, exitUsage)),
		Example: "  sshnotify policy test --user root --ip 203.0.113.7",
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyTestCmd(a))
	return c
}

type policyOptions struct {
	app  *app
	user string
	ip   string
	at   string
	key  string
	// method, service and host are the event's.
	method, service, host string
	ca, keyID             string
	failures, attacked    int
	json                  bool
}

func newPolicyTestCmd(a *app) *cobra.Command {
	o := policyOptions{app: a}
	c := &cobra.Command{
		Use:   "test",
		Short: "Show how a login would be judged, and why",
		Long: long(`test judges a made-up login with the current settings, look-ups and history. It
prints the severity, the destinations, each reason with the severity that it asks
for, and which rule matched, with what kept the rules before it from matching.
Nothing is sent or remembered. Look-ups count against the providers' quotas.`,
			`The failures that came before a login are the watcher's to know: --failures and
--attacked say how many there were.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify policy test --user root --ip 203.0.113.7
  sshnotify policy test --user alice --ip 192.0.2.10 --at 2026-11-21T03:00 --key alice
  sshnotify policy test --user alice --method password --attacked 200`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.user, "user", "alice", "who logs in")
	f.StringVar(&o.ip, "ip", "203.0.113.7", "`ADDRESS` that the login comes from")
	f.StringVar(&o.at, "at", "", "`TIME` of the login: 15:04, or 2006-01-02T15:04, in the settings' time zone (default now)")
	f.StringVar(&o.key, "key", "", "`KEY` used: a fingerprint, or a person of the settings")
	f.StringVar(&o.ca, "ca", "", "`FINGERPRINT` of the authority that signed the key, of a certificate")
	f.StringVar(&o.keyID, "key-id", "", "`NAME` in the certificate")
	f.IntVar(&o.failures, "failures", 0, "`NUMBER` of failures for this user from the address before the login")
	f.IntVar(&o.attacked, "attacked", 0, "`NUMBER` of failures for this user from other addresses")
	f.StringVar(&o.method, "method", "", "how they authenticate: publickey, password, … (default publickey with --key)")
	f.StringVar(&o.service, "service", "sshd", "PAM `SERVICE`")
	f.StringVar(&o.host, "host", "", "`HOST` logged in to (default this one)")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return c
}

// explained is what policy test prints.
type explained struct {
	policy.Explanation
	Event        event.Event  `json:"event"`
	Facts        event.Facts  `json:"facts"`
	Memory       event.Memory `json:"memory"`
	Owner        string       `json:"owner,omitempty"`
	Quiet        string       `json:"quiet,omitempty"` // why it is not told at once
	Why          string       `json:"why"`             // why it is, or is not
	Destinations []string     `json:"destinations,omitempty"`
	// Others are the destinations that do not get it, and why, or get it later.
	Others []deliver.Routing `json:"others,omitempty"`
}

func (o *policyOptions) run(ctx context.Context) error {
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	e, err := o.event(c)
	if err != nil {
		return err
	}
	stateDir := a.stateDir(c)
	db, err := a.askBeside(stateDir)
	if err != nil {
		return err
	}
	defer db.Close()
	if c, _, err = asBefore(db, c, false); err != nil {
		fmt.Fprintf(a.err, "sshnotify: warning: %s: %v\n", unknownBefore, err)
	}
	set, err := workerSettings(c, stateDir, db)
	if err != nil {
		return err
	}
	in := policy.Input{Event: e, Facts: set.Enrich(ctx, e.Remote.IP), Owner: set.Owner(e), KnownKeys: set.KnownKeys}
	if in.Memory, err = recallOnly(ctx, c, stateDir, in); err != nil {
		fmt.Fprintf(a.err, "sshnotify: warning: the memory of logins can't be read: %v\n", err)
	}
	x := explained{Explanation: policy.Explain(in, set.Policy), Event: e, Facts: in.Facts, Memory: in.Memory, Owner: in.Owner}
	if ordinary, err := deliver.ReadOrdinary(ctx, db, e.Host); err == nil {
		p, l := deliver.PairOf(e, in.Facts), digest.Limits{PerDay: set.OrdinaryPerDay, Window: set.Window}
		in.OneByOne = !ordinary.Digest
		in.Frequent = ordinary.Frequent(p)
		in.Few, in.ManyNew = ordinary.Few(p, e.Time, l), ordinary.ManyNew(p, e.Time, l)
	}
	t := policy.Tell(in, x.Verdict, set.Policy)
	if silences, err := deliver.ReadSilences(ctx, db); err == nil && t.When == policy.Now {
		if i := slices.IndexFunc(silences, func(s event.Silence) bool { return policy.Silences(s, e, x.Verdict) }); i >= 0 {
			t.When, t.Why = policy.Silenced, "the silence of "+silences[i].String()+": "+silences[i].Why
		}
	}
	if x.Why = t.Why; t.When != policy.Now {
		x.Quiet = t.Why
	} else {
		for _, r := range set.Routes(in, x.Verdict) {
			if len(r.Misses) == 0 {
				x.Destinations = append(x.Destinations, r.Name)
			}
			if len(r.Misses) > 0 || !r.Held.IsZero() {
				x.Others = append(x.Others, r)
			}
		}
	}
	if c.Hub.Host() {
		fmt.Fprintf(a.err, "sshnotify: warning: this host hands over to %s, which judges by its own settings and memory\nsshnotify: hint: run it there: sshnotify policy test --host %s\n", c.Hub.URL, e.Host)
	}
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(x)
	}
	return o.show(x, set)
}

// recallOnly asks the memory without changing anything. That there is none is
// no error.
func recallOnly(ctx context.Context, c config.Config, stateDir string, in policy.Input) (event.Memory, error) {
	if !c.History.Enabled {
		return event.Memory{}, nil
	}
	o := c.History.Options(c.Zone())
	o.ReadOnly = true
	db, err := history.Open(databaseFile(stateDir), o)
	if err != nil {
		return event.Memory{}, err
	}
	defer db.Close()
	m, err := db.Recall(ctx, history.EntryOf(in.Event, in.Facts, event.Verdict{}))
	if errors.Is(err, fs.ErrNotExist) {
		return event.Memory{}, nil
	}
	return m, err
}

func (o *policyOptions) event(c config.Config) (event.Event, error) {
	ip, err := address("--ip", o.ip)
	if err != nil {
		return event.Event{}, err
	}
	at := time.Now()
	if o.at != "" {
		if at, err = moment(o.at, at, c.Zone()); err != nil {
			return event.Event{}, &usageError{fmt.Errorf("--at: %w", err)}
		}
	}
	alert, err := o.app.sample(c, o.user, ip)
	if err != nil {
		return event.Event{}, err
	}
	e := alert.Event
	e.Time, e.Service, e.Login.Auth = at, o.service, event.Auth{Method: o.method}
	if o.host != "" {
		e.Host = o.host
	}
	if o.failures < 0 || o.attacked < 0 {
		return event.Event{}, &usageError{errors.New("--failures and --attacked can't be negative")}
	}
	if o.failures > 0 || o.attacked > 0 {
		e.Login.After = &event.Attack{FromAddress: o.failures, OwnFailures: o.failures, AgainstUser: o.attacked}
	}
	e.Login.Auth.CAFingerprint, e.Login.Auth.KeyID = o.ca, o.keyID
	if o.key == "" && o.ca == "" && o.keyID == "" {
		return e, nil
	}
	if o.method == "" {
		e.Login.Auth.Method = "publickey"
	}
	if o.key == "" {
		return e, nil
	}
	e.Login.Auth.Fingerprint = o.key
	if keys := c.People.Keys()[o.key]; len(keys) > 0 {
		e.Login.Auth.Fingerprint = keys[0]
	} else if !strings.HasPrefix(o.key, "SHA256:") {
		return event.Event{}, unknownKey(c, o.key)
	}
	return e, nil
}

func (o *policyOptions) show(x explained, set deliver.Settings) error {
	out := o.app.out
	e := x.Event
	zone := set.Zone
	if zone == nil {
		zone = time.UTC
	}
	fmt.Fprintf(out, "login of %s to %s from %s at %s\n", e.User, e.Host, e.Remote.IP, e.Time.In(zone).Format("15:04 MST, Mon 2 Jan 2006"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	row("severity", "%s", severityText(x.Verdict))
	switch {
	case x.Quiet != "":
		row("told", "not at once")
	case len(x.Destinations) == 0:
		row("told", "to nobody: no destination gets it")
	default:
		row("told", "to %s", strings.Join(x.Destinations, ", "))
	}
	for _, r := range x.Others {
		if len(r.Misses) > 0 {
			row("not to", "%s: %s", r.Name, missesText(r.Misses))
		} else {
			row("held", "%s: quiet until %s", r.Name, r.Held.In(zone).Format("15:04 MST, Mon 2 Jan"))
		}
	}
	row("because", "%s", x.Why)
	row("memory", "%s", memoryText(x.Memory, zone))
	if x.Memory.Known {
		row("pair", "%s", pairText(x.Memory.Pair, zone))
	}
	if x.Owner != "" {
		row("key of", "%s", x.Owner)
	}
	if x.Rule >= 0 && x.Rules[x.Rule].Reason != "" {
		row("reason", "%s (rule %s)", x.Rules[x.Rule].Reason, ruleName(x.Rules[x.Rule].Name, x.Rule))
	}
	for _, r := range x.Reasons {
		about := ""
		if r.About != "" {
			about = " ([raise] " + string(r.About) + ")"
		}
		row("reason", "%s: %s%s", r.Severity, r.Text, about)
	}
	for i, r := range x.Rules {
		row("rule", "%s: %s", ruleName(r.Name, i), missesText(r.Misses))
	}
	for _, why := range x.Refused {
		row("refused", "%s", why)
	}
	return w.Flush()
}

func severityText(v event.Verdict) string {
	s := v.Severity.String()
	switch {
	case v.Floor > event.Low:
		return s + ", routed as " + v.Route().String() + ": its risk is unknown"
	case v.Usual:
		return s + ", usual"
	}
	return s
}

// memoryText says what is remembered, and since when.
func memoryText(m event.Memory, zone *time.Location) string {
	day := func(t time.Time) string { return t.In(zone).Format("2 Jan 2006") }
	seen := func(s event.Seen, what string) string {
		if s.Count == 0 {
			return "none " + what
		}
		return fmt.Sprintf("%s %s since %s", logins(s.Count), what, day(s.First))
	}
	switch {
	case !m.Known:
		return "none"
	case m.Since.IsZero():
		return "still learning: no login is remembered yet"
	}
	what := []string{"since " + day(m.Since), seen(m.User, "of this user"), seen(m.Network, "of them from this network")}
	if m.Young {
		what[0] = "still learning, " + what[0]
	}
	if m.User.Count == 0 {
		what[2] = seen(m.HostNetwork, "of others from this network")
	}
	return strings.Join(what, "; ")
}

// pairText says how well this user, network and key are known together, and since
// when.
func pairText(p event.Pair, zone *time.Location) string {
	day := func(t time.Time) string { return t.In(zone).Format("2 Jan 2006") }
	switch {
	case p.Usual():
		return fmt.Sprintf("%s since %s", p.State, day(p.Since))
	case p.Count > 0 && p.Days < 3:
		return fmt.Sprintf("new: %s since %s, on %d of the three days that make it usual", logins(p.Count), day(p.First), p.Days)
	case p.Count > 0 && p.Last.Sub(p.First) < 48*time.Hour:
		return fmt.Sprintf("new: %s since %s, and not yet over 48 hours, which make it usual", logins(p.Count), day(p.First))
	case p.Count > 0:
		return fmt.Sprintf("new: %s since %s; a password, or a new key of a known user, is usual only when somebody acknowledges it", logins(p.Count), day(p.First))
	case !p.Told.IsZero():
		return fmt.Sprintf("told as %s, last on %s, and not acknowledged", p.ToldSeverity, day(p.Told))
	case p.State != "":
		return "judged as dangerous, and not acknowledged"
	}
	return "never seen: this user from this network with this key"
}

func ruleName(name string, i int) string {
	if name == fmt.Sprint(i+1) {
		return name
	}
	return fmt.Sprintf("%d %s", i+1, name)
}

func missesText(misses []policy.Miss) string {
	if len(misses) == 0 {
		return "it matches"
	}
	var out []string
	for _, m := range misses {
		out = append(out, fmt.Sprintf("%s is %s, not %s", m.Key, m.Got, m.Want))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}
