package gate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// aCode is one as it goes out.
func aCode(to string) Message {
	return Message{Code: "492817", Ref: "7K3F", User: "alice", Host: "web1", From: "203.0.113.7", Life: 5 * time.Minute, To: to}
}

func mailServer(t *testing.T, behave func(verb, arg string) string) (*standin.SMTP, Sender) {
	t.Helper()
	s, err := standin.StartSMTP(standin.SMTPOptions{Behave: behave})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	m := new(channel.MailServer)
	if err := strictoml.Unmarshal("gate.toml", []byte("server = \""+s.Addr()+"\"\ntls = \"none\"\nfrom = \"gate@example.com\"\n"), m); err != nil {
		t.Fatal(err)
	}
	return s, Rules{Mail: m}.Senders(nil)[FactorEmail]
}

func TestMailOfACode(t *testing.T) {
	s, sender := mailServer(t, nil)
	m := aCode("alice@example.com")
	m.User = "alice\r\nBcc: mallory@example.com"
	if err := sender.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mails := s.Mails()
	if len(mails) != 1 || mails[0].To != "alice@example.com" || mails[0].From != "gate@example.com" {
		t.Fatalf("%+v", mails)
	}
	head, body, _ := strings.Cut(mails[0].Data, "\r\n\r\n")
	if strings.Contains(head, m.Code) || strings.Contains(head, "\nBcc:") || !strings.Contains(head, "Subject: Code 7K3F for alice??Bcc:") {
		t.Errorf("the head is\n%s", head)
	}
	if !strings.HasPrefix(body, m.Code+" is the code for alice") {
		t.Errorf("the body is\n%s", body)
	}
	if f := s.Faults(); len(f) > 0 {
		t.Error(f)
	}
}

// Whatever a server does, somebody gets no further by it, and nothing that is logged
// has the code.
func TestMailOfACodeThatFails(t *testing.T) {
	for _, r := range []struct {
		name, verb, answer, to string
	}{
		{"the recipient is refused", "RCPT", "550 5.1.1 no alice@example.com here", ""},
		{"greylisted", "RCPT", "451 4.7.1 greylisted", ""},
		{"refused with the code", ".", "554 5.7.1 492817 is spam", ""},
		{"hung up", "DATA", standin.HangUp, ""},
		{"no address", "", "", "alice"},
		{"two addresses", "", "", "alice@example.com, mallory@example.com"},
		{"another header", "", "", "alice@example.com\r\nBcc: mallory@example.com"},
	} {
		t.Run(r.name, func(t *testing.T) {
			s, sender := mailServer(t, func(verb, _ string) string {
				if verb == r.verb && r.verb != "" {
					return r.answer
				}
				return ""
			})
			to := "alice@example.com"
			if r.to != "" {
				to = r.to
			}
			err := sender.Send(t.Context(), aCode(to))
			if err == nil {
				t.Fatal("taken")
			}
			if strings.Contains(err.Error(), "492817") || len(s.Mails()) != 0 {
				t.Errorf("%v; %d mails", err, len(s.Mails()))
			}
		})
	}
}

// Nobody is sent a mail because they have an address: the settings have to name it.
func TestMailOnlyByName(t *testing.T) {
	w, e := newWorld(t), login("alice", 1)
	people := policy.People{"alice": {Email: "alice@example.com"}}
	w.Senders = map[string]Sender{FactorEmail: w}
	w.Contact = func(factor string, e event.Event) string { return Contact(people, factor, e) }
	if err := w.Ask(t.Context(), e, &w.out); err == nil || len(w.sent) != 0 {
		t.Fatalf("%v; %d mails", err, len(w.sent))
	}
	w.Factors = []string{FactorEmail, FactorRecovery}
	e = login("alice", 2)
	w.ask(t, e)
	if len(w.sent) != 1 || w.sent[0].To != "alice@example.com" || !strings.Contains(w.out.String(), "went to your mailbox") {
		t.Fatalf("%+v %q", w.sent, w.out.String())
	}
	if err := w.Verify(t.Context(), e, w.sent[0].Code); err != nil {
		t.Error(err)
	}
}

// phone is the number that the stand-in for Twilio may send to.
const phone = "+15551234567"

// sendersTo are senders of which Twilio and Slack are what takes the requests.
func sendersTo(t *testing.T, take http.HandlerFunc) map[string]Sender {
	t.Helper()
	web := httptest.NewServer(take)
	t.Cleanup(web.Close)
	url := outbound.NewSecret(web.URL)
	r := Rules{
		Twilio: &Twilio{
			Account: standin.ServiceAccount, APIKey: standin.ServiceKey, APISecret: outbound.NewSecret(standin.ServiceToken), From: "+15557654321",
			Countries: []string{"+1"}, URL: url,
		},
		Slack: &Slack{Token: outbound.NewSecret(standin.ServiceToken), URL: url},
	}
	return r.Senders(outbound.New(outbound.Options{Timeout: 5 * time.Second}))
}

// Services that are as strict as their documentation take what is sent, whatever
// strangers have called themselves; and it costs one message.
func TestCodesThatServicesTake(t *testing.T) {
	services := standin.Services()
	for factor, r := range map[string]struct{ service, to string }{
		FactorSMS: {"twilio-sms", phone}, FactorVoice: {"twilio-voice", phone}, FactorSlack: {"slack-bot", "U0123ABCD"},
	} {
		sender := sendersTo(t, services[r.service])[factor]
		for name, change := range map[string]func(*Message){
			"as it is": func(*Message) {},
			"long": func(m *Message) {
				m.User, m.Host, m.From = strings.Repeat("u", 90), strings.Repeat("h", 90), "2001:db8:1111:2222:3333:4444:5555:6666"
			},
			"of a program":      func(m *Message) { m.Program, m.From, m.Life = strings.Repeat("p", 90), "", 10*time.Minute },
			"a form in it":      func(m *Message) { m.User, m.Host = "a&To=+1900", "web1&Twiml=<Response/>" },
			"TwiML in it":       func(m *Message) { m.User = "</Say><Dial>+1900</Dial><Say>" },
			"a mention in it":   func(m *Message) { m.User, m.Host = "<!channel>", "<https://evil.example.com|web1>" },
			"lines in it":       func(m *Message) { m.User = "alice\r\n\r\nFrom: bank" },
			"no ASCII in it":    func(m *Message) { m.User, m.Host = "älice", "wéb\u202e1" },
			"no known address":  func(m *Message) { m.From = "" },
			"an address's zone": func(m *Message) { m.From = "fe80::1%eth0&x=y" },
		} {
			m := aCode(r.to)
			change(&m)
			if err := sender.Send(t.Context(), m); err != nil {
				t.Errorf("%s, %s: %v", factor, name, err)
			}
			if text := m.Text(); len(text) > oneSMS || !strings.HasPrefix(text, m.Code+" is the code for ") || strings.ContainsAny(text, "<>&|\r\n%") {
				t.Errorf("%s: %d characters: %s", name, len(text), text)
			}
		}
	}
	// Nobody has written to them yet.
	if err := sendersTo(t, services["slack-bot"])[FactorSlack].Send(t.Context(), aCode("U0999ABCD")); err != nil {
		t.Error(err)
	}
}

// What a service refuses is not sent again, since each costs, and nothing that is
// logged has the code or the number.
func TestCodesThatServicesRefuse(t *testing.T) {
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	services := standin.Services()
	for _, r := range []struct {
		name, factor, to string
		take             http.HandlerFunc
		want             string
	}{
		{"no number", FactorSMS, "+1", services["twilio-sms"], "21211"},
		{"a trial account", FactorSMS, "+15550000000", services["twilio-sms"], "21608"},
		{"a country that is not in the settings", FactorSMS, "+353000000012", services["twilio-sms"], "none of the countries"},
		{"an unknown key", FactorVoice, phone, says(401, `{"code":20003,"message":"Authenticate"}`), "20003"},
		{"too many", FactorSMS, phone, says(429, `{"code":20429,"message":"Too Many Requests"}`), "too many codes"},
		{"the code and the number repeated", FactorSMS, phone, says(400, `{"code":21610,"message":"492817 to `+phone+` is blocked"}`), "21610"},
		{"taken without an id", FactorSMS, phone, says(201, `{"status":"queued"}`), "HTTP 201"},
		{"another status", FactorSMS, phone, says(200, `{"sid":"SM0"}`), "HTTP 200"},
		{"a page", FactorSMS, phone, says(200, "<html>492817"), "no answer of Twilio's"},
		{"Twilio is away", FactorVoice, phone, says(503, ""), "HTTP 503"},
		{"elsewhere", FactorSMS, phone, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) }, ""},
		{"an unknown token", FactorSlack, "U0123ABCD", says(200, `{"ok":false,"error":"invalid_auth"}`), "invalid_auth"},
		{"another scope", FactorSlack, "U0123ABCD", says(200, `{"ok":false,"error":"missing_scope","needed":"im:write"}`), "missing_scope"},
		{"no such user", FactorSlack, "U", services["slack-bot"], "user_not_found"},
		{"too often", FactorSlack, "U0123ABCD", says(429, `{"ok":false,"error":"ratelimited"}`), "too many codes"},
		{"a webhook's ok", FactorSlack, "U0123ABCD", says(200, "ok"), "no answer of Slack's"},
		{"the code repeated", FactorSlack, "U0123ABCD", says(200, `{"ok":false,"error":"492817"}`), "…"},
	} {
		var asked atomic.Int32
		sender := sendersTo(t, func(w http.ResponseWriter, req *http.Request) { asked.Add(1); r.take(w, req) })[r.factor]
		err := sender.Send(t.Context(), aCode(r.to))
		if err == nil || !strings.Contains(err.Error(), r.want) || strings.Contains(err.Error(), "492817") || strings.Contains(err.Error(), phone) {
			t.Errorf("%s: %v", r.name, err)
		}
		if n := asked.Load(); n > 1 && r.name != "no such user" {
			t.Errorf("%s: asked %d times", r.name, n)
		}
	}
}
