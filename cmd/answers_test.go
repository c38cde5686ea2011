package cmd

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// What somebody chooses in Slack is an order that the hub signs, keeps and tells, once.
func TestOrdersOfADesk(t *testing.T) {
	dir := t.TempDir()
	db := storetest.Open(t, dir)
	db.BePatient(30)
	t.Cleanup(func() { db.Close() })
	if _, err := hub.New(t.Context(), hub.Options{
		DB: db, Hostname: "hub1", Log: slog.New(slog.DiscardHandler), Alarm: func(string) {}, Figures: figures.NewRecorder(dir, "", "1"),
	}); err != nil {
		t.Fatal(err)
	}
	login := deliver.Delivered{
		ID: event.HubID("web1", event.NewID()), From: "web1", Time: time.Now(), At: time.Now(), Kind: event.KindLogin, User: "alice", Host: "web1", IP: "203.0.113.7",
		Session: event.Session{PID: 805, Start: 1, Boot: "web1:b007"},
	}
	text, err := json.Marshal(login)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), store.WriteLimit, func(tx *store.Tx) error {
		if err := store.Put(tx, "taker", "web1", hub.Taker{Allow: []string{"lock", "end", "evidence"}, Seen: time.Now()}); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO delivered(spool, id, at, event) VALUES ('x', ?, ?, ?)`, login.ID, login.At.UnixMilli(), string(text))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	h := hubOrders{&hub.Orders{DB: db, Hostname: "hub1"}}
	for host, want := range map[string]int{"web1": 3, "db1": 0, "": 0} {
		if allow, err := h.Takes(t.Context(), host); err != nil || len(allow) != want {
			t.Errorf("%s takes %q, %v", host, allow, err)
		}
	}
	o := asked.Order{Event: login.ID, Actions: []string{"lock", "end"}, For: 24 * time.Hour, By: "carol in Slack", At: time.Now()}
	given := func(want bool) {
		t.Helper()
		if got, err := h.Ordered(t.Context(), o); err != nil || got != want {
			t.Errorf("ordered: %v, %v; want %v", got, err, want)
		}
	}
	given(false)
	if err := h.Order(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	given(true)
	o.At = time.Now().Add(time.Second) // pressed again
	given(false)
	o.Actions = nil
	given(false)
	if err := h.Order(t.Context(), o); err != nil {
		t.Errorf("evidence alone: %v", err)
	}
	all, err := h.Of(t.Context(), login.ID)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if x := all[0].Order; x.Host != "web1" || x.By != "carol in Slack" || x.For() != 24*time.Hour || !slices.Equal(x.Actions, []respond.Action{respond.Lock, respond.End}) || x.Subject.User != "alice" {
		t.Errorf("the order is %+v", x)
	}
	if x := all[1].Order; len(x.Actions) > 0 || x.For() != 0 {
		t.Errorf("the order is %+v", x)
	}
	for what, o := range map[string]asked.Order{
		"web1 does not allow that: it allows lock, end, evidence; on web1: sudo sshnotify respond " + login.ID[:event.SharedID]: {Event: login.ID, Actions: []string{"key"}, By: "carol"},
		"no event, or more than one": {Event: event.NewID(), Actions: []string{"lock"}, By: "carol"},
	} {
		err := h.Order(t.Context(), o)
		if no, ok := errors.AsType[*asked.NotOrderedError](err); !ok || !strings.Contains(no.Why, what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
}
