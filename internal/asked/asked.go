// Package asked owns whether a login was theirs: it asks the person in Slack, gives
// the channel's message its buttons, and makes of a click what a command would.
//
// All that it knows stands in the worker's database before it matters, so that a
// click counts after a restart, and counts once. It must never keep an alert from
// being told: what goes wrong here leaves a message without buttons.
package asked

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Options are what a Desk works with.
type Options struct {
	Bot     *channel.SlackBot // has an App
	DB      *store.DB
	Memory  *history.DB
	People  policy.People
	Zone    *time.Location
	Clock12 bool
	Log     *slog.Logger
	Alarm   func(string)     // says a thing out loud in the system log
	Now     func() time.Time // nil: time.Now
	Respond Responder        // nil: no host can be given orders
}

// Desk asks, and takes the answers. It is a channel in place of the bot, whose
// messages get buttons; Run does the rest. Safe for concurrent use.
type Desk struct {
	*channel.SlackBot
	o    Options
	app  channel.SlackApp
	wake chan struct{}
	// answered has what was answered carried out, which waits for no request.
	answered chan struct{}

	showing sync.Mutex // held while a message is sent or changed, so that the newest word stays

	mu        sync.Mutex // guards what follows
	questions map[string]*question
	loaded    bool
	members   map[string]member // by mail address
	us        us
	hold      time.Time // until when Slack wants to be left alone
}

// us is who a click must be for.
type us struct{ team, app string }

// New returns the desk of a bot that has an App.
func New(o Options) (*Desk, error) {
	app, ok := o.Bot.App()
	if !ok {
		return nil, errors.New("the bot has no app-level token")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{SlackBot: o.Bot, o: o, app: app, wake: make(chan struct{}, 1), answered: make(chan struct{}, 1), questions: map[string]*question{}, members: map[string]member{}}, nil
}

// Send is the bot's, with buttons below what is worth an answer.
func (d *Desk) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	d.showing.Lock()
	defer d.showing.Unlock()
	takes := answerable(a) && len(d.takes(ctx, a)) > 0
	q, fresh := d.questionOf(ctx, a, takes)
	if q == nil {
		return d.SlackBot.Send(ctx, a)
	}
	d.mu.Lock()
	a.Ask = q.ask(d.o.Now())
	d.mu.Unlock()
	receipt, err := d.SlackBot.Send(ctx, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && fresh:
		d.drop(q)
	case err == nil:
		q.Told, q.Shown = receipt, q.state(d.o.Now())
		q.Alert = kept(a)
		d.keep(ctx, q)
		d.poke()
	}
	return receipt, err
}

// questionOf returns the question that stands below the message of an alert: a new
// one, or that of the message which it takes the place of; nil: it has none.
func (d *Desk) questionOf(ctx context.Context, a event.Alert, takes bool) (q *question, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load(ctx)
	if ts := a.Replaces["ts"]; ts != "" {
		for _, q := range d.questions {
			if q.Told["ts"] == ts && q.Told["channel"] == a.Replaces["channel"] {
				return q, false
			}
		}
		return nil, false
	}
	if !answerable(a) || !d.loaded || len(d.questions) >= maxQuestions {
		return nil, false
	}
	q = newQuestion(a, d.o.Now())
	q.Takes = takes
	if name, is := d.o.People.Of(a.Event); is && !d.app.Never && a.Verdict.Severity >= d.app.Ask && !d.askedAlready(q.Login) {
		q.Person = &person{Name: name, Nonce: nonce()}
	}
	if err := d.keep(ctx, q); err != nil {
		return nil, false // whose buttons would do nothing
	}
	d.questions[q.ID] = q
	return q, true
}

// answerable reports whether an alert is about one login of somebody from elsewhere
// that is worth an answer: what is usual, or new and low, gets none.
func answerable(a event.Alert) bool {
	e := a.Event
	return (e.Kind == event.KindLogin && e.Login.By == "" || e.GotIn()) && a.Count == 1 && len(a.Rows) == 0 && !a.Test &&
		a.Verdict.Severity >= event.Medium
}

// askedAlready reports whether somebody was asked about a login by another message.
func (d *Desk) askedAlready(login string) bool {
	for _, q := range d.questions {
		if q.Login == login && q.Person != nil {
			return true
		}
	}
	return false
}

// poke has Run look what there is to do.
func (d *Desk) poke() { signal(d.wake) }

// signal wakes whoever waits, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// load takes up what earlier workers asked.
func (d *Desk) load(ctx context.Context) {
	if d.loaded {
		return
	}
	all, err := store.LoadAll[*question](ctx, d.o.DB, kindQuestion)
	if err != nil {
		d.o.Log.Warn("what was asked in Slack can't be read", "error", err)
		return
	}
	d.loaded = true
	for id, q := range all {
		if q != nil && q.ID == id {
			q.Alert.Zone, q.Alert.Clock12 = d.o.Zone, d.o.Clock12
			if q.Done == nil {
				q.Done = map[event.Button]press{}
			}
			d.questions[id] = q
		}
	}
}

// keep writes a question down.
func (d *Desk) keep(ctx context.Context, q *question) error {
	err := d.o.DB.WriteDurably(context.WithoutCancel(ctx), store.WriteLimit, func(t *store.Tx) error { return store.Put(t, kindQuestion, q.ID, q) })
	if err != nil {
		d.o.Log.Error("what was asked in Slack can't be written down", "error", err)
	}
	return err
}

func (d *Desk) drop(q *question) {
	delete(d.questions, q.ID)
	if err := store.Delete(context.Background(), d.o.DB, kindQuestion, q.ID); err != nil {
		d.o.Log.Warn("what was asked in Slack can't be deleted", "error", err)
	}
}

// pressed returns who pressed a button: a person of the settings by name, anybody
// else by their id; false: their clicks do not count.
func (d *Desk) pressed(user string) (by string, may bool) {
	if user == "" {
		return "", false
	}
	for name, p := range d.o.People {
		if p.Slack == user {
			return name, true
		}
	}
	for name, p := range d.o.People {
		if m := d.members[p.Email]; p.Slack == "" && p.Email != "" && m.ID == user {
			return name, true
		}
	}
	return "member " + user + " of Slack", slices.Contains(d.app.AnswersFrom, user)
}

// spokenAddress is where a login came from.
func spokenAddress(ip netip.Addr) string {
	if !ip.IsValid() {
		return "nowhere"
	}
	return ip.String()
}

// exactly returns a glob that matches a name alone; false: there is none.
func exactly(name string) (string, bool) { return name, name != "" && !strings.ContainsAny(name, "*?") }

var errUnknownLogin = fmt.Errorf("the login is not remembered: %w", history.ErrNoLogin)
