package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/store"
)

func newFleetRevokeCmd(a *app) *cobra.Command {
	readers := false
	c := &cobra.Command{
		Use:   "revoke NAME…",
		Short: "Keep hosts, or readers of the page, out from now on",
		Long: long(`revoke keeps hosts out of the hub from now on, whatever they show, those with an
open connection as well. What they handed over before is kept, and told. A host
comes in again with a new token. Revoking twice is the same as once; a name that is
not known revokes none of those that are named.`,
			`With --reader the names are those of readers of the hub's page.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify fleet revoke web1 web2\n  sudo sshnotify fleet revoke --reader alice",
		Args:    needsSome,
		RunE: func(c *cobra.Command, names []string) error {
			return a.atHub(c.Context(), func(_ config.Config, db *store.DB) error {
				registry := hub.NewRegistry(db)
				revoke := registry.Revoke
				if readers {
					revoke = registry.RevokeReaders
				}
				err := revoke(c.Context(), names...)
				if unknown := (*hub.UnknownReaderError)(nil); errors.As(err, &unknown) {
					return withHint(err, "none was revoked; sshnotify fleet status has the names")
				}
				if unknown := (*hub.UnknownHostError)(nil); errors.As(err, &unknown) {
					return withHint(err, "none was revoked; sshnotify fleet status has the names")
				}
				if err != nil {
					return err
				}
				for _, name := range names {
					fmt.Fprintf(a.out, "revoked: %s\n", name)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&readers, "reader", false, "the names are readers', not hosts'")
	return c
}
