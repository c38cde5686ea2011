package message

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What sshnotify says on its own account. All of it is high: it means that
// something may not be delivered, or was not seen.

// Unreachable says that a destination is broken.
func Unreachable(destination string, err error) event.Note {
	return own("sshnotify can't reach its destination "+destination, fmt.Sprintf("%v. Messages for it are kept for up to seven days.", err))
}

// Recovered says that a destination that was out of order takes messages again.
func Recovered(destination string, since time.Time, waiting int) event.Note {
	text := "It was out of order since " + since.Format("2006-01-02 15:04 MST") + "."
	if waiting > 0 {
		text += fmt.Sprintf(" What waited for it comes now: %s.", plural(waiting, "event"))
	}
	n := own("sshnotify reaches its destination "+destination+" again", text)
	n.Severity = event.Low
	return n
}

// Paused says that a destination takes nothing before a time.
func Paused(destination string, until time.Time, err error) event.Note {
	return own("sshnotify's destination "+destination+" takes no more for now",
		fmt.Sprintf("%v. Messages for it are kept; the next try is at %s.", err, until.Format("2006-01-02 15:04 MST")))
}

// OverBudget says that a destination has had its messages of the day.
func OverBudget(destination string, perDay int) event.Note {
	return own("sshnotify has used up the day's messages of "+destination,
		fmt.Sprintf("%d a day, a fifth of them kept for critical ones. What comes now is counted, and told tomorrow in one message.", perDay))
}

// HostOverBudget says that one host of a hub has had its part of a destination's
// messages of the day.
func HostOverBudget(destination string, perDay int) event.Note {
	return own("One host has used up half of the day's messages of "+destination,
		fmt.Sprintf("%d a day, half of them one host's at most. What comes of it now is told tomorrow in one message. See sshnotify queue.", perDay))
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

// HeartbeatLost says that heartbeats don't arrive. hint is what to do; empty: nobody
// knows.
func HeartbeatLost(err error, hint string) event.Note {
	text := fmt.Sprintf("%v.", err)
	if hint != "" {
		text += " To mend it: " + hint + "."
	}
	return own("sshnotify's heartbeat does not arrive", text)
}

// HeartbeatArrives says that heartbeats arrive again.
func HeartbeatArrives(since time.Time) event.Note {
	n := own("sshnotify's heartbeat arrives again", "None arrived since "+since.Format("2006-01-02 15:04 MST")+".")
	n.Severity = event.Low
	return n
}

// Well are the figures of a message that says how sshnotify is.
type Well struct {
	Since, Next          time.Time // the message before, and after
	Logins, Sent, Failed int64     // logins, messages that arrived, and tries that did not, since then
	Waiting              int       // events
	Problems             []string
}

// AllWell says how sshnotify is, so that silence means something.
func AllWell(w Well) event.Note {
	const day = "Mon 2 Jan 15:04"
	n := event.Note{Severity: event.Low, Title: "sshnotify is well"}
	if len(w.Problems) > 0 {
		n.Severity, n.Title = event.Medium, "sshnotify runs, but "+strings.Join(w.Problems, ", ")
	}
	n.Text = fmt.Sprintf("Since %s: %s, %s sent", w.Since.Format(day), plural(int(w.Logins), "login"), plural(int(w.Sent), "message"))
	if w.Failed > 0 {
		n.Text += fmt.Sprintf(", %s failed", tries(w.Failed))
	}
	if w.Waiting > 0 {
		n.Text += fmt.Sprintf("; %s waiting", plural(w.Waiting, "event"))
	}
	n.Text += ". The next message like this is due on " + w.Next.Format(day+" MST") + ": if it does not come, look at the host."
	return n
}

func tries(n int64) string {
	if n == 1 {
		return "1 try"
	}
	return number(int(n)) + " tries"
}

// Acknowledged says that somebody has said of a login that it was theirs, or
// has taken that back. within: they did so out of that login's own session,
// address or key, which is as severe as the login was.
func Acknowledged(login Login, by, note string, undone, within bool) event.Note {
	n := event.Note{Severity: event.Low, Title: "Acknowledged: " + login.String(), Text: by + " said that this was expected; it is usual from now on."}
	if undone {
		n.Title, n.Text = "No longer acknowledged: "+login.String(), by+" has taken the acknowledgement back."
	}
	if note != "" {
		n.Text += " Note: " + note
	}
	if within {
		n.Severity = max(login.Severity, event.Low)
		n.Title = "Acknowledged from within: " + login.String()
		n.Text += " This was said from the same address or with the same key as the login itself."
	}
	return n
}

// Claimed says that somebody at a host says of an event that it was expected, which
// counts for nothing until it is said at the hub.
func Claimed(ref, by, note string) event.Note {
	n := event.Note{Severity: event.Low, Title: "Claimed to be expected: " + ref,
		Text: by + " said so at the host, and nothing is usual by that. If it is right, at the hub: sshnotify ack " + ref + "."}
	if note != "" {
		n.Text += " Note: " + note
	}
	return n
}

// Reminder says that nobody has acknowledged a login that was told at a time.
func Reminder(l Login, told time.Time, n int) event.Note {
	return event.Note{Severity: l.Severity, Title: "Not acknowledged: " + l.String(),
		Text: fmt.Sprintf("Told at %s. If it was expected: sshnotify ack %s. This is reminder %d; they end a day after.", told.Format("15:04 MST, 2 Jan"), l.Ref, n)}
}

// SilenceBegun says that somebody keeps events from being told for a while.
func SilenceBegun(s event.Silence, zone *time.Location) event.Note {
	return event.Note{Severity: event.Medium, Title: "Silence of " + s.String() + " until " + s.Until.In(zone).Format("15:04 MST, 2 Jan 2006"),
		Text: "Set by " + setBy(s) + ": " + s.Why + ". It is remembered and counted; what is critical is told all the same."}
}

// SilenceEnded says that a silence is over, and what it held. by is who ended it
// before its time; empty: nobody did.
func SilenceEnded(s event.Silence, by string) event.Note {
	n := event.Note{Severity: event.Medium, Title: "End of the silence of " + s.String()}
	text := "It held nothing."
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Held)) {
		parts = append(parts, plural(s.Held[k], string(k)))
	}
	if len(parts) > 0 {
		text = "It held " + strings.Join(parts, ", ") + "; the worst was " + s.Worst.String() + "."
	}
	if by != "" {
		text += " Ended by " + by + "."
	}
	n.Text = text + " Set by " + setBy(s) + ": " + s.Why + "."
	return n
}

func setBy(s event.Silence) string {
	if s.Peer == "" {
		return s.By
	}
	return s.By + " from " + s.Peer
}

// Login is a login that is spoken of.
type Login struct {
	Ref, User, From string
	Severity        event.Severity
}

func (l Login) String() string {
	return "login of " + l.User + " from " + l.From + " (ref " + l.Ref + ")"
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
