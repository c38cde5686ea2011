package message

import (
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Response is one step of what somebody does about an event, as it is told.
type Response struct {
	Ref, By string
	What    string   // an action: "Lock the account alice"
	Became  string   // done, partly, failed, refused or already
	Said    []string // what was found and done
	Left    []string // what still has to be looked at
	Undo    bool     // it can be undone
}

// ResponseBegun says that somebody is about to act, and what the evidence that they
// took first can be known by. sum is empty where none was kept.
func ResponseBegun(ref, by string, actions []string, processes int, sum string) event.Note {
	text := "To come: " + strings.Join(actions, ", ") + ". "
	if sum == "" {
		text += "No evidence was kept."
	} else {
		text += fmt.Sprintf("Evidence was taken before it, of %s; the SHA-256 of its SHA256SUMS is %s.", pluralOf(processes, "process", "processes"), sum)
	}
	return own("Response to "+ref+" begun by "+by, text)
}

// Responded says what became of one step. All of them are high: whoever can do this
// can do harm by it.
func Responded(r Response) event.Note {
	became := map[string]string{
		"done": "done", "partly": "done, and something is left", "failed": "FAILED", "refused": "refused", "already": "was so already",
	}[r.Became]
	text := "By " + r.By + "."
	if len(r.Said) > 0 {
		text += " " + sentence(strings.Join(r.Said, "; "))
	}
	if len(r.Left) > 0 {
		text += " Left: " + sentence(strings.Join(r.Left, "; "))
	}
	if r.Undo {
		text += " To undo it: sshnotify respond undo " + r.Ref
	}
	return own("Response to "+r.Ref+", "+became+": "+r.What, text)
}

// Undone says what became of undoing a step.
func Undone(r Response) event.Note {
	r.Undo = false
	n := Responded(r)
	n.Title = strings.Replace(n.Title, "Response", "Undo of the response", 1)
	return n
}

// sentence ends a text as one.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func pluralOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
