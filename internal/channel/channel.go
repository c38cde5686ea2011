// Package channel is the registry of the ways to reach somebody. A channel is one
// file: its name and its settings, how it puts an alert into the form of one
// service and sends it once, what became of that, and how doctor looks at it.
//
// It must never loop or wait (quick retries are outbound's, long ones the
// spool's), choose a colour or a severity, or know of the spool, of look-ups or
// of the settings file. An error never contains a secret.
package channel

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// Settings are the keys of a channel's own, beside those that every destination
// has: a pointer to a struct with strictoml's tags.
type Settings interface {
	// Open makes the channel of a destination called name. It reaches nobody.
	Open(name string, env Env) (Channel, error)
}

// Env is what channels work with.
type Env struct {
	Client  *outbound.Client
	RootCAs *x509.CertPool // of connections that are not Client's; nil: the machine's
	Log     *syslog.Writer
}

// Channel tells alerts to one destination. All methods may be called
// concurrently.
type Channel interface {
	// Name is the one in the settings. Errors do not repeat it.
	Name() string
	// Traits are the same in each call.
	Traits() Traits
	// Send tells one alert. A nil error means that it was told, and every error
	// is an *Error. The request goes out once. The receipt, which may be nil, is
	// what a later alert gets as Parent or Replaces.
	Send(ctx context.Context, a event.Alert) (event.Receipt, error)
}

// Traits are what the worker must know of a channel.
type Traits struct {
	Pace  time.Duration // least time between two messages; 0: none, and each event by itself
	Retry Retry
	// PerDay is how many messages may be sent in a day of the host's zone, a
	// fifth of them kept for critical ones; 0: as many as there are.
	PerDay int
}

// Retry says whether a message that may have been told may be sent again.
type Retry int

// The answers.
const (
	May   Retry = iota // it may: twice is better than never
	Safe               // it may, and the service sees that it is the same one
	Never              // it may not: each costs money, or wakes somebody
)

var retryNames = [...]string{"may", "safe", "never"}

func (r Retry) String() string {
	if r < 0 || int(r) >= len(retryNames) {
		return fmt.Sprintf("retry(%d)", int(r))
	}
	return retryNames[r]
}

// Checker is a channel that brings checks for doctor. One that NeedsOnline may
// reach its service, and tells nobody anything.
type Checker interface {
	Checks() []doctor.Check
}

// Deferred is a channel whose service takes a message before it knows whether it
// can be told.
type Deferred interface {
	// Look says where to look whether one came; empty: the service knew.
	Look() string
}

// Worded reports which parts of a message a destination with such settings shows in
// words: its headline, and its lines. A channel that does not show both has a method
// Words that says so.
func Worded(s Settings) (headline, text bool) {
	if w, ok := s.(interface{ Words() (headline, text bool) }); ok {
		return w.Words()
	}
	return true, true
}

// Class says what to do about an alert that was not told.
type Class int

// The classes.
const (
	Again  Class = iota // try again later, as it is
	Bug                 // this message can't be told, and trying it again changes nothing
	Broken              // no message can be told here, until somebody mends the destination
	Quota               // no message can be told here before RetryAfter: a limit of a day, of a month or on spending
)

// The longest RetryAfter that counts: of Again, and of Broken and Quota.
const (
	maxPause = time.Hour
	maxRest  = 24 * time.Hour
)

var classNames = [...]string{"again", "bug", "broken", "quota"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// Error is an alert that was not told.
type Error struct {
	Class Class
	// RetryAfter is how long the destination wants to be left alone, all of it
	// and not only this alert; 0: it did not say. More than an hour counts as an
	// hour for Again, and more than a day as a day for Broken and Quota. A Broken
	// one is tried sooner where the settings are loaded anew.
	RetryAfter time.Duration
	// Sent: the alert may have been told nevertheless, and trying again may tell
	// it twice.
	Sent bool
	// Reached are those of several recipients who have the alert, from this try or
	// an earlier one; the next one passes them on in Alert.Reached. The others'
	// RetryAfter of Again keeps no other alert waiting.
	Reached []string
	// Hint is what to change, and where, in the settings or at the service; may be
	// empty.
	Hint string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Pause returns RetryAfter within the limits of the class.
func (e *Error) Pause() time.Duration {
	most := maxRest
	if e.Class == Again {
		most = maxPause
	}
	return min(max(e.RetryAfter, 0), most)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func failed(c Class, format string, args ...any) *Error {
	return &Error{Class: c, Err: fmt.Errorf(format, args...)}
}

// notAnswered classes the error of a request that got no answer. Only one that
// may not be made at all is not worth another try: networks come back,
// certificates are renewed, captive portals pass.
func notAnswered(err error) *Error {
	e := &Error{Class: Again, Err: err}
	if o, ok := errors.AsType[*outbound.Error](err); ok {
		e.Sent = o.Sent
		switch o.Kind {
		case outbound.Invalid:
			e.Class = Broken
		case outbound.DNS:
			e.Hint = "see whether the host in the address is right, and whether this host looks names up: getent hosts " + withoutPort(o.Host)
		case outbound.Refused:
			e.Hint = "see whether the service runs there, and whether the port is right"
		case outbound.Clock:
			e.Hint = "see whether this machine's clock is right: timedatectl; if it is, the service's certificate has ended"
		case outbound.TLS:
			e.Hint = "see whether the port speaks TLS, and whether the host's name is in its certificate; where its authority is your own, name it under ca_file of [outbound]"
		}
	}
	return e
}

func withoutPort(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	return name
}

// excerptLength is how much is shown of an answer that nobody expected, in
// characters.
const excerptLength = 60

// notUnderstood classes an answer by its status alone, where the body says
// nothing that is known. name is the service that should have answered.
func notUnderstood(r *outbound.Response, name string) *Error {
	said := ""
	if text := r.Excerpt(excerptLength); text != "" {
		said = fmt.Sprintf(": %q", text)
	}
	switch {
	case r.Status == 429:
		e := failed(Again, "told to wait (HTTP 429)%s", said)
		e.RetryAfter = r.RetryAfter
		return e
	case r.Status == 408 || r.Status == 425:
		return failed(Again, "HTTP %d%s", r.Status, said)
	case r.Status == 413:
		return failed(Bug, "the message is too big (HTTP 413)%s", said)
	case r.Status == 400 || r.Status == 422:
		return failed(Bug, "the message is refused (HTTP %d)%s", r.Status, said)
	case r.Status >= 500:
		e := failed(Again, "HTTP %d%s", r.Status, said)
		e.RetryAfter, e.Sent = r.RetryAfter, true
		return e
	case r.Status >= 400:
		return failed(Broken, "HTTP %d%s", r.Status, said)
	case r.Status >= 300:
		to := ""
		if host := r.RedirectHost(); host != "" {
			to = " to " + host
		}
		e := failed(Broken, "redirects%s (HTTP %d), which is not followed", to, r.Status)
		e.Hint = "put the address that it leads to into the settings; a page to log in at means that the address is wrong"
		return e
	}
	if said == "" {
		said = " without a word"
	}
	e := failed(Again, "HTTP %d%s: not %s's answer, a proxy or a login page may be in between", r.Status, said, name)
	e.Sent = true // it may be, all the same
	e.Hint = "see whether the address in the settings is all of it, and " + name + "'s own"
	return e
}
