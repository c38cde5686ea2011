package asked

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// kindQuestion is the kind of document that a question is; its name is its id.
	kindQuestion = "asked"
	// answerWithin is how long somebody has until it is said that they did not answer.
	answerWithin = message.AnswerWithin * time.Minute
	// holds is how long buttons do something.
	holds = 24 * time.Hour
	// keptFor is how long it is remembered who pressed what.
	keptFor = 7 * 24 * time.Hour
	// maxQuestions bounds what is kept; a message beyond that has no buttons.
	maxQuestions = 2000
	// maxClicks is how many clicks of one message are written down that did nothing.
	maxClicks = 20
	// perHour is how often one person is asked.
	perHour = 10
	// askFor is how long it is tried to ask somebody.
	askFor = time.Hour
)

// question is a message of a channel that can be answered, and who is asked about it
// alone.
type question struct {
	ID    string        `json:"id"`
	Alert event.Alert   `json:"alert"` // as the channel has it
	Login string        `json:"login"` // by which it is acknowledged
	At    time.Time     `json:"at"`
	Nonce string        `json:"nonce"`
	Told  event.Receipt `json:"told,omitempty"`  // of the channel's message
	Shown string        `json:"shown,omitempty"` // what that shows, see state
	// Person is who is asked alone; nil: nobody is.
	Person *person                `json:"person,omitempty"`
	Said   []event.Said           `json:"said,omitempty"`
	Done   map[event.Button]press `json:"done,omitempty"`
	Clicks []click                `json:"clicks,omitempty"` // that did nothing
	// Takes: the host takes orders, which Choices are made for and Orders are.
	Takes   bool              `json:"takes,omitempty"`
	Choices map[string]choice `json:"choices,omitempty"`
	Orders  []chosen          `json:"orders,omitempty"`
	Tries   int               `json:"tries,omitempty"` // to show the newest word, in vain
}

// person is whose login it may have been.
type person struct {
	Name    string         `json:"name"`
	Nonce   string         `json:"nonce"`
	User    string         `json:"user,omitempty"` // of Slack
	At      time.Time      `json:"at,omitzero"`    // when they were asked
	Told    event.Receipt  `json:"told,omitempty"`
	Shown   string         `json:"shown,omitempty"`
	Tries   int            `json:"tries,omitempty"`
	Next    state.Cooldown `json:"next,omitzero"`    // when to try again
	GaveUp  bool           `json:"gave_up,omitzero"` // they can't be asked
	Overdue bool           `json:"overdue,omitzero"` // it was said that there is no answer
	Code    *code          `json:"code,omitempty"`   // that they were shown, and have not typed yet
	Codes   int            `json:"codes,omitempty"`  // how many they were shown
	// Responds: they may have the host ordered to do something.
	Responds bool `json:"responds,omitempty"`
}

// press is a click that counts.
type press struct {
	At   time.Time `json:"at"`
	User string    `json:"user"`
	By   string    `json:"by"`
	// Confirmed: a code was typed in the session of the login.
	Confirmed bool `json:"confirmed,omitempty"`
	Carried   bool `json:"carried,omitempty"` // out
}

// click is one that does not count.
type click struct {
	At      time.Time    `json:"at"`
	User    string       `json:"user"`
	Team    string       `json:"team,omitempty"`
	Button  event.Button `json:"button"`
	Outcome outcome      `json:"outcome"`
}

// nonce returns 128 bits that nobody can guess, and more.
func nonce() string { return rand.Text() }

func newQuestion(a event.Alert, now time.Time) *question {
	q := &question{ID: event.NewID(), Alert: kept(a), Login: a.ID, At: now.UTC(), Nonce: nonce(), Done: map[event.Button]press{}}
	if a.Event.GotIn() && len(a.Refs) == 1 { // what the hook said of it was told before
		q.Login = a.Refs[0]
	}
	return q
}

// kept returns an alert as it is kept, to be told again with what was said of it.
func kept(a event.Alert) event.Alert {
	if a.Replaces != nil {
		a = a.Merged()
	}
	a.Ask, a.Replaces, a.Parent, a.Reached, a.NewBar = nil, nil, nil, nil, false
	return a
}

func (q *question) over(now time.Time) bool { return now.Sub(q.At) >= holds }

// answered reports whether whoever was asked has said something.
func (q *question) answered() bool {
	_, mine := q.Done[event.ButtonMine]
	_, not := q.Done[event.ButtonNotMine]
	return mine || not
}

// buttons returns those of the channel's message that still do something.
func (q *question) buttons(now time.Time) (all []event.Button) {
	if q.over(now) {
		return nil
	}
	_, denied := q.Done[event.ButtonNotMine]
	_, acked := q.Done[event.ButtonAck]
	_, silenced := q.Done[event.ButtonSilence]
	if !acked && !q.answered() {
		all = append(all, event.ButtonAck)
	}
	e := q.Alert.Event
	if _, exact := exactly(e.User); exact && e.Remote.IP.IsValid() && !silenced && !denied && q.Alert.Verdict.Severity < event.Critical {
		all = append(all, event.ButtonSilence)
	}
	all = append(all, event.ButtonMore)
	if q.Takes {
		all = append(all, event.ButtonRespond)
	}
	return all
}

// ask is what the channel's message shows.
func (q *question) ask(now time.Time) *event.Ask {
	return &event.Ask{ID: q.ID, Nonce: q.Nonce, Buttons: q.buttons(now), Said: q.Said}
}

// state names what the channel's message shows, so that it is changed only where
// that is something else.
func (q *question) state(now time.Time) string { return fmt.Sprint(q.buttons(now), len(q.Said)) }

// alone is what the person is shown who is asked.
func (q *question) alone(now time.Time) *event.Ask {
	a := &event.Ask{ID: q.ID, Nonce: q.Person.Nonce, Person: q.Person.Name}
	if c := q.Person.Code; c != nil && !c.over(now) {
		a.Code = &event.Code{Number: c.Number, Until: c.At.Add(codeHolds), Left: codeTries - c.Wrong, Wrong: c.Wrong > 0}
	}
	if !q.answered() && !q.over(now) {
		if q.canSayMine(now) {
			a.Buttons = append(a.Buttons, event.ButtonMine)
		}
		a.Buttons = append(a.Buttons, event.ButtonNotMine)
	}
	if _, not := q.Done[event.ButtonNotMine]; not && !q.over(now) {
		if q.Takes && q.Person.Responds {
			a.Buttons = append(a.Buttons, event.ButtonRespond)
		} else {
			a.ToDo = true
		}
	}
	for _, s := range q.Said {
		if saysMine(s) {
			a.Said = append(a.Said, s)
		}
	}
	return a
}

func (q *question) aloneState(now time.Time) string {
	a := q.alone(now)
	state := fmt.Sprint(a.Buttons, len(a.Said))
	if a.Code != nil {
		state += fmt.Sprint(" ", a.Code.Until.Unix(), a.Code.Left)
	}
	return state
}

// canSayMine reports whether "It was me" does something: not while a code is waited for,
// nor after the last one.
func (q *question) canSayMine(now time.Time) bool {
	c := q.Person.Code
	return (c == nil || c.over(now)) && q.Person.Codes < maxCodes
}

func (q *question) say(at time.Time, what event.Saying, by, why string) {
	q.Said = append(q.Said, event.Said{At: at.UTC(), What: what, By: by, Why: why})
}
