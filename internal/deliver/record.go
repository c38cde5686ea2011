package deliver

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/state"
)

// item is an event that waits, in memory.
type item struct {
	e          event.Event
	facts      event.Facts
	memory     event.Memory
	owner      string // whose key it is
	verdict    event.Verdict
	stage      stage
	deliveries []delivery // one for each destination that must get it
	sorted     bool       // the deliveries are all there are, from an earlier worker
	rushed     bool       // its repeat window does not hold it
	login      *Delivered // of a logout: its login, if it is known
	after      *item      // of a logout: its login, if that is still to be told somewhere
	of         string     // of a witness: the login that it saw, or the witness that it repeats
	due        time.Time  // of a witness: when its login must be here
}

type stage int

const (
	claimed stage = iota
	enriching
	behindLogin // a logout whose login is not judged yet
	ready
)

// delivery is how far one destination is with one event.
type delivery struct {
	Dest string    `json:"dest"`
	Done time.Time `json:"done,omitzero"`
	Dead bool      `json:"dead,omitempty"`
	attempts

	msg *message // that carries it, once one is formed
}

// attempts is what came of trying so far.
type attempts struct {
	Since time.Time      `json:"since,omitzero"` // of the first try
	Tries int            `json:"tries,omitempty"`
	Next  state.Cooldown `json:"next,omitzero"`
	Error string         `json:"error,omitempty"`
}

func (p *delivery) pending() bool { return p.Done.IsZero() && !p.Dead }

func (it *item) deliveryTo(dest string) *delivery {
	for i := range it.deliveries {
		if it.deliveries[i].Dest == dest {
			return &it.deliveries[i]
		}
	}
	return nil
}

// ensureDelivery returns the delivery to a destination, and makes it if there is none.
// The pointer holds until the next delivery is added.
func (it *item) ensureDelivery(dest string) *delivery {
	if p := it.deliveryTo(dest); p != nil {
		return p
	}
	it.deliveries = append(it.deliveries, delivery{Dest: dest})
	return &it.deliveries[len(it.deliveries)-1]
}

// held reports whether a destination must get something else first.
func (it *item) held(dest string) bool {
	if it.after == nil {
		return false
	}
	p := it.after.deliveryTo(dest)
	return p != nil && p.pending()
}

// finished reports whether no destination still has to get the event.
func (it *item) finished() bool {
	for i := range it.deliveries {
		if it.deliveries[i].pending() {
			return false
		}
	}
	return it.stage == ready
}

func (it *item) dead() bool {
	for i := range it.deliveries {
		if it.deliveries[i].Dead {
			return true
		}
	}
	return false
}

// Record is an event in cur/ or failed/ with what has become of it: the form
// that is written as soon as something must be remembered. Until then the
// event's own file is all there is.
type Record struct {
	V          int           `json:"v"`
	Event      event.Event   `json:"event"`
	Facts      event.Facts   `json:"facts,omitzero"`
	Memory     event.Memory  `json:"memory,omitzero"`
	Owner      string        `json:"owner,omitempty"` // whose key it is
	Verdict    event.Verdict `json:"verdict,omitzero"`
	Deliveries []delivery    `json:"parts,omitempty"`
}

func (it *item) record() ([]byte, error) {
	return json.Marshal(Record{
		V: event.Version, Event: it.e, Facts: it.facts, Memory: it.memory, Owner: it.owner, Verdict: it.verdict, Deliveries: it.deliveries,
	})
}

// DecodeRecord reads an event's file, in either form.
func DecodeRecord(b []byte) (Record, error) {
	var r struct {
		V          int             `json:"v"`
		Event      json.RawMessage `json:"event"`
		Facts      event.Facts     `json:"facts"`
		Memory     event.Memory    `json:"memory"`
		Owner      string          `json:"owner"`
		Verdict    event.Verdict   `json:"verdict"`
		Deliveries []delivery      `json:"parts"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, err
	}
	if r.V > event.Version {
		return Record{}, event.ErrNewer
	}
	if r.Event == nil {
		e, err := sshauth.Decode(b)
		return Record{V: event.Version, Event: e}, err
	}
	e, err := sshauth.Decode(r.Event)
	return Record{V: r.V, Event: e, Facts: r.Facts, Memory: r.Memory, Owner: r.Owner, Verdict: r.Verdict, Deliveries: r.Deliveries}, err
}

// Tried reports whether each destination has the event or has failed to take it.
func (r Record) Tried() bool {
	for _, p := range r.Deliveries {
		if p.pending() && p.Error == "" {
			return false
		}
	}
	return len(r.Deliveries) > 0
}

// maxError is how much of a destination's answer is shown, in characters.
const maxError = 300

// Progress says in words how far a record is with each destination.
func (r Record) Progress() []string {
	var out []string
	for _, p := range r.Deliveries {
		s := event.Clean(p.Dest, maxError) + ": "
		switch {
		case !p.Done.IsZero():
			s += "done"
		case p.Dead:
			s += "given up"
		default:
			s += "waiting"
		}
		if p.Error != "" && p.Done.IsZero() {
			s += " (" + event.Clean(p.Error, maxError) + ")"
		}
		out = append(out, s)
	}
	return out
}

// The files of a queue: an event's is its id and this suffix, a message's also
// bears this prefix.
const (
	eventSuffix   = ".json"
	messagePrefix = "msg-"
)

func eventFile(id string) string { return id + eventSuffix }

func messageFile(id string) string { return messagePrefix + id + eventSuffix }

// Request is what `queue retry`, `queue drop` and `deliver --flush` ask of a
// running worker.
type Request struct {
	V   int      `json:"v"`
	Op  string   `json:"op"`
	IDs []string `json:"ids,omitempty"`
}

// The operations of a Request.
const (
	OpRetry = "retry" // without ids: all; dead letters too
	OpDrop  = "drop"  // ids of foreign files too: see spool.File
	OpFlush = "flush" // as Job.Flush
)

// Ask leaves a request for the worker of a spool.
func Ask(s *spool.Spool, r Request) error {
	r.V = event.Version
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.Put(spool.RequestName(event.NewID()), b)
	return err
}

func decodeRequest(b []byte) (Request, error) {
	var r Request
	if err := json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if r.V > event.Version {
		return r, event.ErrNewer
	}
	if r.Op != OpRetry && r.Op != OpDrop && r.Op != OpFlush {
		return r, errors.New("an unknown request")
	}
	for _, id := range r.IDs {
		if !event.ValidID(id) {
			return r, errors.New("a request for no valid id")
		}
	}
	return r, nil
}

// isRequest reports whether a file of cur/ is a request by its name.
func isRequest(name string) bool {
	_, isEvent := idOfFile(name)
	return !isEvent && spool.Claimable(name)
}

func isMessage(name string) bool {
	return strings.HasPrefix(name, messagePrefix) && strings.HasSuffix(name, eventSuffix)
}

func idOfFile(name string) (id string, ok bool) {
	id, ok = strings.CutSuffix(name, eventSuffix)
	return id, ok && event.ValidID(id)
}
