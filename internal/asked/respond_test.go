package asked

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// hubOrders is a hub that gives orders, for one test.
type hubOrders struct {
	mu     sync.Mutex
	takes  []string
	orders []Order
	fail   error
}

func (h *hubOrders) Takes(_ context.Context, host string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if host != "db1.example.com" {
		return nil, nil
	}
	return h.takes, nil
}

func (h *hubOrders) Order(_ context.Context, o Order) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return h.fail
	}
	h.orders = append(h.orders, o)
	return nil
}

func (h *hubOrders) Ordered(_ context.Context, o Order) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.orders, func(x Order) bool { return x.At.Equal(o.At) && x.By == o.By }), nil
}

func (h *hubOrders) given() []Order {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.orders)
}

func (h *hubOrders) failing(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

// responding is a bench at a hub, where carol may respond.
func responding(t *testing.T, o standin.SlackAppOptions) (*bench, *hubOrders) {
	b := newBench(t, o)
	h := &hubOrders{takes: []string{"end", "lock", "key", "block", "evidence"}}
	b.orders, b.respondFrom = h, []string{carol}
	b.restart()
	return b, h
}

// dialog presses the button, and returns what is shown to who did.
func (b *bench) dialog(m standin.Posted, user string) standin.View {
	b.t.Helper()
	before := len(b.slack.Views())
	b.press(m, event.ButtonRespond, user, nil)
	b.until("a dialog", func() bool { return len(b.slack.Views()) > before })
	return b.slack.Views()[before]
}

// now returns a dialog as it is shown now.
func (b *bench) now(v standin.View) standin.View {
	for _, x := range b.slack.Views() {
		if x.ID == v.ID {
			return x
		}
	}
	return standin.View{}
}

func (b *bench) submit(v standin.View, user string, lie func(map[string]any), chosen ...string) map[string]any {
	b.t.Helper()
	envelope := b.slack.Submit(v, user, chosen, lie)
	b.deliver(envelope)
	return envelope
}

// offered returns the options of a dialog, and all that it says.
func offered(v standin.View) (values []string, text string) {
	var view struct {
		Title, Submit struct{ Text string }
		Blocks        []struct {
			Text    struct{ Text string }
			Element struct {
				Options []struct {
					Value             string
					Text, Description struct{ Text string }
				}
			}
		}
	}
	_ = json.Unmarshal(v.Raw, &view)
	text = view.Title.Text + "|" + view.Submit.Text
	for _, b := range view.Blocks {
		text += "|" + b.Text.Text
		for _, o := range b.Element.Options {
			values = append(values, o.Value)
			text += "|" + o.Text.Text + ": " + o.Description.Text
		}
	}
	return values, text
}

func (b *bench) displays(v standin.View, what string) {
	b.t.Helper()
	b.until("the dialog shows "+what, func() bool { _, text := offered(b.now(v)); return strings.Contains(text, what) })
}

var all = []string{"evidence", "lock", "key", "block", "end"}

// What was chosen is ordered, once, and what can't be undone after a second press alone.
func TestRespond(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{})
	a := b.login(severe(event.High))
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	v := b.dialog(b.in(standin.SlackChannel), carol)
	values, text := offered(v)
	if !slices.Equal(values, all) || v.User != carol {
		t.Errorf("%s is offered %q", v.User, values)
	}
	for _, want := range []string{
		"What to do now|Do it", "alice → db1 from 203.0.113.7, with SHA256:x", "hold for 24 hours",
		"Lock the account: Not caught: open sessions", "Refuse the key: Not caught: other hosts", "Block the address: Not caught: another address", "can't be undone: Not caught: what cron",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	first := b.submit(v, carol, nil, all...)
	b.displays(v, "End the session?|End it")
	sure := b.now(v)
	b.deliver(first)                // it came again
	b.submit(v, carol, nil, "lock") // another choice than the one that is asked about
	b.restart()
	if all := h.given(); len(all) > 0 {
		t.Fatalf("ordered before the second press: %+v", all)
	}
	second := b.submit(sure, carol, nil)
	b.displays(v, "The order goes out: evidence, lock, key, block, end.")
	b.until("ordered", func() bool { return len(h.given()) == 1 })
	o := h.given()[0]
	if o.Event != a.ID || !slices.Equal(o.Actions, []string{"lock", "key", "block", "end"}) || o.For != 24*time.Hour || o.By != "member "+carol+" of Slack" {
		t.Errorf("ordered: %+v", o)
	}
	b.shows(standin.SlackChannel, "member "+carol+" of Slack has the host ordered to do: evidence, lock, key, block, end", "ack", "silence", "more", "respond")
	b.deliver(second)
	b.submit(sure, carol, nil)
	b.submit(v, carol, nil, all...)
	b.restart()
	b.deliver(second)
	if all := h.given(); len(all) != 1 {
		t.Errorf("ordered %d times", len(all))
	}
	if refused := b.slack.Refused(); len(refused) > 0 {
		t.Errorf("Slack refused %q", refused)
	}
	if len(b.acknowledged(a.ID)) > 0 || len(b.events()) > 0 {
		t.Errorf("told %+v", b.events())
	}
}

// What can be undone needs one press; evidence alone is no action; another dialog is
// another order.
func TestRespondWithoutAnEnd(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{})
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	m := b.in(standin.SlackChannel)
	v := b.dialog(m, carol)
	empty := b.submit(v, carol, nil)
	if got := string(b.slack.Answered(empty["envelope_id"].(string))); !strings.Contains(got, `"errors":{"options":"Choose at least one"}`) {
		t.Errorf("nothing chosen: %s", got)
	}
	b.submit(v, carol, nil, "evidence")
	b.displays(v, "The order goes out: evidence.")
	b.until("ordered", func() bool { return len(h.given()) == 1 && len(h.given()[0].Actions) == 0 })
	v = b.dialog(m, carol)
	b.submit(v, carol, nil, "lock", "block")
	b.until("ordered", func() bool {
		return len(h.given()) == 2 && slices.Equal(h.given()[1].Actions, []string{"lock", "block"})
	})
}

// A click after a restart, and one that comes while there is no socket.
func TestRespondOverAnotherSocket(t *testing.T) {
	standin.Gate(t)
	b, h := responding(t, standin.SlackAppOptions{})
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	b.restart()
	v := b.dialog(b.in(standin.SlackChannel), carol)
	_, _, before := b.slack.Sockets()
	b.restart()
	envelope := b.slack.Submit(v, carol, []string{"key"}, nil)
	b.until("one socket", func() bool { open, _, all := b.slack.Sockets(); return open == 1 && all > before })
	b.slack.Drop()
	b.until("the socket is gone", func() bool { open, _, _ := b.slack.Sockets(); return open == 0 })
	b.deliver(envelope)
	b.deliver(envelope)
	b.slack.Refresh()
	b.deliver(envelope)
	b.until("ordered", func() bool { return len(h.given()) > 0 })
	b.displays(v, "The order goes out: key.")
	b.stop()
	if all := h.given(); len(all) != 1 || !slices.Equal(all[0].Actions, []string{"key"}) {
		t.Errorf("ordered: %+v", all)
	}
}

// Nothing of a dialog's answer is believed.
func TestDialogsThatDoNothing(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{})
	b.respondFrom = []string{carol, bob}
	b.restart()
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	first := b.in(standin.SlackChannel)
	b.login(of("bob"))
	b.shows(standin.SlackChannel, "asked bob", "ack", "silence", "more", "respond")
	second := b.in(standin.SlackChannel)
	v, other := b.dialog(first, carol), b.dialog(second, bob)
	meta := func(v standin.View) string {
		var view struct {
			Meta string `json:"private_metadata"`
		}
		_ = json.Unmarshal(v.Raw, &view)
		return view.Meta
	}
	question, name, _ := strings.Cut(meta(v), " ")
	otherQuestion, _, _ := strings.Cut(meta(other), " ")
	view := func(key, value string) func(map[string]any) {
		return func(p map[string]any) { p["view"].(map[string]any)[key] = value }
	}
	for _, tc := range []struct {
		name string
		user string
		lie  func(map[string]any)
		want outcome
	}{
		{"of another workspace", carol, func(p map[string]any) { p["team"].(map[string]any)["id"] = "T0EVIL000" }, foreign},
		{"of another app", carol, func(p map[string]any) { p["api_app_id"] = "A0EVIL000" }, foreign},
		{"of a guest with the same id", carol, func(p map[string]any) { p["user"].(map[string]any)["team_id"] = "T0EVIL000" }, foreign},
		{"of somebody who may not", nobody, nil, notAllowed},
		{"of whose login it was", alice, nil, notAllowed},
		{"with no user", "", nil, notAllowed},
		{"of somebody else who may", bob, nil, notAllowed},
		{"another dialog", carol, view("callback_id", "settings"), notAButton},
		{"with another value", carol, view("private_metadata", question+" "+strings.Repeat("A", len(name))), unknown},
		{"with no value", carol, view("private_metadata", question), unknown},
		{"with nothing", carol, view("private_metadata", ""), unknown},
		{"of another message", carol, view("private_metadata", otherQuestion+" "+name), unknown},
		{"of an unknown message", carol, view("private_metadata", event.NewID()+" "+name), unknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.t = t
			b.submit(v, tc.user, tc.lie, "lock", "end")
			log := b.logged()
			if !strings.Contains(log[strings.LastIndex(log, "a dialog in Slack"):], string(tc.want)) {
				t.Errorf("want %q: %s", tc.want, log)
			}
		})
	}
	b.t = t
	// The button itself, by those who may not, and with values that are not its own.
	for _, user := range []string{alice, nobody, ""} {
		b.press(first, event.ButtonRespond, user, nil)
	}
	b.press(first, event.ButtonRespond, carol, func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)["value"] = strings.Repeat("A", 26) })
	if n := len(b.slack.Views()); n != 2 {
		t.Errorf("%d dialogs", n)
	}
	// What was not offered can't be chosen.
	v = b.dialog(first, carol)
	h.mu.Lock()
	h.takes = []string{"lock"}
	h.mu.Unlock()
	narrow := b.dialog(second, carol)
	if values, _ := offered(narrow); !slices.Equal(values, []string{"lock"}) {
		t.Errorf("offered %q", values)
	}
	empty := b.submit(narrow, carol, func(p map[string]any) {
		values := p["view"].(map[string]any)["state"].(map[string]any)["values"].(map[string]any)
		values["options"].(map[string]any)["chosen"].(map[string]any)["selected_options"] = []any{map[string]any{"value": "end"}, map[string]any{"value": "rm -rf /"}}
	})
	if got := string(b.slack.Answered(empty["envelope_id"].(string))); !strings.Contains(got, "Choose at least one") {
		t.Errorf("what was not offered: %s", got)
	}
	// An old dialog.
	b.later(choiceHolds + time.Minute)
	b.submit(v, carol, nil, "lock")
	b.displays(v, "Nothing is done: it is too late")
	b.stop()
	if all := h.given(); len(all) > 0 {
		t.Errorf("ordered: %+v", all)
	}
}

// Where there is no hub, nobody may, or the host takes none, there is no button: the
// messages name the command.
func TestNoRespond(t *testing.T) {
	for name, change := range map[string]func(*bench, *hubOrders){
		"no hub":                  func(b *bench, _ *hubOrders) { b.orders = nil },
		"nobody may":              func(b *bench, _ *hubOrders) { b.respondFrom = nil },
		"the host takes none":     func(_ *bench, h *hubOrders) { h.takes = nil },
		"the host takes others":   func(_ *bench, h *hubOrders) { h.takes = []string{"reboot"} },
		"who was asked, may not":  func(b *bench, h *hubOrders) {},
		"who was asked, may":      func(b *bench, h *hubOrders) { b.respondFrom = []string{alice} },
		"whose button is pressed": func(b *bench, h *hubOrders) { b.respondFrom = []string{alice} },
	} {
		t.Run(name, func(t *testing.T) {
			b, h := responding(t, standin.SlackAppOptions{})
			change(b, h)
			b.restart()
			a := b.login()
			channels := []string{"ack", "silence", "more"}
			if strings.HasPrefix(name, "who") {
				channels = append(channels, "respond")
			}
			q := b.asked(alice)
			b.shows(standin.SlackChannel, "asked alice", channels...)
			b.press(q, event.ButtonNotMine, alice, nil)
			if !slices.Equal(b.respondFrom, []string{alice}) {
				b.shows(q.Channel, "What to do now, on db1: sudo sshnotify respond "+event.Ref(a.ID))
				return
			}
			b.shows(q.Channel, "alice: it wasn't me", "respond")
			if name == "whose button is pressed" {
				v := b.dialog(b.in(q.Channel), alice)
				b.submit(v, alice, nil, "lock")
				b.until("ordered", func() bool { return len(h.given()) == 1 && h.given()[0].By == "alice in Slack" })
			}
		})
	}
}

// An order that can't be given now is given when it can, one that nobody expects any more
// is not, and one that was given before a kill is not given again.
func TestOrdersThatFail(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{})
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	m := b.in(standin.SlackChannel)
	order := func() {
		t.Helper()
		v := b.dialog(m, carol)
		b.submit(v, carol, nil, "lock")
		b.displays(v, "The order goes out: lock.")
	}
	h.failing(&NotOrderedError{"db1 does not allow that"})
	order()
	b.shows(standin.SlackChannel, "nothing is done of what member "+carol+" of Slack chose: db1 does not allow that", "ack", "silence", "more", "respond")
	h.failing(errors.New("the database is locked"))
	order()
	b.until("tried", func() bool { return strings.Contains(b.logged(), "an order can't be given yet") })
	b.restart()
	h.failing(nil)
	b.until("ordered", func() bool { b.desk.poke(); signal(b.desk.answered); return len(h.given()) == 1 })
	h.failing(errors.New("the database is locked"))
	order()
	b.later(choiceHolds + time.Minute)
	h.failing(nil)
	signal(b.desk.answered)
	b.shows(standin.SlackChannel, "chose: it is too late", "ack", "silence", "more", "respond")
	b.stop()
	if all := h.given(); len(all) != 1 {
		t.Errorf("ordered: %+v", all)
	}
}

// Whoever pressed and is shown no dialog is told so.
func TestDialogThatIsNotShown(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{Behave: func(method string, n int) *standin.Answer {
		if method == "views.open" && n == 1 {
			return &standin.Answer{Status: 200, Body: `{"ok":false,"error":"expired_trigger_id"}`}
		}
		return nil
	}})
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	m := b.in(standin.SlackChannel)
	b.press(m, event.ButtonRespond, carol, nil)
	b.until("told so", func() bool {
		return slices.ContainsFunc(b.slack.Messages(), func(x standin.Posted) bool {
			return x.User == carol && strings.Contains(string(x.Raw), "press the button again")
		})
	})
	v := b.dialog(m, carol)
	b.submit(v, carol, nil, "lock")
	b.until("ordered", func() bool { return len(h.given()) == 1 })
}

// Who presses without end has the newest dialogs alone.
func TestManyDialogs(t *testing.T) {
	b, h := responding(t, standin.SlackAppOptions{})
	b.login()
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more", "respond")
	m := b.in(standin.SlackChannel)
	first := b.dialog(m, carol)
	last := first
	for range maxChoices {
		last = b.dialog(m, carol)
	}
	b.submit(first, carol, nil, "lock")
	b.displays(first, "it is not known here any more")
	b.submit(last, carol, nil, "lock")
	b.until("ordered", func() bool { return len(h.given()) == 1 })
}
