package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
)

func newAuthCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "auth",
		Short:   "Get access to an account that messages are sent from",
		Long:    long("auth gets access to an account at a service that wants its owner's word for it.", exits(exitDone, exitUsage)),
		Example: "  sudo sshnotify auth x",
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "x [NAME]",
		Short: "Get an access token of X",
		Long: long(`x asks X for an access token of the account that is to post, with the app's key
and secret in the settings. It shows an address at which the account's owner lets
the app in, asks for the PIN that X shows then, and writes the token into the
destination's token_file. NAME is the destination's, where there are several.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify auth x",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.runAuthX(c.Context(), strings.Join(args, "")) },
	})
	return c
}

func (a *app) runAuthX(ctx context.Context, name string) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	d, err := xDestination(c, name)
	if err != nil {
		return &usageError{withHint(err, "docs/channels.md says which settings X needs")}
	}
	x := d.Settings.(*channel.X)
	token, err := x.Authorize(ctx, newClient(c, sendTimeout), func(url string) (string, error) {
		fmt.Fprintf(a.err, "Open this address as the account that is to post, and let the app in:\n\n  %s\n\n", url)
		return (&prompter{in: a.in, out: a.err}).line(ctx, "The PIN that X shows: ")
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	if err := a.writeToken(x.TokenFile, token); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "the token is in %s\n", x.TokenFile)
	fmt.Fprintf(a.err, "sshnotify: hint: send a sample, which costs what a message costs: sshnotify test %s\n", d.Name)
	return nil
}

// xDestination returns the destination of that name, or the only one on X.
func xDestination(c config.Config, name string) (config.Destination, error) {
	var found []config.Destination
	for _, d := range c.Destinations {
		if _, ok := d.Settings.(*channel.X); ok && (name == "" || d.Name == name) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return config.Destination{}, errors.New("several destinations are on X: name one")
	case name != "":
		return config.Destination{}, fmt.Errorf("no destination.%s of type x is in the settings", name)
	}
	return config.Destination{}, errors.New("no destination of type x is in the settings")
}

// writeToken writes a file that nobody but its owner may read, and of root's the
// service.
func (a *app) writeToken(file string, token []byte) error {
	t, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	if _, err := t.Write(token); err != nil {
		return err
	}
	if a.uid == 0 {
		if u, ok := install.Live().UserByName(install.ServiceUser); ok {
			if err := errors.Join(t.Chown(0, u.GID), t.Chmod(0o640)); err != nil {
				return err
			}
		}
	}
	return t.CloseAtomicallyReplace()
}
