package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// keepFor is how long, keepRows how many and keepBytes how much of what the hub
	// has is kept, so that a hub that lost its disk can be sent it again.
	keepFor   = 24 * time.Hour
	keepRows  = 1000
	keepBytes = 8 << 20
	// lostAgain is how soon the same loss at the hub is looked at again: what was
	// sent and does not close the gap is gone at the host, too.
	lostAgain = time.Hour
)

// unknown is Answer.Have where nobody says it.
const unknown = -1

// kindFleet is the kind of the documents of this file.
const kindFleet = "fleet"

// numbering is the host's run of numbers.
type numbering struct {
	Name string `json:"name"`
	Last int64  `json:"last"` // that was given to an event
}

const numberingName = "numbering"

// Handed is an event on its way to the hub, in its stored form.
type Handed struct {
	ID   string
	Data []byte
}

// Outbox is the host's end: it numbers what is handed over, keeps it until a day
// after the hub has it, and sends again what the hub has lost. It is for one
// goroutine at a time.
type Outbox struct {
	db   *store.DB
	way  Transport
	now  func() time.Time
	run  numbering
	open map[string]int64 // the numbers of what the hub does not have yet, by the ids
	anew bool             // the run has just begun, and the database has none of it

	unread int       // how often the numbers could not be read
	lost   int64     // up to where the hub had all, when what is after it was last sent again
	lostAt time.Time // when that was
}

// NewOutbox returns the outbox of a host, which keeps what it must know in a
// database. Where that can't be used it numbers all the same: what is lost then is
// that something can be sent again.
func NewOutbox(db *store.DB, way Transport) *Outbox {
	return &Outbox{db: db, way: way, now: time.Now}
}

// Close closes the way to the hub.
func (o *Outbox) Close() { o.way.Close() }

// unreadPatience is how often the numbers may be unreadable before others are begun.
const unreadPatience = 3

// load reads the numbers, once.
func (o *Outbox) load(ctx context.Context) error {
	if o.open != nil {
		return nil
	}
	var run numbering
	open := map[string]int64{}
	err := o.db.Read(ctx, store.ReadLimit, func(t *store.Tx) (err error) {
		clear(open)
		if run, err = store.Get[numbering](t, kindFleet, numberingName); err != nil {
			return err
		}
		return t.Each(func(r *sql.Rows) error {
			var id string
			var n int64
			err := r.Scan(&id, &n)
			open[id] = n
			return err
		}, `SELECT id, number FROM fleet_sent WHERE acked IS NULL`)
	})
	if err != nil {
		if o.unread++; o.unread < unreadPatience || ctx.Err() != nil {
			return &Error{Class: Again, Err: fmt.Errorf("the numbers of what the hub has can't be read: %w", err)}
		}
	}
	if err != nil || run.Name == "" {
		clear(open)
		run, o.anew = numbering{Name: rand.Text()}, true
	}
	o.run, o.open = run, open
	return nil
}

// Settle takes the numbers of events that wait no more from those that the hub does
// not have: somebody dropped them, and they are sent only where the hub misses their
// numbers.
func (o *Outbox) Settle(ctx context.Context, waits func(id string) bool) {
	if o.load(ctx) != nil {
		return // whoever hands over looks again
	}
	var gone []string
	for id := range o.open {
		if !waits(id) {
			gone = append(gone, id)
		}
	}
	o.acked(ctx, gone, nil)
}

// HandOver has the hub take as many of the events as go with one request, from the
// first one on, and returns how many that were, and what it said of them; those that
// it rejected are named by their ids. An error is an *Error, and then it may have any
// of them.
func (o *Outbox) HandOver(ctx context.Context, events []Handed) (n int, a Answer, err error) {
	if err := o.load(ctx); err != nil {
		return 0, a, err
	}
	events = fitting(events)
	lines, err := o.number(ctx, events)
	if err != nil {
		return 0, a, &Error{Class: Again, Err: err}
	}
	for {
		a, err = o.way.HandOver(ctx, Batch{Numbering: o.run.Name, Lines: lines})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Class != TooLarge {
			break
		}
		if len(lines) == 1 {
			a, err = Answer{Rejected: []Rejected{{Number: lines[0].Number, Why: e.Error()}}, Have: unknown}, nil
			break
		}
		lines = lines[:len(lines)/2]
	}
	if err != nil {
		return 0, a, err
	}
	ids := make([]string, len(lines))
	for i, e := range events[:len(lines)] {
		ids[i] = e.ID
	}
	for i, r := range a.Rejected { // by the number, whatever the hub says of the id
		a.Rejected[i].ID = ""
		if at := slices.IndexFunc(lines, func(l Line) bool { return l.Number == r.Number }); at >= 0 {
			a.Rejected[i].ID = ids[at]
		}
	}
	o.acked(ctx, ids, a.Rejected)
	o.sendAgain(ctx, a.Have)
	return len(lines), a, nil
}

// fitting returns the first events, as many as go with one request.
func fitting(events []Handed) []Handed {
	const frame = 64 // of a line, around its event
	size := 0
	for i, e := range events[:min(len(events), MaxBatch)] {
		if size += len(e.Data) + frame; size > MaxBody && i > 0 {
			return events[:i]
		}
	}
	return events[:min(len(events), MaxBatch)]
}

// number gives each event its number, for good. One that was tried before keeps its.
func (o *Outbox) number(ctx context.Context, events []Handed) ([]Line, error) {
	lines := make([]Line, len(events))
	run := o.run
	now := o.now()
	fresh := map[string]int64{}
	err := o.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		run = o.run
		clear(fresh)
		if o.anew {
			if _, err := t.Exec(`DELETE FROM fleet_sent`); err != nil {
				return err
			}
		}
		for i, e := range events {
			n, ok := o.open[e.ID]
			if !ok { // the hub may have it since before a kill
				var err error
				if ok, err = t.One([]any{&n}, `SELECT number FROM fleet_sent WHERE id = ?`, e.ID); err != nil {
					return err
				}
			}
			if !ok {
				run.Last++
				n, fresh[e.ID] = run.Last, run.Last
				if _, err := t.Exec(`INSERT OR REPLACE INTO fleet_sent(number, id, time, data) VALUES (?, ?, ?, ?)`, n, e.ID, now.UnixMilli(), e.Data); err != nil {
					return err
				}
			}
			lines[i] = Line{Number: n, Event: e.Data}
		}
		if run == o.run {
			return nil
		}
		return store.Put(t, kindFleet, numberingName, run)
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		o.anew = false
	} else { // a full disk keeps nobody from being told
		run = o.run
		clear(fresh)
		for i, e := range events {
			n, ok := o.open[e.ID]
			if !ok {
				run.Last++
				n, fresh[e.ID] = run.Last, run.Last
			}
			lines[i] = Line{Number: n, Event: e.Data}
		}
	}
	o.run = run
	for id, n := range fresh {
		o.open[id] = n
	}
	return lines, nil
}

// acked notes what the hub has. What it rejected is not kept: it is the dead letter
// that can be sent again.
func (o *Outbox) acked(ctx context.Context, ids []string, rejected []Rejected) {
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		delete(o.open, id)
	}
	now := o.now()
	// Without it the next worker sends them once more, and the hub knows them.
	_ = o.db.Write(ctx, store.WriteLimit, func(t *store.Tx) error {
		for _, id := range ids {
			if _, err := t.Exec(`UPDATE fleet_sent SET acked = ? WHERE id = ?`, now.UnixMilli(), id); err != nil {
				return err
			}
		}
		for _, r := range rejected {
			if _, err := t.Exec(`UPDATE fleet_sent SET data = NULL WHERE number = ?`, r.Number); err != nil {
				return err
			}
		}
		if _, err := t.Exec(`DELETE FROM fleet_sent WHERE acked IS NOT NULL AND (acked < ? OR number <= ?)`, now.Add(-keepFor).UnixMilli(), o.run.Last-keepRows); err != nil {
			return err
		}
		_, err := t.Exec(`DELETE FROM fleet_sent WHERE acked IS NOT NULL AND number IN (SELECT number FROM
			(SELECT number, sum(length(data)) OVER (ORDER BY number DESC) AS size FROM fleet_sent WHERE acked IS NOT NULL) WHERE size > ?)`, keepBytes)
		return err
	})
}

// floor is up to which number the hub has had all.
func (o *Outbox) floor() int64 {
	low := o.run.Last + 1
	for _, n := range o.open {
		low = min(low, n)
	}
	return low - 1
}

// sendAgain has the hub take again what it had, and has no more: all that is kept of
// what comes after the number up to which it has all.
func (o *Outbox) sendAgain(ctx context.Context, have int64) {
	floor := o.floor()
	if have < 0 || have >= floor || have == o.lost && o.now().Sub(o.lostAt).Abs() < lostAgain {
		return
	}
	for after := have; ; {
		var lines []Line
		err := o.db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
			lines = lines[:0]
			size := 0
			return t.Each(func(r *sql.Rows) error {
				var l Line
				var data []byte
				if err := r.Scan(&l.Number, &data); err != nil {
					return err
				}
				if size += len(data); size <= MaxBody/2 || len(lines) == 0 {
					l.Event = bytes.Clone(data)
					lines = append(lines, l)
				} else {
					size = MaxBody // the rest comes with the next
				}
				return nil
			}, `SELECT number, data FROM fleet_sent WHERE number > ? AND acked IS NOT NULL AND data IS NOT NULL ORDER BY number LIMIT ?`, after, MaxBatch)
		})
		if err != nil {
			return // the next answer says again what is lost
		}
		if len(lines) == 0 {
			o.lost, o.lostAt = have, o.now()
			return
		}
		a, err := o.way.HandOver(ctx, Batch{Numbering: o.run.Name, Lines: lines})
		if err != nil {
			return
		}
		have, after = a.Have, lines[len(lines)-1].Number
	}
}

// Beat says how the host is; the outbox fills in its numbers.
func (o *Outbox) Beat(ctx context.Context, b Beat) error {
	if err := o.load(ctx); err != nil {
		return err
	}
	b.Time, b.Numbering, b.Number = o.now().UTC(), o.run.Name, o.run.Last
	a, err := o.way.Beat(ctx, b)
	if err != nil {
		return err
	}
	o.sendAgain(ctx, a.Have)
	return nil
}

// Status is how it stands between a host and its hub, for other processes.
type Status struct {
	Reached time.Time `json:"reached,omitzero"` // when the hub last took something, or a beat
	Failing time.Time `json:"failing,omitzero"` // since when it takes nothing
	Class   Class     `json:"class,omitempty"`  // of why
	Why     string    `json:"why,omitempty"`
	Hint    string    `json:"hint,omitempty"`
	Said    bool      `json:"said,omitempty"` // in the system log
}

const statusName = "status"

// ReadStatus returns how it stands between this host and its hub, as the worker last
// wrote it down.
func ReadStatus(ctx context.Context, db *store.DB) (Status, error) {
	var s Status
	err := db.Read(ctx, store.ReadLimit, func(t *store.Tx) (err error) {
		s, err = store.Get[Status](t, kindFleet, statusName)
		return err
	})
	return s, err
}

// KeepStatus writes it down.
func KeepStatus(ctx context.Context, db *store.DB, s Status) error {
	return db.Write(ctx, store.WriteLimit, func(t *store.Tx) error { return store.Put(t, kindFleet, statusName, s) })
}

// EncodeHanded returns an event as it is handed over.
func EncodeHanded(e event.Event) (Handed, error) {
	b, err := e.Encode()
	if err != nil {
		return Handed{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return Handed{e.ID, bytes.TrimSuffix(b, []byte("\n"))}, nil
}
