package mmdb

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// oldData is the age from which a database should be replaced.
const oldData = 180 * 24 * time.Hour

// Examine adds how the database stands to a report of doctor's.
func (p *Provider) Examine(_ context.Context, r *doctor.Report, name string) {
	if err := p.Check(); err != nil {
		r.Fail(name, r.Command("lookup 203.0.113.7"), "%v", err)
		return
	}
	if age := r.Now.Sub(p.Date()); age > oldData {
		r.Warn(name, "get a newer "+p.Path(), "%s is of %s", p.Kind(), p.Date().Format(time.DateOnly))
		return
	}
	r.OK(name, "%s of %s", p.Kind(), p.Date().Format(time.DateOnly))
}
