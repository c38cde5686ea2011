package asked

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

const (
	// codeDigits are those of a code.
	codeDigits = 6
	// codeHolds is how long a code counts: long enough to find the terminal, and for a
	// host to hand it over.
	codeHolds = 5 * time.Minute
	// codeTries is how many wrong codes take a code back.
	codeTries = 3
	// maxCodes is how many codes one message shows: with all their tries a guess is
	// right in nine of a million.
	maxCodes = 3
)

// code is what whoever was asked must type in the session of the login.
type code struct {
	Number  string        `json:"number"`
	At      time.Time     `json:"at"`
	Wrong   int           `json:"wrong,omitempty"` // that were typed
	Session event.Session `json:"session"`
}

func (c *code) over(now time.Time) bool { return now.Sub(c.At).Abs() >= codeHolds }

// newCode returns a code that nobody can guess.
func newCode(in event.Session, now time.Time) *code {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // it never fails since Go 1.24
	}
	return &code{Number: fmt.Sprintf("%0*d", codeDigits, n), At: now.UTC(), Session: in}
}

// confirming asks whoever says that a login was theirs for a code. d.mu is held.
func (d *Desk) confirming(ctx context.Context, q *question, now time.Time) {
	p := q.Person
	in, known := q.Alert.Event.Session, q.Alert.Event.Session.PID != 0
	if !known {
		var err error
		if in, known, err = deliver.SessionOf(ctx, d.o.DB, q.Login); err != nil {
			d.o.Log.Warn("the session of a login can't be looked up", "ref", event.Ref(q.Login), "error", err)
		}
	}
	if !known {
		p.Codes = maxCodes
		q.say(now, event.NotConfirmed, p.Name, message.NoSession)
		return
	}
	p.Codes++
	p.Code = newCode(in, now)
	q.say(now, event.Confirming, p.Name, "")
}

// Typing is what came of a code that somebody typed.
type Typing string

// What can come of a code.
const (
	Right     Typing = "right"
	Wrong     Typing = "wrong"
	NotWanted Typing = "not wanted"    // nobody waits for one from that session
	Passed    Typing = "handed over"   // the hub knows
	NoLogin   Typing = "no login"      // that is known: it is none of SSH's, or was not told yet
	TooOften  Typing = "too often"     //
	Failed    Typing = "can't be kept" // see the log
)

// Typed takes a code that somebody typed in a session, by the word of the session's
// host, and says what came of it and how many tries are left.
func (d *Desk) Typed(ctx context.Context, in event.Session, number string) (became Typing, left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load(ctx)
	now := d.o.Now()
	q := d.confirms(in, now)
	d.misplaced(ctx, q, number, now)
	if q == nil {
		d.o.Log.Warn("a code that nobody waits for", "boot", in.Boot, "pid", in.PID)
		return NotWanted, 0
	}
	p, before := q.Person, len(q.Said)
	was := *p.Code
	undo := func() { p.Code, q.Said = &was, q.Said[:before]; delete(q.Done, event.ButtonMine) }
	switch {
	case same(number, p.Code.Number):
		became = Right
		p.Code = nil
		q.Done[event.ButtonMine] = press{At: now.UTC(), User: p.User, By: p.Name, Confirmed: true}
		q.say(now, event.Confirmed, p.Name, "")
	default:
		became = Wrong
		p.Code.Wrong++
		if left = codeTries - p.Code.Wrong; left <= 0 {
			p.Code = nil
			q.say(now, event.NotConfirmed, p.Name, message.WrongCodes)
		}
	}
	if err := d.keep(ctx, q); err != nil {
		undo()
		return Failed, 0
	}
	d.o.Log.Info("a code was typed", "became", string(became), "by", p.Name, "ref", event.Ref(q.Login))
	d.poke()
	signal(d.answered)
	return became, left
}

// misplaced takes a code back that somebody typed in another session than the one that
// was asked about, which is that of right: it was the wrong login that they answered for,
// and whoever is in the right session may have read it, as in the list of processes.
func (d *Desk) misplaced(ctx context.Context, right *question, number string, now time.Time) {
	for _, q := range d.questions {
		p := q.Person
		if q == right || p == nil || p.Code == nil || p.Code.over(now) || q.answered() || !same(number, p.Code.Number) {
			continue
		}
		was, before := p.Code, len(q.Said)
		p.Code = nil
		q.say(now, event.NotConfirmed, p.Name, message.OtherSession)
		if err := d.keep(ctx, q); err != nil {
			p.Code, q.Said = was, q.Said[:before]
			continue
		}
		d.o.Log.Warn("a code was typed in another session", "by", p.Name, "ref", event.Ref(q.Login))
		d.poke()
	}
}

// confirms returns the question that waits for a code from a session, the oldest.
func (d *Desk) confirms(in event.Session, now time.Time) (found *question) {
	for _, q := range d.questions {
		if p := q.Person; p == nil || p.Code == nil || p.Code.over(now) || !p.Code.Session.Same(in) || q.answered() {
			continue
		}
		if found == nil || q.At.Before(found.At) {
			found = q
		}
	}
	return found
}

// ownLogin reports whether a login is that of the person by whom a button was pressed,
// who may not acknowledge it in the channel where codes are asked for.
func (d *Desk) ownLogin(q *question, by string) bool {
	name, is := d.o.People.Of(q.Alert.Event)
	return is && name == by
}

// saysMine reports whether something was said by which the person answered.
func saysMine(s event.Said) bool {
	return slices.Contains([]event.Saying{
		event.Saying(event.ButtonMine), event.Saying(event.ButtonNotMine), event.Saying(event.ButtonAck), event.Confirming, event.Confirmed, event.NotConfirmed,
	}, s.What)
}
