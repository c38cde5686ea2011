package asked

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// lookEvery is how often a desk looks what there is to do where nothing wakes it.
	lookEvery = time.Minute
	// carryAgain is how soon what could not be carried out is tried again.
	carryAgain = 5 * time.Second
	// showTries is how often it is tried to change a message.
	showTries = 8
	// sentBy is how long after it was written down a message has been sent, or never is.
	sentBy = 5 * time.Minute
	// memberFor is how long a member's id is believed.
	memberFor = 24 * time.Hour
	// kindMember is the kind of document that a member is; its name is the address.
	kindMember = "asked-member"
)

// member is who has a mail address in Slack; without an id nobody had.
type member struct {
	ID string    `json:"id,omitempty"`
	At time.Time `json:"at"`
}

// Run keeps the app's socket, asks, and carries out what was answered, until ctx
// ends. There may be one for all that share the database.
func (d *Desk) Run(ctx context.Context, tell deliver.Tell) {
	if all, err := store.LoadAll[member](ctx, d.o.DB, kindMember); err == nil {
		d.mu.Lock()
		maps.Copy(d.members, all)
		d.mu.Unlock()
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { d.listen(ctx) })
	running.Go(func() { loop(ctx, d.answered, func() time.Duration { return d.carryAll(ctx, tell) }) })
	loop(ctx, d.wake, func() time.Duration { return d.tendAll(ctx, tell) })
}

// loop calls step whenever it is woken, and when it wants to be.
func loop(ctx context.Context, wake <-chan struct{}, step func() time.Duration) {
	for ctx.Err() == nil {
		timer := time.NewTimer(min(step(), lookEvery))
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// all returns the questions, the oldest first.
func (d *Desk) all(ctx context.Context) []*question {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load(ctx)
	return slices.SortedFunc(maps.Values(d.questions), func(a, b *question) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
}

// copyOf returns a question as it is now, to be looked at while others change it.
func (d *Desk) copyOf(q *question) *question {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := *q
	c.Said, c.Done, c.Orders = slices.Clone(q.Said), maps.Clone(q.Done), slices.Clone(q.Orders)
	if q.Person != nil {
		p := *q.Person
		if p.Code != nil {
			p.Code = new(*p.Code)
		}
		c.Person = &p
	}
	return &c
}

// change alters a question and writes it down, also where ctx has ended meanwhile: what
// Slack did is done.
func (d *Desk) change(ctx context.Context, q *question, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	_ = d.keep(context.WithoutCancel(ctx), q) // said there; it is done again after a restart
}

// carryAll carries out what was answered.
func (d *Desk) carryAll(ctx context.Context, tell deliver.Tell) time.Duration {
	return min(d.orderAll(ctx), d.carryEach(ctx, tell, func(b event.Button) bool { return !isMore(b) }))
}

// isMore reports whether a press is that of somebody who wants to know more, which
// waits for Slack.
func isMore(b event.Button) bool { return strings.HasPrefix(string(b), string(event.ButtonMore)) }

func (d *Desk) carryEach(ctx context.Context, tell deliver.Tell, these func(event.Button) bool) time.Duration {
	wake := lookEvery
	for _, q := range d.all(ctx) {
		c := d.copyOf(q)
		for b, p := range c.Done {
			if p.Carried || !these(b) {
				continue
			}
			if err := d.carry(ctx, c, b, p, tell); err != nil {
				if ctx.Err() == nil {
					d.o.Log.Error("an answer in Slack can't be carried out yet", "button", string(b), "ref", event.Ref(c.Login), "error", err)
				}
				wake = carryAgain
				continue
			}
			p.Carried = true
			d.change(ctx, q, func() { q.Done[b] = p })
			d.poke()
		}
	}
	return wake
}

// tendAll asks who is to be asked, and has each message show the newest word.
func (d *Desk) tendAll(ctx context.Context, tell deliver.Tell) time.Duration {
	wake := min(lookEvery, d.carryEach(ctx, tell, isMore))
	for _, q := range d.all(ctx) {
		if d.holdLeft() > 0 {
			return min(wake, d.holdLeft())
		}
		wake = min(wake, d.tend(ctx, q))
	}
	if left := d.holdLeft(); left > 0 {
		wake = min(wake, left)
	}
	return wake
}

func (d *Desk) holdLeft() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return max(0, d.hold.Sub(d.o.Now()))
}

// tend does what a question needs now, and returns how long until it needs more.
func (d *Desk) tend(ctx context.Context, q *question) time.Duration {
	now, c := d.o.Now(), d.copyOf(q)
	age := now.Sub(c.At)
	if age > keptFor || c.Told["ts"] == "" && age > sentBy {
		d.mu.Lock()
		d.drop(q)
		d.mu.Unlock()
		return lookEvery
	}
	if c.Told["ts"] == "" {
		return sentBy - age
	}
	wake := lookEvery
	if p := c.Person; p != nil && p.Told == nil && !p.GaveUp && !c.over(now) && !c.answered() {
		if left := p.Next.Left(now); left > 0 {
			wake = min(wake, left)
		} else if again := d.ask(ctx, q, c, now); again > 0 {
			wake = min(wake, again)
		}
	}
	if p := c.Person; p != nil && p.Code != nil {
		if left := p.Code.At.Add(codeHolds).Sub(now); left > 0 {
			wake = min(wake, left)
		} else {
			d.change(ctx, q, func() {
				if q.Person.Code != nil && q.Person.Code.over(now) && !q.answered() {
					q.say(now, event.NotConfirmed, p.Name, message.NoCode)
				}
				q.Person.Code = nil
			})
		}
	}
	if p := c.Person; p != nil && p.Told != nil && !p.Overdue && !c.answered() {
		if left := p.At.Add(answerWithin).Sub(now); left > 0 {
			wake = min(wake, left)
		} else if acked, err := d.acknowledged(ctx, c); err == nil {
			d.change(ctx, q, func() {
				q.Person.Overdue = true
				if !acked && !q.answered() && q.Person.Codes == 0 {
					q.say(now, event.NoAnswer, p.Name, "")
				}
			})
		}
	}
	if !c.over(now) {
		wake = min(wake, c.At.Add(holds).Sub(now))
	}
	return min(wake, d.show(ctx, q))
}

// acknowledged reports whether somebody has said of a login that it was theirs.
func (d *Desk) acknowledged(ctx context.Context, q *question) (bool, error) {
	id, err := d.remembered(ctx, q)
	if err != nil {
		return false, nil // nobody can have
	}
	all, err := d.o.Memory.Acknowledgements(ctx, id)
	if errors.Is(err, history.ErrNoLogin) {
		return false, nil
	}
	return slices.ContainsFunc(all, func(a history.Acknowledgement) bool { return a.Undone.IsZero() }), err
}

// ask asks the person of a question whether it was them, and returns how soon to try
// again; 0: that is not needed.
func (d *Desk) ask(ctx context.Context, q, c *question, now time.Time) (again time.Duration) {
	p := c.Person
	refuse := func(why string) {
		d.change(ctx, q, func() {
			q.Person.GaveUp = true
			q.say(now, event.NotAsked, p.Name, why)
		})
	}
	if d.askedLately(p.Name, now) >= perHour {
		refuse(message.AskedTooOften)
		return 0
	}
	user, err := d.userOf(ctx, p.Name, now)
	if err == nil && user == "" {
		refuse(message.NoMember)
		return 0
	}
	var told event.Receipt
	if err == nil {
		a := c.Alert
		p.User = user
		a.Ask, a.Own = c.alone(now), event.Words{}
		// Who is asked twice would press the buttons of the first message, which is not
		// known: a worker that stops waits for the answer.
		told, err = d.Direct(context.WithoutCancel(ctx), a, user)
	}
	if ctx.Err() != nil && err != nil {
		return 0 // it is asked after the restart
	}
	if err != nil {
		d.o.Log.Warn("somebody can't be asked in Slack", "person", p.Name, "ref", event.Ref(c.Login), "error", err)
		if now.Sub(c.At) > askFor || !waits(err) && p.Tries > 0 {
			refuse(err.Error())
			return 0
		}
		d.wait(err, now)
		d.change(ctx, q, func() {
			q.Person.Tries++
			again = outbound.Backoff(q.Person.Tries, rand.Float64)
			q.Person.Next = state.CooldownFor(now, again)
		})
		return again
	}
	d.change(ctx, q, func() {
		q.Person.User, q.Person.Told, q.Person.At = user, told, now.UTC()
		q.Person.Responds = d.mayRespond(user)
		q.Person.Shown = q.aloneState(now)
		q.say(now, event.Asked, p.Name, "")
	})
	return 0
}

// askedLately returns how often somebody was asked in the last hour.
func (d *Desk) askedLately(name string, now time.Time) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.questions {
		if q.Person != nil && q.Person.Name == name && q.Person.Told != nil && now.Sub(q.Person.At) < time.Hour {
			n++
		}
	}
	return n
}

// userOf returns the id of a person in Slack: that of the settings, or of the member
// with their mail address; empty: there is none.
func (d *Desk) userOf(ctx context.Context, name string, now time.Time) (string, error) {
	p := d.o.People[name]
	if p.Slack != "" || p.Email == "" {
		return p.Slack, nil
	}
	d.mu.Lock()
	m, known := d.members[p.Email]
	d.mu.Unlock()
	if known && now.Sub(m.At).Abs() < memberFor && m.ID != "" {
		return m.ID, nil
	}
	id, err := d.Member(ctx, p.Email)
	if err != nil {
		return "", err
	}
	m = member{id, now.UTC()}
	d.mu.Lock()
	d.members[p.Email] = m
	d.mu.Unlock()
	err = d.o.DB.Write(ctx, store.WriteLimit, func(t *store.Tx) error { return store.Put(t, kindMember, p.Email, m) })
	if err != nil {
		d.o.Log.Warn("a member of Slack can't be remembered", "error", err)
	}
	return id, nil
}

// show has the messages of a question show its newest word.
func (d *Desk) show(ctx context.Context, q *question) time.Duration {
	d.showing.Lock() // a message of repeats may be on its way
	defer d.showing.Unlock()
	now, c := d.o.Now(), d.copyOf(q)
	if s := c.state(now); s != c.Shown {
		a := c.Alert
		a.Ask = c.ask(now)
		if again := d.shown(ctx, q, d.Update(ctx, a, c.Told), func() { q.Shown = s }); again > 0 {
			return again
		}
	}
	if c.Person == nil || c.Person.Told == nil {
		return lookEvery
	}
	if s := c.aloneState(now); s != c.Person.Shown {
		a := c.Alert
		a.Ask, a.Own = c.alone(now), event.Words{}
		return d.shown(ctx, q, d.Update(ctx, a, c.Person.Told), func() { q.Person.Shown = s })
	}
	return lookEvery
}

// shown notes what came of changing a message, and returns how soon to try again; 0:
// that is not needed.
func (d *Desk) shown(ctx context.Context, q *question, err error, done func()) time.Duration {
	if err != nil && ctx.Err() != nil {
		return lookEvery
	}
	now := d.o.Now()
	again := time.Duration(0)
	d.change(ctx, q, func() {
		if err == nil {
			q.Tries = 0
			done()
			return
		}
		q.Tries++
		if waits(err) && q.Tries < showTries {
			again = outbound.Backoff(q.Tries, rand.Float64)
			return
		}
		// It is gone, or somebody must mend something: what was said stands in the database.
		d.o.Log.Warn("a message in Slack can't show what was answered", "ref", event.Ref(q.Login), "error", err)
		q.Tries = 0
		done()
	})
	if again > 0 {
		d.wait(err, now)
	}
	return again
}

// waits reports whether an error may pass.
func waits(err error) bool {
	e, ok := errors.AsType[*channel.Error](err)
	return ok && e.Class == channel.Again
}

// wait leaves Slack alone for as long as it asks for.
func (d *Desk) wait(err error, now time.Time) {
	e, ok := errors.AsType[*channel.Error](err)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if until := now.Add(e.Pause()); until.After(d.hold) {
		d.hold = until
	}
}
