package netlist

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// Error says why there is no list, or none newer.
type Error struct {
	Place   string // the path or the host; empty where Err says it
	Problem string
	hint    string
	Used    time.Time // of what day the list is that is used instead; zero: none, or not known
	Err     error     // what the system or the network said; may be nil
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Place != "" {
		s = e.Place + ": " + s
	}
	if e.Err != nil && e.Err != fs.ErrNotExist && e.Err != fs.ErrPermission { // which Problem says
		s += ": " + event.Clean(e.Err.Error(), maxDetail)
	}
	if !e.Used.IsZero() {
		s += "; the list of " + e.Used.Format(time.DateOnly) + " is used"
	}
	return s
}

// Unwrap returns what the system or the network said.
func (e *Error) Unwrap() error { return e.Err }

// Hint is what to do about it, for a person; it may be empty.
func (e *Error) Hint() string { return e.hint }

// maxDetail is how much is shown of a text that is not ours, in characters.
const maxDetail = 160

// explainFile says why a file can't be used.
func explainFile(path string, err error) error {
	e := &Error{Place: path, Problem: "the list can't be read", Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Problem, e.Err, e.hint = "there is no such file", fs.ErrNotExist, "create it, or correct the path in the settings"
	case errors.Is(err, fs.ErrPermission):
		e.Problem, e.Err, e.hint = "it can't be read", fs.ErrPermission, "let sshnotify's user read it: chmod o+r "+path
	case errors.Is(err, errNoLine), errors.Is(err, errHTML):
		e.hint = "each line of a list is an address, a CIDR or a range"
	case errors.Is(err, errCompressed):
		e.hint = "unpack it"
	case errors.Is(err, errTorn):
		e.hint = "write it beside the old one and rename it"
	}
	return e
}

// explainFetch says why a list could not be got.
func explainFetch(host string, err error) *Error {
	e := &Error{Place: host, Problem: "the list could not be downloaded", Err: err}
	if oe, ok := errors.AsType[*outbound.Error](err); ok && oe.Host != "" {
		e.Place = "" // it says so itself
	}
	switch {
	case errors.Is(err, errNoLine), errors.Is(err, errHTML), errors.Is(err, errCompressed), errors.Is(err, errTooBig):
		e.Problem, e.hint = "the answer is not a list", "look at the URL in a browser, and correct it in the settings"
	}
	return e
}
