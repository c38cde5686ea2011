package message

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Asked is what stands below a message that somebody can answer.
type Asked struct {
	ID, Value string // what a click names, and carries
	Said      []Line // the oldest first
	Buttons   []Button
}

// Button is one to press.
type Button struct {
	Action event.Button
	Label  string
	Mark   Mark
	Sure   string // asked once more before it counts; empty: it counts at once
}

// Mark is how a button stands out.
type Mark int

// The marks.
const (
	Unmarked Mark = iota
	Safe
	Danger
)

// AnswerWithin is how long somebody who is asked has until it is said that they
// did not answer, in minutes.
const AnswerWithin = 10

// ask words what an alert asks. What somebody alone is asked takes the place of
// the headline, which is all that a phone shows.
func (m *Message) ask(a event.Alert) {
	q := a.Ask
	m.Asked = &Asked{ID: q.ID, Value: q.Nonce}
	for _, s := range q.Said {
		m.Asked.Said = append(m.Asked.Said, saidLine(clockOf(a), s))
	}
	for _, b := range q.Buttons {
		m.Asked.Buttons = append(m.Asked.Buttons, buttonOf(b))
	}
	if q.Code != nil {
		m.Asked.Said = append(m.Asked.Said, codeLine(a))
	}
	if q.ToDo {
		m.Asked.Said = append(m.Asked.Said, Line{
			literal("What to do now, on "), untrusted(event.Clean(shortHost(a.Event.Host), maxBy)), literal(": sudo sshnotify respond " + event.Ref(a.ID)),
		})
	}
	if q.Person != "" {
		m.Headline, m.own = question(a), nil
	}
}

// question asks whether a login was theirs.
func question(a event.Alert) Headline {
	e := a.Event
	h := Headline{Head: Line{literal("Did you just log in to "), host(e)}, Tail: Line{literal("?")}}
	if a.Late >= lateAfter && !newest(a).IsZero() {
		h.Head[0] = literal("At " + clockOf(a).minutes(newest(a)) + ", did you log in to ")
	}
	if !strings.EqualFold(e.User, a.Ask.Person) && !blank(e.User) {
		h.Head = append(h.Head, literal(" as "), untrusted(e.User))
	}
	h.From, _ = from(a)
	return h
}

// codeLine says what is to be typed, and where.
func codeLine(a event.Alert) Line {
	c := a.Ask.Code
	l := Line{}
	if c.Wrong {
		l = Line{literal(fmt.Sprintf("Wrong code, %s left. ", tries(int64(c.Left))))}
	}
	return append(l, literal("To confirm it, type in that session on "), untrusted(event.Clean(shortHost(a.Event.Host), maxBy)), literal(" until "+clockOf(a).minutes(c.Until)+": sshnotify confirm "+c.Number))
}

func buttonOf(b event.Button) Button {
	switch b {
	case event.ButtonMine:
		return Button{Action: b, Label: "It was me", Mark: Safe}
	case event.ButtonNotMine:
		return Button{Action: b, Label: "It wasn't me", Mark: Danger, Sure: "Everybody who must know is told at once that somebody else is logged in."}
	case event.ButtonAck:
		return Button{Action: b, Label: "Acknowledge", Sure: "The user, network and key of this login are usual from then on."}
	case event.ButtonSilence:
		return Button{Action: b, Label: "Silence for a day", Sure: "Logins of this user from this address are not told for 24 hours, unless they are critical."}
	case event.ButtonMore:
		return Button{Action: b, Label: "Show more"}
	case event.ButtonRespond:
		return Button{Action: b, Label: "What to do now"}
	}
	return Button{Action: b, Label: string(b)}
}

// maxBy is how much is shown of who said something, in characters.
const maxBy = 64

// saidLine is "02:17 alice: it was me".
func saidLine(c clock, s event.Said) Line {
	by := untrusted(event.Clean(cmp.Or(s.By, "somebody"), maxBy))
	at := literal(c.minutes(s.At) + " ")
	switch s.What {
	case event.Asked:
		return Line{at, literal("asked "), by, literal(" whether it was them")}
	case event.NotAsked:
		return Line{at, by, literal(" can't be asked: "), untrusted(event.Clean(s.Why, maxDetail))}
	case event.NoAnswer:
		return Line{at, literal("no answer from "), by, literal(fmt.Sprintf(" within %d minutes", AnswerWithin))}
	case event.Confirming:
		return Line{at, by, literal(": it was me; to be confirmed in the session of the login")}
	case event.Confirmed:
		return Line{at, by, literal(": it was me, confirmed in the session of the login")}
	case event.Saying(event.ButtonRespond):
		return Line{at, by, literal(" has the host ordered to do: "), untrusted(event.Clean(s.Why, maxDetail))}
	case event.NotOrdered:
		return Line{at, literal("nothing is done of what "), by, literal(" chose: "), untrusted(event.Clean(s.Why, maxDetail))}
	case event.NotConfirmed:
		return Line{at, literal("not confirmed by "), by, literal(": "), untrusted(event.Clean(s.Why, maxDetail))}
	}
	text := map[event.Button]string{
		event.ButtonMine: ": it was me", event.ButtonNotMine: ": it wasn't me", event.ButtonAck: " acknowledged it", event.ButtonSilence: " silenced logins like this for a day",
	}[event.Button(s.What)]
	return Line{at, by, literal(text)}
}

// maxDetail is how much is shown of why somebody can't be asked, in characters.
const maxDetail = 120

// Denied says that the person whose login it should have been says that it was not
// theirs.
func Denied(login Login, by, note string) event.Note {
	n := event.Note{Severity: event.Critical, Title: by + " says: it wasn't me: " + login.String(),
		Text: "Somebody else is logged in, or was. What to do now, on that host: sudo sshnotify respond " + login.Ref + "; what is known of it: sshnotify show " + login.Ref + "."}
	if note != "" {
		n.Text += " Note: " + note
	}
	return n
}

// NotAskedWhy are the reasons for which somebody is not asked, beside what Slack says.
const (
	AskedTooOften = "asked ten times within the hour already"
	NoMember      = "no member of Slack has their address"
)

// InSlack is the note of an acknowledgement by a button, and Confirmed that of one by a
// button and a code.
const (
	InSlack   = "answered in Slack"
	Confirmed = "answered in Slack, and confirmed in the session of the login"
)

// NotConfirmedWhy are the reasons for which somebody's word does not count.
const (
	NoCode     = "no code came from that session in time"
	WrongCodes = "three wrong codes came from that session"
	// OtherSession is of a code that counts no more.
	OtherSession = "the code was typed in another session: it is of another login"
	NoSession    = "its session is not known here; sshnotify ack does it"
)

// BySlack is added to the name of who orders something by a button, and NoOrders why
// none is given.
const (
	BySlack  = " in Slack"
	NoOrders = "this is no hub that gives orders any more"
)

// Typed says that somebody typed a code in the session of a login. It is told only by a
// hub that does not know of codes yet.
func Typed(ref, number string) event.Note {
	return event.Note{Severity: event.Low, Title: "A code was typed in the session of " + ref, Text: "This hub waits for none: update it.", Code: number}
}

// SilencedBy is the reason of a silence by a button.
const SilencedBy = "a button in Slack"

// More is the answer to who wants to know more of a login: what is known of it, and
// the logins of its user before it, the newest first.
func More(a event.Alert, past []Past) Message {
	a.Ask = nil
	m := New(a)
	m.own, m.Lines, m.Long = nil, details(a), true
	if a.Verdict.Severity >= event.Medium { // else it is there already
		if l := seenLine(a); len(l) > 0 {
			m.Lines = append(m.Lines, l)
		}
	}
	c := clockOf(a)
	l := label(literal("Logins before:"))
	switch {
	case len(past) == 0:
		l = append(l, literal("none is remembered"))
	default:
		l = append(l, literal(fmt.Sprintf("the last %d", len(past))))
	}
	m.Lines = append(m.Lines, l)
	for _, p := range past {
		line := Line{literal(c.brief(p.Time) + " to "), untrusted(shortHost(p.Host)), literal(" from "), untrusted(p.From)}
		m.Lines = append(m.Lines, line)
	}
	return m
}

// Past is a login before.
type Past struct {
	Time       time.Time
	Host, From string
}
