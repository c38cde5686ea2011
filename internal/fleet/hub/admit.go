package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
)

// maxAhead is how far an event may be ahead of the hub's clock. One that is more
// happened when it came: else it would be the newest for as long as it likes.
const maxAhead = 10 * time.Minute

// bootLength is how much of a host's boot id is kept: with a host's longest name it
// fits what an event keeps of one.
const bootLength = 64

// admitted is an event of a host as the hub keeps it.
type admitted struct {
	id   string
	time time.Time
	data []byte // a deliver.Record
	// note is one that says what became of an order; nil: it is of none.
	note *event.Note
}

// admitEvent returns what the hub makes of a host's event. Nothing that it says of
// whose it is, of other hosts' sessions, or of who is to be told, is believed. An
// error says why it is never taken; event.ErrNewer, that another hub would. about
// returns the event here that an order to this host is about, by its nonce, or one of
// this host's by its id here; empty: there is none.
func admitEvent(host string, labels map[string]string, stored []byte, now time.Time, about func(nonce, id string) string) (admitted, error) {
	e, err := event.Decode(stored)
	if err != nil {
		return admitted{}, err
	}
	if !slices.Contains([]event.Via{event.ViaPAM, event.ViaShell, event.ViaWatch, event.ViaCLI, event.ViaSelf}, e.Via) {
		return admitted{}, fmt.Errorf("via %q", e.Via)
	}
	if e.Kind == event.KindDigest {
		if e.Digest.Of != event.KindAttempt {
			return admitted{}, fmt.Errorf("a digest of %q", e.Digest.Of)
		}
		if e.Digest = attempts(host, e.Digest); e.Digest == nil {
			return admitted{}, errors.New("a digest of nothing")
		}
	}
	if n := e.Note(); n != nil {
		n.Only, n.Except, n.Public = nil, "", false
		admitAbout(host, e, n, about)
	}
	if a := e.Login.After; a != nil {
		a.Note = event.Note{Severity: a.Severity}
	}
	if e.Time.After(now.Add(maxAhead)) {
		e.Time = now
	}
	e.Host = host
	e.Labels = joinLabels(e.Labels, labels)
	ends := e.Kind == event.KindLogout && e.ID == event.LogoutID(e.Session)
	if e.Session != (event.Session{}) {
		e.Session.Boot = host + ":" + e.Session.Boot[:min(len(e.Session.Boot), bootLength)]
	}
	if e.Gate != nil {
		e.Gate.Challenge = event.HubID(host, e.Gate.Challenge)
	}
	if ends {
		e.ID = event.LogoutID(e.Session)
	} else {
		e.ID = event.HubID(host, e.ID)
	}
	b, err := e.Encode()
	if err != nil {
		return admitted{}, err
	}
	if e, err = event.Decode(b); err != nil { // it is as the worker will find it, or never is
		return admitted{}, err
	}
	data, err := json.Marshal(deliver.Record{V: event.Version, From: host, Event: e})
	a := admitted{id: e.ID, time: e.Time, data: data}
	if n := e.Note(); n != nil && n.Order != nil {
		a.note = n
	}
	return a, err
}

// admitAbout makes what a note says that it is about an event of the same host here, or
// one that this host has an order for.
func admitAbout(host string, e event.Event, n *event.Note, about func(nonce, id string) string) {
	switch {
	case e.Via != event.ViaSelf || e.Kind != event.KindAlert:
		n.Of, n.Order = "", nil
	case n.Order != nil:
		if n.Of = about(n.Order.Nonce, ""); n.Of == "" {
			n.Order = nil
		}
	case n.Of != "" && about("", n.Of) == "": // a host knows the id here by an order alone
		n.Of = event.HubID(host, n.Of)
	}
}

// attempts returns what a host may say in a digest: how often somebody tried to get
// in there. nil: nothing.
func attempts(host string, d *event.Digest) *event.Digest {
	out := &event.Digest{Of: event.KindAttempt, Attacks: max(0, d.Attacks), First: d.First, Last: d.Last, Failures: d.Failures}
	for _, r := range d.Rows {
		if r.Kind == event.KindAttempt {
			r.Host = host
			out.Rows = append(out.Rows, r)
		}
	}
	if out.Failures == nil && out.Rows == nil {
		return nil
	}
	return out
}

// joinLabels puts the labels that the hub gives a host over its own.
func joinLabels(own, given map[string]string) map[string]string {
	if len(given) == 0 {
		return own
	}
	all := make(map[string]string, len(own)+len(given))
	for k, v := range given {
		all[k] = v
	}
	for k, v := range own {
		if _, ok := all[k]; !ok && len(all) < maxLabels {
			all[k] = v
		}
	}
	return all
}

// maxLabels is how many an event may have, see event.Event: with one more it has none.
const maxLabels = 16
