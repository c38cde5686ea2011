package config

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/publish"
	"github.com/sshnotify/sshnotify/internal/report"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// The secrets of the sample. Whatever goes wrong, no part of these is shown.
const (
	plantedWebhook = "https://hooks.slack.com/services/T0/B0/planted-file-secret-0123456789abcdef"
	plantedInline  = "https://hooks.slack.com/services/T0/B0/planted-inline-secret-0123456789abcdef"
	plantedKey     = "planted.api.key.0123456789abcdef0123456789"
	plantedBeat    = "https://hc.example.com/planted-heartbeat-0123456789abcdef"
	plantedProxy   = "http://user:planted-proxy-password-0123456789ab@proxy.example.com:3128"
)

var planted = []string{
	"planted-file-secret-0123456789abcdef", "planted-inline-secret-0123456789abcdef",
	plantedKey, "planted-heartbeat-0123456789abcdef", "planted-proxy-password-0123456789ab",
}

func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	text := ""
	if err != nil {
		text = err.Error()
	}
	for _, e := range strictoml.Errors(err) {
		text += "\n" + e.Key + "\n" + e.Hint
		if e.Err != nil {
			text += "\n" + e.Err.Error()
		}
	}
	for _, s := range planted {
		if strings.Contains(text, s) {
			t.Errorf("an error shows the secret %q:\n%s", s, text)
		}
	}
}

// write makes a file of a made-up host. Its name is below dir.
func write(t *testing.T, dir, name, content string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // not the umask's choice
		t.Fatal(err)
	}
	return path
}

// sample puts the whole sample, with the files that it names, into dir, which
// takes the place of /etc/sshnotify.
func sample(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	tls := httptest.NewUnstartedServer(nil)
	tls.StartTLS()
	defer tls.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw})
	write(t, dir, "slack.url", plantedWebhook+" \r\n", 0o600)
	write(t, dir, "threatjammer.key", plantedKey+"\n", 0o640)
	write(t, dir, "ca.pem", string(ca), 0o644)
	write(t, dir, "credentials/proxy", plantedProxy, 0o444) // systemd's business, whatever it is
	write(t, dir, "credentials/heartbeat", plantedBeat, 0o444)
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "credentials"))
	return strings.ReplaceAll(string(b), "/etc/sshnotify", dir)
}

func TestSample(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "config.toml", sample(t, dir), 0o640)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	raised := policy.DefaultSeverity()
	raised[policy.NewNetwork], raised[policy.NewAddress] = event.High, event.Low
	delete(raised, policy.Travel)
	night := policy.Hours{Days: [7]bool{1: true, 2: true, 3: true, 4: true, 5: true}, From: 22 * 60, To: 6 * 60}
	weekend := policy.Hours{Days: [7]bool{0: true, 6: true}, To: 24 * 60}
	want := Config{
		Watching: Watching{
			Host: "db1.example.com", Labels: map[string]string{"env": "prod", "role": "db"}, TimeZone: "Europe/Dublin",
			SpoolDir: "/srv/sshnotify/spool", StateDir: "/srv/sshnotify/state",
			Digest: Digest{At: 7*60 + 30},
			Watch: Watch{Notify: WatchEach, Ignore: policy.Ignore{Users: []string{"probe"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}},
				StateDir: "/var/lib/sshnotify-watch"},
			Sources: source.Sources{
				{Name: "auth", Type: "file", Settings: &source.File{Path: "/var/log/auth.log"}},
				{Name: "kern", Type: "file", Settings: &source.File{Path: "/var/log/kern.log"}},
				{Name: "journal", Type: "journal", Settings: &source.Journal{Match: []string{"_COMM=sshd", "+", "_COMM=sshd-session"}}},
				{Name: "snort", Type: "pipe", Settings: &source.Pipe{Path: "/run/snort/alert.fifo", Group: "snort"}},
			},
			Detectors: []attack.Detector{
				{Name: "slow-root", Count: 30, Within: 48 * time.Hour, By: attack.ByNetwork, Services: []string{"sshd"}, Distinct: 3},
				{Name: "fast", Count: 8, Within: 5 * time.Minute, By: attack.ByAddress},
			},
			Patterns: []pattern.Pattern{
				{Name: "disk", Sources: []string{"kern*", "journal"}, Match: regexp.MustCompile(`I/O error, dev (?P<dev>\w+)`),
					Ignore:   []*regexp.Regexp{regexp.MustCompile("sr0"), regexp.MustCompile(`loop\d`)},
					Severity: new(event.High), Title: "disk ${dev} of >${host}<", Text: "${line}", By: "${dev}",
					Threshold: &pattern.Threshold{Type: pattern.Limit, Count: 1, Seconds: 300}, Destinations: []string{"oncall"},
					Active: []policy.Hours{{Days: night.Days, From: 8 * 60, To: 18 * 60}},
					Exec:   &pattern.Exec{Command: []string{"/usr/local/bin/act", "--dev=${dev}"}, Timeout: 30 * time.Second}},
				{Name: "ids", Sources: []string{"snort"}, Decoder: "suricata", IPField: "src_ip", Where: pattern.Where{
					"alert.severity":     {Max: new(2.0)},
					"flow.pkts_toserver": {Min: new(0.5), Max: new(1000.0)},
					"event_type":         {Equals: []string{"alert"}},
					"alert.signature_id": {Equals: []string{"2001219", "16"}},
					"alert.signature":    {Glob: []string{"ET *"}, Match: regexp.MustCompile("(?i)scan"), Equals: []string{"ET SCAN"}},
					"in_iface":           {},
				}},
				{Name: "ours", Decoder: "csv", Columns: []string{"time", "who", "what"}, Where: pattern.Where{
					"what": {Equals: []string{"drop", "delete"}},
				}},
			},
			Publish: publish.Settings{Destinations: []string{"public"}, Dir: "/var/www/attackers", Names: true, PerHour: 20, MinAttempts: 10},
		},
		Settings: policy.Settings{
			Risk:   policy.Risk{YellowAbove: 30, RedAbove: 60},
			Raise:  raised,
			Groups: map[string][]string{"admins": {"alice", "adm-*"}, "nobody": nil},
			Networks: map[string][]netip.Prefix{
				"office": {netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8:1::/48")},
				"vpn":    {netip.MustParsePrefix("198.51.100.0/24")},
			},
			Rules: policy.Rules{{
				Name: "admins at night", Group: []string{"admins"}, Hours: []policy.Hours{night, weekend},
				Network: []policy.RuleNetwork{{Name: "vpn"}, {Prefix: netip.MustParsePrefix("203.0.113.0/24")},
					{Prefix: netip.MustParsePrefix("2001:db8::1/128")}, {Name: "Tailscale"}},
				Severity: new(event.High), Destination: []string{"oncall", "log"}, Reason: "admins do not work at night",
			}, {
				User: []string{"backup", "ext-*"}, Country: []string{"IE", "GB"}, ASN: []policy.ASN{64500, 64501},
				Host: []string{"db*.example.com"}, Label: []policy.Label{{Key: "env", Value: "prod"}, {Key: "role", Value: "d?"}},
				Service: []string{"sshd"}, Key: []string{"alice", "SHA256:DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"},
				Method: []string{"publickey"}, NewNetwork: new(false), NewCountry: new(false), NewKey: new(false), NewUser: new(false),
				Tor: new(false), VPN: new(false), Proxy: new(false), Hosting: new(true), MinRisk: new(0), UnknownRisk: new(false), Ignore: true,
			}},
			People: policy.People{
				"alice": {Keys: []policy.Key{"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, Accounts: []string{"adm-alice"},
					Phone: "+35315550123", Slack: "U0123ABCD", Email: "alice@example.com"},
				"bob (on call)": {Keys: []policy.Key{
					"SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
					"SHA256:CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC+",
				}},
			},
		},
		Notify:  policy.NotifyUnusual,
		PerDay:  10,
		Clock:   "12h",
		Enrich:  enrich.Settings{Timeout: 2 * time.Second, CacheTTL: 30 * time.Minute, Builtin: true},
		History: history.Settings{Enabled: true, Keep: 200 * 24 * time.Hour, Learning: 36 * time.Hour},
		Destinations: Destinations{
			{Name: "slack", Type: "slack", Settings: &channel.Slack{WebhookURL: outbound.NewSecret(plantedWebhook)}},
			{Name: "oncall", Type: "slack", Settings: &channel.Slack{WebhookURL: outbound.NewSecret(plantedInline)}, Route: policy.Route{MinSeverity: event.High}},
			{Name: "public", Type: "slack", Settings: &channel.Slack{WebhookURL: outbound.NewSecret(plantedWebhook)}},
			{Name: "log", Type: "log", Settings: &channel.Log{}, Route: policy.Route{MinSeverity: event.Medium}},
		},
		Login: Login{
			NotifyLogout: "none", Ignore: policy.Ignore{Users: []string{"backup"},
				Networks: []netip.Prefix{
					netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("198.51.100.7/32"),
					netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("203.0.113.0/24"),
				}},
		},
		Group: Group{Window: 0},
		Links: Links{Runbook: "https://wiki.example.com/ssh-alert"},
		Heartbeat: heartbeat.Settings{URL: outbound.NewSecret(plantedBeat), Protocol: heartbeat.Get, FailURL: outbound.NewSecret(plantedBeat + "/down"),
			Every: 10 * time.Minute, Message: heartbeat.Weekly, Destination: []string{"oncall"}},
		Report: report.Settings{Every: policy.Weekly{Days: [7]bool{1: true, 4: true}, At: 8*60 + 30}, Since: 10 * 24 * time.Hour, Mask: true,
			URL: "https://hub.example.com:8443/report?since=10d", Destination: []string{"oncall"}},
		Metrics:  figures.ListenSettings{Listen: "[::1]:9847"},
		Outbound: Outbound{Proxy: outbound.NewSecret(plantedProxy), CAFile: dir + "/ca.pem"},
		Files:    []string{path},
		SaidIn:   map[string]string{notify: path, learning: path, notifyLogout: path},
	}
	diff := cmp.Diff(want, got,
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b *regexp.Regexp) bool { return a == b || a != nil && b != nil && a.String() == b.String() }),
		cmp.Comparer(func(a, b outbound.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmpopts.IgnoreFields(Outbound{}, "RootCAs"), cmpopts.IgnoreFields(Config{}, "Providers", "Notes"))
	if diff != "" {
		t.Error(diff)
	}
	var providers []string
	for _, p := range got.Providers {
		made, err := p.Settings.Open(enrich.Env{Name: p.Name, Client: outbound.New(outbound.Options{}), StateDir: dir})
		if err != nil && p.Name != "ours" { // whose file is not there
			t.Errorf("provider.%s: %v", p.Name, err)
		} else if err == nil {
			providers = append(providers, made.Info().Name)
		}
	}
	if d := cmp.Diff([]string{"threatjammer", "geolite", "greynoise", "crowdsec-lapi", "tor", "customers", "cymru", "builtin"}, providers); d != "" {
		t.Error(d)
	}
	tor := &netlist.Options{URL: outbound.NewSecret("https://check.torproject.org/torbulkexitlist?ip=192.0.2.1"),
		Refresh: 12 * time.Hour, Label: "Tor exits", Score: new(75), Trait: "tor"}
	if d := cmp.Diff(tor, got.Providers[5].Settings); d != "" {
		t.Error(d)
	}
	if got.Outbound.RootCAs == nil {
		t.Error("ca_file gave no certificates")
	}
	if name := got.Zone().String(); name != "Europe/Dublin" {
		t.Errorf("zone %s", name)
	}
	p := got.Policy()
	if len(p.People) != 2 || len(p.Networks["office"]) != 2 || len(p.Rules) != 2 || len(p.Groups) != 2 ||
		p.YellowAbove != 30 || p.RedAbove != 60 || p.Zone.String() != "Europe/Dublin" || p.Learning != 36*time.Hour || p.Raise[policy.NewNetwork] != event.High {
		t.Errorf("%+v", p)
	}
	summary := `destinations: slack from low, oncall (slack) from high, log from medium
providers: threatjammer, geolite (mmdb), greynoise, crowdsec-lapi, ours (http), tor (list), customers (list), cymru, builtin
memory: kept for 200d, learning for 36h
told: unusual logins at once, ordinary ones in a digest at 07:30 (Europe/Dublin)
heartbeat: a ping every 10m, by the service
heartbeat: a weekly message that all is well at 07:30 (Europe/Dublin), by the service
report: of the last 10d at mon,thu 08:30 (Europe/Dublin), masked, by mail with the page
metrics: http://[::1]:9847/metrics, by the service
rules: admins at night, 2
sources: auth (file), kern (file), journal, snort (pipe)
attacks: each when it starts and when it ends; detectors: slow, user, user-slow, local, slow-root, fast
patterns: disk, ids, ours
published: attacks of 10 attempts and more, with the names tried, at most 20 an hour, to public, /var/www/attackers`
	if diff := cmp.Diff(summary, strings.Join(got.Summary(), "\n")); diff != "" {
		t.Error(diff)
	}
	for _, s := range planted {
		if strings.Contains(strings.Join(got.Summary(), "\n"), s) {
			t.Errorf("the summary shows %q", s)
		}
	}
}

func TestSummaryWithoutMuch(t *testing.T) {
	c := Default()
	want := "destinations: none, alerts go to the system log\nproviders: none, and the built-in database\n" +
		"memory: kept for 400d, learning for 7d\ntold: unusual logins at once, ordinary ones one by one up to 10 a day, else in a digest at 08:00 (this machine's time)"
	if diff := cmp.Diff(want, strings.Join(c.Summary(), "\n")); diff != "" {
		t.Error(diff)
	}
	c.Enrich.Builtin, c.History.Enabled = false, false
	want = "destinations: none, alerts go to the system log\nproviders: none, and not the built-in database\nmemory: none\ntold: every login"
	if diff := cmp.Diff(want, strings.Join(c.Summary(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	path := write(t, t.TempDir(), "config.toml", "# nothing\n", 0o644)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Files = []string{path}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Zone() != time.Local {
		t.Errorf("zone %v", got.Zone())
	}
}

// All ways to write a table in TOML say the same.
func TestWaysToWrite(t *testing.T) {
	for name, text := range map[string]string{
		"tables":        "[destination.a]\ntype='log'\nmin_severity='high'\n[destination.b]\ntype='log'\n[risk]\nyellow_above=0x10\n",
		"dotted keys":   "risk.yellow_above = 16\ndestination.a.type='log'\ndestination.a.min_severity='high'\ndestination.b.type='log'\n",
		"inline tables": "risk={yellow_above=1_6}\ndestination={a={type='log',min_severity='high'},b={type='log'}}\n",
		"one of each":   "risk={yellow_above=16}\n[destination]\na.type='''\nlog'''\na.min_severity='high'\nb={type=\"l\\u006fg\"}\n",
		"windows lines": "[destination.a]\r\ntype='log'\r\nmin_severity='high'\r\n[destination.b]\r\ntype='log'\r\n[risk]\r\nyellow_above=16",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(write(t, t.TempDir(), "c.toml", text, 0o644))
			if err != nil {
				t.Fatal(err)
			}
			want := Destinations{{Name: "a", Type: "log", Route: policy.Route{MinSeverity: event.High}, Settings: &channel.Log{}}, {Name: "b", Type: "log", Settings: &channel.Log{}}}
			if diff := cmp.Diff(want, c.Destinations); diff != "" || c.Risk.YellowAbove != 16 {
				t.Error(diff, c.Risk)
			}
		})
	}
}

func TestWaysToWriteRules(t *testing.T) {
	want := policy.Rules{{User: []string{"a"}, Tor: new(true), Ignore: true}, {Name: "x", ASN: []policy.ASN{64500}, Reason: "y"}}
	for name, text := range map[string]string{
		"tables":        "[[rule]]\nuser='a'\ntor=true\nignore=true\n[[rule]]\nname='x'\nasn=64_500\nreason='y'\n",
		"inline tables": "rule=[{user=['a'],tor=true,ignore=true},\n{name='x',asn=['AS64500'],reason='y'}]\n",
		"in between":    "[[rule]]\nuser='a'\ntor=true\nignore=true\n[group]\nwindow='1m'\n[[rule]]\nname='x'\nasn=[0xfbf4]\nreason='y'\n",
	} {
		c, err := Load(write(t, t.TempDir(), "c.toml", text, 0o644))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, c.Rules); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestConfD(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "[group]\nwindow='5m'\n[destination.z]\ntype='log'\n", 0o644)
	write(t, dir, "conf.d/20-b.toml", "[destination.b]\ntype='log'\n", 0o644)
	write(t, dir, "conf.d/10-a.toml", "host='web1'\n[destination.a]\ntype='log'\n", 0o644)
	write(t, dir, "conf.d/.#10-a.toml", "an editor's", 0o644)
	write(t, dir, "conf.d/10-a.toml~", "an editor's", 0o644)
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range c.Destinations {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"z", "a", "b"}, names); diff != "" {
		t.Error("not in the order of the files:", diff)
	}
	if c.Host != "web1" || c.Group.Window != 5*time.Minute {
		t.Errorf("not merged: %+v", c)
	}
	want := []string{main, dir + "/conf.d/10-a.toml", dir + "/conf.d/20-b.toml"}
	if diff := cmp.Diff(want, c.Files); diff != "" {
		t.Error(diff)
	}
}

func TestTwoFilesOneTable(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "host='a'\nrule=[]\n[enrich]\ntimeout='2s'\n[destination.a]\ntype='log'\n[destination.b]\ntype='log'\n", 0o644)
	write(t, dir, "conf.d/1.toml", "labels.a='1'\n[destination.c]\ntype='log'\n[destination.b]\nmin_severity='high'\n[enrich]\ncache_ttl='1h'\n", 0o644)
	write(t, dir, "conf.d/2.toml", "host='b'\nlabels.b='2'\ndestination.c.type='log'\n[[rule]]\nignore=true\n", 0o644)
	_, err := Load(main)
	want := `DIR/conf.d/1.toml:4:14: destination.b: already set in DIR/config.toml, line 7
DIR/conf.d/1.toml:6:2: enrich: already set in DIR/config.toml, line 3
DIR/conf.d/2.toml:1:1: host: already set in DIR/config.toml, line 1
DIR/conf.d/2.toml:2:1: labels: already set in DIR/conf.d/1.toml, line 1
DIR/conf.d/2.toml:3:13: destination.c: already set in DIR/conf.d/1.toml, line 2
DIR/conf.d/2.toml:4:3: rule: already set in DIR/config.toml, line 2`
	if diff := cmp.Diff(want, strings.ReplaceAll(text(err), dir, "DIR")); diff != "" {
		t.Error(diff)
	}
}

func TestServiceAmongSettings(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "host='a'\n", 0o644)
	write(t, dir, "conf.d/gotify.toml", "# Gotify\nform = 1\ntitle = 'Gotify'\n[limit]\nbody = 3000\n", 0o644)
	_, err := Load(main)
	want := "DIR/conf.d/gotify.toml:2:1: it describes a service, and each file of conf.d is read as settings"
	if diff := cmp.Diff(want, strings.ReplaceAll(text(err), dir, "DIR")); diff != "" {
		t.Error(diff)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestErrorsOfOneBrokenFileDoNotHideAnothers(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "hosst='a'\n", 0o644)
	write(t, dir, "conf.d/1.toml", "host=\n", 0o644)
	write(t, dir, "conf.d/2.toml", "[risk]\nred_above=101\n", 0o644)
	_, err := Load(main)
	want := `DIR/config.toml:1:1: hosst: unknown key
DIR/conf.d/1.toml:1:6: unexpected character U+000A at start of value
DIR/conf.d/2.toml:2:1: risk.red_above: must be from 0 to 100, not "101"`
	if diff := cmp.Diff(want, strings.ReplaceAll(text(err), dir, "DIR")); diff != "" {
		t.Error(diff)
	}
	wrapped := strictoml.Errors(errors.Join(errors.New("other"), err))
	if len(wrapped) != 3 || wrapped[0].Hint != `did you mean "host"?` {
		t.Errorf("%v", wrapped)
	}
}

// A file that was cut off while it was written, or copied to a full disk.
func TestCutFile(t *testing.T) {
	dir := t.TempDir()
	whole := sample(t, dir)
	errs := 0
	step := 7
	if !standin.Everyday() {
		step = 1
	}
	for cut := 0; cut < len(whole); cut += step {
		const path = "config.toml"
		var l loader
		l.add(path, 0o600, []byte(whole[:cut]))
		_, err := l.finish()
		if err != nil {
			errs++
		}
		checkNoSecret(t, err)
		lines := strings.Count(whole[:cut], "\n") + 1
		for _, e := range strictoml.Errors(err) {
			if e.File != path || e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Fatalf("cut at byte %d: no place in the file: %v", cut, e)
			}
		}
		if err != nil && len(strictoml.Errors(err)) == 0 {
			t.Fatalf("cut at byte %d: %v is no *Error", cut, err)
		}
	}
	if errs < len(whole)/step/3 {
		t.Errorf("only %d of %d cuts were noticed", errs, len(whole))
	}
}

func TestTopKeys(t *testing.T) {
	path := write(t, t.TempDir(), "c.toml", "zzzzzzzzz=1\n", 0o644)
	_, err := Load(path)
	tables := []string{"destination", "detector", "digest", "enrich", "group", "groups", "heartbeat", "history", "hub", "links", "login", "metrics", "networks", "outbound",
		"pattern", "people", "person", "provider", "publish", "raise", "report", "respond", "risk", "rule", "source", "watch"}
	all := slices.Sorted(slices.Values(append(tables, "clock", "host", "labels", "notify", "ordinary_per_day", "time_zone", "spool_dir", "state_dir")))
	if got, want := strictoml.Errors(err)[0].Hint, "known here: "+strings.Join(all, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// The watcher's user can read no secret, and needs none.
func TestLoadWithoutSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.toml")
	text := "[destination.slack]\nwebhook_url_file = \"credential:slack\"\n[provider.abuseipdb]\napi_key_file = \"/nowhere/key\"\n" +
		"[destination.team]\ntype = \"slack\"\ntoken_file = \"credential:bot\"\nchannel = \"#a\"\napp_token_file = \"credential:app\"\nask = \"high\"\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil {
		t.Error("secrets that are not there are not missed")
	}
	c, err := LoadWithoutSecrets(file)
	if err != nil || len(c.Destinations) != 2 {
		t.Errorf("%+v, %v", c.Destinations, err)
	}
	for _, d := range c.Destinations {
		if strictoml.HasSecret(d.Settings) {
			t.Errorf("%s has a secret", d.Name)
		}
	}
}
