package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// giveUpAfter is how long an event is tried before it is a dead letter.
	giveUpAfter = 7 * 24 * time.Hour
	// giveUpTries must have been made, too: a clock that was set right jumps
	// years in an instant.
	giveUpTries = 20
	// brokenHold is how often a broken destination is tried. Only its owner can
	// mend it, and a new load of the settings tries at once.
	brokenHold = 5 * time.Minute
	// maxDeadSaid is how many dead letters of one message the system log names.
	maxDeadSaid = 10
	// deadSaidEvery is how often dead letters of one destination are said to
	// the other destinations.
	deadSaidEvery = 24 * time.Hour
)

// outcome is what a send reports back.
type outcome struct {
	o   *destQueue
	m   *message
	err error
}

// startSends lets every free destination send, and says how long until one of
// them has something to do.
func (w *worker) startSends(ctx context.Context, now time.Time) time.Duration {
	wake := forever
	settle := w.lookupGrace
	if w.unsure.After(settle) {
		settle = w.unsure
	}
	inGrace := now.Before(settle)
	if inGrace {
		wake = settle.Sub(now)
	}
	for _, o := range w.queues {
		m, wait := o.next(now, w.set.Window, inGrace)
		if m == nil {
			wake = min(wake, wait)
			continue
		}
		if w.Mode == Once && m.attempted {
			o.due = false
			continue
		}
		w.send(ctx, o, m, now)
	}
	return wake
}

func (w *worker) send(ctx context.Context, o *destQueue, m *message, now time.Time) {
	fresh := m.Since.IsZero()
	if fresh {
		m.Since = now.UTC()
	}
	m.attempted = true
	o.commit(m)
	// A worker that is killed now must not leave an event that the next one puts
	// into another message: Slack may have this one already. To a log, each goes
	// by itself anyhow.
	if fresh && (!m.alone() || o.Dest.Pace() > 0) {
		if err := w.write(m); err != nil {
			w.Log.Error("a message can't be written down before it is sent", "id", m.ID, "error", err)
		}
	}
	o.inflight = m
	a := w.alert(m, now)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		w.sent <- outcome{o, m, o.Dest.Send(ctx, a)}
	}()
}

// finishSends waits for the messages under way, before the worker goes.
func (w *worker) finishSends() {
	for _, o := range w.queues {
		for o.inflight != nil {
			w.finishSend(<-w.sent)
		}
	}
	w.sweepMessages()
}

// finishSend takes the outcome of a send.
func (w *worker) finishSend(s outcome) {
	now := time.Now()
	s.o.inflight, s.o.quiet = nil, time.Time{}
	if pace := s.o.Dest.Pace(); pace > 0 {
		s.o.doc.Pace = state.CooldownFor(now, pace)
	}
	if s.err == nil {
		w.succeeded(s.o, s.m, now)
	} else {
		w.failed(s.o, s.m, s.err, now)
	}
	if s.o.Dest.Pace() > 0 || s.err != nil {
		if err := s.o.save(now); err != nil {
			w.Log.Warn("a destination's state can't be kept", "destination", s.o.name, "error", err)
		}
	}
}

func (w *worker) succeeded(o *destQueue, m *message, now time.Time) {
	o.failures, o.hold = 0, state.Cooldown{}
	o.streak++
	if !o.doc.Broken.IsZero() {
		w.Log.Info("a broken destination works again", "destination", o.name, "broken_since", o.doc.Broken)
		o.doc.Broken = time.Time{}
	}
	w.Log.Info("delivered", "destination", o.name, "id", m.ID, "events", len(m.items)+len(m.along), "tries", m.Tries+1)
	m.Done = now.UTC()
	for it := range m.all() {
		p := it.deliveryTo(o.name)
		p.Done, p.msg, p.Error = m.Done, nil, ""
		o.openWindow(groupKey(it.e), now, it.verdict.Severity)
	}
	// For several events their message's file says that they are told, until
	// each of them is finished.
	if !m.alone() {
		if err := w.write(m); err != nil {
			w.Log.Error("a sent message can't be marked", "id", m.ID, "error", err)
		}
		w.doneMessages = append(w.doneMessages, m)
	}
	for it := range m.all() {
		if it.finished() {
			w.finish(it, false)
		} else if m.alone() {
			if err := w.writeItem(it); err != nil {
				w.Log.Error("an event's progress can't be written", "id", it.e.ID, "error", err)
			}
		}
	}
	if !m.alone() {
		w.sweepMessages()
	}
}

func (w *worker) failed(o *destQueue, m *message, err error, now time.Time) {
	var de *channel.Error
	if !errors.As(err, &de) {
		de = &channel.Error{Class: channel.Again, Err: err}
	}
	m.Tries++
	m.Error = err.Error()
	w.Log.Warn("delivery failed", "destination", o.name, "id", m.ID, "tries", m.Tries, "error", err)
	if de.Class == channel.Bug {
		w.giveUp(o, m)
		return
	}
	if de.RetryAfter > 0 && de.Class != channel.Broken {
		// It works, and says when to come back.
		o.doc.Limited = state.CooldownFor(now, de.RetryAfter)
		m.Next = o.doc.Limited
	} else {
		// A message that fails over and over says less and less about the
		// destination, and more about itself: it has a back-off of its own.
		if m.streak != o.streak {
			o.failures++
			m.streak = o.streak
		}
		wait := outbound.Backoff(o.failures, rand.Float64)
		if de.Class == channel.Broken {
			wait = max(wait, brokenHold)
			w.sayBroken(o, err, now)
		}
		o.hold = state.CooldownFor(now, wait)
		m.Next = state.CooldownFor(now, max(wait, outbound.Backoff(m.Tries, rand.Float64)))
	}
	if m.Since.After(now) {
		m.Since = now.UTC() // the clock was set back since
	}
	if m.Tries >= giveUpTries && now.Sub(m.Since) > giveUpAfter {
		w.giveUp(o, m)
		return
	}
	if err := w.write(m); err != nil {
		w.Log.Error("a failed try can't be written down", "id", m.ID, "error", err)
	}
	o.failed = append(o.failed, m)
}

// giveUp makes dead letters of a message's events, and says so.
func (w *worker) giveUp(o *destQueue, m *message) {
	for it := range m.all() {
		p := it.deliveryTo(o.name)
		p.Dead, p.msg, p.attempts = true, nil, m.attempts
		p.Next = state.Cooldown{}
	}
	n := 0
	for it := range m.all() {
		if n++; n <= maxDeadSaid {
			w.Alarm(fmt.Sprintf("%s %s of %s can't be delivered to %s and is kept as a dead letter: %s (sshnotify queue show %s)",
				it.e.Kind, event.Ref(it.e.ID), it.e.User, o.name, m.Error, event.Ref(it.e.ID)))
		}
		if it.finished() {
			w.finish(it, false)
		} else if err := w.writeItem(it); err != nil {
			w.Log.Error("a dead letter can't be written", "id", it.e.ID, "error", err)
		}
	}
	if n > maxDeadSaid {
		w.Alarm(fmt.Sprintf("and %d more dead letters of %s: sshnotify queue lists them", n-maxDeadSaid, o.name))
	}
	if !m.alone() {
		w.remove(messageFile(m.ID))
	}
	w.sayDead(o, m)
}

// deadLetter moves an event with a delivery that was given up to failed/.
func (w *worker) deadLetter(it *item) error {
	b, err := it.record()
	if err != nil {
		return err
	}
	return w.q.Fail(eventFile(it.e.ID), b)
}
