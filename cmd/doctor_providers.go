package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// oldData is the age from which a database of the owner's should be replaced.
const oldData = 180 * 24 * time.Hour

// providers reports how each stood at its last look-up. A provider that fails
// makes facts unknown, and no alert late by more than its time-out.
func (x examined) providers(ctx context.Context, r *doctor.Report) {
	client := newClient(x.settings, x.settings.Enrich.Timeout)
	local := false
	for _, p := range x.settings.Providers {
		name := "provider " + p.Name
		made, err := newProvider(p, client, x.state)
		if err != nil {
			r.Fail(name, r.Command("config check"), "%v", err)
			continue
		}
		switch v := made.(type) {
		case *mmdb.Provider:
			local = true
			x.database(r, name, v)
		case *netlist.List:
			x.list(ctx, r, name, v)
		default:
			if q, ok := enrich.Quota(made); ok {
				x.quota(r, name, q)
			}
		}
		if s, ok := enrich.ServiceOf(made); ok && s.Terms != "" {
			r.OK("terms of "+p.Name, "%s", s.Terms)
		}
		if c, ok := made.(interface{ Close() }); ok {
			c.Close()
		}
	}
	if x.settings.Enrich.Builtin && !local {
		x.builtin(r)
	}
}

// builtin is the data that are part of the program.
func (x examined) builtin(r *doctor.Report) {
	db, err := builtin.Open()
	switch {
	case err != nil:
		r.Fail("built-in database", "install sshnotify again", "the program's own data can't be read: %v", err)
	case db.Stale(r.Now):
		r.Warn("built-in database", "install a newer sshnotify, or name a newer file: [provider.NAME] with type = \"mmdb\" and path",
			"its data are of %s", db.Date().Format(time.DateOnly))
	default:
		r.OK("built-in database", "networks and countries as of %s", db.Date().Format(time.DateOnly))
	}
}

func (x examined) database(r *doctor.Report, name string, db *mmdb.Provider) {
	if err := db.Check(); err != nil {
		r.Fail(name, r.Command("lookup 203.0.113.7"), "%v", err)
		return
	}
	if age := r.Now.Sub(db.Date()); age > oldData {
		r.Warn(name, "get a newer "+db.Path(), "%s is of %s", db.Kind(), db.Date().Format(time.DateOnly))
		return
	}
	r.OK(name, "%s of %s", db.Kind(), db.Date().Format(time.DateOnly))
}

func (x examined) list(ctx context.Context, r *doctor.Report, name string, l *netlist.List) {
	s := l.Status(ctx)
	said := fmt.Sprintf("%d networks as of %s", s.Lines, doctor.Stamp(s.AsOf))
	if s.Skipped > 0 {
		said += fmt.Sprintf(", and %d lines that name none", s.Skipped)
	}
	switch try := r.Command("lookup 203.0.113.7"); {
	case s.Lines == 0:
		r.Fail(name, try, "there is no list: %v", orNothing(s.Problem))
	case s.Problem != nil:
		r.Warn(name, try, "%s, and none newer: %v", said, s.Problem)
	default:
		r.OK(name, "%s", said)
	}
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("it was never read")
	}
	return err
}

// quota reports what is left of each span that has a limit.
func (x examined) quota(r *doctor.Report, name string, q enrich.QuotaState) {
	var used []string
	nearly, up := false, false
	for _, c := range []struct {
		enrich.QuotaCount
		span string
	}{{q.Day, "day"}, {q.Week, "week"}, {q.Month, "month"}} {
		if c.Limit > 0 {
			used = append(used, fmt.Sprintf("%d of %d requests of a %s", c.Used, c.Limit, c.span))
			up = up || c.Left() == 0
			nearly = nearly || c.Used >= c.Limit-c.Limit/10
		}
	}
	said := strings.Join(used, ", ")
	if said == "" {
		said = fmt.Sprintf("%d requests in the last minute", q.Minute.Used)
	}
	try := r.Command("lookup 203.0.113.7")
	spare := `cache_ttl = "24h" under [enrich] in ` + x.config
	switch {
	case up:
		r.Warn(name, spare, "its quota is used up, so that addresses are told as unknown; %s", said)
	case q.Until.After(r.Now) && q.Refused:
		r.Fail(name, try, "%s; %s", q.Why, said)
	case q.Until.After(r.Now):
		r.Warn(name, try, "not asked before %s: %s; %s", doctor.Stamp(q.Until), q.Why, said)
	case nearly:
		r.Warn(name, spare, "%s", said)
	default:
		r.OK(name, "%s", said)
	}
}

// askAbout makes a provider for one look-up that leaves no trace: the state
// folder is the service's.
func askAbout(p config.Provider, client *outbound.Client) (enrich.Provider, error) {
	return newProvider(p, client, "")
}
