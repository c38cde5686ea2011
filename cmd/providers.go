package cmd

import (
	"fmt"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// engine makes the look-ups that the settings name. The built-in database comes
// last, unless it is named before. db keeps answers and quotas; nil: nothing does.
func engine(c config.Config, stateDir string, db *store.DB) (*enrich.Engine, error) {
	return engineOf(c, stateDir, db, func(enrich.Provider) bool { return true })
}

// localEngine makes those of the look-ups that ask nobody over a network.
func localEngine(c config.Config, stateDir string) (*enrich.Engine, error) {
	return engineOf(c, stateDir, nil, func(p enrich.Provider) bool { return p.Info().Local })
}

func engineOf(c config.Config, stateDir string, db *store.DB, wanted func(enrich.Provider) bool) (*enrich.Engine, error) {
	client := newClient(c, c.Enrich.Timeout)
	var providers []enrich.Provider
	ours := c.Enrich.Builtin
	for _, p := range c.Providers {
		made, err := newProvider(p, client, stateDir, db)
		if err != nil {
			return nil, &settingsError{fmt.Errorf("provider.%s: %w", p.Name, err)}
		}
		ours = ours && p.Type != builtin.TypeName
		if wanted(made) {
			providers = append(providers, made)
		}
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

// checkFiles returns what is wrong with the files that providers read.
func checkFiles(c config.Config) []*strictoml.Error {
	var wrong []*strictoml.Error
	for _, p := range c.Providers {
		made, err := newProvider(p, nil, "", nil)
		if err != nil {
			continue // as engine says
		}
		if f, ok := made.(enrich.Checker); ok {
			if err := f.Check(); err != nil {
				e := &strictoml.Error{Key: "provider." + p.Name, Message: err.Error()}
				if h, ok := err.(interface{ Hint() string }); ok {
					e.Hint = h.Hint()
				}
				wrong = append(wrong, e)
			}
		}
		if c, ok := made.(interface{ Close() }); ok {
			c.Close()
		}
	}
	return wrong
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
