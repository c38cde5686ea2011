package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

func newFleetCACmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ca",
		Short: "Print the certificate of this hub's CA",
		Long: long(`ca prints the certificate by which hosts know what this hub signs: its orders, and,
unless it has a certificate of its owner's, the hub itself. It is no secret. Its
fingerprint goes to standard error.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify fleet ca >hub-ca.crt",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.atHub(c.Context(), func(_ config.Config, db *store.DB) error { return printCA(c.Context(), a, db) })
		},
	}
}

func printCA(ctx context.Context, a *app, db *store.DB) error {
	text, err := hub.NewRegistry(db).CA(ctx)
	if err != nil {
		return err
	}
	ca, err := order.ParseCA(text)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "sshnotify: %s, until %s\n", order.Fingerprint(ca), ca.NotAfter.Format("2006-01-02"))
	_, err = a.out.Write(text)
	return err
}
