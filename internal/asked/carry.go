package asked

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
)

// carry does what a button means. After an error it is done again, which changes
// nothing more.
func (d *Desk) carry(ctx context.Context, q *question, b event.Button, p press, tell deliver.Tell) error {
	a := q.Alert
	login := message.Login{Ref: event.Ref(q.Login), User: a.Event.User, From: spokenAddress(a.Event.Remote.IP), Severity: a.Verdict.Severity}
	var n event.Note
	switch b {
	case event.ButtonMine, event.ButtonAck:
		id, err := d.remembered(ctx, q)
		note := message.InSlack
		if p.Confirmed {
			note = message.Confirmed
		}
		if err == nil {
			_, err = d.o.Memory.Acknowledge(ctx, history.Acknowledgement{Time: p.At, Event: id, By: p.By, Note: note})
		}
		if errors.Is(err, history.ErrNoLogin) { // it was forgotten: there is nothing to acknowledge
			return nil
		}
		if err != nil {
			return err
		}
		n = message.Acknowledged(login, p.By, note, false, false)
		if n.Only, err = deliver.SentTo(ctx, d.o.DB, a.ID); err != nil {
			return err
		}
	case event.ButtonNotMine:
		id, err := d.remembered(ctx, q)
		if err == nil {
			err = d.o.Memory.Deny(ctx, id, p.At)
		}
		if err != nil && !errors.Is(err, history.ErrNoLogin) {
			// Whatever the memory can't do, everybody is told.
			d.o.Log.Error("a login that was not theirs can't be remembered as such", "ref", login.Ref, "error", err)
		}
		n = message.Denied(login, p.By, "")
	case event.ButtonSilence:
		s, ok := silenceOf(q, p)
		if !ok {
			return nil
		}
		if err := deliver.AddSilence(ctx, d.o.DB, s); err != nil {
			return err
		}
		n = message.SilenceBegun(s, d.o.Zone)
	default:
		return d.more(ctx, q, p)
	}
	n.Of = a.ID
	return tell(ctx, event.Event{
		ID: event.LoginID(event.Session{Boot: "answer"}, q.ID+" "+string(b)), Kind: event.KindAlert, Time: p.At, Host: a.Event.Host, Labels: a.Event.Labels,
		User: a.Event.User, Via: event.ViaSelf, Alert: &n,
	})
}

// remembered returns the id by which the login of a question is remembered: of a
// watcher's word the hook's own.
func (d *Desk) remembered(ctx context.Context, q *question) (string, error) {
	e := q.Alert.Event
	if !e.GotIn() || q.Login != q.Alert.ID {
		return q.Login, nil
	}
	f := history.Filter{User: e.User, Since: e.Time.Add(-deliver.SameLogin), Until: e.Time.Add(deliver.SameLogin), Limit: 1}
	if ip := e.Remote.IP.Unmap().WithZone(""); ip.IsValid() {
		f.IP = netip.PrefixFrom(ip, ip.BitLen())
	}
	for found, err := range d.o.Memory.List(ctx, f) {
		return found.ID, err
	}
	return "", errUnknownLogin
}

// silenceFor is how long the button silences what is like a login.
const silenceFor = 24 * time.Hour

func silenceOf(q *question, p press) (event.Silence, bool) {
	user, exact := exactly(q.Alert.Event.User)
	ip := q.Alert.Event.Remote.IP.Unmap().WithZone("")
	if !exact || !ip.IsValid() {
		return event.Silence{}, false
	}
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64 // which one customer has
	}
	network, err := ip.Prefix(bits)
	return event.Silence{
		// The same one after a kill.
		ID: event.LoginID(event.Session{Boot: "silence by button"}, q.ID), From: p.At, Until: p.At.Add(silenceFor).Truncate(time.Second),
		User: user, Network: network, Kind: event.KindLogin, Why: message.SilencedBy, By: p.By,
	}, err == nil
}

// pastShown is how many logins are shown to who wants to know more.
const pastShown = 10

// more shows what else is known to who pressed. Nobody waits for it twice: what
// can't be shown is pressed again.
func (d *Desk) more(ctx context.Context, q *question, p press) error {
	var past []message.Past
	for e, err := range d.o.Memory.List(ctx, history.Filter{User: q.Alert.Event.User, Limit: pastShown + 1}) {
		if err != nil {
			d.o.Log.Warn("the logins before can't be read", "error", err)
			break
		}
		if e.ID == q.Login || len(past) == pastShown {
			continue
		}
		from := spokenAddress(e.IP)
		for _, s := range []string{e.ASName, e.Place.Country} {
			if s != "" {
				from += ", " + s
			}
		}
		past = append(past, message.Past{Time: e.Time, Host: e.Host, From: from})
	}
	err := d.Whisper(ctx, message.More(q.Alert, past), q.Told, p.User)
	if err != nil && !waits(err) {
		d.o.Log.Warn("what else is known of a login can't be shown in Slack", "ref", event.Ref(q.Login), "error", err)
		return nil
	}
	return err
}
