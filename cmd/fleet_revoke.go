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
	return &cobra.Command{
		Use:   "revoke NAME…",
		Short: "Keep hosts out from now on",
		Long: long(`revoke keeps hosts out of the hub from now on, whatever they show, those with an
open connection as well. What they handed over before is kept, and told. A host
comes in again with a new token. Revoking twice is the same as once; a name that is
not known revokes none of those that are named.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify fleet revoke web1 web2",
		Args:    needsSome,
		RunE: func(c *cobra.Command, names []string) error {
			return a.atHub(c.Context(), func(_ config.Config, db *store.DB) error {
				err := hub.NewRegistry(db).Revoke(c.Context(), names...)
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
}
