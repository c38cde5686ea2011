package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/release"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

type historyList struct {
	app  *app
	now  func() time.Time
	json bool

	user, ip, host, key string
	since, until        string
	limit               int
}

func newHistoryCmd(a *app) *cobra.Command {
	o := historyList{app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "history",
		Short: "List earlier logins",
		Long: long(`history lists the logins that are remembered, newest first. They are kept for
history.keep. Ordinary users see their own history, root sees the host's.`,
			`A time is how long ago (30d, 12h, 1d12h), a date (2026-11-01: the start of that
day), or an RFC 3339 time (2026-11-01T08:00:00Z). Times without a zone are in
the settings' time zone, as are the times in the table.`,
			`--key takes a fingerprint, or the name of a person in the settings for all of
their keys. Logins from wtmp have neither key nor method, and imported logins
have no severity.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify history --user alice --since 30d
  sshnotify history --ip 203.0.113.0/24 --limit 0
  sshnotify history --json --limit 0 | jq -r .place.country | sort | uniq -c`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c) },
	}
	f := c.Flags()
	f.StringVar(&o.user, "user", "", "only logins of `NAME`")
	f.StringVar(&o.ip, "ip", "", "only logins from this `ADDRESS` or network")
	f.StringVar(&o.host, "host", "", "only logins to the host `NAME`")
	f.StringVar(&o.key, "key", "", "only logins with this `KEY`: a fingerprint, or a person of the settings")
	f.StringVar(&o.since, "since", "", "only logins at this `TIME` or later")
	f.StringVar(&o.until, "until", "", "only logins before this `TIME`")
	f.IntVar(&o.limit, "limit", 50, "show the newest `N`; 0: all")
	f.BoolVar(&o.json, "json", false, "print a JSON object per line")
	c.AddCommand(newHistoryImportCmd(a), newHistoryForgetCmd(a))
	return c
}

func (o *historyList) run(ctx context.Context, c *cobra.Command) error {
	if err := notEmpty(c, "user", "ip", "host", "key", "since", "until"); err != nil {
		return err
	}
	if o.limit < 0 {
		return &usageError{errors.New("--limit must be 0 or more")}
	}
	a := o.app
	set, err := a.settings()
	if err != nil {
		return err
	}
	filters, err := o.filters(set)
	if err != nil {
		return err
	}
	db, err := a.recall(set)
	if errors.Is(err, fs.ErrNotExist) {
		return a.nothingRemembered(set, o.json)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	var older *store.OlderError
	if err := db.Current(ctx); errors.As(err, &older) {
		return historyError(err)
	}
	var lists []iter.Seq2[history.Entry, error]
	for _, f := range filters {
		lists = append(lists, db.List(ctx, f))
	}
	acknowledged, err := db.Acknowledged(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return a.nothingRemembered(set, o.json)
	}
	if err != nil {
		return historyError(err)
	}
	show := a.historyTable(set, acknowledged)
	if o.json {
		show = a.historyLines(set, acknowledged)
	}
	n := 0
	for e, err := range newestFirst(lists) {
		if errors.Is(err, fs.ErrNotExist) {
			return a.nothingRemembered(set, o.json)
		}
		if err != nil {
			return errors.Join(show.end(), historyError(err))
		}
		if o.limit > 0 && n == o.limit {
			fmt.Fprintf(a.err, "sshnotify: hint: there are more than the newest %d: --limit 0 shows all\n", n)
			break
		}
		n++
		if err := show.add(e); err != nil {
			return cmp.Or(err, show.end())
		}
	}
	if n == 0 && !o.json {
		fmt.Fprintln(a.out, "no login that is remembered matches")
	}
	return show.end()
}

// filters returns one for each key that is asked for.
func (o *historyList) filters(c config.Config) ([]history.Filter, error) {
	f := history.Filter{User: o.user, Host: o.host}
	if o.limit > 0 {
		f.Limit = o.limit + 1 // whether there are more
	}
	var err error
	if f.IP, err = network(o.ip); err != nil {
		return nil, err
	}
	if f.Since, err = moment(o.since, o.now(), c.Zone()); err != nil {
		return nil, err
	}
	if f.Until, err = moment(o.until, o.now(), c.Zone()); err != nil {
		return nil, err
	}
	keys := c.People.Keys()[o.key]
	switch {
	case len(keys) > 0:
	case o.key == "" || strings.Contains(o.key, ":"):
		keys = []string{o.key}
	default:
		return nil, unknownKey(c, o.key)
	}
	var all []history.Filter
	for _, k := range keys {
		f.Key = k
		all = append(all, f)
	}
	return all, nil
}

// unknownKey is about a --key that names no key.
func unknownKey(c config.Config, key string) error {
	hint := "ssh-keygen -lf FILE.pub shows a fingerprint: SHA256:…"
	if len(c.People) > 0 {
		hint = "the settings have " + strings.Join(slices.Sorted(maps.Keys(c.People)), ", ")
	}
	return withHint(&usageError{fmt.Errorf("--key: %q is neither a fingerprint nor a person of the settings", key)}, hint)
}

// newestFirst makes one list of several, of which each has the newest first. It
// ends with the first error.
func newestFirst(lists []iter.Seq2[history.Entry, error]) iter.Seq2[history.Entry, error] {
	if len(lists) == 1 {
		return lists[0]
	}
	return func(yield func(history.Entry, error) bool) {
		type head struct {
			history.Entry
			next func() (history.Entry, error, bool)
		}
		var heads []head
		for _, l := range lists {
			next, stop := iter.Pull2(l)
			defer stop()
			e, err, ok := next()
			if err != nil {
				yield(e, err)
				return
			}
			if ok {
				heads = append(heads, head{e, next})
			}
		}
		for len(heads) > 0 {
			newest := 0
			for i, h := range heads {
				if h.Time.After(heads[newest].Time) {
					newest = i
				}
			}
			if !yield(heads[newest].Entry, nil) {
				return
			}
			e, err, ok := heads[newest].next()
			if err != nil {
				yield(e, err)
				return
			}
			heads[newest].Entry = e
			if !ok {
				heads = slices.Delete(heads, newest, newest+1)
			}
		}
	}
}

// recall opens the memory to look at it, as the user who owns it. Without one
// the error is fs.ErrNotExist.
func (a *app) recall(c config.Config) (*history.DB, error) {
	path := databaseFile(a.stateDir(c))
	// SQLite's own errors would not say whether it is a matter of rights.
	f, err := state.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	f.Close()
	if err := a.becomeOwner(a.spoolDir("", c), a.stateDir(c)); err != nil && !errors.Is(err, spool.ErrMissing) {
		return nil, err
	}
	o := c.History.Options(c.Zone())
	o.ReadOnly = true
	return history.Open(path, o)
}

// nothingRemembered says that there is no memory, which is no error.
func (a *app) nothingRemembered(c config.Config, quiet bool) error {
	if !quiet {
		fmt.Fprintln(a.out, "nothing is remembered yet")
	}
	hint := "logins are remembered as they are told; sshnotify history import takes those that wtmp and the logs know"
	if !c.History.Enabled {
		hint = "the settings turn the memory off: history.enabled = false in " + a.settingsPlace(c)
	}
	fmt.Fprintf(a.err, "sshnotify: hint: %s\n", hint)
	return nil
}

// historyError says what to do about a memory that can't be used.
func historyError(err error) error {
	var newer *store.NewerError
	var older *store.OlderError
	switch {
	case errors.As(err, &older):
		return withHint(err, "a worker of this version brings it up to date: sshnotify install starts one; on a host, sudo systemctl restart sshnotify")
	case errors.As(err, &newer):
		return withHint(err, "this is sshnotify "+release.Version()+": install the newer one again")
	case errors.Is(err, store.ErrDamaged):
		return withHint(err, "the next login moves the damaged file aside and begins a new one, as does sshnotify history import, which fills it from wtmp and the logs")
	}
	return err
}

// notEmpty refuses flags that are given without a value: a script's variable
// that is not set must not mean everything.
func notEmpty(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return &usageError{fmt.Errorf("--%s is empty", name)}
		}
	}
	return nil
}

// network reads an address or a network; nothing is no network.
func network(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		ip = ip.Unmap().WithZone("")
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, withHint(&usageError{fmt.Errorf("--ip: %q is neither an address nor a network", s)}, "for example 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")
	}
	return p.Masked(), nil
}

// moment reads a time: how long ago, a time of today, or a date with or without a
// time. Nothing is no time.
func moment(s string, now time.Time, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, ok := strictoml.ParseDuration(s); ok {
		return now.Add(-d), nil
	}
	if c, ok := strictoml.ParseClock(s); ok {
		today := now.In(zone)
		return time.Date(today.Year(), today.Month(), today.Day(), 0, int(c), 0, 0, zone), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, withHint(&usageError{fmt.Errorf("%q is not a time", s)}, "a time is how long ago (30d, 12h), one of today (15:04), a date (2026-11-01), or both with a zone (2026-11-01T08:00:00Z)")
}
