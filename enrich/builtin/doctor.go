package builtin

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// Check checks the data that are part of the program.
func Check() doctor.Check {
	return doctor.Check{Run: func(_ context.Context, r *doctor.Report) {
		const name = "built-in database"
		db, err := Open()
		switch {
		case err != nil:
			r.Fail(name, "install sshnotify again", "the program's own data can't be read: %v", err)
		case db.Stale(r.Now):
			r.Warn(name, "install a newer sshnotify, or name a newer file: [provider.NAME] with type = \"mmdb\" and path",
				"its data are of %s", db.Date().Format(time.DateOnly))
		default:
			r.OK(name, "networks and countries as of %s", db.Date().Format(time.DateOnly))
		}
	}}
}
