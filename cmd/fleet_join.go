package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

type fleetJoinOptions struct {
	changer
	url, tokenFile, name string
	standby              bool
}

func newFleetJoinCmd(a *app) *cobra.Command {
	o := fleetJoinOptions{changer: newChanger(a)}
	c := &cobra.Command{
		Use:   "join URL --token-file FILE",
		Short: "Have this host hand its events over to a hub",
		Long: long(`join gives this host a certificate of a hub's, with a token that
"sshnotify fleet token" made there, and writes conf.d/hub.toml beside the settings:
from then on the worker hands events over, and the hub tells them. The key is made
here and stays here. The host knows the hub by the token, whoever signed its
certificate.`,
			`A token may name the host; without one, it has the name of --name, which by default
is the first part of its host name. Joining a second time replaces the certificate.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify fleet join https://hub.example.com:8443 --token-file FILE
  sudo sshnotify fleet join https://hub.example.com:8443 --token-file - --name web1

  # a second machine that can take over
  sudo sshnotify fleet join https://hub.example.com:8443 --token-file FILE --standby`,
		Args: needsOne,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "token-file", "name"); err != nil {
				return err
			}
			o.url = args[0]
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token; - for standard input")
	f.BoolVar(&o.standby, "standby", false, "keep a copy of the hub's database, to take over with; needs a token of fleet token --standby")
	f.StringVar(&o.name, "name", "", "`NAME` of this host at the hub: lower-case letters, digits, hyphens")
	return c
}

func (o *fleetJoinOptions) run(ctx context.Context) error {
	a := o.app
	if u, err := url.Parse(o.url); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return &usageError{withHint(errors.New("URL must be the hub's address: https:// and a host"), "for example: sshnotify fleet join https://hub.example.com:8443 --token-file FILE")}
	}
	o.url = strings.TrimSuffix(o.url, "/")
	if o.tokenFile == "" {
		return &usageError{withHint(errors.New("--token-file is missing"), "sshnotify fleet token at the hub prints a token")}
	}
	token, err := o.token(ctx)
	if err != nil {
		return err
	}
	if o.name != "" && token.Name != "" && o.name != token.Name {
		return &usageError{withHint(fmt.Errorf("the token is for %s, and not for %s", token.Name, o.name), "leave --name out, or at the hub: sshnotify fleet token --name "+o.name)}
	}
	// Root sets the host up, whoever else their account.
	o.system = a.uid == 0
	s, err := o.find(nil)
	switch {
	case err != nil:
		return o.hinted(err)
	case s.broken != nil:
		return s.broken
	case s.settings.Hub.Hub():
		return withHint(errors.New("this is a hub, which tells its own logins"), "take listen out of [hub] to have it hand over to another")
	}
	// Planned first: what can't be written must not cost the token.
	plan, err := o.planHub(ctx, s)
	if err != nil {
		return o.hinted(err)
	}
	name, err := o.joinAs(ctx, s, s.settings, token)
	if err != nil {
		return err
	}
	o.say("joined %s as %s", o.url, name)
	if _, err := o.apply(ctx, s, plan); err != nil {
		return err
	}
	if len(s.settings.AlertDestinations()) > 0 && s.settings.Hub.AloneAfter == 0 {
		o.say("the destinations of the settings are not used any more: the hub tells")
	}
	if o.system {
		o.say("next: sudo systemctl reload sshnotify, and then: sudo sshnotify doctor --online")
	} else {
		o.say("next: sshnotify doctor --online")
	}
	return nil
}

func (o *fleetJoinOptions) token(ctx context.Context) (fleet.Token, error) {
	b, err := o.readSecret(ctx, o.tokenFile, "Token")
	if err != nil {
		return fleet.Token{}, fmt.Errorf("--token-file: %w", err)
	}
	t, err := fleet.ParseToken(string(b))
	if err != nil {
		return t, &usageError{withHint(fmt.Errorf("--token-file: %w", err), "sshnotify fleet token at the hub prints a token, alone on one line")}
	}
	return t, nil
}

// joinAs gets the certificate, as the user that works the spool.
func (o *fleetJoinOptions) joinAs(ctx context.Context, s *setup, c config.Config, token fleet.Token) (name string, err error) {
	a := o.app
	name = o.name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", err
		}
		name, _, _ = strings.Cut(strings.ToLower(cmp.Or(c.Host, host)), ".")
	}
	if token.Name == "" && !fleet.ValidName(name) {
		return "", &usageError{withHint(fmt.Errorf("%q can't be a host's name at a hub: lower-case letters, digits and hyphens, at most 63", name), "--name NAME gives it another")}
	}
	err = a.asOwner(s.spool, s.state, func() error {
		c.Hub.URL, c.Hub.Token = o.url, outbound.Secret{}
		name, err = fleet.Join(ctx, hubOptions(c, s.state), token, name)
		return err
	})
	if e, ok := errors.AsType[*fleet.Error](err); ok && e.Hint != "" {
		return "", withHint(err, e.Hint)
	}
	return name, err
}

// planHub plans to have the settings name the hub.
func (o *fleetJoinOptions) planHub(ctx context.Context, s *setup) (p install.Plan, err error) {
	place := s.addedFile("hub")
	if had := s.settings.Hub.URL; had == o.url && (!o.standby || s.settings.Hub.Standby) {
		return p, nil
	} else if _, err := os.Stat(place); had != "" && had != o.url && err != nil {
		return p, withHint(fmt.Errorf("the settings name another hub: %s", had), "change url of [hub] there: "+s.config)
	}
	if _, err := os.Stat(s.config); err != nil {
		return p, withHint(fmt.Errorf("the settings don't name the hub yet: %w", err), "sshnotify install makes settings; then join again")
	}
	text := fmt.Appendf(nil, "# Written by sshnotify fleet join, and yours from now on; read after %s.\n[hub]\nurl = %q\n", s.config, o.url)
	if o.standby {
		text = append(text, "standby = true\n"...)
	}
	files := []install.FileText{{Path: place, Content: text, Replace: true}}
	return o.planFiles(ctx, s, files)
}
