package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
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

// carryOut does what a request file asks for. What the disk keeps from being
// done is asked for again.
func (w *worker) carryOut(name string) {
	r, err := w.readRequest(name)
	if w.inTrouble(name, err) {
		return
	}
	if err != nil {
		w.remove(name)
		if !errors.Is(err, fs.ErrNotExist) {
			w.Log.Error("a request is not understood", "file", name, "error", err)
		}
		return
	}
	w.Log.Info("asked by sshnotify queue", "op", r.Op, "ids", len(r.IDs))
	var undone []string
	switch r.Op {
	case OpRetry:
		undone, err = w.retry(r.IDs)
	case OpDrop:
		undone, err = w.drop(r.IDs)
	case OpFlush:
		w.reload = true
		w.asked.join(retryNow{due: true, all: true})
		if w.set.Memory != nil && w.hub == nil {
			now := time.Now()
			err = w.queueDigest(now, now)
		}
	}
	if err != nil {
		w.Log.Error("a request was not carried out", "op", r.Op, "error", err)
	}
	if len(undone) == 0 {
		w.remove(name)
		return
	}
	r.V, r.IDs = event.Version, undone
	b, err := json.Marshal(r)
	if err == nil {
		err = w.q.Write(name, b)
	}
	if err != nil {
		w.Log.Error("a request can't be written down", "error", err)
	}
	w.again(name)
}

// retry takes dead letters back into cur/, all of them where no ids are given,
// and returns the ids of those that it must try again.
// What waits becomes due by loading everything anew, with the settings that
// have perhaps been mended: a worker that a hook started has no other way to
// hear of that.
func (w *worker) retry(ids []string) (undone []string, err error) {
	w.reload = true
	w.asked.join(retryNow{due: len(ids) == 0, all: len(ids) == 0, ids: ids})
	dead, err := w.q.Failed()
	if err != nil {
		return ids, err
	}
	var errs []error
	for _, name := range dead {
		id, ok := idOfFile(name)
		if !ok || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		if err := requeue(w.q, name); err != nil { // the others go all the same
			errs = append(errs, fmt.Errorf("%s: %w", event.Ref(id), err))
			if !errors.Is(err, errNoEvent) {
				undone = append(undone, id)
			}
		}
	}
	return undone, errors.Join(errs...)
}

// errNoEvent is a dead letter that another try is no use for.
var errNoEvent = errors.New("not an event")

// requeue takes a dead letter back into cur/, with all its tries before it; who
// has it already does not get it again. One
// that waits there already was not moved for good before a kill.
func requeue(q queue, name string) error {
	if _, err := q.Read(name); err == nil {
		return q.Drop(name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var trouble *spool.TroubleError
	b, err := q.ReadFailed(name)
	if err != nil && !errors.As(err, &trouble) {
		return fmt.Errorf("%w: %w", errNoEvent, err)
	}
	if err != nil {
		return err
	}
	r, err := DecodeRecord(b)
	if err == nil && eventFile(r.Event.ID) != name {
		err = fmt.Errorf("it holds the event %s", r.Event.ID)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoEvent, err)
	}
	for i := range r.Deliveries {
		if r.Deliveries[i].Dead {
			d := r.Deliveries[i]
			r.Deliveries[i] = delivery{Dest: d.Dest, Attempts: &Attempts{Reached: d.Reached}}
		}
	}
	it := item{e: r.Event, from: r.From, facts: &r.Facts, seen: seenOf(r.Memory), owner: r.Owner, verdict: r.Verdict, deliveries: r.Deliveries}
	if b, err = it.record(); err != nil {
		return err
	}
	// Written there before it goes here: a kill in between leaves both, and the
	// dead letter gives way.
	if err := q.Write(name, b); err != nil {
		return err
	}
	return q.Drop(name)
}

// drop ends events without telling them, dead letters and foreign files too,
// wherever they are, and returns the ids of those that it must try again.
func (w *worker) drop(ids []string) (undone []string, err error) {
	var errs []error
	for _, id := range ids {
		if it := w.items[id]; it != nil && !w.discard(it) {
			continue
		}
		delete(w.unread, eventFile(id))
		delete(w.newer, eventFile(id))
		if _, err := w.q.Discard(id); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", event.Ref(id), err))
			if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ESTALE) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) {
				undone = append(undone, id)
			}
		}
	}
	return undone, errors.Join(errs...)
}

// discard ends a waiting event, and reports whether it did. One that is in a
// message under way stays: it may be told already.
func (w *worker) discard(it *item) bool {
	if w.onItsWay(it) {
		w.Log.Warn("an event is being handed over and can't be dropped", "id", it.e.ID)
		return false
	}
	for i := range it.deliveries {
		if m := it.deliveries[i].msg; m != nil && it.deliveries[i].pending() {
			if o := w.queueFor(it.deliveries[i].Dest); o != nil && o.inflight == m {
				w.Log.Warn("an event is being sent and can't be dropped", "id", it.e.ID)
				return false
			}
		}
	}
	for _, o := range w.queues {
		for _, m := range o.forget(it) {
			w.remove(messageFile(m.ID))
		}
	}
	it.deliveries, it.stage = nil, ready
	w.finish(it, true)
	w.release(it)
	if w.hub != nil {
		w.hub.settled = false
	}
	return true
}

// forget takes an event out of all that waits, and returns the messages that
// show nothing any more.
func (o *destQueue) forget(it *item) (empty []*message) {
	o.idle = time.Time{}
	gone := func(x *item) bool { return x == it }
	o.fresh = slices.DeleteFunc(o.fresh, gone)
	o.failed = slices.DeleteFunc(o.failed, func(m *message) bool {
		m.items = slices.DeleteFunc(m.items, gone)
		if len(m.items) > 0 {
			return false
		}
		if !m.alone() {
			empty = append(empty, m)
		}
		return true
	})
	return empty
}

// Carry carries out a request where no worker runs, under the lock q. Any but a
// drop is left for the next worker, which has the list of what was told. in may be nil.
func Carry(q *spool.Queue, in Inbox, r Request) error {
	if r.Op != OpDrop {
		r.V = event.Version
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return q.Write(spool.RequestName(event.NewID()), b)
	}
	var errs []error
	for _, id := range r.IDs {
		_, err := q.Discard(id)
		if in != nil {
			_, e := in.Remove(id)
			err = errors.Join(err, e)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", event.Ref(id), err))
		}
	}
	return errors.Join(errs...)
}
