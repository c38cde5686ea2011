package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/policy"
)

func newTestCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test [NAME]…",
		Short: "Send a sample to each destination now",
		Long: long(`test sends a sample message to each destination in the settings right away, or
to those that are named, bypassing the spool and min_severity, and prints a line
with each one's answer. On a host that hands over to a hub, it asks the hub whether
it lets this host in.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify test
  sudo sshnotify test --config /etc/sshnotify/config.toml oncall`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error { return a.runTest(c.Context(), names) },
	}
}

func (a *app) runTest(ctx context.Context, names []string) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	spoolDir := a.spoolDir("", c)
	if _, err := os.Lstat(filepath.Join(spoolDir, "cur")); err != nil {
		return a.testAll(ctx, c, names)
	}
	// As the service does: a file that root makes would be root's.
	return a.asOwner(spoolDir, a.stateDir(c), func() error { return a.testAll(ctx, c, names) })
}

func (a *app) testAll(ctx context.Context, c config.Config, names []string) error {
	targets, err := destinations(c)
	if err != nil {
		return err
	}
	if targets, err = only(targets, names); err != nil {
		return err
	}
	alert, err := a.testMessage(c)
	if err != nil {
		return err
	}
	failed := false
	if c.Hub.Host() && len(names) == 0 {
		failed = !a.testHub(ctx, c)
		if c.Hub.AloneAfter == 0 {
			targets = nil // the hub tells
		}
	}
	for _, t := range targets {
		start, told := time.Now(), alert
		if slices.Contains(c.Publish.Destinations, t.Dest.Name()) {
			told = publicTest(alert)
		}
		told.Own = t.Templates.Of(told)
		_, err := t.Dest.Send(ctx, told)
		took := time.Since(start).Round(time.Millisecond)
		if err == nil {
			fmt.Fprintf(a.out, "%s: ok (%v)\n", t.Dest.Name(), took)
			if d, ok := t.Dest.(channel.Deferred); ok && d.Look() != "" {
				fmt.Fprintf(a.err, "sshnotify: hint: %s\n", d.Look())
			}
			continue
		}
		failed = true
		fmt.Fprintf(a.out, "%s: failed: %v\n", t.Dest.Name(), err)
		if e, ok := errors.AsType[*channel.Error](err); ok && (e.Class == channel.Broken || e.Hint != "") {
			if e.Hint != "" {
				fmt.Fprintf(a.err, "sshnotify: hint: %s\n", e.Hint)
			}
			fmt.Fprintf(a.err, "sshnotify: hint: mend destination.%s in %s, then: sshnotify test\n", t.Dest.Name(), a.settingsPlace(c))
		}
	}
	if len(c.Destinations) == 0 && !c.Hub.Host() {
		fmt.Fprintf(a.err, "sshnotify: hint: no destination is set up, so alerts go to the system log; %s asks for one, or name it in %s\n", a.setUp(), a.settingsPlace(c))
	}
	if failed {
		return &silentError{exitFailed}
	}
	return nil
}

// testHub asks the hub whether it lets this host in, and says how to have it tell
// something.
func (a *app) testHub(ctx context.Context, c config.Config) (ok bool) {
	if !c.Hub.Brokered() { // whether those let it in, the worker alone finds out
		way := fleet.NewHTTPS(hubOptions(c, a.stateDir(c)))
		defer way.Close()
		start := time.Now()
		if _, err := way.Reach(ctx); err != nil {
			fmt.Fprintf(a.out, "the hub: failed: %v\n", err)
			if e, ok := errors.AsType[*fleet.Error](err); ok && e.Hint != "" {
				fmt.Fprintf(a.err, "sshnotify: hint: %s\n", e.Hint)
			}
			return false
		}
		fmt.Fprintf(a.out, "the hub: ok (%v)\n", time.Since(start).Round(time.Millisecond))
	}
	fmt.Fprintf(a.err, "sshnotify: hint: %s tells what this host hands over; to have it tell something: sshnotify alert \"A test\", and if it does not come, sshnotify test there\n", c.Hub.URL)
	return true
}

// only returns the destinations with these names, or all where there are none.
func only(all []deliver.Target, names []string) (out []deliver.Target, err error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, t := range all {
		known = append(known, t.Dest.Name())
	}
	for _, n := range names {
		i := slices.Index(known, n)
		if i < 0 {
			return nil, &usageError{fmt.Errorf("there is no destination %q: %s", n, strings.Join(known, ", "))}
		}
		out = append(out, all[i])
	}
	return out, nil
}

// settingsPlace is where the settings are, or would be.
func (a *app) settingsPlace(c config.Config) string {
	if len(c.Files) > 0 {
		return c.Files[0]
	}
	return a.places.ConfigFile()
}

// testMessage makes up a message that says no more than that it arrived: nobody
// shall take it for a login.
func (a *app) testMessage(c config.Config) (event.Alert, error) {
	alert, err := a.sample(c, "alice", netip.Addr{})
	if err != nil {
		return event.Alert{}, err
	}
	e := alert.Event
	alert.Event = event.Event{
		ID: e.ID, Kind: event.KindAlert, Time: e.Time, Host: e.Host, Labels: e.Labels, Via: event.ViaCLI,
		Alert: &event.Note{Severity: event.Low, Text: "If you can read this, alerts from this host arrive."},
	}
	alert.Verdict = policy.Judge(policy.Input{Event: alert.Event}, c.Policy())
	alert.Person, alert.Test = "", true
	return alert, nil
}

// publicTest is the message for a destination that strangers read, who learn nothing of
// this host.
func publicTest(a event.Alert) event.Alert {
	e := a.Event
	a.Event = event.Event{ID: e.ID, Kind: event.KindAttack, Time: e.Time, Via: event.ViaCLI, Attack: &event.Attack{Phase: event.PhaseEnded, Note: event.Note{
		Severity: event.Low, Public: true, Title: "A test", Text: "Addresses of attackers are going to be told here.",
	}}}
	a.Facts, a.Runbook, a.Test = event.Facts{}, "", false
	return a
}

// sample makes up a login of user from ip, as this host would tell it. Without
// an address it comes from a documentation one (RFC 5737).
func (a *app) sample(c config.Config, user string, ip netip.Addr) (event.Alert, error) {
	if !ip.IsValid() {
		ip = netip.AddrFrom4([4]byte{203, 0, 113, 7})
	}
	host := c.Host
	if host == "" {
		name, err := os.Hostname()
		if err != nil {
			return event.Alert{}, err
		}
		host = name
	}
	now := time.Now()
	e := event.Event{
		ID: event.NewID(), Kind: event.KindLogin, Time: now, Host: host, Labels: c.Labels,
		User: user, Service: "sshd", Via: event.ViaPAM,
		Remote: event.Remote{IP: ip, Port: 51234}, Local: event.Local{Port: 22},
		Login: event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}},
	}
	data, err := e.Encode() // as it would come out of the spool
	if err != nil {
		return event.Alert{}, err
	}
	if e, err = event.Decode(data); err != nil {
		return event.Alert{}, err
	}
	return event.Alert{
		ID: e.ID, Event: e, Count: 1, First: e.Time, Last: e.Time, Zone: c.Zone(), Clock12: c.Clock12(), Runbook: c.Links.Runbook,
		Verdict: policy.Judge(policy.Input{Event: e}, c.Policy()),
		Person:  newOwners(c).Of(e),
	}, nil
}
