package deliver

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// stepGrace is how much longer than a code holds somebody is waited for who was asked
// for it.
const stepGrace = time.Minute

// steps is what became of the second steps of the last day.
type steps struct {
	ended   map[string]bool               // challenges
	in      map[event.Session]*event.Gate // what a session was let in by
	passed  map[stepper]time.Time         // when somebody passed last
	waiting []*item                       // who was asked, and has not answered yet
}

// stepper is somebody with a first factor.
type stepper struct{ user, ip, key string }

func stepperOf(user, ip string, g *event.Gate) stepper { return stepper{user, ip, g.Auth.Fingerprint} }

// recallSteps takes up what earlier workers knew.
func recallSteps(l *deliveryLog) *steps {
	s := &steps{ended: map[string]bool{}, in: map[event.Session]*event.Gate{}, passed: map[stepper]time.Time{}}
	for _, t := range l.byID {
		if t.Gate != nil && t.From == "" {
			s.end(t.Session, stepperOf(t.User, t.IP, t.Gate), t.Time, t.Gate)
		}
	}
	return s
}

// end notes that a second step is over. One that was asked for and is done with was
// passed by nobody.
func (s *steps) end(session event.Session, who stepper, at time.Time, g *event.Gate) {
	switch g.Result {
	case event.GateLocked: // the connection may go on
		return
	case event.GatePassed:
		if at.After(s.passed[who]) {
			s.passed[who] = at
		}
		s.in[key(session)] = g
	case event.GateExempt, event.GateOff, event.GateFailOpen:
		s.in[key(session)] = g
	}
	s.ended[g.Challenge] = true
}

// forget drops what is about events that nobody remembers any more.
func (s *steps) forget(l *deliveryLog) {
	fresh := recallSteps(l)
	s.ended, s.in, s.passed = fresh.ended, fresh.in, fresh.passed
}

// evaluateStep takes what became of a second step, and reports whether it is told to
// nobody, or not yet: that somebody passed is part of the login's message, and that
// somebody was asked is told only where it stays the last word.
func (w *worker) evaluateStep(it *item) (quiet bool) {
	if it.sorted || it.from != "" { // another host has waited itself
		return false
	}
	s, g := w.steps, it.e.Gate
	if g.Result == event.GateAsked {
		switch {
		case s.ended[g.Challenge]:
			w.endQuietly(it)
		case it.due.IsZero():
			it.due = it.e.Time.Add(g.Life + stepGrace)
			s.waiting = append(s.waiting, it)
		default:
			return false
		}
		return true
	}
	s.end(it.e.Session, stepperOf(it.e.User, addrString(it.e.Remote.IP), g), it.e.Time, g)
	s.waiting = slices.DeleteFunc(s.waiting, func(asked *item) bool {
		over := asked.e.Gate.Challenge == g.Challenge && s.ended[g.Challenge]
		if over {
			w.endQuietly(asked)
		}
		return over
	})
	switch g.Result {
	case event.GatePassed, event.GateExempt, event.GateOff:
		w.endQuietly(it)
		return true
	}
	return false
}

func (w *worker) endQuietly(it *item) {
	it.stage = ready
	w.finish(it, true)
}

// unanswered tells of those who were asked for a second step and never passed one:
// they have somebody's key, or password, and not what only its owner has. It returns
// how long until it should be asked again.
func (w *worker) unanswered(now time.Time) time.Duration {
	s := w.steps
	wait := forever
	var due []*item
	s.waiting = slices.DeleteFunc(s.waiting, func(it *item) bool {
		if w.items[it.e.ID] != it || it.stage == ready {
			return true
		}
		left := it.due.Sub(now)
		if left > 0 {
			wait = min(wait, left)
			return false
		}
		due = append(due, it)
		return true
	})
	for _, it := range due {
		if s.passed[stepperOf(it.e.User, addrString(it.e.Remote.IP), it.e.Gate)].After(it.e.Time) {
			w.endQuietly(it) // whoever it was mistyped, and came back
			continue
		}
		s.ended[it.e.Gate.Challenge] = true
		w.evaluateFurther(it)
	}
	return wait
}

// confirm adds to a login what became of its second step.
func (w *worker) confirm(it *item) {
	if g := w.steps.in[key(it.e.Session)]; g != nil && it.from == "" && it.e.Kind == event.KindLogin && it.e.Login.By == "" {
		it.e.Login.Step = event.Step{Result: g.Result, Factor: g.Factor, Reason: g.Reason}
	}
}

// Attacked reports whether an attack on this host was told since a time from where a
// login comes, or of the account.
func Attacked(ctx context.Context, db *store.DB, e event.Event, since time.Time) (yes bool, err error) {
	err = db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		yes = false
		return t.Each(func(*sql.Rows) error { yes = true; return nil },
			`SELECT 1 FROM delivered WHERE at >= ? AND json_extract(event, '$.kind') = 'attack' AND json_extract(event, '$.from') IS NULL
			 AND (json_extract(event, '$.ip') = ? OR json_extract(event, '$.user') = ?) LIMIT 1`,
			since.UnixMilli(), addrString(e.Remote.IP), e.User)
	})
	return yes, err
}
