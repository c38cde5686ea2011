package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
)

// readRequest reads a request file, and says what is wrong with it.
func (w *worker) readRequest(name string) (Request, error) {
	b, err := w.q.Read(name)
	var r Request
	if err == nil {
		r, err = decodeRequest(b)
	}
	return r, err
}

// carryOut does what a request file asks for.
func (w *worker) carryOut(name string) {
	defer w.remove(name)
	r, err := w.readRequest(name)
	if err != nil {
		w.Log.Error("a request is not understood", "file", name, "error", err)
		return
	}
	w.Log.Info("asked by sshnotify queue", "op", r.Op, "ids", len(r.IDs))
	if r.Op == OpRetry {
		err = w.retry(r.IDs)
	} else {
		err = w.drop(r.IDs)
	}
	if err != nil {
		w.Log.Error("a request was not carried out", "op", r.Op, "error", err)
	}
}

// retry takes dead letters back into cur/, all of them where no ids are given.
// What waits becomes due by loading everything anew, with the settings that
// have perhaps been mended: a worker that a hook started has no other way to
// hear of that.
func (w *worker) retry(ids []string) error {
	w.reload = true
	dead, err := w.q.Failed()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range dead {
		id, ok := idOfFile(name)
		if !ok || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		if err := revive(w.q, name); err != nil { // the others go all the same
			errs = append(errs, fmt.Errorf("%s: %w", event.Ref(id), err))
		}
	}
	return errors.Join(errs...)
}

// revive takes a dead letter back into cur/, with all its tries before it. One
// that waits there already was not moved for good before a kill.
func revive(q *spool.Queue, name string) error {
	if _, err := q.Read(name); err == nil {
		return q.Drop(name)
	}
	b, err := q.ReadFailed(name)
	if err != nil {
		return err
	}
	r, err := DecodeRecord(b)
	if err != nil {
		return err
	}
	for i := range r.Parts {
		if r.Parts[i].Dead {
			r.Parts[i] = part{Dest: r.Parts[i].Dest}
		}
	}
	it := item{e: r.Event, facts: r.Facts, verdict: r.Verdict, parts: r.Parts}
	if b, err = it.record(); err != nil {
		return err
	}
	if err := q.Retry(name); err != nil {
		return err
	}
	return q.Write(name, b)
}

// drop ends events without telling them, dead letters too.
func (w *worker) drop(ids []string) error {
	dead, err := w.q.Failed()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.Contains(dead, eventFile(id)) {
			if err := w.q.Drop(eventFile(id)); err != nil {
				return fmt.Errorf("%s: %w", event.Ref(id), err)
			}
		}
		if it := w.items[id]; it != nil {
			w.discard(it)
		}
	}
	return nil
}

// discard ends a waiting event. One that is in a message under way stays: it
// may be told already.
func (w *worker) discard(it *item) {
	for i := range it.parts {
		if m := it.parts[i].msg; m != nil && it.parts[i].pending() {
			if o := w.outlet(it.parts[i].Dest); o != nil && o.inflight == m {
				w.Log.Warn("an event is being sent and can't be dropped", "id", it.e.ID)
				return
			}
		}
	}
	for _, o := range w.outlets {
		for _, m := range o.forget(it) {
			w.remove(messageFile(m.ID))
		}
	}
	it.parts, it.stage = nil, ready
	w.finish(it, true)
	w.release(it)
}

// forget takes an event out of all that waits, and gives the messages that
// show nothing any more.
func (o *outlet) forget(it *item) (empty []*message) {
	o.quiet = time.Time{}
	gone := func(x *item) bool { return x == it }
	o.fresh = slices.DeleteFunc(o.fresh, gone)
	o.failed = slices.DeleteFunc(o.failed, func(m *message) bool {
		m.items = slices.DeleteFunc(m.items, gone)
		m.along = slices.DeleteFunc(m.along, gone)
		if len(m.items) > 0 {
			return false
		}
		for _, a := range m.along { // these go with the next one
			a.part(o.name).msg = nil
			o.fresh = append(o.fresh, a)
		}
		if !m.alone() {
			empty = append(empty, m)
		}
		return true
	})
	return empty
}

// Carry carries out a request where no worker runs, under the lock q. A retry
// is left for the next worker, which has the list of what was told.
func Carry(q *spool.Queue, r Request) error {
	if r.Op == OpRetry {
		r.V = event.Version
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return q.Write(spool.RequestName(event.NewID()), b)
	}
	if _, _, err := q.Claim(maxItems); err != nil {
		return err
	}
	dead, err := q.Failed()
	if err != nil {
		return err
	}
	for _, id := range r.IDs {
		err := q.Remove(eventFile(id))
		if slices.Contains(dead, eventFile(id)) {
			err = q.Drop(eventFile(id))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", event.Ref(id), err)
		}
	}
	return nil
}
