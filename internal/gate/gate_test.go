package gate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// RFC 6238, appendix B, the rows of SHA-1; of eight digits the last six.
func TestTOTPVectors(t *testing.T) {
	secret := Secret("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := secret.code(stepAt(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestTOTPIsTakenOnce(t *testing.T) {
	s, now := NewSecret(), time.Unix(1_800_000_000, 0)
	code := s.code(stepAt(now))
	step, ok := s.Check(code, now, 0)
	if !ok {
		t.Fatal("the code of now is refused")
	}
	if _, ok := s.Check(code, now.Add(20*time.Second), step); ok {
		t.Error("a code is taken twice")
	}
	if _, ok := s.Check(s.code(stepAt(now)-1), now, step); ok {
		t.Error("a code from before the last one is taken")
	}
	if _, ok := s.Check(s.code(stepAt(now)+1), now, step); !ok {
		t.Error("a phone that is half a minute ahead is refused")
	}
	if _, ok := s.Check(s.code(stepAt(now)+2), now, step); ok {
		t.Error("a phone that is a minute ahead is taken")
	}
}

func TestRecoveryCodesWorkOnce(t *testing.T) {
	codes, r := NewRecovery()
	if len(codes) != recoveryCodes || len(r.Sums) != recoveryCodes {
		t.Fatalf("%d codes, %d kept", len(codes), len(r.Sums))
	}
	sloppy := strings.ToLower(strings.ReplaceAll(codes[3], "-", " "))
	if !r.Use(typed(sloppy)) {
		t.Fatalf("%q is refused", sloppy)
	}
	if r.Use(typed(codes[3])) {
		t.Error("a code works twice")
	}
	if r.Use(typed("AAAA-BBBB-CCCC")) || r.Use("") {
		t.Error("a wrong code works")
	}
	if len(r.Sums) != recoveryCodes-1 {
		t.Errorf("%d are left", len(r.Sums))
	}
}

// world is a gate on a host of its own.
type world struct {
	*Gate
	now  time.Time
	sent []Message
	fail error
	told []event.Event
	out  bytes.Buffer
}

func (w *world) Send(_ context.Context, m Message) error {
	if w.fail == nil {
		w.sent = append(w.sent, m)
	}
	return w.fail
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Now()}
	rules := DefaultSettings().Gate
	rules.When = []string{Always}
	w.Gate = &Gate{
		Rules: rules, Vault: NewVault(t.TempDir()), RunDir: t.TempDir(), Senders: map[string]Sender{FactorSMS: w},
		Contact: func(factor string, e event.Event) string {
			if factor == FactorSMS && e.User == "alice" {
				return "+353000000012"
			}
			return ""
		},
		Tell: func(e event.Event) error { w.told = append(w.told, e); return nil },
		Now:  func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	}
	return w
}

// login is one of a connection, which n tells apart.
func login(user string, n int) event.Event {
	s := event.Session{PID: 1000 + n, Start: 1, Boot: "b"}
	return event.Event{
		ID: event.GateID(s, user), Kind: event.KindLogin, Host: "web1", User: user, Service: "sshd", Via: event.ViaPAM, Session: s,
		Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: "publickey", Fingerprint: "SHA256:x"}},
	}
}

func (w *world) results() (all []event.GateResult) {
	for _, e := range w.told {
		all = append(all, e.Gate.Result)
	}
	return all
}

func (w *world) ask(t *testing.T, e event.Event) {
	t.Helper()
	if err := w.Ask(t.Context(), e, &w.out); err != nil {
		t.Fatalf("ask: %v", err)
	}
}

func same(a []event.GateResult, b ...event.GateResult) bool {
	return strings.Join(strings.Fields(strings.Trim(strings.Join(words(a), " "), " ")), " ") == strings.Join(words(b), " ")
}

func words(all []event.GateResult) (out []string) {
	for _, r := range all {
		out = append(out, string(r))
	}
	return out
}

func TestWrongThenRight(t *testing.T) {
	w, e := newWorld(t), login("alice", 1)
	w.ask(t, e)
	if len(w.sent) != 1 || !strings.Contains(w.out.String(), "(...12)") {
		t.Fatalf("%d codes sent; said %q", len(w.sent), w.out.String())
	}
	for _, wrong := range []string{"000000", "", "abc"} {
		if wrong == w.sent[0].Code {
			continue
		}
		if w.Tries = 5; w.Verify(t.Context(), e, wrong) == nil {
			t.Fatalf("%q is taken", wrong)
		}
		w.ask(t, e)
	}
	if len(w.sent) != 1 {
		t.Fatalf("%d codes sent for one connection", len(w.sent))
	}
	if err := w.Verify(t.Context(), e, " "+w.sent[0].Code[:3]+"-"+w.sent[0].Code[3:]+"\n"); err != nil {
		t.Fatalf("the right code: %v", err)
	}
	if !same(w.results(), event.GateAsked, event.GatePassed) {
		t.Errorf("told %v", w.results())
	}
	if w.Verify(t.Context(), e, w.sent[0].Code) == nil {
		t.Error("the code is taken twice")
	}
}

func TestThreeWrongCodesEndTheConnection(t *testing.T) {
	w, e := newWorld(t), login("alice", 1)
	w.ask(t, e)
	for range 3 {
		if w.Verify(t.Context(), e, "12345") == nil {
			t.Fatal("taken")
		}
	}
	if w.Verify(t.Context(), e, w.sent[0].Code) == nil {
		t.Error("a fourth try is taken")
	}
	if err := w.Ask(t.Context(), e, &w.out); err == nil {
		t.Error("a fourth try is asked for")
	}
	if !same(w.results(), event.GateAsked, event.GateRefused) {
		t.Errorf("told %v", w.results())
	}
}

func TestCodesOfAnotherConnection(t *testing.T) {
	w, a, b := newWorld(t), login("alice", 1), login("alice", 2)
	w.ask(t, a)
	w.ask(t, b)
	if w.Verify(t.Context(), b, w.sent[0].Code) == nil && w.sent[0].Code != w.sent[1].Code {
		t.Error("connection B takes A's code")
	}
	if w.Verify(t.Context(), b, w.sent[1].Code) != nil || w.Verify(t.Context(), a, w.sent[0].Code) != nil {
		t.Error("its own code is refused")
	}
}

func TestAnOldCodeIsNone(t *testing.T) {
	for name, after := range map[string]time.Duration{"expired": 5*time.Minute + time.Second, "the clock was set back": -time.Hour} {
		w, e := newWorld(t), login("alice", 1)
		w.ask(t, e)
		w.now = w.now.Add(after)
		if w.Verify(t.Context(), e, w.sent[0].Code) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestWithoutAFirstFactor(t *testing.T) {
	for _, method := range []string{"", "keyboard-interactive/pam", "none"} {
		w, e := newWorld(t), login("alice", 1)
		e.Login.Auth.Method = method
		w.When, w.Judge = []string{NewKey}, func(context.Context, event.Event) (Opinion, error) { return Opinion{Known: true}, nil }
		w.ExemptNetworks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		if w.Known(t.Context(), e) || w.Ask(t.Context(), e, &w.out) == nil || w.Verify(t.Context(), e, "") == nil {
			t.Errorf("%q gets in", method)
		}
	}
}

func TestGuessingOverDays(t *testing.T) {
	w := newWorld(t)
	secret := NewSecret()
	_ = w.Vault.Update(t.Context(), "alice", func(a *Account) error { a.Secret = secret; return nil })
	tried := 0
	for n := range 20 {
		e := login("alice", n)
		if w.Ask(t.Context(), e, &w.out) != nil {
			continue
		}
		for range 3 {
			tried++
			if w.Verify(t.Context(), e, "000000") == nil {
				t.Fatal("guessed")
			}
		}
		w.now = w.now.Add(24 * time.Hour)
	}
	a, err := w.Vault.Account("alice")
	if err != nil || a.Locked.IsZero() {
		t.Fatalf("after %d wrong codes: %+v, %v", tried, a, err)
	}
	e := login("alice", 99)
	if err := w.Ask(t.Context(), e, &w.out); err == nil {
		if w.Verify(t.Context(), e, secret.code(stepAt(w.now))) == nil {
			t.Error("a code is taken though codes are locked")
		}
	}
	locked := 0
	for _, r := range w.results() {
		if r == event.GateLocked {
			locked++
		}
	}
	if locked != 1 {
		t.Errorf("the lock was told %d times", locked)
	}
}

func TestFlooding(t *testing.T) {
	w := newWorld(t)
	w.SendsPerDay = 8
	for n := range 20 {
		_ = w.Ask(t.Context(), login("alice", n), &w.out)
	}
	if len(w.sent) != 5 {
		t.Errorf("%d codes in one moment", len(w.sent))
	}
	for n := range 20 {
		w.now = w.now.Add(10 * time.Minute)
		_ = w.Ask(t.Context(), login("alice", 100+n), &w.out)
	}
	if len(w.sent) > 16 { // two days are touched at most
		t.Errorf("%d codes, the host's limit is 8 a day", len(w.sent))
	}
}

func TestNobodyToSendTo(t *testing.T) {
	w := newWorld(t)
	if err := w.Ask(t.Context(), login("bob", 1), &w.out); err == nil {
		t.Error("who is not enrolled gets on")
	}
	w.fail = errors.New("away")
	if err := w.Ask(t.Context(), login("alice", 2), &w.out); err == nil {
		t.Error("who can't be sent a code gets on")
	}
	w.FailMode = "safe"
	e := login("alice", 3)
	w.ask(t, e)
	if err := w.Verify(t.Context(), e, ""); err != nil {
		t.Errorf("failmode safe: %v", err)
	}
	if r := w.results(); r[len(r)-1] != event.GateFailOpen {
		t.Errorf("told %v", r)
	}
	for n := range 10 { // a limit is no reason to be let in
		if w.Ask(t.Context(), login("alice", 10+n), &w.out) == nil && n > 4 {
			t.Error("let in because of a limit")
		}
	}
}

func TestWhenInDoubtItAsks(t *testing.T) {
	usual := Opinion{Known: true, Score: -1}
	for _, r := range []struct {
		name  string
		judge func(context.Context, event.Event) (Opinion, error)
		known bool
	}{
		{"usual", func(context.Context, event.Event) (Opinion, error) { return usual, nil }, true},
		{"nobody answers", nil, false},
		{"an error", func(context.Context, event.Event) (Opinion, error) { return usual, errors.New("no") }, false},
		{"too late", func(ctx context.Context, _ event.Event) (Opinion, error) { <-ctx.Done(); return usual, ctx.Err() }, false},
		{"no memory", func(context.Context, event.Event) (Opinion, error) { return Opinion{}, nil }, false},
		{"a new country", func(context.Context, event.Event) (Opinion, error) {
			return Opinion{Known: true, Keys: []string{NewCountry}, Score: -1}, nil
		}, false},
		{"a reason that is none here", func(context.Context, event.Event) (Opinion, error) {
			return Opinion{Known: true, Keys: []string{"new_pair", "unusual_hour"}, Score: -1}, nil
		}, true},
		{"a score", func(context.Context, event.Event) (Opinion, error) { return Opinion{Known: true, Score: 68}, nil }, false},
		{"a lower score", func(context.Context, event.Event) (Opinion, error) { return Opinion{Known: true, Score: 67}, nil }, true},
		{"a forged address", func(context.Context, event.Event) (Opinion, error) {
			return Opinion{Known: true, Keys: []string{"forged_address"}, Score: -1}, nil
		}, false},
	} {
		w := newWorld(t)
		w.When, w.Judge, w.DecideTimeout = DefaultSettings().Gate.When, r.judge, 20*time.Millisecond
		if got := w.Known(t.Context(), login("alice", 1)); got != r.known {
			t.Errorf("%s: known is %v", r.name, got)
		}
	}
}

func TestOff(t *testing.T) {
	w := newWorld(t)
	if err := w.Vault.SetOff(t.Context(), w.now, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !w.Known(t.Context(), login("alice", 1)) || !same(w.results(), event.GateOff) {
		t.Errorf("off: %v", w.results())
	}
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour} {
		w.now = w.now.Add(d)
		if w.Known(t.Context(), login("alice", 2)) {
			t.Errorf("still off after %v", d)
		}
	}
}

func TestNothingTypedIsNoGuess(t *testing.T) {
	w := newWorld(t)
	for n := range 10 {
		e := login("alice", n)
		w.now = w.now.Add(time.Hour)
		w.ask(t, e)
		for range 3 { // as a client without a terminal does
			_ = w.Verify(t.Context(), e, "")
		}
	}
	if a, _ := w.Vault.Account("alice"); a.Failures != 0 || !a.Locked.IsZero() {
		t.Errorf("%d failures, locked %v", a.Failures, a.Locked)
	}
}

// What stands in the vault is root's; a torn file must not look like none.
func TestATornAccountIsNoNewOne(t *testing.T) {
	w := newWorld(t)
	d, err := makeOwn(w.Vault.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Replace(userFile("alice"), []byte(`{"v":1,"fail`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Ask(t.Context(), login("alice", 1), &w.out); err == nil {
		t.Error("asked as if nothing were known")
	}
}

func TestMessagesHoldNothingOfAStranger(t *testing.T) {
	m := Message{Code: "123456", Ref: "7K3F", User: "<!channel> http://evil.example/\n", Host: "web1", From: "203.0.113.7", Life: 5 * time.Minute}
	text := m.Text()
	if strings.ContainsAny(text, "<>!/\n") || len(text) > 320 {
		t.Errorf("%q", text)
	}
	if s := m.Spoken(); strings.Count(s, "1. 2. 3. 4. 5. 6.") != 2 {
		t.Errorf("%q", s)
	}
}
