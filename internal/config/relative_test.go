package config

import (
	"encoding/pem"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/mmdb"
	"github.com/sshnotify/sshnotify/enrich/netlist"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// A path that is not from the root begins in the folder of the file that says it,
// whichever folder the program is started in, and whichever key it is.
func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o600)
	write(t, dir, "keys/slack.url", "https://example.com/hook", 0o600)
	write(t, dir, "conf.d/here.key", "k", 0o600)
	write(t, dir, "proxy.url", "http://u:p@proxy.example.com:3128", 0o600)
	write(t, dir, "list.url", "https://lists.example.com/ssh.txt", 0o600)
	write(t, dir, "conf.d/more.toml", `
[provider.abuseipdb]
api_key_file = "here.key"
[provider.other]
type = "list"
path = "../ours.txt"
`, 0o600)
	path := write(t, dir, "config.toml", `
[outbound]
ca_file = "ca.pem"
proxy_file = "proxy.url"
[publish]
file = "page/../www/"
[destination.slack]
webhook_url_file = "./keys/slack.url"
[provider.geo]
type = "mmdb"
path = "geo/city.mmdb"
[provider.ours]
type = "list"
path = "ours.txt"
[provider.theirs]
type = "list"
url_file = "list.url"
[provider.service]
type = "http"
file = "ours.toml"
`, 0o600)
	t.Chdir(filepath.Dir(dir))
	for _, path := range []string{path, filepath.Join(filepath.Base(dir), "config.toml")} {
		c, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Outbound.RootCAs == nil || c.Outbound.Proxy.Reveal() != "http://u:p@proxy.example.com:3128" {
			t.Error("the certificates or the proxy were not read")
		}
		got := map[string]string{"publish": c.Publish.Dir, "slack": c.Destinations[0].Settings.(*channel.Slack).WebhookURL.Reveal()}
		for _, p := range c.Providers {
			switch s := p.Settings.(type) {
			case *mmdb.Options:
				got[p.Name] = s.Path
			case *netlist.Options:
				got[p.Name] = s.Path + s.URL.Reveal()
			}
		}
		for name, want := range map[string]string{
			"publish": dir + "/www", "slack": "https://example.com/hook", "geo": dir + "/geo/city.mmdb",
			"ours": dir + "/ours.txt", "other": dir + "/ours.txt", "theirs": "https://lists.example.com/ssh.txt",
		} {
			if got[name] != want {
				t.Errorf("%s of %s: %q, want %q", name, path, got[name], want)
			}
		}
		// The file of a service is read when it is asked.
		i := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.Name == "service" })
		if _, err := c.Providers[i].Settings.Open(enrich.Env{Name: "service"}); err == nil || !strings.HasPrefix(err.Error(), dir+"/ours.toml: no such file") {
			t.Errorf("service of %s: %v", path, err)
		}
	}
}

// What the host's other programs must find stands from the root.
func TestPathsFromTheRoot(t *testing.T) {
	for _, text := range []string{
		"spool_dir = 'x'", "state_dir = 'x'", "[watch]\nstate_dir = 'x'", "[source.file]\npath = 'x'", "[source.pipe]\npath = 'x'",
	} {
		_, err := Load(write(t, t.TempDir(), "config.toml", text, 0o600))
		if errs := strictoml.Errors(err); len(errs) != 1 || errs[0].Message != `must be a path from the root (/…), not "x"` {
			t.Errorf("%s: %v", text, err)
		}
	}
}
