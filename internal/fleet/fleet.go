// Package fleet owns how the events of many hosts come to one hub: what host and
// hub say to each other, who is who by which certificate, and the host's end of it.
// The hub's end is package hub, another way there package jetstream.
//
// A host hands over what its spool holds, and keeps it until the hub has it for
// good. The hub believes the certificate, never the event.
package fleet

import (
	"context"
	"encoding/json"
	"time"
)

// Line is one event on its way: a line of the body of /v1/events, or a message of a
// stream.
type Line struct {
	// Number is the host's own, from 1, without a gap in what it hands over.
	Number int64 `json:"n"`
	// Event is its stored form, see event.Event.Encode.
	Event json.RawMessage `json:"event"`
}

// Limits of what a host hands over.
const (
	MaxLine     = 64 << 10 // bytes of a line
	MaxBatch    = 100      // lines of a request
	MaxBody     = 1 << 20  // bytes of a request
	MaxRequests = 10       // a second
	MaxEvents   = 2000     // a minute
)

// FreshFor is how old an event may be that goes before those that wait for longer.
const FreshFor = 5 * time.Minute

// Batch is what a host hands over at a time.
type Batch struct {
	// Numbering names the run that the lines' numbers are of: a host that lost its
	// numbers begins another.
	Numbering string
	Lines     []Line
}

// Answer is what the hub says of a batch, once it has the batch for good.
type Answer struct {
	Stored    int        `json:"stored"`
	Duplicate int        `json:"duplicate"`
	Rejected  []Rejected `json:"rejected,omitempty"`
	Have      int64      `json:"have"` // all numbers up to it are at the hub; or NotAsked
}

// NotAsked is in the place of a number that a Broker does not know: of Have, because
// the hub has not taken yet what the broker has; of a beat's Number, because the hub
// can't judge yet what it lacks.
const NotAsked = -1

// Rejected is a line that the hub will never take.
type Rejected struct {
	Number int64  `json:"n"`
	ID     string `json:"id,omitempty"`
	Why    string `json:"why"`
}

// Beat says every few minutes how a host is.
type Beat struct {
	Time      time.Time `json:"time"` // the host's clock
	Numbering string    `json:"numbering"`
	Number    int64     `json:"n"`                // the newest that was given to an event; or NotAsked
	Waiting   int       `json:"waiting"`          // events that are not at the hub
	Oldest    time.Time `json:"oldest,omitzero"`  // of those
	Dead      int       `json:"dead,omitempty"`   // dead letters
	Version   string    `json:"version"`          // of the program
	Settings  string    `json:"settings"`         // hash of the settings
	Expires   time.Time `json:"expires,omitzero"` // of the host's certificate
	Alone     bool      `json:"alone,omitempty"`  // it tells high and critical by itself meanwhile
}

// BeatAnswer is what the hub says to a beat.
type BeatAnswer struct {
	Time time.Time `json:"time"` // the hub's clock
	Have int64     `json:"have"` // as in Answer: the host sends again what is after it, but for NotAsked
}

// BeatEvery is how often a host sends a beat, give or take BeatJitter.
const (
	BeatEvery  = 5 * time.Minute
	BeatJitter = time.Minute
)

// SilentAfter is how long after its last beat a host is silent.
const SilentAfter = 3*BeatEvery + BeatJitter

// Transport is a way to the hub. Its methods may be called concurrently; their
// errors are *Error.
type Transport interface {
	// HandOver returns once the hub has the batch for good.
	HandOver(context.Context, Batch) (Answer, error)
	Beat(context.Context, Beat) (BeatAnswer, error)
	Close()
}

// Class says what to do about what the hub did not take.
type Class int

// The classes.
const (
	Again    Class = iota // later: the hub is away, or busy
	Refused               // it does not let this host in, until somebody mends that
	TooLarge              // half of the batch at a time
	Clock                 // the certificate is not valid yet or any more, by this host's clock or the hub's
)

// Error is why the hub did not take something. Its text has no secret.
type Error struct {
	Class      Class
	RetryAfter time.Duration // 0: the hub did not say
	Hint       string        // what to do; may be empty
	Err        error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// maxName is that of a label of DNS.
const maxName = 63

// ValidName reports whether a host may have a name at a hub: lower-case letters,
// digits and hyphens. A dot would be a deeper subject of a stream, and a star all
// of them.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
