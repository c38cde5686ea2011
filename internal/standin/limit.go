package standin

import (
	"time"
)

// pace lets one through at every interval, and burst more at once after a rest.
// It keeps a schedule rather than the time since the last one, so that what
// comes early by jitter can't add up to a higher rate.
type pace struct {
	every time.Duration // 0: no limit
	early time.Duration // how far ahead of the schedule one may come
	next  time.Time     // when the schedule has room again
}

// newPace takes the rate, 0 for no limit. What comes early by a twentieth of
// the interval is in time: senders keep the pace by their own clock, and ours
// runs when the bytes have arrived.
func newPace(perSecond float64, burst int) pace {
	if perSecond == 0 {
		return pace{}
	}
	every := time.Duration(float64(time.Second) / perSecond)
	return pace{every: every, early: every/20 + time.Duration(burst)*every}
}

// take reports whether one may pass at now. What may not does not count.
func (p *pace) take(now time.Time) bool {
	if p.every == 0 {
		return true
	}
	if now.Before(p.next.Add(-p.early)) {
		return false
	}
	if now.After(p.next) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
	return true
}

// window lets limit through in any span of time.
type window struct {
	limit int // 0: no limit
	span  time.Duration
	taken []time.Time // within the span before the last call, oldest first
}

// used is how many passed within the span before now.
func (w *window) used(now time.Time) int {
	for len(w.taken) > 0 && now.Sub(w.taken[0]) >= w.span {
		w.taken = w.taken[1:]
	}
	return len(w.taken)
}

// take reports whether one may pass at now, and if not, how long it is until
// one may. What may not pass does not count.
func (w *window) take(now time.Time) (wait time.Duration, ok bool) {
	if w.used(now) >= w.limit && w.limit > 0 {
		return w.span - now.Sub(w.taken[0]), false
	}
	w.taken = append(w.taken, now)
	return 0, true
}
