package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

type fleetTokenOptions struct {
	app *app
	now func() time.Time

	name            string
	labels          []string
	life            string
	uses            int
	standby, bearer bool
	reader          bool
}

// longestToken is how long one may be used to join with. Who needs one for longer
// makes another.
const longestToken = 30 * 24 * time.Hour

func newFleetTokenCmd(a *app) *cobra.Command {
	o := fleetTokenOptions{app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "token",
		Short: "Make a token that a host joins with",
		Long: long(`token prints what a host joins this hub with, alone on standard output: a secret
that is used once, within an hour. The hub keeps only its hash. The host knows the
hub by it.`,
			`Labels that are given here stand beside the host in messages, and are what rules
and routes of the settings go by; what the host says of itself counts only where
none is given. A host that joins again keeps its labels unless the token has others.`,
			`--bearer makes a token that is no one-time one: the host shows it with each request
in place of a certificate, where a proxy stands before the hub. It stays valid until
sshnotify fleet revoke, or until another one is made for the host; for a host that has
a certificate none is made.`,
			`--reader makes a token for a person: it opens the page of all hosts that the hub
serves at /report, in a browser as the password of any user, and hands nothing over.
It holds until sshnotify fleet revoke --reader, or until the name gets another one.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify fleet token --name web1 --label env=prod
  sudo sshnotify fleet token --uses 300 --for 1d     # for an image that starts 300 times
  sudo sshnotify fleet token --standby --name hub2
  sudo sshnotify fleet token --reader --name alice   # to read the page at the hub's /report`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notEmpty(c, "name", "for"); err != nil {
				return err
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "the host's or the reader's `NAME` at the hub: lower-case letters, digits and hyphens (default: the one it asks for)")
	f.StringArrayVar(&o.labels, "label", nil, "`KEY=VALUE` that the hub puts on the host's events, may be repeated")
	f.StringVar(&o.life, "for", "", "how long it may be used: 30m, 1h, 7d; at most 30d (default 1h)")
	f.IntVar(&o.uses, "uses", 1, "how many hosts may join with it")
	f.BoolVar(&o.standby, "standby", false, "for a hub that stands by, which may copy this one's database")
	f.BoolVar(&o.bearer, "bearer", false, "to be shown with each request, in place of a certificate")
	f.BoolVar(&o.reader, "reader", false, "for somebody who reads the hub's page, and no host")
	return c
}

func (o *fleetTokenOptions) run(ctx context.Context) error {
	t, err := o.options()
	if err != nil {
		return err
	}
	return o.app.atHub(ctx, func(c config.Config, db *store.DB) error {
		if o.reader {
			return o.makeReader(ctx, c, hub.NewRegistry(db))
		}
		if c.Hub.Listen == "" {
			return withHint(errors.New("hosts come to this hub by NATS, whose servers know who they are"), "docs/nats.md says how they are let in there")
		}
		t.OwnCertificate = c.Hub.CertFile != ""
		registry := hub.NewRegistry(db)
		replaced := false
		if t.Kind == hub.KindBearer {
			var err error
			if replaced, err = replaces(ctx, registry, t.Name); err != nil {
				return err
			}
		}
		text, err := registry.NewToken(ctx, t)
		if err != nil {
			return err
		}
		fmt.Fprintln(o.app.out, text)
		o.sayHow(c, t)
		if replaced {
			fmt.Fprintf(o.app.err, "The token that %s had before does not hold any more.\n", t.Name)
		}
		return nil
	})
}

// makeReader prints a token that opens the page.
func (o *fleetTokenOptions) makeReader(ctx context.Context, c config.Config, r *hub.Registry) error {
	if c.Hub.Listen == "" {
		return withHint(errors.New("this hub serves no page: the settings have no listen in [hub]"), "sudo sshnotify report writes it into a file")
	}
	token, replaced, err := r.NewReader(ctx, o.name)
	if err != nil {
		return err
	}
	fmt.Fprintln(o.app.out, token)
	fmt.Fprintf(o.app.err, `It opens %s%s: a browser asks for a password, which it is, of any user.
  curl -H "Authorization: Bearer TOKEN" …
sudo sshnotify fleet revoke --reader %s ends it.
`, hubURL(c), fleet.PathPage, o.name)
	if replaced {
		fmt.Fprintf(o.app.err, "The token that %s had before does not hold any more.\n", o.name)
	}
	return nil
}

// options checks the flags.
func (o *fleetTokenOptions) options() (t hub.TokenOptions, err error) {
	t = hub.TokenOptions{Name: o.name, Uses: o.uses, Life: hub.DefaultLife}
	switch {
	case o.standby && o.bearer, o.reader && (o.standby || o.bearer):
		return t, &usageError{errors.New("--standby, --bearer and --reader are mutually exclusive")}
	case o.reader && o.name == "":
		return t, &usageError{errors.New("--reader needs --name: whom the token is for, to revoke it by")}
	case o.reader && (o.life != "" || o.uses != 1 || len(o.labels) > 0):
		return t, &usageError{errors.New("--reader: the token is valid until it is revoked, and is no host's: leave --for, --uses and --label out")}
	case o.standby:
		t.Kind = hub.KindStandby
	case o.bearer:
		t.Kind = hub.KindBearer
	}
	switch {
	case o.name != "" && !fleet.ValidName(o.name):
		return t, &usageError{fmt.Errorf("--name: %q is not made of lower-case letters, digits and hyphens, 63 at most", o.name)}
	case o.uses < 1:
		return t, &usageError{errors.New("--uses must be 1 or more")}
	case o.uses > 1 && o.name != "":
		return t, &usageError{errors.New("--uses: a name is one host's")}
	case o.bearer && o.name == "":
		return t, &usageError{errors.New("--bearer needs --name: the token is one host's")}
	case o.bearer && o.life != "":
		return t, &usageError{errors.New("--for: a bearer token is valid until it is revoked")}
	}
	if o.life != "" {
		d, ok := strictoml.ParseDuration(o.life)
		if !ok || d <= 0 || d > longestToken {
			return t, &usageError{fmt.Errorf("--for: %q is not a time such as 30m, 2h or 7d, of at most 30d", o.life)}
		}
		t.Life = d
	}
	for _, text := range o.labels {
		key, value, ok := strings.Cut(text, "=")
		if !ok || !strictoml.IsName(key) || !strictoml.IsLine(value, config.MaxLabelValue) {
			return t, &usageError{fmt.Errorf("--label: %q is not a label and its value, such as env=prod", text)}
		}
		if t.Labels == nil {
			t.Labels = map[string]string{}
		}
		t.Labels[key] = value
	}
	if len(t.Labels) > config.MaxLabels {
		return t, &usageError{fmt.Errorf("--label: at most %d labels", config.MaxLabels)}
	}
	return t, nil
}

// replaces reports whether a bearer token takes the place of another of the host's. It
// refuses to end a certificate unasked: the host would be kept out from then on.
func replaces(ctx context.Context, r *hub.Registry, name string) (bool, error) {
	hosts, err := r.Hosts(ctx)
	for _, h := range hosts {
		if h.Name != name || !h.Revoked.IsZero() {
			continue
		}
		if h.Kind != hub.KindBearer {
			return false, withHint(fmt.Errorf("%s has a certificate, which would not hold any more beside a bearer token", name),
				"if that is what you want: sudo sshnotify fleet revoke "+name+", and then this again")
		}
		return true, nil
	}
	return false, err
}

// sayHow says what to do with the token, beside it.
func (o *fleetTokenOptions) sayHow(c config.Config, t hub.TokenOptions) {
	at := hubURL(c)
	if t.Kind == hub.KindBearer {
		fmt.Fprintf(o.app.err, `Put it into a file on %s that the service may read, and into its settings:
  [hub]
  url = "%s"
  token_file = "/etc/sshnotify/hub.token"
`, t.Name, at)
		return
	}
	whom := "whichever host asks first"
	switch {
	case t.Name != "":
		whom = t.Name
	case t.Uses > 1:
		whom = fmt.Sprintf("%d hosts", t.Uses)
	}
	fmt.Fprintf(o.app.err, "It lets %s in until %s. There, with the token on standard input:\n", whom, o.now().Add(t.Life).In(c.Zone()).Format(untilFormat))
	if t.Kind == hub.KindStandby {
		fmt.Fprintf(o.app.err, "  sudo sshnotify fleet join %s --token-file -\nIt may fetch this hub's database then: docs/many-hosts.md\n", at)
		return
	}
	fmt.Fprintf(o.app.err, "  sudo sshnotify install --system --hub %s --token-file -\n", at)
}

// hubURL returns how hosts call the hub, as far as the settings say.
func hubURL(c config.Config) string {
	name := ""
	if len(c.Hub.Names) > 0 {
		name = c.Hub.Names[0]
	} else if h, err := os.Hostname(); err == nil {
		name = h
	}
	at, err := netip.ParseAddrPort(c.Hub.Listen)
	if err != nil {
		return "https://" + name
	}
	return "https://" + net.JoinHostPort(name, fmt.Sprint(at.Port()))
}
