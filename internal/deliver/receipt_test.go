package deliver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// chatDest is a destination that gives each message an id, as chats do, and takes
// updates in place.
type chatDest struct{ fakeDest }

func (d *chatDest) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	if _, err := d.fakeDest.Send(ctx, a); err != nil {
		return nil, err
	}
	if a.Replaces != nil {
		return a.Replaces, nil
	}
	return event.Receipt{"ts": fmt.Sprint(len(d.got))}, nil
}

// A logout finds what its login's message got, in the life of another worker too,
// and repeats find the message that they may take the place of.
func TestReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, other := &chatDest{fakeDest{name: "chat", pace: time.Second}}, &fakeDest{name: "other", pace: time.Second}
		b := newBench(t, d, other)
		b.set.NotifyLogout = "all"
		in := login("alice", 7, 100)
		b.put(in)
		b.mustRun()
		for i := range 3 {
			b.put(login("alice", 7, 101+i))
		}
		b.mustRun()
		b.put(login("alice", 7, 110))
		b.mustRun()
		b.put(event.Event{ID: event.LogoutID(in.Session), Kind: event.KindLogout, Time: time.Now(), Host: in.Host, User: in.User, Service: in.Service, Via: event.ViaPAM, Remote: in.Remote, Session: in.Session})
		b.mustRun()

		got := d.alerts()
		if len(got) != 4 {
			t.Fatalf("%d messages", len(got))
		}
		if a := got[1]; a.Replaces["ts"] != "1" || a.Told != 1 || a.Count != 3 || a.Merged().Count != 4 || a.Parent != nil {
			t.Errorf("repeats: %+v, %d told, %d", a.Replaces, a.Told, a.Count)
		}
		if a := got[2]; a.Replaces["ts"] != "1" || a.Told != 4 || a.Merged().More || !a.Merged().First.Equal(got[0].First) {
			t.Errorf("more repeats: %+v, %d told", a.Replaces, a.Told)
		}
		if a := got[3]; a.Event.Kind != event.KindLogout || a.Parent["ts"] != "1" || a.Replaces != nil {
			t.Errorf("the logout: %+v", a)
		}
		for _, a := range other.alerts() {
			if a.Parent != nil || a.Replaces != nil {
				t.Errorf("another destination's receipt: %+v", a)
			}
		}
	})
}

// An attack's end, and what else is told of it later, answer the message of that
// attack, whatever else is going on.
func TestAnAttacksEndAnswersIt(t *testing.T) {
	attack := func(phase event.Phase, s event.Severity, by string) event.Event {
		e := event.Event{ID: event.NewID(), Kind: event.KindAttack, Time: time.Now(), Host: "db1", Via: event.ViaWatch,
			Attack: &event.Attack{Phase: phase, Detector: by, By: by, Attempts: 214, Note: event.Note{Severity: s}}}
		return e
	}
	from := func(e event.Event, ip string) event.Event {
		e.Remote.IP = netip.MustParseAddr(ip)
		return e
	}
	of := func(e event.Event, network string) event.Event {
		e.Attack.Network = netip.MustParsePrefix(network)
		return e
	}
	for _, tc := range []struct {
		name                string
		begun, other, later func() event.Event
	}{
		{"of an address", func() event.Event { return from(attack(event.PhaseBegun, event.High, "address"), "203.0.113.7") },
			func() event.Event { return from(attack(event.PhaseBegun, event.High, "address"), "203.0.113.8") },
			func() event.Event { return from(attack(event.PhaseEnded, event.Low, "address"), "203.0.113.7") }},
		{"of a network", func() event.Event { return of(attack(event.PhaseBegun, event.High, "network"), "203.0.113.0/24") },
			func() event.Event { return of(attack(event.PhaseBegun, event.High, "network"), "198.51.100.0/24") },
			func() event.Event { return of(attack(event.PhaseEnded, event.Low, "network"), "203.0.113.0/24") }},
		{"an update", func() event.Event { return from(attack(event.PhaseBegun, event.Medium, "address"), "203.0.113.7") },
			func() event.Event { return from(attack(event.PhaseBegun, event.Medium, "address"), "203.0.113.8") },
			func() event.Event { return from(attack(event.PhaseBegun, event.Critical, "address"), "203.0.113.7") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &chatDest{fakeDest{name: "chat", pace: time.Second}}
				b := newBench(t, d)
				for _, e := range []func() event.Event{tc.begun, tc.other, tc.later} {
					b.put(e())
					b.mustRun()
				}
				got := d.alerts()
				if len(got) != 3 {
					t.Fatalf("%d messages", len(got))
				}
				if got[0].Parent != nil || got[1].Parent != nil {
					t.Errorf("the attacks answer %v and %v", got[0].Parent, got[1].Parent)
				}
				if a := got[2]; a.Parent["ts"] != "1" || a.Replaces != nil {
					t.Errorf("it answers %v, and replaces %v", a.Parent, a.Replaces)
				}
			})
		})
	}
}
