package deliver

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/digest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// digestRetry is how long a digest that could not be made is put off.
	digestRetry = 10 * time.Minute
	// digestSettles is how long a digest waits for the watcher's part of it, which
	// is made at the same time of day.
	digestSettles = 30 * time.Second
	// hostsSettle is the same at a hub: those of other hosts are on their way.
	hostsSettle = 5 * time.Minute
)

// kindDaily is the kind of document that a daily is; its name is the spool's.
const kindDaily = "daily"

// daily is what later workers must know of digests.
type daily struct {
	Due     time.Time `json:"due,omitzero"`      // of the newest that was made, or had nothing to tell
	Told    time.Time `json:"told,omitzero"`     // of the newest that told something
	Offered bool      `json:"offered,omitempty"` // the new default, by one of them
}

// loadDaily reads what earlier workers made. Without it, at worst a digest says
// again what it said.
func (w *worker) loadDaily() {
	if w.Store != nil {
		w.daily, _ = store.Load[daily](context.Background(), w.Store, kindDaily, w.delivered.spool)
	}
}

func (w *worker) keepDaily() error {
	if w.Store == nil {
		return nil
	}
	return store.Update(context.Background(), w.Store, kindDaily, w.delivered.spool, func(d *daily) error { *d = w.daily; return nil })
}

// settles is how long a digest waits for what is made at the same time of day.
func (w *worker) settles() time.Duration {
	if w.Inbox != nil {
		return hostsSettle
	}
	return digestSettles
}

// makeDigest queues the daily digest when it is due. It returns how long until
// it should be asked again.
func (w *worker) makeDigest(now time.Time) time.Duration {
	if w.set.Memory == nil || w.hub != nil {
		return forever
	}
	due := digest.Due(now, w.set.DigestAt, w.set.zone())
	next := digest.Next(due, w.set.DigestAt, w.set.zone()).Add(w.settles())
	flush := w.Flush && !w.flushed
	switch {
	case now.Before(w.digestAgain):
		return w.digestAgain.Sub(now)
	case flush:
		w.flushed, due = true, now
	case !w.daily.Due.Before(due):
		return next.Sub(now)
	case now.Before(due.Add(w.settles())) && w.Mode == Follow:
		return due.Add(w.settles()).Sub(now)
	}
	if err := w.queueDigest(now, due); err != nil {
		w.Log.Error("the daily digest can't be made", "error", err)
		w.digestAgain = now.Add(digestRetry)
		return digestRetry
	}
	return next.Sub(now)
}

// holdAttempts keeps the watcher's digest of attempts for the worker's, which is
// made a moment later, or, where that was told already, for the next: a host has
// one digest a day, and a hub one for all. It reports whether it does.
func (w *worker) holdAttempts(it *item) bool {
	if it.from != "" && it.e.Kind == event.KindDigest && (it.e.Digest.Failures == nil || it.e.Digest.Of != event.KindAttempt) {
		w.Log.Warn("another host's digest of anything but attempts is told to nobody", "id", it.e.ID, "host", it.e.Host)
		w.endQuietly(it)
		return true
	}
	if w.set.Memory == nil || it.sorted || it.e.Kind != event.KindDigest || it.e.Via != event.ViaWatch || it.e.Digest == nil || it.e.Digest.Failures == nil {
		return false
	}
	w.keepFailures(it)
	if it.from != "" && w.Mode == Follow {
		w.holdHost(it)
		return true
	}
	now := w.now()
	due := digest.Due(now, w.set.DigestAt, w.set.zone())
	soon := digest.Next(due, w.set.DigestAt, w.set.zone()).Sub(now) <= digestSettles
	if soon || w.daily.Due.Before(due) {
		w.attempts = append(w.attempts, it)
		return true
	}
	// It comes too late. Where there was nothing else to tell, it is the digest of
	// the day; a worker that ends when nothing waits can't keep it until the next.
	if w.daily.Told.Before(due) || w.Mode != Follow {
		w.daily.Told = due
		return false
	}
	w.attempts = append(w.attempts, it)
	return true
}

// holdHost is holdAttempts of another host, which has one in each digest: that with
// the most attempts, as of a day before that was not told.
func (w *worker) holdHost(it *item) {
	for i, other := range w.attempts {
		if other.from != it.from {
			continue
		}
		if other.e.Digest.Failures.Attempts < it.e.Digest.Failures.Attempts {
			w.attempts[i], it = it, other
		}
		w.endQuietly(it)
		return
	}
	w.attempts = append(w.attempts, it)
}

// failures makes one of all that was held of failed logins.
func (w *worker) failures(body *event.Digest) {
	var own *event.Failures
	var all []digest.HostFailures
	for _, it := range w.attempts {
		a := it.e.Digest
		if it.from == "" {
			if own != nil && own.Attempts > a.Failures.Attempts {
				continue // of an earlier day, which was not told then
			}
			own, body.Attacks = a.Failures, a.Attacks
		} else {
			all = append(all, digest.HostFailures{Host: it.e.Host, Failures: a.Failures})
		}
		if body.First.IsZero() || a.First.Before(body.First) {
			body.First = a.First
		}
		if a.Last.After(body.Last) {
			body.Last = a.Last
		}
	}
	if len(all) == 0 {
		body.Failures = own
		return
	}
	if own != nil {
		all = append(all, digest.HostFailures{Host: w.hostname(), Failures: own})
	}
	body.Failures, body.Attacks = digest.Failures(all), 0
}

// digestHost returns the host that a digest is of: the only one that it tells of, which
// at a hub may be another. Where there are more it says how many, at least.
func (w *worker) digestHost(body *event.Digest) string {
	hosts := map[string]bool{}
	for _, r := range slices.Concat(body.Rows, body.Counted) {
		for _, host := range append(slices.Clone(r.Hosts), r.Host) {
			hosts[host] = true
		}
	}
	for _, it := range w.attempts {
		host := it.e.Host
		if it.from == "" {
			host = w.hostname()
		}
		hosts[host] = true
	}
	delete(hosts, "")
	if len(hosts) > 1 {
		body.Hosts = max(body.Hosts, len(hosts))
		return w.hostname()
	}
	for host := range hosts {
		return host
	}
	return w.hostname()
}

// hostname is what this host is called.
func (w *worker) hostname() string { return cmp.Or(w.set.Host, w.Hostname) }

// ownDigest queues the digest of the day. What it has no room for is added up: names
// may be as long as somebody likes.
func (w *worker) ownDigest(e event.Event) error {
	d := e.Digest
	for {
		if _, err := e.Encode(); err == nil || len(d.Rows) <= 2 && len(d.Counted) <= 2 {
			return w.own(e)
		}
		d.Rows, d.Counted = half(d.Rows), half(d.Counted)
	}
}

// half adds up the second half of rows.
func half(rows []event.Row) []event.Row {
	if len(rows) < 2 {
		return rows
	}
	kept := slices.Clone(rows[:len(rows)/2])
	rest := event.Row{Kind: rows[0].Kind, Severity: event.Low}
	for _, r := range rows[len(kept):] {
		rest.Count, rest.More = rest.Count+r.Count, rest.More+max(1, r.More)
	}
	return append(kept, rest)
}

// queueDigest makes an event of all that the digest of a time has to tell. A day
// with nothing new has none.
func (w *worker) queueDigest(now, due time.Time) error {
	d, err := w.set.Memory.Digest(due)
	if err != nil {
		return err
	}
	body := &event.Digest{Of: event.KindDigest, Rows: d.Rows, First: d.First, Last: d.Last, Counted: d.Counted, Promoted: d.Promoted, Learned: d.Learned, Modes: w.ordinary.changes(),
		Unanswered: d.Unanswered, MoreUnanswered: d.MoreUnanswered, Hosts: d.Hosts}
	// At the time of a digest: not the moment after an update, nor where somebody
	// wants all told now, as who takes sshnotify away.
	regular := due.Before(now)
	if !w.daily.Offered && !w.daily.Due.IsZero() && regular {
		body.Offer = w.set.Offer
	}
	host := w.digestHost(body)
	w.failures(body)
	held := len(body.Rows) > 0 || len(body.Counted) > 0 || len(body.Modes) > 0 || body.Failures != nil
	learnt := len(body.Promoted) > 0 || len(body.Learned) > 0
	if !held && !regular {
		return nil // what was learnt is told at its time
	}
	if held || learnt || body.Offer != "" {
		id := d.ID
		if id == "" {
			id = w.digestID(due)
		}
		// A kill after it was queued, and before that was written down, leads here
		// again with the same id.
		if w.items[id] == nil && !w.delivered.has(id) {
			e := event.Event{ID: id, Kind: event.KindDigest, Time: now, Host: host, Via: event.ViaSelf, Digest: body}
			if err := w.ownDigest(e); err != nil {
				return err
			}
		}
		for _, it := range w.attempts {
			if w.items[it.e.ID] == it {
				it.stage, it.of = ready, id
				w.finish(it, true)
			}
		}
		w.attempts = nil
		w.daily.Told = due
	}
	if d.ID != "" {
		if err := w.set.Memory.Digested(d.ID); err != nil {
			return err
		}
	}
	w.daily.Due, w.daily.Offered = due, w.daily.Offered || body.Offer != ""
	w.keepOrdinary(true)
	if err := w.keepDaily(); err != nil {
		w.Log.Warn("that a digest was made can't be kept", "error", err)
	}
	return nil
}

// digestID names the digest of a time.
func (w *worker) digestID(due time.Time) string {
	return event.LoginID(event.Session{Boot: "digest"}, w.delivered.spool+due.UTC().Format(time.RFC3339))
}
