package cmd

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/dest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// settings reads the settings file: the one that was named, or the default one
// if there is one. A named file that is missing is an error, never "no
// destination".
func (a *app) settings() (config.Config, error) {
	path := a.configFile
	if path == "" {
		found, ok := config.Find(a.places)
		if !ok {
			return config.Default(), nil
		}
		path = found
	}
	c, err := config.Load(path)
	if err != nil {
		return c, &settingsError{err}
	}
	return c, nil
}

// spoolDir gives the spool's folder: a flag beats the settings, which beat the
// default.
func (a *app) spoolDir(flag string, c config.Config) string {
	return cmp.Or(absolute(flag), c.SpoolDir, a.defaults().SpoolDir())
}

// defaults are the places that go with the settings: whoever names the host's
// file means the host's spool and state, its service above all, which is a
// user like others.
func (a *app) defaults() config.Places {
	if host := (config.Places{}); absolute(a.configFile) == host.ConfigFile() {
		return host
	}
	return a.places
}

// absolute gives a path that means the same to a worker, which runs in /, and
// by which what is remembered of a spool is found again.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (a *app) stateDir(c config.Config) string { return cmp.Or(c.StateDir, a.defaults().StateDir()) }

// sendTimeout bounds a request to a destination; slow answers are the queue's.
const sendTimeout = 10 * time.Second

// destinations makes what the settings name, or the system log if they name
// nothing.
func destinations(c config.Config) ([]deliver.Target, error) {
	client := outbound.New(outbound.Options{
		Timeout: sendTimeout, Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent(),
	})
	log := syslog.New()
	if len(c.Destinations) == 0 {
		return []deliver.Target{{Dest: dest.NewLog("log", log)}}, nil
	}
	var out []deliver.Target
	for _, d := range c.Destinations {
		t := deliver.Target{MinSeverity: d.MinSeverity}
		switch d.Type {
		case config.DestinationSlack:
			s, err := dest.NewSlack(d.Name, client, d.WebhookURL)
			if err != nil {
				return nil, &settingsError{fmt.Errorf("destination.%s: %w", d.Name, err)}
			}
			t.Dest = s
		case config.DestinationLog:
			t.Dest = dest.NewLog(d.Name, log)
		default:
			return nil, &settingsError{fmt.Errorf("destination.%s: no such type: %s", d.Name, d.Type)}
		}
		out = append(out, t)
	}
	return out, nil
}

// engine makes the look-ups that the settings name.
func engine(c config.Config, stateDir string) (*enrich.Engine, error) {
	client := outbound.New(outbound.Options{
		Timeout: c.Enrich.Timeout, Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent(),
	})
	var providers []enrich.Provider
	for _, p := range c.Providers {
		if p.Type != config.ProviderThreatJammer {
			return nil, &settingsError{fmt.Errorf("provider.%s: no such type: %s", p.Name, p.Type)}
		}
		t, err := enrich.NewThreatJammer(client, p.URL, p.APIKey, stateDir, enrich.ThreatJammerOptions{Name: p.Name})
		if err != nil {
			return nil, &settingsError{fmt.Errorf("provider.%s: %w", p.Name, err)}
		}
		providers = append(providers, t)
	}
	return enrich.New(enrich.Options{
		Providers: providers, Timeout: c.Enrich.Timeout, CacheTTL: c.Enrich.CacheTTL, StateDir: stateDir,
	}), nil
}

// workerSettings turns the settings file into what the worker needs.
func workerSettings(c config.Config, stateDir string) (deliver.Settings, error) {
	targets, err := destinations(c)
	if err != nil {
		return deliver.Settings{}, err
	}
	lookups, err := engine(c, stateDir)
	if err != nil {
		return deliver.Settings{}, err
	}
	return deliver.Settings{
		Targets:       targets,
		Enrich:        func(ctx context.Context, ip netip.Addr) event.Facts { return lookups.Lookup(ctx, ip) },
		EnrichTimeout: c.Enrich.Timeout,
		Policy:        policySettings(c),
		Host:          c.Host,
		Labels:        c.Labels,
		People:        people(c),
		NotifyLogout:  c.Login.NotifyLogout,
		Ignore:        ignore(c.Login),
		Window:        c.Group.Window,
		Zone:          c.Zone(),
		Runbook:       c.Links.Runbook,
	}, nil
}

func policySettings(c config.Config) policy.Settings {
	return policy.Settings{YellowAbove: c.Risk.YellowAbove, RedAbove: c.Risk.RedAbove}
}

// people turns who has which keys into whose key it is.
func people(c config.Config) map[string]string {
	out := make(map[string]string)
	for name, keys := range c.People {
		for _, k := range keys {
			out[k] = name
		}
	}
	return out
}

// ignore reports whether the settings want logins of a user or from a network
// left out.
func ignore(l config.Login) func(event.Event) bool {
	return func(e event.Event) bool {
		if slices.Contains(l.IgnoreUsers, e.User) {
			return true
		}
		return e.Remote.IP.IsValid() && slices.ContainsFunc(l.IgnoreNetworks, func(p netip.Prefix) bool {
			return p.Contains(e.Remote.IP)
		})
	}
}
