package pattern

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	snort27  = `11/21-02:15:04.123456 ,1,2010935,3,"ET SCAN Suspicious inbound to MSSQL port 1433",TCP,203.0.113.7,40124,198.51.100.9,1433,00:00:5E:00:53:01,00:00:5E:00:53:02,0x3C,******S*,0x1A2B3C4D,0x0,,0x400,48,0,54321,40,40960,,,,`
	snortIC  = `11/21-02:15:04.123456 ,1,408,5,"ICMP \"echo\", back\\slash",ICMP,203.0.113.7,,198.51.100.9,,00:00:5E:00:53:01,00:00:5E:00:53:02,0x62,,,,,,64,0,1,84,86016,0,0,7,1`
	pfSense  = `11/21/26-02:15:04.123456 ,1,2403302,66801,"ET CINS Active Threat Intelligence Poor Reputation IP group 3",TCP,203.0.113.7,54321,198.51.100.9,22,54321,Misc Attack,2`
	pfSense2 = pfSense + `,alert,Allow`
	snort3   = `11/21-02:15:04.123456, 17, TCP, raw, 60, C2S, 2001:db8::7:40124, 2001:db8:1::9:22, 1:2010935:3, block`
	snort3J  = `{ "seconds" : 1795227304, "action" : "allow", "class" : "none", "msg" : "SCAN \"quick\"", "priority" : 1, "proto" : "ICMP", "rule" : "116:408:1", "src_ap" : "203.0.113.7:0", "dst_ap" : "198.51.100.9:0", "timestamp" : "11/21-02:15:04.123456" }`
	eve      = `{"timestamp":"2026-11-21T03:15:04.123456+0100","flow_id":1805461738637437,"in_iface":"eth0","event_type":"alert","src_ip":"203.0.113.7","src_port":40124,"dest_ip":"198.51.100.9","dest_port":1433,"proto":"TCP","alert":{"action":"blocked","gid":1,"signature_id":2010935,"rev":3,"signature":"ET SCAN Suspicious inbound to MSSQL port 1433","category":"Potentially Bad Traffic","severity":2},"app_proto":"failed","tags":["a","b"]}`
	eveDNS   = `{"timestamp":"2026-11-21T03:15:04.123456+0100","event_type":"dns","src_ip":"203.0.113.7","dest_ip":"198.51.100.9","dns":{"rrname":"alert.example.com","type":"alert"}}`
)

func TestAlerts(t *testing.T) {
	micro := now.Add(123456 * time.Microsecond)
	for _, row := range []struct {
		name, decoder, line string
		columns             []string
		want                Match
	}{
		{"Snort 2, 27 columns", "snort", snort27, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Snort: ET SCAN Suspicious inbound to MSSQL port 1433",
			Text: "rule 1:2010935:3 · TCP 203.0.113.7:40124 → 198.51.100.9:1433"}},
		{"Snort 2, quotes and no ports", "snort", snortIC, nil, Match{
			Time: micro, Severity: event.Medium, Title: `Snort: ICMP "echo", back\slash`, Text: "rule 1:408:5 · ICMP 203.0.113.7 → 198.51.100.9"}},
		{"pfSense", "snort", pfSense, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Snort: ET CINS Active Threat Intelligence Poor Reputation IP group 3",
			Text: "rule 1:2403302:66801 · Misc Attack · priority 2 · TCP 203.0.113.7:54321 → 198.51.100.9:22"}},
		{"pfSense, newer", "snort", pfSense2, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Snort: ET CINS Active Threat Intelligence Poor Reputation IP group 3",
			Text: "rule 1:2403302:66801 · Misc Attack · priority 2 · TCP 203.0.113.7:54321 → 198.51.100.9:22"}},
		{"Snort 2, own columns", "snort", `"x",203.0.113.7,1`, []string{"msg", "src", "priority"}, Match{
			Time: now, Severity: event.High, Title: "Snort: x", Text: "priority 1 · 203.0.113.7 → ?"}},
		{"Snort 3, CSV, IPv6, no msg", "snort3-csv", snort3, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Snort: rule 1:2010935:3", IP: netip.MustParseAddr("2001:db8::7"),
			Text: "rule 1:2010935:3 · TCP [2001:db8::7]:40124 → [2001:db8:1::9]:22 · block"}},
		{"Snort 3, CSV, own columns", "snort3-csv", `26/11/21-02:15:04.123456, "say \"hi\", you", 1:7:1, 203.0.113.7:5`, []string{"timestamp", "msg", "rule", "src_ap"}, Match{
			Time: micro, Severity: event.Medium, Title: `Snort: say "hi", you`, Text: "rule 1:7:1 · 203.0.113.7:5 → ?"}},
		{"Snort 3, JSON", "snort3-json", snort3J, nil, Match{
			Time: time.Unix(1795227304, 0).UTC(), Severity: event.High, Title: `Snort: SCAN "quick"`,
			Text: "rule 116:408:1 · none · priority 1 · ICMP 203.0.113.7 → 198.51.100.9"}},
		{"Suricata", "suricata", eve, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Suricata: ET SCAN Suspicious inbound to MSSQL port 1433",
			Text: "rule 1:2010935:3 · Potentially Bad Traffic · priority 2 · TCP 203.0.113.7:40124 → 198.51.100.9:1433 · blocked"}},
		{"Suricata through syslog", "suricata", "2026-11-21T02:15:04.5+00:00 ids1 suricata[812]: " + eve, nil, Match{
			Time: micro, Severity: event.Medium, Title: "Suricata: ET SCAN Suspicious inbound to MSSQL port 1433",
			Text: "rule 1:2010935:3 · Potentially Bad Traffic · priority 2 · TCP 203.0.113.7:40124 → 198.51.100.9:1433 · blocked"}},
		{"Suricata's worst", "suricata", `{"event_type":"alert","alert":{"signature":"x\u202e\n","severity":1}}`, nil, Match{
			Time: now, Severity: event.High, Title: `Suricata: x\u202e\u000a`, Text: "priority 1"}},
		{"Suricata's least", "suricata", `{"event_type":"alert","alert":{"signature":"x","severity":3}}`, nil, Match{
			Time: now, Severity: event.Low, Title: `Suricata: x`, Text: "priority 3"}},
	} {
		e := engine(t, Pattern{Name: "ids", Decoder: row.decoder, Columns: row.columns})
		got := e.Take(text(row.line), now)
		if len(got) != 1 || !e.Understood() {
			t.Errorf("%s: %d matches", row.name, len(got))
			continue
		}
		m := got[0]
		if !row.want.IP.IsValid() && strings.Contains(row.line, "203.0.113.7") {
			row.want.IP = netip.MustParseAddr("203.0.113.7")
		}
		m = Match{Time: m.Time, Severity: m.Severity, Title: m.Title, Text: m.Text, IP: m.IP}
		if diff := cmp.Diff(row.want, m, sameAddr); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
	}
}

// Suricata's alert is the same behind whatever a logger puts in front of it.
func TestAlertsBehindHeaders(t *testing.T) {
	for name, header := range map[string]string{
		"none":                       "",
		"RFC 3164":                   "Nov 21 02:15:04 fw suricata[812]: ",
		"RFC 3164 with its priority": "<13>Nov 21 02:15:04 fw suricata[812]: ",
		"RFC 3164 and CEE":           "Nov 21 02:15:04 fw suricata[812]: @cee: ",
		"CEE without a space":        "Nov 21 02:15:04 fw suricata[812]: @cee:",
		"RFC 3339":                   "2026-11-21T02:15:04.5+00:00 fw suricata: ",
		"RFC 5424":                   "<13>1 2026-11-21T02:15:04.000000+00:00 fw suricata suricata - - ",
		"RFC 5424, structured data":  `<13>1 2026-11-21T02:15:04.000000+00:00 fw suricata 812 eve [a b="{"] `,
		"RFC 5424 and CEE":           "<13>1 2026-11-21T02:15:04.000000+00:00 fw suricata 812 - - @cee: ",
		"RFC 5424 without a time":    "<13>1 - fw suricata 812 - - ",
		"a priority alone":           "<13>",
		"a priority and a program":   "<13>suricata[812]: ",
		"CEE alone":                  "@cee: ",
		"a program alone":            "suricata[812]: ",
	} {
		e := engine(t, Pattern{Name: "ids", Decoder: "suricata"})
		if got := e.Take(text(header+eve), now); len(got) != 1 || got[0].IP != netip.MustParseAddr("203.0.113.7") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNotAnAlert(t *testing.T) {
	for _, row := range []struct {
		name, decoder, line string
		understood          bool
	}{
		{"a DNS answer that speaks of alerts", "suricata", eveDNS, true},
		{"flow records", "suricata", `{"event_type":"flow"}`, true},
		{"half a line", "suricata", eve[:200], false},
		{"another program's line", "suricata", `Nov 21 02:15:04 h sshd[1]: ` + eve, false},
		{"a user who is called Suricata", "suricata", `Nov 21 02:15:04 h sshd[1]: Invalid user suricata: ` + eve, false},
		{"an alert as a user's name", "suricata", `Nov 21 02:15:04 h sshd[1]: Invalid user suricata[1]: ` + eve + ` from 192.0.2.1`, false},
		{"another program's line, RFC 5424", "suricata", `<13>1 2026-11-21T02:15:04Z h sshd 812 - - ` + eve, false},
		{"another program's line with CEE", "suricata", `Nov 21 02:15:04 h sshd[1]: @cee: ` + eve, false},
		{"a list", "suricata", `["alert"]`, false},
		{"a torn alert", "snort", snort27[:80], false},
		{"a quote without its end", "snort", strings.Replace(snort27, `1433",`, `1433,`, 1), false},
		{"text after a quote", "snort", strings.Replace(snort27, `1433",`, `1433"x,`, 1), false},
		{"twelve commas", "snort", "a,b,c,d,e,f,g,h,i,j,k,l,m", false},
		{"a column too many", "snort3-csv", snort3 + ", x", false},
		{"other JSON", "snort3-json", `{"a":`, false},
		{"many commas", "snort", strings.Repeat(",", 60000), false},
	} {
		e := engine(t, Pattern{Name: "ids", Decoder: row.decoder})
		if got := e.Take(text(row.line), now); got != nil || e.Understood() != row.understood {
			t.Errorf("%s: %v, understood %v", row.name, got, e.Understood())
		}
	}
}

func TestSuricataEventsThatAreAskedFor(t *testing.T) {
	e := engine(t, Pattern{Name: "dns", Decoder: "suricata", Where: map[string]Condition{"event_type": {Equals: []string{"dns"}}},
		Text: "${dns.rrname} ${tags.1}"})
	got := one(t, e, eveDNS)
	if got.Title != "Suricata dns" || got.Text != "alert.example.com" || got.Fields["dns.rrname"] != "alert.example.com" {
		t.Errorf("%+v", got)
	}
	if got := e.Take(text(eve), now.Add(time.Hour)); got != nil {
		t.Errorf("an alert: %v", got)
	}
}

func TestFieldsOfRecords(t *testing.T) {
	app := `{"level":"error","@timestamp":"x","source":"billing","source.ip":"203.0.113.7","http":{"status":503,"paths":["/a","/b"],"ok":null},"host":"web1"}`
	for _, row := range []struct {
		name, title, want string
		p                 Pattern
		line              string
	}{
		{"paths", "${level} ${http.status} ${http.paths.1} ${@timestamp} ${host}${http.ok}${none}", "error 503 /b x web1", Pattern{Decoder: "json"}, app},
		{"a field that is called as something of ours", "${.source} ${source}", "billing /var/log/app.log", Pattern{Decoder: "json"}, app},
		{"a key with a point in it", "${source.ip}", "203.0.113.7", Pattern{Decoder: "json", IPField: "source.ip"}, app},
		{"an object", "${http}", `{"status":503,"paths":["/a","/b"],"ok":null}`, Pattern{Decoder: "json"}, app},
		{"after a syslog header", "${level}", "error", Pattern{Decoder: "json"}, "Nov 21 02:15:04 h app[1]: " + app},
		{"columns", "${user}|${what}|${.line}", `al"ice|a, b|7`, Pattern{Decoder: "csv", Columns: []string{"user", "what", "line"}}, `"al""ice","a, b",7`},
		{"empty columns and back slashes", "${a}|${b}|${c}|", `C:\|| x |`, Pattern{Decoder: "csv", Columns: []string{"a", "b", "c"}}, `"C:\",, x `},
		{"a capture before a column", "${user}|${.user}", `lice|alice`, Pattern{Decoder: "csv", Columns: []string{"user"}, Match: mustCompile(`a(?P<user>.*)`)}, `alice`},
		{"rule taken apart", "${gid}/${sid}/${rev} ${dst_port} ${src_addr}", "1/2010935/3 22 2001:db8::7", Pattern{Decoder: "snort3-csv"}, snort3},
		{"an empty last column", "${icmpseq}.${tcpln}.", "..", Pattern{Decoder: "snort"}, snort27},
	} {
		row.p.Name, row.p.Title = "p", row.title
		if row.p.Match == nil {
			row.p.Match = mustCompile(``)
		}
		e := engine(t, row.p)
		got := one(t, e, row.line)
		if got.Title != row.want {
			t.Errorf("%s: %q, want %q", row.name, got.Title, row.want)
		}
		if row.p.IPField != "" && got.IP != netip.MustParseAddr("203.0.113.7") {
			t.Errorf("%s: address %v", row.name, got.IP)
		}
	}
}

func TestFieldsHandedOn(t *testing.T) {
	e := engine(t, Pattern{Name: "ids", Decoder: "suricata", Title: "${tags.0}"})
	want := map[string]string{"tags.0": "a", "src_ip": "203.0.113.7", "src_port": "40124", "dest_ip": "198.51.100.9", "dest_port": "1433", "proto": "TCP",
		"alert.signature": "ET SCAN Suspicious inbound to MSSQL port 1433", "alert.signature_id": "2010935", "alert.category": "Potentially Bad Traffic",
		"alert.severity": "2", "alert.action": "blocked", "flow_id": "1805461738637437", "in_iface": "eth0"}
	if diff := cmp.Diff(want, one(t, e, eve).Fields); diff != "" {
		t.Error(diff)
	}
}

func TestSnortTime(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	d := func(name string) *decoder {
		d, _, err := newDecoder(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, row := range []struct {
		name, stamp string
		d           *decoder
		at          time.Time
		want        string
	}{
		{"this year", "11/21-03:15:04.5", d("snort"), now, "2026-11-21T02:15:04.5Z"},
		{"last year's end", "12/31-23:59:59.000001", d("snort"), now, "2025-12-31T22:59:59.000001Z"},
		{"a little ahead", "01/01-00:30:00.0", d("snort"), time.Date(2026, 12, 31, 20, 0, 0, 0, time.UTC), "2026-12-31T23:30:00Z"},
		{"the 29th of February", "02/29-12:00:00.0", d("snort"), now, "2024-02-29T11:00:00Z"},
		{"with a year", "10/11/12-12:00:00.0", d("snort"), now, "2012-10-11T11:00:00Z"},
		{"a year in front", "26/11/12-12:00:00.0", d("snort3-csv"), now, "2026-11-12T11:00:00Z"},
		{"of two the nearer", "11/10/26-12:00:00.0", d("snort3-csv"), now, "2026-11-10T11:00:00Z"},
		{"with a long year", "2026-11-12 12:00:00.25", d("snort3-csv"), now, "2026-11-12T11:00:00.25Z"},
		{"no time", "yesterday", d("snort"), now, "0001-01-01T00:00:00Z"},
		{"no idea of the year", "11/21-03:15:04.5", d("snort"), time.Time{}, "0001-01-01T00:00:00Z"},
		{"Suricata", "2026-11-21T03:15:04.123456-0330", d("suricata"), now, "2026-11-21T06:45:04.123456Z"},
		{"Suricata in UTC", "2026-11-21T03:15:04.123456Z", d("suricata"), now, "2026-11-21T03:15:04.123456Z"},
	} {
		got := row.d.time(&record{values: map[string]string{"timestamp": row.stamp}}, row.at, berlin)
		if got.Format(time.RFC3339Nano) != row.want {
			t.Errorf("%s: %v, want %s", row.name, got, row.want)
		}
	}
}

func fuzzDecoder(f *testing.F, p Pattern, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
		f.Add(s[:len(s)/2])
	}
	p.Name, p.Title = "p", "${line}"
	if p.Match == nil {
		p.Match = mustCompile(``)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, again := engine(t, p).Take(text(s), now), engine(t, p).Take(text(s), now)
		if diff := cmp.Diff(first, again, sameAddr); diff != "" {
			t.Fatal(diff)
		}
		for _, m := range first {
			all := append([]string{m.Title, m.Text, m.Line, m.Key}, m.Source)
			for k, v := range m.Fields {
				all = append(all, k, v)
			}
			for _, v := range all {
				if n := utf8.RuneCountInString(v); n > maxText || event.Clean(v, maxText) != v {
					t.Fatalf("%q is not clean", v)
				}
			}
			if m.Count != 1 || m.Time.IsZero() {
				t.Fatalf("%+v", m)
			}
			if _, err := json.Marshal(m); m.Time.Year() <= 9999 && err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzSnort(f *testing.F) {
	fuzzDecoder(f, Pattern{Decoder: "snort"}, snort27, snortIC, pfSense, pfSense2)
}

func FuzzSnort3CSV(f *testing.F)  { fuzzDecoder(f, Pattern{Decoder: "snort3-csv"}, snort3) }
func FuzzSnort3JSON(f *testing.F) { fuzzDecoder(f, Pattern{Decoder: "snort3-json"}, snort3J) }

func FuzzSuricata(f *testing.F) {
	fuzzDecoder(f, Pattern{Decoder: "suricata", Where: map[string]Condition{"event_type": {}}}, eve, eveDNS, "a suricata: "+eve)
}

func FuzzJSON(f *testing.F) {
	fuzzDecoder(f, Pattern{Decoder: "json", IPField: "a.b", By: "${c.0}", Threshold: &Threshold{Type: Limit, Count: 1, Seconds: 1}}, `{"a":{"b":"192.0.2.1"},"c":["x"]}`, eve)
}

func FuzzCSV(f *testing.F) {
	fuzzDecoder(f, Pattern{Decoder: "csv", Columns: []string{"a", "b", "c"}}, `"al""ice","a, b",7`, `"C:\",, x `)
}
