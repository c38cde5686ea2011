package cmd

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/passwd"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// journalFor is how long install waits for the journal's word about a session.
const journalFor = 10 * time.Second

// offerAck asks whether the session in which this runs is that of who it says, and
// acknowledges its user, network and key as sshnotify ack does. Where it is not known
// beyond doubt whose session this is, nobody is asked.
func (o *installOptions) offerAck(ctx context.Context, s *setup, q *prompter) {
	if q == nil || s.image() {
		return
	}
	a := s.app(o.app)
	c, err := a.settings()
	if err != nil || !c.History.Enabled {
		return
	}
	c.SpoolDir, c.StateDir = s.spool, s.state
	e, ok := o.ownLogin(ctx)
	if !ok {
		return
	}
	lookups, err := localEngine(c, s.state)
	if err != nil {
		return
	}
	facts := lookups.Lookup(ctx, e.Remote.IP)
	usual, id := false, ""
	inMemory := func(do func(db *history.DB, st *store.DB, entry history.Entry) error) error {
		return a.asOwner(s.spool, s.state, func() error {
			opts := c.History.Options(c.Zone())
			st, err := store.Open(databaseFile(c.StateDir), store.Options{Now: opts.Now})
			if err != nil {
				return err
			}
			defer st.Close()
			entry := history.EntryOf(e, facts, event.Verdict{})
			entry.Host = cmp.Or(c.Host, entry.Host)
			return do(history.New(st, opts), st, entry)
		})
	}
	err = inMemory(func(db *history.DB, _ *store.DB, entry history.Entry) error {
		m, err := db.Recall(ctx, entry)
		usual = m.Pair.Usual()
		return err
	})
	if err == nil {
		if usual {
			return
		}
		yes, qerr := q.yes(ctx, "Is this you: "+spokenSession(e, facts, newOwners(c).Of(e))+"? It is usual from now on.", true)
		if qerr != nil || !yes {
			return
		}
		err = inMemory(func(db *history.DB, st *store.DB, entry history.Entry) (err error) {
			// Whether logins were told here before is decided first, as at the first start
			// of a worker: this one was not.
			if _, _, err := asBefore(st, c, true); err != nil {
				return err
			}
			if entry.Source = history.SourceJournal; !o.system {
				entry.Source = history.SourceSeen
			}
			id, err = remembered(ctx, db, entry)
			return err
		})
	}
	if err == nil {
		ack := ackOptions{queue: queueOptions{app: a, spoolDir: s.spool}, now: time.Now, host: o.session, note: "said at sshnotify install", noWorker: o.noWorker}
		err = ack.run(ctx, []string{id})
	}
	if err != nil {
		o.warn("it is not acknowledged: "+event.Clean(err.Error(), maxProblem), "sshnotify history lists logins, and sshnotify ack REF acknowledges one")
	}
}

// spokenSession says who came from where with which key.
func spokenSession(e event.Event, f event.Facts, owner string) string {
	from := cmp.Or(f.Name, f.Network.Name)
	if f.Place.Country != "" {
		from = strings.TrimPrefix(from+", "+country.Name(f.Place.Country), ", ")
	}
	text := event.Clean(e.User, maxProblem) + " from " + e.Remote.IP.String()
	if from != "" {
		text += " (" + event.Clean(from, maxProblem) + ")"
	}
	switch auth := e.Login.Auth; {
	case auth.CAFingerprint != "":
		text += ", certificate " + event.Clean(auth.KeyID, maxProblem)
	case auth.Fingerprint != "":
		text += ", key " + auth.Fingerprint
	case auth.Method != "":
		text += ", by " + event.Clean(auth.Method, maxProblem)
	}
	if owner != "" {
		text += " (" + event.Clean(owner, maxProblem) + ")"
	}
	return text
}

// ownLogin returns the login of the session in which this runs, as the hook will
// report the next one. An account has its shell's word, which is what its own hook
// goes by. For the host it is only what sshd told the journal of the very process
// that serves this session, which nobody else could have written; the user is the one
// whom the kernel says that it was opened for, where it says so.
func (o *installOptions) ownLogin(ctx context.Context) (event.Event, bool) {
	if !o.system {
		e, err := login.Read(o.session, login.Options{Now: o.past.now()})
		if err != nil || e.Via != event.ViaShell || !e.Remote.IP.IsValid() {
			return e, false
		}
		e.Login.Auth = sshauth.Parse(e.Login.Auth.Info).Cleaned()
		return e, true
	}
	uid, servers, ok := o.session.Session()
	if !ok || o.past.records.Journalctl == "" {
		return event.Event{}, false
	}
	user, known := passwd.ByID(passwd.ReadFile("/etc/passwd"), uid)
	if uid >= 0 && !known {
		return event.Event{}, false
	}
	now, oldest := o.past.now(), time.Duration(0)
	for _, p := range servers {
		oldest = max(oldest, p.Age)
	}
	ctx, cancel := context.WithTimeout(ctx, journalFor)
	defer cancel()
	journal := o.past.records.OpenJournal(now.Add(-oldest))
	defer journal.Close()
	var e event.Event
	for said, err := range journal.All(ctx) {
		if err != nil {
			return e, false
		}
		l := said.Line
		if l.Entry == nil || l.Entry.Daemon == "" {
			continue
		}
		p := slices.IndexFunc(servers, func(p login.Server) bool { return p.PID == l.PID })
		// A number may have been another process's.
		if p < 0 || l.Time.Before(now.Add(-servers[p].Age-time.Second)) {
			continue
		}
		r := parse.Explain(l, parse.Options{})
		if r.Outcome != parse.Success || !r.Certain || !r.IP.IsValid() || known && r.User != user.Name {
			continue
		}
		e = event.Event{
			Kind: event.KindLogin, Time: l.Time, Host: o.past.machine, User: r.User, Service: r.Service, Remote: event.Remote{IP: r.IP, Port: r.Port},
			Login: event.Login{Auth: event.Auth{Method: r.Method, Fingerprint: r.Key, CAFingerprint: r.CA, KeyID: r.KeyID}},
		}
	}
	return e, e.Kind != ""
}

// remembered returns the id of a login of an entry's user, network and key, which is
// the entry's own where there was none.
func remembered(ctx context.Context, db *history.DB, entry history.Entry) (string, error) {
	for range 2 {
		ip := netip.PrefixFrom(entry.IP, entry.IP.BitLen())
		for old, err := range db.List(ctx, history.Filter{User: entry.User, IP: ip, Key: entry.Key}) {
			if err != nil {
				return "", err
			}
			if old.Key == entry.Key && old.CA == entry.CA && old.KeyID == entry.KeyID && (entry.Key != "" || old.Method == entry.Method) {
				return old.ID, nil
			}
		}
		if _, _, err := db.Import(ctx, func(yield func(history.Entry, error) bool) { yield(entry, nil) }); err != nil {
			return "", err
		}
	}
	return "", history.ErrNoLogin
}
