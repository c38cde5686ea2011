package gate

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

func load(text string) (Settings, error) {
	s := DefaultSettings()
	err := strictoml.Unmarshal("gate.toml", []byte(text), &s)
	return s, err
}

func TestSettings(t *testing.T) {
	const twilio = "[gate.twilio]\naccount = \"AC00000000000000000000000000000000\"\napi_key = \"SK00000000000000000000000000000000\"\napi_secret = \"x\"\nfrom = \"+353000000001\"\ncountries = [\"+353\"]\n"
	for _, r := range []struct{ text, want string }{
		{"", ""},
		{"[gate]\nwhen = \"always\"\nsends = \"3/10m\"\n", ""},
		{"[gate]\nfactors = [\"sms\", \"recovery\"]\n" + twilio, ""},
		{"[gate]\nwhen = [\"always\", \"tor\"]\n", "stands alone"},
		{"[gate]\nwhen = \"sometimes\"\n", "when"},
		{"[gate]\nfactors = [\"sms\"]\n" + twilio, "nobody gets in while the network is down"},
		{"[gate]\nfactors = [\"sms\", \"totp\"]\n", "sms needs [gate.twilio]"},
		{"[gate]\nfactors = [\"slack\", \"totp\"]\n", "slack needs [gate.slack]"},
		{"[gate]\nfactors = [\"email\", \"totp\"]\n", "email needs [gate.mail]"},
		{"[gate]\nfactors = [\"email\", \"totp\"]\n[gate.mail]\nserver = \"localhost\"\ntls = \"none\"\nfrom = \"gate@example.com\"\n", ""},
		{"[gate]\nexempt_networks = [\"127.0.0.0/8\"]\n", "everybody on the host"},
		{"[gate]\nexempt_networks = [\"126.0.0.0/7\"]\n", "everybody on the host"},
		{"[gate]\nexempt_networks = [\"0.0.0.0/0\"]\n", "everybody on the host"},
		{"[gate]\nexempt_networks = [\"::/0\"]\n", "everybody on the host"},
		{"[gate]\nexempt_networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n", ""},
		{"[gate]\ncode_ttl = \"1h\"\n", "code_ttl"},
		{"[gate]\nsends = \"5\"\n", "a number and a time"},
		{"[gate]\nsends = \"500/1m\"\n", "a number and a time"},
		{"[gate]\nlock_after = 1000\n", "lock_after"},
		{strings.Replace(twilio, `"+353"]`, `"353"]`, 1), "calling code"},
		{strings.Replace(twilio, "AC0", "XX0", 1), "must be AC"},
		{"[gate.http]\nlisten = \"0.0.0.0:1\"\n[gate.http.client.a]\ntoken = \"" + strings.Repeat("x", 32) + "\"\n", "this machine only"},
		{"[gate.http]\nlisten = \"127.0.0.1:1\"\n[gate.http.client.a]\ntoken = \"short\"\n", "32 characters"},
		{"[gate.http]\nlisten = \"127.0.0.1:1\"\nauth_token = \"x\"\n[gate.http.client.a]\ntoken = \"" + strings.Repeat("x", 32) + "\"\n", "public_url"},
		{"[gate]\nwen = \"always\"\n", "when"},
	} {
		_, err := load(r.text)
		switch {
		case r.want == "" && err != nil:
			t.Errorf("%q: %v", r.text, err)
		case r.want != "" && (err == nil || !strings.Contains(strictoml.Errors(err)[0].Error()+strictoml.Errors(err)[0].Hint, r.want)):
			t.Errorf("%q: %v, want %q", r.text, err, r.want)
		}
	}
}

// What the documentation shows loads, and is what it says.
func TestDocumentedSettings(t *testing.T) {
	b, err := os.ReadFile("../../docs/gate.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	if len(found) != 1 {
		t.Fatalf("%d examples", len(found))
	}
	s, err := load(found[0][1])
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Gate.HTTP.Clients["portal"].Users; !cmp.Equal(got, []string{"alice"}) || s.People["alice"].Phone == "" {
		t.Errorf("%+v", s)
	}
	d := DefaultSettings().Gate
	for _, row := range []string{
		"| `min_score` | whole number | `68`", "| `code_ttl` | duration | `\"5m\"`", "| `tries` | whole number | `3`", "| `sends` | rate | `\"5/15m\"`",
		"| `sends_per_day` | whole number | `50`", "| `lock_after` | whole number | `10`", "| `decide_timeout` | duration | `\"1s\"`",
	} {
		if !strings.Contains(string(b), row) {
			t.Errorf("no row %q", row)
		}
	}
	if d.MinScore != 68 || d.CodeTTL != 5*time.Minute || d.Tries != 3 || d.Sends != (Rate{5, 15 * time.Minute}) || d.SendsPerDay != 50 || d.LockAfter != 10 || d.DecideTimeout != time.Second {
		t.Errorf("the defaults are %+v", d)
	}
}
