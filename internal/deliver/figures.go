package deliver

import (
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/figures"
)

const (
	// figuresEvery is how often the figures are written down where nothing
	// changes: it shows that the worker lives.
	figuresEvery = 30 * time.Second
	// figuresSoon is how long after a change they are.
	figuresSoon = 2 * time.Second
)

// keepFigures writes the figures down if that is due, or at the end, and says
// when it is next.
func (w *worker) keepFigures(now time.Time, end bool) time.Duration {
	if w.Figures == nil {
		return forever
	}
	every := figuresEvery
	if w.changed {
		every = figuresSoon
	}
	if since := now.Sub(w.counted); !end && since >= 0 && since < every {
		return every - since
	}
	w.counted, w.changed = now, false
	q, dest := w.figures(now)
	if err := w.Figures.Keep(now, w.Mode == Follow, q, dest); err != nil && !w.uncounted {
		w.uncounted = true
		w.Log.Warn("the figures can't be written", "error", err)
	} else if err == nil {
		w.uncounted = false
	}
	return figuresEvery
}

// figures counts what waits, and for whom.
func (w *worker) figures(now time.Time) (q figures.Queue, all map[string]figures.Destination) {
	all = make(map[string]figures.Destination, len(w.queues))
	stuck := make(map[string]bool, len(w.queues))
	for _, o := range w.queues {
		d := figures.Destination{Broken: o.doc.Broken, Paused: !o.doc.Paused.IsZero()}
		if d.Broken.IsZero() && !o.doc.Late.IsZero() {
			d.Broken = o.doc.Failing
		}
		all[o.name] = d
		stuck[o.name] = o.out() || o.failures > 0 || o.doc.Limited.Left(now) > 0 || o.doc.Rest.Left(now) > 0
	}
	q.Waiting = len(w.items) + len(w.newer) + len(w.unread)
	for _, it := range w.items {
		retry := false
		for i := range it.deliveries {
			p := &it.deliveries[i]
			if !p.pending() {
				continue
			}
			if p.Dest == hubName && w.hub != nil {
				retry = retry || w.hub.failures > 0
				continue
			}
			d := all[p.Dest]
			d.Waiting++
			all[p.Dest] = d
			failed := p.Attempted().Tries > 0 || p.msg != nil && p.msg.Tries > 0
			retry = retry || failed || stuck[p.Dest]
		}
		if !retry {
			continue // on its way, or held for a while
		}
		q.Retry++
		if q.Oldest.IsZero() || it.e.Time.Before(q.Oldest) {
			q.Oldest = it.e.Time.UTC()
		}
	}
	dead, _ := w.q.Failed() // as many as could be read
	for _, name := range dead {
		if _, isEvent := idOfFile(name); isEvent {
			q.Dead++
		}
	}
	return q, all
}

// tried counts a try to send.
func (w *worker) tried(o *destQueue, err error, now time.Time) {
	outcome := figures.Sent
	if err != nil {
		outcome = channel.Again.String()
		if de := (*channel.Error)(nil); errors.As(err, &de) {
			outcome = de.Class.String()
		}
	}
	w.Figures.Tried(o.name, outcome, now)
	w.changed = true
}
