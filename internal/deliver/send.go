package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
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
	o       *destQueue
	m       *message
	newBar  bool // the message said what its colour means
	receipt event.Receipt
	err     error
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
		if o.over {
			w.sayOver(o, now)
		}
		if m == nil {
			wake = min(wake, wait)
			continue
		}
		if m.Asking && o.Dest.Traits().Retry == channel.Never {
			o.commit(m)
			m.Error = "the worker was stopped before there was an answer"
			w.maybeTold(o, m, now)
			wake = 0
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
	// by itself anyhow. What must not be sent twice is written down each time, or
	// not sent.
	traits := o.Dest.Traits()
	m.Unsure = m.Unsure || m.Asking
	m.Asking = traits.Pace > 0 || traits.Retry == channel.Never
	if fresh && (!m.alone() || traits.Pace > 0) || traits.Retry == channel.Never {
		if err := w.write(m); err != nil {
			w.Log.Error("a message can't be written down before it is sent", "id", m.ID, "error", err)
			if traits.Retry == channel.Never {
				w.failed(o, m, &channel.Error{Class: channel.Again, Err: fmt.Errorf("not sent, because that can't be written down: %w", err)}, now)
				return
			}
		}
	}
	o.inflight = m
	a := w.alert(m, now)
	a.Own, a.Page = o.Templates.Of(a), w.pageOf(a.Event)
	w.saySilent(o, a, now)
	// Without a database each worker would say it again.
	a.NewBar = o.db != nil && traits.Pace > 0 && !o.doc.Explained && wording.NeedsExplaining(a.Verdict)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		receipt, err := o.Dest.Send(ctx, a)
		w.sent <- outcome{o, m, a.NewBar, receipt, err}
	}()
}

// saySilent says that templates of a destination say nothing of an alert, which so
// has the built-in words.
func (w *worker) saySilent(o *destQueue, a event.Alert, now time.Time) {
	silent := wording.Silent(a)
	if len(silent) == 0 {
		return
	}
	parts := strings.Join(silent, " and ")
	w.Log.Warn("a template says nothing of an alert, which has the built-in words", "destination", o.name, "id", a.ID, "kind", a.Event.Kind, "template", parts)
	o.doc.Silent = &SilentTemplate{At: now.UTC(), Part: parts, Kind: a.Event.Kind, Ref: event.Ref(a.ID)}
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
	now, wasOut := w.now(), s.o.out()
	s.o.inflight, s.o.idle = nil, time.Time{}
	traits := s.o.Dest.Traits()
	if traits.Pace > 0 {
		s.o.doc.Pace = state.CooldownFor(now, traits.Pace)
	}
	w.tried(s.o, s.err, now)
	if s.err == nil {
		s.o.doc.Explained = s.o.doc.Explained || s.newBar
		w.succeeded(s.o, s.m, s.receipt, now)
	} else {
		w.failed(s.o, s.m, s.err, now)
	}
	if traits.Pace > 0 || traits.PerDay > 0 || s.err != nil || wasOut || s.o.doc.Silent != s.o.disk.Silent {
		if err := s.o.save(now); err != nil {
			w.Log.Warn("a destination's state can't be kept", "destination", s.o.name, "error", err)
		}
	}
}

func (w *worker) succeeded(o *destQueue, m *message, receipt event.Receipt, now time.Time) {
	w.works(o)
	w.Log.Info("delivered", "destination", o.name, "id", m.ID, "events", len(m.items), "tries", m.Tries+1)
	m.Receipt, m.Error = receipt, ""
	w.told(o, m, now)
}

// maybeTold ends a message of which nobody knows whether it was told, and which
// must not be sent again.
func (w *worker) maybeTold(o *destQueue, m *message, now time.Time) {
	w.Log.Warn("a message may have arrived, and is not sent again", "destination", o.name, "id", m.ID, "error", m.Error)
	m.Maybe = true
	w.told(o, m, now)
}

// told marks a message as done with.
func (w *worker) told(o *destQueue, m *message, now time.Time) {
	m.Done, m.Asking = now.UTC(), false
	o.spend(m, now)
	if o.owed(now) {
		o.doc.Budget.Over = ""
	}
	for it := range m.all() {
		p := it.deliveryTo(o.name)
		p.Done, p.Receipt, p.Maybe, p.msg, p.Attempts = m.Done, m.Receipt, m.Maybe, nil, nil
		if m.Error != "" {
			p.Attempts = &Attempts{Error: m.Error}
		}
		w.Figures.Told(now.Sub(it.e.Time))
		o.openWindow(groupKey(it.from, it.e), it.from, it.e.User, now, it.verdict.Severity)
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
		m.items = nil // the file names them, and some wait for others
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
	m.Asking, m.Unsure = false, m.Unsure || de.Sent
	if len(de.Reached) > len(m.Reached) {
		m.Reached = de.Reached
		w.works(o) // for some
	}
	w.Log.Warn("delivery failed", "destination", o.name, "id", m.ID, "tries", m.Tries, "error", err)
	if de.Sent && o.Dest.Traits().Retry == channel.Never {
		w.maybeTold(o, m, now)
		return
	}
	if de.Sent {
		o.spend(m, now)
	}
	if de.Class == channel.Bug {
		w.giveUp(o, m)
		return
	}
	switch pause := de.Pause(); {
	case de.Class == channel.Again && len(m.Reached) > 0:
		// What is left is one recipient's trouble, for which no other one waits.
		m.Next = state.CooldownFor(now, max(pause, outbound.Backoff(m.Tries, rand.Float64)))
	case de.Class == channel.Quota:
		// Without a time an hour is as good a guess as any.
		o.doc.Limited = state.CooldownFor(now, cmp.Or(pause, time.Hour))
		m.Next = o.doc.Limited
		w.sayPaused(o, err, now)
	case de.Class == channel.Again && pause > 0:
		// It works, and says when to come back.
		o.doc.Limited = state.CooldownFor(now, pause)
		m.Next = o.doc.Limited
	case de.Class == channel.Broken && pause > 0:
		// Who knocks at a closed door too often is locked out.
		o.doc.Rest = state.CooldownFor(now, max(pause, brokenHold))
		m.Next = o.doc.Rest
		w.sayBroken(o, err, now)
	default:
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
	if len(m.Reached) == 0 {
		w.sayLate(o, err, now)
	}
	w.fallBack(o)
}

// giveUp makes dead letters of a message's events, and says so.
func (w *worker) giveUp(o *destQueue, m *message) {
	for it := range m.all() {
		p := it.deliveryTo(o.name)
		tried := m.Attempts
		tried.Next = state.Cooldown{}
		p.Dead, p.msg, p.Attempts = true, nil, &tried
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
