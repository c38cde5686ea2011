package cmd

import (
	"errors"
	"fmt"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/dns"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
)

// maxServiceFile is far above the size of any description of a service.
const maxServiceFile = 64 << 10

// engine makes the look-ups that the settings name. The built-in database comes
// last, unless it is named before.
func engine(c config.Config, stateDir string) (*enrich.Engine, error) {
	client := outbound.New(outbound.Options{
		Timeout: c.Enrich.Timeout, Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent(),
	})
	var providers []enrich.Provider
	ours := c.Enrich.Builtin
	for _, p := range c.Providers {
		made, err := newProvider(p, client, stateDir)
		if err != nil {
			return nil, &settingsError{fmt.Errorf("provider.%s: %w", p.Name, err)}
		}
		ours = ours && p.Type != config.ProviderBuiltin
		providers = append(providers, made)
	}
	if stateDir != "" {
		providers = append(providers, newAttackers(c, stateDir))
	}
	if ours {
		// A program whose own data can't be read is damaged, but still tells.
		if db, err := builtin.Open(); err == nil {
			providers = append(providers, db)
		}
	}
	var networks []enrich.NamedNetwork
	for _, n := range c.Networks {
		for _, p := range n.Prefixes {
			networks = append(networks, enrich.NamedNetwork{Prefix: p, Name: n.Name})
		}
	}
	return enrich.New(enrich.Options{
		Providers: providers, Timeout: c.Enrich.Timeout, CacheTTL: c.Enrich.CacheTTL, StateDir: stateDir, Networks: networks,
	}), nil
}

func newProvider(p config.Provider, client *outbound.Client, stateDir string) (enrich.Provider, error) {
	switch p.Type {
	case config.ProviderBuiltin:
		return builtin.Open()
	case config.ProviderMMDB:
		return mmdb.New(mmdb.Options{Name: p.Name, Path: p.Path})
	case config.ProviderList:
		return netlist.New(netlist.Options{
			Name: p.Name, Label: p.List.Label, Score: p.List.Score, Trait: netlist.Trait(p.List.Trait), Allow: p.List.Allow,
			Path: p.Path, URL: p.List.URL, Refresh: p.List.Refresh, Client: client, StateDir: stateDir,
		})
	case config.ProviderCymru:
		return dns.NewCymru(dns.Options{Name: p.Name})
	case config.ProviderTorDNS:
		return dns.NewTor(dns.Options{Name: p.Name})
	}
	o := enrich.HTTPOptions{
		Name: p.Name, Type: p.Type, BaseURL: p.URL, Key: p.APIKey, StateDir: stateDir,
		PerMinute: p.Quota.PerMinute, PerDay: p.Quota.PerDay, PerWeek: p.Quota.PerWeek, PerMonth: p.Quota.PerMonth,
	}
	if p.Type == config.ProviderHTTP {
		b, err := state.ReadRegular(p.File, maxServiceFile)
		if errors.Is(err, state.ErrTooLarge) {
			err = fmt.Errorf("%s: larger than %d KiB, which no description of a service is", p.File, maxServiceFile>>10)
		}
		if err == nil {
			if o.Service, err = enrich.ParseService(p.Name, b); err != nil {
				err = fmt.Errorf("%s: %w", p.File, err)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return enrich.NewHTTP(client, o)
}
