package history

import (
	"context"
	"errors"
	"io/fs"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Check checks that logins are remembered in a file. enabled is false where
// the settings switch that off.
func Check(file string, o Options, enabled bool) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsSettings, Run: func(ctx context.Context, r *doctor.Report) {
		if !enabled {
			r.OK("memory", "switched off: no login is new or usual")
			return
		}
		o.ReadOnly = true
		db, err := Open(file, o)
		if err == nil {
			defer db.Close()
			_, err = db.Undigested(ctx, r.Now)
		}
		var newer *store.NewerError
		switch {
		case err == nil:
			r.OK("memory", "%s", file)
		case errors.Is(err, fs.ErrNotExist):
			r.OK("memory", "empty; %s fills it from wtmp and the journal", r.Command("history import"))
		case errors.Is(err, store.ErrDamaged):
			r.Warn("memory", r.Command("deliver --once"), "%s is damaged: the worker moves it aside at the next login, and starts a new one", file)
		case errors.As(err, &newer):
			r.Fail("memory", "install the newer sshnotify again", "%v", err)
		default:
			r.Warn("memory", r.Command("history"), "%v", err)
		}
	}}
}
