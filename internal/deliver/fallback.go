package deliver

import (
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// out reports whether a destination is out of order: it is broken, its quota is
// used up, or nothing has arrived there for lateAfter.
func (o *destQueue) out() bool {
	return !o.doc.Broken.IsZero() || !o.doc.Paused.IsZero() || !o.doc.Late.IsZero()
}

// fallBack has what is high or critical and waits for a destination that is out, or
// that has no budget for it today, told by its fallback as well. The destination gets
// it when it can.
func (w *worker) fallBack(o *destQueue) {
	if o.Fallback == "" {
		return
	}
	for _, it := range slices.Clone(o.fresh) {
		w.fallBackOf(o, it)
	}
	for _, m := range slices.Clone(o.failed) {
		for it := range m.all() {
			w.fallBackOf(o, it)
		}
	}
}

func (w *worker) fallBackOf(o *destQueue, it *item) {
	f := w.queueFor(o.Fallback)
	if f == nil || !o.out() && o.affords(it.verdict.Severity, it.from, w.now()) || it.stage != ready || it.verdict.Severity < event.High || it.deliveryTo(f.name) != nil ||
		it.e.Alert != nil && it.e.Alert.Except == f.name || slices.Contains(w.set.Public, o.name) || slices.Contains(w.set.Public, f.name) {
		return
	}
	w.Log.Info("told by the fallback as well", "id", it.e.ID, "destination", o.name, "fallback", f.name)
	it.deliveries = append(it.deliveries, delivery{Dest: f.name})
	f.add(it, false)
	w.fallBackOf(f, it)
}
