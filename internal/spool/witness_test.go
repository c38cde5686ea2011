package spool

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A witness says which session the system log knows, and nothing else.
func TestDropTakesAWitnessByItsWord(t *testing.T) {
	e := event.Event{
		V: event.Version, ID: event.NewID(), Kind: event.KindWitness, Time: time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC), Host: "db1.example.com",
		Via: event.ViaWatch, Service: "su", User: "root", Witness: event.Witness{By: "alice"}, Session: event.Session{PID: 4711},
	}
	more := e
	more.Remote.IP, more.Remote.Name = netip.MustParseAddr("203.0.113.7"), "trusted.example.com"
	more.Login.Auth = event.Auth{Method: "publickey", Fingerprint: "SHA256:x"}
	more.Session.Start, more.Session.Boot = 1, "boot"
	more.Flags, more.Witness.Crowd = []event.Flag{event.FlagNoLogout}, true
	more.Alert = &event.Note{Severity: event.Low, Title: "all is well", Text: "look away", Only: []string{"nobody"}}
	s := dropSpool(t)
	put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, more))
	q := mustLock(t, s)
	names := mustClaim(t, q)
	if len(names) != 1 {
		t.Fatalf("claimed %q", names)
	}
	b, err := q.Read(names[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := event.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got, cmpopts.IgnoreFields(event.Event{}, "ID"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDropRefusesWitnessesOfNothing(t *testing.T) {
	for name, change := range map[string]func(*event.Event){
		"no user":         func(e *event.Event) { e.User = "" },
		"no service":      func(e *event.Event) { e.Service = "" },
		"another service": func(e *event.Event) { e.Service = "cron" },
		"PAM's own word":  func(e *event.Event) { e.Via = event.ViaPAM },
	} {
		t.Run(name, func(t *testing.T) {
			e := event.Event{ID: event.NewID(), Kind: event.KindWitness, Time: time.Now(), Via: event.ViaWatch, Service: "su", User: "root"}
			change(&e)
			s := dropSpool(t)
			put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, e))
			if names := mustClaim(t, mustLock(t, s)); len(names) > 0 {
				t.Errorf("claimed %q", names)
			}
		})
	}
}
