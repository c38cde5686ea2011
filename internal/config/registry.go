package config

import (
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/dns"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Destination is where alerts go: the keys that all destinations have, and those
// of its channel.
type Destination struct {
	Name string // of its table
	Type string `toml:"type"`
	policy.Route
	// Fallback is another destination, which tells what is high or critical while
	// this one is out of order.
	Fallback string `toml:"fallback"`
	// Quiet are hours in which only what is critical is told, by the clock of
	// QuietZone.
	Quiet     []policy.Hours `toml:"quiet,one"`
	QuietZone string         `toml:"quiet_zone"` // IANA name; empty: Config.Zone
	// Remind is how often what is high or critical is told again until somebody
	// acknowledges it; 0: never.
	Remind time.Duration `toml:"remind" check:"min=5m,max=12h"`
	// Templates are the owner's words for messages.
	Templates message.Templates `toml:"template"`
	Settings  channel.Settings
}

// Destinations are the tables [destination.NAME], in the order in which they
// stand.
type Destinations []Destination

// DecodeTOML reads them as their channels say.
func (all *Destinations) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	strictoml.Named(d, n, channel.SettingsTypes(), nil, func(n *strictoml.Node, typ string, s channel.Settings) {
		x := Destination{Name: n.Key, Type: typ, Settings: s}
		d.Table(n, &x, s)
		*all = append(*all, x)
	})
}

// Provider is one who knows about addresses.
type Provider struct {
	Name     string // of its table
	Type     string `toml:"type"`
	Settings enrich.ProviderSettings
}

// Providers are the tables [provider.NAME], in the order in which they stand.
type Providers []Provider

// providerTypes are all that the settings can name. A new native one is a line
// here, a service a file in enrich/services.
func providerTypes() []enrich.Type {
	all := append([]enrich.Type{mmdb.Type(), netlist.Type(), enrich.HTTPType()}, dns.Types()...)
	return append(append(all, builtin.Type()), enrich.ServiceTypes()...)
}

// DecodeTOML reads them as their types say.
func (all *Providers) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	strictoml.Named(d, n, providerTypes(), nil, func(n *strictoml.Node, typ string, s enrich.ProviderSettings) {
		x := Provider{Name: n.Key, Type: typ, Settings: s}
		d.Table(n, &x, s)
		*all = append(*all, x)
	})
}
