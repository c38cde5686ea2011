package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// settings reads the settings file: the one that was named, or the default one
// if there is one. A named file that is missing is an error, never "no
// destination".
func (a *app) settings() (config.Config, error) { return a.settingsWith(config.Load) }

// settingsWithoutSecrets are for the watcher, which sends nothing: its user need
// not be able to read any.
func (a *app) settingsWithoutSecrets() (config.Config, error) {
	return a.settingsWith(config.LoadWithoutSecrets)
}

func (a *app) settingsWith(load func(string) (config.Config, error)) (config.Config, error) {
	path := a.configFile
	if path == "" {
		found, ok := config.Find(a.places)
		if !ok {
			return config.Default(), nil
		}
		path = found
	}
	c, err := load(path)
	if err != nil && borrowCredentials() {
		c, err = load(path)
	}
	if err != nil {
		return c, &settingsError{err}
	}
	return c, nil
}

// serviceCredentials is where systemd keeps the credentials of the service
// (systemd.exec(5), LoadCredential=) while it runs; root can read them.
const serviceCredentials = "/run/credentials/sshnotify.service"

// borrowCredentials has settings that name credentials be read as the service does, and
// reports whether that is something else than before.
func borrowCredentials() bool {
	if os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		return false
	}
	_, err := os.ReadDir(serviceCredentials)
	return err == nil && os.Setenv("CREDENTIALS_DIRECTORY", serviceCredentials) == nil
}

// spoolDir returns the spool's folder: a flag beats the settings, which beat the
// default.
func (a *app) spoolDir(flag string, c config.Config) string {
	return cmp.Or(paths.Absolute(flag), c.SpoolDir, a.defaults().SpoolDir())
}

// defaults are the places that go with the settings: whoever names the host's
// file means the host's spool and state, its service above all, which is a
// user like others.
func (a *app) defaults() paths.User {
	if host := (paths.User{}); paths.Absolute(a.configFile) == host.ConfigFile() {
		return host
	}
	return a.places
}

func (a *app) stateDir(c config.Config) string { return cmp.Or(c.StateDir, a.defaults().StateDir()) }

// sendTimeout bounds a request to a destination; slow answers are the queue's.
const sendTimeout = 10 * time.Second

func newClient(c config.Config, timeout time.Duration) *outbound.Client {
	return outbound.New(outbound.Options{Timeout: timeout, Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent()})
}

// destinations makes what the settings name, or the system log if they name
// nothing.
func destinations(c config.Config) (out []deliver.Target, err error) {
	env := channel.Env{Client: newClient(c, sendTimeout), RootCAs: c.Outbound.RootCAs, Log: syslog.New()}
	all := c.Destinations
	if len(c.AlertDestinations()) == 0 {
		all = append(config.Destinations{{Name: channel.LogType, Settings: new(channel.Log)}}, all...)
	}
	for _, d := range all {
		made, err := d.Settings.Open(d.Name, env)
		if err != nil {
			bad := &settingsError{fmt.Errorf("destination.%s: %w", d.Name, err)}
			if e, ok := errors.AsType[*channel.Error](err); ok && e.Hint != "" {
				return nil, withHint(bad, e.Hint)
			}
			return nil, bad
		}
		out = append(out, deliver.Target{Dest: made, Route: d.Route, Quiet: c.QuietOf(d), Remind: d.Remind, Fallback: d.Fallback, Templates: d.Templates})
	}
	return out, nil
}

// budgets returns how many messages a day those destinations may be sent that have a
// budget. Where one can't be opened there is none: whoever works by it says so.
func budgets(c config.Config) map[string]int {
	perDay := map[string]int{}
	targets, err := destinations(c)
	if err != nil {
		return nil
	}
	for _, t := range targets {
		if n := t.Dest.Traits().PerDay; n > 0 {
			perDay[t.Dest.Name()] = n
		}
	}
	return perDay
}

// workerSettings turns the settings file into what the worker needs, but for the
// memory of logins.
func workerSettings(c config.Config, stateDir string, db *store.DB) (deliver.Settings, error) {
	targets, err := destinations(c)
	if err != nil {
		return deliver.Settings{}, err
	}
	lookups, err := engine(c, stateDir, db)
	if err != nil {
		return deliver.Settings{}, err
	}
	return deliver.Settings{
		Targets:        targets,
		Public:         c.Publish.Destinations,
		Enrich:         func(ctx context.Context, ip netip.Addr) event.Facts { return lookups.Lookup(ctx, ip) },
		EnrichTimeout:  c.Enrich.Timeout,
		Policy:         c.Policy(),
		Host:           c.Host,
		Labels:         c.Labels,
		Owner:          newOwners(c).Of,
		KnownKeys:      len(c.People.Keys()) > 0,
		NotifyLogout:   c.Login.NotifyLogout,
		OrdinaryPerDay: c.PerDay,
		DigestAt:       c.Digest.Time(),
		Window:         c.Group.Window,
		Zone:           c.Zone(),
		Clock12:        c.Clock12(),
		Runbook:        c.Links.Runbook,
		Heartbeat:      heartbeat.New(c.Heartbeat, newClient(c, 0)),
		AllWell:        deliver.AllWell{Every: c.Heartbeat.Message, Only: c.Heartbeat.Destination},
	}, nil
}

// newOwners returns whose keys the settings name, and the file of this account's own.
func newOwners(c config.Config) *sshauth.Owners {
	return sshauth.NewOwners(c.People.Keys(), login.Live().OwnHome)
}
