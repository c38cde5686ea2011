package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

const examples = "../../examples"

func readExample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples/config.toml loads as it is, and with everything that it offers. As it
// is it says the same as no settings at all.
func TestExampleSettings(t *testing.T) {
	t.Parallel()
	text := readExample(t, "config.toml")
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	check := func(what, text string) string {
		t.Helper()
		s.configure(text)
		r := s.run(nil, "config", "check", "--config", s.settings)
		if r.code != 0 {
			t.Fatalf("%s: %s", what, r.stderr)
		}
		return r.out
	}
	if got, want := check("as it is", text), check("no settings", ""); got != want {
		t.Errorf("the example says other than the defaults:\n%s\nwant:\n%s", got, want)
	}
	// A comment has a blank after #, a setting has none.
	all := regexp.MustCompile(`(?m)^#([^ \n-])`).ReplaceAllString(text, "$1")
	for _, secret := range []string{"slack.url", "oncall.url", "public.url", "slack.token", "slack.app", "abuseipdb.key", "threatjammer.key", "ours.key", "ours.toml", "mail.password", "heartbeat.url", "heartbeat-fail.url"} {
		content := "https://hooks.example.com/services/T0/B0/x\n"
		switch secret {
		case "ours.toml":
			content = readExample(t, secret)
		case "slack.token":
			content = "xoxb-example\n"
		case "slack.app":
			content = "xapp-example\n"
		}
		if err := os.WriteFile(filepath.Join(s.dir, secret), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all = strings.ReplaceAll(all, "/etc/sshnotify/", s.dir+"/")
	all = regexp.MustCompile(`(?m)^ca_file = .*`).ReplaceAllString(all, "")
	// Keys of the heartbeat that go with other values than the defaults.
	all = strings.NewReplacer(`protocol = "healthchecks"`, `protocol = "get"`, `message = "none"`, `message = "daily"`).Replace(all)
	// A machine is a host, or the hub, and has one way there.
	all = regexp.MustCompile(`(?ms)^\[hub\]\n.*?^\[outbound\]`).ReplaceAllString(all, "[outbound]")
	// Files of look-ups must be there.
	customers := filepath.Join(s.dir, "customers.txt")
	if err := os.WriteFile(customers, []byte("203.0.113.0/24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mmdb, err := filepath.Abs("../../enrich/builtin/builtin.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	all = strings.ReplaceAll(all, "/var/lib/GeoIP/GeoLite2-City.mmdb", mmdb)
	check("everything", all)
}

// The settings that docs/channels.md shows for services on the web send a sample
// to their stand-ins, and doctor finds nothing wrong with them. A key of
// another is told as what it is.
func TestExampleChannels(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(filepath.Join(examples, "pushbullet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	services, shown := standin.Services(), map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```toml\n(\\[destination\\.([a-z]+)\\]\n.*?)```").FindAllStringSubmatch(string(page), -1) {
		text, name := block[1], block[2]
		typ := name
		if m := regexp.MustCompile(`(?m)^type = "(.*)"`).FindStringSubmatch(text); m != nil && m[1] != "http" {
			typ = m[1]
		}
		answer, ok := services[typ]
		if !ok {
			continue
		}
		shown[typ] = true
		t.Run(name, func(t *testing.T) {
			sample(t, name, "ntfy", "teams")
			far := httptest.NewServer(answer)
			defer far.Close()
			s := newSwiftSite(t, standin.SlackOptions{}, "")
			write := func(name, text string) string {
				path := filepath.Join(s.dir, name)
				if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			text = strings.ReplaceAll(text, "/etc/sshnotify/pushbullet.toml", file)
			key := standin.Token(typ)
			wrong := strings.ReplaceAll(key, "swordfish", "swordfisk")
			if typ == "webhook" {
				wrong = "whsec_c3dvcmRmaXNoc3dvcmRmaXNoc3dvcmRmaXNo"
			}
			text = regexp.MustCompile(`(?m)^(webhook_url_file) = .*`).ReplaceAllString(text, fmt.Sprintf("$1 = %q", write("url", far.URL+"/hook?sig=x&key=x&token=x")))
			text = regexp.MustCompile(`(?m)^(\w+_file) = "/etc.*`).ReplaceAllString(text, fmt.Sprintf("$1 = %q", write("key", key)))
			if !strings.Contains(text, "webhook_url_file") {
				text = regexp.MustCompile(`(?m)^url = .*\n`).ReplaceAllString(text, "")
				text = strings.Replace(text, "]\n", fmt.Sprintf("]\nurl = %q\n", far.URL), 1)
			}
			s.configure(fmt.Sprintf("state_dir = %q\nspool_dir = %q\n", filepath.Join(s.dir, "state"), s.spool) + text)
			if r := s.run(nil, "test", "--config", s.settings, name); r.code != 0 || !strings.HasPrefix(r.out, name+": ok (") {
				t.Errorf("%+v with\n%s", r, text)
			}
			if r := s.run(nil, "doctor", "--online", "--config", s.settings); !strings.Contains(r.out, "✓ online "+name) {
				t.Errorf("%+v", r)
			}
			if strings.Contains(text, "_file") && !strings.Contains(text, "webhook_url_file") {
				write("key", wrong)
				if r := s.run(nil, "test", "--config", s.settings, name); r.code != 1 || !strings.Contains(r.out, "HTTP 40") || !strings.Contains(r.stderr, "sshnotify: hint: ") || strings.Contains(r.out+r.stderr, wrong) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
	delete(services, "slack-bot") // a destination of type slack with a token
	for typ := range services {
		if !shown[typ] {
			t.Errorf("docs/channels.md shows no settings of %s", typ)
		}
	}
}

// examples/ours.toml asks a service and reads its answer as its comment says.
func TestExampleService(t *testing.T) {
	t.Parallel()
	text := readExample(t, "ours.toml")
	answer := regexp.MustCompile(`(?s)\{"address".*?"tags": \["vpn"\]\}`).FindString(strings.ReplaceAll(text, "\n#", "\n"))
	if answer == "" {
		t.Fatal("the comment has no answer")
	}
	asked := ""
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI() + " " + r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	defer service.Close()
	file, err := filepath.Abs(filepath.Join(examples, "ours.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSwiftSite(t, standin.SlackOptions{}, fmt.Sprintf("[provider.ours]\ntype = \"http\"\nfile = %q\nurl = %q\napi_key = \"secret\"\n", file, service.URL))
	r := s.run(nil, "lookup", "--json", "--config", s.settings, "203.0.113.7")
	if asked != "/v1/check?address=203.0.113.7 Bearer secret" {
		t.Errorf("asked %q: %+v", asked, r)
	}
	line, _, _ := strings.Cut(r.out, "\n")
	if !json.Valid([]byte(line)) {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{`90`, `12 reports`, `EXAMPLE-NET`, `vpn`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}
