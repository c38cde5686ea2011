package enrich

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func newServiceEngine(t testing.TB, name string, s *fakeService, dir string, o HTTPOptions) *Engine {
	t.Helper()
	return New(Options{Providers: []Provider{newService(t, name, s, dir, o)}, CacheTTL: time.Hour, Store: testStore(t, dir)})
}

// An old answer stands in for one that does not come, for a week, and says that
// it is old.
func TestStaleAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script func(string, *http.Request) (*http.Response, error)
		again  string // problem of the error
	}{
		{"service down", always(503, "text/html", html), problemDown},
		{"quota used up", always(429, jsonType, "{}"), problemQuota},
		{"time-out", hang, problemTimeout},
		{"another service at that address", always(200, jsonType, `{"hello":1}`), problemNotUnderstood},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dir := &fakeService{good: serviceBody(t, "abuseipdb-good")}, t.TempDir()
				e := newServiceEngine(t, "abuseipdb", s, dir, HTTPOptions{})
				got := time.Now().UTC()
				fresh := e.Lookup(t.Context(), publicIP)
				if !fresh.Risk.Known || !fresh.Risk.Stale.IsZero() {
					t.Fatalf("%+v", fresh.Risk)
				}
				s.script = tc.script
				time.Sleep(6 * 24 * time.Hour)
				r := e.LookupAll(t.Context(), publicIP)[0]
				want := fresh
				old := *fresh.Risk
				old.Stale = got
				want.Risk = &old
				if diff := cmp.Diff(want, r.Facts); diff != "" {
					t.Error(diff)
				}
				if r.Err == nil || r.Cached || !strings.Contains(r.Err.Error(), tc.again) {
					t.Errorf("%+v", r)
				}
				time.Sleep(2 * 24 * time.Hour)
				if f := e.Lookup(t.Context(), publicIP); f.Risk.Known || f.Risk.Problem != tc.again {
					t.Errorf("after eight days: %+v", f.Risk)
				}
				s.script = nil
				time.Sleep(time.Hour)
				if f := e.Lookup(t.Context(), publicIP); !f.Risk.Known || !f.Risk.Stale.IsZero() {
					t.Errorf("when it is back: %+v", f.Risk)
				}
			})
		})
	}
}

// An understood no is an answer, and an old yes does not go before it.
func TestStaleAnswerGivesWayToANo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{good: serviceBody(t, "virustotal-good")}, t.TempDir()
		e := newServiceEngine(t, "virustotal", s, dir, HTTPOptions{})
		e.Lookup(t.Context(), publicIP)
		time.Sleep(2 * time.Hour)
		s.script = always(404, jsonType, `{"error":{"code":"NotFoundError","message":"no"}}`)
		if f := e.Lookup(t.Context(), publicIP); f.Risk.Known || f.Risk.Problem != problemNotKnown {
			t.Errorf("%+v", f.Risk)
		}
	})
}

// Decisions come and go: they are kept for a minute, whatever the settings say.
func TestServiceCacheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{good: serviceBody(t, "crowdsec-lapi-good")}, t.TempDir()
		e := newServiceEngine(t, "crowdsec-lapi", s, dir, HTTPOptions{})
		for _, wait := range []time.Duration{0, 59 * time.Second, 2 * time.Second} {
			time.Sleep(wait)
			e.Lookup(t.Context(), publicIP)
		}
		if n := len(s.paths()); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A service's file that was changed reads the answers anew.
func TestServiceFileHasItsOwnCache(t *testing.T) {
	s, dir := &fakeService{good: `{"score":50}`}, t.TempDir()
	for i, text := range []string{example, example, strings.Replace(example, "[0, 100]", "[0, 50]", 1)} {
		f, err := ParseService("own", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Name: "own", Service: f, Store: testStore(t, dir)})
		if err != nil {
			t.Fatal(err)
		}
		e := New(Options{Providers: []Provider{p}, CacheTTL: time.Hour, Store: testStore(t, dir)})
		want := []struct{ score, asked int }{{50, 1}, {50, 1}, {100, 2}}[i]
		if got := e.Lookup(t.Context(), publicIP); got.Risk.Score != want.score || len(s.paths()) != want.asked {
			t.Errorf("file %d: %+v, asked %d times", i, got.Risk, len(s.paths()))
		}
	}
}

// Look-ups of twenty addresses at once, and again, make one request an address.
func TestServiceManyLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeService{good: serviceBody(t, "abuseipdb-good"), latency: 80 * time.Millisecond}
		e := newServiceEngine(t, "abuseipdb", s, t.TempDir(), HTTPOptions{})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if f := e.Lookup(t.Context(), addr(fmt.Sprint("203.0.113.", i))); f.Risk == nil || !f.Risk.Known {
					t.Errorf("%+v", f.Risk)
				}
			})
		}
		wg.Wait()
		for i := range 20 {
			e.Lookup(t.Context(), addr(fmt.Sprint("203.0.113.", i)))
		}
		if n := len(s.paths()); n != 20 {
			t.Errorf("%d requests", n)
		}
	})
}

// strict is a service that counts, and minds.
type strict struct {
	limits map[time.Duration]int
	body   string
	made   []time.Time
	broken int
	mu     sync.Mutex
}

func (s *strict) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.made = append(s.made, now)
	for span, limit := range s.limits {
		if n := len(s.made) - limit - 1; n >= 0 && now.Sub(s.made[n]) < span {
			s.broken++
		}
	}
	return reply(200, jsonType, s.body), nil
}

// The quotas are never broken in any span of their length, in simulated days
// with more logins than they allow; and they are used.
func TestQuotasOverDays(t *testing.T) {
	for _, tc := range []struct {
		service string
		limits  map[time.Duration]int
		body    string
		every   time.Duration
		days    int
		atLeast int
	}{
		{"abuseipdb", map[time.Duration]int{daySpan: 1000}, serviceBody(t, "abuseipdb-good"), 40 * time.Second, 2, 1950},
		{"threatjammer", map[time.Duration]int{time.Minute: 10, monthSpan: 5000}, `{"score":50,"risk":"MEDIUM","country_iso_code":"IE"}`, 35 * time.Second, 1, 4900},
		{"virustotal", map[time.Duration]int{time.Minute: 4, daySpan: 500}, serviceBody(t, "virustotal-good"), 30 * time.Second, 1, 500},
		{"greynoise", map[time.Duration]int{weekSpan: 50}, serviceBody(t, "greynoise-good"), 20 * time.Minute, 21, 140},
		{"crowdsec", map[time.Duration]int{monthSpan: 40}, serviceBody(t, "crowdsec-good"), time.Hour, 62, 80},
	} {
		t.Run(tc.service, func(t *testing.T) {
			if tc.every < time.Minute {
				standin.Gate(t) // thousands of requests
			}
			synctest.Test(t, func(t *testing.T) {
				s := &strict{limits: tc.limits, body: tc.body}
				f, err := shippedService(tc.service)
				if err != nil {
					t.Fatal(err)
				}
				p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Service: f, BaseURL: "https://x.example.com", Key: outbound.NewSecret(testKey)})
				if err != nil {
					t.Fatal(err)
				}
				e := New(Options{Providers: []Provider{p}})
				ip := netip.MustParseAddr("198.51.100.0").As4()
				known := 0
				for i := range int(time.Duration(tc.days) * daySpan / tc.every) {
					ip[2], ip[3] = byte(i>>8), byte(i)
					facts := e.Lookup(t.Context(), netip.AddrFrom4(ip))
					if facts.Risk.Known {
						known++
					} else if facts.Risk.Problem != problemQuota {
						t.Fatalf("%+v", facts.Risk)
					}
					time.Sleep(tc.every)
				}
				if s.broken > 0 || len(s.made) < tc.atLeast || known == 0 {
					t.Errorf("%d requests, %d too many, %d risks known", len(s.made), s.broken, known)
				}
			})
		})
	}
}

func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{good: serviceBody(t, "virustotal-good")}, t.TempDir()
		o := HTTPOptions{PerMinute: 4, PerDay: 500}
		p := newService(t, "virustotal", s, dir, o)
		for i := range 5 {
			p.Lookup(t.Context(), addr(fmt.Sprint("203.0.113.", i)))
		}
		other := newService(t, "virustotal", s, dir, o) // another process
		q, ok := Quota(other)
		if !ok || q.Minute != (QuotaCount{4, 4}) || q.Day != (QuotaCount{4, 500}) || q.Day.Left() != 496 || q.Minute.Left() != 0 || q.Month.Left() != -1 ||
			q.Why != problemQuota || time.Until(q.Until) != time.Minute {
			t.Errorf("%+v", q)
		}
		time.Sleep(time.Minute)
		if q, _ = Quota(other); q.Minute.Used != 0 || q.Day.Used != 4 || !q.Until.IsZero() || q.Why != "" {
			t.Errorf("a minute later: %+v", q)
		}
		s.script = always(401, jsonType, serviceBody(t, "virustotal-key"))
		p.Lookup(t.Context(), publicIP)
		if q, _ = Quota(other); q.Why != "key refused (401)" || time.Until(q.Until) != refusedFor {
			t.Errorf("with a wrong key: %+v", q)
		}
		time.Sleep(refusedFor)
		s.script = always(500, "", "")
		for i := range 4 {
			p.Lookup(t.Context(), addr(fmt.Sprint("203.0.113.", 20+i)))
			time.Sleep(time.Minute - time.Duration(i)*time.Second)
			if i == 2 {
				break
			}
		}
		if q, _ = Quota(other); q.Fails != 3 || q.Why != problemDown {
			t.Errorf("down: %+v", q)
		}
		before := contents(t, dir)
		if Quota(other); contents(t, dir) != before {
			t.Error("asking changed something")
		}
	})
	if _, ok := Quota(stub{name: "a"}); ok {
		t.Error("a provider without one has a quota")
	}
	if s := newService(t, "virustotal", nil, "", HTTPOptions{}).Info().Service; s == nil || !strings.Contains(s.Terms, "commercial") {
		t.Errorf("%+v", s)
	}
}

// What comes after is asked with what came before, and only if it came.
func TestRequestsThatDepend(t *testing.T) {
	f, err := ParseService("chain", []byte(`
form = 1
title = "Chain"
url = "https://chain.example.com"
key = "none"
[[request]]
name = "one"
path = "/one/{ip}"
expect = ["id"]
capture = {id = {path = "id", form = "word"}, as = {path = "as"}}
[[request]]
name = "two"
path = "/two/{id}"
expect = ["n"]
capture = {n = {path = "n", form = "word"}}
[[request]]
name = "three"
path = "/three/{id}/{n}"
query = {as = "AS{as}"}
expect = ["score"]
[[request.score]]
path = "score"
range = [0, 10]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, one string
		asked     string
		risk      *event.Risk
	}{
		{"all", `{"id":"a-1","as":"AS64500 X"}`, "/one/203.0.113.7 /two/a-1 /three/a-1/z", risk("Chain", 70, "", "")},
		{"no number", `{"id":"a-1","as":"X"}`, "/one/203.0.113.7 /two/a-1", unknownRisk("Chain", problemNoScore)},
		{"a way up", `{"id":"../a","as":1}`, "/one/203.0.113.7", unknownRisk("Chain", problemNoScore)},
		{"a point", `{"id":"..","as":1}`, "/one/203.0.113.7", unknownRisk("Chain", problemNoScore)},
		{"a way on", `{"id":"a/b?c","as":1}`, "/one/203.0.113.7", unknownRisk("Chain", problemNoScore)},
		{"a placeholder", `{"id":"{ip}","as":1}`, "/one/203.0.113.7", unknownRisk("Chain", problemNoScore)},
		{"nothing", `{"id":null,"as":1}`, "/one/203.0.113.7", unknownRisk("Chain", problemNoScore)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &fakeService{}
			s.script = func(_ string, r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/one/"):
					return reply(200, jsonType, tc.one), nil
				case strings.HasPrefix(r.URL.Path, "/two/"):
					return reply(200, jsonType, `{"n":"z"}`), nil
				case r.URL.RawQuery == "as=AS64500":
					return reply(200, jsonType, `{"score":7}`), nil
				}
				return reply(500, "", ""), nil
			}
			p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Service: f})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := p.Lookup(t.Context(), publicIP)
			if diff := cmp.Diff(event.Facts{Risk: tc.risk}, got); diff != "" {
				t.Error(diff)
			}
			if asked := strings.Join(s.paths(), " "); asked != tc.asked {
				t.Errorf("asked %s", asked)
			}
		})
	}
}

// What a service sends back as a value for the next request's path becomes part
// of a file's name: the key must not.
func TestCapturedKeyIsNotUsed(t *testing.T) {
	f, err := ParseService("chain", []byte(`
form = 1
title = "Chain"
url = "https://chain.example.com"
headers = {Key = "{key}"}
[[request]]
name = "one"
path = "/one/{ip}"
expect = ["id"]
capture = {id = {path = "id", form = "word"}}
[[request]]
name = "two"
path = "/two/{id}"
expect = ["id"]
`))
	if err != nil {
		t.Fatal(err)
	}
	s, dir := &fakeService{good: `{"id":"x-` + testKey + `"}`}, t.TempDir()
	p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Service: f, Key: outbound.NewSecret(testKey), Store: testStore(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	New(Options{Providers: []Provider{p}, CacheTTL: time.Hour, Store: testStore(t, dir)}).Lookup(t.Context(), publicIP)
	if all := contents(t, dir); strings.Contains(all, testKey) || !strings.Contains(all, "one-203.0.113.7") || len(s.paths()) != 1 {
		t.Errorf("asked %v, kept %s", s.paths(), all)
	}
}

// A list's service can say by an object that it has none; what is no list can't
// pass for an empty one.
func TestListService(t *testing.T) {
	f, err := ParseService("lists", []byte(`
form = 1
title = "Lists"
url = "https://lists.example.com"
key = "none"
[[reply]]
status = [404]
path = "message"
is = ["not listed"]
means = "unseen"
score = 3
reason = "on no list"
[[reply]]
path = "wrapped"
means = "answer"
[[request]]
name = "ip"
path = "/{ip}"
answer = "list"
expect = ["#.type", "#.id"]
[[request.score]]
path = "#.type"
words = {ban = 90}
missing = 0
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   *event.Risk
	}{
		{"listed", 200, `[{"type":"ban","id":1}]`, risk("Lists", 90, "", "")},
		{"empty", 200, `[]`, risk("Lists", 0, "", "")},
		{"null", 200, `null`, risk("Lists", 0, "", "")},
		{"not listed", 404, `{"message":"Not listed"}`, risk("Lists", 3, "", "on no list")},
		{"somebody's 404", 404, `{"message":"no route"}`, unknownRisk("Lists", problemNotUnderstood)},
		{"an object", 200, `{}`, unknownRisk("Lists", problemNotUnderstood)},
		{"an object that a reply calls an answer", 200, `{"wrapped":[],"type":1,"id":1}`, unknownRisk("Lists", problemNotUnderstood)},
		{"one of another form among them", 200, `[{"type":"ban","id":1},{"kind":"ban"}]`, unknownRisk("Lists", problemNotUnderstood)},
		{"all of another form", 200, `[{"kind":"ban"}]`, unknownRisk("Lists", problemNotUnderstood)},
		{"a list of texts", 200, `["ban"]`, unknownRisk("Lists", problemNotUnderstood)},
		{"a text", 200, `"ban"`, unknownRisk("Lists", problemNotUnderstood)},
		{"false", 200, `false`, unknownRisk("Lists", problemNotUnderstood)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewHTTP(outbound.New(outbound.Options{Transport: &fakeService{script: always(tc.status, jsonType, tc.body)}}), HTTPOptions{Service: f})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := p.Lookup(t.Context(), publicIP)
			if diff := cmp.Diff(event.Facts{Risk: tc.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
