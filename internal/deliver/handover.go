package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/state"
)

// Hub takes the events of this host in place of destinations. It is used by one
// goroutine at a time; its errors are *fleet.Error. See fleet.Outbox.
type Hub interface {
	HandOver(context.Context, []fleet.Handed) (n int, a fleet.Answer, err error)
	Beat(context.Context, fleet.Beat) error
	// Settle says which events still wait here, by their ids.
	Settle(ctx context.Context, waits func(id string) bool)
	Close()
}

// HandingOver is how a host gives its events to a hub.
type HandingOver struct {
	Hub Hub // nil: this host tells its events itself
	// AloneAfter is how long the hub may be away before the targets tell what is
	// high or critical; 0: they never do, and nothing is judged here.
	AloneAfter time.Duration
	Beat       fleet.Beat // Version and Settings of each
}

// judges reports whether events are judged at this host.
func (s HandingOver) judges() bool { return s.Hub == nil || s.AloneAfter > 0 }

const (
	// hubName is the destination that the deliveries to a hub name. No other can have
	// it: there is a space in it.
	hubName = "the hub"
	// firstTry is until when after a start only what is fresh is handed over, at most:
	// thousands of hosts may start together, or their hub.
	firstTry = time.Minute
	// handOverTimeout bounds what is done with the hub at a time, all that it lost and
	// is sent again included.
	handOverTimeout = 30 * time.Second
	// keepStatusEvery is how often it is written down that the hub is there.
	keepStatusEvery = time.Minute
	shortestBackoff = time.Second
	longestBackoff  = 15 * time.Minute
)

// handingOver is the way to a hub, with what is known of it.
type handingOver struct {
	HandingOver
	status   fleet.Status
	kept     time.Time      // when the status was last written down
	busy     bool           // an answer is waited for
	batch    []*item        // that is on its way; none: a beat is
	answer   chan handed    // what comes of it
	failures int            // in a row, by this worker
	hold     state.Cooldown // of back-off
	first    time.Time      // before this only what is fresh is handed over
	beat     time.Time      // when the next is due
	due      bool           // something may be handed over without waiting
	settled  bool           // the hub knows what waits
	alone    bool           // it has been away for long
}

// handed is what came of a batch, or of a beat.
type handed struct {
	n      int
	answer fleet.Answer
	err    error
}

func (w *worker) openHub(now time.Time) {
	s := w.set.HandingOver
	if s.Hub == nil {
		w.Figures.NoHandOver()
		return
	}
	h := &handingOver{HandingOver: s, answer: make(chan handed, 1), beat: now.Add(jitter(firstTry))}
	if w.Store != nil {
		h.status, _ = fleet.ReadStatus(context.Background(), w.Store) // without it, something is said again
	}
	w.hub = h
	w.figureHub()
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(d)) }

// handOver gives an item to the hub, once it is done with all that only its host can
// do. Destinations that it was for before are not told.
func (w *worker) handOver(it *item) {
	it.stage = ready
	it.deliveries = slices.DeleteFunc(it.deliveries, func(p delivery) bool {
		return p.pending() && p.Dest != hubName && w.queueFor(p.Dest) == nil
	})
	it.ensureDelivery(hubName)
	if it.finished() {
		w.finish(it, false)
	}
}

// judgeForHub gives an item to the hub that was judged here as well. It is remembered
// as told, so that nothing waits for a digest that this host never makes.
func (w *worker) judgeForHub(it *item, t policy.Telling) {
	t.When = policy.Now
	w.remember(it, t)
	w.raise(it)
	it.ensureDelivery(hubName)
	w.address(it, func(*destQueue) bool { return false })
	w.tellAlone(it)
}

// away reports whether the hub has been away for so long that this host tells what is
// high or critical itself.
func (h *handingOver) away(now time.Time) bool {
	return h.AloneAfter > 0 && h.failures > 0 && now.Sub(h.status.Failing) >= h.AloneAfter
}

// tellAlone has an item told by this host's own destinations while the hub is away.
// The hub gets it when it can.
func (w *worker) tellAlone(it *item) {
	p := it.deliveryTo(hubName)
	if !w.hub.away(w.now()) || it.stage != ready || it.verdict.Severity < event.High || p == nil || !p.pending() || len(it.deliveries) > 1 {
		return
	}
	routed := w.set.Routed(policy.Input{Event: it.e, Facts: it.known()}, it.verdict)
	for _, o := range w.queues {
		if slices.Contains(routed, o.name) {
			it.deliveries = append(it.deliveries, delivery{Dest: o.name})
			o.add(it, false)
			w.Log.Info("told by this host, because the hub is away", "id", it.e.ID, "destination", o.name)
		}
	}
}

// startHandOver hands over what waits, or sends a beat, and says how long until there
// is something to do.
func (w *worker) startHandOver(ctx context.Context, now time.Time) time.Duration {
	h := w.hub
	if h == nil || h.busy {
		return forever
	}
	h.due = false
	wake := forever
	if h.AloneAfter > 0 && h.failures > 0 && !h.alone {
		if h.alone = h.away(now); h.alone {
			for _, it := range w.items {
				w.tellAlone(it)
			}
			return 0
		}
		wake = h.status.Failing.Add(h.AloneAfter).Sub(now)
	}
	if d := h.hold.Left(now); d > 0 {
		return min(wake, d)
	}
	if !h.settled {
		h.settled = true
		h.Hub.Settle(ctx, func(id string) bool { return w.items[id] != nil || w.isUnread(id) || w.newer[eventFile(id)] })
	}
	if w.Mode == Follow {
		if d := h.beat.Sub(now); d > 0 && d <= fleet.BeatEvery+fleet.BeatJitter { // more: the clock was set back
			wake = min(wake, d)
		} else {
			h.beat = now.Add(fleet.BeatEvery - fleet.BeatJitter + jitter(2*fleet.BeatJitter))
			b := w.hubBeat()
			w.askHub(ctx, nil, func(ctx context.Context) (got handed) { got.err = h.Hub.Beat(ctx, b); return got })
			return forever
		}
	}
	batch, fresh := w.nextToHub(now)
	if len(batch) == 0 {
		return wake
	}
	if d := h.first.Sub(now); !fresh && d > 0 {
		return min(wake, d)
	}
	h.due = true
	events := make([]fleet.Handed, 0, len(batch))
	for _, it := range batch {
		e, err := fleet.EncodeHanded(it.e)
		if err != nil { // it came out of a file that was no larger
			w.Log.Error("an event can't be handed over", "id", it.e.ID, "error", err)
			w.rejected(it, err.Error())
			return 0
		}
		events = append(events, e)
	}
	w.askHub(ctx, batch, func(ctx context.Context) (got handed) {
		got.n, got.answer, got.err = h.Hub.HandOver(ctx, events)
		return got
	})
	return forever
}

func (w *worker) askHub(ctx context.Context, batch []*item, ask func(context.Context) handed) {
	w.hub.busy, w.hub.batch = true, batch
	go func() {
		ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
		defer cancel()
		w.hub.answer <- ask(ctx)
	}()
}

// nextToHub returns what is to be handed over next: what is fresh, then the rest, the
// oldest first; a logout never without its login before it.
func (w *worker) nextToHub(now time.Time) (batch []*item, fresh bool) {
	var late []*item
	for _, it := range w.items {
		p := it.deliveryTo(hubName)
		switch {
		case p == nil || !p.pending() || it.stage != ready:
		case now.Sub(it.e.Time) < fleet.FreshFor:
			batch = append(batch, it)
		default:
			late = append(late, it)
		}
	}
	fresh = len(batch) > 0
	slices.SortFunc(batch, older)
	slices.SortFunc(late, older)
	batch = append(batch, late...)
	taken := make(map[*item]bool, fleet.MaxBatch)
	batch = slices.DeleteFunc(batch, func(it *item) bool {
		login := it.after
		if len(taken) == fleet.MaxBatch || login != nil && w.items[login.e.ID] == login && !taken[login] {
			return true
		}
		taken[it] = true
		return false
	})
	return batch, fresh
}

func (w *worker) hubBeat() fleet.Beat {
	h := w.hub
	b := h.Beat
	q, _ := w.figures(w.now())
	b.Waiting, b.Dead, b.Alone = len(w.newer)+len(w.unread), q.Dead, h.AloneAfter > 0
	for _, it := range w.items {
		if p := it.deliveryTo(hubName); p == nil || p.pending() {
			b.Waiting++
			if b.Oldest.IsZero() || it.e.Time.Before(b.Oldest) {
				b.Oldest = it.e.Time.UTC()
			}
		}
	}
	return b
}

// finishHandOver takes what came of a batch, or of a beat.
func (w *worker) finishHandOver(got handed) {
	h, now := w.hub, w.now()
	batch := h.batch
	h.busy, h.batch, w.changed = false, nil, true
	if got.err != nil {
		w.hubFailed(got.err, batch, now)
		return
	}
	if len(batch) > 0 {
		w.Log.Info("handed over", "events", got.n, "rejected", len(got.answer.Rejected))
	}
	w.hubTook(now)
	why := make(map[string]string, len(got.answer.Rejected))
	for _, r := range got.answer.Rejected {
		why[r.ID] = r.Why
	}
	for _, it := range batch[:min(got.n, len(batch))] {
		if text, ok := why[it.e.ID]; ok {
			w.rejected(it, text)
			continue
		}
		p := it.deliveryTo(hubName)
		p.Done, p.Attempts = now.UTC(), nil
		w.Figures.Told(now.Sub(it.e.Time))
		if it.finished() {
			w.finish(it, false)
		} else if err := w.writeItem(it); err != nil {
			w.Log.Error("an event's progress can't be written", "id", it.e.ID, "error", err)
		}
	}
	w.Figures.HandOver(func(f *figures.HandOver) {
		f.Events[figures.Stored] += int64(got.answer.Stored)
		f.Events[figures.Duplicate] += int64(got.answer.Duplicate)
		f.Events[figures.Rejected] += int64(len(got.answer.Rejected))
	})
	w.figureHub()
}

// hubTook notes that the hub takes events.
func (w *worker) hubTook(now time.Time) {
	h := w.hub
	was := h.status
	h.failures, h.hold, h.alone, h.first = 0, state.Cooldown{}, false, time.Time{}
	h.status = fleet.Status{Reached: now.UTC()}
	if !was.Failing.IsZero() {
		w.Log.Info("the hub takes events again", "failing_since", was.Failing)
		if was.Said {
			w.Alarm(fmt.Sprintf("the hub takes events again, which it did not since %s", was.Failing.In(w.set.zone()).Format(time.DateTime)))
		}
	}
	if !was.Failing.IsZero() || now.Sub(h.kept).Abs() >= keepStatusEvery {
		w.keepHub(now)
	}
}

// hubFailed puts off what the hub did not take. Nothing is given up: it is the one
// who tells.
func (w *worker) hubFailed(err error, batch []*item, now time.Time) {
	h := w.hub
	e, ok := errors.AsType[*fleet.Error](err)
	if !ok {
		e = &fleet.Error{Class: fleet.Again, Err: err}
	}
	h.failures++
	wait := shortestBackoff + jitter(min(longestBackoff, shortestBackoff<<min(h.failures, 10))-shortestBackoff)
	if e.RetryAfter > 0 {
		wait = e.RetryAfter + jitter(e.RetryAfter/4)
	}
	h.hold = state.CooldownFor(now, wait)
	w.Log.Warn("the hub took nothing", "events", len(batch), "tries", h.failures, "error", err)

	s := h.status
	if s.Failing.IsZero() || s.Failing.After(now) { // or the clock was set back since
		s.Failing = now.UTC()
	}
	s.Class, s.Why, s.Hint = e.Class, e.Error(), e.Hint
	if lasting := e.Class != fleet.Again || now.Sub(s.Failing) >= lateAfter; lasting && !s.Said {
		s.Said = true
		w.Alarm(fmt.Sprintf("the hub has taken nothing since %s, events wait: %s", s.Failing.In(w.set.zone()).Format(time.DateTime), s.Why))
	}
	if s != h.status {
		h.status = s
		w.keepHub(now)
	}
	for _, it := range batch {
		p := it.deliveryTo(hubName)
		tried, before := p.Attempted(), p.Attempted().Error
		if tried.Since.IsZero() {
			tried.Since = now.UTC()
		}
		tried.Tries++
		tried.Error = s.Why
		p.Attempts = &tried
		if before == s.Why {
			continue // the file says so
		}
		if err := w.writeItem(it); err != nil {
			w.Log.Error("a failed try can't be written down", "id", it.e.ID, "error", err)
		}
	}
	w.figureHub()
}

func (w *worker) keepHub(now time.Time) {
	w.hub.kept = now
	if w.Store == nil {
		return
	}
	if err := fleet.KeepStatus(context.Background(), w.Store, w.hub.status); err != nil {
		w.Log.Warn("how it stands with the hub can't be kept", "error", err)
	}
}

func (w *worker) figureHub() {
	s := w.hub.status
	w.Figures.HandOver(func(f *figures.HandOver) {
		f.Last, f.Failing, f.Refused = s.Reached, s.Failing, !s.Failing.IsZero() && s.Class == fleet.Refused
	})
}

// rejected makes a dead letter of an item that the hub will never take.
func (w *worker) rejected(it *item, why string) {
	p := it.deliveryTo(hubName)
	tried := p.Attempted()
	tried.Error = why
	p.Dead, p.Attempts = true, &tried
	w.Alarm(fmt.Sprintf("%s %s of %s is rejected by the hub and kept as a dead letter: %s (sshnotify queue show %s)",
		it.e.Kind, event.Ref(it.e.ID), it.e.User, event.Clean(why, maxError), event.Ref(it.e.ID)))
	if it.finished() {
		w.finish(it, false)
	} else if err := w.writeItem(it); err != nil {
		w.Log.Error("a dead letter can't be written", "id", it.e.ID, "error", err)
	}
}

// onItsWay reports whether the hub may have an item already.
func (w *worker) onItsWay(it *item) bool { return w.hub != nil && slices.Contains(w.hub.batch, it) }

// hubAnswer is what comes of what was last asked of the hub.
func (w *worker) hubAnswer() <-chan handed {
	if w.hub == nil {
		return nil
	}
	return w.hub.answer
}

// closeHub waits for what is on its way, before the worker goes.
func (w *worker) closeHub() {
	h := w.hub
	if h == nil {
		return
	}
	if h.busy {
		w.finishHandOver(<-h.answer)
	}
	h.Hub.Close()
}
