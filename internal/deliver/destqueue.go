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
	// maxFailing is how many messages that reached nobody a destination keeps before
	// it forms no more of them: what comes in an outage waits to be told in one.
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
	zone     *time.Location // of a day
	over     bool           // something waits because the day's budget is used up
	db       *store.DB      // nil: nothing outlives the worker
	doc      DestinationState
	disk     DestinationState // doc, as this worker last read or wrote it
	fresh    []*item          // not in a message yet
	failed   []*message       // formed, to be tried again
	inflight *message
	windows  map[string]*repeatWindow // by groupKey
	failures int                      // how many messages failed in this streak
	streak   int                      // of failures, from 1; counts on when a message arrives
	hold     state.Cooldown           // of back-off
	idle     time.Time                // nothing becomes due before; zero: not known
	due      bool                     // something may be sent without waiting for a retry
	// How many messages of their own hosts had since a time, see hostShare.
	toldOf    map[string]int
	toldSince time.Time
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
	Pace     state.Cooldown `json:"pace,omitzero"`     // no message before
	Limited  state.Cooldown `json:"limited,omitzero"`  // by Retry-After
	Broken   time.Time      `json:"broken,omitzero"`   // since when; said once
	Paused   time.Time      `json:"paused,omitzero"`   // since when, by a quota; said once
	Failing  time.Time      `json:"failing,omitzero"`  // since when no try has arrived
	Late     time.Time      `json:"late,omitzero"`     // since when that has been so for lateAfter; said once
	Reported time.Time      `json:"reported,omitzero"` // when the other destinations were last told that it is out of order
	Owes     bool           `json:"owes,omitempty"`    // them the word that it works again
	Budget   Budget         `json:"budget,omitzero"`
	Rest     state.Cooldown `json:"rest,omitzero"` // of a broken one that is not to be tried often
	DeadSaid time.Time      `json:"dead_said,omitzero"`
	// Explained: it got a message that says what its colour means.
	Explained bool `json:"explained,omitempty"`
	// Silent is the newest alert that a template said nothing of.
	Silent *SilentTemplate `json:"silent,omitempty"`
}

// SilentTemplate says which templates said nothing of an alert, when it was told.
type SilentTemplate struct {
	At   time.Time  `json:"at"`
	Part string     `json:"part"`
	Kind event.Kind `json:"kind"`
	Ref  string     `json:"ref"`
}

// repeatWindow is the newest message that told a key's events. At a hub it is that of
// any host; hosts has them one by one.
type repeatWindow struct {
	told
	hosts map[string]*hostWindow
}

// told is when a message went, and how severe the worst of it was.
type told struct {
	at       time.Time
	severity event.Severity
}

// hostWindow is the newest message that told events of one host.
type hostWindow struct {
	told
	users map[string]bool // the key's, told of this host
}

// otherHost is how long an event of high severity waits at most because of what
// another host said: each may lie.
const otherHost = time.Minute

// until returns until when the window holds an event. What is worse than what was told
// is no mere repeat, nor is the same key under another name on the same host.
func (g *repeatWindow) until(it *item, now time.Time, window time.Duration) time.Time {
	if g == nil || it.verdict.Severity > g.severity {
		return time.Time{}
	}
	if it.from == "" {
		return g.at.Add(window)
	}
	if h := g.hosts[it.from]; h != nil && h.at.Add(window).After(now) {
		if it.verdict.Severity > h.severity || !h.users[it.e.User] {
			return time.Time{}
		}
		return h.at.Add(window)
	}
	if it.verdict.Severity >= event.High {
		window = min(window, otherHost)
	}
	since := g.at
	if it.taken.Before(since) {
		since = it.taken // or they would hold it on and on
	}
	return since.Add(window)
}

// open takes up a message.
func (t *told) open(at time.Time, s event.Severity) {
	switch {
	case t.at.After(at):
		return
	case t.at.Equal(at):
		s = max(s, t.severity)
	}
	t.at, t.severity = at, s
}

// openFor takes up that a message told of somebody on a host that handed that over;
// empty: this one.
func (g *repeatWindow) openFor(from, user string, at time.Time, s event.Severity) {
	g.open(at, s)
	if from == "" {
		return
	}
	h := g.hosts[from]
	if h == nil {
		if g.hosts == nil {
			g.hosts = map[string]*hostWindow{}
		}
		h = &hostWindow{users: map[string]bool{}}
		g.hosts[from] = h
	}
	h.open(at, s)
	h.users[user] = true
}

func newDestQueue(t Target, db *store.DB, zone *time.Location, now time.Time) *destQueue {
	o := &destQueue{Target: t, name: t.Dest.Name(), zone: zone, db: db, windows: make(map[string]*repeatWindow), streak: 1}
	if db != nil {
		o.disk, _ = ReadDestination(db, o.name) // without it, a pause ends early at worst
	}
	o.doc = o.disk
	o.doc.Pace, o.doc.Limited, o.doc.Rest = o.doc.Pace.Rebase(now), o.doc.Limited.Rebase(now), o.doc.Rest.Rebase(now)
	return o
}

// save writes what changed about the queue. Another worker's newer pace or
// limit is not shortened.
func (o *destQueue) save(now time.Time) error {
	if o.db == nil {
		return nil
	}
	err := store.Update(context.Background(), o.db, kindDestination, o.name, func(d *DestinationState) error {
		o.doc.Pace = newer(o.doc.Pace, d.Pace, o.disk.Pace, now)
		o.doc.Limited = newer(o.doc.Limited, d.Limited, o.disk.Limited, now)
		o.doc.Explained = o.doc.Explained || d.Explained
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

// add returns the queue an event that it must tell; again says that it was tried,
// or begun to be tried, to tell it alone.
func (o *destQueue) add(it *item, again bool) {
	p := it.deliveryTo(o.name)
	o.idle = time.Time{}
	if p.msg != nil { // a message from the disk carries it
		p.msg.weigh(it)
		return
	}
	if !again {
		o.fresh = append(o.fresh, it)
		return
	}
	m := single(o.name, it)
	m.Attempts = p.Attempted()
	m.Next = m.Next.Rebase(time.Now())
	p.msg = m
	o.failed = append(o.failed, m)
}

// openWindow remembers that somebody's events of a key were told, and how severe the
// worst of them was.
func (o *destQueue) openWindow(key, from, user string, at time.Time, s event.Severity) {
	g := o.windows[key]
	if g == nil {
		g = &repeatWindow{}
		o.windows[key] = g
	}
	g.openFor(from, user, at, s)
}

// next returns the message that may be sent now, or how long to wait for one.
// inGrace says that a backlog is still being looked up.
func (o *destQueue) next(now time.Time, window time.Duration, inGrace bool) (*message, time.Duration) {
	o.due = false
	if o.inflight != nil || len(o.fresh) == 0 && len(o.failed) == 0 {
		return nil, forever
	}
	if d := max(o.hold.Left(now), o.doc.Limited.Left(now), o.doc.Rest.Left(now)); d > 0 {
		return nil, d
	}
	if now.Before(o.idle) {
		return nil, o.idle.Sub(now)
	}
	if d := o.doc.Pace.Left(now); d > 0 {
		o.due = true
		return nil, d
	}
	m, wait := o.pick(now, window, inGrace)
	if m == nil {
		o.due = inGrace && len(o.fresh) > 0
		if !inGrace {
			o.idle = now.Add(wait)
		}
		return nil, wait
	}
	o.due = true
	return m, 0
}

// pick chooses between what failed before and what is new: the more severe
// first, then the older.
func (o *destQueue) pick(now time.Time, window time.Duration, inGrace bool) (*message, time.Duration) {
	wait, tries, failing := forever, 0, 0
	var best *message
	quiet := o.Quiet.End(now)
	for _, m := range o.failed {
		if len(m.Reached) == 0 {
			if failing++; failing == 1 || m.Tries < tries {
				tries = m.Tries
			}
		}
		if !m.judged() {
			continue
		}
		if left := m.Next.Left(now); left > 0 {
			wait = min(wait, left)
		} else if until := quiet.Sub(now); until > 0 && !m.disturbs() {
			wait = min(wait, until)
		} else if !m.Asking && !o.affords(m.severity, m.from(), now) {
			wait, o.over = min(wait, tomorrow(now, o.zone)), true
		} else if best == nil || o.before(m, best) {
			best = m
		}
	}
	if !inGrace && failing < maxFailing+bits.Len(uint(tries/failingTries)) {
		formed, w := o.nextBatch(now, window, quiet)
		if formed != nil && !o.affords(formed.severity, formed.from(), now) {
			w, o.over, formed = tomorrow(now, o.zone), true, nil
		}
		if wait = min(wait, w); o.over {
			wait = min(wait, tomorrow(now, o.zone))
		}
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
			return
		}
	}
	if from := m.from(); from != "" && !m.Digest {
		if o.toldOf == nil {
			o.toldOf = map[string]int{}
		}
		o.toldOf[from]++
	}
}
