package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/digest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// beatPause is how long after a heartbeat a worker with new settings sends the
	// next: what is pinged more than five times a minute may not look.
	beatPause = 15 * time.Second
	// beatPatience is how many in a row may fail before that is said.
	beatPatience = 3
	// blockedPatience is how long the spool may be unreadable before the heartbeat
	// says so.
	blockedPatience = time.Minute
)

// AllWell is when a message says how sshnotify is, at the time of the digest.
type AllWell struct {
	Every string   // heartbeat.None, Daily or Weekly (on Mondays); empty: none
	Only  []string // the destinations; none: as they are routed
}

// beats is what a Job knows of its heartbeats, whatever the settings become.
type beats struct {
	next    time.Time  // when one is due
	last    time.Time  // when one was sent
	pending chan error // what becomes of the one that is on its way; nil: none is
	failed  int        // in a row
	since   time.Time  // of the first of them
}

// kindHeartbeat is the kind of document that a heartbeatDoc is; its name is the
// spool's.
const kindHeartbeat = "heartbeat"

// heartbeatDoc is what later workers, and the doctor, must know of heartbeats.
type heartbeatDoc struct {
	Failing time.Time `json:"failing,omitzero"` // since when none arrives, which was said
	Why     string    `json:"why,omitempty"`
	Hint    string    `json:"hint,omitempty"`

	Told time.Time `json:"told,omitzero"` // when the newest message of AllWell was due
	// The counters as they were then.
	Logins int64 `json:"logins,omitempty"`
	Sent   int64 `json:"sent,omitempty"`
	Failed int64 `json:"failed,omitempty"`
}

func (w *worker) loadHeartbeat() {
	if w.Store != nil {
		w.heartbeat, _ = store.Load[heartbeatDoc](context.Background(), w.Store, kindHeartbeat, w.delivered.spool)
	}
	if w.set.Heartbeat == nil {
		w.Figures.NoHeartbeat()
		if d := &w.heartbeat; !d.Failing.IsZero() {
			d.Failing, d.Why, d.Hint = time.Time{}, "", ""
			w.keepHeartbeat()
		}
		w.beats = beats{pending: w.beats.pending}
	}
	w.beats.next = w.beats.last.Add(beatPause)
}

func (w *worker) keepHeartbeat() {
	if w.Store == nil {
		return
	}
	err := store.Update(context.Background(), w.Store, kindHeartbeat, w.delivered.spool, func(d *heartbeatDoc) error { *d = w.heartbeat; return nil })
	if err != nil {
		w.Log.Warn("how heartbeats arrive can't be kept", "error", err)
	}
}

// beatHeart sends a heartbeat if one is due, and says when the next is. Only a
// worker that stays sends any.
func (w *worker) beatHeart(ctx context.Context, now time.Time) time.Duration {
	p, b := w.set.Heartbeat, &w.beats
	if p == nil || w.Mode != Follow || w.Figures == nil || b.pending != nil {
		return forever
	}
	if wait := b.next.Sub(now); wait > 0 && wait <= p.Every() { // more: the clock was set back
		return wait
	}
	w.keepFigures(now, true)
	f, watch := w.Figures.Now()
	beat, _ := heartbeat.Of(f, watch, now)
	if !w.blocked.IsZero() && now.Sub(w.blocked) > blockedPatience {
		beat.Failing, beat.Text = true, "the queue can't be read, "+beat.Text
	}
	b.last, b.next, b.pending = now, now.Add(p.Every()), make(chan error, 1)
	sent := b.pending
	go func() { sent <- p.Ping(ctx, beat) }()
	return forever
}

// finishBeat takes what became of a heartbeat.
func (w *worker) finishBeat(err error, now time.Time) {
	b, d := &w.beats, &w.heartbeat
	b.pending, w.changed = nil, true
	if err == nil {
		b.failed = 0
		w.Figures.Beaten(now, time.Time{})
		if since := d.Failing; !since.IsZero() {
			d.Failing, d.Why, d.Hint = time.Time{}, "", ""
			w.keepHeartbeat()
			w.Log.Info("heartbeats arrive again", "since", since)
			w.note(nil, now, wording.HeartbeatArrives(since.In(w.set.zone())))
		}
		return
	}
	if b.failed++; b.failed == 1 {
		b.since = b.last.UTC()
	}
	if b.failed <= beatPatience {
		w.Log.Warn("a heartbeat did not arrive", "error", err)
	}
	var lost *heartbeat.Error
	if !errors.As(err, &lost) {
		lost = &heartbeat.Error{Err: err}
	}
	if !lost.Final && b.failed < beatPatience && d.Failing.IsZero() {
		return
	}
	first := d.Failing.IsZero()
	if first {
		d.Failing = b.since
	}
	w.Figures.Beaten(now, d.Failing)
	if why := lost.Error(); why != d.Why {
		d.Why, d.Hint = why, lost.Hint
		w.keepHeartbeat()
	}
	if first {
		w.Alarm("heartbeats don't arrive: " + d.Why)
		w.note(nil, now, wording.HeartbeatLost(lost, lost.Hint))
	}
}

// awaitBeat waits for a heartbeat that is on its way. The caller has ended its
// context.
func (w *worker) awaitBeat() {
	if w.beats.pending != nil {
		<-w.beats.pending
		w.beats.pending = nil
	}
}

// sayWell queues the message that says how sshnotify is, when it is due. It returns
// how long until it should be asked again.
func (w *worker) sayWell(now time.Time) time.Duration {
	set := w.set.AllWell
	if w.hub != nil || set.Every == "" || set.Every == heartbeat.None || w.Mode != Follow || w.Figures == nil {
		return forever
	}
	step := func(t time.Time, by func(time.Time) time.Time) time.Time {
		for set.Every == heartbeat.Weekly && t.In(w.set.zone()).Weekday() != time.Monday {
			t = by(t)
		}
		return t
	}
	later := func(t time.Time) time.Time { return digest.Next(t, w.set.DigestAt, w.set.zone()) }
	due := step(digest.Due(now, w.set.DigestAt, w.set.zone()), func(t time.Time) time.Time {
		return digest.Due(t.Add(-time.Second), w.set.DigestAt, w.set.zone())
	})
	next, d := step(later(due), later), &w.heartbeat
	if !d.Told.Before(due) {
		return next.Sub(now)
	}
	w.keepFigures(now, true)
	f, watch := w.Figures.Now()
	logins, sent, failed := counters(f)
	if !d.Told.IsZero() {
		_, problems := heartbeat.Of(f, watch, now)
		since := func(n, before int64) int64 {
			if n < before { // the figures began anew
				return n
			}
			return n - before
		}
		note := wording.AllWell(wording.Well{
			Since: d.Told.In(w.set.zone()), Next: next.In(w.set.zone()),
			Logins: since(logins, d.Logins), Sent: since(sent, d.Sent), Failed: since(failed, d.Failed),
			Waiting: f.Queue.Waiting, Problems: problems,
		})
		note.Only = set.Only
		e := w.ownEvent(now, note)
		// A kill after it was queued, and before that was written down, leads here
		// again with the same id.
		e.ID = event.LoginID(event.Session{Boot: "heartbeat"}, w.delivered.spool+due.UTC().Format(time.RFC3339))
		if w.items[e.ID] == nil && !w.delivered.has(e.ID) && w.own(e) != nil {
			return digestRetry
		}
	}
	d.Told, d.Logins, d.Sent, d.Failed = due.UTC(), logins, sent, failed
	w.keepHeartbeat()
	return next.Sub(now)
}

// counters returns how many logins there were, and tries that arrived or failed.
func counters(f figures.Figures) (logins, sent, failed int64) {
	for _, n := range f.Logins {
		logins += n
	}
	for _, d := range f.Dest {
		sent += d.Outcomes[figures.Sent]
		failed += d.Failed()
	}
	return logins, sent, failed
}
