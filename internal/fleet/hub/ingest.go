package hub

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// gatherFor is how long what comes is gathered before it is committed: a sync
	// takes longer.
	gatherFor = 2 * time.Millisecond
	// gatherMost bounds it, in events.
	gatherMost = 1000
	// maxNumber is the highest number of an event.
	maxNumber = 1 << 53
	// maxNumbering is the length of a numbering's name.
	maxNumbering = 64
)

// batch is what waits to be committed.
type batch struct {
	name      string
	numbering string
	lines     []line
	answer    chan committed // has room for one
}

// line is one of its events; why is not empty where it is rejected.
type line struct {
	number int64
	id     string // the host's own
	admitted
	why string
}

type committed struct {
	fleet.Answer
	err error
}

// Ingest takes what a host hands over, who is known by more than its word, and returns
// once it is here for good. What it refuses is an error that says why.
func (h *Hub) Ingest(ctx context.Context, host string, b fleet.Batch) (fleet.Answer, error) {
	return h.ingest(ctx, host, b, len(b.Lines))
}

// ingest is Ingest, where counted events are held against the host's limits.
func (h *Hub) ingest(ctx context.Context, host string, b fleet.Batch, counted int) (fleet.Answer, error) {
	now := h.now()
	labels, err := h.enter(host, counted, now)
	if err != nil {
		return fleet.Answer{}, err
	}
	if b.Numbering == "" || len(b.Numbering) > maxNumbering || len(b.Lines) > fleet.MaxBatch {
		return fleet.Answer{}, &refusal{400, fleet.WhyUnknown, "not a batch of events", 0}
	}
	if counted > 0 {
		if err := h.hasRoom(ctx, host, now); err != nil {
			return fleet.Answer{}, err
		}
	}
	waiting := &batch{name: host, numbering: b.Numbering, lines: make([]line, len(b.Lines)), answer: make(chan committed, 1)}
	for i, l := range b.Lines {
		to := &waiting.lines[i]
		to.number = l.Number
		if l.Number < 1 || l.Number > maxNumber {
			return fleet.Answer{}, &refusal{400, fleet.WhyUnknown, "an event has an impossible number", 0}
		}
		a, err := admitEvent(host, labels, l.Event, now, func(nonce, id string) string { return h.about(ctx, host, nonce, id) })
		if errors.Is(err, event.ErrNewer) {
			return fleet.Answer{}, &refusal{503, fleet.WhyNewer, "the events are of a newer sshnotify than this hub", 15 * time.Minute}
		}
		if to.admitted = a; err != nil {
			to.why = event.Clean(err.Error(), 200)
		}
	}
	select {
	case h.commits <- waiting:
	case <-ctx.Done():
		return fleet.Answer{}, ctx.Err()
	case <-h.done:
		return fleet.Answer{}, busy("the hub stops")
	}
	select {
	case c := <-waiting.answer:
		return c.Answer, c.err
	case <-ctx.Done():
		return fleet.Answer{}, ctx.Err()
	}
}

func busy(text string) *refusal { return &refusal{503, fleet.WhyBusy, text, 30 * time.Second} }

// enter returns the labels of a host that may hand over n events now.
func (h *Hub) enter(host string, n int, now time.Time) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byName[host]
	switch {
	case m == nil:
		return nil, &refusal{401, fleet.WhyUnknown, "no host of that name has joined this hub", 0}
	case !m.Revoked.IsZero():
		return nil, revoked(host)
	}
	if n > 0 && !m.events.AllowN(now, n) {
		return nil, &refusal{429, fleet.WhyBusy, fmt.Sprintf("more than %d events a minute", fleet.MaxEvents), 10 * time.Second}
	}
	return m.Labels, nil
}

// hasRoom returns an error where too many of a host's events wait. They are counted
// only where they may be too many.
func (h *Hub) hasRoom(ctx context.Context, host string, now time.Time) error {
	h.mu.Lock()
	m := h.byName[host]
	var w waits
	if m != nil {
		w = m.waits
	}
	h.mu.Unlock()
	if m == nil { // since a moment ago
		return nobody()
	}
	since := now.Sub(w.counted)
	if w.counted.IsZero() || w.tooMuch() && (since < 0 || since >= recountAfter) {
		before := w
		err := h.o.DB.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
			_, err := t.One([]any{&w.n, &w.bytes}, `SELECT count(*), coalesce(sum(length(data)), 0) FROM fleet_event WHERE data IS NOT NULL AND claimed IN (0, 1) AND host = ?`, m.n)
			return err
		})
		if err != nil {
			return busy("the hub can't read its database now")
		}
		h.mu.Lock()
		m.waits.n, m.waits.bytes = m.waits.n-before.n+w.n, m.waits.bytes-before.bytes+w.bytes
		if m.waits.counted = now; m.waits.tooMuch() {
			h.o.Log.Warn("so many events of a host wait here that it has to keep the rest", "host", host, "events", w.n, "bytes", w.bytes)
		}
		w = m.waits
		h.mu.Unlock()
	}
	if w.tooMuch() {
		return &refusal{429, fleet.WhyBusy, fmt.Sprintf("%d events of %s wait for a destination, and no more may", w.n, host), recountAfter}
	}
	return nil
}

// commitAll commits what waits, all that came within a moment at once.
func (h *Hub) commitAll(ctx context.Context) {
	for {
		var all []*batch
		n := 0
		select {
		case <-ctx.Done():
			return
		case b := <-h.commits:
			all, n = append(all, b), len(b.lines)
		}
		timer := time.NewTimer(gatherFor)
	gather:
		for n < gatherMost {
			select {
			case b := <-h.commits:
				all, n = append(all, b), n+len(b.lines)
			case <-timer.C:
				break gather
			}
		}
		timer.Stop()
		h.commit(context.WithoutCancel(ctx), all)
	}
}

// commit makes batches durable, in one transaction, and answers them.
func (h *Hub) commit(ctx context.Context, all []*batch) {
	var answers []committed
	var changes map[*member]*change
	now := h.now()
	err := h.o.DB.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		answers, changes = make([]committed, len(all)), map[*member]*change{}
		of, err := h.beginAll(t, all, changes)
		if err != nil {
			return err
		}
		for i, b := range all {
			if of[i] == nil {
				answers[i].err = revoked(b.name)
			} else if answers[i].Answer, err = of[i].take(t, b, now); err != nil {
				return err
			}
		}
		return nil
	})
	var stored, duplicate, rejected int
	if err == nil {
		h.mu.Lock()
		for m, c := range changes {
			c.apply(m)
		}
		h.mu.Unlock()
	} else { // the transaction may never have begun
		answers = slices.Repeat([]committed{{err: busy("the hub can't store events now")}}, len(all))
	}
	for i, b := range all {
		stored, duplicate, rejected = stored+answers[i].Stored, duplicate+answers[i].Duplicate, rejected+len(answers[i].Rejected)
		b.answer <- answers[i]
	}
	if stored > 0 {
		h.inbox.signal()
	}
	h.o.Figures.Hub(func(f *figures.Hub) {
		f.Events[figures.Stored] += int64(stored)
		f.Events[figures.Duplicate] += int64(duplicate)
		f.Events[figures.Rejected] += int64(rejected)
	})
	h.sayFailing(err)
}

// beginAll returns the change that each batch is part of, nil for those of hosts that
// may not come in any more.
func (h *Hub) beginAll(t *store.Tx, all []*batch, changes map[*member]*change) ([]*change, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reload(t); err != nil {
		return nil, err
	}
	of := make([]*change, len(all))
	for i, b := range all {
		m := h.byName[b.name]
		if m == nil || !m.Revoked.IsZero() {
			continue
		}
		if changes[m] == nil {
			c, err := m.begin(t)
			if err != nil {
				return nil, err
			}
			changes[m] = c
		}
		of[i] = changes[m]
	}
	return of, nil
}

// sayFailing says once that nothing can be stored, and that it can again.
func (h *Hub) sayFailing(err error) {
	h.mu.Lock()
	was := h.failing
	h.failing = err != nil
	h.mu.Unlock()
	switch {
	case err != nil && !was:
		h.o.Log.Error("what hosts hand over can't be stored, and waits there", "error", err)
		h.o.Alarm(fmt.Sprintf("what hosts hand over can't be stored, and waits there: %v", err))
	case err == nil && was:
		h.o.Log.Info("what hosts hand over is stored again")
	}
}

// change is what a commit changes of a member, once it is done.
type change struct {
	host      int64 // its row
	passed    int64 // see told
	numbering string
	run       int64
	numbers
	used  []string // numberings
	twice bool     // an event came with a number that another one has
	n     int64    // how many were stored, and their bytes
	bytes int64
	rows  int // how many are new in the database
}

// maxBeyond is how many numbers beyond a gap are read. An honest host has a few, since a
// gap is passed after some time; with others one could keep all hosts waiting.
const maxBeyond = 20_000

// begin returns the member's numbers, to be changed. h.mu must be held.
func (m *member) begin(t *store.Tx) (*change, error) {
	c := &change{host: m.n, passed: m.told.Passed, numbering: m.numbering, run: m.run, numbers: m.numbers.clone()}
	if m.read {
		return c, nil
	}
	c.numbers = numbers{have: m.Have}
	err := t.Each(func(r *sql.Rows) error {
		var n int64
		err := r.Scan(&n)
		c.add(n)
		return err
	}, `SELECT number FROM fleet_event WHERE host = ? AND run = ? AND number > ? ORDER BY number LIMIT ?`, m.n, m.run, m.Have, maxBeyond)
	return c, err
}

// take stores a batch of the host.
func (c *change) take(t *store.Tx, b *batch, now time.Time) (fleet.Answer, error) {
	var a fleet.Answer
	if b.numbering != c.numbering {
		c.numbering, c.run, c.numbers, c.passed = b.numbering, c.run+1, numbers{}, 0
		if _, err := t.Exec(`UPDATE fleet_host SET numbering = ?, run = ?, have = 0 WHERE n = ?`, c.numbering, c.run, c.host); err != nil {
			return a, err
		}
	}
	c.used = append(c.used, b.numbering)
	for i := range b.lines {
		l := &b.lines[i]
		id, at := l.admitted.id, l.time
		var data any = l.data
		if l.why != "" {
			a.Rejected = append(a.Rejected, fleet.Rejected{Number: l.number, ID: l.id, Why: l.why})
			id, at, data = fmt.Sprintf("rejected-%d-%d-%d", c.host, c.run, l.number), now, nil
		}
		res, err := t.Exec(`INSERT OR IGNORE INTO fleet_event(id, host, run, number, time, received, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			id, c.host, c.run, l.number, at.UnixMilli(), now.UnixMilli(), data)
		if err != nil {
			return a, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return a, err
		}
		c.rows += int(n)
		switch {
		case l.why != "":
		case n > 0:
			a.Stored++
			if l.note != nil {
				if err := heard(t, b.name, *l.note, now); err != nil {
					return a, err
				}
			}
			c.n, c.bytes = c.n+1, c.bytes+int64(len(l.data))
			c.twice = c.twice || c.has(l.number) && l.number > c.passed
		default:
			a.Duplicate++
			// Its number may be of another numbering by now.
			if _, err := t.Exec(`UPDATE fleet_event SET run = ?, number = ? WHERE id = ? AND (run <> ? OR number <> ?)`, c.run, l.number, id, c.run, l.number); err != nil {
				return a, err
			}
		}
		c.add(l.number)
	}
	a.Have = c.have
	return a, nil
}

// apply makes the change the member's.
func (c *change) apply(m *member) {
	for _, n := range c.used {
		m.uses(n)
	}
	m.numbering, m.run, m.numbers, m.read = c.numbering, c.run, c.numbers, true
	m.Have, m.told.Passed, m.fresh = c.have, c.passed, true
	m.twice = m.twice || c.twice
	m.waits.n, m.waits.bytes = m.waits.n+c.n, m.waits.bytes+c.bytes
	m.rows += c.rows
}

// Beat takes a host's word of how it is.
func (h *Hub) Beat(ctx context.Context, host string, b fleet.Beat) (fleet.BeatAnswer, error) {
	now := h.now()
	if _, err := h.enter(host, 0, now); err != nil {
		return fleet.BeatAnswer{}, err
	}
	if len(b.Numbering) > maxNumbering || b.Number < 0 || b.Number > maxNumber {
		return fleet.BeatAnswer{}, &refusal{400, fleet.WhyUnknown, "not a beat", 0}
	}
	b.Version, b.Settings = event.Clean(b.Version, 64), event.Clean(b.Settings, 64)
	b.Waiting, b.Dead = max(0, b.Waiting), max(0, b.Dead)
	if y := b.Oldest.Year(); y < 1 || y > 9999 {
		b.Oldest = time.Time{}
	}
	if y := b.Expires.Year(); y < 1 || y > 9999 {
		b.Expires = time.Time{}
	}
	h.mu.Lock()
	m := h.byName[host]
	known := m.read
	h.mu.Unlock()
	if !known {
		if err := h.readNumbers(ctx, m); err != nil {
			return fleet.BeatAnswer{}, busy("the hub can't read its database now")
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.Beaten, m.Beat, m.fresh = now, b, true
	m.clockOff = b.Time.Sub(now)
	a := fleet.BeatAnswer{Time: now.UTC()}
	if b.Numbering != "" {
		m.uses(b.Numbering)
	}
	if b.Numbering == m.numbering {
		a.Have = m.numbers.have
	}
	return a, nil
}

// readNumbers reads which of a host's numbers are here.
func (h *Hub) readNumbers(ctx context.Context, m *member) error {
	return h.o.DB.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if m.read {
			return nil
		}
		c, err := m.begin(t)
		if err == nil {
			m.numbers, m.read, m.Have = c.numbers, true, c.numbers.have
		}
		return err
	})
}
