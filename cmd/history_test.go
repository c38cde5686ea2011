package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

const (
	aliceKey  = "SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDeF"
	aliceKey2 = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGeK0VmMZ8vqGkV4S1I"
	bobKey    = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
)

// historyNow is when these tests are run.
var historyNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// remembering is a place with a state folder, and settings that name it.
func remembering(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, home: t.TempDir()}
	if err := os.Mkdir(filepath.Join(p.home, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.set("")
	return p
}

func (p *place) set(more string) {
	p.t.Helper()
	p.write("config.toml", fmt.Sprintf("time_zone = \"Europe/Berlin\"\nhost = \"db1.example.com\"\nstate_dir = %q\nspool_dir = %q\n%s\n[people]\nalice = [%q, %q]\nbob = [%q]\n",
		filepath.Join(p.home, "state"), filepath.Join(p.home, "spool"), more, aliceKey, aliceKey2, bobKey))
}

// runs runs a command line, which must end with code.
func (p *place) runs(code int, args ...string) {
	p.t.Helper()
	if got := p.app().run(p.t.Context(), append(args, "--config", filepath.Join(p.home, "config.toml"))); got != code {
		p.t.Errorf("%s: exit %d, want %d; it says:\n%s%s", args, got, code, p.out.String(), p.err.String())
	}
}

func (p *place) databaseFile() string { return filepath.Join(p.home, "state/history.db") }

func (p *place) remember(entries ...history.Entry) {
	p.t.Helper()
	db, err := history.Open(p.databaseFile(), history.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	for _, e := range entries {
		if err := db.Record(context.Background(), e); err != nil {
			p.t.Fatal(err)
		}
	}
}

// pastLogins are nine, the newest first; the number is a day ago.
func pastLogins() []history.Entry {
	var all []history.Entry
	for i, c := range []struct{ user, host, ip, key string }{
		{"alice", "db1.example.com", "203.0.113.7", aliceKey},
		{"root", "db1.example.com", "203.0.113.8", aliceKey2},
		{"bob", "web3", "2001:db8::7", bobKey},
		{"alice", "web3", "198.51.100.1", ""},
		{"alice", "db1.example.com", "203.0.113.7", aliceKey2},
		{"carol", "db1.example.com", "192.0.2.1", "SHA256:nobodys"},
		{"bob", "db1.example.com", "203.0.113.9", bobKey},
		{"alice", "db1.example.com", "203.0.113.7", aliceKey},
		{"root", "web3", "198.51.100.2", ""},
	} {
		e := history.Entry{
			ID: event.LoginID(event.Session{PID: i + 1}, ""), Time: historyNow.AddDate(0, 0, -i), User: c.user, Host: c.host, Service: "sshd",
			IP: netip.MustParseAddr(c.ip), Port: 51234, Key: c.key, Method: "password", ASN: 64500, ASName: "EXAMPLE-NET",
			Place: event.Place{Country: "IE"}, Severity: event.Medium, Source: history.SourceSeen,
		}
		if c.key != "" {
			e.Method = "publickey"
		}
		all = append(all, e)
	}
	return all
}

func TestHistoryFilters(t *testing.T) {
	t.Parallel()
	p := remembering(t)
	p.remember(pastLogins()...)
	for _, row := range []struct {
		name, args string
		want       []int // days ago
	}{
		{"all", "", []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"a user's", "--user alice", []int{0, 3, 4, 7}},
		{"from an address", "--ip 203.0.113.7", []int{0, 4, 7}},
		{"from a mapped one", "--ip ::ffff:203.0.113.7", []int{0, 4, 7}},
		{"from a network", "--ip 203.0.113.77/24", []int{0, 1, 4, 6, 7}},
		{"from IPv6", "--ip 2001:db8::/32", []int{2}},
		{"to a host", "--host web3", []int{2, 3, 8}},
		{"with a key", "--key " + bobKey, []int{2, 6}},
		{"with any key of a person's, whoever logged in", "--key alice", []int{0, 1, 4, 7}},
		{"of those the newest", "--key alice --limit 2", []int{0, 1}},
		{"since a date", "--since 2026-11-19", []int{0, 1, 2}},
		{"until a date, which is not in it", "--until 2026-11-15", []int{7, 8}},
		{"between", "--since 2026-11-15 --until 2026-11-17T12:00:00Z", []int{5, 6}},
		{"of everything a bit", "--user alice --ip 203.0.113.0/24 --since 2026-11-15 --key alice", []int{0, 4}},
		{"the newest two", "--limit 2", []int{0, 1}},
		{"exactly as many as there are", "--limit 9", []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"no limit", "--limit 0", []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"nobody's", "--user mallory", nil},
	} {
		p.runs(exitDone, append([]string{"history", "--json"}, strings.Fields(row.args)...)...)
		var got []int
		for lines := bufio.NewScanner(&p.out); lines.Scan(); {
			var l pastLogin
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatalf("%s: %v in %q", row.name, err, lines.Text())
			}
			got = append(got, int(historyNow.Sub(l.Time).Hours())/24)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		if cut := strings.Contains(p.err.String(), "there are more"); cut != (strings.Contains(row.args, "--limit 2")) {
			t.Errorf("%s: it says %q", row.name, p.err.String())
		}
	}
}

func TestHistoryTable(t *testing.T) {
	t.Parallel()
	p := remembering(t)
	all := pastLogins()[:6]
	all[3].Place, all[3].ASN, all[3].ASName = event.Place{}, 0, ""
	p.remember(all...)
	p.runs(exitDone, "history", "--since", "2026-11-16")
	want := `REF   TIME (Europe/Berlin)  USER   HOST             ADDRESS       NETWORK              COUNTRY  AUTH                      SEVERITY  SOURCE
X30D  2026-11-21 13:00:00   alice  db1.example.com  203.0.113.7   AS64500 EXAMPLE-NET  IE       publickey alice           medium    seen
TQ8X  2026-11-20 13:00:00   root   db1.example.com  203.0.113.8   AS64500 EXAMPLE-NET  IE       publickey alice           medium    seen
SWFZ  2026-11-19 13:00:00   bob    web3             2001:db8::7   AS64500 EXAMPLE-NET  IE       publickey bob             medium    seen
NNX6  2026-11-18 13:00:00   alice  web3             198.51.100.1  -                    -        password                  medium    seen
BZ4Y  2026-11-17 13:00:00   alice  db1.example.com  203.0.113.7   AS64500 EXAMPLE-NET  IE       publickey alice           medium    seen
29D3  2026-11-16 13:00:00   carol  db1.example.com  192.0.2.1     AS64500 EXAMPLE-NET  IE       publickey SHA256:nobodys  medium    seen
`
	if diff := cmp.Diff(want, p.out.String()); diff != "" {
		t.Error(diff)
	}
	p.runs(exitDone, "history", "--user", "mallory")
	if got := p.out.String(); got != "no login that is remembered matches\n" {
		t.Errorf("%q", got)
	}
}

// Other people's programs read these names.
func TestHistoryJSON(t *testing.T) {
	t.Parallel()
	p := remembering(t)
	e := pastLogins()[0]
	e.Usual, e.Traits.Tor = true, "list"
	p.remember(e)
	p.runs(exitDone, "history", "--json")
	var got map[string]any
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": e.ID, "time": "2026-11-21T12:00:00Z", "host": "db1.example.com", "user": "alice", "service": "sshd",
		"remote": map[string]any{"ip": "203.0.113.7", "port": 51234.0, "name": ""}, "auth": map[string]any{"method": "publickey", "fingerprint": aliceKey},
		"owner": "alice", "network": map[string]any{"asn": 64500.0, "name": "EXAMPLE-NET"}, "place": map[string]any{"country": "IE"},
		"traits": map[string]any{"tor": "list"}, "severity": "medium", "usual": true, "source": "seen",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHistoryIsWrong(t *testing.T) {
	t.Parallel()
	filled := func(p *place) { p.remember(pastLogins()...) }
	for _, row := range []struct {
		name, args string
		prepare    func(p *place)
		code       int
		says       string // on standard error
	}{
		{"nothing is remembered", "", nil, exitDone, "sshnotify history import"},
		{"and nothing will be", "", func(p *place) { p.set("[history]\nenabled = false\n") }, exitDone, "history.enabled = false"},
		{"an empty file", "", func(p *place) { p.write("state/history.db", "") }, exitDone, "sshnotify history import"},
		{"a damaged file", "", func(p *place) { p.write("state/history.db", strings.Repeat("no database ", 100)) }, exitFailed, "history import"},
		{"no right to it", "", func(p *place) { p.write("state", "a file") }, exitFailed, "not a directory"},
		{"no such person", "--key carol", filled, exitUsage, "the settings have alice, bob"},
		{"no address", "--ip 203.0.113", filled, exitUsage, "neither an address nor a network"},
		{"no time", "--since yesterday", filled, exitUsage, "30d"},
		{"a negative limit", "--limit -1", filled, exitUsage, "--limit"},
		{"a variable that is not set", "--user=", filled, exitUsage, "--user is empty"},
		{"no such command", "forgt", filled, exitUsage, `did you mean "sshnotify history forget"`},
		{"forget: everything", "forget --yes", filled, exitUsage, "--user"},
		{"forget: a variable that is not set", "forget --user= --before 1d --yes", filled, exitUsage, "--user is empty"},
		{"forget: nobody to ask", "forget --user alice", filled, exitUsage, "--yes"},
		{"forget: no time", "forget --before soon --yes", filled, exitUsage, "is not a time"},
		{"forget: a damaged file", "forget --user alice --yes", func(p *place) { p.write("state/history.db", strings.Repeat("no database ", 100)) }, exitFailed, "damaged"},
		{"import: no such form", "import --format utmp x", nil, exitUsage, "wtmp, journal or auth.log"},
		{"import: a form of nothing", "import --format wtmp", nil, exitUsage, "name them"},
		{"import: no memory", "import -", func(p *place) { p.set("[history]\nenabled = false\n") }, exitSettings, "history.enabled = true"},
		{"import: no such file", "import none.log", nil, exitFailed, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := remembering(t)
			if row.prepare != nil {
				row.prepare(p)
			}
			p.runs(row.code, append([]string{"history"}, strings.Fields(row.args)...)...)
			if !strings.Contains(p.err.String(), row.says) {
				t.Errorf("it says %q", p.err.String())
			}
		})
	}
}

func TestHistoryForget(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		o      historyForget
		answer string // on a terminal; empty: none
		left   int
		says   string
		fails  bool
	}{
		{"a user", historyForget{user: "alice", yes: true}, "", 5, "4 logins forgotten", false},
		{"a network", historyForget{ip: "203.0.113.0/24", yes: true}, "", 4, "5 logins forgotten", false},
		{"an address of a user's", historyForget{user: "alice", ip: "198.51.100.1", yes: true}, "", 8, "1 login forgotten", false},
		{"what is old", historyForget{before: "4d", yes: true}, "", 5, "4 logins forgotten", false},
		{"the older of a user's", historyForget{user: "alice", before: "2026-11-18", yes: true}, "", 7, "2 logins forgotten", false},
		{"as JSON", historyForget{user: "bob", yes: true, json: true}, "", 7, `{"matched":2,"forgotten":2}`, false},
		{"nobody's", historyForget{user: "mallory"}, "", 9, "no login that is remembered matches", false},
		{"a person says yes", historyForget{user: "alice"}, "y\n", 5, "4 logins forgotten", false},
		{"a person says nothing", historyForget{user: "alice"}, "\n", 9, "", true},
		{"nobody to ask", historyForget{user: "alice"}, "", 9, "4 logins would be forgotten", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := remembering(t)
			p.remember(pastLogins()...)
			o := row.o
			o.app, o.now = p.app(), func() time.Time { return historyNow }
			o.app.configFile = filepath.Join(p.home, "config.toml")
			if row.answer != "" {
				o.ask = &prompter{in: strings.NewReader(row.answer), out: &p.said}
			}
			if err := o.run(t.Context()); (err != nil) != row.fails {
				t.Error(err)
			}
			if !strings.Contains(p.out.String(), row.says) {
				t.Errorf("it says %q", p.out.String())
			}
			if asked := strings.Contains(p.said.String(), "forget 4 logins? (the queue, "); asked != (row.answer != "") {
				t.Errorf("it asks %q", p.said.String())
			}
			p.runs(exitDone, "history", "--json")
			if n := strings.Count(p.out.String(), "\n"); n != row.left {
				t.Errorf("%d are left, want %d", n, row.left)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "30d": "2026-10-22T12:00:00Z", "12h": "2026-11-21T00:00:00Z", "1d12h": "2026-11-20T00:00:00Z", "90m": "2026-11-21T10:30:00Z",
		"2026-11-01": "2026-10-31T23:00:00Z", "2026-07-01": "2026-06-30T22:00:00Z", "2026-11-01T08:00:00Z": "2026-11-01T08:00:00Z",
		"2026-11-01T08:00:00+02:00": "2026-11-01T06:00:00Z", "2026-11-01 08:00:00": "2026-11-01T07:00:00Z", "2026-11-01 08:00": "2026-11-01T07:00:00Z",
		"-1d": "", "1d-1h": "", "+3h": "", "-3h": "", "d": "", "1": "", "yesterday": "", "2026-13-01": "", "65536d": "", "65535d2562047h": "", "21.11.2026": "",
	} {
		got, err := moment(in, historyNow, berlin)
		if s := got.UTC().Format(time.RFC3339); err == nil && s != want || (err == nil) != (want != "") {
			t.Errorf("%q: %s, %v; want %q", in, s, err, want)
		}
	}
}

func FuzzMoment(f *testing.F) {
	for _, s := range []string{"30d", "1d12h", "2026-11-01", "2026-11-01T08:00:00+02:00", "65535d2562047h", "1.5h", "d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := strictoml.ParseDuration(s); ok && d < 0 {
			t.Fatalf("%q lies ahead: %v", s, d)
		}
		if _, err := moment(s, historyNow, time.UTC); err != nil && exitCode(err) != exitUsage {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// What is in the file was cleaned, unless somebody else wrote it.
func TestHistoryShowsNothingThatActs(t *testing.T) {
	const evil = "a\x1b]0;x\x07\u202eb\u009b"
	e := history.Entry{ID: evil, Host: evil, User: evil, Service: evil, Method: evil, Key: evil, ASName: evil, Place: event.Place{City: evil, Region: evil, Country: evil, Source: evil},
		Traits: event.Traits{Tor: evil, VPN: evil, Proxy: evil, Hosting: evil, Mobile: evil, Lists: []string{evil}}}
	if s := fmt.Sprintf("%+v", plain(e)); strings.ContainsAny(s, "\x1b\x07\u202e\u009b") {
		t.Errorf("%q", s)
	}
}
