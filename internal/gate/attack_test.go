package gate

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// atOnce makes n requests at the same time, and counts the answers.
func atOnce(n int, ask func(int) int) map[int]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[int]int{}
	for i := range n {
		wg.Go(func() {
			status := ask(i)
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	wg.Wait()
	return got
}

// Guesses that come at the same time are counted one by one.
func TestServiceParallelGuesses(t *testing.T) {
	s := newService(t).open(t)
	s.sms(t, alicesNumber)
	if got := atOnce(30, func(int) int { return s.check(t, alicesNumber, "1") }); got[403] != s.Rules.LockAfter || got[429] != 30-s.Rules.LockAfter {
		t.Errorf("thirty wrong codes at once: %v", got)
	}
	if got := s.check(t, alicesNumber, s.sent.last(t).Code); got != 429 {
		t.Errorf("the right one after them: %d", got)
	}
	if err := Unlock(s.StateDir, alicesNumber); err != nil {
		t.Fatal(err)
	}
	s.sms(t, alicesNumber)
	code := s.sent.last(t).Code
	if got := atOnce(10, func(int) int { return s.check(t, alicesNumber, code) }); got[200] != 1 {
		t.Errorf("the right code ten times at once: %v", got)
	}
}

func TestServiceParallelSends(t *testing.T) {
	s := newService(t).open(t)
	got := atOnce(20, func(int) int {
		status, _, _ := s.request(t, "POST", "/sms", portalsToken, fmt.Sprintf(`{"number":%q}`, alicesNumber))
		return status
	})
	s.Wait()
	if got[202] != s.Rules.Sends.N || len(s.sent.all) != s.Rules.Sends.N {
		t.Errorf("twenty at once: %v, %d sent", got, len(s.sent.all))
	}
}

// Whoever guesses for days, with as many codes as there may be, has as many guesses as
// there are before the lock; and no new code, nor a night, opens it.
func TestServiceGuessingForDays(t *testing.T) {
	s := newService(t).open(t)
	guesses := 0
	for range 12 {
		s.sms(t, alicesNumber)
		for range 4 {
			if s.check(t, alicesNumber, "1") == 403 {
				guesses++
			}
		}
		s.now = s.now.Add(6 * time.Hour)
	}
	if guesses != s.Rules.LockAfter {
		t.Errorf("%d guesses in three days", guesses)
	}
	if len(s.sent.all) > 12 {
		t.Errorf("%d messages", len(s.sent.all))
	}
}

// A client asks for a code, and another one tries it.
func TestServiceCodeOfAnotherClient(t *testing.T) {
	s := newService(t)
	const vpn = "fedcba9876543210fedcba9876543210"
	s.Clients["vpn"] = Client{Token: outbound.NewSecret(vpn)}
	s.open(t)
	s.sms(t, alicesNumber)
	code := s.sent.last(t).Code
	body := fmt.Sprintf(`{"number":%q,"token":%q}`, alicesNumber, code)
	if got, _, _ := s.do(t, "POST", "/auth", vpn, body); got != 403 {
		t.Errorf("of another client: %d", got)
	}
	if got, _, _ := s.do(t, "POST", "/sms", vpn, `{"number":"`+bobsNumber+`"}`); got != 202 {
		t.Fatalf("bob: %d", got)
	}
	if got, _, _ := s.do(t, "POST", "/auth", vpn, fmt.Sprintf(`{"number":%q,"token":%q}`, alicesNumber, s.sent.last(t).Code)); got != 403 {
		t.Errorf("of another number: %d", got)
	}
	if got := s.check(t, alicesNumber, code); got != 200 {
		t.Errorf("of the client that asked: %d", got)
	}
}

// What two readers could take for two things is taken by nobody.
func TestServiceBodies(t *testing.T) {
	s := newService(t)
	s.SeedPaths = true
	s.open(t)
	s.sms(t, alicesNumber)
	code := s.sent.last(t).Code
	number, good := url.QueryEscape(alicesNumber), fmt.Sprintf(`{"number":%q,"token":%q}`, alicesNumber, code)
	for _, r := range []struct{ name, path, kind, body string }{
		{"two numbers in a form", "/auth", "form", "number=" + number + "&number=%2B1555&token=" + code},
		{"two codes in a form", "/auth", "form", "number=" + number + "&token=1&token=" + code},
		{"two codes in JSON", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":"1","token":%q}`, alicesNumber, code)},
		{"two objects", "/auth", "json", good + good},
		{"keys of another case", "/auth", "json", fmt.Sprintf(`{"Number":%q,"TOKEN":%q}`, alicesNumber, code)},
		{"a list", "/auth", "json", "[" + good + "]"},
		{"a number that is none", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":%s}`, alicesNumber, code)},
		{"an object for a text", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":{"$ne":""}}`, alicesNumber)},
		{"deep", "/auth", "json", strings.Repeat("[", 4000)},
		{"the code in the query", "/auth?token=" + code, "form", "number=" + number},
		{"all in the query", "/auth?number=" + number + "&token=" + code, "form", ""},
		{"as plain text", "/auth", "text/plain", good},
		{"as multipart", "/auth", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + code + "\r\n--x--\r\n"},
		{"without a type", "/auth", "", good},
		{"two types", "/auth", "application/json, application/x-www-form-urlencoded", good},
		{"a body beside the path", "/auth/" + number + "/1", "json", good},
		{"other digits in the number", "/auth", "json", fmt.Sprintf(`{"number":"+٣٥٣٠٠٠٠٠٠٠١٢","token":%q}`, code)},
		{"a line behind the number", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":%q}`, alicesNumber+"\n", code)},
		{"a blank before the number", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":%q}`, " "+alicesNumber, code)},
		{"no plus", "/auth", "json", fmt.Sprintf(`{"number":%q,"token":%q}`, alicesNumber[1:], code)},
		{"a header in the number", "/sms", "form", "number=" + url.QueryEscape(alicesNumber+"\r\nX: y")},
		{"TwiML in the number", "/voice", "json", `{"number":"+353<Dial>1</Dial>"}`},
	} {
		kind := map[string]string{"form": "application/x-www-form-urlencoded", "json": "application/json"}[r.kind]
		if kind == "" {
			kind = r.kind
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+portalsToken)
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 400 || strings.Contains(string(b), code) {
			t.Errorf("%s: %d %s", r.name, resp.StatusCode, b)
		}
	}
	// Digits of another script are no code, and no try with them was counted above.
	for _, wrong := range []string{"١٢٣٤٥٦", "１２３４５６", code + "0", ""} {
		if got := s.check(t, alicesNumber, wrong); wrong == code || got != 403 {
			t.Errorf("%q: %d", wrong, got)
		}
		s.sms(t, alicesNumber) // three tries a code
	}
	s.now = s.now.Add(time.Hour)
	s.sms(t, alicesNumber)
	// People type a code as it is easy to read, and paste it with a line's end.
	code = s.sent.last(t).Code
	if got := s.check(t, alicesNumber, code[:3]+" "+code[3:]+"\n"); got != 200 {
		t.Errorf("as people type it: %d", got)
	}
}

// No method but POST does anything, whatever a header says.
func TestServiceVerbs(t *testing.T) {
	for _, seed := range []bool{false, true} {
		s := newService(t)
		s.SeedPaths = seed
		s.open(t)
		s.sms(t, alicesNumber)
		code := s.sent.last(t).Code
		for _, path := range []string{"/sms", "/voice", "/auth", "/twilio/voice", "/sms/" + alicesNumber, "/voice/" + alicesNumber, "/auth/" + alicesNumber + "/" + code, "/who/" + alicesNumber} {
			want := 405
			if !seed && strings.Count(path, "/") > 1 && path != "/twilio/voice" {
				want = 404
			}
			for _, verb := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTX"} {
				req, err := http.NewRequestWithContext(t.Context(), verb, s.url+path, strings.NewReader("number="+url.QueryEscape(alicesNumber)+"&token="+code))
				if err != nil {
					t.Fatal(err)
				}
				for k, v := range map[string]string{"Authorization": "Bearer " + portalsToken, "Content-Type": "application/x-www-form-urlencoded", "X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"} {
					req.Header.Set(k, v)
				}
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("%s %s, seed_paths = %v: %d", verb, path, seed, resp.StatusCode)
				}
			}
		}
		s.Wait()
		if len(s.sent.all) != 1 {
			t.Errorf("%d were sent", len(s.sent.all))
		}
		if got := s.check(t, alicesNumber, code); got != 200 {
			t.Errorf("the code was used up: %d", got)
		}
	}
}

// A number that nobody has is counted in memory alone, and takes the same way.
func TestServiceUnknownNumbers(t *testing.T) {
	s := newService(t).open(t)
	for n := range 30 {
		number := fmt.Sprintf("+35300000%04d", 1000+n)
		s.sms(t, number)
		s.check(t, number, "1")
	}
	files, err := os.ReadDir(s.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > 8 {
		t.Errorf("%d files of thirty numbers that nobody has", len(files))
	}
	if _, err := s.vault().Account(nobody); err == nil {
		t.Error("nobody's counters stand under a user's name")
	}
	if acc, err := s.vault().Account(account(nobody)); err != nil || acc.Failures != 0 || len(acc.Sends) != 0 {
		t.Errorf("%+v %v: they are counted as one", acc, err)
	}
	// Who asks for very many learns nothing more, of anybody: what is forgotten would
	// be counted anew, and show that it is not of the table.
	s.unknown["portal"] = map[string]*stranger{}
	for n := range maxUnknown {
		s.unknown["portal"][fmt.Sprint(n)] = &stranger{asked: s.Now()}
	}
	for _, number := range []string{alicesNumber, nobodysOwn} {
		if got := s.sms(t, number); got != 429 {
			t.Errorf("a code: %d", got)
		}
		if got := s.check(t, number, "1"); got != 429 {
			t.Errorf("a try: %d", got)
		}
	}
	for _, a := range s.unknown["portal"] {
		a.asked = a.asked.Add(-unknownFor - time.Minute)
	}
	if got := s.sms(t, alicesNumber); got != 202 {
		t.Errorf("a day later: %d", got)
	}
}

// Twilio asks for what it says in a call, and nobody else, nor for another call.
func TestServiceSpokenOnce(t *testing.T) {
	s := newService(t)
	s.SeedPaths = true
	s.open(t)
	if got, _, _ := s.do(t, "POST", "/voice/"+alicesNumber, portalsToken, ""); got != 202 {
		t.Fatal(got)
	}
	who := func(to, host, kind string) string {
		t.Helper()
		form := url.Values{"CallSid": {"CA0"}, "To": {to}}
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/who/"+alicesNumber, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", kind)
		req.Header.Set("X-Twilio-Signature", sign("twilio-token", "https://"+host+"/who/"+alicesNumber, form, "CallSid", "To"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(b))
	}
	const form, own = "application/x-www-form-urlencoded", "codes.example.com"
	for _, r := range []struct{ name, got, want string }{
		{"signed for another host", who(alicesNumber, "evil.example.com", form), "403 "},
		{"the parameters are not read", who(alicesNumber, own, "application/json"), "403 "},
		{"of another call", who(bobsNumber, own, form), "200 <Response><Reject/></Response>"},
		{"of its call", who(alicesNumber, own, form), "200 <Response><Pause"},
		{"a second time", who(alicesNumber, own, form), "200 <Response><Reject/></Response>"},
	} {
		if !strings.HasPrefix(r.got, r.want) {
			t.Errorf("%s: %s", r.name, r.got)
		}
	}
	s.now = s.now.Add(time.Hour)
	s.do(t, "POST", "/voice/"+alicesNumber, portalsToken, "")
	s.now = s.now.Add(s.Rules.CodeTTL)
	if got := who(alicesNumber, own, form); got != "200 <Response><Reject/></Response>" {
		t.Errorf("too late: %s", got)
	}
}

func TestServiceForgedSignatures(t *testing.T) {
	s := newService(t).open(t)
	form := url.Values{"From": {"+353000000001"}, "CallSid": {"CA0"}}
	right := sign("twilio-token", "https://codes.example.com/twilio/voice", form, "CallSid", "From")
	post := func(body, signature string) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/twilio/voice", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Twilio-Signature", signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post(form.Encode(), right); got != 200 {
		t.Fatalf("Twilio's own: %d", got)
	}
	raw, _ := base64.StdEncoding.DecodeString(right)
	for _, r := range []struct{ name, body, signature string }{
		{"one more parameter", form.Encode() + "&To=%2B1", right},
		{"a parameter twice", form.Encode() + "&From=%2B1", right},
		{"cut", form.Encode(), base64.StdEncoding.EncodeToString(raw[:10])},
		{"as hexadecimal digits", form.Encode(), fmt.Sprintf("%x", raw)},
		{"with no key", form.Encode(), sign("", "https://codes.example.com/twilio/voice", form, "CallSid", "From")},
	} {
		if got := post(r.body, r.signature); got != 403 {
			t.Errorf("%s: %d", r.name, got)
		}
	}
	s.AuthToken = outbound.Secret{}
	if got := post(form.Encode(), sign("", "https://codes.example.com/twilio/voice", form, "CallSid", "From")); got != 403 {
		t.Errorf("no token in the settings: %d", got)
	}
}

// What is sent by phone has nothing of a stranger's in it.
func TestSpokenIsDigitsAlone(t *testing.T) {
	m := Message{Code: "492817", User: "</Say><Dial>+1900</Dial>", Host: "web1&<Redirect>", From: "x", To: "+353000000012"}
	d := xml.NewDecoder(strings.NewReader(m.Spoken()))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"Response", "Pause", "Say"}, x.Name.Local) {
				t.Errorf("it has %s", x.Name.Local)
			}
		case xml.CharData:
			if left := strings.Trim(strings.NewReplacer("Your code is: ", "", "Again: ", "").Replace(string(x)), "0123456789. "); left != "" {
				t.Errorf("it says %q", x)
			}
		}
	}
}

// Somebody has alice's key, and logs in all day to have her phone ring.
func TestFloodingByWhoeverHasTheKey(t *testing.T) {
	standin.Gate(t)
	w := newWorld(t)
	w.Senders[FactorVoice] = w
	w.Contact = func(factor string, _ event.Event) string {
		return map[string]string{FactorSMS: alicesNumber, FactorVoice: alicesNumber}[factor]
	}
	start := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	w.now = start
	var at []time.Time
	for n := 0; w.now.Sub(start) < 24*time.Hour; n++ {
		e, before := login("alice", n), len(w.sent)
		for range 3 { // the tries of a connection
			if w.Ask(t.Context(), e, &w.out) != nil {
				break
			}
			_ = w.Verify(t.Context(), e, "")
		}
		if len(w.sent) > before+1 {
			t.Fatalf("%d messages of one connection", len(w.sent)-before)
		}
		if len(w.sent) > before {
			at = append(at, w.now)
		}
		w.now = w.now.Add(8 * time.Minute)
	}
	if len(at) == 0 || len(at) > w.SendsPerDay {
		t.Errorf("%d messages in a day", len(at))
	}
	for i := range at {
		if i >= w.Sends.N && at[i].Sub(at[i-w.Sends.N]) < w.Sends.Per {
			t.Errorf("%d messages within %v", w.Sends.N+1, at[i].Sub(at[i-w.Sends.N]))
		}
	}
	// Bob's are used up with them, for today: his app and his recovery codes are not.
	if err := w.Vault.Spend(t.Context(), "bob", start.Add(24*time.Hour-time.Minute), w.Sends, w.SendsPerDay); !errors.Is(err, errLimit) {
		t.Errorf("the host's limit: %v", err)
	}
}

// Somebody has alice's key, and guesses for days, a connection after the other.
func TestGuessingByWhoeverHasTheKey(t *testing.T) {
	w := newWorld(t)
	compared := 0
	for n := range 20 {
		e := login("alice", n)
		for range 3 {
			if w.Ask(t.Context(), e, &w.out) != nil {
				break
			}
			a, _ := w.Vault.Account("alice")
			if w.Verify(t.Context(), e, "12345") == nil {
				t.Fatal("taken")
			}
			if a.Locked.IsZero() {
				compared++
			}
		}
		w.now = w.now.Add(6 * time.Hour)
	}
	if compared != w.LockAfter {
		t.Errorf("%d guesses in five days", compared)
	}
	locked := 0
	for _, r := range w.results() {
		if r == event.GateLocked {
			locked++
		}
	}
	if locked != 1 {
		t.Errorf("told %d times that codes are locked", locked)
	}
}

// Whoever has the key can bring about what is wrong on our side, or a service's own
// limit: neither is a reason for failmode = "safe" to let them in.
func TestSafeLetsNobodyInByForce(t *testing.T) {
	standin.Gate(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"ok":false,"error":"ratelimited","code":20429,"message":"Too Many Requests"}`)
	}))
	defer web.Close()
	url, client := outbound.NewSecret(web.URL), outbound.New(outbound.Options{})
	for name, prepare := range map[string]func(*testing.T, *world){
		"the user's counter is locked by many logins at once": func(t *testing.T, w *world) {
			d, err := makeOwn(w.Vault.dir)
			if err != nil {
				t.Fatal(err)
			}
			unlock, err := d.Lock(t.Context(), "user-alice.lock")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unlock(); d.Close() })
		},
		"the host's counter can't be read": func(t *testing.T, w *world) {
			if err := os.WriteFile(w.Vault.dir+"/"+dayFile, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"Slack takes no more of them now": func(_ *testing.T, w *world) {
			w.Senders[FactorSMS] = (&Slack{URL: url}).Sender(client)
		},
		"Twilio takes no more of them now": func(_ *testing.T, w *world) {
			w.Senders[FactorSMS] = (&Twilio{Countries: []string{"+353"}, URL: url}).SMS(client)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.FailMode = "safe"
			prepare(t, w)
			if err := w.Ask(t.Context(), login("alice", 1), &w.out); err == nil {
				t.Errorf("let in: %s", w.out.String())
			}
			if r := w.results(); len(r) != 1 || r[0] != event.GateRefused {
				t.Errorf("told %v", r)
			}
		})
	}
}
