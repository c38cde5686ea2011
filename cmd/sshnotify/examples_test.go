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
	for _, secret := range []string{"slack.url", "oncall.url", "public.url", "abuseipdb.key", "threatjammer.key", "ours.key", "ours.toml"} {
		content := "https://hooks.example.com/services/T0/B0/x\n"
		if secret == "ours.toml" {
			content = readExample(t, secret)
		}
		if err := os.WriteFile(filepath.Join(s.dir, secret), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all = strings.ReplaceAll(all, "/etc/sshnotify/", s.dir+"/")
	all = regexp.MustCompile(`(?m)^ca_file = .*`).ReplaceAllString(all, "")
	check("everything", all)
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
