package netlist

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// Examine adds how the list stands to a report of doctor's.
func (l *List) Examine(ctx context.Context, r *doctor.Report, name string) {
	s := l.Status(ctx)
	has := fmt.Sprintf("%d networks as of %s", s.Lines, doctor.Stamp(s.AsOf))
	if s.Skipped > 0 {
		has += fmt.Sprintf(", and %d lines that name none", s.Skipped)
	}
	switch try := r.Command("lookup 203.0.113.7"); {
	case s.Lines == 0:
		r.Fail(name, try, "there is no list: %v", cmp.Or(s.Problem, errors.New("it was never read")))
	case s.Problem != nil:
		r.Warn(name, try, "%s, and none newer: %v", has, s.Problem)
	default:
		r.OK(name, "%s", has)
	}
}
