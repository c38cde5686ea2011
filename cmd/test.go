package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

func newTestCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test",
		Short: "Send a sample to each destination now",
		Long: long(`test sends a sample message to each destination in the settings right away,
bypassing the spool and min_severity, and prints a line with each one's answer.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify test
  sudo sshnotify test --config /etc/sshnotify/config.toml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runTest(c.Context()) },
	}
}

func (a *app) runTest(ctx context.Context) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	targets, err := destinations(c)
	if err != nil {
		return err
	}
	alert, err := a.sample(c, "alice", netip.Addr{})
	if err != nil {
		return err
	}
	alert.Test = true
	failed := false
	for _, t := range targets {
		start := time.Now()
		err := t.Dest.Send(ctx, alert)
		took := time.Since(start).Round(time.Millisecond)
		if err == nil {
			fmt.Fprintf(a.out, "%s: ok (%v)\n", t.Dest.Name(), took)
			continue
		}
		failed = true
		fmt.Fprintf(a.out, "%s: failed: %v\n", t.Dest.Name(), err)
		var e *channel.Error
		if errors.As(err, &e) && e.Class == channel.Broken {
			fmt.Fprintf(a.err, "sshnotify: hint: mend destination.%s in %s, then: sshnotify test\n", t.Dest.Name(), a.settingsPlace(c))
		}
	}
	if len(c.Destinations) == 0 {
		fmt.Fprintf(a.err, "sshnotify: hint: no destination is set up, so alerts go to the system log; name one in %s\n", a.settingsPlace(c))
	}
	if failed {
		return &silentError{exitFailed}
	}
	return nil
}

// settingsPlace is where the settings are, or would be.
func (a *app) settingsPlace(c config.Config) string {
	if len(c.Files) > 0 {
		return c.Files[0]
	}
	return a.places.ConfigFile()
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
		ID: e.ID, Event: e, Count: 1, First: e.Time, Last: e.Time, Zone: c.Zone(), Runbook: c.Links.Runbook,
		Verdict: policy.Judge(policy.Input{Event: e}, c.Policy()),
		Person:  newOwners(c).Of(e),
	}, nil
}
