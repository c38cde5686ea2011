package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
)

// offerImport has an empty memory filled from what the host has, where there is
// somebody to ask, and says how it is done where there is not.
func (o *installOptions) offerImport(ctx context.Context, s *setup, q *asker) {
	if s.image() || o.json || s.there && !s.settings.History.Enabled {
		return
	}
	if _, err := os.Lstat(historyFile(s.state)); !errors.Is(err, fs.ErrNotExist) {
		return // it remembers already
	}
	words := []string{"history", "import", "--config", s.config}
	if q == nil {
		o.say("to know who usually comes from where: sshnotify history import")
		return
	}
	if yes, err := q.yes(ctx, "Remember earlier logins, from wtmp, the journal and auth.log?", true); err != nil || !yes {
		return
	}
	// A process of its own: as root it becomes the service's user for good.
	c := exec.CommandContext(ctx, s.binary, words...)
	c.Stdout, c.Stderr = o.app.out, o.app.err
	if err := c.Run(); err != nil {
		o.warn("not all of the earlier logins are remembered", "sshnotify history import does the rest")
	}
}
