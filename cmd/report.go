package cmd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/report"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

type reportOptions struct {
	app *app
	now func() time.Time

	since, out string
	mask, json bool
}

func newReportCmd(a *app) *cobra.Command {
	o := reportOptions{app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "report",
		Short: "Write a page about the logins of a month",
		Long: long(`report writes one HTML file: what was unusual, what needs an answer, where logins
and attackers came from, logins a day, people with their networks and keys, keys
that nobody owns, and what the page can't see. At a hub it is about all hosts. It
runs no script, loads nothing, and can be mailed, printed and read without a network.`,
			`It has names and addresses, and only you may read the file (mode 0600). With --mask
people are initials, addresses their networks, places countries, and no name that an
attacker tried is shown, for a page that is handed on; hosts keep their names.`,
			`A TIME is how long ago (30d), a date, or an RFC 3339 time.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify report -o logins.html
  sudo sshnotify report --since 365d --mask -o year.html
  sudo sshnotify report --json -o - | jq -r .sentence`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notEmpty(c, "since", "output"); err != nil {
				return err
			}
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.since, "since", "30d", "begin at this `TIME`")
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write; -: standard output (default sshnotify-report-DATE.html in this folder)")
	f.BoolVar(&o.mask, "mask", false, "show initials, and networks in place of addresses")
	f.BoolVar(&o.json, "json", false, "write what the page says as JSON")
	return c
}

func (o *reportOptions) run(ctx context.Context) error {
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	now := o.now()
	since, err := moment(o.since, now, c.Zone())
	switch {
	case err != nil:
		return err
	case !since.Before(now):
		return &usageError{fmt.Errorf("--since: %q is not in the past", o.since)}
	case now.Sub(since) > report.MaxSpan:
		return &usageError{fmt.Errorf("--since: %q is more than %s ago, which nothing is remembered of", o.since, strictoml.FormatDuration(report.MaxSpan))}
	}
	if c.Hub.Host() {
		return withHint(errors.New("this host hands over to a hub, which remembers"), "run it there: "+c.Hub.URL)
	}
	stateDir := a.stateDir(c)
	// SQLite's own errors would not say whether it is a matter of rights.
	f, err := state.Open(databaseFile(stateDir), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(errors.New("nothing is remembered yet"), "the first login makes the memory; sshnotify history import takes those that wtmp and the logs know")
	}
	if err != nil {
		return err
	}
	f.Close()
	var page report.Page
	// The file is written as whoever asked for it.
	if err := a.asOwner(a.spoolDir("", c), stateDir, func() (err error) {
		page, err = gatherReport(ctx, c, stateDir, report.Options{Since: since, Now: now, Mask: o.mask})
		return err
	}); err != nil {
		return historyError(err)
	}
	var b bytes.Buffer
	ending := ".html"
	if o.json {
		ending = ".json"
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(page)
	} else {
		err = page.HTML(&b)
	}
	if err != nil {
		return err
	}
	if o.out == "-" {
		_, err := a.out.Write(b.Bytes())
		return err
	}
	name := cmp.Or(o.out, "sshnotify-report-"+now.In(c.Zone()).Format(time.DateOnly)+ending)
	if err := writeReport(name, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintln(a.out, name)
	fmt.Fprintln(a.err, page.Sentence)
	return nil
}

// writeReport makes the file, which only its owner may read, or takes another's place
// as a whole. A link is replaced, and not followed.
func writeReport(name string, data []byte) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return withHint(fmt.Errorf("%s is no file", name), "-o takes the name of a file, or - for standard output")
	}
	t, err := renameio.NewPendingFile(name, renameio.WithTempDir(filepath.Dir(name)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer t.Cleanup()
	if _, err := t.Write(data); err != nil {
		return err
	}
	return t.CloseAtomicallyReplace()
}

// gatherReport reads what a page is made of. What can't be read besides the logins is
// said on the page.
func gatherReport(ctx context.Context, c config.Config, stateDir string, o report.Options) (report.Page, error) {
	st, err := lookInto(stateDir)
	if err != nil {
		return report.Page{}, err
	}
	defer st.Close()
	return gatherFrom(ctx, c, stateDir, st, o)
}

// sentReport is the report that goes out by itself.
func sentReport(c config.Config, stateDir string) deliver.Report {
	set := c.Report
	if set.Every.Never() {
		return deliver.Report{}
	}
	return deliver.Report{Every: set.Every, Since: set.Since, Make: func(ctx context.Context, since, now time.Time) (d event.Digest, html []byte, err error) {
		page, err := gatherReport(ctx, c, stateDir, report.Options{Since: since, Now: now, Mask: set.Mask})
		if err != nil {
			return d, nil, err
		}
		d = page.Digest()
		d.Report.URL, d.Report.Only = set.URL, set.Destination
		var b bytes.Buffer
		err = page.HTML(&b)
		return d, b.Bytes(), err
	}}
}

// gatherFrom is gatherReport with the database open.
func gatherFrom(ctx context.Context, c config.Config, stateDir string, st *store.DB, o report.Options) (report.Page, error) {
	o.Zone, o.People = c.Zone(), map[string]report.Person{}
	for name, p := range c.People {
		person := report.Person{Accounts: p.Accounts}
		for _, k := range p.Keys {
			person.Keys = append(person.Keys, string(k))
		}
		o.People[name] = person
	}
	r := report.Rest{Host: c.Host, Hub: c.Hub.Hub()}
	if r.Host == "" {
		r.Host, _ = os.Hostname()
	}
	unread := func(what string, err error) {
		if err != nil {
			r.Unread = append(r.Unread, what+": "+err.Error())
		}
	}
	if c.Enrich.Builtin {
		db, err := builtin.Open()
		unread("the built-in database", err)
		if err == nil {
			o.Locate = func(ip netip.Addr) (string, string) {
				f, err := db.Lookup(ctx, ip)
				if err != nil {
					return "", ""
				}
				return f.Place.Country, f.Network.Name
			}
		}
	}
	db := history.New(st, history.Options{Zone: c.Zone(), ReadOnly: true})
	b := report.NewBuilder(o)
	if err := db.Each(ctx, o.Since, o.Now.Add(time.Millisecond), func(e history.Entry) error { b.Add(e); return nil }); err != nil {
		return report.Page{}, err
	}
	var err error
	r.Remembered, err = db.Oldest(ctx)
	unread("the oldest login", err)
	const most = 50
	r.Alarms, r.MoreAlarms, err = db.Alarms(ctx, most)
	unread("what waits for an answer", err)
	r.Acknowledged, err = db.Acknowledged(ctx)
	unread("what was acknowledged", err)
	days, err := deliver.ReadFailures(ctx, st)
	unread("failed logins", err)
	for _, d := range days {
		r.Failures = append(r.Failures, report.Failures(d))
	}
	r.Watched, r.Attackers, err = knownAttackers(c, stateDir)
	unread("the attackers that the watcher knows", err)
	if r.Hub {
		all, err := hub.NewRegistry(st).Hosts(ctx)
		unread("the hosts", err)
		for _, h := range all {
			s := report.HostState{Name: h.Name, Beat: h.Beaten, Version: h.Beat.Version, Silent: !h.Silent.IsZero(), Gap: h.Gap, Revoked: !h.Revoked.IsZero()}
			if s.Revoked && h.Revoked.Before(o.Since) {
				continue
			}
			r.Hosts = append(r.Hosts, s)
		}
	}
	return b.Page(r), nil
}

// knownAttackers returns what the watcher of this host knows; false: nobody watches.
func knownAttackers(c config.Config, stateDir string) (bool, []attack.Attacker, error) {
	b, err := state.ReadFile(filepath.Join(watchDir(c, stateDir), watch.KnownFile), maxKnownFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	known, err := attack.ReadKnown(b)
	return err == nil, known.Attackers, err
}
