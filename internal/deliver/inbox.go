package deliver

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sshnotify/sshnotify/internal/spool"
)

// Inbox is where events wait beside the spool: at a hub, those of hosts. What is in
// it outlives a crash until it is removed. Its methods are not called concurrently;
// ids are those of events.
type Inbox interface {
	// Claimed returns what an earlier worker had claimed.
	Claimed() ([]Waiting, error)
	// Claim claims up to limit events that are fresh, or of the others, and reports
	// whether it left some because of limit. Hosts take turns, each with its oldest;
	// what it leaves because a host has its share is to be had later, see Changed.
	Claim(fresh bool, limit int) (ids []string, more bool, err error)
	// Read returns a Record; fs.ErrNotExist where it is removed.
	Read(id string) ([]byte, error)
	// Write replaces one that is claimed, durably.
	Write(id string, record []byte) error
	// Remove ends an event, claimed or not, and reports whether it was there. After a
	// power failure it may be there again.
	Remove(id string) (bool, error)
	// Changed gets a value when there may be something to claim.
	Changed() <-chan struct{}
}

// Waiting is an event of an Inbox that was claimed.
type Waiting struct {
	ID    string
	Fresh bool
}

const (
	// inboxClaim is how many late events are claimed at a time: what is fresh waits for
	// as long as these take.
	inboxClaim = 250
	// inboxShare of the worker's room is all that late events take.
	inboxShare = 2
)

// withInbox is a queue of which some events are in an inbox. Dead letters, messages
// and requests are in the spool.
type withInbox struct {
	queue
	in      Inbox
	room    int
	held    map[string]bool // claimed, and not removed; true: late
	late    int             // of these
	again   chan struct{}   // there is more to claim
	waiting bool            // late events wait for room
}

func newWithInbox(q queue, in Inbox, room int) *withInbox {
	return &withInbox{queue: q, in: in, room: max(1, room/inboxShare), held: map[string]bool{}, again: make(chan struct{}, 1)}
}

func (q *withInbox) hold(id string, late bool) {
	if _, ok := q.held[id]; ok {
		return
	}
	q.held[id] = late
	if late {
		q.late++
	}
}

// let forgets an event that is done with here.
func (q *withInbox) let(id string) {
	if q.held[id] {
		q.late--
	}
	delete(q.held, id)
	if q.waiting && q.late <= q.room/2 {
		q.waiting = false
		q.more()
	}
}

func (q *withInbox) more() {
	select {
	case q.again <- struct{}{}:
	default:
	}
}

// mine reports whether a file of the queue is an event of the inbox, and which.
func (q *withInbox) mine(name string) (id string, ok bool) {
	if id, ok = idOfFile(name); ok {
		_, ok = q.held[id]
	}
	return id, ok
}

func (q *withInbox) List() ([]string, error) {
	names, err := q.queue.List()
	if err != nil {
		return nil, err
	}
	all, err := q.in.Claimed()
	for _, w := range all {
		q.hold(w.ID, !w.Fresh)
	}
	for id := range q.held {
		names = append(names, eventFile(id))
	}
	return names, err
}

func (q *withInbox) Claim(limit int) ([]string, bool, error) {
	names, more, err := q.queue.Claim(max(1, limit/inboxShare))
	if errors.Is(err, spool.ErrLost) {
		return names, more, err
	}
	claim := func(fresh bool, limit int) (left bool) {
		if limit <= 0 {
			return true
		}
		ids, left, e := q.in.Claim(fresh, limit)
		for _, id := range ids {
			q.hold(id, !fresh)
			names = append(names, eventFile(id))
		}
		err = errors.Join(err, e)
		return left && e == nil
	}
	left := claim(true, limit-len(names))
	free := min(limit-len(names), q.room-q.late)
	if claim(false, min(free, inboxClaim)) {
		left = left || free > 0
		q.waiting = free <= 0
	}
	if left {
		q.more()
	}
	return names, more, err
}

func (q *withInbox) Read(name string) ([]byte, error) {
	id, ok := q.mine(name)
	if !ok {
		return q.queue.Read(name)
	}
	b, err := q.in.Read(id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &spool.TroubleError{Since: time.Now(), Err: err} // the database's, not the event's
	}
	return b, err
}

func (q *withInbox) Write(name string, data []byte) error {
	if id, ok := q.mine(name); ok {
		return q.in.Write(id, data)
	}
	return q.queue.Write(name, data)
}

func (q *withInbox) Remove(name string) error {
	id, ok := q.mine(name)
	if !ok {
		return q.queue.Remove(name)
	}
	q.let(id)
	_, err := q.in.Remove(id)
	return err
}

// Fail makes a file in failed/ of the event: a dead letter is one wherever it is from.
func (q *withInbox) Fail(name string, data []byte) error {
	id, ok := q.mine(name)
	if ok && data == nil {
		var err error
		if data, err = q.in.Read(id); err != nil {
			return err
		}
	}
	if err := q.queue.Fail(name, data); err != nil || !ok {
		return err
	}
	q.let(id)
	_, err := q.in.Remove(id)
	return err
}

func (q *withInbox) Refuse(name string, why error) error {
	id, ok := q.mine(name)
	if ok {
		data, err := q.in.Read(id)
		if err == nil {
			err = q.queue.Write(name, data)
		}
		if err != nil {
			return err
		}
	}
	if err := q.queue.Refuse(name, why); err != nil || !ok {
		return err
	}
	q.let(id)
	_, err := q.in.Remove(id)
	return err
}

func (q *withInbox) Discard(id string) (int, error) {
	n, err := q.queue.Discard(id)
	there, e := q.in.Remove(id)
	q.let(id)
	if there {
		n++
	}
	return n, errors.Join(err, e)
}
