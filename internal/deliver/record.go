package deliver

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unique"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/state"
)

// item is an event that waits, in memory.
type item struct {
	e          event.Event
	from       string       // at a hub: the host that handed it over; empty: this one's own
	taken      time.Time    // when this worker took it up
	facts      *event.Facts // of its address, and of all others from there; nil: nothing is known
	seen       *seen        // what a message says of the memory; nil: nothing
	owner      string       // whose key it is
	verdict    event.Verdict
	stage      stage
	deliveries []delivery // one for each destination that must get it
	sorted     bool       // the deliveries are all there are, from an earlier worker
	rushed     bool       // its repeat window does not hold it
	login      *Delivered // of a logout: its login, if it is known
	after      *item      // of a logout: its login, if that is still to be told somewhere
	of         string     // of a witness: the login that it saw, or the witness that it repeats; of who got in after failures, the login
	first      *Delivered // what the hook or the watcher said of the same login before it
	quiet      bool       // of who got in after failures: nobody is told
	silence    string     // that kept it from being told, and why
	due        time.Time  // of a witness: when its login must be here
}

// seen is the part of event.Memory that people are told: the rest, three times as
// much, is for the verdict alone, and not kept until the event is told.
type seen struct {
	young                  bool
	networks               int
	user, address, network event.Seen
}

func seenOf(m event.Memory) *seen {
	if !m.Known {
		return nil
	}
	return &seen{m.Young, m.Networks, m.User, m.Address, m.Network}
}

func (s *seen) memory() event.Memory {
	if s == nil {
		return event.Memory{}
	}
	return event.Memory{Known: true, Young: s.young, Networks: s.networks, User: s.user, Address: s.address, Network: s.network}
}

// known returns what is known of the address.
func (it *item) known() event.Facts {
	if it.facts == nil {
		return event.Facts{}
	}
	return *it.facts
}

// share has an event's strings take no room of their own where others have the same.
func share(e *event.Event) {
	a := &e.Login.Auth
	for _, s := range []*string{&e.User, &e.Host, &e.Service, &e.Session.Boot, &e.Session.NS, &a.Method, &a.KeyType, &a.Fingerprint, &a.KeyID, &a.CAFingerprint} {
		*s = unique.Make(*s).Value()
	}
	e.Kind, e.Via = event.Kind(unique.Make(string(e.Kind)).Value()), event.Via(unique.Make(string(e.Via)).Value())
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
	Dest      string        `json:"dest"`
	Done      time.Time     `json:"done,omitzero"`
	Receipt   event.Receipt `json:"receipt,omitempty"` // of Done
	Dead      bool          `json:"dead,omitempty"`
	Maybe     bool          `json:"maybe,omitempty"` // of Done: it may have arrived, and is not sent again
	*Attempts               // nil: none, or none that matters any more

	msg *message // that carries it, once one is formed
}

// Attempted returns what came of trying so far.
func (p *delivery) Attempted() Attempts {
	if p.Attempts == nil {
		return Attempts{}
	}
	return *p.Attempts
}

// Attempts is what came of trying so far.
type Attempts struct {
	Since time.Time      `json:"since,omitzero"` // of the first try
	Tries int            `json:"tries,omitempty"`
	Next  state.Cooldown `json:"next,omitzero"`
	Error string         `json:"error,omitempty"`
	// Asking: a request was about to be made, and nobody has written down what
	// came of it. Unsure: an earlier one may have arrived.
	Asking bool `json:"asking,omitempty"`
	Unsure bool `json:"unsure,omitempty"`
	// Reached are those of several recipients who have it, and do not get it again.
	Reached []string `json:"reached,omitempty"`
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
	From       string        `json:"from,omitempty"` // at a hub: the host that handed it over
	Event      event.Event   `json:"event"`
	Facts      event.Facts   `json:"facts,omitzero"`
	Memory     event.Memory  `json:"memory,omitzero"`
	Owner      string        `json:"owner,omitempty"` // whose key it is
	Verdict    event.Verdict `json:"verdict,omitzero"`
	Deliveries []delivery    `json:"parts,omitempty"`
}

func (it *item) record() ([]byte, error) {
	return json.Marshal(Record{
		V: event.Version, From: it.from, Event: it.e, Facts: it.known(), Memory: it.seen.memory(), Owner: it.owner, Verdict: it.verdict, Deliveries: it.deliveries,
	})
}

// DecodeRecord reads an event's file, in either form.
func DecodeRecord(b []byte) (Record, error) {
	var r struct {
		V          int             `json:"v"`
		From       string          `json:"from"`
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
	return Record{V: r.V, From: r.From, Event: e, Facts: r.Facts, Memory: r.Memory, Owner: r.Owner, Verdict: r.Verdict, Deliveries: r.Deliveries}, err
}

// Tried reports whether each destination has the event or has failed to take it.
func (r Record) Tried() bool {
	for _, p := range r.Deliveries {
		if p.pending() && p.Attempted().Error == "" {
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
		s, tried := event.Clean(p.Dest, maxError)+": ", p.Attempted()
		switch {
		case p.Maybe:
			s += "may have arrived"
		case !p.Done.IsZero():
			s += "done"
		case p.Dead:
			s += "given up"
		default:
			s += "waiting"
		}
		if len(tried.Reached) > 0 && p.Done.IsZero() {
			s += ", " + event.Clean(strings.Join(tried.Reached, ", "), maxError) + " reached"
		}
		if tried.Error != "" && (p.Done.IsZero() || p.Maybe) {
			s += " (" + event.Clean(tried.Error, maxError) + ")"
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
