package event

import "time"

// Ask is what an alert asks of those who read it, and what was said so far. A
// service with buttons shows it; the others leave it out.
type Ask struct {
	ID    string `json:"id"`    // of the question, which a click names
	Nonce string `json:"nonce"` // what its buttons carry: who has it has seen the message
	// Person is who is asked whether the login was theirs, by a message that they
	// alone get; empty: the message is everybody's.
	Person  string   `json:"person,omitempty"`
	Buttons []Button `json:"buttons,omitempty"` // that can still be pressed
	Said    []Said   `json:"said,omitempty"`    // the oldest first
	// Code is what Person is to type in the session of the login before it counts that it
	// was theirs; nil: nothing.
	Code *Code `json:"code,omitempty"`
	// ToDo: Person is told what to do now, by command.
	ToDo bool `json:"to_do,omitempty"`
}

// Code is a number that is to be typed.
type Code struct {
	Number string    `json:"number"`
	Until  time.Time `json:"until"`
	Left   int       `json:"left"`            // how many wrong ones are let pass, the last included
	Wrong  bool      `json:"wrong,omitempty"` // one was typed
}

// Button is something that can be pressed below a message.
type Button string

// The buttons.
const (
	ButtonMine    Button = "mine"     // it was me
	ButtonNotMine Button = "not_mine" // it was not
	ButtonAck     Button = "ack"      // that was us
	ButtonSilence Button = "silence"  // logins like this for a day
	ButtonMore    Button = "more"     // what else is known
	ButtonRespond Button = "respond"  // what to do now
)

// Said is one thing that became of a question.
type Said struct {
	At   time.Time `json:"at"`
	What Saying    `json:"what"`
	By   string    `json:"by,omitempty"`  // who said it, or was asked
	Why  string    `json:"why,omitempty"` // of NotAsked, NotConfirmed and NotOrdered; of ButtonRespond: the actions
}

// Saying is what was said.
type Saying string

// What there is to say, beside what a button does.
const (
	Asked    Saying = "asked"
	NotAsked Saying = "not_asked" // whoever should be can't be asked
	NoAnswer Saying = "no_answer"
	// It was them, if the code comes that was shown; it came; it did not.
	Confirming   Saying = "confirming"
	Confirmed    Saying = "confirmed"
	NotConfirmed Saying = "not_confirmed"
	// Nothing is done of what somebody chose.
	NotOrdered Saying = "not_ordered"
)
