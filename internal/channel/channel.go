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
	"errors"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// Types are the channels that the settings can name, in the order in which they
// are listed. A new one is a line here.
func Types() []strictoml.Type[Settings] {
	return []strictoml.Type[Settings]{
		{Name: SlackType, New: func(string) Settings { return new(Slack) }},
		{Name: LogType, New: func(string) Settings { return new(Log) }},
	}
}

// Settings are the keys of a channel's own, beside those that every destination
// has: a pointer to a struct with strictoml's tags.
type Settings interface {
	// Open makes the channel of a destination called name. It reaches nobody.
	Open(name string, env Env) (Channel, error)
}

// Env is what channels work with.
type Env struct {
	Client *outbound.Client
	Log    *syslog.Writer
}

// Channel tells alerts to one destination. All methods may be called
// concurrently.
type Channel interface {
	// Name is the one in the settings. Errors do not repeat it.
	Name() string
	// Pace is the least time between two messages; 0: none.
	Pace() time.Duration
	// Send tells one alert. nil means that it was told, and every error is an
	// *Error. The request goes out once.
	Send(ctx context.Context, a event.Alert) error
}

// Checker is a channel that brings checks for doctor. One that NeedsOnline may
// reach its service, and tells nobody anything.
type Checker interface {
	Checks() []doctor.Check
}

// Class says what to do about an alert that was not told.
type Class int

// The classes.
const (
	Again  Class = iota // try again later, as it is
	Bug                 // this message can't be told, and trying it again changes nothing
	Broken              // no message can be told here, until somebody mends the destination
)

var classNames = [...]string{"again", "bug", "broken"}

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
	// and not only this alert; at most an hour; 0: it did not say.
	RetryAfter time.Duration
	// Sent: the alert may have been told nevertheless, and trying again may tell
	// it twice.
	Sent bool
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

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
		if o.Kind == outbound.Invalid {
			e.Class = Broken
		}
	}
	return e
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
	case r.Status >= 500:
		e := failed(Again, "HTTP %d%s", r.Status, said)
		e.RetryAfter, e.Sent = r.RetryAfter, true
		return e
	case r.Status >= 400:
		return failed(Broken, "HTTP %d%s", r.Status, said)
	case r.Status >= 300 && r.RedirectHost() != "":
		return failed(Broken, "redirects to %s (HTTP %d), which is not followed", r.RedirectHost(), r.Status)
	case r.Status >= 300:
		return failed(Broken, "redirects (HTTP %d), which is not followed", r.Status)
	case said == "":
		return failed(Again, "HTTP %d without a word: not %s's answer, a proxy or a login page may be in between", r.Status, name)
	}
	return failed(Again, "HTTP %d%s: not %s's answer, a proxy or a login page may be in between", r.Status, said, name)
}
