package gate

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
)

const (
	alicesNumber = "+353000000012"
	bobsNumber   = "+353000000013"
	nobodysOwn   = "+353000000099"
	portalsToken = "0123456789abcdef0123456789abcdef"
)

// codes is a sender that keeps what it sent.
type codes struct {
	mu  sync.Mutex
	all []Message
}

func (c *codes) Send(_ context.Context, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, m)
	return nil
}

func (c *codes) last(t *testing.T) Message {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) == 0 {
		t.Fatal("nothing was sent")
	}
	return c.all[len(c.all)-1]
}

// service is a Server in a test.
type service struct {
	*Server
	url  string
	sent codes
	now  time.Time
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{now: time.Now()}
	s.Server = &Server{
		HTTP: HTTP{StateDir: t.TempDir(), PublicURL: "https://codes.example.com", AuthToken: outbound.NewSecret("twilio-token"), Clients: map[string]Client{
			"portal": {Token: outbound.NewSecret(portalsToken), Users: []string{"alice"}},
		}},
		Rules: DefaultSettings().Gate, Senders: map[string]Sender{FactorSMS: &s.sent, FactorVoice: &s.sent}, Host: "web1",
		People: policy.People{"alice": {Phone: alicesNumber}, "bob": {Phone: bobsNumber}},
		Now:    func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *service) open(t *testing.T) *service {
	t.Helper()
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(s.Wait)
	s.url = web.URL
	return s
}

// do makes a request, and waits until all codes are on their way. Nobody else may make
// one meanwhile.
func (s *service) do(t *testing.T, method, path, token, body string) (int, http.Header, string) {
	t.Helper()
	defer s.Wait()
	return s.request(t, method, path, token, body)
}

// request makes a request, JSON where the body is; it returns the status, the headers
// and the body. It may be called by many goroutines.
func (s *service) request(t *testing.T, method, path, token, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func (s *service) sms(t *testing.T, number string) int {
	status, _, _ := s.do(t, "POST", "/sms", portalsToken, fmt.Sprintf(`{"number":%q}`, number))
	return status
}

func (s *service) check(t *testing.T, number, code string) int {
	status, _, _ := s.do(t, "POST", "/auth", portalsToken, fmt.Sprintf(`{"number":%q,"token":%q}`, number, code))
	return status
}

func TestServiceWholeWay(t *testing.T) {
	s := newService(t).open(t)
	status, _, body := s.do(t, "POST", "/sms", portalsToken, `{"number":"`+alicesNumber+`"}`)
	var answer struct {
		Ref       string
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 202 || answer.ExpiresIn != 300 || len(answer.Ref) != 4 {
		t.Fatalf("%d %s", status, body)
	}
	m := s.sent.last(t)
	if m.To != alicesNumber || m.Ref != answer.Ref {
		t.Errorf("sent %+v", m)
	}
	if got := s.check(t, alicesNumber, "1"); got != 403 {
		t.Errorf("a wrong code: %d", got)
	}
	if got := s.check(t, alicesNumber, m.Code); got != 200 {
		t.Errorf("the right code: %d", got)
	}
	if got := s.check(t, alicesNumber, m.Code); got != 403 {
		t.Errorf("the code again: %d", got)
	}
	status, _, _ = s.do(t, "POST", "/voice", portalsToken, url.Values{"number": {alicesNumber}}.Encode())
	if status != 202 || s.check(t, alicesNumber, s.sent.last(t).Code) != 200 {
		t.Errorf("a call by form: %d", status)
	}
}

func TestServiceDoors(t *testing.T) {
	s := newService(t).open(t)
	alice := `{"number":"` + alicesNumber + `"}`
	for _, r := range []struct {
		name, method, path, token, body string
		want                            int
	}{
		{"no token", "POST", "/sms", "", alice, 401},
		{"another token", "POST", "/sms", portalsToken + "0", alice, 401},
		{"GET", "GET", "/sms", portalsToken, "", 405},
		{"GET of a code", "GET", "/auth", portalsToken, "", 405},
		{"HEAD", "HEAD", "/auth", portalsToken, "", 405},
		{"the article's paths are off", "POST", "/sms/" + alicesNumber, portalsToken, "", 404},
		{"the article's paths are off", "POST", "/auth/" + alicesNumber + "/123456", portalsToken, "", 404},
		{"no number", "POST", "/sms", portalsToken, `{"number":"0012"}`, 400},
		{"an unknown key", "POST", "/sms", portalsToken, `{"number":"` + alicesNumber + `","from":"+1"}`, 400},
		{"a number with more in it", "POST", "/sms", portalsToken, "number=" + url.QueryEscape(alicesNumber+"&To=+1"), 400},
		{"too big", "POST", "/sms", portalsToken, `{"number":"` + strings.Repeat("1", 8<<10) + `"}`, 400},
		{"a call that nobody signed", "POST", "/twilio/voice", "", "From=%2B1", 403},
		{"alive", "GET", "/healthz", "", "", 200},
	} {
		if got, _, body := s.do(t, r.method, r.path, r.token, r.body); got != r.want {
			t.Errorf("%s: %d %s, want %d", r.name, got, body, r.want)
		}
	}
	if len(s.sent.all) != 0 {
		t.Errorf("sent: %+v", s.sent.all)
	}
}

// Nobody learns from an answer whether a number is known.
func TestServiceAnswersAlike(t *testing.T) {
	for _, other := range []string{nobodysOwn, bobsNumber} { // bob is not the portal's
		s := newService(t).open(t)
		for n := range 7 {
			a, ah, _ := s.do(t, "POST", "/sms", portalsToken, `{"number":"`+alicesNumber+`"}`)
			b, bh, _ := s.do(t, "POST", "/sms", portalsToken, `{"number":"`+other+`"}`)
			ah.Del("Date")
			bh.Del("Date")
			if a != b || fmt.Sprint(ah) != fmt.Sprint(bh) {
				t.Fatalf("the %d-th code: %d %v for a known number, %d %v for another", n, a, ah, b, bh)
			}
		}
		for n := range 14 {
			a, _, said := s.do(t, "POST", "/auth", portalsToken, `{"number":"`+alicesNumber+`","token":"1"}`)
			b, _, saidOther := s.do(t, "POST", "/auth", portalsToken, `{"number":"`+other+`","token":"1"}`)
			if a != b || said != saidOther {
				t.Fatalf("the %d-th try: %d %q for a known number, %d %q for another", n, a, said, b, saidOther)
			}
		}
		for _, m := range s.sent.all {
			if m.To != alicesNumber {
				t.Errorf("sent to %s", m.To)
			}
		}
	}
}

func TestServiceGuessing(t *testing.T) {
	s := newService(t).open(t)
	for range 4 {
		s.sms(t, alicesNumber)
		for range 3 {
			s.check(t, alicesNumber, "1")
		}
	}
	// The fourth try at one code, whatever it is, and then any at all.
	if got := s.check(t, alicesNumber, s.sent.last(t).Code); got != 429 {
		t.Errorf("after twelve wrong ones: %d", got)
	}
	s.now = s.now.Add(time.Hour)
	s.sms(t, alicesNumber)
	if got := s.check(t, alicesNumber, s.sent.last(t).Code); got != 429 {
		t.Errorf("a new code resets the lock: %d", got)
	}
}

func TestServiceOldCode(t *testing.T) {
	s := newService(t).open(t)
	s.sms(t, alicesNumber)
	s.now = s.now.Add(5*time.Minute + time.Second)
	if got := s.check(t, alicesNumber, s.sent.last(t).Code); got != 403 {
		t.Errorf("expired: %d", got)
	}
}

func TestServiceSeedPaths(t *testing.T) {
	s := newService(t)
	s.SeedPaths = true
	s.open(t)
	if got, _, _ := s.do(t, "POST", "/sms/"+alicesNumber, portalsToken, ""); got != 202 {
		t.Fatalf("sms: %d", got)
	}
	if got, _, body := s.do(t, "POST", "/auth/"+alicesNumber+"/"+s.sent.last(t).Code, portalsToken, ""); got != 200 || body != "" {
		t.Errorf("auth: %d %q", got, body)
	}
	if got, _, _ := s.do(t, "GET", "/auth/"+alicesNumber+"/123456", portalsToken, ""); got != 405 {
		t.Errorf("GET: %d", got)
	}
	if got, _, _ := s.do(t, "POST", "/who/"+alicesNumber, portalsToken, ""); got != 403 {
		t.Errorf("who, not signed: %d", got)
	}
}

// sign makes the signature as Twilio does.
func sign(token, url string, form url.Values, keys ...string) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(url))
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestServiceRefusesCalls(t *testing.T) {
	s := newService(t).open(t)
	form := url.Values{"From": {"+353000000001"}, "CallSid": {"CA0"}}
	for _, r := range []struct {
		name, signature string
		want            int
	}{
		{"signed", sign("twilio-token", "https://codes.example.com/twilio/voice", form, "CallSid", "From"), 200},
		{"signed with the port", sign("twilio-token", "https://codes.example.com:443/twilio/voice", form, "CallSid", "From"), 200},
		{"another token", sign("other", "https://codes.example.com/twilio/voice", form, "CallSid", "From"), 403},
		{"another URL", sign("twilio-token", "https://codes.example.com/sms", form, "CallSid", "From"), 403},
		{"a parameter is missing", sign("twilio-token", "https://codes.example.com/twilio/voice", form, "From"), 403},
		{"none", "", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/twilio/voice", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Twilio-Signature", r.signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != r.want || r.want == 200 && string(b) != `<Response><Reject reason="rejected"/></Response>` {
			t.Errorf("%s: %d %s", r.name, resp.StatusCode, b)
		}
	}
}
