package config

import (
	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/dns"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Destination is where alerts go: the keys that all destinations have, and those
// of its channel.
type Destination struct {
	Name        string         // of its table
	Type        string         `toml:"type"`
	MinSeverity event.Severity `toml:"min_severity" check:"oneof=low medium high critical"`
	Settings    channel.Settings
}

// Destinations are the tables [destination.NAME], in the order in which they
// stand.
type Destinations []Destination

// DecodeTOML reads them as their channels say.
func (all *Destinations) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	strictoml.Named(d, n, channel.Types(), nil, func(n *strictoml.Node, typ string, s channel.Settings) {
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
