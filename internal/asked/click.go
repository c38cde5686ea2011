package asked

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/event"
)

// outcome is what became of a click. The names are kept.
type outcome string

const (
	counts     outcome = "counts"
	notAButton outcome = "no button of ours"
	foreign    outcome = "of another workspace or app"
	unknown    outcome = "of a message that is not known here"
	forged     outcome = "with another value than the message has"
	elsewhere  outcome = "of another message than the one it names"
	expired    outcome = "too late"
	notAllowed outcome = "of somebody who may not answer"
	used       outcome = "pressed before"
)

// sendingFor is how long a click waits for Slack's answer to the very message that it is
// of: Slack shows that first, and wants to know within three seconds that a click arrived.
const sendingFor = 2 * time.Second

// most of what a click has is cut to so many characters.
const maxWord = 64

// errNotKept means that a click counts, but could not be written down: whoever
// pressed is to see that nothing happened.
var errNotKept = errors.New("the click can't be written down")

// click takes a press of a button, and says what became of it. It is written down
// before it returns, and carried out by Run. Each part of it may be a lie but that
// it came over the app's own socket.
func (d *Desk) click(ctx context.Context, c slack.InteractionCallback) (outcome, error) {
	now := d.o.Now()
	var pressed *slack.BlockAction
	if c.Type == slack.InteractionTypeBlockActions && len(c.ActionCallback.BlockActions) == 1 {
		pressed = c.ActionCallback.BlockActions[0]
	}
	if pressed == nil {
		d.o.Log.Warn("a click in Slack that does nothing", "why", string(notAButton), "user", event.Clean(c.User.ID, maxWord))
		return notAButton, nil
	}
	d.sent(ctx, *pressed)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load(ctx)
	button := event.Button(event.Clean(pressed.ActionID, maxWord))
	q := d.questions[pressed.BlockID]
	what := d.judge(q, c, *pressed, now)
	if what != counts {
		d.o.Log.Warn("a click in Slack that does nothing", "why", string(what), "button", string(button), "user", event.Clean(c.User.ID, maxWord), "team", event.Clean(c.Team.ID, maxWord))
		if q != nil && len(q.Clicks) < maxClicks {
			q.Clicks = append(q.Clicks, click{now.UTC(), event.Clean(c.User.ID, maxWord), event.Clean(c.User.TeamID, maxWord), button, what})
			_ = d.keep(ctx, q) // said there
		}
		return what, nil
	}
	if button == event.ButtonRespond {
		d.o.Log.Info("a click in Slack", "button", string(button), "user", event.Clean(c.User.ID, maxWord), "ref", event.Ref(q.Login))
		return counts, nil
	}
	by := q.presser(d, c.User.ID, button)
	key, said, was := doneKey(button, c.User.ID), len(q.Said), q.Person
	if was != nil {
		q.Person = new(*was)
	}
	switch {
	case button == event.ButtonMine && d.app.Confirm:
		d.confirming(ctx, q, now)
	default:
		q.Done[key] = press{At: now.UTC(), User: c.User.ID, By: by}
		if q.answered() {
			q.Person.Code = nil
		}
		if button != event.ButtonMore {
			q.say(now, event.Saying(button), by, "")
		}
	}
	if err := d.keep(ctx, q); err != nil {
		delete(q.Done, key)
		q.Said, q.Person = q.Said[:said], was
		return what, errNotKept
	}
	d.o.Log.Info("a click in Slack", "button", string(button), "by", by, "ref", event.Ref(q.Login))
	d.poke()
	return counts, nil
}

// sent waits until the message of a button is known to be sent, or is none of ours.
func (d *Desk) sent(ctx context.Context, pressed slack.BlockAction) {
	ctx, cancel := context.WithTimeout(ctx, sendingFor)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		d.mu.Lock()
		d.load(ctx)
		q := d.questions[pressed.BlockID]
		sending := q != nil && (q.Told["ts"] == "" && same(pressed.Value, q.Nonce) ||
			q.Person != nil && q.Person.Told["ts"] == "" && same(pressed.Value, q.Person.Nonce))
		d.mu.Unlock()
		if !sending {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// same compares a value with a secret.
func same(value, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(value), []byte(secret)) == 1
}

// judge holds a click against everything that is known of its button.
func (d *Desk) judge(q *question, c slack.InteractionCallback, pressed slack.BlockAction, now time.Time) outcome {
	if d.us.team == "" || c.Team.ID != d.us.team || c.APIAppID != d.us.app || c.User.TeamID != "" && c.User.TeamID != d.us.team {
		return foreign
	}
	if q == nil {
		return unknown
	}
	button := event.Button(pressed.ActionID)
	value, at := q.Nonce, q.Told
	alone := button == event.ButtonMine || button == event.ButtonNotMine
	switch {
	case alone && q.Person != nil:
		value, at = q.Person.Nonce, q.Person.Told
	case alone:
		return unknown
	case button == event.ButtonRespond && q.Takes:
		if p := q.Person; p != nil && p.Told["ts"] != "" && c.Container.MessageTs == p.Told["ts"] {
			value, at = p.Nonce, p.Told
		}
	case button != event.ButtonAck && button != event.ButtonSilence && button != event.ButtonMore:
		return notAButton
	}
	channel := c.Channel.ID
	if channel == "" {
		channel = c.Container.ChannelID
	}
	switch {
	case !same(pressed.Value, value):
		return forged
	case at["ts"] == "" || channel != at["channel"] || c.Container.MessageTs != at["ts"]:
		return elsewhere
	case alone && c.User.ID != q.Person.User:
		return notAllowed
	}
	if button == event.ButtonRespond {
		switch {
		case !d.mayRespond(c.User.ID):
			return notAllowed
		case q.over(now):
			return expired
		}
		return counts
	}
	if by, may := d.pressed(c.User.ID); !alone && (!may || d.app.Confirm && button != event.ButtonMore && d.ownLogin(q, by)) {
		return notAllowed
	}
	switch before, done := q.Done[doneKey(button, c.User.ID)]; {
	case q.over(now):
		return expired
	case button == event.ButtonMore && done && !before.Carried,
		alone && q.answered(),
		button == event.ButtonMine && !q.canSayMine(now),
		button == event.ButtonAck && (done || q.answered()),
		button == event.ButtonSilence && done:
		return used
	}
	return counts
}

// doneKey is under what a press is kept. Each who wants to know more is shown it.
func doneKey(b event.Button, user string) event.Button {
	if b == event.ButtonMore {
		return b + event.Button(" "+user)
	}
	return b
}

// presser returns who pressed a button that counts.
func (q *question) presser(d *Desk, user string, b event.Button) string {
	if b == event.ButtonMine || b == event.ButtonNotMine {
		return q.Person.Name
	}
	by, _ := d.pressed(user)
	return by
}
