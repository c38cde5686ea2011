package hub

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	sweepEvery = time.Minute
	// gapAfter is how long events may be missing: a host hears what is here with each
	// beat, and sends the rest again.
	gapAfter = 10 * time.Minute
	// gapAnyway is the same of a host that has more to hand over.
	gapAnyway = time.Hour
	// clockWrong is how far a host's clock may be off.
	clockWrong = 5 * time.Minute
	// endsSoon is how long before its end a certificate that was not renewed is told.
	endsSoon = 14 * 24 * time.Hour
	// keepFor is how long an event that is done with is known again: longer than a host
	// keeps one that it may send again.
	keepFor = 14 * 24 * time.Hour
	// keepOfHost is how many of one host are known again: a host keeps far fewer.
	keepOfHost = 100_000
	// keepBeyond is how many more there may be until they are looked at.
	keepBeyond = 10_000
	// pruneMost is how many rows are looked at at a time.
	pruneMost = 2000
	// pruneTimes is how often at most in a sweep: more than all hosts may send in a minute
	// would not fit into a database.
	pruneTimes = 100
)

func (h *Hub) sweepAll(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			h.sweep(context.WithoutCancel(ctx), h.now())
			return
		case <-tick.C:
			h.sweep(ctx, h.now())
			for range pruneTimes {
				if !h.prune(ctx, h.now()) {
					break
				}
			}
			h.pruneHosts(ctx)
			h.pruneOrders(ctx, h.now())
			h.count(ctx)
		}
	}
}

// found is what a sweep has to tell, by the names of hosts.
type found struct {
	silent, back, missing, anew, clock, ending, twice, again []string

	lost  int64
	off   time.Duration
	first time.Time // of the certificates' ends
}

func (f *found) notes() (all []event.Note) {
	add := func(names []string, n func() event.Note) {
		if len(names) > 0 {
			slices.Sort(names)
			all = append(all, n())
		}
	}
	add(f.twice, func() event.Note { return message.UsedTwice(f.twice) })
	add(f.silent, func() event.Note { return message.SilentHosts(f.silent, fleet.SilentAfter) })
	add(f.missing, func() event.Note { return message.EventsMissing(f.missing, f.lost) })
	add(f.anew, func() event.Note { return message.NumberedAnew(f.anew) })
	add(f.again, func() event.Note { return message.LetInAgain(f.again) })
	add(f.clock, func() event.Note { return message.ClocksWrong(f.clock, f.off) })
	add(f.ending, func() event.Note { return message.CertificatesEnd(f.ending, f.first) })
	add(f.back, func() event.Note { return message.HostsBack(f.back) })
	return all
}

// swept is what of a member is to be kept.
type swept struct {
	m      *member
	have   int64
	beaten time.Time
	said   []byte
	told   told
	// what was told, and need not be again
	anew, twice, restarted bool
	numbers                *numbers // nil: they stay
}

// sweep tells what is new of the hosts, and keeps their beats and numbers: together,
// so that a kill makes nothing told twice, or never.
func (h *Hub) sweep(ctx context.Context, now time.Time) {
	var f found
	var all []swept
	h.mu.Lock()
	for _, m := range h.byName {
		if !m.Revoked.IsZero() {
			continue
		}
		s := m.look(&f, now, now.Sub(h.began) >= fleet.SilentAfter)
		if s.told != m.told || m.fresh || s.anew || s.twice || s.restarted {
			s.said, _ = json.Marshal(m.Beat)
			m.fresh = false
			all = append(all, s)
		}
	}
	h.mu.Unlock()
	if len(all) == 0 {
		return
	}
	notes := f.notes()
	err := h.o.DB.WriteDurably(ctx, store.BatchLimit, func(t *store.Tx) error {
		for _, s := range all {
			told, err := json.Marshal(s.told)
			if err != nil {
				return err
			}
			beat := sql.NullInt64{Int64: s.beaten.UnixMilli(), Valid: !s.beaten.IsZero()}
			if _, err := t.Exec(`UPDATE fleet_host SET have = ?, beat = ?, said = ?, told = ? WHERE n = ?`, s.have, beat, string(s.said), string(told), s.m.n); err != nil {
				return err
			}
		}
		for _, n := range notes {
			if err := tell(t, h.o.Hostname, n, now); err != nil {
				return err
			}
		}
		return nil
	})
	h.mu.Lock()
	for _, s := range all {
		if err != nil {
			s.m.fresh = true
			continue
		}
		s.m.told = s.told
		s.m.Silent, s.m.Gap = s.told.Silent, !s.told.Gap.IsZero()
		s.m.anew, s.m.twice, s.m.restarted = s.m.anew && !s.anew, s.m.twice && !s.twice, s.m.restarted && !s.restarted
		if s.numbers != nil && s.numbers.have > s.m.numbers.have {
			s.m.numbers, s.m.Have, s.m.stuck = *s.numbers, s.numbers.have, time.Time{}
		}
	}
	h.mu.Unlock()
	if err != nil {
		h.o.Log.Error("what is known of the hosts can't be kept", "error", err)
		return
	}
	if len(notes) > 0 {
		h.inbox.signal()
	}
}

// look finds what is to be told of a host. h.mu must be held.
func (m *member) look(f *found, now time.Time, settled bool) swept {
	s := swept{m: m, have: m.numbers.have, beaten: m.Beaten, told: m.told}
	if !m.read {
		s.have = m.Have
	}
	last := m.Beaten
	if last.IsZero() {
		last = m.Joined
	}
	quiet := now.Sub(last)
	switch silent := quiet >= fleet.SilentAfter; {
	case silent && settled && m.told.Silent.IsZero():
		s.told.Silent = now
		f.silent = append(f.silent, m.Name)
	case !silent && !m.told.Silent.IsZero():
		s.told.Silent = time.Time{}
		f.back = append(f.back, m.Name)
	}
	if m.anew && !m.twice {
		s.anew = true
		if now.Sub(m.told.Anew) >= 24*time.Hour {
			s.told.Anew = now
			f.anew = append(f.anew, m.Name)
		}
	}
	if s.twice = m.twice; m.twice {
		s.anew = m.anew // it is the same thing
		if now.Sub(m.told.Twice) >= 24*time.Hour {
			s.told.Twice = now
			f.twice = append(f.twice, m.Name)
		}
	}
	if s.restarted = m.restarted; m.restarted {
		f.again = append(f.again, m.Name)
	}
	if !m.Beaten.IsZero() && quiet < fleet.SilentAfter {
		m.lookAtBeat(&s, f, now)
	}
	m.lookAtNumbers(&s, f, now)
	return s
}

// lookAtBeat finds what the newest beat tells.
func (m *member) lookAtBeat(s *swept, f *found, now time.Time) {
	switch off := m.clockOff.Abs(); {
	case off > clockWrong && m.told.Clock.IsZero() && now.Sub(m.told.ClockLast) >= 24*time.Hour:
		s.told.Clock, s.told.ClockLast = now, now
		f.clock, f.off = append(f.clock, m.Name), max(f.off, off)
	case off <= clockWrong:
		s.told.Clock = time.Time{}
	}
	ends := m.Expires
	if ends.IsZero() {
		ends = m.Beat.Expires
	}
	if !ends.IsZero() && ends.Sub(now) < endsSoon && !ends.Equal(m.told.Expires) && now.Sub(m.told.EndsLast) >= 24*time.Hour {
		s.told.Expires, s.told.EndsLast = ends, now
		f.ending = append(f.ending, m.Name)
		if f.first.IsZero() || ends.Before(f.first) {
			f.first = ends
		}
	}
}

// lookAtNumbers finds what is missing, by the numbers that came.
func (m *member) lookAtNumbers(s *swept, f *found, now time.Time) {
	newest := m.numbers.newest()
	if m.Beat.Numbering == m.numbering && m.Beat.Waiting == 0 {
		newest = max(newest, m.Beat.Number)
	}
	switch {
	case !m.read || newest <= m.numbers.have:
		m.stuck = time.Time{}
	case m.stuck.IsZero():
		m.stuck = now
	case now.Sub(m.stuck) < gapAfter, (!m.Beaten.After(m.stuck) || m.Beat.Waiting > 0) && now.Sub(m.stuck) < gapAnyway:
	default:
		n := m.numbers.clone()
		for n.have < newest {
			f.lost += n.pass(newest)
		}
		s.numbers, s.have, s.told.Passed, s.told.Gap = &n, n.have, n.have, now
		f.missing = append(f.missing, m.Name)
	}
	if s.numbers == nil && now.Sub(s.told.Gap) > 24*time.Hour { // fleet status shows it for a day
		s.told.Gap = time.Time{}
	}
}

// tell puts an event of the hub's own before its worker.
func tell(t *store.Tx, hostname string, n event.Note, now time.Time) error {
	e := event.Event{V: event.Version, ID: event.NewID(), Kind: event.KindAlert, Time: now, Host: hostname, Via: event.ViaSelf, Alert: &n}
	b, err := e.Encode()
	if err == nil {
		e, err = event.Decode(b)
	}
	if err == nil {
		b, err = json.Marshal(deliver.Record{V: event.Version, Event: e})
	}
	if err == nil {
		_, err = t.Exec(`INSERT INTO fleet_event(id, host, run, number, time, received, data) VALUES (?, 0, 0, 0, ?, ?, ?)`, e.ID, now.UnixMilli(), now.UnixMilli(), b)
	}
	return err
}

// prune forgets some of the events that are done with and old, and reports whether
// there may be more.
func (h *Hub) prune(ctx context.Context, now time.Time) (more bool) {
	before := now.Add(-keepFor).UnixMilli()
	err := h.o.DB.Write(ctx, store.BatchLimit, func(t *store.Tx) error {
		var old []int64
		last, aged := h.pruned, 0
		err := t.Each(func(r *sql.Rows) error {
			var n, received int64
			var done bool
			if err := r.Scan(&n, &received, &done); err != nil {
				return err
			}
			if received < before {
				aged++
				if last = n; done {
					old = append(old, n)
				}
			}
			return nil
		}, `SELECT n, received, data IS NULL FROM fleet_event WHERE n > ? ORDER BY n LIMIT ?`, h.pruned, pruneMost)
		for _, n := range old {
			if err == nil {
				_, err = t.Exec(`DELETE FROM fleet_event WHERE n = ?`, n)
			}
		}
		more = aged == pruneMost // some of which may still wait
		if h.pruned = last; !more {
			h.pruned = 0 // what still waited then may be done with now
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		h.o.Log.Warn("old events can't be forgotten", "error", err)
	}
	return more && err == nil
}

// pruneHosts forgets, of hosts that handed over very many events, the oldest of those
// that are done with.
func (h *Hub) pruneHosts(ctx context.Context) {
	var all []int64
	h.mu.Lock()
	for _, m := range h.byName {
		if !m.counted || m.rows >= keepBeyond {
			m.counted, m.rows = true, 0
			all = append(all, m.n)
		}
	}
	h.mu.Unlock()
	for _, host := range all {
		var run, number int64 // of the oldest that stays
		var many bool
		err := h.o.DB.Read(ctx, store.BatchLimit, func(t *store.Tx) (err error) {
			many, err = t.One([]any{&run, &number}, `SELECT run, number FROM fleet_event WHERE host = ? ORDER BY run DESC, number DESC LIMIT 1 OFFSET ?`, host, keepOfHost-1)
			return err
		})
		for gone := int64(pruneMost); err == nil && many && gone == pruneMost; {
			err = h.o.DB.Write(ctx, store.BatchLimit, func(t *store.Tx) error {
				res, err := t.Exec(`DELETE FROM fleet_event WHERE n IN (SELECT n FROM fleet_event WHERE host = ? AND (run, number) < (?, ?) AND data IS NULL LIMIT ?)`, host, run, number, pruneMost)
				if err == nil {
					gone, err = res.RowsAffected()
				}
				return err
			})
		}
		if err != nil {
			if ctx.Err() == nil {
				h.o.Log.Warn("old events can't be forgotten", "error", err)
			}
			return
		}
	}
}

// count brings the figures up to date.
func (h *Hub) count(ctx context.Context) {
	waiting, oldest, err := h.reg.Inbox(ctx)
	if err != nil {
		return // it is said where it matters
	}
	hosts, silent, gaps := 0, 0, 0
	h.mu.Lock()
	for _, m := range h.byName {
		if !m.Revoked.IsZero() {
			continue
		}
		hosts++
		if !m.Silent.IsZero() {
			silent++
		}
		if m.Gap {
			gaps++
		}
	}
	h.mu.Unlock()
	h.o.Figures.Hub(func(f *figures.Hub) {
		f.Hosts, f.Silent, f.Gaps, f.Waiting, f.Oldest = hosts, silent, gaps, waiting, oldest
	})
}

// letInAgain makes a host known that shows a good certificate and is not: the hub was
// restored from an older copy.
func (h *Hub) letInAgain(ctx context.Context, c holder) error {
	h.mu.Lock()
	known := h.byName[c.name] != nil
	h.mu.Unlock()
	if known {
		return nil
	}
	err := h.o.DB.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		var one int
		if there, err := t.One([]any{&one}, `SELECT 1 FROM fleet_host WHERE name = ?`, c.name); there || err != nil {
			return err
		}
		return admit(t, h.now(), admission{Kind: c.kind, Name: c.name}, credential{serial: c.serial, expires: c.expires})
	})
	if err == nil {
		err = h.refresh(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.byName[c.name]; err == nil && m != nil {
		m.restarted = true
	}
	return err
}
