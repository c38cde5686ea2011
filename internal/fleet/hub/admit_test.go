package hub

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
)

// noOrder is what a hub knows that gave none.
func noOrder(string, string) string { return "" }

// admittedOf returns the record that the worker finds of a host's event.
func admittedOf(t testing.TB, host string, e event.Event, now time.Time) deliver.Record {
	t.Helper()
	a, err := admitEvent(host, nil, stored(t, e), now, noOrder)
	if err != nil {
		t.Fatal(err)
	}
	r, err := deliver.DecodeRecord(a.data)
	if err != nil {
		t.Fatal(err)
	}
	if r.Event.ID != a.id || !r.Event.Time.Equal(a.time) || r.From != host {
		t.Errorf("%+v is kept as %s of %v", r, a.id, a.time)
	}
	return r
}

func TestAHostSpeaksForItselfAlone(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	note := event.Note{Severity: event.High, Title: "t", Text: "x", Only: []string{"phone"}, Except: "slack", Public: true}
	plain := event.Note{Severity: event.High, Title: "t", Text: "x"}
	session := event.Session{PID: 7, Start: 8, Boot: "b007"}
	here := event.Session{PID: 7, Start: 8, Boot: "web1:b007"}
	id := event.NewID()
	for _, row := range []struct {
		situation string
		e         event.Event
		want      func(*event.Event) // changes what is kept
	}{
		{"another host's name", event.Event{Kind: event.KindLogin, Host: "db1", Via: event.ViaPAM}, func(*event.Event) {}},
		{"a session", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Session: session}, func(e *event.Event) { e.Session = here }},
		{"a session that another host has", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Session: event.Session{PID: 7, Boot: "db1:b007"}},
			func(e *event.Event) { e.Session.Boot = "web1:db1:b007" }},
		{"a boot id that has no end", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Session: event.Session{PID: 7, Boot: strings.Repeat("b", 120)}},
			func(e *event.Event) { e.Session.Boot = "web1:" + strings.Repeat("b", 64) }},
		{"a logout", event.Event{ID: event.LogoutID(session), Kind: event.KindLogout, Via: event.ViaPAM, Session: session},
			func(e *event.Event) { e.Session, e.ID = here, event.HubID("web1", event.LogoutID(session)) }},
		{"an alert for some, of which others may know", event.Event{Kind: event.KindAlert, Via: event.ViaCLI, Alert: &note}, func(e *event.Event) { e.Alert = &plain }},
		{"a note of its own about an event", event.Event{Kind: event.KindAlert, Via: event.ViaSelf, Alert: &event.Note{Severity: event.High, Text: "x", Of: id}},
			func(e *event.Event) { e.Alert.Of = event.HubID("web1", id) }},
		{"somebody's word about an event", event.Event{Kind: event.KindAlert, Via: event.ViaCLI, Alert: &event.Note{Severity: event.High, Text: "x", Of: id}},
			func(e *event.Event) { e.Alert.Of = "" }},
		{"the end of an order that nobody gave", event.Event{Kind: event.KindAlert, Via: event.ViaSelf, Alert: &event.Note{Severity: event.High, Text: "x", Of: id, Order: &event.Ordered{Nonce: "x", Became: "done"}}},
			func(e *event.Event) { e.Alert.Of, e.Alert.Order = "", nil }},
		{"a match", event.Event{Kind: event.KindMatch, Via: event.ViaWatch, Match: &event.Match{Pattern: "p", Note: note}}, func(e *event.Event) { e.Match.Note = plain }},
		{"a report for strangers", event.Event{Kind: event.KindAttack, Via: event.ViaWatch, Attack: &event.Attack{Note: note}}, func(e *event.Event) { e.Attack.Note = plain }},
		{"what the watcher saw before a login", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Login: event.Login{After: &event.Attack{Note: note, FromAddress: 3}}},
			func(e *event.Event) {
				e.Login.After = &event.Attack{Note: event.Note{Severity: event.High}, FromAddress: 3}
			}},
		{"a second step that another host asked for", event.Event{Kind: event.KindGate, Via: event.ViaPAM, Gate: &event.Gate{Result: event.GatePassed, Challenge: id}},
			func(e *event.Event) { e.Gate.Challenge = event.HubID("web1", id) }},
		{"a code that was typed in a session of another host", event.Event{Kind: event.KindAlert, Via: event.ViaSelf, Session: event.Session{PID: 7, Boot: "db1:b007"}, Alert: &event.Note{Code: "482913"}},
			func(e *event.Event) { e.Session.Boot = "web1:db1:b007" }},
		{"the year 9999", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Time: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, func(e *event.Event) { e.Time = now }},
		{"a clock that is nine minutes fast", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Time: now.Add(9 * time.Minute)}, func(e *event.Event) { e.Time = now.Add(9 * time.Minute) }},
		{"an event of last year", event.Event{Kind: event.KindLogin, Via: event.ViaPAM, Time: now.AddDate(-1, 0, 0)}, func(*event.Event) {}},
		{"a digest of attempts", event.Event{Kind: event.KindDigest, Via: event.ViaWatch, Digest: &event.Digest{Of: event.KindAttempt, Failures: &event.Failures{Attempts: 9},
			Rows:  []event.Row{{Kind: event.KindAttempt, Host: "db1", Count: 3}, {Kind: event.KindLogin, User: "root", Count: 1}},
			Modes: []event.ModeChange{{To: event.ModeEach}}, Unanswered: []event.Unanswered{{Ref: "7K3F"}}}},
			func(e *event.Event) {
				e.Digest = &event.Digest{Of: event.KindAttempt, Failures: e.Digest.Failures, Rows: []event.Row{{Kind: event.KindAttempt, Host: "web1", Count: 3}}}
			}},
	} {
		e := row.e
		if e.ID == "" {
			e.ID = id
		}
		if e.Time.IsZero() {
			e.Time = now
		}
		want, err := event.Decode(stored(t, e))
		if err != nil {
			t.Fatal(row.situation, err)
		}
		want.Host, want.ID = "web1", event.HubID("web1", e.ID)
		row.want(&want)
		want, err = event.Decode(stored(t, want))
		if err != nil {
			t.Fatal(row.situation, err)
		}
		if d := cmp.Diff(want, admittedOf(t, "web1", e, now).Event, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Errorf("%s:\n%s", row.situation, d)
		}
	}
}

func TestWhatAHostMayNotSend(t *testing.T) {
	now := time.Now()
	for situation, e := range map[string]event.Event{
		"via a door that is not there": {Kind: event.KindLogin, Via: "hub"},
		"via nothing":                  {Kind: event.KindLogin},
		"a digest of logins":           {Kind: event.KindDigest, Via: event.ViaSelf, Digest: &event.Digest{Of: event.KindLogin, Rows: []event.Row{{Kind: event.KindLogin}}}},
		"the digest of a day":          {Kind: event.KindDigest, Via: event.ViaSelf, Digest: &event.Digest{Of: event.KindDigest, Rows: []event.Row{{Kind: event.KindLogin}}}},
		"a digest of nothing":          {Kind: event.KindDigest, Via: event.ViaWatch, Digest: &event.Digest{Of: event.KindAttempt, Rows: []event.Row{{Kind: event.KindLogin}}}},
	} {
		e.ID, e.Time = event.NewID(), now
		if a, err := admitEvent("web1", nil, stored(t, e), now, noOrder); err == nil {
			t.Errorf("%s: kept as %s", situation, a.data)
		}
	}
}

func TestLabelsOfTheHubWin(t *testing.T) {
	e := loginOf("alice")
	e.Labels = map[string]string{"env": "test", "rack": "7"}
	a, err := admitEvent("web1", map[string]string{"env": "prod"}, stored(t, e), time.Now(), noOrder)
	if err != nil {
		t.Fatal(err)
	}
	r, err := deliver.DecodeRecord(a.data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"env": "prod", "rack": "7"}, r.Event.Labels); d != "" {
		t.Error(d)
	}
}

func FuzzAdmitEvent(f *testing.F) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	f.Add(stored(f, loginOf("alice")))
	f.Add([]byte(`{"v":1,"id":"7K3F0000000000000000000010","kind":"alert","time":"2031-03-14T02:15:04Z","host":"db1","via":"cli","alert":{"severity":"high","public":true,"only":["x"]}}`))
	f.Add([]byte(`{"v":2,"id":"7K3F0000000000000000000010","kind":"digest","time":"9999-03-14T02:15:04Z","via":"watch","digest":{"of":"attempt","failures":{}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := admitEvent("web1", map[string]string{"env": "prod"}, b, now, noOrder)
		if err != nil {
			return
		}
		r, err := deliver.DecodeRecord(a.data)
		if err != nil {
			t.Fatalf("the worker can't read what was kept: %v", err)
		}
		e := r.Event
		switch n := e.Note(); {
		case r.From != "web1" || e.Host != "web1" || e.Labels["env"] != "prod":
			t.Errorf("of another host: %s", a.data)
		case e.ID != a.id || !event.ValidID(e.ID):
			t.Errorf("the id %q of %s", a.id, a.data)
		case e.Time.After(now.Add(maxAhead)):
			t.Errorf("from the future: %s", a.data)
		case n != nil && (n.Public || len(n.Only) > 0 || n.Except != ""):
			t.Errorf("chooses who is told: %s", a.data)
		case e.Session != (event.Session{}) && !strings.HasPrefix(e.Session.Boot, "web1:"):
			t.Errorf("another host's session: %s", a.data)
		}
	})
}
