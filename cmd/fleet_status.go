package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/release"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

type fleetStatusOptions struct {
	app  *app
	now  func() time.Time
	json bool
}

func newFleetStatusCmd(a *app) *cobra.Command {
	o := fleetStatusOptions{app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the hosts that hand over to this hub",
		Long: long(`status lists the hosts of this hub, those that need somebody first: what is wrong
with each, when it was last heard of, what waits there and since when, its version,
the hash of its settings, and until when its certificate is valid. Below stand the
readers of the hub's page, if there are any.`,
			`A host is silent when it has sent no beat for 16 minutes. Events are missing when
its numbers have a gap: it says that it handed more over than is here. Either can
mean that somebody stopped sshnotify there.`,
			`It exits with 1 where a host is silent, where events are missing, where a
certificate has ended, or where the hub itself does not run; a version that is not the hub's, dead letters, and what waits
for long are shown, and are no failure.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify fleet status
  sudo sshnotify fleet status --json | jq -r '.hosts[] | select(.state == "fail") | .name'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object")
	return c
}

// hostState is how a host is; a greater one is worse.
type hostState int

const (
	hostRevoked hostState = iota // nobody expects anything of it
	hostWell
	hostLook // it works, and somebody should look
	hostFail // its logins may go untold
)

func (s hostState) MarshalText() ([]byte, error) {
	return []byte([...]string{"revoked", "ok", "look", "fail"}[s]), nil
}

// fleetHost is a host as status shows it. The names are part of --json's output.
type fleetHost struct {
	Name     string            `json:"name"`
	Kind     hub.Kind          `json:"kind"`
	State    hostState         `json:"state"`
	Problems []string          `json:"problems"` // the worst first
	Labels   map[string]string `json:"labels,omitempty"`
	Joined   time.Time         `json:"joined"`
	Revoked  time.Time         `json:"revoked,omitzero"`
	Expires  time.Time         `json:"certificate_ends,omitzero"`
	Beaten   time.Time         `json:"beat,omitzero"`
	Waiting  int               `json:"waiting"`
	Oldest   time.Time         `json:"oldest,omitzero"`
	Dead     int               `json:"dead_letters"`
	Version  string            `json:"version,omitempty"`
	Settings string            `json:"settings,omitempty"`
	Number   int64             `json:"number"` // of the newest event there
	Have     int64             `json:"have"`   // all up to it are here
	Gap      bool              `json:"gap"`
	Alone    bool              `json:"alone"` // it tells by itself meanwhile
	ClockOff float64           `json:"clock_off_seconds"`
}

const (
	// endsSoon is when a certificate should have been renewed long ago.
	endsSoon = 14 * 24 * time.Hour
	// clockOff is how wrong a clock may be.
	clockOff = 5 * time.Minute
	// waitsLong is how long a host's oldest event may wait.
	waitsLong = 10 * time.Minute
	// maxSaid is how much of its version and its settings' hash is shown, in characters.
	maxSaid = 64
)

// statusOf judges a host. own is the hub's version.
func statusOf(h hub.Host, own string, now time.Time) fleetHost {
	b := h.Beat
	// A host says what it likes.
	b.Version, b.Settings = event.Clean(b.Version, maxSaid), event.Clean(b.Settings, maxSaid)
	out := fleetHost{
		Name: h.Name, Kind: h.Kind, State: hostWell, Problems: []string{}, Labels: h.Labels, Joined: h.Joined, Revoked: h.Revoked, Expires: h.Expires,
		Beaten: h.Beaten, Waiting: b.Waiting, Oldest: b.Oldest, Dead: b.Dead, Version: b.Version, Settings: b.Settings,
		Number: b.Number, Have: h.Have, Gap: h.Gap, Alone: b.Alone,
	}
	var off time.Duration
	if !h.Beaten.IsZero() {
		off = b.Time.Sub(h.Beaten).Round(time.Second)
		out.ClockOff = off.Seconds()
	}
	if !h.Revoked.IsZero() {
		out.State, out.Problems = hostRevoked, []string{"revoked"}
		return out
	}
	say := func(s hostState, format string, args ...any) {
		out.State = max(out.State, s)
		out.Problems = append(out.Problems, fmt.Sprintf(format, args...))
	}
	heard := h.Beaten
	if heard.IsZero() {
		heard = h.Joined
	}
	if h.Gap {
		say(hostFail, "events are missing")
	}
	switch {
	case now.Sub(heard) <= fleet.SilentAfter:
	case h.Beaten.IsZero():
		say(hostFail, "never heard of")
	default:
		say(hostFail, "silent")
	}
	switch left := h.Expires.Sub(now); {
	case h.Expires.IsZero():
	case left <= 0:
		say(hostFail, "its certificate has ended")
	case left <= endsSoon:
		say(hostLook, "its certificate ends soon")
	}
	if h.Beaten.IsZero() {
		return out
	}
	if !b.Oldest.IsZero() && h.Beaten.Sub(b.Oldest) > waitsLong {
		say(hostLook, "events wait")
	}
	if b.Dead > 0 {
		say(hostLook, "dead letters: %d", b.Dead)
	}
	if off.Abs() > clockOff {
		say(hostLook, "its clock is %s", map[bool]string{true: "fast", false: "slow"}[off > 0])
	}
	if b.Alone {
		say(hostLook, "it tells by itself")
	}
	if b.Version != own {
		say(hostLook, "another version")
	}
	return out
}

// statuses judges hosts, the worst first.
func statuses(hosts []hub.Host, own string, now time.Time) []fleetHost {
	all := make([]fleetHost, len(hosts))
	for i, h := range hosts {
		all[i] = statusOf(h, own, now)
	}
	slices.SortStableFunc(all, func(a, b fleetHost) int {
		return cmp.Or(cmp.Compare(b.State, a.State), cmp.Compare(len(b.Problems), len(a.Problems)), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func (o *fleetStatusOptions) run(ctx context.Context) error {
	a := o.app
	var zone *time.Location
	var hosts []hub.Host
	var readers []hub.Reader
	running := false
	err := a.atHub(ctx, func(c config.Config, db *store.DB) (err error) {
		zone = c.Zone()
		running = spool.Open(spool.For(a.spoolDir("", c), os.Geteuid())).Busy()
		registry := hub.NewRegistry(db)
		if hosts, err = registry.Hosts(ctx); err == nil {
			readers, err = registry.Readers(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	now := o.now()
	all := statuses(hosts, release.Version(), now)
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(struct {
			Version string      `json:"version"` // the hub's
			Running bool        `json:"running"` // the hub does
			Hosts   []fleetHost `json:"hosts"`
			Readers []reader    `json:"readers"` // of the page
		}{release.Version(), running, all, readersOf(readers)})
	} else if err = o.table(zone, all, now); err == nil {
		err = o.readers(zone, readers)
	}
	if !running {
		fmt.Fprintf(a.err, "sshnotify: warning: the hub does not run: it takes nothing, and what it knows of hosts is of before\nsshnotify: hint: sudo systemctl start sshnotify\n")
	}
	if err == nil && (!running || slices.ContainsFunc(all, func(h fleetHost) bool { return h.State == hostFail })) {
		return &silentError{exitFailed}
	}
	return err
}

// table prints a line for each host, and how many there are.
func (o *fleetStatusOptions) table(zone *time.Location, all []fleetHost, now time.Time) error {
	a := o.app
	if len(all) == 0 {
		fmt.Fprintln(a.out, "no host has joined")
		fmt.Fprintln(a.err, "sshnotify: hint: sshnotify fleet token makes what one joins with")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tSTATE\tBEAT\tWAITING\tOLDEST\tVERSION\tSETTINGS\tCERTIFICATE")
	n := map[hostState]int{}
	for _, h := range all {
		n[h.State]++
		state := strings.Join(h.Problems, ", ")
		if state == "" {
			state = "ok"
		}
		ends := ""
		if !h.Expires.IsZero() {
			ends = "until " + h.Expires.In(zone).Format(time.DateOnly)
		} else if h.Kind == hub.KindBearer {
			ends = "token"
		}
		waiting := ""
		if !h.Beaten.IsZero() {
			waiting = fmt.Sprint(h.Waiting)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, state, since(h.Beaten, now), orDash(waiting), since(h.Oldest, now),
			orDash(h.Version), orDash(fmt.Sprintf("%.*s", shownHash, h.Settings)), orDash(ends))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	in := len(all) - n[hostRevoked]
	text := fmt.Sprintf("%d hosts", in)
	if in == 1 {
		text = "1 host"
	}
	for _, x := range []struct {
		state hostState
		what  string
	}{{hostFail, "failing"}, {hostLook, "to look at"}, {hostRevoked, "revoked"}} {
		if n[x.state] > 0 {
			text += fmt.Sprintf(", %d %s", n[x.state], x.what)
		}
	}
	fmt.Fprintln(a.out, text)
	return nil
}

// reader is somebody who may read the page, as status shows them. The names are part of
// --json's output.
type reader struct {
	Name    string    `json:"name"`
	Made    time.Time `json:"made"`
	Revoked time.Time `json:"revoked,omitzero"`
}

func readersOf(all []hub.Reader) []reader {
	out := make([]reader, len(all))
	for i, r := range all {
		out[i] = reader(r)
	}
	return out
}

// readers prints a line for each of them.
func (o *fleetStatusOptions) readers(zone *time.Location, all []hub.Reader) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(o.app.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nREADER\tSTATE\tTOKEN OF")
	for _, r := range all {
		state := "ok"
		if !r.Revoked.IsZero() {
			state = "revoked"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Name, state, r.Made.In(zone).Format(time.DateOnly))
	}
	return w.Flush()
}

// shownHash is how many characters tell one version of settings from another.
const shownHash = 8

// since writes how long a time is past, in its largest unit; none is a dash.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return figures.Ago(max(0, now.Sub(t)))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
