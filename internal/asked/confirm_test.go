package asked

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// session is that of alice's login.
var session = event.Session{PID: 805, Start: 100_805, Boot: "boot"}

func confirmed(t *testing.T) *bench {
	b := newBench(t, standin.SlackAppOptions{})
	b.confirm = channel.ConfirmByCode
	b.restart()
	return b
}

func in(s event.Session) func(*event.Alert) {
	return func(a *event.Alert) { a.Event.Session = s }
}

// code waits for a code to be shown to somebody alone, and returns it.
func (b *bench) code(channel, not string) (code string) {
	b.t.Helper()
	is := regexp.MustCompile(`until [0-9:]+: sshnotify confirm ([0-9]{6})`)
	b.until("a code is shown in "+channel, func() bool {
		said, _ := below(b.in(channel))
		m := is.FindStringSubmatch(strings.Join(said, "\n"))
		if m == nil || m[1] == not {
			return false
		}
		code = m[1]
		return true
	})
	return code
}

// otherThan returns a code that is not it.
func otherThan(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func (b *bench) types(s event.Session, code string, want Typing, left int) {
	b.t.Helper()
	if got, n := b.desk.Typed(b.t.Context(), s, code); got != want || n != left {
		b.t.Errorf("typed: %q with %d left, want %q with %d", got, n, want, left)
	}
}

// "It was me" counts once the code is typed in the session of the login, and nowhere
// else; the channel never shows it; a restart in between changes nothing.
func TestConfirmedByCode(t *testing.T) {
	b := confirmed(t)
	a := b.login(in(session))
	q := b.asked(alice)
	b.types(session, "123456", NotWanted, 0) // nobody said so yet
	envelope := b.press(q, event.ButtonMine, alice, nil)
	code := b.code(q.Channel, "")
	b.shows(q.Channel, "to be confirmed in the session of the login", "not_mine")
	b.shows(standin.SlackChannel, "alice: it was me; to be confirmed in the session of the login", "ack", "silence", "more")
	b.restart()
	b.deliver(envelope)
	b.press(q, event.ButtonMine, alice, nil) // as the phone still showed it
	b.types(session, otherThan(code), Wrong, 2)
	b.shows(q.Channel, "Wrong code, 2 tries left.", "not_mine")
	if all := b.acknowledged(a.ID); len(all) > 0 || len(b.events()) > 0 {
		t.Fatalf("it counts already: %+v, told %+v", all, b.events())
	}
	b.types(session, code, Right, 0)
	b.shows(standin.SlackChannel, "alice: it was me, confirmed in the session of the login", "silence", "more")
	b.shows(q.Channel, "alice: it was me, confirmed in the session of the login")
	b.until("told", func() bool { return len(b.events()) == 1 })
	if all := b.acknowledged(a.ID); len(all) != 1 || all[0].By != "alice" || all[0].Note != "answered in Slack, and confirmed in the session of the login" {
		t.Errorf("acknowledged: %+v", all)
	}
	b.types(session, code, NotWanted, 0)
	b.deliver(envelope)
	b.restart()
	b.types(session, code, NotWanted, 0)
	if all := b.events(); len(all) != 1 {
		t.Errorf("told %+v", all)
	}
	for _, m := range b.slack.Messages() {
		if m.Channel == standin.SlackChannel && strings.Contains(string(m.Raw), code) {
			t.Errorf("everybody sees the code: %s", m.Raw)
		}
	}
	if log := b.logged(); strings.Contains(log, code) {
		t.Errorf("the code is logged: %s", log)
	}
	if refused := b.slack.Refused(); len(refused) > 0 {
		t.Errorf("Slack refused %q", refused)
	}
}

// Wrong codes, and none, are said, and after three codes it is over.
func TestNotConfirmed(t *testing.T) {
	b := confirmed(t)
	a := b.login(in(session))
	q := b.asked(alice)
	b.press(q, event.ButtonMine, alice, nil)
	first := b.code(q.Channel, "")
	for left := range 3 {
		b.types(session, otherThan(first), Wrong, 2-left)
	}
	b.shows(standin.SlackChannel, "not confirmed by alice: three wrong codes came from that session", "ack", "silence", "more")
	b.shows(q.Channel, "three wrong codes", "mine", "not_mine")
	b.types(session, first, NotWanted, 0)

	b.press(q, event.ButtonMine, alice, nil)
	second := b.code(q.Channel, first)
	b.later(codeHolds + time.Second)
	b.shows(standin.SlackChannel, "not confirmed by alice: no code came from that session in time", "ack", "silence", "more")
	b.types(session, second, NotWanted, 0)

	b.press(q, event.ButtonMine, alice, nil)
	third := b.code(q.Channel, second)
	b.later(codeHolds + time.Second)
	b.shows(q.Channel, "in time", "not_mine")
	b.types(session, third, NotWanted, 0)
	b.press(q, event.ButtonMine, alice, nil)
	if log := b.logged(); !strings.Contains(log[strings.LastIndex(log, "a click in Slack"):], string(used)) {
		t.Errorf("a fourth code: %s", log)
	}
	b.later(time.Minute)
	b.until("looked whether there is an answer", func() bool {
		all, err := store.LoadAll[*question](t.Context(), b.db, kindQuestion)
		for _, q := range all {
			return err == nil && q.Person.Overdue
		}
		return false
	})
	if said, _ := below(b.in(standin.SlackChannel)); strings.Contains(strings.Join(said, "\n"), "no answer") {
		t.Errorf("said: %q", said)
	}
	if all := b.acknowledged(a.ID); len(all) > 0 || len(b.events()) > 0 {
		t.Errorf("acknowledged: %+v, told %+v", all, b.events())
	}
	b.press(q, event.ButtonNotMine, alice, nil)
	b.until("told", func() bool { return len(b.events()) == 1 })
}

// A code that is typed in another session counts nowhere any more: it was the wrong login
// that somebody answered for, and whoever is in that one may have seen the code.
func TestACodeTypedElsewhereIsTakenBack(t *testing.T) {
	b := confirmed(t)
	a := b.login(in(session))
	q := b.asked(alice)
	code := ""
	for _, other := range []event.Session{
		{}, {PID: session.PID, Start: session.Start + 1, Boot: session.Boot},
		{PID: session.PID, Start: session.Start, Boot: "web1:" + session.Boot}, // of a host that hands over
	} {
		b.press(q, event.ButtonMine, alice, nil)
		code = b.code(q.Channel, code)
		b.types(other, otherThan(code), NotWanted, 0)
		b.types(other, code, NotWanted, 0)
		b.shows(standin.SlackChannel, "not confirmed by alice: the code was typed in another session", "ack", "silence", "more")
		b.restart()
		b.types(session, code, NotWanted, 0)
	}
	if all := b.acknowledged(a.ID); len(all) > 0 || len(b.events()) > 0 {
		t.Errorf("acknowledged: %+v, told %+v", all, b.events())
	}
	if log := b.logged(); strings.Contains(log, code) {
		t.Errorf("the code is logged: %s", log)
	}
}

// Whoever thinks again has said so, whatever is typed then.
func TestDeniedWhileACodeIsWaitedFor(t *testing.T) {
	b := confirmed(t)
	a := b.login(in(session))
	q := b.asked(alice)
	b.press(q, event.ButtonMine, alice, nil)
	code := b.code(q.Channel, "")
	b.press(q, event.ButtonNotMine, alice, nil)
	b.types(session, code, NotWanted, 0)
	b.shows(q.Channel, "alice: it wasn't me")
	b.until("told", func() bool { return len(b.events()) == 1 })
	if n := b.events()[0].Alert; n.Severity != event.Critical || len(b.acknowledged(a.ID)) > 0 {
		t.Errorf("told %+v", n)
	}
}

// What a code is for can't be had without one: by the channel's buttons others
// acknowledge.
func TestOwnLoginInTheChannel(t *testing.T) {
	b := confirmed(t)
	a := b.login(in(session))
	b.asked(alice)
	b.shows(standin.SlackChannel, "asked alice", "ack", "silence", "more")
	m := b.in(standin.SlackChannel)
	b.press(m, event.ButtonAck, alice, nil)
	b.press(m, event.ButtonSilence, alice, nil)
	if n := strings.Count(b.logged(), string(notAllowed)); n != 2 || len(b.events()) > 0 {
		t.Errorf("%d clicks do nothing: %s", n, b.logged())
	}
	b.press(m, event.ButtonMore, alice, nil)
	b.press(m, event.ButtonAck, carol, nil)
	b.until("told", func() bool { return len(b.events()) == 1 })
	if all := b.acknowledged(a.ID); len(all) != 1 || !strings.Contains(all[0].By, carol) {
		t.Errorf("acknowledged: %+v", all)
	}
}

// Of a login whose session is not known no code can come.
func TestNoSessionToConfirmIn(t *testing.T) {
	b := confirmed(t)
	a := b.login()
	q := b.asked(alice)
	b.press(q, event.ButtonMine, alice, nil)
	b.shows(q.Channel, "not confirmed by alice: its session is not known here; sshnotify ack does it", "not_mine")
	if all := b.acknowledged(a.ID); len(all) > 0 {
		t.Errorf("acknowledged: %+v", all)
	}
}

// The kernel says in whose session somebody is; what they say of it counts for nothing.
func TestCodesAtTheSocket(t *testing.T) {
	dir := t.TempDir()
	db := storetest.Open(t, filepath.Join(dir, "db"))
	t.Cleanup(func() { db.Close() })
	host := login.Live()
	own := host.Connections(os.Getppid())
	if len(own) == 0 {
		t.Skip("no /proc here")
	}
	delivered := func(id string, s event.Session) {
		t.Helper()
		d := deliver.Delivered{ID: id, Time: time.Now(), At: time.Now(), Kind: event.KindLogin, Session: s, User: "alice"}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), store.WriteLimit, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO delivered(spool, id, at, event) VALUES ('x', ?, ?, ?)`, id, d.At.UnixMilli(), string(text))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	other := own[0]
	other.Start++
	delivered("00000000000000000000000000", other) // the same number, another process
	took := make(chan *deliver.Delivered, 9)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o711); err != nil {
		t.Fatal(err)
	}
	codes := Codes{Dir: state, DB: db, Host: host, Log: slog.New(slog.DiscardHandler), Take: func(_ context.Context, in *deliver.Delivered, code string) Reply {
		took <- in
		return Reply{Became: Wrong, Left: int(code[5] - '0')}
	}}
	go func() { defer close(ended); codes.Serve(ctx) }()
	defer func() { cancel(); <-ended }()
	until := func(what string, is func() bool) {
		t.Helper()
		for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatal("not so: " + what)
			}
		}
	}
	path := filepath.Join(state, SocketName)
	until("the socket is open to all", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().Perm() == 0o666
	})
	types := func(code string) Reply {
		t.Helper()
		r, err := Type(t.Context(), state, os.Getuid(), code)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := types("123456"); r.Became != NoLogin {
		t.Errorf("no login of ours: %+v", r)
	}
	delivered("11111111111111111111111111", own[0])
	if r := types("12345x"); r.Became != NotWanted {
		t.Errorf("no code: %+v", r)
	}
	if r := types("123452"); r != (Reply{Wrong, 2}) {
		t.Errorf("of our session: %+v", r)
	}
	if in := <-took; in.ID != "11111111111111111111111111" || len(took) > 0 {
		t.Errorf("took %+v", in)
	}
	if _, err := Type(t.Context(), state, os.Getuid()+1, "123456"); err == nil || !strings.Contains(err.Error(), "answers in place of the worker") {
		t.Errorf("somebody else's socket: %v", err)
	}
	// Whoever asks without end is not answered, and keeps nobody waiting who asks nothing.
	var silent []net.Conn
	for range typers {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	last := Reply{}
	until("too often", func() bool { last = types("123452"); return last.Became == TooOften })
	for _, c := range silent {
		c.Close()
	}
}

// A host that hands over says which session it was, and the hub's desk compares.
func TestTypedAtAHost(t *testing.T) {
	var told []event.Event
	tell := func(_ context.Context, e event.Event) error { told = append(told, e); return nil }
	take := ForHub(func() string { return "web1" }, tell, slog.New(slog.DiscardHandler))
	in := &deliver.Delivered{ID: event.NewID(), User: "alice", Session: session}
	if r := take(t.Context(), in, "123456"); r != (Reply{Became: Passed}) || len(told) != 1 {
		t.Fatalf("%+v, told %+v", r, told)
	}
	b, err := told[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(b)
	if err != nil || e.Code() != "123456" || !e.Session.Same(session) {
		t.Errorf("%s, %v", b, err)
	}
	e.Via = event.ViaWatch
	if code := e.Code(); code != "" {
		t.Errorf("a watcher types %q", code)
	}
	if s := fmt.Sprint(e.Alert.Title, e.Alert.Text); strings.Contains(s, "123456") {
		t.Errorf("an older hub tells the code: %s", s)
	}
}
