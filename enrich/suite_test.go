package enrich

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// situation is what a service does, and what must become of it. Every provider
// of HTTP passes all of them.
type situation struct {
	name    string
	script  func(part string, r *http.Request) (*http.Response, error)
	problem string        // in place of a score; empty: there is one
	hint    string        // a part of the hint
	again   int           // requests for the risk that three look-ups of other addresses make afterwards
	wait    time.Duration // until then nothing is asked; then it is. 0: not looked at
	took    time.Duration // most that the services may take; 0: no time
}

const suiteTimeout = 3 * time.Second

// storeWait is more than the cache's database waits where two goroutines meet in
// it: a few times a millisecond, which a bubble's clock counts.
const storeWait = 50 * time.Millisecond

var html = "<!DOCTYPE html><html><body>Welcome to the casino</body></html>"

const jsonType = "application/json"

// situationsOfAll are those of every service. good is an answer of it as one
// line, wrong one with every type wrong, host where it is asked.
func situationsOfAll(good, wrong, host string) []situation {
	return []situation{
		{name: "200", again: 3},
		{name: "200 with a charset", script: always(200, "application/json; charset=utf-8", good), again: 3},
		{name: "301", script: always(301, "text/html", html, "Location", "https://casino.example.com/"), problem: "redirected elsewhere (301)", hint: "no redirect is followed", again: 2},
		{name: "302 with a good answer", script: always(302, jsonType, good, "Location", "https://"+host+"/"), problem: "redirected elsewhere (302)", hint: "no redirect is followed", again: 2},
		{name: "307", script: always(307, "text/html", "", "Location", "http://127.0.0.1:1/"), problem: "redirected elsewhere (307)", again: 2},
		{name: "401 as HTML", script: always(401, "text/html", html), problem: "key refused (401)", wait: 5 * time.Minute},
		{name: "403 as HTML, of a firewall", script: always(403, "text/html", html), problem: "(403)", wait: 5 * time.Minute},
		{name: "429 with Retry-After", script: always(429, jsonType, `{"message":"too many"}`, "Retry-After", "120"), problem: "quota used up", hint: "next try at", wait: 2 * time.Minute},
		{name: "404 of a path that is not there", script: always(404, jsonType, `{"detail":"Not Found"}`), problem: problemNotUnderstood, hint: "check url", again: 2},
		{name: "404 as HTML", script: always(404, "text/html", html), problem: problemNotUnderstood, hint: "check url", again: 2},
		{name: "418", script: always(418, jsonType, `{"title":"Teapot"}`), problem: problemNotUnderstood, again: 2},
		{name: "429 without Retry-After", script: always(429, jsonType, `{"message":"too many"}`), problem: "quota used up", hint: "next try at", wait: time.Minute},
		{name: "429 with a Retry-After of a year", script: always(429, jsonType, "", "Retry-After", "31536000"), problem: "quota used up", wait: time.Hour},
		{name: "429 with junk for Retry-After", script: always(429, jsonType, "", "Retry-After", "soon"), problem: "quota used up", wait: time.Minute},
		{name: "500 with a stack dump", script: always(500, "text/plain", "Traceback (most recent call last): …"), problem: "service down", hint: host, again: 2},
		{name: "502 as HTML", script: always(502, "text/html", html), problem: "service down", again: 2},
		{name: "503 with Retry-After", script: always(503, "text/html", html, "Retry-After", "90"), problem: "service down", wait: 90 * time.Second},
		{name: "connection reset", script: func(string, *http.Request) (*http.Response, error) { return nil, errConnection }, problem: "service down", again: 2},
		{name: "308 without Location", script: always(308, "text/html", ""), problem: "redirected elsewhere (308)", again: 2},
		{name: "never answers", script: hang, problem: "timed out", hint: "enrich.timeout", took: suiteTimeout, again: 2},
		{name: "a byte a second", script: func(_ string, r *http.Request) (*http.Response, error) {
			resp := reply(200, jsonType, "")
			resp.Body = drip{r.Context(), bytes.NewReader([]byte(good))}
			return resp, nil
		}, problem: "timed out", took: suiteTimeout, again: 2},
		{name: "an answer that breaks off", script: func(string, *http.Request) (*http.Response, error) {
			resp := reply(200, jsonType, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(good[:len(good)/2]), errReader{}))
			return resp, nil
		}, problem: "service down", again: 2},
		{name: "HTML for JSON", script: always(200, "text/html", html), problem: problemNotUnderstood, hint: "does not speak", again: 2},
		{name: "JSON that says it is HTML", script: always(200, "text/html", good), problem: problemNotUnderstood, again: 2},
		{name: "JSON without a content type", script: always(200, "", good), problem: problemNotUnderstood, again: 2},
		{name: "HTML that says it is JSON", script: always(200, jsonType, html), problem: problemNotUnderstood, again: 2},
		{name: "truncated JSON", script: always(200, jsonType, good[:len(good)-1]), problem: problemNotUnderstood, again: 2},
		{name: "two JSON values", script: always(200, jsonType, good+good), problem: problemNotUnderstood, again: 2},
		{name: "a trailing comma, as in a published example", script: always(200, jsonType, good[:len(good)-1]+","+good[len(good)-1:]), problem: problemNotUnderstood, again: 2},
		{name: "wrong types", script: always(200, jsonType, wrong), problem: problemNotUnderstood, again: 2},
		{name: "deep JSON", script: always(200, jsonType, strings.Repeat(`{"a":`, 12_000)), problem: problemNotUnderstood, again: 2},
		{name: "empty", script: always(200, jsonType, ""), problem: problemNotUnderstood, again: 2},
		{name: "204", script: always(204, jsonType, ""), problem: problemNotUnderstood, again: 2},
		{name: "201 with a good answer", script: always(201, jsonType, good), problem: problemNotUnderstood, again: 2},
		{name: "a good answer and a megabyte of nothing", script: always(200, jsonType, good+strings.Repeat(" ", 1<<20)), problem: problemNotUnderstood, again: 2},
		{name: "a field twice", script: always(200, jsonType, twice(good)), problem: problemNotUnderstood, again: 2},
		{name: "deep JSON that is sound", script: always(200, jsonType, strings.Repeat("[", 100)+strings.Repeat("]", 100)), problem: problemNotUnderstood, again: 2},
		{name: "the key comes back in a redirect", script: always(302, "", "", "Location", "https://"+testKey+".example.com/"+testKey), problem: "redirected elsewhere (302)", again: 2},
	}
}

// twice repeats the first field of an object, or of a list's first object.
func twice(good string) string {
	i := strings.IndexByte(good, '{')
	j := strings.IndexByte(good, ':')
	return good[:i+1] + good[i+1:j] + ":null," + good[i+1:]
}

// situationsOfThreatJammer are its own: what its documentation says, and what
// its three requests make possible.
func situationsOfThreatJammer(example func(string) string) []situation {
	leak := `{"title":"` + testKey + `","detail":"Bearer ` + testKey + ` is wrong","type":"https://example.com/?key=` + testKey + `"}`
	return []situation{
		{name: "200 with a charset", script: func(part string, r *http.Request) (*http.Response, error) {
			return reply(200, "application/json; charset=utf-8", example(map[string]string{partAssess: "assess-listed", partGeo: "geo", partASN: "asn"}[part])), nil
		}, again: 3},

		{name: "400", script: always(400, jsonType, example("error-400")), problem: "taken for no public address (400)", hint: "public", again: 3},
		{name: "401", script: always(401, jsonType, example("error-401")), problem: "key refused (401)", hint: "another region", wait: 5 * time.Minute},
		{name: "401 as HTML", script: always(401, "text/html", html), problem: "key refused (401)", hint: "api_key", wait: 5 * time.Minute},
		{name: "403", script: always(403, jsonType, example("error-403")), problem: "not in the key's plan (403)", hint: "plan", wait: 5 * time.Minute},
		{name: "404", script: always(404, jsonType, example("error-404")), problem: "not known there", again: 3},
		{name: "422", script: always(422, jsonType, example("error-422")), problem: "request not understood (422)", hint: "newer version", again: 3},
		{name: "429 with Retry-After", script: always(429, jsonType, example("error-429"), "Retry-After", "120"), problem: "quota used up", hint: "next try at", wait: 2 * time.Minute},

		{name: "301", script: always(301, "text/html", html, "Location", "https://casino.example.com/"), problem: "redirected elsewhere (301)", hint: "changed hands", again: 2},
		{name: "302 to itself", script: always(302, jsonType, example("assess-datacenter"), "Location", "https://tj.example.com/v1/assess/ip/x"), problem: "redirected elsewhere (302)", hint: "changed hands", again: 2},
		{name: "307", script: always(307, "text/html", "", "Location", "http://127.0.0.1:1/"), problem: "redirected elsewhere (307)", again: 2},

		{name: "the key comes back in an error", script: always(401, jsonType, leak), problem: "key refused (401)", wait: 5 * time.Minute},
		{name: "the key comes back in a no", script: always(400, jsonType, leak), problem: "taken for no public address (400)", again: 3},
		{name: "the key comes back escaped", script: always(400, jsonType, strings.ReplaceAll(leak, "tja_", `\u0074ja\u005f`)), problem: "taken for no public address (400)", again: 3},
		{name: "the key comes back in a redirect", script: always(302, "", "", "Location", "https://"+testKey+".example.com/"+testKey), problem: "redirected elsewhere (302)", again: 2},
		{name: "the key comes back in an answer", script: always(200, jsonType, `{"score":50,"risk":"`+testKey+`","reason":"`+testKey+`","name":"`+testKey+`","description":"`+testKey+`","city_name":"`+testKey+`","region_name":"`+testKey+`","country_iso_code":"IE","asn":"/v1/asn/7"}`), again: 3},
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// subject is a service in the suite.
type subject struct {
	main      string // its most important request
	givesRisk bool
	good      string // its answer, where a situation names none; empty: as service does
	// make gives the provider as it is in the settings.
	make func(t testing.TB, s *fakeService, stateDir string) Provider
}

// testProvider is the suite.
func testProvider(t *testing.T, sub subject, situations []situation) {
	for _, tc := range situations {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, dir := &fakeService{script: tc.script, perMinute: 1000, good: sub.good}, t.TempDir()
				newEngine := func() *Engine {
					return New(Options{Providers: []Provider{sub.make(t, s, dir)}, Timeout: suiteTimeout, CacheTTL: time.Hour, Store: testStore(t, dir)})
				}
				e := newEngine()
				start := time.Now()
				r := e.LookupAll(t.Context(), publicIP)[0]
				if took := time.Since(start); took > tc.took+storeWait {
					t.Errorf("took %v", took)
				}
				checkSituation(t, sub, tc, r)

				asked := s.count(sub.main)
				if tc.wait > 0 {
					time.Sleep(tc.wait - time.Second)
					if r = e.LookupAll(t.Context(), publicIP)[0]; s.count(sub.main) != asked {
						t.Errorf("while it was to be left alone: %d more requests", s.count(sub.main)-asked)
					}
					checkSituation(t, sub, tc, r)
					time.Sleep(time.Second)
					if e.Lookup(t.Context(), publicIP); s.count(sub.main) != asked+1 {
						t.Errorf("then: %d more requests", s.count(sub.main)-asked)
					}
					return
				}
				// Other processes each make a look-up: the breaker opens after three
				// failures, of which one is made above, or two with the place's.
				for i := range 3 {
					newEngine().Lookup(t.Context(), addr(fmt.Sprint("198.51.100.", i)))
				}
				if got := s.count(sub.main) - asked; got > tc.again || got < tc.again-1 {
					t.Errorf("%d more requests, want %d or one less", got, tc.again)
				}
			})
		})
	}
}

func checkSituation(t *testing.T, sub subject, tc situation, r Result) {
	t.Helper()
	risk := r.Facts.Risk
	switch {
	case !sub.givesRisk:
		if risk != nil && !risk.Known {
			t.Errorf("risk %+v", risk)
		}
	case risk == nil || risk.Known != (tc.problem == "") || !strings.HasSuffix(risk.Problem, tc.problem) || !risk.Known && risk.Score != 0 || risk.Provider != r.Title:
		t.Errorf("risk %+v, want problem %q", risk, tc.problem)
	}
	if (r.Err == nil) != (tc.problem == "") {
		t.Errorf("error %v", r.Err)
	}
	if !strings.Contains(r.Hint, tc.hint) {
		t.Errorf("hint %q, want %q in it", r.Hint, tc.hint)
	}
	pe, ok := errors.AsType[*ProviderError](r.Err)
	if r.Err != nil && (!ok || !strings.HasSuffix(pe.Problem, tc.problem) || pe.Part != sub.main) {
		t.Errorf("%#v", r.Err)
	}
	all := fmt.Sprintf("%v %+v %#v", r, r, r) + fmt.Sprint(r.Err, risk)
	if ok {
		all += fmt.Sprintf("%+v %#v", *pe, *pe)
	}
	if b, err := json.Marshal(r.Facts); err == nil {
		all += string(b)
	}
	if strings.Contains(all, testKey) || strings.Contains(all, testKey[4:]) {
		t.Errorf("leaks the key: %s", all)
	}
	if strings.ContainsAny(all, "\n\r\x00") {
		t.Errorf("more than a line: %q", all)
	}
}

func TestThreatJammerSuite(t *testing.T) {
	sub := subject{main: partAssess, givesRisk: true, make: func(t testing.TB, s *fakeService, dir string) Provider {
		return newThreatJammerAs(t, s, dir, testKey, HTTPOptions{PerMinute: -1})
	}}
	wrong := `{"score":"low","risk":0,"asn":{},"name":[],"country_iso_code":1}`
	good := strings.TrimSpace(body(t, "assess-datacenter"))
	all := slices.DeleteFunc(situationsOfAll(good, wrong, "tj.example.com"), func(s situation) bool {
		return s.name == "200 with a charset" // one answer does not fit all three requests
	})
	testProvider(t, sub, slices.Concat(all, situationsOfThreatJammer(func(name string) string { return body(t, name) })))
}

func TestThreatJammerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{script: hang}, t.TempDir()
		for i := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			r := newEngine(t, s, dir).LookupAll(ctx, addr(fmt.Sprint("198.51.100.", i)))[0]
			if r.Facts.Risk == nil || r.Facts.Risk.Problem != "cancelled" || time.Since(start) != time.Second {
				t.Errorf("%+v after %v", r.Facts.Risk, time.Since(start))
			}
		}
		// We gave up, the service did not fail.
		if s.count(partAssess) != 4 {
			t.Errorf("asked %d times", s.count(partAssess))
		}
	})
}

func TestThreatJammerHugeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		floods := make(chan *flood, 10)
		s := &fakeService{script: func(string, *http.Request) (*http.Response, error) {
			f, resp := &flood{}, reply(200, "application/json", "")
			floods <- f
			resp.Body = f
			return resp, nil
		}}
		f := newEngine(t, s, "").Lookup(t.Context(), publicIP)
		if f.Risk == nil || f.Risk.Problem != problemNotUnderstood {
			t.Errorf("%+v", f.Risk)
		}
		close(floods)
		for f := range floods {
			if f.read > 4*64<<10 {
				t.Errorf("%d bytes were read", f.read)
			}
		}
	})
}

// A stranger's text stays text, and a line.
func TestThreatJammerPoisonedTexts(t *testing.T) {
	poisons := map[string]string{
		"mention":         "<!channel> <@U1> <http://x|y> `x` *b*",
		"newlines":        "a\nb\r\nc\u2028d\u0085e",
		"bidi":            "abc\u202efed\u2066x",
		"zero width":      "a\u200bb\ufeffc\u00add",
		"NUL":             "a\x00b",
		"escape":          "\x1b[31mred\x1b]0;title\x07",
		"10,000":          strings.Repeat("x", 10_000),
		"10,000 wide":     strings.Repeat("語", 10_000),
		"combining":       "a" + strings.Repeat("\u0301", 5000),
		"invalid UTF-8":   "a\xff\xfe\xc3",
		"lone surrogate":  `\ud800`,
		"spaces":          "   ",
		"invisible alone": "\u3164\u2800",
	}
	for name, poison := range poisons {
		t.Run(name, func(t *testing.T) {
			enc, err := json.Marshal(poison)
			if err != nil {
				t.Fatal(err)
			}
			text := string(enc)
			switch name {
			case "invalid UTF-8":
				text = `"` + poison + `"` // json.Marshal would repair it
			case "lone surrogate":
				text = `"\ud800"`
			}
			s := &fakeService{bodies: map[string]string{
				partAssess: `{"score":50,"risk":` + text + `,"reason":` + text + `,"asn":"/v1/asn/7"}`,
				partASN:    `{"name":` + text + `,"description":` + text + `}`,
				partGeo:    `{"city_name":` + text + `,"region_name":` + text + `,"country_iso_code":` + text + `}`,
			}}
			f := newEngine(t, s, t.TempDir()).Lookup(t.Context(), publicIP)
			checkClean(t, f)
			if !f.Risk.Known || f.Network.ASN != 7 {
				t.Errorf("%+v", f)
			}
			if f.Place.Country != "" {
				t.Errorf("country %q", f.Place.Country)
			}

			s.script = always(422, "application/json", `{"title":`+text+`,"detail":[{"loc":["path",`+text+`],"msg":`+text+`},7,{"loc":`+text+`}],"type:":`+text+`}`)
			_, err = newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
			pe, ok := errors.AsType[*ProviderError](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			for _, s := range []string{pe.Title, pe.Detail, pe.Type} {
				if event.Clean(s, maxDetail) != s {
					t.Errorf("%q", s)
				}
			}
		})
	}
}

// checkClean looks at every text that a provider's facts can hold.
func checkClean(t testing.TB, f event.Facts) {
	t.Helper()
	texts := map[string]int{f.Network.Name: maxName, f.Network.Description: maxDescription, f.Place.City: maxPlace, f.Place.Region: maxPlace, f.Place.Country: 2}
	if f.Risk != nil {
		texts[f.Risk.Reason] = maxReason
		texts[f.Risk.Word] = maxReason // its own limit may be that of an equal text
		if n := utf8.RuneCountInString(f.Risk.Word); n > maxWord {
			t.Errorf("a word of %d characters", n)
		}
	}
	for s, limit := range texts {
		if n := utf8.RuneCountInString(s); n > maxReason {
			t.Errorf("%d characters", n)
		}
		if event.Clean(s, max(limit, maxReason)) != s {
			t.Errorf("not clean: %q", s)
		}
	}
}

// Over real connections: the other server must hear nothing, neither the key
// nor the address.
func TestThreatJammerRedirectIsNotFollowed(t *testing.T) {
	heard := make(chan string, 10)
	casino := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r.URL.Path + r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"score":0,"risk":"LOW"}`)
	}))
	defer casino.Close()
	srv := httptest.NewServer(http.RedirectHandler(casino.URL, http.StatusMovedPermanently))
	defer srv.Close()
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	p, err := threatJammerAt(t, c, srv.URL, outbound.NewSecret(testKey), "", HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Lookup(t.Context(), publicIP)
	if f.Risk.Known || err == nil || len(heard) != 0 {
		t.Errorf("%+v, %v, %d requests to the other server", f.Risk, err, len(heard))
	}
}

// Over real connections, for what a fake transport can't show.
func TestThreatJammerRealServer(t *testing.T) {
	s := &fakeService{}
	srv := httptest.NewServer(s)
	defer srv.Close()
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	p, err := threatJammerAt(t, c, srv.URL+"/", outbound.NewSecret(testKey), t.TempDir(), HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Lookup(t.Context(), publicIP)
	if err != nil || !f.Risk.Known || f.Network.Name != "GOOGLE" || f.Place.City != "Igualada" {
		t.Errorf("%+v, %v", f, err)
	}
	wrong, err := threatJammerAt(t, c, srv.URL, outbound.NewSecret("tja_wrong"), t.TempDir(), HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = wrong.Lookup(t.Context(), publicIP); f.Risk.Problem != "key refused (401)" || err == nil {
		t.Errorf("%+v, %v", f.Risk, err)
	}
}

func FuzzThreatJammerAnswer(f *testing.F) {
	for _, name := range []string{"assess-listed", "assess-risky-prefix", "assess-datacenter", "asn", "geo", "error-400", "error-404", "error-422", "error-429"} {
		f.Add([]byte(body(f, name)), 200)
		f.Add([]byte(body(f, name)), 422)
	}
	f.Add([]byte(`{"score":1e999,"risk":"\ud800","asn":"/v1/asn/4294967296"}`), 200)
	f.Add([]byte(`{"title":"`+testKey+`","detail":[{"loc":null,"msg":{}}]}`), 422)
	f.Add([]byte("{\"score\":0,\"risk\":\"LOW\",\"reason\":\"\xff\u202e\"}"), 200)
	f.Fuzz(func(t *testing.T, b []byte, status int) {
		if status < 200 || status > 599 {
			return
		}
		s := &fakeService{script: always(status, "application/json", string(b))}
		p := newThreatJammerAs(t, s, "", testKey, HTTPOptions{PerMinute: -1})
		facts, err := p.Lookup(t.Context(), publicIP)
		checkClean(t, facts)
		r := facts.Risk
		switch {
		case r == nil:
			t.Fatal("no risk")
		case r.Known == (r.Problem != ""), r.Score < 0, r.Score > 100, !r.Known && r.Score != 0:
			t.Errorf("%+v", r)
		case r.Known && status != 200:
			t.Errorf("status %d gave %+v", status, r)
		case r.Known && r.Score <= lowBand && r.Word == "":
			t.Errorf("low without an opinion: %+v", r)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x00") {
			t.Errorf("%q", err)
		}
		if all := fmt.Sprint(facts, r, err); strings.Contains(all, testKey) {
			t.Errorf("leaks the key: %s", all)
		}
		for _, path := range s.paths() {
			if partOf(path) == "" || len(path) > len("/v1/assess/ip/203.0.113.7") {
				t.Errorf("asked for %q", path)
			}
		}
	})
}
