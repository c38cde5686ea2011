package asked

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice  = "U0ALICE01"
	bob    = "U0BOB0001"
	carol  = "U0CAROL01" // of answers_from
	nobody = "U0MALLORY"
)

var began = time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)

// bench is a desk with Slack's stand-in, for one test.
type bench struct {
	t           *testing.T
	slack       *standin.SlackApp
	client      *outbound.Client
	db          *store.DB
	memory      *history.DB
	people      policy.People
	ask         string
	confirm     string
	orders      *hubOrders
	respondFrom []string
	desk        *Desk
	stop        func() // and wait

	mu     sync.Mutex
	ahead  time.Duration // the desk's clock is
	told   []event.Event
	refuse error // what tell says
	log    strings.Builder
}

func newBench(t *testing.T, o standin.SlackAppOptions) *bench {
	t.Helper()
	if o.Members == nil {
		o.Members = map[string]string{"alice@example.com": alice, "bob@example.com": bob, "carol@example.com": carol, "mallory@example.com": nobody}
	}
	slack, err := standin.StartSlackApp(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	client := outbound.New(outbound.Options{})
	t.Cleanup(client.CloseIdleConnections)
	db := storetest.Open(t, t.TempDir())
	db.BePatient(30)
	t.Cleanup(func() { db.Close() })
	b := &bench{
		t: t, slack: slack, client: client, db: db, memory: history.New(db, history.Options{}), ahead: time.Until(began),
		people: policy.People{"alice": {Slack: alice}, "bob": {Email: "bob@example.com"}, "dave": {}},
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start makes a desk as a worker that starts would.
func (b *bench) start() {
	b.t.Helper()
	s := &channel.Slack{Token: outbound.NewSecret(standin.SlackBotToken), AppToken: outbound.NewSecret(standin.SlackAppToken), Channel: "#alerts", API: b.slack.URL(), Ask: b.ask, Confirm: b.confirm, AnswersFrom: []string{carol}, RespondFrom: b.respondFrom}
	bot, err := s.Open("slack", channel.Env{Client: b.client})
	if err != nil {
		b.t.Fatal(err)
	}
	var orders Responder
	if b.orders != nil {
		orders = b.orders
	}
	b.desk, err = New(Options{
		Respond: orders,
		Bot:     bot.(*channel.SlackBot), DB: b.db, Memory: b.memory, People: b.people, Zone: time.UTC,
		Log: slog.New(slog.NewTextHandler(writer{b}, nil)), Alarm: func(string) {},
		Now: func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return time.Now().Add(b.ahead) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.desk.Run(ctx, b.tell) }()
	b.stop = sync.OnceFunc(func() { cancel(); <-ended })
}

func (b *bench) restart() { b.stop(); b.start() }

type writer struct{ b *bench }

func (w writer) Write(p []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return w.b.log.Write(p)
}

func (b *bench) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func (b *bench) tell(_ context.Context, e event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	if !slices.ContainsFunc(b.told, func(o event.Event) bool { return o.ID == e.ID }) {
		b.told = append(b.told, e)
	}
	return nil
}

// later moves the clock, and has the desk look.
func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	b.ahead += d
	b.mu.Unlock()
	b.desk.poke()
}

// until waits for what is to happen.
func (b *bench) until(what string, is func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("not so: %s\n%s\n%s", what, b.slack, b.logged())
		}
	}
}

func (b *bench) events() []event.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

// login tells of a login, remembers it, and returns the alert.
func (b *bench) login(change ...func(*event.Alert)) event.Alert {
	b.t.Helper()
	a := event.Alert{
		ID: event.NewID(),
		Event: event.Event{
			V: event.Version, Kind: event.KindLogin, Time: began, Host: "db1.example.com", User: "alice", Service: "sshd", Via: event.ViaPAM,
			Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:x"}},
		},
		Facts:   event.Facts{Place: event.Place{Country: "BG"}, Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET"}},
		Verdict: event.Verdict{Severity: event.Medium, Knowledge: event.Known, Reasons: []string{"first login from Bulgaria"}, Keys: []string{"new_country"}},
		Count:   1, First: began, Last: began, Zone: time.UTC,
	}
	for _, c := range change {
		c(&a)
	}
	a.Event.ID = a.ID
	e := history.EntryOf(a.Event, a.Facts, a.Verdict)
	e.Told, e.Untaught = true, a.Verdict.Severity >= event.High
	if err := b.memory.Record(b.t.Context(), e); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.desk.Send(b.t.Context(), a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

func of(user string) func(*event.Alert) { return func(a *event.Alert) { a.Event.User = user } }

func severe(s event.Severity) func(*event.Alert) {
	return func(a *event.Alert) { a.Verdict.Severity = s }
}

// in returns the newest message in a channel.
func (b *bench) in(channel string) (m standin.Posted) {
	for _, x := range b.slack.Messages() {
		if x.Channel == channel && x.User == "" {
			m = x
		}
	}
	return m
}

// asked waits for the question to a member.
func (b *bench) asked(user string) standin.Posted {
	b.t.Helper()
	var m standin.Posted
	b.until("asked "+user, func() bool { m = b.in("D" + user[1:]); return m.TS != "" })
	return m
}

// below returns what stands below a message: what was said, and the buttons.
func below(m standin.Posted) (said, buttons []string) {
	for _, a := range m.Payload.Attachments {
		var blocks []struct {
			Type     string
			Elements []struct {
				ActionID string `json:"action_id"`
				Text     any
			}
		}
		_ = json.Unmarshal(a.Blocks, &blocks)
		for _, x := range blocks {
			for _, e := range x.Elements {
				if text, is := e.Text.(string); is {
					said = append(said, text)
				} else {
					buttons = append(buttons, e.ActionID)
				}
			}
		}
	}
	return said, buttons
}

func (b *bench) shows(channel, text string, buttons ...string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s shows %q and %v", channel, text, buttons), func() bool {
		said, got := below(b.in(channel))
		return strings.Contains(strings.Join(said, "\n"), text) && slices.Equal(got, buttons)
	})
}

func (b *bench) press(m standin.Posted, button event.Button, user string, lie func(map[string]any)) map[string]any {
	b.t.Helper()
	envelope, err := b.slack.Press(m, string(button), user, lie)
	if err != nil {
		b.t.Fatal(err)
	}
	b.deliver(envelope)
	return envelope
}

func (b *bench) deliver(envelope map[string]any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.slack.Deliver(ctx, envelope); err != nil {
		b.t.Fatalf("%v\n%s", err, b.logged())
	}
}

func (b *bench) acknowledged(id string) []history.Acknowledgement {
	b.t.Helper()
	all, err := b.memory.Acknowledgements(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(a history.Acknowledgement) bool { return !a.Undone.IsZero() })
}

// The person is asked, and what they answer is what a command would say; a click
// that comes again changes nothing.
func TestItWasMe(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	a := b.login()
	q := b.asked(alice)
	if want := "Did you just log in to db1 from Bulgaria?"; q.Payload.Text != want {
		t.Errorf("the phone shows %q, want %q", q.Payload.Text, want)
	}
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	envelope := b.press(q, event.ButtonMine, alice, nil)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
	b.shows(q.Channel, "alice: it was me")
	b.until("told", func() bool { return len(b.events()) == 1 })
	if all := b.acknowledged(a.ID); len(all) != 1 || all[0].By != "alice" || all[0].Note != "answered in Slack" {
		t.Errorf("acknowledged: %+v", all)
	}
	n := b.events()[0]
	if n.Alert.Of != a.ID || n.Alert.Severity != event.Low || !strings.Contains(n.Alert.Text, "alice said that this was expected") {
		t.Errorf("told: %+v", n.Alert)
	}
	b.deliver(envelope)
	b.press(q, event.ButtonNotMine, alice, nil) // as the phone still showed it
	b.restart()
	b.deliver(envelope)
	if all := b.events(); len(all) != 1 {
		t.Errorf("told %d times: %+v", len(all), all)
	}
	if refused := b.slack.Refused(); len(refused) > 0 {
		t.Errorf("Slack refused %q", refused)
	}
	if log := b.logged(); strings.Contains(log, "swordfish") || strings.Contains(log, "ticket-") {
		t.Errorf("a secret is logged: %s", log)
	}
}

// Whoever says that it was somebody else has everybody told, and nothing of it is
// known any more; it counts for nothing that somebody has acknowledged it.
func TestItWasNotMe(t *testing.T) {
	for _, s := range []event.Severity{event.Medium, event.High, event.Critical} {
		t.Run(s.String(), func(t *testing.T) {
			b := newBench(t, standin.SlackAppOptions{})
			a := b.login(severe(s))
			q := b.asked(alice)
			b.press(b.in(standin.SlackChannel), event.ButtonAck, carol, nil)
			b.until("acknowledged", func() bool { return len(b.events()) == 1 })
			b.press(q, event.ButtonNotMine, alice, nil)
			b.shows(standin.SlackChannel, "alice: it wasn't me", "more")
			b.until("told", func() bool { return len(b.events()) == 2 })
			n := b.events()[1]
			if n.Alert.Severity != event.Critical || n.Alert.Of != a.ID || len(n.Alert.Only) > 0 || !strings.Contains(n.Alert.Title, "alice says: it wasn't me") {
				t.Errorf("told: %+v", n.Alert)
			}
			if all := b.acknowledged(a.ID); len(all) != 0 {
				t.Errorf("it is acknowledged still: %+v", all)
			}
			waits, err := b.memory.Unanswered(t.Context(), history.Filter{User: "alice"}, false, 9)
			if err != nil || len(waits) != 1 || waits[0].Severity != event.Critical || !waits[0].Untaught {
				t.Errorf("waits: %+v, %v", waits, err)
			}
		})
	}
}

// Nothing of a click is believed.
func TestClicksThatDoNothing(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	b.login(severe(event.High))
	other := b.login(severe(event.High), of("bob"))
	b.asked(bob)
	alices := b.asked(alice)
	b.until("all shown", func() bool {
		said := 0
		for _, m := range b.slack.Messages() {
			lines, _ := below(m)
			said += len(lines)
		}
		return said == 2
	})
	channels := b.in(standin.SlackChannel)
	set := func(v string, path ...string) func(map[string]any) {
		return func(p map[string]any) {
			for _, k := range path[:len(path)-1] {
				p = p[k].(map[string]any)
			}
			p[path[len(path)-1]] = v
		}
	}
	action := func(key, v string) func(map[string]any) {
		return func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)[key] = v }
	}
	for _, tc := range []struct {
		name   string
		m      standin.Posted
		button event.Button
		user   string
		lie    func(map[string]any)
		want   outcome
	}{
		{"of another workspace", alices, event.ButtonMine, alice, set("T0EVIL000", "team", "id"), foreign},
		{"of another app", alices, event.ButtonMine, alice, set("A0EVIL000", "api_app_id"), foreign},
		{"of a guest of another workspace with the same id", alices, event.ButtonMine, alice, set("T0EVIL000", "user", "team_id"), foreign},
		{"of somebody else", alices, event.ButtonMine, bob, nil, notAllowed},
		{"of somebody who may answer in the channel alone", alices, event.ButtonNotMine, carol, nil, notAllowed},
		{"of somebody who may not in the channel", channels, event.ButtonAck, nobody, nil, notAllowed},
		{"with the name of somebody who may", channels, event.ButtonAck, nobody, set("alice", "user", "username"), notAllowed},
		{"with no user", channels, event.ButtonAck, "", nil, notAllowed},
		{"with another value", alices, event.ButtonMine, alice, action("value", strings.Repeat("A", 26)), forged},
		{"with no value", alices, event.ButtonMine, alice, action("value", ""), forged},
		{"with the value of the channel's message", channels, event.ButtonAck, alice, action("action_id", "mine"), forged},
		{"with the value of an own question for the channel's button", alices, event.ButtonMine, alice, action("action_id", "ack"), forged},
		{"of an unknown message", alices, event.ButtonMine, alice, action("block_id", event.NewID()), unknown},
		{"of another block's button", alices, event.ButtonMine, alice, action("action_id", "overflow"), notAButton},
		{"in another channel", alices, event.ButtonMine, alice, set("C0EVIL000", "channel", "id"), elsewhere},
		{"of another message", alices, event.ButtonMine, alice, set("1.1", "container", "message_ts"), elsewhere},
		{"of a menu", alices, event.ButtonMine, alice, set("message_action", "type"), notAButton},
		{"with no action", alices, event.ButtonMine, alice, func(p map[string]any) { p["actions"] = []any{} }, notAButton},
		{"with two actions", alices, event.ButtonMine, alice, func(p map[string]any) { p["actions"] = append(p["actions"].([]any), p["actions"].([]any)...) }, notAButton},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.t = t
			envelope, err := b.slack.Press(tc.m, string(tc.button), tc.user, tc.lie)
			if err != nil {
				t.Fatal(err)
			}
			before := strings.Count(b.logged(), "a click in Slack that does nothing")
			b.deliver(envelope)
			log := b.logged()
			if strings.Count(log, "a click in Slack that does nothing") != before+1 || !strings.Contains(log[strings.LastIndex(log, "a click in Slack"):], string(tc.want)) {
				t.Errorf("want %q: %s", tc.want, log)
			}
		})
	}
	b.t = t
	if all := b.events(); len(all) > 0 {
		t.Errorf("told: %+v", all)
	}
	if all := b.acknowledged(other.ID); len(all) > 0 {
		t.Errorf("acknowledged: %+v", all)
	}
	// They are written down with the question.
	all, err := store.LoadAll[*question](t.Context(), b.db, kindQuestion)
	n := 0
	for _, q := range all {
		n += len(q.Clicks)
	}
	if err != nil || n < 10 {
		t.Errorf("%d clicks are written down, %v", n, err)
	}
}

// A click after a restart counts, and so does one that could not be carried out
// before it.
func TestClickAfterARestart(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	a := b.login()
	q := b.asked(alice)
	b.restart()
	b.mu.Lock()
	b.refuse = io.ErrClosedPipe // the worker stops
	b.mu.Unlock()
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(q.Channel, "alice: it was me")
	b.stop()
	b.mu.Lock()
	b.refuse = nil
	b.mu.Unlock()
	b.start()
	b.until("told", func() bool { return len(b.events()) == 1 })
	if all := b.acknowledged(a.ID); len(all) != 1 {
		t.Errorf("acknowledged: %+v", all)
	}
}

// That nobody answers is said once, and an answer after that counts; after a day the
// buttons are gone.
func TestNoAnswer(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	a := b.login(severe(event.High))
	q := b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	b.later(9 * time.Minute)
	b.later(2 * time.Minute)
	b.shows(standin.SlackChannel, "no answer from alice within 10 minutes", "ack", "silence", "more")
	b.later(time.Hour)
	b.restart()
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
	if said, _ := below(b.in(standin.SlackChannel)); len(said) != 3 {
		t.Errorf("said: %q", said)
	}
	b.later(24 * time.Hour)
	b.shows(standin.SlackChannel, "alice: it was me")
	if all := b.acknowledged(a.ID); len(all) != 1 {
		t.Errorf("acknowledged: %+v", all)
	}
	b.later(8 * 24 * time.Hour)
	b.until("forgotten", func() bool {
		all, err := store.LoadAll[*question](t.Context(), b.db, kindQuestion)
		return err == nil && len(all) == 0
	})
}

// Whoever acknowledges by command has answered.
func TestAnsweredByCommand(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	a := b.login(severe(event.High))
	b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	if _, err := b.memory.Acknowledge(t.Context(), history.Acknowledgement{Time: began, Event: a.ID, By: "root"}); err != nil {
		t.Fatal(err)
	}
	b.later(11 * time.Minute)
	b.until("looked", func() bool {
		q, err := store.LoadAll[*question](t.Context(), b.db, kindQuestion)
		for _, q := range q {
			return err == nil && q.Person.Overdue
		}
		return false
	})
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	if said, _ := below(b.in(standin.SlackChannel)); len(said) != 1 {
		t.Errorf("said: %q", said)
	}
}

// An old click does nothing, also where its message could not be changed.
func TestOldClick(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	b.login()
	q := b.asked(alice)
	b.later(25 * time.Hour)
	b.shows(standin.SlackChannel, "asked alice")
	b.press(q, event.ButtonMine, alice, nil)
	if len(b.events()) > 0 || !strings.Contains(b.logged(), string(expired)) {
		t.Errorf("told %+v, log %s", b.events(), b.logged())
	}
}

// The channel's buttons do what the commands do, for those who may press them.
func TestChannelButtons(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	for i := range 3 {
		b.login(func(a *event.Alert) {
			a.Event.Time = began.Add(-time.Duration(i+1) * time.Hour)
			a.Verdict.Severity = event.Low
		})
	}
	a := b.login(severe(event.High))
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	m := b.in(standin.SlackChannel)
	b.press(m, event.ButtonMore, carol, nil)
	b.until("shown to carol", func() bool {
		all := b.slack.Messages()
		last := all[len(all)-1]
		return last.User == carol && strings.Contains(last.Payload.Attachments[0].Text, "*Logins before:* the last 3\n") && last.Channel == standin.SlackChannel
	})
	b.press(m, event.ButtonMore, alice, nil)
	b.until("shown to alice", func() bool { all := b.slack.Messages(); return all[len(all)-1].User == alice })
	b.press(m, event.ButtonSilence, carol, nil)
	b.shows(standin.SlackChannel, "member "+carol+" of Slack silenced logins like this for a day", "ack", "more")
	b.press(m, event.ButtonSilence, carol, nil)
	b.press(m, event.ButtonAck, alice, nil)
	b.shows(standin.SlackChannel, "alice acknowledged it", "more")
	b.until("told", func() bool { return len(b.events()) == 2 })
	silences, err := store.LoadAll[event.Silence](t.Context(), b.db, "silence")
	if err != nil || len(silences) != 1 {
		t.Fatal(silences, err)
	}
	for _, s := range silences {
		if s.User != "alice" || s.Network.String() != "203.0.113.7/32" || s.Kind != event.KindLogin || s.Until.Sub(s.From).Round(time.Minute) != 24*time.Hour {
			t.Errorf("silence %+v", s)
		}
	}
	if all := b.acknowledged(a.ID); len(all) != 1 || all[0].By != "alice" {
		t.Errorf("acknowledged: %+v", all)
	}
}

// Who is asked, and who is not.
func TestWhoIsAsked(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ask    string
		change func(*event.Alert)
		asked  string // "": nobody
		said   string
	}{
		{"whose account it is", "", nil, alice, "asked alice"},
		{"by their mail address", "", of("bob"), bob, "asked bob"},
		{"whose key it was, as another user", "", func(a *event.Alert) {
			a.Event.User, a.Event.Login.Auth.Fingerprint = "root", "SHA256:uNiVztksCsDhcc0u9e8BrjUYLbCcTx5Qs6w0hQ3xVxI"
		}, alice, "asked alice"},
		{"nobody's account", "", of("root"), "", ""},
		{"who has no address", "", of("dave"), "", "dave can't be asked: no member of Slack has their address"},
		{"below what is asked about", "high", nil, "", ""},
		{"as severe as that", "high", severe(event.High), alice, "asked alice"},
		{"never", channel.AskNever, severe(event.Critical), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, standin.SlackAppOptions{})
			b.people["alice"] = policy.Person{Slack: alice, Keys: []policy.Key{"SHA256:uNiVztksCsDhcc0u9e8BrjUYLbCcTx5Qs6w0hQ3xVxI"}}
			b.ask = tc.ask
			b.restart()
			change := tc.change
			if change == nil {
				change = func(*event.Alert) {}
			}
			b.login(change)
			b.until("said", func() bool {
				said, buttons := below(b.in(standin.SlackChannel))
				return strings.Contains(strings.Join(said, ""), tc.said) && len(buttons) > 0
			})
			b.desk.tendAll(t.Context(), b.tell)
			if tc.asked != "" {
				b.asked(tc.asked)
			}
			for _, m := range b.slack.Messages() {
				if m.Channel != standin.SlackChannel && m.Channel != "D"+strings.TrimPrefix(tc.asked, "U") {
					t.Errorf("somebody else is asked: %+v", m)
				}
			}
		})
	}
}

// What needs no answer has no buttons, and asks nobody.
func TestNoButtons(t *testing.T) {
	for name, change := range map[string]func(*event.Alert){
		"low":            severe(event.Low),
		"sudo":           func(a *event.Alert) { a.Event.Service, a.Event.Login.By = "sudo", "alice" },
		"several":        func(a *event.Alert) { a.Count = 3 },
		"a test":         func(a *event.Alert) { a.Test = true },
		"of sshnotify's": func(a *event.Alert) { a.Event.Kind, a.Event.Alert = event.KindAlert, &event.Note{Title: "x"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, standin.SlackAppOptions{})
			a := event.Alert{ID: event.NewID(), Event: event.Event{Kind: event.KindLogin, Host: "db1", User: "alice", Time: began}, Count: 1, Verdict: event.Verdict{Severity: event.High}}
			change(&a)
			if _, err := b.desk.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if said, buttons := below(b.in(standin.SlackChannel)); len(said)+len(buttons) > 0 || len(b.desk.questions) > 0 {
				t.Errorf("%q %q", said, buttons)
			}
		})
	}
}

// Nobody is asked without end.
func TestAskedTooOften(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	for range perHour + 1 {
		b.login()
	}
	b.until("told so", func() bool {
		n, refused := 0, 0
		for _, m := range b.slack.Messages() {
			if said, _ := below(m); strings.Contains(strings.Join(said, ""), "asked ten times within the hour already") {
				refused++
			}
			if m.Channel == "D"+alice[1:] {
				n++
			}
		}
		return n == perHour && refused == 1
	})
}

// Repeats that take the place of a message keep its buttons, and what was said.
func TestRepeatsKeepTheButtons(t *testing.T) {
	b := newBench(t, standin.SlackAppOptions{})
	a := b.login()
	q := b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	m := b.in(standin.SlackChannel)
	a.ID, a.Replaces, a.Count, a.Told = event.NewID(), event.Receipt{"channel": m.Channel, "ts": m.TS}, 2, 1
	if _, err := b.desk.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
	if m := b.in(standin.SlackChannel); !strings.Contains(m.Payload.Text, "×3") {
		t.Errorf("the number is lost: %s", m.Raw)
	}
}

// Slack shows a message before it answers whoever sends it: who presses by then is heard.
func TestPressedBeforeSlackAnswers(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	b := newBench(t, standin.SlackAppOptions{Late: func(method string, n int) {
		if method == "chat.postMessage" && n == 2 { // the question
			<-late
		}
	}})
	b.login()
	q := b.asked(alice)
	time.AfterFunc(200*time.Millisecond, func() { close(late) })
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(standin.SlackChannel, "alice: it was me", "silence", "more")
}
