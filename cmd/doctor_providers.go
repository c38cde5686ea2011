package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
)

// oldData is the age from which a database of the owner's should be replaced.
const oldData = 180 * 24 * time.Hour

// providers says how each stood at its last look-up. A provider that fails
// makes facts unknown, and no alert late by more than its time-out.
func (x *examination) providers(ctx context.Context) {
	client := outbound.New(outbound.Options{Timeout: x.settings.Enrich.Timeout, Proxy: x.settings.Outbound.Proxy, RootCAs: x.settings.Outbound.RootCAs})
	local := false
	for _, p := range x.settings.Providers {
		name := "provider " + p.Name
		made, err := newProvider(p, client, x.state)
		if err != nil {
			x.add(name, install.Fail, x.command("config check"), "%v", err)
			continue
		}
		switch v := made.(type) {
		case *mmdb.Provider:
			local = true
			x.database(name, p.Path, v)
		case *netlist.List:
			x.list(ctx, name, v)
		default:
			if q, ok := enrich.Quota(made); ok {
				x.quota(name, q)
			}
		}
		if s, ok := enrich.ServiceOf(made); ok && s.Terms != "" {
			x.add("terms of "+p.Name, install.OK, "", "%s", s.Terms)
		}
		if c, ok := made.(interface{ Close() }); ok {
			c.Close()
		}
	}
	if x.settings.Enrich.Builtin && !local {
		x.builtin()
	}
}

// builtin is the data that are part of the program.
func (x *examination) builtin() {
	db, err := builtin.Open()
	switch {
	case err != nil:
		x.add("built-in database", install.Fail, "install sshnotify again", "the program's own data can't be read: %v", err)
	case db.Stale(x.now):
		x.add("built-in database", install.Warn, "install a newer sshnotify, or name a newer file: [provider.NAME] with type = \"mmdb\" and path",
			"its data are of %s", db.Date().Format(time.DateOnly))
	default:
		x.add("built-in database", install.OK, "", "networks and countries as of %s", db.Date().Format(time.DateOnly))
	}
}

func (x *examination) database(name, path string, db *mmdb.Provider) {
	if err := db.Check(); err != nil {
		x.add(name, install.Fail, x.command("lookup 203.0.113.7"), "%v", err)
		return
	}
	if age := x.now.Sub(db.Date()); age > oldData {
		x.add(name, install.Warn, "get a newer "+path, "%s is of %s", db.Kind(), db.Date().Format(time.DateOnly))
		return
	}
	x.add(name, install.OK, "", "%s of %s", db.Kind(), db.Date().Format(time.DateOnly))
}

func (x *examination) list(ctx context.Context, name string, l *netlist.List) {
	s := l.Status(ctx)
	said := fmt.Sprintf("%d networks as of %s", s.Lines, stamp(s.AsOf))
	if s.Skipped > 0 {
		said += fmt.Sprintf(", and %d lines that name none", s.Skipped)
	}
	switch try := x.command("lookup 203.0.113.7"); {
	case s.Lines == 0:
		x.add(name, install.Fail, try, "there is no list: %v", orNothing(s.Problem))
	case s.Problem != nil:
		x.add(name, install.Warn, try, "%s, and none newer: %v", said, s.Problem)
	default:
		x.add(name, install.OK, "", "%s", said)
	}
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("it was never read")
	}
	return err
}

// quota says what is left of each span that has a limit.
func (x *examination) quota(name string, q enrich.QuotaState) {
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
	try := x.command("lookup 203.0.113.7")
	spare := `cache_ttl = "24h" under [enrich] in ` + x.config
	switch {
	case up:
		x.add(name, install.Warn, spare, "its quota is used up, so that addresses are told as unknown; %s", said)
	case q.Until.After(x.now) && q.Refused:
		x.add(name, install.Fail, try, "%s; %s", q.Why, said)
	case q.Until.After(x.now):
		x.add(name, install.Warn, try, "not asked before %s: %s; %s", stamp(q.Until), q.Why, said)
	case nearly:
		x.add(name, install.Warn, spare, "%s", said)
	default:
		x.add(name, install.OK, "", "%s", said)
	}
}

// memory looks whether logins are remembered.
func (x *examination) memory(ctx context.Context) {
	if x.broken != nil {
		return // whether it is switched on is not known
	}
	if !x.settings.History.Enabled {
		x.add("memory", install.OK, "", "switched off: no login is new or usual")
		return
	}
	file := historyFile(x.state)
	o := historyOptions(x.settings)
	o.ReadOnly = true
	db, err := history.Open(file, o)
	if err == nil {
		defer db.Close()
		_, err = db.Undigested(ctx, x.now)
	}
	var newer *store.NewerError
	switch {
	case err == nil:
		x.add("memory", install.OK, "", "%s", file)
	case errors.Is(err, fs.ErrNotExist):
		x.add("memory", install.OK, "", "empty; %s fills it from wtmp and the journal", x.command("history import"))
	case errors.Is(err, store.ErrDamaged):
		x.add("memory", install.Warn, x.command("deliver --once"), "%s is damaged: the worker moves it aside at the next login, and begins anew", file)
	case errors.As(err, &newer):
		x.add("memory", install.Fail, "install the newer sshnotify again", "%v", err)
	default:
		x.add("memory", install.Warn, x.command("history"), "%v", err)
	}
}

// askAbout makes a provider for one look-up that leaves no trace: the state
// folder is the service's.
func askAbout(p config.Provider, client *outbound.Client) (enrich.Provider, error) {
	return newProvider(p, client, "")
}
