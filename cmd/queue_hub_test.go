package cmd

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/store"
)

// handsOver has a host hand over logins of users to the hub of the state folder.
func (p *place) handsOver(host string, users ...string) {
	p.t.Helper()
	db, err := store.Open(p.databaseFile(), store.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	db.BePatient(30)
	defer db.Close()
	if err := db.Migrate(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	if _, err := hub.NewRegistry(db).NewToken(p.t.Context(), hub.TokenOptions{Kind: hub.KindBearer, Name: host}); err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(p.t.Context())
	h, err := hub.New(ctx, hub.Options{DB: db, Hostname: "hub1", Log: slog.New(slog.DiscardHandler), Alarm: func(string) {}})
	if err != nil {
		p.t.Fatal(err)
	}
	wait, err := h.Start(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	b := fleet.Batch{Numbering: event.NewID()}
	for i, user := range users {
		e := event.Event{
			ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), User: user, Service: "sshd", Via: event.ViaPAM,
			Session: event.Session{PID: i + 1, Start: 1, Boot: "b007"},
		}
		line, err := e.Encode()
		if err != nil {
			p.t.Fatal(err)
		}
		b.Lines = append(b.Lines, fleet.Line{Number: int64(i + 1), Event: line})
	}
	a, err := h.Ingest(ctx, host, b)
	if err != nil || a.Stored != len(users) {
		p.t.Fatalf("%+v, %v", a, err)
	}
	stop()
	if err := wait(); err != nil {
		p.t.Fatal(err)
	}
}

// What hosts handed over is in the hub's database, and no file of the spool: the
// commands for what waits know it all the same, also while no hub runs.
func TestQueueOfAHub(t *testing.T) {
	p := remembering(t)
	p.set("[hub]\nlisten = \"127.0.0.1:8443\"\n[destination.file]\ntype = \"file\"\npath = \"" + p.home + "/told.log\"\n")
	p.handsOver("web1", "alice", "bob")
	lists := func(want ...string) {
		t.Helper()
		p.out.Reset()
		p.runs(exitDone, "queue")
		for _, w := range want {
			if !strings.Contains(p.out.String(), w) {
				t.Errorf("queue does not list %q:\n%s", w, p.out.String())
			}
		}
	}
	ref := func(user string) string {
		t.Helper()
		for line := range strings.Lines(p.out.String()) {
			if strings.Contains(line, "login of "+user+" ") {
				return strings.Fields(line)[0]
			}
		}
		t.Fatalf("no %s:\n%s", user, p.out.String())
		return ""
	}
	lists("login of alice to web1", "login of bob to web1")
	alice, bob := ref("alice"), ref("bob")
	p.out.Reset()
	p.runs(exitDone, "queue", "show", alice)
	for _, want := range []string{`"folder": "hub"`, `"from": "web1"`, `"user": "alice"`} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("show does not say %s:\n%s", want, p.out.String())
		}
	}
	p.runs(exitDone, "queue", "drop", bob)
	lists("login of alice to web1")
	if strings.Contains(p.out.String(), "bob") {
		t.Errorf("what was dropped is listed:\n%s", p.out.String())
	}
	p.runs(exitDone, "deliver", "--once")
	if lists("nothing waits"); !strings.Contains(p.read("told.log"), "alice") || strings.Contains(p.read("told.log"), "bob") {
		t.Errorf("told: %s", p.read("told.log"))
	}
}
