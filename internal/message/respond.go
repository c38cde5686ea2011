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
func ResponseBegun(ref, by string, actions []string, processes int, sum, handed string) event.Note {
	text := "To come: " + strings.Join(actions, ", ") + ". "
	if sum == "" {
		text += "No evidence was kept."
	} else {
		text += fmt.Sprintf("Evidence was taken before it, of %s; the SHA-256 of its SHA256SUMS is %s.", pluralOf(processes, "process", "processes"), sum)
		if handed != "" {
			text += " " + sentence(handed)
		}
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

// Order is what a hub asked of a host, as it is told.
type Order struct {
	Ref, Host, By string
	Wants         string // "lock, end for 24h"
}

// OrderGiven says that somebody has a host respond to an event.
func OrderGiven(o Order) event.Note {
	return own("Order to "+o.Host+" about "+o.Ref, fmt.Sprintf("By %s: %s. %s has five minutes to fetch it, and tells what becomes of it.", o.By, o.Wants, o.Host))
}

// OrderExpired says that a host has not fetched an order in time.
func OrderExpired(o Order) event.Note {
	return own("Order about "+o.Ref+" expired: "+o.Host+" did not fetch it", fmt.Sprintf("By %s: %s. Nothing was done. On %s: sudo sshnotify respond %s", o.By, o.Wants, o.Host, o.Ref))
}

// OrderUnheard says that a host fetched an order and told nothing of it.
func OrderUnheard(o Order) event.Note {
	return own("Order about "+o.Ref+": nothing was heard of it", fmt.Sprintf("By %s: %s. %s fetched it, and has not told what became of it. On %s: sudo sshnotify respond %s", o.By, o.Wants, o.Host, o.Host, o.Ref))
}

// OrderLooked is what a host makes of an order that was only to look.
const OrderLooked = "looked"

// OrderEnded says what a host made of an order: an Outcome as Response.Became has it,
// or "refused" with the reason. said is how it went, action by action.
func OrderEnded(o Order, became, said string) event.Note {
	title := map[string]string{
		"done": "done", "partly": "done, and something is left", "failed": "FAILED", "refused": "refused", "already": "was so already", OrderLooked: "looked at, nothing done",
	}[became]
	n := own("Order about "+o.Ref+", "+title+": "+o.Wants, strings.TrimSpace("By "+o.By+". "+sentence(said)))
	if became == OrderLooked {
		n.Severity = event.Low
	}
	return n
}

// OrdersForeign says that somebody put what is no order of the hub's where those are.
func OrdersForeign(n int, folder, why string) event.Note {
	return own("No order of the hub's: somebody tries to give this host orders", fmt.Sprintf("%s in %s came to nothing, such as %s. Only sshnotify's own service and root can write there: see who is on this host.", pluralOf(n, "file", "files"), folder, why))
}
