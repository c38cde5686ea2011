package channel

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Secrets that protect nothing: 32 bytes each.
const (
	testSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	oldSecret  = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="
)

func webhookRow() httpDestination {
	return httpDestination{
		name: "webhook",
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
			return (&Webhook{URL: url, Secret: outbound.NewSecret(testSecret), OldSecret: outbound.NewSecret(oldSecret)}).Open("siem", Env{Client: c})
		},
		told:    receive,
		differs: map[string]*Error{"410": {Class: Broken, RetryAfter: 24 * time.Hour}},
		any2xx:  true,
	}
}

// receive is a receiver as the specification wants it: each of the two secrets
// verifies the signature, the body is small and of the published schema.
func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	for _, secret := range []string{testSecret, oldSecret} {
		wh, e := standardwebhooks.NewWebhook(secret)
		if e == nil {
			e = wh.Verify(body, r.Header)
		}
		if e != nil && err == nil {
			err = e
		}
	}
	if err == nil {
		err = payloadSchema(body)
	}
	switch {
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
		http.Error(w, "not JSON", http.StatusUnsupportedMediaType)
	case len(body) > maxPayload || strings.Contains(r.Header.Get("Webhook-Id"), "."):
		http.Error(w, "too big", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

const schemaFile = "../../docs/payload.schema.json"

func payloadSchema(body []byte) error {
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

var update = flag.Bool("update", false, "write the schema anew")

// The published schema is that of the structs, in which every field is.
func TestPayloadSchema(t *testing.T) {
	b, err := json.MarshalIndent(schemaOf(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || string(got) != string(b) {
		t.Errorf("%s is out of date: go test ./internal/channel -run TestPayloadSchema -update (%v)", schemaFile, err)
	}
}

func TestPayload(t *testing.T) {
	digest := login()
	digest.Event = event.Event{Kind: event.KindDigest, Host: "db1", Time: login().Event.Time, Digest: &event.Digest{Of: event.KindLogin}}
	for range 400 {
		digest.Rows = append(digest.Rows, event.Row{User: strings.Repeat("𝕏", 100), Host: "db1", Kind: event.KindLogin, Count: 2, Severity: event.Low})
	}
	attack := login()
	attack.Event.Kind = event.KindAttack
	attack.Event.Attack = &event.Attack{Phase: event.PhaseBegun, By: "network", Network: netip.MustParsePrefix("203.0.113.0/24"), Attempts: 30,
		Names: event.Tally{Most: []event.Count{{Name: "root", N: 20}}, Rest: 10}}
	all := kinds()
	maps.Copy(all, alerts())
	all["a digest of four hundred"], all["an attack"] = digest, attack
	for name, a := range all {
		t.Run(name, func(t *testing.T) {
			b, err := NewPayload(a).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if err := payloadSchema(b); err != nil {
				t.Errorf("%v: %s", err, b)
			}
			if len(b) > maxPayload || strings.Contains(string(b), "\n") {
				t.Errorf("%d bytes: %s", len(b), b)
			}
			var p Payload
			if err := json.Unmarshal(b, &p); err != nil {
				t.Fatal(err)
			}
			if len(p.Rows)+p.MoreRows != len(a.Rows) {
				t.Errorf("%d rows and %d more, of %d", len(p.Rows), p.MoreRows, len(a.Rows))
			}
		})
	}
	if err := payloadSchema([]byte(`{"version":1,"id":"x","headline":"a"}`)); err == nil {
		t.Error("the schema takes anything")
	}
}

// What others read names no host of ours, whatever the event has of it.
func TestPublicPayload(t *testing.T) {
	a := login()
	a.Person, a.Event.Labels, a.Verdict.Rule = "alice", map[string]string{"env": "prod"}, "night"
	a.Event.Kind, a.Event.User, a.Event.Login = event.KindAttack, "", event.Login{}
	a.Event.Attack = &event.Attack{Note: event.Note{Title: "203.0.113.7 attacked", Text: "30 attempts", Public: true}}
	b, err := NewPayload(a).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, ours := range []string{"db1", "alice", "prod", "night"} {
		if strings.Contains(string(b), ours) {
			t.Errorf("%s is in %s", ours, b)
		}
	}
}

// A body of one's own is JSON whatever stands in it, of every kind of alert, and no
// value becomes a field or a placeholder.
func TestWebhookBody(t *testing.T) {
	const body = `
[body]
summary = "{headline}: {user} from {ip}"
severity = "{severity}"
who = "{user}"
users = "{users}"
count = "{events}"
facts = "{facts}"
nested = {host = "{host}", rule = "{rule}"}
lines = [{each = "{body}", line = "{line}"}]
all = "{payload}"
constant = 1
`
	all := kinds()
	maps.Copy(all, alerts())
	digest := login()
	digest.Event = event.Event{Kind: event.KindDigest, Host: "db1", Time: login().Event.Time, Digest: &event.Digest{Of: event.KindLogin}}
	for range 400 {
		digest.Rows = append(digest.Rows, event.Row{User: strings.Repeat("𝕏", 100), Host: "db1", Kind: event.KindLogin, Count: 2, Severity: event.Low})
	}
	all["a digest of four hundred"] = digest
	forged := login()
	forged.Event.User = `x", "severity": "low {host} {{`
	all["a name like a template"] = forged
	for name, a := range all {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			f := serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil || len(b) > maxPayload {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if err := json.Unmarshal(b, &got); err != nil {
					t.Errorf("%v in %s", err, b)
				}
			})
			s := new(Webhook)
			if err := strictoml.Unmarshal("config.toml", fmt.Appendf(nil, "url = %q\nsecret = %q\n%s", f.url, testSecret, body), s); err != nil {
				t.Fatal(err)
			}
			c, err := s.Open("siem", Env{Client: outbound.New(outbound.Options{})})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			p := NewPayload(a)
			if got["severity"] != p.Severity.String() || got["count"] != float64(p.Events) || got["constant"] != 1.0 {
				t.Errorf("got %v", got)
			}
			if who, _ := got["who"].(string); who != p.User {
				t.Errorf("who is %q, want %q", who, p.User)
			}
			if users, _ := got["users"].([]any); len(users) == 0 && len(p.Users) > 0 {
				t.Errorf("users are %v, want %q", got["users"], p.Users)
			}
			if nested, _ := got["nested"].(map[string]any); p.Host != "" && nested["host"] != p.Host {
				t.Errorf("nested is %v", nested)
			}
			if _, there := got["facts"].(map[string]any); there != (p.Facts != nil) {
				t.Errorf("facts are %v, want %v", got["facts"], p.Facts)
			}
		})
	}
	t.Run("all of it", func(t *testing.T) {
		s := new(Webhook)
		if err := strictoml.Unmarshal("config.toml", fmt.Appendf(nil, "url = \"https://siem.example.com\"\nsecret = %q\nbody = {event = \"{payload}\"}", testSecret), s); err != nil {
			t.Fatal(err)
		}
		b, err := (&webhook{name: "siem", template: s.Body}).body(login())
		var got struct{ Event json.RawMessage }
		if err != nil || json.Unmarshal(b, &got) != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if err := payloadSchema(got.Event); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct{ body, want string }{
		"a placeholder that there is not": {`{who = "{username}"}`, "there is no {username}"},
		"a brace alone":                   {`{who = "{user"}`, "{ without a name and }"},
		"a text":                          {`"{user}"`, "must be a table"},
		"a date":                          {`{at = 2026-11-21}`, "must be text, a number, true or false"},
		"what an attack has not":          {`{who = "{user}"}`, "says nothing of an event of the kind"},
		"more than fits":                  {`{a = "` + strings.Repeat("x", 20_000) + `"}`, "more than the 20 KB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := strictoml.Unmarshal("config.toml", fmt.Appendf(nil, "url = \"https://siem.example.com\"\nsecret = %q\nbody = %s\n", testSecret, tc.body), new(Webhook))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A retry has the id of the first attempt, and a time of its own.
func TestWebhookRetry(t *testing.T) {
	c, err := webhookRow().make(outbound.New(outbound.Options{}), outbound.NewSecret("https://siem.example.com/ssh"))
	if err != nil {
		t.Fatal(err)
	}
	w := c.(*webhook)
	now := time.Unix(1_800_000_000, 0)
	first, err1 := w.sign("7K3F", now, []byte("{}"))
	again, err2 := w.sign("7K3F", now.Add(time.Minute), []byte("{}"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if first.Get("Webhook-Id") != "7K3F_siem" || again.Get("Webhook-Id") != "7K3F_siem" {
		t.Errorf("ids %q and %q", first.Get("Webhook-Id"), again.Get("Webhook-Id"))
	}
	if first.Get("Webhook-Timestamp") != "1800000000" || again.Get("Webhook-Timestamp") != "1800000060" || first.Get("Webhook-Signature") == again.Get("Webhook-Signature") {
		t.Errorf("%v, then %v", first, again)
	}
}

func TestSigningKey(t *testing.T) {
	for name, secret := range map[string]string{
		"nothing": "", "no prefix": strings.TrimPrefix(testSecret, "whsec_"), "no base64": "whsec_?" + testSecret,
		"too short": "whsec_c3dvcmRmaXNo", "too long": "whsec_" + strings.Repeat("AAAA", 22), "a private key": "whsk_" + strings.Repeat("AAAA", 10),
	} {
		if key, err := signingKey(outbound.NewSecret(secret)); err == nil || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %d bytes, %v", name, len(key), err)
		}
	}
}
