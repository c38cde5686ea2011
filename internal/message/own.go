package message

import (
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What sshnotify says on its own account. All of it is high: it means that
// something may not be delivered, or was not seen.

// Unreachable says that a destination is broken.
func Unreachable(destination string, err error) event.Note {
	return own("sshnotify can't reach its destination "+destination, fmt.Sprintf("%v. Messages for it are kept for up to seven days.", err))
}

// GaveUp says that so many events are dead letters of a destination.
func GaveUp(destination string, events int, problem string) event.Note {
	return own("sshnotify gave up on "+destination,
		fmt.Sprintf("%s kept as dead letters: %s. See sshnotify queue, then sshnotify queue retry.", pluralIs(events, "event"), problem))
}

// InboxUnreadable says that the watcher's inbox can't be read.
func InboxUnreadable(problem string) event.Note {
	return own("sshnotify can't read its watcher's inbox",
		"What the watcher reported waits there: "+strings.TrimSuffix(problem, ".")+". See sshnotify doctor.")
}

// Refused is what the queue holds that is not an event.
type Refused struct {
	Name    string // quoted, and where it was: "x.json" in new/; empty: not known
	Why     string
	ID      string // under which it is kept
	Removed bool   // and not kept
	Count   int    // how many there were, this one among them
}

// Text returns the words for it, which are also those of the system log.
func (r Refused) Text() string {
	if r.Name == "" {
		return fmt.Sprintf("%d files in the queue are not events of ours. See sshnotify queue.", r.Count)
	}
	text := fmt.Sprintf("%s is not an event of ours: %s.", r.Name, r.Why)
	if r.Removed {
		text += " Too many are kept already, so it was removed."
	} else {
		text += fmt.Sprintf(" It is kept: sshnotify queue show %s, then sshnotify queue drop %[1]s.", event.Ref(r.ID))
	}
	if r.Count > 1 {
		text += fmt.Sprintf(" And %d more: sshnotify queue lists them.", r.Count-1)
	}
	return text
}

// Note returns the alert about it.
func (r Refused) Note() event.Note { return own("sshnotify refused a file in its queue", r.Text()) }

// Unchecked says that a log told of more sessions in a minute than could be held
// against the hook's reports.
func Unchecked(source string, most int) event.Note {
	return own("Not all sessions could be checked",
		fmt.Sprintf("%s tells of more than %d sessions in a minute: whether the login hook reported the others is not known. Anybody can write into that file with logger(1).", source, most))
}

func own(title, text string) event.Note {
	return event.Note{Severity: event.High, Title: title, Text: text}
}

func pluralIs(n int, of string) string {
	if n == 1 {
		return "1 " + of + " is"
	}
	return plural(n, of) + " are"
}
