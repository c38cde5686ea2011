package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/records"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

type historyImport struct {
	app     *app
	records records.Host
	now     func() time.Time
	account string // who runs it
	machine string // the name that the hook gives this host
	// patience is how long install plays the past.
	patience time.Duration

	importFlags
}

type importFlags struct {
	format, host            string
	everybody, dryRun, json bool
}

// newHistoryImport is an import of what this machine has, by who runs us.
func newHistoryImport(a *app) *historyImport {
	o := historyImport{app: a, now: time.Now, patience: lookBackFor,
		records: records.Host{Root: "/", In: a.in, Silence: records.Silence, Most: records.MaxUnpacked, Zone: time.Local, Now: time.Now}}
	if path, err := exec.LookPath("journalctl"); err == nil {
		o.records.Journalctl = path
	}
	host := login.Live()
	o.account, _ = host.Account()
	o.machine, _ = host.Hostname() // without one, logs' own names are kept
	return &o
}

func newHistoryImportCmd(a *app) *cobra.Command {
	var o importFlags
	c := &cobra.Command{
		Use:   "import [FILE…]",
		Short: "Import earlier logins from wtmp, the journal and auth.log",
		Long: long(`import adds earlier logins to the history, so that it knows on the first day who
usually comes from where. Without a FILE it reads whatever exists of
/var/log/wtmp, the journal, auth.log, secure and vsftpd.log in /var/log, and of
their rotated parts, packed or not. The kind of a FILE is recognized from its
content: wtmp records, the output of journalctl -o json, or a log of any form that
sshnotify watch reads; "-" is standard input.`,
			`Importing again adds nothing, and a login that is in several records is imported
once. Logins older than history.keep are skipped; so are, in the history of an
account, those of other users. Network and country come from the built-in
database: no service is asked, and no message is sent. If interrupted, import
keeps what it has so far; run it again to finish.`,
			`Anybody on this host may write to auth.log in sshd's name, with logger(1), and so
make an address look known. The journal knows who wrote, and only what the daemon's
own program wrote is believed; so without a FILE, logs count only for the time
before the journal begins. Where that reaches back far enough,
journalctl -o json _COMM=sshd + _COMM=sshd-session | sshnotify history import -
takes it alone.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sudo sshnotify history import
  sshnotify history import --dry-run /var/log/wtmp.1
  ssh old.example.com cat /var/log/wtmp | sshnotify history import --host old.example.com -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "format", "host"); err != nil {
				return err
			}
			live := newHistoryImport(a)
			live.importFlags = o
			return live.run(c.Context(), args)
		},
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "what the files are, whatever they look like: wtmp, journal or auth.log (`FORM`)")
	f.StringVar(&o.host, "host", "", "the host that the records are of, where they don't `NAME` it (default this one)")
	f.BoolVar(&o.everybody, "all-users", false, "take other users' logins into an account's own memory")
	f.BoolVar(&o.dryRun, "dry-run", false, "read only, remember nothing")
	f.BoolVar(&o.json, "json", false, "print a JSON object for each file")
	return c
}

// importCache is how much of the database an import keeps in memory, in KiB: it
// touches pages all over the file, and with room for them need not write any twice.
const importCache = 32_000

// imported says what became of one record, as --json prints it.
type imported struct {
	Record       string         `json:"record"`
	Format       history.Source `json:"format,omitempty"`
	Read         int            `json:"read"`
	Logins       int            `json:"logins"`
	New          *int           `json:"new,omitempty"`   // nil: nothing was to be remembered
	Known        *int           `json:"known,omitempty"` // before, or from another record
	Bad          int            `json:"bad"`             // not understood
	parse.Unread                // of these the lines of known daemons
	Outside      int            `json:"outside"`           // logins that are too old, or of a time to come
	Others       int            `json:"others"`            // logins of other users
	Covered      int            `json:"covered,omitempty"` // logins of a time for which the journal was read
	Error        string         `json:"error,omitempty"`
}

func (o *historyImport) run(ctx context.Context, args []string) error {
	a := o.app
	format := history.Source(o.format)
	switch format {
	case "", history.SourceWtmp, history.SourceJournal, history.SourceAuthLog:
	default:
		return &usageError{fmt.Errorf("%q is no form: wtmp, journal or auth.log", o.format)}
	}
	if len(args) == 0 && (o.format != "" || o.host != "") {
		return &usageError{errors.New("--format and --host are about files: name them")}
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	if !c.History.Enabled {
		return withHint(&settingsError{errors.New("the memory is turned off")}, "set history.enabled = true in "+a.settingsPlace(c))
	}
	if o.everybody = o.everybody || spool.For(a.spoolDir("", c), a.uid).Host; o.everybody {
		o.account = ""
	}
	geo, err := builtin.Open()
	if err != nil {
		return err
	}
	// Everything is opened before this process gives up the right to.
	all := o.records.Open(ctx, args, format, o.now().Add(-c.History.Keep))
	defer func() {
		for _, r := range all {
			r.Close()
		}
	}()
	if len(all) == 0 {
		return withHint(errors.New("there is no wtmp, no journal and no auth.log here"), "name the files that there are: sshnotify history import FILE…")
	}
	var db *history.DB
	if !o.dryRun {
		if err := a.becomeOwner(a.spoolDir("", c), a.stateDir(c)); errors.Is(err, spool.ErrMissing) {
			return withHint(err, "set the host up first: sudo sshnotify install --system")
		} else if err != nil {
			return err
		}
		opts := c.History.Options(c.Zone())
		opts.CacheKiB = importCache
		if db, err = history.Open(databaseFile(a.stateDir(c)), opts); err != nil {
			return err
		}
		defer db.Close()
	}
	read, failed, err := o.all(ctx, c, db, geo, all)
	if err != nil {
		return historyError(err)
	}
	if db != nil {
		if n, err := db.Notice(context.WithoutCancel(ctx)); err == nil && n != nil {
			fmt.Fprintf(a.err, "sshnotify: hint: the memory was damaged and began anew; the old file is %s: %s\n", n.Moved, n.Why)
		}
	}
	switch {
	case ctx.Err() != nil:
		return withHint(errors.New("interrupted: what was read is kept"), "the same again does the rest")
	case failed || read == 0:
		return &silentError{exitFailed}
	}
	return nil
}

// all reads one record after the other, and says a line for each. read is how
// many could be; failed says that one of them ought to have been. An error is
// the memory's.
func (o *historyImport) all(ctx context.Context, c config.Config, db *history.DB, geo *builtin.Database, all []*records.Record) (read int, failed bool, err error) {
	denied := false
	var journal time.Time // since when it was read
	for _, r := range all {
		if ctx.Err() != nil {
			return read, failed, nil
		}
		im, rerr, err := o.one(ctx, c, db, geo, r, journal)
		if err != nil {
			return read, failed, err
		}
		switch {
		case rerr == nil:
			read++
		case ctx.Err() == nil:
			im.Error = event.Clean(rerr.Error(), 300)
			failed = failed || r.Named || !records.Unavailable(rerr)
		}
		if err := o.say(im, c.History.Keep); err != nil {
			return read, failed, err
		}
		if r.Format == history.SourceJournal && !r.Named && rerr == nil {
			journal = r.Began
		}
		denied = denied || errors.Is(rerr, fs.ErrPermission)
		if errors.Is(rerr, records.ErrNoForm) && r.Named {
			o.hint("--format says what it is: wtmp, journal or auth.log")
		}
		if packed, ok := errors.AsType[*source.PackedError](rerr); ok && r.Named {
			o.hint(packed.Command + " " + shellQuoted(r.Name) + " | sshnotify history import -")
		}
		if r.Format == history.SourceJournal && !r.Named && rerr == nil && im.Read == 0 && o.account != "" {
			o.hint("the system's journal is open to root and to the groups systemd-journal and adm only")
		}
	}
	if denied && (read == 0 || all[0].Named) {
		o.hint("run it as root, who may read what others may not: sudo sshnotify history import …")
	}
	return read, failed, nil
}

// one reads a record into the memory, or only reads it where that is nil. A syslog
// file that nobody named is not believed from the time on that the journal has;
// zero: it has none. rerr is the record's error, and err the memory's.
func (o *historyImport) one(ctx context.Context, c config.Config, db *history.DB, geo *builtin.Database, r *records.Record, journal time.Time) (im imported, rerr, err error) {
	im = imported{Record: r.Name}
	var n records.Counts
	wanted := func(yield func(history.Entry, error) bool) {
		for e, err := range r.Logins(ctx, &n) {
			if err != nil {
				rerr = err
				return
			}
			if ctx.Err() != nil {
				return
			}
			if r.Format == history.SourceAuthLog && !r.Named && !journal.IsZero() && !e.Time.Before(journal) {
				im.Covered++
				continue
			}
			if o.take(ctx, c, geo, &e, &im) && !yield(e, nil) {
				return
			}
		}
	}
	if !o.dryRun {
		im.New, im.Known = new(int), new(int)
	}
	if db == nil {
		for range wanted {
		}
	} else {
		*im.New, *im.Known, err = db.Import(context.WithoutCancel(ctx), wanted)
	}
	im.Format, im.Read, im.Logins, im.Bad = r.Format, n.Logins+n.Other+n.Bad, n.Logins, n.Bad
	im.Unread = n.Unread
	return im, rerr, err
}

// take completes a login, and reports whether it is to be remembered.
func (o *historyImport) take(ctx context.Context, c config.Config, geo *builtin.Database, e *history.Entry, im *imported) bool {
	now := o.now()
	switch {
	case e.Time.Before(now.Add(-c.History.Keep)), e.Time.After(now.Add(24 * time.Hour)): // a clock that was wrong, not only a zone
		im.Outside++
		return false
	case o.account != "" && e.User != o.account:
		im.Others++
		return false
	}
	switch {
	case o.host != "" && e.Host == "":
		e.Host = o.host
	case e.Host == "", firstLabel(e.Host) == firstLabel(o.machine), firstLabel(e.Host) == firstLabel(c.Host):
		e.Host = cmp.Or(c.Host, o.machine, e.Host) // as the worker calls it
	}
	if facts, err := geo.Lookup(ctx, e.IP); err == nil {
		e.ASN, e.ASName, e.Place = facts.Network.ASN, facts.Network.Name, facts.Place
	}
	return true
}

// firstLabel tells hosts apart: a log has the full name, or it has not.
func firstLabel(host string) string {
	label, _, _ := strings.Cut(host, ".")
	return strings.ToLower(label)
}

func (o *historyImport) hint(text string) { fmt.Fprintf(o.app.err, "sshnotify: hint: %s\n", text) }

func (o *historyImport) say(im imported, keep time.Duration) error {
	if o.json {
		return json.NewEncoder(o.app.out).Encode(im)
	}
	var b strings.Builder
	b.WriteString(event.Clean(im.Record, 200))
	if im.Format != "" && string(im.Format) != im.Record {
		fmt.Fprintf(&b, " (%s)", im.Format)
	}
	if im.Error != "" && im.Read == 0 {
		fmt.Fprintf(&b, ": not read: %s", im.Error)
	} else {
		fmt.Fprintf(&b, ": %d read, %s", im.Read, logins(im.Logins))
		if im.New != nil {
			fmt.Fprintf(&b, ", %d new, %d known before", *im.New, *im.Known)
		}
		fmt.Fprintf(&b, ", %d not understood", im.Bad)
		if im.Outside > 0 {
			fmt.Fprintf(&b, "; %d not within the last %d days", im.Outside, int(keep.Hours()/24))
		}
		if im.Covered > 0 {
			fmt.Fprintf(&b, "; %d left to the journal, which can't be forged", im.Covered)
		}
		if im.Others > 0 {
			fmt.Fprintf(&b, "; %d of other users", im.Others)
		}
		if im.Error != "" {
			fmt.Fprintf(&b, "; not read to its end: %s", im.Error)
		}
	}
	forms, unread := parse.Forms(im.Unread)
	for _, f := range forms[:min(len(forms), formsShown)] {
		fmt.Fprintf(&b, "\n  unread, %s: %d", f.Form, f.N)
		unread -= f.N
	}
	if unread > 0 {
		fmt.Fprintf(&b, "\n  unread, of other forms: %d", unread)
	}
	_, err := fmt.Fprintln(o.app.out, b.String())
	return err
}

// formsShown is how many forms of unread lines are told of a record.
const formsShown = 5
