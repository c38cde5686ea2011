package deliver

import (
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// message is what one destination gets in one piece. One of a single event has
// that event's id and no file of its own; the members of any other are written
// down before the first POST, and stay the same in every retry.
type message struct {
	V       int           `json:"v"`
	ID      string        `json:"id"`
	Dest    string        `json:"dest"`
	Members []string      `json:"members"`         // the events it shows
	Along   []string      `json:"along,omitempty"` // what messages of earlier versions counted besides
	Digest  bool          `json:"digest,omitempty"`
	Done    time.Time     `json:"done,omitzero"`     // when the destination took it
	Receipt event.Receipt `json:"receipt,omitempty"` // what it gave back then
	Maybe   bool          `json:"maybe,omitempty"`   // of Done: it may have arrived, and is not sent again
	Attempts

	items     []*item // of Members
	severity  event.Severity
	oldest    time.Time
	attempted bool // by this worker
	streak    int  // of its destination, in which it failed last
}

func single(dest string, it *item) *message {
	m := &message{V: event.Version, ID: it.e.ID, Dest: dest}
	m.show(it)
	return m
}

// show adds an event that the message shows.
func (m *message) show(it *item) {
	m.Members = append(m.Members, it.e.ID)
	m.items = append(m.items, it)
	m.weigh(it)
}

func (m *message) weigh(it *item) {
	m.severity = max(m.severity, it.verdict.Severity)
	if m.oldest.IsZero() || it.e.Time.Before(m.oldest) {
		m.oldest = it.e.Time
	}
}

// all returns every event of the message.
func (m *message) all() iter.Seq[*item] { return slices.Values(m.items) }

// from returns the one host that handed over all its events; empty: this one did, or
// several.
func (m *message) from() string {
	if len(m.items) == 0 || slices.ContainsFunc(m.items, func(it *item) bool { return it.from != m.items[0].from }) {
		return ""
	}
	return m.items[0].from
}

// judged reports whether all its events are, so that it can be put into words.
func (m *message) judged() bool {
	for it := range m.all() {
		if it.stage != ready {
			return false
		}
	}
	return true
}

// alone reports whether the message is its event, and has no file.
func (m *message) alone() bool {
	return len(m.Members) == 1 && m.ID == m.Members[0]
}

// write keeps what the message is and how far it got: in its own file, or in
// the record of its event.
func (w *worker) write(m *message) error {
	if !m.alone() {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return w.q.Write(messageFile(m.ID), b)
	}
	it := m.items[0]
	if p := it.deliveryTo(m.Dest); p != nil {
		tried := m.Attempts
		p.Attempts = &tried
	}
	return w.writeItem(it)
}

func (w *worker) writeItem(it *item) error {
	b, err := it.record()
	if err != nil {
		return err
	}
	return w.q.Write(eventFile(it.e.ID), b)
}

// takeMessage takes up a message that an earlier worker wrote down.
func (w *worker) takeMessage(name string) {
	b, err := w.q.Read(name)
	if w.inTrouble(name, err) {
		// Whether its events have been told is in there.
		if w.unsure.IsZero() {
			w.unsure = time.Now().Add(unsureFor)
		}
		return
	}
	var m message
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err == nil && m.V > event.Version {
		return
	}
	if err == nil && (name != messageFile(m.ID) || !event.ValidID(m.ID)) {
		err = errors.New("not a message")
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.Log.Error("a message in the spool can't be read; its events go anew", "file", name, "error", err)
			w.refuse(name, err)
		}
		return
	}
	if !m.Done.IsZero() {
		for _, id := range slices.Concat(m.Members, m.Along) {
			if it := w.items[id]; it != nil {
				p := it.ensureDelivery(m.Dest)
				p.Done, p.Receipt, p.Maybe = m.Done, m.Receipt, m.Maybe
				if it.stage == ready { // it is taken up late
					w.recast(it)
				}
			}
		}
		w.doneMessages = append(w.doneMessages, &m)
		return
	}
	o := w.queueFor(m.Dest)
	if o == nil {
		w.remove(name)
		return
	}
	// What was dropped since, or is a dead letter, is not there any more.
	m.items, m.Along = w.waiting(m.Dest, m.Members), nil
	for it := range m.all() {
		it.ensureDelivery(m.Dest).msg = &m
	}
	o.fresh = slices.DeleteFunc(o.fresh, func(it *item) bool { return it.deliveryTo(o.name).msg != nil })
	if len(m.items) == 0 && slices.ContainsFunc(m.Members, w.isUnread) {
		for it := range m.all() {
			it.deliveryTo(m.Dest).msg = nil
		}
		w.again(name) // with them
		return
	}
	if len(m.items) == 0 {
		w.remove(name)
		return
	}
	m.Next = m.Next.Rebase(time.Now())
	o.failed = append(o.failed, &m)
}

// waiting returns those events that a destination has still to get.
func (w *worker) waiting(dest string, ids []string) []*item {
	var out []*item
	for _, id := range ids {
		it := w.items[id]
		if it == nil {
			continue
		}
		if p := it.deliveryTo(dest); p == nil || p.pending() && p.msg == nil {
			out = append(out, it)
		}
	}
	return out
}

// sweepMessages removes the files of messages that arrived and whose events
// are all finished. Until then they say that the events have been told there.
func (w *worker) sweepMessages() {
	w.doneMessages = slices.DeleteFunc(w.doneMessages, func(m *message) bool {
		for _, id := range slices.Concat(m.Members, m.Along) {
			if w.items[id] != nil || w.isUnread(id) {
				return false
			}
		}
		w.remove(messageFile(m.ID))
		return true
	})
}
