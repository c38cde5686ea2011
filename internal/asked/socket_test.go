package asked

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// A socket that is cut, or that Slack wants closed, is opened again, never two at a
// time; and what was pressed meanwhile counts when it comes, in whatever order.
func TestSocketComesBack(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	b := newBench(t, standin.SlackAppOptions{})
	b.login()
	q := b.asked(alice)
	b.slack.Drop()
	mine, err := b.slack.Press(q, string(event.ButtonMine), alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	not, err := b.slack.Press(q, string(event.ButtonNotMine), alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.until("the socket is gone", func() bool { open, _, _ := b.slack.Sockets(); return open == 0 })
	b.deliver(not) // the later press comes first
	b.deliver(mine)
	b.slack.Refresh()
	b.until("another socket", func() bool { open, _, all := b.slack.Sockets(); return open == 1 && all >= 3 })
	b.deliver(mine)
	b.shows(standin.SlackChannel, "alice: it wasn't me", "more")
	if _, most, _ := b.slack.Sockets(); most != 1 {
		t.Errorf("%d sockets at a time", most)
	}
	b.until("told", func() bool { return len(b.events()) == 1 })
}

// Slack's limits are kept to, within limits of ours, and its faults pass.
func TestSlackAsksToWait(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	limited := &standin.Answer{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: `{"ok":false,"error":"ratelimited"}`}
	b := newBench(t, standin.SlackAppOptions{Behave: func(method string, n int) *standin.Answer {
		switch {
		case n == 1 && (method == "apps.connections.open" || method == "chat.update"):
			return limited
		case n == 2 && method == "chat.postMessage": // the question
			return limited
		case n == 2 && method == "apps.connections.open":
			return &standin.Answer{Status: 200, Body: `{"ok":true,"url":"ws://swordfish.example.com/?ticket=ticket-swordfish"}`}
		}
		return nil
	}})
	b.login()
	q := b.asked(alice)
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
	if log := b.logged(); strings.Contains(log, "swordfish") {
		t.Errorf("a secret is logged: %s", log)
	}
}

// What Slack refuses is said where people look, and the alert is told all the same.
func TestMissingScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, standin.SlackAppOptions{Scopes: []string{"chat:write"}})
	b.login(of("bob"))
	b.until("tried", func() bool { return b.slack.Calls("users.lookupByEmail") == 1 })
	for range 3 { // as often as it is tried
		b.later(time.Minute)
	}
	b.shows(standin.SlackChannel, "bob can't be asked: missing_scope", "ack", "silence", "more")
}

// A click that can't be written down is not acknowledged, so that Slack shows whoever
// pressed that nothing happened.
func TestClickThatIsNotKept(t *testing.T) {
	standin.Gate(t)
	b := newBench(t, standin.SlackAppOptions{})
	b.login()
	q := b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more") // and nothing else is written
	b.db.Close()
	path := b.db.Path()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for { // no file can be made there
		err := os.Mkdir(path, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		b.db.Close() // somebody looked into it in between, and made it again
		os.Remove(path)
	}
	b.db.Close()
	envelope, err := b.slack.Press(q, string(event.ButtonMine), alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.slack.Send(t.Context(), envelope); err != nil {
		t.Fatal(err)
	}
	b.until("said", func() bool { return strings.Contains(b.logged(), "can't be written down") })
	if _, acked := b.slack.Acked(envelope["envelope_id"].(string)); acked {
		t.Error("it is acknowledged")
	}
	for _, left := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	b.until("the file is used again", func() bool {
		return b.db.Write(t.Context(), store.WriteLimit, func(*store.Tx) error { return nil }) == nil
	})
	b.deliver(envelope)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
}

// Two workers of one spool have one socket, and what it wasn't is told in the thread
// of the login and by every destination.
func TestTwoWorkersOneSocket(t *testing.T) {
	t.Parallel()
	slack, err := standin.StartSlackApp(standin.SlackAppOptions{Members: map[string]string{"alice@example.com": alice}})
	if err != nil {
		t.Fatal(err)
	}
	defer slack.Close()
	client := outbound.New(outbound.Options{})
	defer client.CloseIdleConnections()
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	queue := spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), UID: os.Getuid()})
	told := filepath.Join(dir, "told")
	job := func() deliver.Job {
		db := storetest.Open(t, state)
		db.BePatient(30)
		load := func() (deliver.Settings, error) {
			s := &channel.Slack{Token: outbound.NewSecret(standin.SlackBotToken), AppToken: outbound.NewSecret(standin.SlackAppToken), Channel: "#alerts", API: slack.URL()}
			bot, err := s.Open("slack", channel.Env{Client: client})
			if err != nil {
				return deliver.Settings{}, err
			}
			file, err := (&channel.File{Path: told}).Open("file", channel.Env{})
			if err != nil {
				return deliver.Settings{}, err
			}
			desk, err := New(Options{
				Bot: bot.(*channel.SlackBot), DB: db, Memory: history.New(db, history.Options{}), People: policy.People{"alice": {Slack: alice}}, Zone: time.UTC,
				Log: slog.New(slog.DiscardHandler), Alarm: func(string) {},
			})
			return deliver.Settings{
				Targets: []deliver.Target{{Dest: desk}, {Dest: file}}, Beside: desk.Run, Policy: policy.DefaultSettings(), NotifyLogout: "none", Zone: time.UTC,
			}, err
		}
		return deliver.Job{
			Spool: queue, Mode: deliver.Follow, Store: db, StateDir: state, Hostname: "db1", Load: load, Log: slog.New(slog.DiscardHandler), Alarm: func(string) {},
			NewWatcher: deliver.Watch, Alive: func(event.Session) (bool, bool) { return true, false },
		}
	}
	var stops []func()
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		j := job()
		go func() { ended <- deliver.Run(ctx, j) }()
		stops = append(stops, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := event.Event{
		ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: "alice", Service: "sshd", Via: event.ViaPAM,
		Flags: []event.Flag{event.FlagAddressMismatch}, // which is high
	}
	raw, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Put(e.ID+".json", raw); err != nil {
		t.Fatal(err)
	}
	of := func(channel string, nth int) (m standin.Posted) {
		if err := slack.Until(ctx, func(s *standin.SlackApp) bool {
			seen := 0
			for _, x := range s.Messages() {
				if x.Channel == channel && x.User == "" {
					if seen++; seen == nth {
						m = x
					}
				}
			}
			return m.TS != ""
		}); err != nil {
			t.Fatal(err)
		}
		return m
	}
	first, q := of(standin.SlackChannel, 1), of("D"+alice[1:], 1)
	// Nobody presses a button before its message is known here, which the channel's shows.
	if err := slack.Until(ctx, func(s *standin.SlackApp) bool {
		return slices.ContainsFunc(s.Messages(), func(x standin.Posted) bool { return x.TS == first.TS && strings.Contains(string(x.Raw), "asked alice") })
	}); err != nil {
		t.Fatal(err)
	}
	// The worker that has the queue goes; a click finds the other one.
	stops[0]()
	stops[0] = func() {}
	defer func() { stops[1]() }()
	envelope, err := slack.Press(q, string(event.ButtonNotMine), alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := slack.Deliver(ctx, envelope); err != nil {
		t.Fatal(err)
	}
	second := of(standin.SlackChannel, 2)
	if second.Thread != first.TS || !strings.Contains(second.Payload.Text, "CRITICAL") {
		t.Errorf("told %s in the thread %q of %q", second.Raw, second.Thread, first.TS)
	}
	if open, most, all := slack.Sockets(); most != 1 || open != 1 || all > 2 {
		t.Errorf("%d sockets, %d at a time, %d in all", open, most, all)
	}
	if err := slack.Until(ctx, func(*standin.SlackApp) bool {
		b, _ := os.ReadFile(told)
		return strings.Count(string(b), "\n") == 2
	}); err != nil {
		b, _ := os.ReadFile(told)
		t.Errorf("the other destination has %s", b)
	}
	if refused := slack.Refused(); len(refused) > 0 {
		t.Errorf("Slack refused %q", refused)
	}
}

// Whatever comes over the socket in place of what Slack documents does nothing, and what
// comes after it counts.
func TestSocketThatLies(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	b, h := responding(t, standin.SlackAppOptions{})
	b.login()
	q := b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	press := func(change func(envelope map[string]any)) []byte {
		t.Helper()
		envelope, err := b.slack.Press(q, string(event.ButtonMine), alice, nil)
		if err != nil {
			t.Fatal(err)
		}
		change(envelope)
		raw, err := json.Marshal(envelope)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	set := func(key string, v any) func(map[string]any) { return func(e map[string]any) { e[key] = v } }
	for name, frame := range map[string][]byte{
		"nothing":                  {},
		"no JSON":                  []byte("<html>502 Bad Gateway</html>"),
		"half of an envelope":      press(func(map[string]any) {})[:100],
		"a number":                 []byte("17"),
		"a list":                   []byte("[]"),
		"of no type":               press(set("type", "")),
		"of an unknown type":       press(set("type", "swordfish")),
		"an event":                 press(set("type", "events_api")),
		"a command":                press(set("type", "slash_commands")),
		"without an id":            press(set("envelope_id", "")),
		"without a payload":        press(set("payload", nil)),
		"whose payload is a text":  press(set("payload", "mine")),
		"whose payload is a list":  press(set("payload", []any{1})),
		"whose actions are a text": press(func(e map[string]any) { e["payload"].(map[string]any)["actions"] = "mine" }),
		"whose action is null":     press(func(e map[string]any) { e["payload"].(map[string]any)["actions"] = []any{nil} }),
		"a dialog of nobody":       press(func(e map[string]any) { e["payload"] = map[string]any{"type": "view_submission"} }),
		"a dialog whose state is a text": press(func(e map[string]any) {
			e["payload"] = map[string]any{"type": "view_submission", "view": map[string]any{"state": "x"}}
		}),
		"a dialog that is closed":         press(func(e map[string]any) { e["payload"].(map[string]any)["type"] = "view_closed" }),
		"longer than a message can be":    []byte(`{"type":"interactive","payload":"` + strings.Repeat("A", maxEnvelope) + `"}`),
		"nested without end":              []byte(strings.Repeat("[", 100_000)),
		"that it goes away":               []byte(`{"type":"disconnect","reason":"warning"}`),
		"that the app has no socket mode": []byte(`{"type":"disconnect","reason":"link_disabled"}`),
	} {
		if err := b.slack.Say(t.Context(), frame); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if all := b.events(); len(all) > 0 || len(h.given()) > 0 {
		t.Errorf("told %+v", all)
	}
	b.press(q, event.ButtonNotMine, alice, nil)
	b.until("told", func() bool { return len(b.events()) == 1 })
	if n := b.events()[0].Alert; n.Severity != event.Critical {
		t.Errorf("told %+v", n)
	}
	if log := b.logged(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}
