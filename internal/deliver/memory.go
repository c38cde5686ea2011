package deliver

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// historyRest is how long a memory that failed is left alone, so that a
// backlog does not wait for it once an event.
const historyRest = 30 * time.Second

// digestRetry is how long a digest that could not be made is put off.
const digestRetry = 10 * time.Minute

// recall asks the memory about a login, and returns whose key it was.
func (w *worker) recall(it *item) (owner string) {
	if it.e.Kind != event.KindLogin {
		return ""
	}
	if w.set.Owner != nil {
		owner = w.set.Owner(it.e)
	}
	it.owner = owner
	if !remembered(it.e) || !w.remembers() {
		return owner
	}
	m, err := w.set.Memory.Recall(it.e, it.facts)
	if err != nil {
		w.historyDown(err)
		return owner
	}
	it.memory = m
	return owner
}

// Quiet says why a login is not told at once: the settings ignore it, or it is
// usual; empty where it is told. What is odd or dangerous is never quiet.
func (s Settings) Quiet(in policy.Input, v event.Verdict) string {
	switch {
	case in.Event.Kind != event.KindLogin, len(in.Event.Flags) > 0:
		return ""
	case v.Ignore:
		return "rule " + v.Rule
	case v.Severity >= event.High, policy.IsNew(in):
		return ""
	case s.Ignore != nil && s.Ignore(in.Event):
		return "the settings ignore it"
	case s.Unusual && v.Usual && len(v.Only) == 0:
		return "usual"
	}
	return ""
}

// Routed returns the names of the destinations that an event is for. Where it or a
// rule names some, those get it, whatever their least severity; names that are
// not in the settings any more name none. A public destination gets nothing but
// what names it.
func (s Settings) Routed(e event.Event, v event.Verdict) []string {
	only := v.Only
	if n := e.Note(); n != nil && len(n.Only) > 0 {
		only = n.Only
	}
	var least, named []string
	for _, t := range s.Targets {
		name := t.Dest.Name()
		if slices.Contains(only, name) {
			named = append(named, name)
		}
		if v.Route() >= t.MinSeverity && !slices.Contains(s.Public, name) {
			least = append(least, name)
		}
	}
	if len(named) > 0 {
		return named
	}
	return least
}

// remembered reports whether an event is for the memory: a login from
// somewhere. By sudo and su nobody comes from anywhere, and as root everybody
// would be the same person.
func remembered(e event.Event) bool { return e.Kind == event.KindLogin && e.Login.By == "" }

// remember keeps a login, and reports whether it may go untold. What is usual
// may only while the memory has it, for the digest; what the settings ignore
// always may.
func (w *worker) remember(it *item, quiet bool) bool {
	if !remembered(it.e) || w.set.Memory == nil {
		return true
	}
	err := errHistoryDown
	if w.remembers() {
		err = w.set.Memory.Remember(it.e, it.facts, it.verdict, quiet)
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, errHistoryDown) {
		w.historyDown(err)
	}
	return !w.set.Unusual || !it.verdict.Usual || it.verdict.Ignore || w.set.Ignore != nil && w.set.Ignore(it.e)
}

var errHistoryDown = errors.New("the memory is left alone for a while")

func (w *worker) remembers() bool {
	return w.set.Memory != nil && !time.Now().Before(w.historyDownUntil)
}

// historyDown leaves the memory alone for a while, and says so once a day.
func (w *worker) historyDown(err error) {
	now := time.Now()
	w.historyDownUntil = now.Add(historyRest)
	w.Log.Error("the memory of logins can't be used", "error", err)
	if now.Sub(w.historyDownSaid) > 24*time.Hour {
		w.historyDownSaid = now
		w.Alarm(fmt.Sprintf("the memory of logins can't be used, so that none is new or usual: %v", err))
	}
}

// digestDue is the newest time at which a digest was to be made.
func (w *worker) digestDue(now time.Time) time.Time {
	local := now.In(w.set.zone())
	at := func(days int) time.Time {
		// By the wall clock: a day of a time change has its digest, too.
		return time.Date(local.Year(), local.Month(), local.Day()+days, 0, int(w.set.DigestAt/time.Minute), 0, 0, local.Location())
	}
	if due := at(0); !due.After(now) {
		return due
	}
	return at(-1)
}

func (s Settings) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// makeDigest queues the daily digest when it is due. It returns how long until
// it should be asked again.
func (w *worker) makeDigest(now time.Time) time.Duration {
	if w.set.Memory == nil {
		return forever
	}
	if now.Before(w.nextDigest) {
		return w.nextDigest.Sub(now)
	}
	due := w.digestDue(now)
	if w.Flush && w.nextDigest.IsZero() {
		if err := w.queueDigest(now, now); err != nil {
			w.Log.Error("the digest of usual logins can't be made", "error", err)
		}
	}
	local := due.In(w.set.zone())
	w.nextDigest = time.Date(local.Year(), local.Month(), local.Day()+1, 0, int(w.set.DigestAt/time.Minute), 0, 0, local.Location())
	if err := w.queueDigest(now, due); err != nil {
		w.Log.Error("the digest of usual logins can't be made", "error", err)
		w.nextDigest = now.Add(digestRetry)
	}
	return w.nextDigest.Sub(now)
}

func (w *worker) queueDigest(now, due time.Time) error {
	d, err := w.set.Memory.Digest(due)
	if err != nil || len(d.Rows) == 0 {
		return err
	}
	// A kill after it was queued, and before that was written down, leads here
	// again with the same id.
	if w.items[d.ID] == nil && !w.delivered.has(d.ID) {
		e := event.Event{
			ID: d.ID, Kind: event.KindDigest, Time: now, Host: w.set.Host, Via: event.ViaSelf,
			Digest: &event.Digest{Of: event.KindLogin, Rows: d.Rows, First: d.First, Last: d.Last},
		}
		if e.Host == "" {
			e.Host = w.Hostname
		}
		if err := w.own(e); err != nil {
			return err
		}
	}
	return w.set.Memory.Digested(d.ID)
}
