package enrich

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

// The circuit breaker: a service that fails is left alone for a while, so that
// each login does not wait for it anew.
const (
	failuresInARow = 3
	minDown        = 30 * time.Second
	maxDown        = 10 * time.Minute
)

const (
	// refusedFor is how long a key that was refused is not shown again. It does
	// not get better by itself, and each request costs quota.
	refusedFor = 5 * time.Minute
	// quotaWait is the wait after a 429 that names none: the quota of a minute
	// is the one that is used up most often.
	quotaWait = time.Minute
	// maxQuotaWait bounds the wait that a 429 names.
	maxQuotaWait = time.Hour
)

// quotaKind is the kind of the trackers' documents in the database.
const quotaKind = "provider"

// quotaTracker counts the requests to one provider and remembers when the next
// may be made, in the worker's database, over processes. Where that can't be
// written, it counts for this process alone.
type quotaTracker struct {
	db     *store.DB // nil: none
	name   string    // of the provider
	owner  string    // tells settings apart: another key starts anew
	limits Limits
	now    func() time.Time

	mu     sync.Mutex
	memory account // while the disk fails
}

// account is the tracker's document.
type account struct {
	Owner   string             `json:"owner"`
	Minute  []time.Time        `json:"minute,omitempty"` // requests of the last minute, oldest first
	Days    window             `json:"days,omitempty"`   // requests of the last day
	Weeks   window             `json:"weeks,omitempty"`
	Months  window             `json:"months,omitempty"`
	Quota   state.Cooldown     `json:"quota,omitzero"`    // after a 429
	Refused map[string]refusal `json:"refused,omitempty"` // by part; "" is all of them
	Fails   int                `json:"fails,omitempty"`   // in a row
	Down    state.Cooldown     `json:"down,omitzero"`     // the breaker is open
	Why     string             `json:"why,omitempty"`     // the last failure's Problem
}

// refusal is an answer that refused the key, in the words that it is told by.
type refusal struct {
	Status  int            `json:"status"`
	Means   service.Means  `json:"means,omitempty"`
	Problem string         `json:"problem,omitempty"`
	Hint    string         `json:"hint,omitempty"`
	Hold    state.Cooldown `json:"hold"`
}

// ask takes a request out of the quota for each of parts, the most important
// first, and gives the reason for each that may not be made now.
func (l *quotaTracker) ask(parts ...string) map[string]*ProviderError {
	refused := make(map[string]*ProviderError)
	if len(parts) == 0 {
		return refused
	}
	l.change(func(a *account, now time.Time) bool {
		clear(refused)
		changed := a.forget(now)
		for _, part := range parts {
			if why := l.refuse(a, now, part); why != nil {
				refused[part] = why
				continue
			}
			a.Minute = append(a.Minute, now.UTC().Round(0))
			for _, w := range a.windows(l.limits) {
				if w.limit > 0 {
					w.add(now, w.span)
				}
			}
		}
		return changed || len(refused) < len(parts)
	})
	return refused
}

// refuse says why a request may not be made now; nil if it may.
func (l *quotaTracker) refuse(a *account, now time.Time, part string) *ProviderError {
	no := func(wait time.Duration, e ProviderError) *ProviderError {
		e.Part, e.Until = part, now.Add(wait)
		return &e
	}
	for _, key := range []string{"", part} {
		if r := a.Refused[key]; r.Hold.Left(now) > 0 {
			return no(r.Hold.Left(now), ProviderError{Status: r.Status, Problem: r.Problem, Hint: r.Hint, means: r.Means})
		}
	}
	if left := a.Quota.Left(now); left > 0 {
		return no(left, ProviderError{Status: http.StatusTooManyRequests, means: service.Quota})
	}
	if left := a.Down.Left(now); left > 0 {
		return no(left, ProviderError{Problem: problemDown, Err: errors.New("it failed too often, at last: " + a.Why)})
	}
	for _, w := range a.windows(l.limits) {
		if wait := w.wait(now, w.span, w.limit); wait > 0 {
			return no(wait, ProviderError{Problem: problemQuota, Err: fmt.Errorf("all %d requests of %s are made", w.limit, w.name)})
		}
	}
	if n := l.limits.PerMinute; n > 0 && len(a.Minute) >= n {
		return no(a.Minute[len(a.Minute)-n].Add(time.Minute).Sub(now), ProviderError{Problem: problemQuota, Err: fmt.Errorf("all %d requests of a minute are made", n)})
	}
	return nil
}

// forget drops what is over. A time too far in the future, which a clock that
// was put back leaves behind, is counted from now: then it holds for its span
// and no longer. forget reports whether there was one, which must be written
// down so that the span is not begun again each time.
func (a *account) forget(now time.Time) (putBack bool) {
	stamp := now.UTC().Round(0)
	a.Minute = slices.DeleteFunc(a.Minute, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	for i, t := range a.Minute {
		if t.After(now) {
			a.Minute[i], putBack = stamp, true
		}
	}
	for _, w := range a.windows(Limits{}) {
		putBack = w.forget(now, w.span) || putBack
	}
	rebase := func(h state.Cooldown) state.Cooldown {
		if h.For > 0 && h.Until.Sub(now) > h.For {
			putBack = true
			return state.CooldownFor(now, h.For)
		}
		return h
	}
	a.Quota, a.Down = rebase(a.Quota), rebase(a.Down)
	for part, r := range a.Refused {
		r.Hold = rebase(r.Hold)
		if r.Hold.Left(now) > 0 {
			a.Refused[part] = r
		} else {
			delete(a.Refused, part)
		}
	}
	return putBack
}

// tell remembers how a request for part ended; a nil error is a good answer.
// wait is what the service asked for, 0 if nothing. It gives back until when
// nothing is asked now, zero if nothing stands in the way.
func (l *quotaTracker) tell(part string, e *ProviderError, wait time.Duration) (until time.Time) {
	if e == nil {
		e = &ProviderError{effect: effectUp}
	}
	if e.effect == effectNone || e.effect == effectUp && l.isWell() {
		return time.Time{}
	}
	l.change(func(a *account, now time.Time) bool {
		until = time.Time{}
		hold := func(d time.Duration) state.Cooldown {
			until = now.Add(d)
			return state.CooldownFor(now, d)
		}
		if e.effect != effectDown {
			// Whatever it says, it is there.
			a.Fails, a.Down, a.Why = 0, state.Cooldown{}, ""
		}
		switch e.effect {
		case effectDown:
			a.fail(now, e.Problem, wait)
			if left := a.Down.Left(now); left > 0 {
				until = now.Add(left)
			}
		case effectQuota:
			if wait <= 0 {
				wait = quotaWait
			}
			a.Quota = hold(min(wait, maxQuotaWait))
		case effectRefused:
			if a.Refused == nil {
				a.Refused = make(map[string]refusal)
			}
			a.Refused[part] = refusal{Status: e.Status, Means: e.means, Problem: e.Problem, Hint: e.Hint, Hold: hold(refusedFor)}
		}
		return true
	})
	return until
}

// fail counts a failure. One that comes while the breaker is open began before
// it opened, and is the same trouble.
func (a *account) fail(now time.Time, problem string, wait time.Duration) {
	if a.Down.Left(now) > 0 {
		return
	}
	a.Fails, a.Why = a.Fails+1, problem
	down := min(wait, maxDown)
	if over := a.Fails - failuresInARow; over >= 0 {
		d := minDown
		for range over {
			if d *= 2; d >= maxDown {
				d = maxDown
				break
			}
		}
		down = max(down, d)
	}
	if down > 0 {
		a.Down = state.CooldownFor(now, down)
	}
}

// isWell reports whether no failures are noted, so that a good answer is no
// news and nothing need be written.
func (l *quotaTracker) isWell() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.Fails == 0 && l.stored().Fails == 0
}

var errUnchanged = errors.New("unchanged")

// change lets f change the account; false from it means that nothing has. f may
// be called twice.
func (l *quotaTracker) change(f func(*account, time.Time) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := func(a *account) {
		if a.Owner != l.owner {
			*a = account{Owner: l.owner}
		}
	}
	if l.db != nil {
		err := store.Update(context.Background(), l.db, quotaKind, l.name, func(a *account) error {
			mine(a)
			if !f(a, l.now()) {
				return errUnchanged
			}
			return nil
		})
		if err == nil || errors.Is(err, errUnchanged) {
			return
		}
		if l.memory.Owner == "" {
			l.memory = l.stored()
		}
	}
	mine(&l.memory)
	f(&l.memory, l.now())
}

// stored returns what the database has; the zero account where it has nothing, or
// can't be read.
func (l *quotaTracker) stored() account {
	if l.db == nil {
		return account{}
	}
	a, err := store.Load[account](context.Background(), l.db, quotaKind, l.name)
	if err != nil {
		return account{}
	}
	return a
}
