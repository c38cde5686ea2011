package cmd

import (
	"fmt"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
)

// engine makes the look-ups that the settings name. The built-in database comes
// last, unless it is named before. db keeps answers and quotas; nil: nothing does.
func engine(c config.Config, stateDir string, db *store.DB) (*enrich.Engine, error) {
	client := newClient(c, c.Enrich.Timeout)
	var providers []enrich.Provider
	ours := c.Enrich.Builtin
	for _, p := range c.Providers {
		made, err := newProvider(p, client, stateDir, db)
		if err != nil {
			return nil, &settingsError{fmt.Errorf("provider.%s: %w", p.Name, err)}
		}
		ours = ours && p.Type != builtin.TypeName
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
	return enrich.New(enrich.Options{
		Providers: providers, Timeout: c.Enrich.Timeout, CacheTTL: c.Enrich.CacheTTL, Store: db, Networks: c.NamedNetworks(),
	}), nil
}

func newProvider(p config.Provider, client *outbound.Client, stateDir string, db *store.DB) (enrich.Provider, error) {
	return p.Settings.Open(enrich.Env{Name: p.Name, Client: client, StateDir: stateDir, Store: db})
}

// lookups makes those of a command beside the worker. done ends them.
func (a *app) lookups(c config.Config) (e *enrich.Engine, done func(), err error) {
	db, err := a.askBeside(a.stateDir(c))
	if err != nil {
		return nil, nil, err
	}
	e, err = engine(c, a.stateDir(c), db)
	return e, func() { db.Close() }, err
}
