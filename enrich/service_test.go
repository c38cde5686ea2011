package enrich

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// serviceBody gives an answer of a shipped service.
func serviceBody(t testing.TB, name string) string {
	t.Helper()
	b, err := testdata.ReadFile("testdata/services/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// allServices returns what there is to know of the shipped services.
func allServices(t testing.TB) (all []Service) {
	for _, name := range serviceNames() {
		f, err := shippedService(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Service())
	}
	return all
}

// newService makes the provider of a shipped service, without a quota.
func newService(t testing.TB, name string, rt http.RoundTripper, stateDir string, o HTTPOptions) *httpProvider {
	t.Helper()
	o.Type, o.Store = name, testStore(t, stateDir)
	if o.PerMinute == 0 {
		o.PerMinute, o.PerDay, o.PerWeek, o.PerMonth = -1, -1, -1, -1
	}
	f, err := shippedService(name)
	if err != nil {
		t.Fatal(err)
	}
	if f.Service().TakesKey && o.Key.IsZero() {
		o.Key = outbound.NewSecret(testKey)
	}
	if f.Service().NeedsURL {
		o.BaseURL = "https://tj.example.com"
	}
	o.Service = f
	p, err := NewHTTP(outbound.New(outbound.Options{Transport: rt}), o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*httpProvider)
}

// Every shipped file is sound, and says what the settings and people need.
func TestServices(t *testing.T) {
	for _, name := range serviceNames() {
		if _, err := shippedService(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var needURL, free, noRisk, ipv4 []string
	for _, s := range allServices(t) {
		if s.Title == "" || !strings.HasPrefix(s.Home, "https://") {
			t.Errorf("%+v", s)
		}
		if s.NeedsURL {
			needURL = append(needURL, s.Name)
			if s.URLHint == "" {
				t.Errorf("%s: no hint for its URL", s.Name)
			}
		}
		if !s.NeedsKey {
			free = append(free, s.Name)
		}
		if !s.GivesRisk {
			noRisk = append(noRisk, s.Name)
		}
		if s.IPv4Only {
			ipv4 = append(ipv4, s.Name)
		}
	}
	for what, pair := range map[string][2]string{
		"all": {strings.Join(serviceNames(), " "),
			"abuseipdb crowdsec crowdsec-lapi greynoise internetdb ip-api ip2location ipinfo ipinfo-core ipqualityscore spur threatjammer virustotal"},
		"no address":     {strings.Join(needURL, " "), "threatjammer"},
		"no key needed":  {strings.Join(free, " "), "greynoise internetdb ip2location"},
		"no risk, often": {strings.Join(noRisk, " "), "internetdb ip-api ip2location ipinfo ipinfo-core"},
		"IPv4 only":      {strings.Join(ipv4, " "), "greynoise"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
}

// answerCase is an answer of a service, and what it must become.
type answerCase struct {
	service, body string // body empty: as name
	name          string // of the situation
	status        int    // 0: 200
	want          event.Facts
	problem       string // of the error
	until         time.Duration
}

func risk(provider string, score int, word, reason string) *event.Risk {
	return &event.Risk{Provider: provider, Known: true, Score: score, Word: word, Reason: reason}
}

func unknownRisk(provider, problem string) *event.Risk {
	return &event.Risk{Provider: provider, Problem: problem}
}

var answerCases = []answerCase{
	{service: "abuseipdb", body: "good", name: "listed", want: event.Facts{
		Risk:    risk("AbuseIPDB", 87, "", "47 reports by 22 users in 90 days"),
		Network: event.Network{Name: "Example Networks Ltd", Source: "AbuseIPDB"},
		Place:   event.Place{Country: "IE", Source: "AbuseIPDB"},
		Traits:  event.Traits{Tor: "AbuseIPDB", Hosting: "AbuseIPDB"}}},
	{service: "abuseipdb", body: "unknown", name: "never reported, nulls", want: event.Facts{Risk: risk("AbuseIPDB", 0, "", "0 reports by 0 users in 90 days")}},
	{service: "abuseipdb", body: "key", status: 401, want: event.Facts{Risk: unknownRisk("AbuseIPDB", "key refused (401)")}, problem: "key refused (401)", until: refusedFor},
	{service: "abuseipdb", body: "quota", status: 429, want: event.Facts{Risk: unknownRisk("AbuseIPDB", problemQuota)}, problem: problemQuota, until: quotaWait},
	{service: "abuseipdb", body: "refused", status: 422, want: event.Facts{Risk: unknownRisk("AbuseIPDB", "taken for no public address (422)")}, problem: "taken for no public address (422)"},

	{service: "greynoise", body: "good", name: "a scanner", want: event.Facts{Risk: risk("GreyNoise", 90, "malicious", "unknown, last seen 2026-11-20")}},
	{service: "greynoise", body: "riot", name: "a known service", want: event.Facts{Risk: risk("GreyNoise", 5, "benign", "Example DNS, last seen 2026-11-20")}},
	{service: "greynoise", body: "unknown", status: 404, name: "not seen", want: event.Facts{Risk: unknownRisk("GreyNoise", problemNotKnown)}, problem: problemNotKnown},
	{service: "greynoise", body: "unknown", status: 200, name: "noise without a class is no 0", want: event.Facts{Risk: &event.Risk{Provider: "GreyNoise", Reason: "IP not observed scanning the internet or contained in RIOT data set.", Problem: problemNoScore}}},
	{service: "greynoise", body: "key", status: 401, want: event.Facts{Risk: unknownRisk("GreyNoise", "key refused (401)")}, problem: "key refused (401)", until: refusedFor},
	{service: "greynoise", body: "quota", status: 429, want: event.Facts{Risk: unknownRisk("GreyNoise", problemQuota)}, problem: problemQuota, until: quotaWait},
	{service: "greynoise", body: "refused", status: 400, want: event.Facts{Risk: unknownRisk("GreyNoise", "taken for no public address (400)")}, problem: "taken for no public address (400)"},

	{service: "crowdsec", body: "good", name: "listed", want: event.Facts{
		Risk:    risk("CrowdSec", 60, "", "SSH Bruteforce, TCP Scan, HTTP Scan, …"),
		Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Source: "CrowdSec"},
		Place:   event.Place{City: "Dublin", Country: "IE", Source: "CrowdSec", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{Tor: "CrowdSec"}}},
	{service: "crowdsec", body: "nulls", name: "nulls", want: event.Facts{Risk: risk("CrowdSec", 0, "", "")}},
	{service: "crowdsec", body: "unknown", status: 404, name: "not seen", want: event.Facts{Risk: unknownRisk("CrowdSec", problemNotKnown)}, problem: problemNotKnown},
	{service: "crowdsec", body: "reputation", name: "a reputation of unknown", want: event.Facts{Risk: &event.Risk{Provider: "CrowdSec", Word: "unknown", Problem: problemNotKnown}}},
	{service: "crowdsec", body: "key", status: 403, want: event.Facts{Risk: unknownRisk("CrowdSec", "key refused (403)")}, problem: "key refused (403)", until: refusedFor},
	{service: "crowdsec", body: "quota", status: 429, want: event.Facts{Risk: unknownRisk("CrowdSec", problemQuota)}, problem: problemQuota, until: quotaWait},
	{service: "crowdsec", body: "key", status: 404, name: "somebody else's 404", want: event.Facts{Risk: unknownRisk("CrowdSec", problemNotUnderstood)}, problem: problemNotUnderstood},

	{service: "crowdsec-lapi", body: "good", name: "two decisions", want: event.Facts{Risk: risk("CrowdSec here", 95, "ban", "crowdsecurity/ssh-bf, manual 'captcha'")}},
	{service: "crowdsec-lapi", body: "unknown", name: "null", want: event.Facts{Risk: risk("CrowdSec here", 0, "", "no decision")}},
	{service: "crowdsec-lapi", body: "key", status: 403, want: event.Facts{Risk: unknownRisk("CrowdSec here", "key refused (403)")}, problem: "key refused (403)", until: refusedFor},
	{service: "crowdsec-lapi", body: "key", name: "an object for a list", want: event.Facts{Risk: unknownRisk("CrowdSec here", problemNotUnderstood)}, problem: problemNotUnderstood},

	{service: "ipinfo", body: "good", name: "known", want: event.Facts{
		Network: event.Network{ASN: 64500, Name: "Example Networks Ltd", Source: "IPinfo"}, Place: event.Place{Country: "IE", Source: "IPinfo"}}},
	{service: "ipinfo", body: "refused", name: "bogon", problem: "taken for no public address"},
	{service: "ipinfo", body: "key", status: 403, problem: "key refused (403)", until: refusedFor},
	{service: "ipinfo", body: "quota", status: 429, problem: problemQuota, until: quotaWait},

	{service: "ipinfo-core", body: "good", name: "known", want: event.Facts{
		Network: event.Network{ASN: 64500, Name: "Example Networks Ltd", Source: "IPinfo Core"},
		Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: "IPinfo Core", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{Proxy: "IPinfo Core", Hosting: "IPinfo Core"}}},

	{service: "ip-api", body: "good", name: "known", want: event.Facts{
		Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Description: "Example Networks", Source: "ip-api"},
		Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: "ip-api", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{Proxy: "ip-api", Hosting: "ip-api"}}},
	{service: "ip-api", body: "refused", name: "200, and status fail", problem: "taken for no public address"},
	{service: "ip-api", body: "key", problem: "key refused", until: refusedFor},

	{service: "internetdb", body: "good", name: "compromised", want: event.Facts{
		Risk:   risk("Shodan InternetDB", 90, "", "tagged cloud, compromised, tor"),
		Traits: event.Traits{Tor: "Shodan InternetDB", Hosting: "Shodan InternetDB"}}},
	{service: "internetdb", body: "plain", name: "no bad tag is no risk", want: event.Facts{Traits: event.Traits{Hosting: "Shodan InternetDB"}}},
	{service: "internetdb", body: "unknown", status: 404, problem: problemNotKnown},
	{service: "internetdb", body: "refused", status: 422, problem: "taken for no public address (422)"},

	{service: "spur", body: "good", name: "a VPN", want: event.Facts{
		Risk:    risk("Spur", 75, "", "VPN of EXAMPLE_VPN; CALLBACK_PROXY, TUNNEL"),
		Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Source: "Spur"},
		Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: "Spur"},
		Traits:  event.Traits{VPN: "Spur", Hosting: "Spur"}}},
	{service: "spur", body: "unknown", name: "no risks", want: event.Facts{
		Risk: &event.Risk{Provider: "Spur", Reason: "no risk listed", Problem: problemNotKnown}, Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Source: "Spur"}, Place: event.Place{Country: "IE", Source: "Spur"}}},
	{service: "spur", body: "key", status: 401, want: event.Facts{Risk: unknownRisk("Spur", "key refused (401)")}, problem: "key refused (401)", until: refusedFor},
	{service: "spur", body: "quota", status: 429, want: event.Facts{Risk: unknownRisk("Spur", problemQuota)}, problem: problemQuota, until: quotaWait},
	{service: "spur", body: "refused", status: 400, want: event.Facts{Risk: unknownRisk("Spur", "taken for no public address (400)")}, problem: "taken for no public address (400)"},

	{service: "ipqualityscore", body: "good", name: "fraud", want: event.Facts{
		Risk:    risk("IPQualityScore", 92, "", ""),
		Network: event.Network{ASN: 64500, Name: "Example Networks", Description: "Example", Source: "IPQualityScore"},
		Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: "IPQualityScore", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{VPN: "IPQualityScore", Proxy: "IPQualityScore"}}},
	{service: "ipqualityscore", body: "premium", name: "Premium required.", want: event.Facts{
		Risk:    unknownRisk("IPQualityScore", problemNoScore),
		Network: event.Network{Description: "Example", Source: "IPQualityScore"},
		Place:   event.Place{Region: "Leinster", Country: "IE", Source: "IPQualityScore", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{VPN: "IPQualityScore", Proxy: "IPQualityScore"}}},
	{service: "ipqualityscore", body: "key", want: event.Facts{Risk: unknownRisk("IPQualityScore", "key refused")}, problem: "key refused", until: refusedFor},
	{service: "ipqualityscore", body: "quota", want: event.Facts{Risk: unknownRisk("IPQualityScore", problemQuota)}, problem: problemQuota, until: time.Hour},
	{service: "ipqualityscore", body: "refused", want: event.Facts{Risk: unknownRisk("IPQualityScore", "taken for no public address")}, problem: "taken for no public address"},
	{service: "ipqualityscore", body: "down", want: event.Facts{Risk: unknownRisk("IPQualityScore", problemDown)}, problem: problemDown},

	{service: "virustotal", body: "good", name: "seven engines", want: event.Facts{
		Risk:    risk("VirusTotal", 85, "", "7 engines say malicious, 1 suspicious"),
		Network: event.Network{ASN: 64500, Name: "Example Networks Ltd", Source: "VirusTotal"},
		Place:   event.Place{Country: "IE", Source: "VirusTotal"}}},
	{service: "virustotal", body: "unknown", name: "no engine has looked", want: event.Facts{Risk: &event.Risk{Provider: "VirusTotal", Reason: "0 engines say malicious, 0 suspicious", Problem: problemNotKnown}}},
	{service: "virustotal", body: "key", status: 401, want: event.Facts{Risk: unknownRisk("VirusTotal", "key refused (401)")}, problem: "key refused (401)", until: refusedFor},
	{service: "virustotal", body: "quota", status: 429, want: event.Facts{Risk: unknownRisk("VirusTotal", problemQuota)}, problem: problemQuota, until: quotaWait},
	{service: "virustotal", body: "refused", status: 400, want: event.Facts{Risk: unknownRisk("VirusTotal", "taken for no public address (400)")}, problem: "taken for no public address (400)"},

	{service: "ip2location", body: "good", name: "a larger plan", want: event.Facts{
		Risk:    risk("IP2Location.io", 3, "", ""),
		Network: event.Network{ASN: 64500, Name: "Example Networks Ltd", Source: "IP2Location.io"},
		Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: "IP2Location.io", Point: &event.Point{Lat: 53.35, Lon: -6.26}},
		Traits:  event.Traits{Proxy: "IP2Location.io", Hosting: "IP2Location.io"}}},
	{service: "ip2location", body: "free", name: "without a key: - and 0,0", want: event.Facts{
		Network: event.Network{ASN: 64500, Name: "Example Networks Ltd", Source: "IP2Location.io"},
		Place:   event.Place{City: "Dublin", Country: "IE", Source: "IP2Location.io"}}},
	{service: "ip2location", body: "key", status: 401, problem: "key refused (401)", until: refusedFor},
	{service: "ip2location", body: "quota", status: 401, problem: problemQuota, until: time.Hour},
	{service: "ip2location", body: "refused", status: 400, problem: "taken for no public address (400)"},
}

func TestServiceAnswers(t *testing.T) {
	tested := make(map[string]bool)
	for _, tc := range answerCases {
		tested[tc.service] = true
		t.Run(tc.service+"/"+strings.TrimSpace(tc.body+" "+tc.name), func(t *testing.T) {
			status := tc.status
			if status == 0 {
				status = 200
			}
			synctest.Test(t, func(t *testing.T) {
				s := &fakeService{script: always(status, jsonType, serviceBody(t, tc.service+"-"+tc.body))}
				got, err := newService(t, tc.service, s, "", HTTPOptions{}).Lookup(t.Context(), publicIP)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
				pe, _ := errors.AsType[*ProviderError](err)
				if (err == nil) != (tc.problem == "") || pe != nil && pe.Problem != tc.problem {
					t.Fatalf("error %v, want %q", err, tc.problem)
				}
				if pe != nil && (tc.until > 0) != !pe.Until.IsZero() || tc.until > 0 && time.Until(pe.Until) != tc.until {
					t.Errorf("not asked before %v, want %v", time.Until(pe.Until), tc.until)
				}
			})
		})
	}
	for _, name := range serviceNames() {
		if !tested[name] && name != "threatjammer" { // which has its own tests
			t.Errorf("%s: no answer is tested", name)
		}
	}
}

func TestServicesSuite(t *testing.T) {
	for _, s := range allServices(t) {
		if s.Name == "threatjammer" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if !slices.Contains([]string{"abuseipdb", "ipinfo", "internetdb"}, s.Name) {
				standin.Gate(t)
			}
			good := serviceBody(t, s.Name+"-good")
			p := newService(t, s.Name, nil, "", HTTPOptions{})
			all := slices.DeleteFunc(situationsOfAll(good, wrongTypes(good, p), p.service.Host()), func(one situation) bool {
				return !s.TakesKey && strings.Contains(one.name, "the key comes back")
			})
			// Threat Jammer's passes show what processes share on disk; here all share
			// one provider, which is quicker.
			var mu sync.Mutex
			providers := make(map[*fakeService]Provider)
			testProvider(t, subject{main: p.mainPart(), givesRisk: s.GivesRisk, good: good,
				make: func(t testing.TB, fake *fakeService, dir string) Provider {
					mu.Lock()
					defer mu.Unlock()
					if providers[fake] == nil {
						providers[fake] = newService(t, s.Name, fake, "", HTTPOptions{})
					}
					return providers[fake]
				},
			}, all)
		})
	}
}

// wrongTypes gives an answer whose values, and what contains them, are lists of
// lists.
func wrongTypes(good string, p *httpProvider) string {
	fields := make(map[string]bool)
	for _, path := range p.file.form.Requests[0].Expect {
		fields[strings.Split(strings.TrimPrefix(path, "#."), ".")[0]] = true
	}
	var parts []string
	for f := range fields {
		parts = append(parts, `"`+f+`":[[1]]`)
	}
	slices.Sort(parts)
	body := "{" + strings.Join(parts, ",") + `,"asn":[[1]],"as_name":[[1]],"tags":[[1]],"risks":[[1]],"classification":[[1]],"type":[[1]],"status":[[1]],"as":[[1]],"asname":[[1]]}`
	// A field twice would be a fault of its own.
	seen := make(map[string]bool)
	body = regexp.MustCompile(`"(\w+)":\[\[1\]\],?`).ReplaceAllStringFunc(body, func(f string) string {
		if seen[strings.TrimSuffix(f, ",")] {
			return ""
		}
		seen[strings.TrimSuffix(f, ",")] = true
		return f
	})
	body = strings.Replace(body, ",}", "}", 1)
	if strings.HasPrefix(good, "[") {
		return "[" + body + "]"
	}
	return body
}

// What a service is asked, to the letter.
func TestServiceRequests(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::7")
	for _, tc := range []struct {
		service string
		ip      netip.Addr
		url     string // KEY stands for the key
		header  string
	}{
		{"threatjammer", v6, "https://tj.example.com/v1/assess/ip/2001:db8::7", "Authorization: Bearer KEY"},
		{"abuseipdb", v6, "https://api.abuseipdb.com/api/v2/check?ipAddress=2001%3Adb8%3A%3A7&maxAgeInDays=90", "Key: KEY"},
		{"greynoise", publicIP, "https://api.greynoise.io/v3/community/203.0.113.7", "Key: KEY"},
		{"crowdsec", v6, "https://cti.api.crowdsec.net/v2/smoke/2001:db8::7", "X-Api-Key: KEY"},
		{"crowdsec-lapi", v6, "http://127.0.0.1:8080/v1/decisions?ip=2001%3Adb8%3A%3A7", "X-Api-Key: KEY"},
		{"ipinfo", publicIP, "https://api.ipinfo.io/lite/203.0.113.7", "Authorization: Bearer KEY"},
		{"ipinfo-core", publicIP, "https://api.ipinfo.io/lookup/203.0.113.7", "Authorization: Bearer KEY"},
		{"ip-api", publicIP, "https://pro.ip-api.com/json/203.0.113.7?fields=status%2Cmessage%2CcountryCode%2CregionName%2Ccity%2Clat%2Clon%2Cisp%2Corg%2Cas%2Casname%2Cmobile%2Cproxy%2Chosting%2Cquery&key=KEY", ""},
		{"internetdb", publicIP, "https://internetdb.shodan.io/203.0.113.7", ""},
		{"spur", publicIP, "https://api.spur.us/v2/context/203.0.113.7", "Token: KEY"},
		{"ipqualityscore", publicIP, "https://www.ipqualityscore.com/api/json/ip/KEY/203.0.113.7?strictness=0", ""},
		{"virustotal", publicIP, "https://www.virustotal.com/api/v3/ip_addresses/203.0.113.7", "X-Apikey: KEY"},
		{"ip2location", v6, "https://api.ip2location.io/?format=json&ip=2001%3Adb8%3A%3A7&key=KEY", ""},
	} {
		t.Run(tc.service, func(t *testing.T) {
			asked := make(chan *http.Request, 4)
			s := &fakeService{script: func(_ string, r *http.Request) (*http.Response, error) {
				asked <- r
				return reply(500, "", ""), nil
			}}
			newService(t, tc.service, s, "", HTTPOptions{}).Lookup(t.Context(), tc.ip)
			close(asked)
			var urls []string
			for r := range asked {
				urls = append(urls, strings.ReplaceAll(r.URL.String(), testKey, "KEY"))
				if name, value, ok := strings.Cut(tc.header, ": "); ok && r.Header.Get(name) != strings.ReplaceAll(value, "KEY", testKey) {
					t.Errorf("header %s: %q", name, r.Header.Get(name))
				}
				if r.Header.Get("Accept") != "application/json" || r.Method != http.MethodGet {
					t.Errorf("%s, accepts %q", r.Method, r.Header.Get("Accept"))
				}
			}
			if !slices.Contains(urls, tc.url) {
				t.Errorf("asked %q, want %s", urls, tc.url)
			}
		})
	}
}

// Without a key that is optional, nothing stands in its place.
func TestServiceWithoutAKey(t *testing.T) {
	for _, name := range []string{"greynoise", "ip2location"} {
		s := &fakeService{script: func(_ string, r *http.Request) (*http.Response, error) {
			if r.URL.Query().Has("key") || r.Header.Values("Key") != nil {
				t.Errorf("%s: %v, %v", name, r.URL, r.Header)
			}
			return reply(500, "", ""), nil
		}}
		p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Type: name})
		if err != nil {
			t.Fatal(err)
		}
		p.Lookup(t.Context(), publicIP)
		if len(s.paths()) != 1 {
			t.Errorf("%s: asked %v", name, s.paths())
		}
	}
}

// A service that sends the key back, as any text of any answer, and in the
// forms that an address gives it, finds it nowhere again: not in what is known, not
// in an error, not in a file or its name.
func TestServicesLeakNoKey(t *testing.T) {
	const key = "tja_LeakAa/+LeakZz "
	odd := outbound.NewSecret(strings.TrimSpace(key))
	for _, name := range serviceNames() {
		if name == "internetdb" {
			continue // has none
		}
		parsed, err := shippedService(name)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob("testdata/services/" + name + "-*.json")
		if err != nil {
			t.Fatal(err)
		}
		if name == "threatjammer" {
			files, _ = filepath.Glob("testdata/threatjammer-*.json")
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, form := range []string{odd.Reveal(), "tja_LeakAa%2F+LeakZz", "tja_LeakAa%2F%2BLeakZz"} {
				echo := regexp.MustCompile(`":\s*"(?:[^"\\]|\\.)*"`).ReplaceAllString(string(b), `":"`+form+`"`)
				if !gjson.Valid(echo) {
					t.Fatal(echo)
				}
				for _, status := range []int{200, 400, 403, 404, 422, 429} {
					if status != 200 && status != 403 && standin.Everyday() {
						continue
					}
					dir := ""
					if i == 0 && status == 200 { // files take time
						dir = t.TempDir()
					}
					s := &fakeService{script: always(status, jsonType, echo)}
					p, err := NewHTTP(outbound.New(outbound.Options{Transport: s}), HTTPOptions{Service: parsed, BaseURL: "https://x.example.com", Key: odd, Store: testStore(t, dir)})
					if err != nil {
						t.Fatal(err)
					}
					e := New(Options{Providers: []Provider{p}, Store: testStore(t, dir), CacheTTL: time.Hour})
					r := e.LookupAll(t.Context(), publicIP)[0]
					all := strings.Join([]string{jsonOf(t, r.Facts), jsonOf(t, r), r.Hint, errorText(r.Err)}, "\n")
					if dir != "" {
						all += contents(t, dir)
					}
					for _, leak := range []string{"LeakAa", "LeakZz"} {
						if strings.Contains(all, leak) {
							t.Fatalf("%s %s as %d, form %d: %s in %s", name, file, status, i, leak, all)
						}
					}
				}
			}
		}
	}
}

func TestServiceIPv4Only(t *testing.T) {
	s := &fakeService{}
	f, err := newService(t, "greynoise", s, "", HTTPOptions{}).Lookup(t.Context(), addr("2001:db8::7"))
	if len(s.paths()) != 0 || f.Risk == nil || f.Risk.Known || f.Risk.Problem != problemIPv4Only || err == nil {
		t.Errorf("%+v, %v, asked %v", f.Risk, err, s.paths())
	}
}

func TestNewHTTPRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    HTTPOptions
		says string
	}{
		{"no such service", HTTPOptions{Type: "nobody"}, "no such service"},
		{"a path for a service", HTTPOptions{Type: "../services/abuseipdb"}, "no such service"},
		{"no key", HTTPOptions{Type: "abuseipdb"}, "no API key"},
		{"a key for nothing", HTTPOptions{Type: "internetdb", Key: outbound.NewSecret(testKey)}, "takes no API key"},
		{"a space in the key", HTTPOptions{Type: "abuseipdb", Key: outbound.NewSecret("tja_ x")}, "space"},
		{"a key that leads elsewhere", HTTPOptions{Type: "ipqualityscore", Key: outbound.NewSecret("..")}, "no API key"},
		{"no URL where there is none", HTTPOptions{Type: "threatjammer", Key: outbound.NewSecret(testKey)}, "no URL"},
		{"http to elsewhere", HTTPOptions{Type: "abuseipdb", Key: outbound.NewSecret(testKey), BaseURL: "http://api.example.com"}, "http://"},
		{"http to elsewhere for the local API", HTTPOptions{Type: "crowdsec-lapi", Key: outbound.NewSecret(testKey), BaseURL: "http://192.0.2.1:8080"}, "http://"},
		{"a query in the URL", HTTPOptions{Type: "internetdb", BaseURL: "https://x.example.com/?key=tja_1"}, "end before"},
		{"a name that is a path", HTTPOptions{Type: "internetdb", Name: "../x"}, "letters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewHTTP(outbound.New(outbound.Options{}), tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "tja_") {
				t.Errorf("error %v", err)
			}
		})
	}
}
