package deliver

import (
	"context"
	"math/bits"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// maxFailing is how many messages that failed a destination keeps before it
	// forms no more of them: what comes in an outage waits to be told in one.
	maxFailing = 3
	// failingTries is after how many tries of each of them one more is formed,
	// and again whenever the tries have doubled: they may be what is wrong, and
	// not the destination. An outage of a week makes eleven.
	failingTries = 4
	forever      = 24 * time.Hour
)

// destQueue is a destination with what waits for it.
type destQueue struct {
	Target
	name     string
	db       *store.DB
	doc      DestinationState
	disk     DestinationState // doc, as this worker last read or wrote it
	fresh    []*item          // not in a message yet
	failed   []*message       // formed, to be tried again
	inflight *message
	windows  map[string]repeatWindow // by groupKey
	failures int                     // how many messages failed in this streak
	streak   int                     // of failures, from 1; counts on when a message arrives
	hold     state.Cooldown          // of back-off
	quiet    time.Time               // nothing becomes due before; zero: not known
	due      bool                    // something may be sent without waiting for a retry
}

// kindDestination is the kind of document that a DestinationState is.
const kindDestination = "destination"

// ReadDestination returns the state of the destination with a name, the zero
// value where nothing was ever sent to it.
func ReadDestination(db *store.DB, name string) (DestinationState, error) {
	return store.Load[DestinationState](context.Background(), db, kindDestination, name)
}

// DestinationState is what other workers, and later ones, must know of a
// destination.
type DestinationState struct {
	Pace     state.Cooldown `json:"pace,omitzero"`    // no message before
	Limited  state.Cooldown `json:"limited,omitzero"` // by Retry-After
	Broken   time.Time      `json:"broken,omitzero"`  // since when; said once
	DeadSaid time.Time      `json:"dead_said,omitzero"`
}

// repeatWindow is the newest message that told a key's events.
type repeatWindow struct {
	at       time.Time
	severity event.Severity
}

func newDestQueue(t Target, db *store.DB, now time.Time) *destQueue {
	o := &destQueue{Target: t, name: t.Dest.Name(), db: db, windows: make(map[string]repeatWindow), streak: 1}
	o.disk, _ = ReadDestination(db, o.name) // without it, a pause ends early at worst
	o.doc = o.disk
	o.doc.Pace, o.doc.Limited = o.doc.Pace.Rebase(now), o.doc.Limited.Rebase(now)
	return o
}

// save writes what changed about the queue. Another worker's newer pace or
// limit is not shortened.
func (o *destQueue) save(now time.Time) error {
	err := store.Update(context.Background(), o.db, kindDestination, o.name, func(d *DestinationState) error {
		o.doc.Pace = newer(o.doc.Pace, d.Pace, o.disk.Pace, now)
		o.doc.Limited = newer(o.doc.Limited, d.Limited, o.disk.Limited, now)
		*d = o.doc
		return nil
	})
	if err == nil {
		o.disk = o.doc
	}
	return err
}

// newer returns the longer one of our hold and the one on the disk, if that is
// another worker's. What we put there ourselves is over by the monotonic clock,
// even where the other one was set back.
func newer(ours, disk, known state.Cooldown, now time.Time) state.Cooldown {
	if theirs := disk.Rebase(now); !disk.Until.Equal(known.Until) && theirs.Left(now) > ours.Left(now) {
		return theirs
	}
	return ours
}

// add returns the queue an event that it must tell; again says that an earlier
// worker tried, or began to try, to tell it alone.
func (o *destQueue) add(it *item, again bool) {
	p := it.deliveryTo(o.name)
	o.quiet = time.Time{}
	if p.msg != nil { // a message from the disk carries it
		p.msg.weigh(it)
		return
	}
	if !again {
		o.fresh = append(o.fresh, it)
		return
	}
	m := single(o.name, it)
	m.attempts = p.attempts
	m.Next = m.Next.Rebase(time.Now())
	p.msg = m
	o.failed = append(o.failed, m)
}

// openWindow remembers that a key was told, and how severe the worst of it was.
func (o *destQueue) openWindow(key string, at time.Time, s event.Severity) {
	g, ok := o.windows[key]
	switch {
	case ok && g.at.After(at):
		return
	case ok && g.at.Equal(at):
		s = max(s, g.severity)
	}
	o.windows[key] = repeatWindow{at, s}
}

// next returns the message that may be sent now, or how long to wait for one.
// inGrace says that a backlog is still being looked up.
func (o *destQueue) next(now time.Time, window time.Duration, inGrace bool) (*message, time.Duration) {
	o.due = false
	if o.inflight != nil || len(o.fresh) == 0 && len(o.failed) == 0 {
		return nil, forever
	}
	if d := max(o.hold.Left(now), o.doc.Limited.Left(now)); d > 0 {
		return nil, d
	}
	if now.Before(o.quiet) {
		return nil, o.quiet.Sub(now)
	}
	if d := o.doc.Pace.Left(now); d > 0 {
		o.due = true
		return nil, d
	}
	m, wait := o.pick(now, window, inGrace)
	if m == nil {
		o.due = inGrace && len(o.fresh) > 0
		if !inGrace {
			o.quiet = now.Add(wait)
		}
		return nil, wait
	}
	o.due = true
	return m, 0
}

// pick chooses between what failed before and what is new: the more severe
// first, then the older.
func (o *destQueue) pick(now time.Time, window time.Duration, inGrace bool) (*message, time.Duration) {
	wait, tries := forever, 0
	var best *message
	for i, m := range o.failed {
		if i == 0 || m.Tries < tries {
			tries = m.Tries
		}
		if !m.judged() {
			continue
		}
		if left := m.Next.Left(now); left > 0 {
			wait = min(wait, left)
		} else if best == nil || o.before(m, best) {
			best = m
		}
	}
	if !inGrace && len(o.failed) < maxFailing+bits.Len(uint(tries/failingTries)) {
		formed, w := o.nextBatch(now, window)
		wait = min(wait, w)
		if formed != nil && (best == nil || o.before(formed, best)) {
			best = formed
		}
	}
	return best, wait
}

// before says which of two messages goes first. What failed since one arrived
// gives way to what did not, so that messages that always fail do not stop the
// rest, however severe they are.
func (o *destQueue) before(a, b *message) bool {
	if tried := a.streak == o.streak; tried != (b.streak == o.streak) {
		return !tried
	}
	if a.severity != b.severity {
		return a.severity > b.severity
	}
	return a.oldest.Before(b.oldest)
}

// commit takes a message's events out of what is new, for good.
func (o *destQueue) commit(m *message) {
	for it := range m.all() {
		it.deliveryTo(o.name).msg = m
	}
	kept := o.fresh[:0]
	for _, it := range o.fresh {
		if p := it.deliveryTo(o.name); p.pending() && p.msg == nil {
			kept = append(kept, it)
		}
	}
	clear(o.fresh[len(kept):])
	o.fresh = kept
	for i, f := range o.failed {
		if f == m {
			o.failed = append(o.failed[:i], o.failed[i+1:]...)
			break
		}
	}
}
