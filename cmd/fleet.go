package cmd

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/store"
)

func newFleetCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "fleet",
		Short: "Many hosts: who hands over to a hub",
		Long: long(`fleet is for a hub and the hosts that hand their events over to it: docs/many-hosts.md
says how that is set up. token makes what a host joins with, status shows all hosts,
and revoke keeps one out; ca prints what hosts know its orders by; these are for the
hub. join is for a host.`,
			exits(exitDone, exitUsage)),
		Example: `  # at the hub
  sudo sshnotify fleet token --name web1
  sudo sshnotify fleet status

  # at the host
  sudo sshnotify fleet join https://hub.example.com:8443 --token-file FILE`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newFleetStatusCmd(a), newFleetTokenCmd(a), newFleetRevokeCmd(a), newFleetJoinCmd(a), newFleetTakeoverCmd(a), newFleetCACmd(a))
	return c
}

// atHub has a function use the database of the hub that the settings are of, as its
// owner.
func (a *app) atHub(ctx context.Context, f func(config.Config, *store.DB) error) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	switch {
	case c.Hub.Host():
		return withHint(errors.New("this host hands over to a hub, and is none"), "run it there: "+c.Hub.URL)
	case !c.Hub.Hub():
		place := "conf.d/hub.toml beside the settings"
		if file := a.settingsPlace(c); file != "" {
			place = filepath.Join(filepath.Dir(file), "conf.d", "hub.toml")
		}
		return withHint(errors.New("this is no hub: the settings have no listen in [hub]"), "sudo sshnotify install --system --hub-listen 0.0.0.0:8443 makes it one, as does listen in "+place)
	}
	stateDir := a.stateDir(c)
	return a.asOwner(a.spoolDir("", c), stateDir, func() error {
		if err := ownState(stateDir); err != nil {
			return err
		}
		db, err := a.askBeside(stateDir)
		if err == nil {
			defer db.Close()
			err = db.Migrate(ctx)
		}
		if err == nil {
			err = f(c, db)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return withHint(err, "the hub makes it when it first starts: sudo systemctl start sshnotify")
		}
		return historyError(err)
	})
}
