package cmd

import (
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
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify policy test --user root --ip 203.0.113.7
  sshnotify policy test --user alice --ip 192.0.2.10 --at 2026-11-21T03:00 --key alice`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.user, "user", "alice", "who logs in")
	f.StringVar(&o.ip, "ip", "203.0.113.7", "`ADDRESS` that the login comes from")
	f.StringVar(&o.at, "at", "", "`TIME` of the login: 15:04, or 2006-01-02T15:04, in the settings' time zone (default now)")
	f.StringVar(&o.key, "key", "", "`KEY` used: a fingerprint, or a person of the settings")
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
	Destinations []string     `json:"destinations,omitempty"`
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
	set, err := workerSettings(c, stateDir, db)
	if err != nil {
		return err
	}
	in := policy.Input{Event: e, Facts: set.Enrich(ctx, e.Remote.IP), Owner: set.Owner(e), KnownKeys: set.KnownKeys}
	if in.Memory, err = recallOnly(ctx, c, stateDir, in); err != nil {
		fmt.Fprintf(a.err, "sshnotify: warning: the memory of logins can't be read: %v\n", err)
	}
	x := explained{Explanation: policy.Explain(in, set.Policy), Event: e, Facts: in.Facts, Memory: in.Memory, Owner: in.Owner}
	if x.Quiet = set.Quiet(in, x.Verdict); x.Quiet == "" {
		x.Destinations = set.Routed(e, x.Verdict)
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
	bad := func(format string, args ...any) (event.Event, error) {
		return event.Event{}, &usageError{fmt.Errorf(format, args...)}
	}
	ip, err := netip.ParseAddr(o.ip)
	if err != nil {
		return bad("--ip: %q is not an IP address", o.ip)
	}
	at := time.Now()
	if o.at != "" {
		if at, err = moment(o.at, at, c.Zone()); err != nil {
			return bad("--at: %w", err)
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
	if o.key == "" {
		return e, nil
	}
	e.Login.Auth.Fingerprint = o.key
	if keys := c.People[o.key].Keys; len(keys) > 0 {
		e.Login.Auth.Fingerprint = keys[0]
	} else if !strings.HasPrefix(o.key, "SHA256:") {
		return bad("--key: %q is neither a fingerprint (SHA256:…) nor a person with a key in the settings", o.key)
	}
	if o.method == "" {
		e.Login.Auth.Method = "publickey"
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
		row("told", "not at once: %s", x.Quiet)
	case len(x.Destinations) == 0:
		row("told", "to nobody: every destination's min_severity is higher")
	default:
		row("told", "to %s", strings.Join(x.Destinations, ", "))
	}
	row("memory", "%s", memoryText(x.Memory))
	if x.Owner != "" {
		row("key of", "%s", x.Owner)
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

func memoryText(m event.Memory) string {
	switch {
	case !m.Known:
		return "none"
	case m.Since.IsZero():
		return "still learning: no login is remembered yet"
	case m.Learning:
		return fmt.Sprintf("still learning, since %s; %d logins of this user", m.Since.UTC().Format(time.DateOnly), m.User.Count)
	}
	return fmt.Sprintf("since %s; %d logins of this user, %d from this network", m.Since.UTC().Format(time.DateOnly), m.User.Count, m.Network.Count)
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
