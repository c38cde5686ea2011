package enrich

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

func TestThreatJammerExamples(t *testing.T) {
	for _, tc := range []struct {
		example string
		want    event.Facts
		asked   string
	}{
		{"assess-listed", event.Facts{
			Risk:    &event.Risk{Provider: "Threat Jammer", Known: true, Score: 70, Word: "MEDIUM", Reason: "Found in one or more denylist datasets."},
			Network: event.Network{ASN: 15704, Name: "GOOGLE", Source: "Threat Jammer"}}, "/v1/asn/15704"},
		{"assess-risky-prefix", event.Facts{
			Risk:    &event.Risk{Provider: "Threat Jammer", Known: true, Score: 90, Word: "HIGH", Reason: "Found in an ASN prefix with risky score."},
			Network: event.Network{ASN: 399471, Name: "GOOGLE", Source: "Threat Jammer"}}, "/v1/asn/399471"},
		{"assess-datacenter", event.Facts{
			Risk:    &event.Risk{Provider: "Threat Jammer", Known: true, Score: 1, Word: "LOW", Reason: "Found in an Datacenter network with risky score."},
			Network: event.Network{ASN: 8075, Name: "GOOGLE", Source: "Threat Jammer"}}, "/v1/asn/8075"},
	} {
		t.Run(tc.example, func(t *testing.T) {
			s := &fakeService{bodies: map[string]string{partAssess: body(t, tc.example)}}
			got, err := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Place = event.Place{City: "Igualada", Region: "Barcelona", Country: "ES", Source: "Threat Jammer", Point: &event.Point{Lat: 41.58, Lon: 1.62, Accuracy: 10}}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if s.count(partASN) != 1 || !strings.Contains(strings.Join(s.paths(), " "), tc.asked) {
				t.Errorf("asked %v", s.paths())
			}
		})
	}
}

func TestThreatJammerIPv6(t *testing.T) {
	s := &fakeService{}
	if _, err := newThreatJammer(t, s, "").Lookup(t.Context(), addr("2001:db8::7")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(s.paths(), " "), "/v1/assess/ip/2001:db8::7") {
		t.Errorf("asked %v", s.paths())
	}
}

// The tutorial's bug: an empty score left the colour green.
func TestThreatJammerScore(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		known      bool
		score      int
		problem    string
	}{
		{"a score", `{"score":72,"risk":"HIGH"}`, true, 72, ""},
		{"zero", `{"score":0,"risk":"LOW"}`, true, 0, ""},
		{"a hundred", `{"score":100,"risk":"HIGH"}`, true, 100, ""},
		{"a whole number with a point", `{"score":72.0,"risk":"HIGH"}`, true, 72, ""},
		{"missing", `{"risk":"LOW"}`, false, 0, problemNoScore},
		{"null", `{"score":null,"risk":"LOW"}`, false, 0, problemNoScore},
		{"a text", `{"score":"72","risk":"HIGH"}`, false, 0, problemNotUnderstood},
		{"an empty text", `{"score":"","risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"true", `{"score":true,"risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"a list", `{"score":[1],"risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"a fraction", `{"score":0.5,"risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"negative", `{"score":-1,"risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"too large", `{"score":101,"risk":"HIGH"}`, false, 0, problemNotUnderstood},
		{"enormous", `{"score":1e400,"risk":"HIGH"}`, false, 0, problemNotUnderstood},
		{"more than an int", `{"score":18446744073709551616,"risk":"LOW"}`, false, 0, problemNotUnderstood},
		{"UNKNOWN and zero", `{"score":0,"risk":"UNKNOWN"}`, false, 0, problemNotKnown},
		{"UNKNOWN and the highest low score", `{"score":34,"risk":"unknown"}`, false, 0, problemNotKnown},
		{"UNKNOWN and a score that is not low", `{"score":35,"risk":"UNKNOWN"}`, true, 35, ""},
		{"no opinion and zero", `{"score":0}`, false, 0, problemNotKnown},
		{"no opinion and a high score", `{"score":90}`, true, 90, ""},
		{"an opinion of another type", `{"score":0,"risk":7}`, false, 0, problemNotUnderstood},
		{"an opinion with spaces", `{"score":5,"risk":"  LOW "}`, true, 5, ""},
		{"empty object", `{}`, false, 0, problemNotUnderstood},
		{"a list for an object", `[{"score":0,"risk":"LOW"}]`, false, 0, problemNotUnderstood},
		{"a number for an object", `7`, false, 0, problemNotUnderstood},
		{"null for an object", `null`, false, 0, problemNotUnderstood},
		{"another service's answer", `{"status":"success","query":"203.0.113.7"}`, false, 0, problemNotUnderstood},
		{"a field of a deeper object", `{"data":{"score":0,"risk":"LOW"}}`, false, 0, problemNotUnderstood},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &fakeService{bodies: map[string]string{partAssess: tc.body}}
			f, _ := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
			if f.Risk.Known != tc.known || f.Risk.Score != tc.score || f.Risk.Problem != tc.problem {
				t.Errorf("%+v", f.Risk)
			}
		})
	}
}

func TestThreatJammerASNPath(t *testing.T) {
	for _, tc := range []struct {
		name, asn string
		want      uint32
	}{
		{"as documented", `"/v1/asn/15704"`, 15704},
		{"the largest", `"/v1/asn/4294967295"`, 4294967295},
		{"too large", `"/v1/asn/4294967296"`, 0},
		{"eleven digits", `"/v1/asn/00000015704"`, 0},
		{"empty", `""`, 0},
		{"no digits", `"/v1/asn/"`, 0},
		{"zero", `"/v1/asn/0"`, 0},
		{"another path", `"/v1/token"`, 0},
		{"a way up", `"/v1/asn/../token"`, 0},
		{"a query", `"/v1/asn/15704?x"`, 0},
		{"a way on", `"/v1/asn/15704/prefixes"`, 0},
		{"another host", `"https://evil.example.com/v1/asn/15704"`, 0},
		{"a host without a scheme", `"//evil.example.com/v1/asn/15704"`, 0},
		{"a newline", `"/v1/asn/15704\n"`, 0},
		{"other digits", `"/v1/asn/١٥"`, 0},
		{"a number", `15704`, 0},
		{"null", `null`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &fakeService{bodies: map[string]string{partAssess: `{"score":5,"risk":"LOW","asn":` + tc.asn + `}`}}
			f, err := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
			if err != nil {
				t.Error(err)
			}
			if f.Network.ASN != tc.want {
				t.Errorf("AS%d", f.Network.ASN)
			}
			for _, p := range s.paths() {
				if part := partOf(p); part == "" || part == partASN && tc.want == 0 {
					t.Errorf("asked for %s", p)
				}
			}
		})
	}
}

func TestThreatJammerNetworkAndPlace(t *testing.T) {
	for _, tc := range []struct {
		name, part, body string
		network          event.Network
		place            event.Place
		problem          string
	}{
		{"a description", partASN, `{"name":"Telefonica_de_Espana","description":"TELEFONICA DE ESPANA"}`, event.Network{ASN: 15704, Name: "Telefonica_de_Espana", Description: "TELEFONICA DE ESPANA"}, event.Place{}, ""},
		{"the number is used though its name did not come", partASN, `{"nom":"X"}`, event.Network{ASN: 15704}, event.Place{}, problemNotUnderstood},
		{"a name that is a number", partASN, `{"name":7}`, event.Network{ASN: 15704}, event.Place{}, problemNotUnderstood},
		{"country alone", partGeo, `{"city_name":"","region_name":null,"country_iso_code":"ie"}`, event.Network{}, event.Place{Country: "IE"}, ""},
		{"country not known", partGeo, `{"city_name":"","region_name":"","country_iso_code":null}`, event.Network{}, event.Place{}, ""},
		{"ZZ is no country", partGeo, `{"country_iso_code":"ZZ"}`, event.Network{}, event.Place{}, ""},
		{"an odd country", partGeo, `{"city_name":"X","country_iso_code":"RESERVED BY RFC6793"}`, event.Network{}, event.Place{City: "X"}, ""},
		{"a country that is a number", partGeo, `{"country_iso_code":34}`, event.Network{}, event.Place{}, problemNotUnderstood},
		{"a city that is a list", partGeo, `{"city_name":["X"],"country_iso_code":"IE"}`, event.Network{}, event.Place{}, problemNotUnderstood},
		{"no country at all", partGeo, `{"city_name":"X"}`, event.Network{}, event.Place{}, problemNotUnderstood},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &fakeService{bodies: map[string]string{tc.part: tc.body}}
			f, err := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
			for _, source := range []*string{&tc.network.Source, &tc.place.Source} {
				*source = "Threat Jammer"
			}
			if tc.network.ASN == 0 {
				tc.network = event.Network{}
			}
			if tc.place.City == "" && tc.place.Country == "" {
				tc.place = event.Place{}
			}
			if tc.part == partASN && f.Network != tc.network || tc.part == partGeo && f.Place != tc.place {
				t.Errorf("%+v, %+v", f.Network, f.Place)
			}
			pe, _ := errors.AsType[*ProviderError](err)
			if tc.problem == "" && err != nil || tc.problem != "" && (pe == nil || pe.Problem != tc.problem || pe.Part != tc.part) {
				t.Errorf("error %v", err)
			}
			if !f.Risk.Known {
				t.Errorf("the risk is gone: %+v", f.Risk)
			}
		})
	}
}

// The name of a network that the service does not know, and a place, are no
// trouble; that it does not know the address is worth a line.
func TestThreatJammerNotKnownThere(t *testing.T) {
	s := &fakeService{bodies: map[string]string{partAssess: `{"score":5,"risk":"LOW","asn":"/v1/asn/64511"}`}}
	s.script = onlyFor(partGeo, always(404, "application/json", body(t, "error-404")))
	f, err := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
	if err != nil || f.Network != (event.Network{ASN: 64511, Source: "Threat Jammer"}) || f.Place != (event.Place{}) || !f.Risk.Known {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestThreatJammerKeepsEachPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{}, t.TempDir()
		s.script = onlyFor(partGeo, hang)
		e := newEngine(t, s, dir)
		f := e.Lookup(t.Context(), publicIP)
		if !f.Risk.Known || f.Network.Name != "GOOGLE" || f.Place != (event.Place{}) {
			t.Fatalf("%+v", f)
		}
		s.script = nil
		r := newEngine(t, s, dir).LookupAll(t.Context(), publicIP)[0] // another process
		if r.Facts.Place.City != "Igualada" || !r.Facts.Risk.Known || r.Cached {
			t.Errorf("%+v", r)
		}
		if s.count(partAssess) != 1 || s.count(partGeo) != 2 || s.count(partASN) != 1 {
			t.Errorf("asked %v", s.paths())
		}
		again := e.LookupAll(t.Context(), publicIP)[0]
		if diff := cmp.Diff(r.Facts, again.Facts); diff != "" || !again.Cached || again.Err != nil {
			t.Errorf("kept: %v, %s", again, diff)
		}
		e.Lookup(t.Context(), addr("203.0.113.8"))
		if s.count(partASN) != 1 {
			t.Error("the same network was asked for twice")
		}
		asked := len(s.paths())
		time.Sleep(time.Hour)
		if r := e.LookupAll(t.Context(), publicIP)[0]; r.Cached || len(s.paths()) != asked+3 {
			t.Errorf("after an hour: cached %v, %d requests", r.Cached, len(s.paths())-asked)
		}
	})
}

func TestThreatJammerAnotherServiceHasItsOwnCache(t *testing.T) {
	s, dir := &fakeService{}, t.TempDir()
	newEngine(t, s, dir).Lookup(t.Context(), publicIP)
	p, err := threatJammerAt(t, outbound.New(outbound.Options{Transport: s}), "https://other.example.com/tj/", outbound.NewSecret(testKey), dir, HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Providers: []Provider{p}, CacheTTL: time.Hour, Store: testStore(t, dir)}).LookupAll(t.Context(), publicIP)[0]
	if r.Cached {
		t.Error("one service's answer was taken for the other's")
	}
	if last := s.paths()[len(s.paths())-1]; !strings.HasPrefix(last, "/tj/v1/") {
		t.Errorf("asked for %s", last)
	}
}

func TestThreatJammerTakesTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, &fakeService{latency: 80 * time.Millisecond}, t.TempDir())
		start := time.Now()
		e.Lookup(t.Context(), publicIP)
		if took := time.Since(start); took < 160*time.Millisecond || took >= 160*time.Millisecond+storeWait {
			t.Errorf("took %v", took)
		}
	})
}

// Two processes share what is on disk. The service must never have to say 429.
func TestThreatJammerQuotaOverProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := &fakeService{perMinute: 10}, t.TempDir()
		one, two := newEngine(t, s, dir), newEngine(t, s, dir)
		known := 0
		for i := range 12 {
			e := one
			if i%2 == 1 {
				e = two
			}
			f := e.Lookup(t.Context(), addr(fmt.Sprintf("203.0.113.%d", 10+i)))
			if f.Risk.Known {
				known++
			} else if f.Risk.Problem != problemQuota {
				t.Errorf("look-up %d: %+v", i, f.Risk)
			}
		}
		// The first takes three, as all are of one network the next three take
		// two, and the last request of the minute goes to the fifth's risk.
		if n := len(s.paths()); n != 10 || known != 5 {
			t.Errorf("%d requests in a minute, %d risks known", n, known)
		}
		time.Sleep(time.Minute)
		if f := two.Lookup(t.Context(), addr("203.0.113.200")); !f.Risk.Known {
			t.Errorf("a minute later: %+v", f.Risk)
		}
	})
}

func TestThreatJammerScarceQuotaGoesToTheRisk(t *testing.T) {
	for left, want := range []struct{ assess, geo, asn int }{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}} {
		s := &fakeService{}
		p := newThreatJammer(t, s, "")
		asks(p.quota, 10-left)
		f, err := p.Lookup(t.Context(), publicIP)
		if s.count(partAssess) != want.assess || s.count(partGeo) != want.geo || s.count(partASN) != want.asn {
			t.Errorf("%d left: asked %v", left, s.paths())
		}
		if f.Risk.Known != (left > 0) || (err == nil) != (left == 3) {
			t.Errorf("%d left: %+v, %v", left, f.Risk, err)
		}
		if left > 0 && f.Network.ASN != 15704 {
			t.Errorf("%d left: the network's number is not used", left)
		}
		if pe, _ := errors.AsType[*ProviderError](err); left < 3 && (pe == nil || pe.Problem != problemQuota || pe.Until.IsZero() || !strings.Contains(pe.Hint, "next try at")) {
			t.Errorf("%d left: %+v", left, err)
		}
	}
}

// A slow assessment leaves no time for the network's name, and none of the
// quota is spent on a request that can't be answered in time.
func TestThreatJammerNoTimeForTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeService{}
		s.script = onlyFor(partAssess, func(_ string, r *http.Request) (*http.Response, error) {
			<-r.Context().Done() // the answer is on its way at that very moment
			return nil, nil
		})
		f := newEngine(t, s, t.TempDir()).Lookup(t.Context(), publicIP)
		if !f.Risk.Known || f.Network != (event.Network{ASN: 15704, Source: "Threat Jammer"}) || f.Place.City == "" || s.count(partASN) != 0 {
			t.Errorf("%+v, %v", f, s.paths())
		}
	})
}

func TestNewThreatJammerRefuses(t *testing.T) {
	c := outbound.New(outbound.Options{})
	for _, tc := range []struct{ name, url, key, provider string }{
		{"no URL", "", testKey, ""},
		{"http to elsewhere", "http://tj.example.com", testKey, ""},
		{"a user name in the URL", "https://" + testKey + "@tj.example.com", testKey, ""},
		{"a query in the URL", "https://tj.example.com/?key=" + testKey, testKey, ""},
		{"a fragment in the URL", "https://tj.example.com/#x", testKey, ""},
		{"no key", "https://tj.example.com", "", ""},
		{"a newline in the key", "https://tj.example.com", testKey + "\nX-Evil: 1", ""},
		{"a space in the key", "https://tj.example.com", testKey + " x", ""},
		{"a key that is no ASCII", "https://tj.example.com", testKey + "ü", ""},
		{"a name that is a path", "https://tj.example.com", testKey, "../../etc/passwd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := threatJammerAt(t, c, tc.url, outbound.NewSecret(tc.key), t.TempDir(), HTTPOptions{Name: tc.provider})
			if err == nil || strings.Contains(err.Error(), "tja_") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The provider is safe by itself, whoever calls it.
func TestThreatJammerPrivateAddress(t *testing.T) {
	s := &fakeService{}
	f, err := newThreatJammer(t, s, "").Lookup(t.Context(), addr("::ffff:10.0.0.1"))
	if err != nil || f.Scope != "private network" || len(s.paths()) != 0 {
		t.Errorf("%+v, %v, %v", f, err, s.paths())
	}
}

func TestThreatJammerFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	newEngine(t, &fakeService{}, dir).Lookup(t.Context(), publicIP)
	seen := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		seen++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		if info.Mode().IsRegular() {
			if b, _ := os.ReadFile(path); strings.Contains(string(b), testKey) {
				t.Errorf("%s holds the key", path)
			}
		}
		return nil
	})
	if err != nil || seen < 2 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// A no that was understood is an answer: it is kept, with what was said.
func TestThreatJammerKeepsANo(t *testing.T) {
	for status, example := range map[int]string{400: "error-400", 404: "error-404", 422: "error-422"} {
		s, dir := &fakeService{script: always(status, "application/json", body(t, example))}, t.TempDir()
		first := newEngine(t, s, dir).LookupAll(t.Context(), publicIP)[0]
		asked := len(s.paths())
		again := newEngine(t, s, dir).LookupAll(t.Context(), publicIP)[0]
		if len(s.paths()) != asked || !again.Cached {
			t.Errorf("%d: asked again: %v", status, s.paths()[asked:])
		}
		if again.Err == nil || again.Err.Error() != first.Err.Error() || again.Hint != first.Hint || *again.Facts.Risk != *first.Facts.Risk {
			t.Errorf("%d: first %+v, then %+v", status, first, again)
		}
	}
}

// A key that one part refused is wrong for the others too; a plan is not.
func TestThreatJammerRefusedKeyIsShownToNoPart(t *testing.T) {
	for status, want := range map[int]int{401: 0, 403: 1} {
		s := &fakeService{script: onlyFor(partASN, always(status, "application/json", body(t, "error-401")))}
		e := newEngine(t, s, t.TempDir())
		if f := e.Lookup(t.Context(), publicIP); !f.Risk.Known || f.Network.ASN == 0 {
			t.Errorf("%d: %+v", status, f)
		}
		asked := s.count(partAssess)
		e.Lookup(t.Context(), addr("203.0.113.8"))
		if got := s.count(partAssess) - asked; got != want || s.count(partASN) != 1 {
			t.Errorf("%d: %d more requests for the risk, %d for the name", status, got, s.count(partASN))
		}
	}
}

// Two requests with the same trouble are one trouble, the risk's.
func TestThreatJammerSaysATroubleOnce(t *testing.T) {
	s := &fakeService{script: always(500, "text/plain", "")}
	_, err := newThreatJammer(t, s, "").Lookup(t.Context(), publicIP)
	if pe, ok := errors.AsType[*ProviderError](err); len(s.paths()) != 2 || !ok || pe.Part != partAssess || strings.Count(err.Error(), problemDown) != 1 {
		t.Errorf("%v, asked %v", err, s.paths())
	}
}
