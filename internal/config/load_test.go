package config

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// The secrets of the sample. Whatever goes wrong, no part of these is shown.
const (
	plantedWebhook = "https://hooks.slack.com/services/T0/B0/planted-file-secret-0123456789abcdef"
	plantedInline  = "https://hooks.slack.com/services/T0/B0/planted-inline-secret-0123456789abcdef"
	plantedKey     = "planted.api.key.0123456789abcdef0123456789"
	plantedProxy   = "http://user:planted-proxy-password-0123456789ab@proxy.example.com:3128"
)

var planted = []string{
	"planted-file-secret-0123456789abcdef", "planted-inline-secret-0123456789abcdef",
	plantedKey, "planted-proxy-password-0123456789ab",
}

func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	text := ""
	if err != nil {
		text = err.Error()
	}
	for _, e := range Errors(err) {
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
	want := Config{
		Host: "db1.example.com", Labels: map[string]string{"env": "prod", "role": "db"},
		Notify: "all", TimeZone: "Europe/Dublin",
		SpoolDir: "/srv/sshnotify/spool", StateDir: "/srv/sshnotify/state",
		Enrich: Enrich{Timeout: 2 * time.Second, CacheTTL: 30 * time.Minute},
		Risk:   Risk{YellowAbove: 30, RedAbove: 60},
		People: map[string][]string{
			"alice": {"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
			"bob (on call)": {
				"SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
				"SHA256:CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC+",
			},
		},
		Providers: []Provider{{
			Name: "threatjammer", Type: ProviderThreatJammer,
			URL: "https://dublin.api.threatjammer.com", APIKey: outbound.NewSecret(plantedKey),
		}},
		Destinations: []Destination{
			{Name: "slack", Type: DestinationSlack, WebhookURL: outbound.NewSecret(plantedWebhook)},
			{Name: "oncall", Type: DestinationSlack, WebhookURL: outbound.NewSecret(plantedInline), MinSeverity: event.High},
			{Name: "log", Type: DestinationLog, MinSeverity: event.Medium},
		},
		Login: Login{
			NotifyLogout: LogoutNone, IgnoreUsers: []string{"backup"},
			IgnoreNetworks: []netip.Prefix{
				netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("198.51.100.7/32"),
				netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("203.0.113.0/24"),
			},
		},
		Group:    Group{Window: 0},
		Links:    Links{Runbook: "https://wiki.example.com/ssh-alert"},
		Outbound: Outbound{Proxy: outbound.NewSecret(plantedProxy), CAFile: dir + "/ca.pem"},
		Files:    []string{path},
	}
	diff := cmp.Diff(want, got,
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b outbound.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmpopts.IgnoreFields(Outbound{}, "RootCAs"))
	if diff != "" {
		t.Error(diff)
	}
	if got.Outbound.RootCAs == nil {
		t.Error("ca_file gave no certificates")
	}
	if name := got.Zone().String(); name != "Europe/Dublin" {
		t.Errorf("zone %s", name)
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
			want := []Destination{{Name: "a", Type: "log", MinSeverity: event.High}, {Name: "b", Type: "log"}}
			if diff := cmp.Diff(want, c.Destinations); diff != "" || c.Risk.YellowAbove != 16 {
				t.Error(diff, c.Risk)
			}
		})
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
	main := write(t, dir, "config.toml", "host='a'\n[enrich]\ntimeout='2s'\n[destination.a]\ntype='log'\n[destination.b]\ntype='log'\n", 0o644)
	write(t, dir, "conf.d/1.toml", "labels.a='1'\n[destination.c]\ntype='log'\n[destination.b]\nmin_severity='high'\n[enrich]\ncache_ttl='1h'\n", 0o644)
	write(t, dir, "conf.d/2.toml", "host='b'\nlabels.b='2'\ndestination.c.type='log'\n", 0o644)
	_, err := Load(main)
	want := `DIR/conf.d/1.toml:4:14: destination.b: already set in DIR/config.toml, line 6
DIR/conf.d/1.toml:6:2: enrich: already set in DIR/config.toml, line 2
DIR/conf.d/2.toml:1:1: host: already set in DIR/config.toml, line 1
DIR/conf.d/2.toml:2:1: labels: already set in DIR/conf.d/1.toml, line 1
DIR/conf.d/2.toml:3:13: destination.c: already set in DIR/conf.d/1.toml, line 2`
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

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/folder.toml", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/fifo.toml", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "large.toml", strings.Repeat("#", maxFile+1), 0o600)
	write(t, dir, "full.toml", strings.Repeat("#", maxFile), 0o600)
	if err := os.Symlink("full.toml", dir+"/link.toml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir+"/dangling.toml"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing.toml":  "missing.toml: no such file or directory",
		"folder.toml":   "folder.toml: not a regular file",
		"fifo.toml":     "fifo.toml: not a regular file", // without waiting for a writer
		"large.toml":    "large.toml: larger than 1048576 bytes",
		"full.toml":     "",
		"link.toml":     "",
		"dangling.toml": "dangling.toml: no such file or directory",
	} {
		_, err := Load(filepath.Join(dir, name))
		if got := strings.ReplaceAll(text(err), dir+"/", ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if missing := strings.Contains(want, "no such"); errors.Is(err, fs.ErrNotExist) != missing {
			t.Errorf("%s: errors.Is ErrNotExist must be %v", name, missing)
		}
	}
	if os.Getuid() != 0 {
		path := write(t, dir, "closed.toml", "", 0)
		if _, err := Load(path); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("no permission: %v", err)
		}
	}
}

func TestConfDWithoutConfigToml(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "conf.d/1.toml", "host='a'\n", 0o644)
	_, err := Load(dir + "/config.toml")
	errs := Errors(err)
	if len(errs) != 1 || errs[0].Hint != "conf.d is read with a config.toml only, which may be empty: touch "+dir+"/config.toml" {
		t.Errorf("%v", errs)
	}
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
	wrapped := Errors(errors.Join(errors.New("other"), err))
	if len(wrapped) != 3 || wrapped[0].Hint != `did you mean "host"?` {
		t.Errorf("%v", wrapped)
	}
}

// A file that was cut off while it was written, or copied to a full disk.
func TestCutFile(t *testing.T) {
	dir := t.TempDir()
	whole := sample(t, dir)
	errs := 0
	for cut := range len(whole) {
		const path = "config.toml"
		var l loader
		l.add(path, 0o600, []byte(whole[:cut]))
		_, err := l.finish()
		if err != nil {
			errs++
		}
		checkNoSecret(t, err)
		lines := strings.Count(whole[:cut], "\n") + 1
		for _, e := range Errors(err) {
			if e.File != path || e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Fatalf("cut at byte %d: no place in the file: %v", cut, e)
			}
		}
		if err != nil && len(Errors(err)) == 0 {
			t.Fatalf("cut at byte %d: %v is no *Error", cut, err)
		}
	}
	if errs < len(whole)/3 {
		t.Errorf("only %d of %d cuts were noticed", errs, len(whole))
	}
}

func TestTopKeys(t *testing.T) {
	path := write(t, t.TempDir(), "c.toml", "zzzzzzzzz=1\n", 0o644)
	_, err := Load(path)
	tables := []string{"destination", "enrich", "group", "links", "login", "outbound", "people", "provider", "risk"}
	all := slices.Sorted(slices.Values(append(tables, topKeys...)))
	if got, want := Errors(err)[0].Hint, "known here: "+strings.Join(all, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
