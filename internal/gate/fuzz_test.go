package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Whatever stands in the settings, those that are taken open no door.
func FuzzSettings(f *testing.F) {
	f.Add("[gate]\nwhen = \"always\"\nexempt_networks = [\"192.0.2.0/24\"]\nsends = \"5/15m\"\n")
	f.Add("[gate]\nfactors = [\"email\", \"totp\"]\n[gate.mail]\nserver = \"localhost\"\ntls = \"none\"\nfrom = \"a@example.com\"\n[person.alice]\nphone = \"+353000000012\"\n")
	f.Add("[gate.http]\nlisten = \"[::1]:1\"\nseed_paths = true\n[gate.http.client.a]\ntoken = \"0123456789abcdef0123456789abcdef\"\n")
	f.Add("[gate.twilio]\naccount = \"AC00000000000000000000000000000000\"\napi_key = \"SK00000000000000000000000000000000\"\napi_secret = \"x\"\nfrom = \"+353000000001\"\ncountries = [\"+353\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") {
			return // which would be read
		}
		s := DefaultSettings()
		if strictoml.Unmarshal("gate.toml", []byte(text), &s) != nil {
			return
		}
		r := s.Gate
		for _, p := range r.ExemptNetworks {
			for _, own := range []string{"127.0.0.1", "127.1.2.3", "::1"} {
				if p.Contains(netip.MustParseAddr(own)) {
					t.Errorf("%s is exempt", own)
				}
			}
		}
		if r.Tries < 1 || r.Tries > 5 || r.LockAfter < 3 || r.LockAfter > 100 || r.CodeTTL < time.Minute || r.CodeTTL > 10*time.Minute || r.Sends.N < 1 || r.Sends.Per <= 0 {
			t.Errorf("%+v", r)
		}
		if h := r.HTTP; h != nil {
			host, _, err := net.SplitHostPort(h.Listen)
			if err != nil || h.CertFile == "" && !net.ParseIP(host).IsLoopback() {
				t.Errorf("it listens on %q", h.Listen)
			}
			for name, c := range h.Clients {
				if len(c.Token.Reveal()) < minToken {
					t.Errorf("the token of %s", name)
				}
			}
		}
	})
}

// Whatever stands in the vault and whatever somebody types, nobody passes by a file
// that holds no secret, and nothing breaks.
func FuzzTyped(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	secret := Secret("12345678901234567890")
	whole, _ := json.Marshal(Account{V: 1, Secret: secret, LastStep: 1, Failures: 3})
	f.Add(whole, secret.Code(now))
	f.Add([]byte(`{"v":1,"recovery":{"salt":"AAAA","sums":["AAAA",""]}}`), "AAAA-BBBB-CCCC")
	f.Add([]byte(`{"totp":"","last_step":-9223372036854775808}`), "000000")
	f.Fuzz(func(t *testing.T, doc []byte, answer string) {
		var a Account
		if json.Unmarshal(doc, &a) != nil {
			return
		}
		code, left := typed(answer), len(a.Recovery.Sums)
		if step, ok := a.Secret.Check(code, now, a.LastStep); ok && (!isCode(code) || step <= a.LastStep) {
			t.Errorf("%q is taken as a code of step %d, after %d", answer, step, a.LastStep)
		}
		if a.Recovery.Use(code) && (left == 0 || len(a.Recovery.Sums) != left-1) {
			t.Errorf("%q is taken, and %d of %d are left", answer, len(a.Recovery.Sums), left)
		}
		var c Challenge
		if c.opens(code, now, time.Minute) {
			t.Errorf("%q opens a challenge without a code", answer)
		}
	})
}

// Whatever answers in the worker's place, who is not known by its word is asked.
func FuzzOpinion(f *testing.F) {
	f.Add([]byte(`{"known":true,"keys":[],"score":-1,"attack":false}`), []byte(`{"v":1,"kind":"login"}`))
	f.Add([]byte(`{"known":true,"keys":["new_key"],"score":99}`), []byte(`{}`))
	f.Add([]byte(`{"known":true`), []byte(``))
	rules := DefaultSettings().Gate
	f.Fuzz(func(t *testing.T, answer, question []byte) {
		o, err := readOpinion(bytes.NewReader(answer))
		if why := rules.Match(event.Event{}, o); err == nil && len(why) == 0 &&
			(!o.Known || o.Attack || o.Score >= rules.MinScore || slices.ContainsFunc(o.Keys, func(k string) bool { return slices.Contains(rules.When, k) })) {
			t.Errorf("%s: not asked", answer)
		}
		// The other way: a worker reads what asks, which the kernel says is root.
		var e event.Event
		_ = json.Unmarshal(question, &e)
	})
}

// Whatever a client asks, what is sent goes to a number of the table, and nobody is
// let in who does not know the code.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/sms", "application/json", `{"number":"+353000000012"}`)
	f.Add("POST", "/auth", "application/x-www-form-urlencoded", "number=%2B353000000012&token=123456")
	f.Add("POST", "/auth/+353000000012/123456", "", "")
	f.Add("POST", "/twilio/voice?x=y", "application/x-www-form-urlencoded", "From=%2B1")
	f.Add("GET", "/healthz", "", "")
	s := &Server{
		HTTP: HTTP{StateDir: f.TempDir(), SeedPaths: true, PublicURL: "https://codes.example.com", AuthToken: outbound.NewSecret("twilio-token"), Clients: map[string]Client{
			"portal": {Token: outbound.NewSecret(portalsToken)},
		}},
		Rules: DefaultSettings().Gate, People: policy.People{"alice": {Phone: alicesNumber}}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	s.Senders = map[string]Sender{FactorSMS: toAlice{f}, FactorVoice: toAlice{f}}
	h := s.Handler()
	f.Fuzz(func(t *testing.T, method, path, kind, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r.Header.Set("Authorization", "Bearer "+portalsToken)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		s.Wait()
		switch w.Code {
		case 202, 301, 307, 400, 403, 404, 405, 429:
		case 200:
			if r.URL.Path != "/healthz" {
				t.Errorf("%s %s %q: %s", method, path, body, w.Body)
			}
		default:
			t.Errorf("%s %s %q: %d %s", method, path, body, w.Code, w.Body)
		}
	})
}

// toAlice is a sender that nobody else is to be sent anything by.
type toAlice struct{ t testing.TB }

func (s toAlice) Send(_ context.Context, m Message) error {
	if m.To != alicesNumber {
		s.t.Errorf("sent to %q", m.To)
	}
	return nil
}
