package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

func newFleetTakeoverCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "takeover",
		Short: "Make a host that stands by the hub",
		Long: long(`takeover puts the copy of the hub's database, which a host with standby in [hub] keeps,
in the place of this host's own, when the hub is lost. The service must not run
meanwhile. This host's own database is kept beside it. What the settings must then
say is printed; hosts know this machine by the hub's CA, which is in the copy, and
hand over anew what the copy has not.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo systemctl stop sshnotify
  sudo sshnotify fleet takeover`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.takeOver(c.Context()) },
	}
}

// beforeTakeover is what the host's own database is called from then on.
const beforeTakeover = "host.db"

func (a *app) takeOver(ctx context.Context) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	if !c.Hub.Standby {
		return withHint(errors.New("this host does not stand by: the settings have no standby in [hub]"), "standby = true, beside url")
	}
	stateDir := a.stateDir(c)
	spoolDir := a.spoolDir("", c)
	err = a.asOwner(spoolDir, stateDir, func() error {
		if err := ownState(stateDir); err != nil {
			return err
		}
		// Nobody works while the database is another one.
		q, err := spool.Open(spool.For(spoolDir, a.uid)).Lock(ctx, false)
		if errors.Is(err, spool.ErrLocked) {
			return withHint(errors.New("the worker runs"), "sudo systemctl stop sshnotify")
		}
		if err != nil {
			return err
		}
		defer func() { _ = q.Unlock() }()
		return replaceDatabase(ctx, fleet.CredentialsIn(stateDir).CopyFile(), databaseFile(stateDir))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(fmt.Errorf("there is no copy of the hub's database: %w", err), "sudo sshnotify doctor says why")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "this host has the hub's database; its own is %s\n", filepath.Join(stateDir, beforeTakeover))
	fmt.Fprintln(a.err, `next: take url and standby out of [hub], and put there what the hub had:
  [hub]
  listen = "0.0.0.0:8443"
  names = ["…"]             # by which hosts call it
put the hub's destinations into the settings, let its name or address lead here, and then:
  sudo systemctl start sshnotify`)
	return nil
}

// replaceDatabase puts a copy of a database in the place of one that nobody uses. Done
// in part, it can be done again.
func replaceDatabase(ctx context.Context, from, to string) error {
	db, err := store.Open(from, store.Options{ReadOnly: true})
	if err == nil {
		err = db.Check(ctx)
		_ = db.Close()
	}
	if err != nil {
		return err
	}
	own := filepath.Join(filepath.Dir(to), beforeTakeover)
	// Its log first: one that stays would be taken for that of the copy.
	if _, err := os.Lstat(to); err == nil {
		for _, end := range []string{"-wal", "-shm", ""} {
			if err := os.Rename(to+end, own+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Rename(from, to)
}
