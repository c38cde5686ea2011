package standin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var documentation = netip.MustParseAddr("203.0.113.99")

// decoded returns the keys of an answer in JSON.
func decoded(t *testing.T, r reply) map[string]any {
	t.Helper()
	if kind := r.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return m
}

func TestThreatJammerExample(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{})
	c := client(t)
	assess := decoded(t, do(t, c, get(t, j, "/v1/assess/ip/203.0.113.7")))
	want := map[string]any{
		"self": "/v1/assess/ip/203.0.113.7", "score": 72.0, "risk": "HIGH", "reason": "Listed as a brute force source",
		"asn": "/v1/asn/64500", "asn_prefix": "/v1/asn/prefix/203.0.113.0%252F24", "denylisted": "", "allowlisted": "",
		"datacenter": "", "datacenter_prefix": "", "datasets": []any{}, "sources": []any{}, "first_appearance": []any{}, "last_appearance": []any{},
	}
	if d := cmp.Diff(want, assess); d != "" {
		t.Errorf("assess: %s", d)
	}
	geo := decoded(t, do(t, c, get(t, j, "/v1/geo/203.0.113.7")))
	if geo["city_name"] != "Dublin" || geo["region_name"] != "Leinster" || geo["country_iso_code"] != "IE" || len(geo) != 14 {
		t.Errorf("geo: %v", geo)
	}
	asn := decoded(t, do(t, c, get(t, j, "/v1/asn/64500")))
	if asn["name"] != "EXAMPLE-NET" || asn["description"] != "Example Networks" || asn["country_code"] != "IE" || len(asn) != 10 {
		t.Errorf("asn: %v", asn)
	}
	token := decoded(t, do(t, c, get(t, j, "/v1/token")))
	if token["self"] != "/v1/token/"+j.Key() || token["last_minute_bucket_value"] != 4.0 || token["last_month_bucket_value"] != 4.0 || token["status"] != "ENABLED" || len(token) != 12 {
		t.Errorf("token: %v", token)
	}
}

// TestThreatJammerMakesUp: any address has an answer, in range, and always the
// same one.
func TestThreatJammerMakesUp(t *testing.T) {
	a, b := newFacts(), newFacts()
	scores, asns, cities := map[int]bool{}, map[uint32]bool{}, map[string]bool{}
	ip := netip.MustParseAddr("198.51.100.0")
	for range 256 {
		got := a.about(ip)
		if d := cmp.Diff(b.about(ip), got); d != "" {
			t.Fatalf("%s twice: %s", ip, d)
		}
		band := "LOW"
		if got.Score > 34 {
			band = "MEDIUM"
		}
		if got.Score > 68 {
			band = "HIGH"
		}
		if got.Score < 0 || got.Score > 99 || got.Risk != band || got.Reason == "" {
			t.Errorf("%s: %d %s %q", ip, got.Score, got.Risk, got.Reason)
		}
		if got.ASN < 64496 || got.ASN > 64511 || got.Network != "EXAMPLE-NET" || got.City == "" || len(got.Country) != 2 {
			t.Errorf("%s: %+v", ip, got)
		}
		scores[got.Score], asns[got.ASN], cities[got.City] = true, true, true
		ip = ip.Next()
	}
	if len(scores) < 50 || len(asns) != 16 || len(cities) != 6 {
		t.Errorf("%d scores, %d networks, %d cities: they hardly differ", len(scores), len(asns), len(cities))
	}
}

func TestThreatJammerSet(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{})
	c := client(t)
	ip := netip.MustParseAddr("::ffff:203.0.113.7") // the same as without ::ffff:
	j.Set(ip, Answers{NoScore: true, Risk: "UNKNOWN", Reason: "<!channel>", ASN: 65551, Network: "X", Description: "", City: "", Region: "", Country: ""})
	got := do(t, c, get(t, j, "/v1/assess/ip/203.0.113.7"))
	m := decoded(t, got)
	if _, has := m["score"]; has || m["risk"] != "UNKNOWN" || m["asn"] != "/v1/asn/65551" {
		t.Errorf("assess: %v", m)
	}
	if !strings.Contains(got.body, "<!channel>") {
		t.Errorf("a < did not arrive as one: %s", got.body)
	}
	if asn := decoded(t, do(t, c, get(t, j, "/v1/asn/65551"))); asn["name"] != "X" {
		t.Errorf("asn: %v", asn)
	}
	if geo := do(t, c, get(t, j, "/v1/geo/203.0.113.7")); geo.status != 404 {
		t.Errorf("geo without a place: %+v", geo)
	}
	j.Set(ip.Unmap(), Answers{Score: 0, Risk: "LOW", City: "Cork", Country: "IE"})
	m = decoded(t, do(t, c, get(t, j, "/v1/assess/ip/203.0.113.7")))
	if m["score"] != 0.0 || m["asn"] != "" || m["asn_prefix"] != "" {
		t.Errorf("a score of 0 and no network: %v", m)
	}
	if geo := decoded(t, do(t, c, get(t, j, "/v1/geo/203.0.113.7"))); geo["city_name"] != "Cork" {
		t.Errorf("geo: %v", geo)
	}
}

func TestThreatJammerStrictness(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{})
	bearer := "Bearer " + j.Key()
	envelope := []string{"detail", "title", "type:"}
	fastapi := []string{"detail"}
	for name, row := range map[string]struct {
		method, path string
		auth         []string
		status       int
		keys         []string
	}{
		"fine":                             {"GET", "/v1/assess/ip/192.0.2.1", []string{bearer}, 200, nil},
		"fine, version 6":                  {"GET", "/v1/assess/ip/2001:db8::1", []string{bearer}, 200, nil},
		"fine, place":                      {"GET", "/v1/geo/192.0.2.1", []string{bearer}, 200, nil},
		"fine, network":                    {"GET", "/v1/asn/64511", []string{bearer}, 200, nil},
		"fine, an address that is in use":  {"GET", "/v1/geo/8.8.8.8", []string{bearer}, 200, nil},
		"no key":                           {"GET", "/v1/assess/ip/192.0.2.1", nil, 401, envelope},
		"two keys":                         {"GET", "/v1/assess/ip/192.0.2.1", []string{bearer, bearer}, 401, envelope},
		"another key":                      {"GET", "/v1/assess/ip/192.0.2.1", []string{"Bearer tja_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"}, 401, envelope},
		"half a key":                       {"GET", "/v1/assess/ip/192.0.2.1", []string{bearer[:20]}, 401, envelope},
		"a key and a space":                {"GET", "/v1/assess/ip/192.0.2.1", []string{"Bearer  " + j.Key()}, 401, envelope},
		"a key without Bearer":             {"GET", "/v1/assess/ip/192.0.2.1", []string{j.Key()}, 401, envelope},
		"a key as Basic":                   {"GET", "/v1/assess/ip/192.0.2.1", []string{"Basic " + j.Key()}, 401, envelope},
		"no key for the place":             {"GET", "/v1/geo/192.0.2.1", nil, 401, envelope},
		"no key for the network":           {"GET", "/v1/asn/64500", nil, 401, envelope},
		"no key for the quota":             {"GET", "/v1/token", nil, 401, envelope},
		"a private address":                {"GET", "/v1/assess/ip/10.0.0.5", []string{bearer}, 400, envelope},
		"a private address, place":         {"GET", "/v1/geo/192.168.1.1", []string{bearer}, 400, envelope},
		"a unique local address":           {"GET", "/v1/geo/fd00::1", []string{bearer}, 400, envelope},
		"loopback":                         {"GET", "/v1/assess/ip/127.0.0.1", []string{bearer}, 400, envelope},
		"loopback, version 6":              {"GET", "/v1/assess/ip/::1", []string{bearer}, 400, envelope},
		"link-local":                       {"GET", "/v1/assess/ip/169.254.1.1", []string{bearer}, 400, envelope},
		"link-local, version 6":            {"GET", "/v1/assess/ip/fe80::1", []string{bearer}, 400, envelope},
		"an address with a zone":           {"GET", "/v1/assess/ip/2001:db8::1%25eth0", []string{bearer}, 400, envelope},
		"mapped":                           {"GET", "/v1/assess/ip/::ffff:192.0.2.1", []string{bearer}, 400, envelope},
		"unspecified":                      {"GET", "/v1/assess/ip/0.0.0.0", []string{bearer}, 400, envelope},
		"multicast":                        {"GET", "/v1/assess/ip/224.0.0.1", []string{bearer}, 400, envelope},
		"shared by carriers":               {"GET", "/v1/assess/ip/100.64.0.1", []string{bearer}, 400, envelope},
		"reserved":                         {"GET", "/v1/assess/ip/240.0.0.1", []string{bearer}, 400, envelope},
		"no address":                       {"GET", "/v1/assess/ip/example.com", []string{bearer}, 422, fastapi},
		"an address cut short":             {"GET", "/v1/assess/ip/192.0.2", []string{bearer}, 422, fastapi},
		"an address with a leading zero":   {"GET", "/v1/geo/192.0.2.01", []string{bearer}, 422, fastapi},
		"an address and a port":            {"GET", "/v1/geo/192.0.2.1:22", []string{bearer}, 422, fastapi},
		"no number":                        {"GET", "/v1/asn/AS64500", []string{bearer}, 422, fastapi},
		"a negative number":                {"GET", "/v1/asn/-1", []string{bearer}, 422, fastapi},
		"a network that is not known":      {"GET", "/v1/asn/15169", []string{bearer}, 404, envelope},
		"a path that does not exist":       {"GET", "/v1/assess/192.0.2.1", []string{bearer}, 404, fastapi},
		"a path without an address":        {"GET", "/v1/assess/ip/", []string{bearer}, 404, fastapi},
		"a path and more":                  {"GET", "/v1/assess/ip/192.0.2.1/x", []string{bearer}, 404, fastapi},
		"a path in a doubled slash":        {"GET", "//v1/assess/ip/192.0.2.1", []string{bearer}, 404, fastapi},
		"POST":                             {"POST", "/v1/assess/ip/192.0.2.1", []string{bearer}, 405, fastapi},
		"malformed, and no key to be told": {"GET", "/v1/assess/ip/example.com", nil, 401, envelope},
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t, j, row.path)
			r.Method = row.method
			r.Header["Authorization"] = row.auth
			got := do(t, client(t), r)
			if got.status != row.status {
				t.Fatalf("%d %s, want %d", got.status, got.body, row.status)
			}
			m := decoded(t, got)
			for _, key := range row.keys {
				if _, has := m[key]; !has {
					t.Errorf("no key %q in %s", key, got.body)
				}
			}
			if row.keys != nil && len(m) != len(row.keys) {
				t.Errorf("keys of %s, want %v", got.body, row.keys)
			}
			if row.status == 422 {
				if _, list := m["detail"].([]any); !list {
					t.Errorf("detail is no list: %s", got.body)
				}
			}
			if strings.Contains(got.body, j.Key()) {
				t.Error("the answer repeats the key")
			}
			if row.status == 405 && got.header.Get("Allow") != "GET" {
				t.Errorf("405 without Allow")
			}
		})
	}
}

func TestNotPublic(t *testing.T) {
	for ip, public := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "100.128.0.1": true, "172.32.0.1": true,
		"192.0.2.1": true, "198.51.100.1": true, "203.0.113.1": true, "2001:db8::1": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.0.1": false, "fd00::1": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "127.0.0.1": false, "::1": false,
		"169.254.0.1": false, "fe80::1": false, "224.0.0.1": false, "ff02::1": false, "ff0e::1": false,
		"100.64.0.1": false, "192.0.0.8": false, "198.18.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"100::1": false, "64:ff9b:1::1": false, "2001:2::1": false, "fec0::1": false,
		"::ffff:203.0.113.7": false, "2001:db8::1%eth0": false,
	} {
		if why := notPublic(netip.MustParseAddr(ip)); (why == "") != public {
			t.Errorf("%s: refused with %q, want public %v", ip, why, public)
		}
	}
}

func TestThreatJammerQuota(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{PerMinute: ThreatJammerPerMinute})
	c := client(t)
	spend := []string{"/v1/token", "/v1/geo/192.0.2.1", "/v1/assess/ip/10.0.0.1", "/v1/assess/ip/x", "/v1/asn/1"}
	for range 3 { // these do not count: nobody's quota, or no request at all
		r := get(t, j, "/v1/token")
		r.Header.Del("Authorization")
		do(t, c, r)
		do(t, c, get(t, j, "/nothing"))
	}
	for i := range ThreatJammerPerMinute {
		if got := do(t, c, get(t, j, spend[i%len(spend)])); got.status == 429 {
			t.Fatalf("request %d of %d refused", i+1, ThreatJammerPerMinute)
		}
	}
	got := do(t, c, get(t, j, "/v1/geo/192.0.2.1"))
	wait, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != 429 || err != nil || wait < 1 || wait > 60 {
		t.Errorf("%d, Retry-After %q, want 429 and 1 to 60 seconds", got.status, got.header.Get("Retry-After"))
	}
	if m := decoded(t, got); m["type:"] == nil {
		t.Errorf("body %s", got.body)
	}
	all := j.Requests()
	if last := all[len(all)-1]; last.Status != 429 {
		t.Errorf("recorded %+v", last)
	}
}

func TestThreatJammerRecords(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{})
	c := client(t)
	do(t, c, get(t, j, "/v1/assess/ip/192.0.2.1?key="+j.Key()))
	do(t, c, get(t, j, "/"+j.Key()))
	got := j.Requests()
	for i := range got {
		if got[i].At.IsZero() {
			t.Errorf("request %d has no time", i)
		}
		got[i].At = time.Time{}
	}
	want := []Request{
		{Method: "GET", Path: "/v1/assess/ip/192.0.2.1", Status: 200},
		{Method: "GET", Path: "/[key]", Status: 404},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestThreatJammerKey(t *testing.T) {
	a, b := jammer(t, ThreatJammerOptions{}), jammer(t, ThreatJammerOptions{})
	if !regexp.MustCompile(`^tja_[0-9A-Za-z]{36}$`).MatchString(a.Key()) || a.Key() == b.Key() {
		t.Errorf("keys %s and %s", a.Key(), b.Key())
	}
	own := jammer(t, ThreatJammerOptions{Key: "tja_own"})
	if got := do(t, client(t), get(t, own, "/v1/token")); own.Key() != "tja_own" || got.status != 200 {
		t.Errorf("a key of one's own: %+v", got)
	}
}

func TestThreatJammerFaults(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{PerMinute: 1, Latency: 20 * time.Millisecond, Behave: func(n int, r *http.Request) *Answer {
		switch n {
		case 1:
			return &Answer{Status: 500, Body: "Traceback"}
		case 2:
			return &Answer{Accept: true, Body: `{"score":`} // cut short
		case 3:
			return &Answer{Accept: true, Status: 200, Body: "not seen"}
		}
		return &Answer{Drop: true}
	}})
	c := client(t)
	start := time.Now()
	if got := do(t, c, get(t, j, "/v1/geo/192.0.2.1")); got.status != 500 || got.body != "Traceback" {
		t.Errorf("a script's own: %+v", got)
	}
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
	if got := do(t, c, get(t, j, "/v1/geo/192.0.2.1")); got.status != 200 || got.body != `{"score":` {
		t.Errorf("over the usual one: %+v", got)
	}
	if got := do(t, c, get(t, j, "/v1/geo/192.0.2.1")); got.status != 429 {
		t.Errorf("a refusal goes first: %+v", got)
	}
	// On a fresh connection, because net/http sends a GET again that fails on one
	// that was used before.
	if res, err := client(t).Do(get(t, j, "/v1/geo/192.0.2.1")); err == nil {
		res.Body.Close()
		t.Error("answered where the script drops")
	}
	var status []int
	for _, r := range j.Requests() {
		status = append(status, r.Status)
	}
	if d := cmp.Diff([]int{500, 200, 429, 0}, status); d != "" {
		t.Error(d)
	}
}

func TestThreatJammerHang(t *testing.T) {
	j := jammer(t, ThreatJammerOptions{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	c := client(t)
	go func() {
		_, err := c.Do(get(t, j, "/v1/token").WithContext(ctx))
		failed <- err
	}()
	if err := j.Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want no answer", err)
	}
}

func FuzzThreatJammerPath(f *testing.F) {
	f.Add("/v1/assess/ip/203.0.113.7")
	f.Add("/v1/geo/2001:db8::1%eth0")
	f.Add("/v1/asn/64500")
	f.Add("/v1/asn/99999999999")
	f.Add("/v1/token")
	f.Add("/v1/geo/\x00")
	now := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	f.Fuzz(func(t *testing.T, path string) {
		j := &ThreatJammer{o: ThreatJammerOptions{Key: "tja_x"}, window: window{span: time.Minute}, facts: newFacts()}
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path}, Header: http.Header{"Authorization": {"Bearer tja_x"}}}
		a := j.handle(r, now)
		if !json.Valid([]byte(a.Body)) || a.Status == 500 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}
