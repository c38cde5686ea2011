package watch

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Addr is an address, as everywhere.
type Addr = netip.Addr

// eventID names what was found for ever: the same lines give the same id,
// however often they are read.
func eventID(parts ...string) string {
	return event.LoginID(event.Session{Boot: "watch"}, strings.Join(parts, "\x00"))
}

// found makes of a finding what is to be told of it.
func (w *Watcher) found(f attack.Finding) error {
	switch f.Kind {
	case attack.SuccessAfter:
		return w.Put(w.attackEvent(f))
	case attack.Flooding:
		w.Log.Warn("a flood: more come than can be counted, and attempts are given up; how many is told")
	case attack.Flooded:
		e := w.attackEvent(f)
		e.ID = eventID(string(f.Kind), w.Host, f.Attack)
		title, text := message.Note(e, w.Zone)
		w.Log.Warn(title, "from", f.First.UTC(), "to", f.Last.UTC(), "what", text)
		return w.Put(e)
	case attack.Begun:
		if w.Each {
			return w.Put(w.attackEvent(f))
		}
		if w.Pending != nil {
			w.Pending.Attacks++
		}
	case attack.Ended:
		if w.Published != nil {
			for _, e := range w.Published(f) {
				if err := w.Put(e); err != nil {
					return err
				}
			}
		}
		if w.Each {
			return w.Put(w.attackEvent(f))
		}
	}
	return nil
}

// attackEvent returns what is stored of a finding.
func (w *Watcher) attackEvent(f attack.Finding) event.Event {
	a := &event.Attack{
		Note: event.Note{Severity: f.Severity()}, Phase: event.Phase(f.Kind), Detector: f.Detector, By: string(f.By),
		Attempts: f.Attempts, FromAddress: f.FromAddress, OwnFailures: f.OwnFailures, FromNetwork: f.FromNetwork, NetworkAccounts: f.NetworkAccounts,
		AgainstUser: f.AgainstUser, DroppedFrom: f.DroppedFrom, DroppedAgainst: f.DroppedAgainst,
		First: f.First, Last: f.Last, Names: f.Names, Addresses: f.Addresses, Services: f.Services, Flood: event.Flood(f.Flood),
	}
	e := event.Event{
		ID: eventID(f.Attack, string(f.Kind)), Kind: event.KindAttack, Time: f.Time.UTC(), Host: w.Host, Labels: w.Labels,
		Via: event.ViaWatch, Remote: event.Remote{IP: f.IP}, Attack: a,
	}
	switch {
	case f.Kind == attack.SuccessAfter:
		e.User, e.Service, e.Remote.Port = f.User, f.Service, f.Port
		a.Auth = event.Auth{Method: f.Method, Fingerprint: f.Key}
	case len(f.Services.Most) > 0:
		e.Service = f.Services.Most[0].Name
	}
	switch f.By {
	case attack.ByUser:
		e.User = f.User
	case attack.ByNetwork:
		a.Network = f.Network
	}
	return e
}

// matched makes an event of a pattern's match, and runs what goes with it.
func (w *Watcher) matched(m pattern.Match, key string) error {
	at := m.Time
	if at.IsZero() {
		at = w.now()
	}
	id := eventID("match", m.Digest, key)
	if key == "" {
		id = eventID("match", m.Digest, at.UTC().Format(time.RFC3339Nano))
	}
	e := event.Event{
		ID: id, Kind: event.KindMatch, Time: at.UTC(), Host: w.Host, Labels: w.Labels, Via: event.ViaWatch,
		Remote: event.Remote{IP: m.IP},
		Match:  &event.Match{Pattern: m.Pattern, Note: event.Note{Severity: m.Severity, Title: m.Title, Text: m.Text, Only: m.Destinations}},
	}
	if err := w.Put(e); err != nil {
		return err
	}
	if w.Runner != nil && m.Exec != nil && !w.Runner.Run(m) {
		w.Log.Warn("a match's program is not run, too many wait", "pattern", m.Pattern)
	}
	return nil
}
