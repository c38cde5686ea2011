package asked

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// Responder gives the hosts of a hub orders about their logins. Its methods may be
// called concurrently.
type Responder interface {
	// Takes returns which actions a host takes; none: it takes no orders.
	Takes(ctx context.Context, host string) ([]string, error)
	// Order orders actions about the login of an event, by its id here. It is told by
	// itself, as is what becomes of it. A *NotOrderedError says why none is given.
	Order(ctx context.Context, o Order) error
	// Ordered reports whether an order was given already.
	Ordered(ctx context.Context, o Order) (bool, error)
}

// Order is what somebody chose.
type Order struct {
	Event   string // its id
	Actions []string
	For     time.Duration
	By      string
	At      time.Time // when it was chosen
}

// NotOrderedError says why no order is given, and that it is of no use to try again.
type NotOrderedError struct{ Why string }

func (e *NotOrderedError) Error() string { return e.Why }

const (
	// respondFor is how long what can be undone holds.
	respondFor = 24 * time.Hour
	// choiceHolds is how long somebody may choose, and be sure.
	choiceHolds = 10 * time.Minute
	// maxChoices is how many of a message are open at a time; the oldest goes.
	maxChoices = 8
	// openWithin is how long Slack lets a dialog be opened after a press
	// (https://docs.slack.dev/interactivity/handling-user-interaction).
	openWithin = 2500 * time.Millisecond
	// cantUndo is the action that asks once more.
	cantUndo = "end"
)

// evidence is the action that is all where no other is chosen, and comes before each.
const evidence = "evidence"

// choice is a dialog that somebody has open. Its nonce is its name.
type choice struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	By      string    `json:"by"`
	Sure    bool      `json:"sure,omitempty"` // it asks once more
	Actions []string  `json:"actions"`        // that may be chosen, or were
	Next    string    `json:"next,omitempty"` // the dialog that asks once more
	Done    bool      `json:"done,omitempty"` // it was sent off, and is ordered
}

// chosen is what somebody chose, and is to be ordered.
type chosen struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	By      string    `json:"by"`
	Actions []string  `json:"actions"`
	Carried bool      `json:"carried,omitempty"`
}

// hostOf returns the host of a login that can be given orders about it.
func hostOf(a event.Alert) string { return a.Event.Host }

// takes returns which actions the host of a login takes, in the order in which they are
// offered; none where nobody may choose.
func (d *Desk) takes(ctx context.Context, a event.Alert) []string {
	if d.o.Respond == nil || len(d.app.RespondFrom) == 0 {
		return nil
	}
	allowed, err := d.o.Respond.Takes(ctx, hostOf(a))
	if err != nil {
		d.o.Log.Warn("which orders a host takes can't be looked up", "host", hostOf(a), "error", err)
		return nil
	}
	var all []string
	for _, x := range []string{evidence, "lock", "key", "block", cantUndo} {
		if slices.Contains(allowed, x) {
			all = append(all, x)
		}
	}
	return all
}

// mayRespond reports whether a member's choice counts.
func (d *Desk) mayRespond(user string) bool { return slices.Contains(d.app.RespondFrom, user) }

// choose opens a dialog for somebody who pressed the button. It begins another each time:
// an open dialog does nothing by itself.
func (d *Desk) choose(ctx context.Context, c slack.InteractionCallback) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	d.mu.Lock()
	q := d.questions[c.ActionCallback.BlockActions[0].BlockID]
	d.mu.Unlock()
	if q == nil {
		return // it was forgotten since
	}
	copied := d.copyOf(q)
	actions := d.takes(ctx, copied.Alert)
	shown := message.Choose(copied.Alert, actions, respondFor)
	name := nonce()
	if len(actions) == 0 {
		shown = message.NotOrdered(hostOf(copied.Alert) + " takes no orders any more")
	} else {
		now := d.o.Now()
		d.change(ctx, q, func() {
			by, _ := d.pressed(c.User.ID)
			q.open(name, choice{At: now.UTC(), User: c.User.ID, By: by, Actions: actions}, now)
		})
	}
	err := d.OpenDialog(ctx, slackmsg.Dialog(shown, metaOf(q, name)), c.TriggerID)
	if err == nil {
		return
	}
	d.o.Log.Warn("a dialog can't be shown in Slack", "ref", event.Ref(q.Login), "error", err)
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), openWithin)
	defer cancel()
	if err := d.Whisper(ctx, message.NoDialog(copied.Alert), copied.Told, c.User.ID); err != nil {
		d.o.Log.Warn("nor can that be said", "error", err)
	}
}

// open keeps a dialog, in place of the oldest where there are too many.
func (q *question) open(name string, c choice, now time.Time) {
	if q.Choices == nil {
		q.Choices = map[string]choice{}
	}
	for n, old := range q.Choices {
		if now.Sub(old.At).Abs() >= choiceHolds {
			delete(q.Choices, n)
		}
	}
	for len(q.Choices) >= maxChoices {
		oldest := ""
		for n, old := range q.Choices {
			if oldest == "" || old.At.Before(q.Choices[oldest].At) {
				oldest = n
			}
		}
		delete(q.Choices, oldest)
	}
	q.Choices[name] = c
}

// metaOf is what an answer names its question and its dialog by.
func metaOf(q *question, name string) string { return q.ID + " " + name }

// submit takes a dialog that somebody sends off, and returns what they are shown then;
// nil: it closes. What was chosen is written down before it returns.
func (d *Desk) submit(ctx context.Context, c slack.InteractionCallback) (any, error) {
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load(ctx)
	id, name, _ := strings.Cut(c.View.PrivateMetadata, " ")
	q := d.questions[id]
	what, open := d.judgeDialog(q, c, name, now)
	if what != counts {
		d.o.Log.Warn("a dialog in Slack that does nothing", "why", string(what), "user", event.Clean(c.User.ID, maxWord), "team", event.Clean(c.Team.ID, maxWord))
		if q != nil && len(q.Clicks) < maxClicks {
			q.Clicks = append(q.Clicks, click{now.UTC(), event.Clean(c.User.ID, maxWord), event.Clean(c.User.TeamID, maxWord), event.ButtonRespond, what})
			_ = d.keep(ctx, q) // said there
		}
		switch what {
		case unknown:
			return shows(message.NotOrdered(message.DialogUnknown), ""), nil
		case expired:
			return shows(message.NotOrdered(message.DialogOver), ""), nil
		case used: // it comes again, and changes nothing more
			next := open.Next
			if sure, is := q.Choices[next]; is {
				open = sure
			}
			if !open.Done {
				return shows(message.Sure(q.Alert, open.Actions), metaOf(q, next)), nil
			}
			return shows(message.Ordering(q.Alert, open.Actions), ""), nil
		}
		return nil, nil
	}
	actions := open.Actions
	if !open.Sure {
		actions = chosenOf(c, open.Actions)
	}
	if len(actions) == 0 {
		return slack.NewErrorsViewSubmissionResponse(map[string]string{slackmsg.OptionsBlock: message.ChooseOne}), nil
	}
	before, wasOpen := q.Orders, q.Choices
	q.Choices = maps.Clone(q.Choices)
	if slices.Contains(actions, cantUndo) && !open.Sure {
		next := nonce()
		open.Next = next
		q.Choices[name] = open
		q.open(next, choice{At: now.UTC(), User: open.User, By: open.By, Sure: true, Actions: actions}, now)
		if err := d.keep(ctx, q); err != nil {
			q.Choices = wasOpen
			return nil, errNotKept
		}
		return shows(message.Sure(q.Alert, actions), metaOf(q, next)), nil
	}
	open.Actions, open.Done = actions, true
	q.Choices[name] = open
	q.Orders = append(slices.Clip(before), chosen{At: now.UTC(), User: c.User.ID, By: open.By, Actions: actions})
	q.say(now, event.Saying(event.ButtonRespond), open.By, strings.Join(actions, ", "))
	if err := d.keep(ctx, q); err != nil {
		q.Choices, q.Orders, q.Said = wasOpen, before, q.Said[:len(q.Said)-1]
		return nil, errNotKept
	}
	d.o.Log.Info("a dialog in Slack", "by", open.By, "ref", event.Ref(q.Login), "actions", actions)
	d.poke()
	return shows(message.Ordering(q.Alert, actions), ""), nil
}

// judgeDialog holds an answer against everything that is known of its dialog.
func (d *Desk) judgeDialog(q *question, c slack.InteractionCallback, name string, now time.Time) (outcome, choice) {
	if d.us.team == "" || c.Team.ID != d.us.team || c.APIAppID != d.us.app || c.User.TeamID != "" && c.User.TeamID != d.us.team {
		return foreign, choice{}
	}
	if c.View.CallbackID != slackmsg.DialogCallback {
		return notAButton, choice{}
	}
	if !d.mayRespond(c.User.ID) { // before anything is said of what is known
		return notAllowed, choice{}
	}
	if q == nil || name == "" {
		return unknown, choice{}
	}
	open, is := q.Choices[name]
	switch {
	case !is:
		return unknown, choice{}
	case open.User != c.User.ID:
		return notAllowed, choice{}
	case q.over(now), now.Sub(open.At).Abs() >= choiceHolds:
		return expired, choice{}
	case open.Done, open.Next != "":
		return used, open
	}
	return counts, open
}

// chosenOf returns which of the actions that were offered somebody chose.
func chosenOf(c slack.InteractionCallback, offered []string) (all []string) {
	if c.View.State == nil {
		return nil
	}
	selected := c.View.State.Values[slackmsg.OptionsBlock][slackmsg.OptionsAction].SelectedOptions
	for _, x := range offered {
		if slices.ContainsFunc(selected, func(o slack.OptionBlockObject) bool { return o.Value == x }) {
			all = append(all, x)
		}
	}
	return all
}

// shows has a dialog take the place of the one that was sent off.
func shows(m message.Dialog, meta string) any {
	return slack.NewUpdateViewSubmissionResponse(slackmsg.Dialog(m, meta))
}

// orderAll has the hosts ordered to do what was chosen, and returns when to try again.
func (d *Desk) orderAll(ctx context.Context) time.Duration {
	wake := lookEvery
	for _, q := range d.all(ctx) {
		c := d.copyOf(q)
		for i, x := range c.Orders {
			if x.Carried {
				continue
			}
			why, err := d.order(ctx, c, x)
			if err != nil {
				if ctx.Err() == nil {
					d.o.Log.Error("an order can't be given yet", "ref", event.Ref(c.Login), "error", err)
				}
				wake = carryAgain
				continue
			}
			d.change(ctx, q, func() {
				q.Orders[i].Carried = true
				if why != "" {
					q.say(d.o.Now(), event.NotOrdered, x.By, why)
				}
			})
			d.poke()
		}
	}
	return wake
}

// byInSlack is who orders, as it is told.
func byInSlack(by string) string {
	if strings.HasSuffix(by, " of Slack") {
		return by
	}
	return by + message.BySlack
}

// order gives an order. What was chosen long ago is not done any more: whoever chose
// does not expect it.
func (d *Desk) order(ctx context.Context, q *question, x chosen) (why string, err error) {
	o := Order{Event: q.Login, Actions: slices.DeleteFunc(slices.Clone(x.Actions), func(a string) bool { return a == evidence }), For: respondFor, By: byInSlack(x.By), At: x.At}
	if d.o.Respond == nil {
		return message.NoOrders, nil
	}
	if given, err := d.o.Respond.Ordered(ctx, o); given || err != nil {
		return "", err
	}
	if d.o.Now().Sub(x.At).Abs() >= choiceHolds {
		return message.DialogOver, nil
	}
	err = d.o.Respond.Order(ctx, o)
	if no, ok := errors.AsType[*NotOrderedError](err); ok {
		return no.Why, nil
	}
	return "", err
}
