package channel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/slackmsg"
)

func slackRow() httpDestination {
	return httpDestination{
		name: SlackType,
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
			return (&Slack{WebhookURL: url}).Open("slack", Env{Client: c})
		},
		told: func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if refused := standin.CheckSlack(body); refused != "" {
				w.WriteHeader(400)
				io.WriteString(w, refused)
				return
			}
			io.WriteString(w, "ok")
		},
		again: map[string]int{"400": 1}, // as plain text
	}
}

func TestWhatSlackAnswers(t *testing.T) {
	second := func(n int) string { return fmt.Sprintf(`{"retry_after":%d,"ok":false,"error":"rate_limited"}`, n) }
	for _, tc := range []struct {
		name     string
		status   int
		body     string
		header   string // Retry-After
		want     *Error
		text     string
		requests int
	}{
		{"taken", 200, "ok", "", nil, "", 1},
		{"taken, with a newline", 200, "ok\n", "", nil, "", 1},
		{"ok with another status", 201, "ok", "", &Error{Class: Again, Sent: true}, "HTTP 201", 1},
		{"ok among other words", 200, "ok computer", "", &Error{Class: Again, Sent: true}, `"ok computer"`, 1},
		{"ok and no end", 200, "ok" + strings.Repeat("\n", 5000) + "but", "", &Error{Class: Again, Sent: true}, `HTTP 200: "ok"`, 1},
		{"a Web API's ok", 200, `{"ok":true}`, "", &Error{Class: Again, Sent: true}, "not Slack's answer", 1},
		{"a forged ok", 200, `{"error":"ok"}`, "", &Error{Class: Again, Sent: true}, "not Slack's answer", 1},
		{"nothing", 200, "", "", &Error{Class: Again, Sent: true}, "without a word", 1},
		{"a removed webhook, with 200", 200, "no_service", "", &Error{Class: Broken}, "no_service: the webhook was removed", 1},

		{"an invalid payload", 400, "invalid_payload", "", &Error{Class: Bug}, "invalid_payload: ", 1},
		{"no text", 400, "no_text", "", &Error{Class: Bug}, "no_text: ", 1},
		{"too many attachments", 400, "too_many_attachments", "", &Error{Class: Bug}, "too_many_attachments: ", 1},
		{"no such user", 400, "user_not_found", "", &Error{Class: Bug}, "user_not_found: ", 1},
		{"an invalid attachment, plain text too", 400, "invalid_attachments", "", &Error{Class: Bug}, "invalid_attachments: ", 2},
		{"invalid blocks, plain text too", 400, "invalid_blocks", "", &Error{Class: Bug}, "invalid_blocks: ", 2},
		{"missing text, plain text too", 400, "missing_text_or_fallback_or_attachments", "", &Error{Class: Bug}, "missing_text", 2},
		{"a new word", 400, "invalid_moon_phase", "", &Error{Class: Bug}, `the message is refused (HTTP 400): "invalid_moon_phase"`, 2},

		{"prohibited", 403, "action_prohibited", "", &Error{Class: Broken}, "administrators", 1},
		{"the general channel", 403, "posting_to_general_channel_denied", "", &Error{Class: Broken}, "another channel", 1},
		{"an invalid token", 403, "invalid_token", "", &Error{Class: Broken}, "make a new one", 1},
		{"no channel", 404, "channel_not_found", "", &Error{Class: Broken}, "channel_not_found: ", 1},
		{"no service", 404, "no_service", "", &Error{Class: Broken}, "no_service: the webhook was removed, disabled or revoked; make a new one", 1},
		{"no service id", 404, "no_service_id", "", &Error{Class: Broken}, "copy it again", 1},
		{"no team", 404, "no_team", "", &Error{Class: Broken}, "workspace", 1},
		{"no active hooks", 404, "no_active_hooks", "", &Error{Class: Broken}, "disabled", 1},
		{"an archived channel", 410, "channel_is_archived", "", &Error{Class: Broken}, "archived", 1},
		{"a disabled team, whatever the status", 500, "team_disabled", "", &Error{Class: Broken}, "disabled", 1},
		{"a revoked token, whatever the status", 400, "token_revoked", "", &Error{Class: Broken}, "revoked", 1},

		{"too often, time in the header", 429, second(1), "30", &Error{Class: Again, RetryAfter: 30 * time.Second}, "rate_limited: ", 1},
		{"too often, time in the body", 429, second(3), "", &Error{Class: Again, RetryAfter: 3 * time.Second}, "rate_limited: ", 1},
		{"too often, a year", 429, second(31536000), "", &Error{Class: Again, RetryAfter: time.Hour}, "rate_limited: ", 1},
		{"too often, a time before now", 429, second(-1), "", &Error{Class: Again}, "rate_limited: ", 1},
		{"too often, junk", 429, `{"retry_after":"soon"`, "soon", &Error{Class: Again}, "HTTP 429", 1},
		{"trouble within Slack", 500, "rollup_error", "", &Error{Class: Again, Sent: true}, "rollup_error: ", 1},
		{"a word with control characters", 404, "no\x1b]0;x\a_service", "", &Error{Class: Broken}, `HTTP 404: "no\\u001b]0;x`, 1},
		{"a long page", 404, strings.Repeat("<p>", 500), "", &Error{Class: Broken}, "…", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			})
			e := slackRow().send(t, t.Context(), outbound.Options{}, f.url)
			sameError(t, e, tc.want, tc.text)
			if n := f.requests(); n != tc.requests {
				t.Errorf("%d requests, want %d", n, tc.requests)
			}
			if e != nil && len([]rune(e.Error())) > 200 {
				t.Errorf("a long error: %v", e)
			}
		})
	}
}

// A word is known without an explanation that can be acted on only where there
// is nothing to do about it.
func TestEverySlackErrorIsExplained(t *testing.T) {
	for word, e := range slackErrors() {
		if e.means == "" || e.plain && e.class != Bug {
			t.Errorf("%s: %+v", word, e)
		}
	}
}

func TestAnAttachmentThatSlackRefusesIsToldAsText(t *testing.T) {
	var f *far
	f = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if f.requests() == 1 {
			w.WriteHeader(400)
			io.WriteString(w, "invalid_attachments")
			return
		}
		io.WriteString(w, "ok")
	})
	if e := slackRow().send(t, t.Context(), outbound.Options{}, f.url); e != nil {
		t.Fatal(e)
	}
	rich, err1 := slackmsg.Build(message.New(login())).JSON()
	plain, err2 := slackmsg.Plain(message.New(login())).JSON()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if len(f.bodies) != 2 || f.bodies[0] != string(rich) || f.bodies[1] != string(plain) {
		t.Errorf("sent %q", f.bodies)
	}
}

// The strict stand-in checks what Slack would: method, content type, JSON.
func TestSlackTakesTheMessage(t *testing.T) {
	s, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	d, err := (&Slack{WebhookURL: outbound.NewSecret(s.URL())}).Open("ops", Env{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name() != "ops" || d.Traits().Pace != time.Second {
		t.Errorf("%s, %v", d.Name(), d.Traits().Pace)
	}
	if _, err := d.Send(t.Context(), login()); err != nil {
		t.Fatal(err)
	}
	want, err := slackmsg.Build(message.New(login())).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Messages(); len(got) != 1 || string(got[0].Raw) != string(want) {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestKnownSlackHost(t *testing.T) {
	for url, want := range map[string]bool{
		"https://hooks.slack.com/services/T/B/X":     true,
		"https://HOOKS.slack.com/services/T/B/X":     true,
		"https://hooks.slack-gov.com/services/T/B/X": true,
		"http://127.0.0.1:8080/x":                    true,
		"http://localhost:8080/x":                    true,
		"https://hooks.slack.com/triggers/T/1/X":     false, // a workflow: takes another payload
		"https://example.com/services/T/B/X":         false,
		"https://hooks.slack.com.example.com/x":      false,
		"http://hooks.slack.com/services/T/B/X":      false,
		"":                                           false,
	} {
		if got := KnownSlackHost(outbound.NewSecret(url)); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func FuzzSlackAnswer(f *testing.F) {
	f.Add(200, []byte("ok"))
	f.Add(429, []byte(`{"retry_after":1,"ok":false,"error":"rate_limited"}`))
	f.Add(429, []byte(`{"retry_after":1e300,"error":"no_service"}`))
	f.Add(404, []byte("<html>\u202e"))
	f.Add(302, []byte(""))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := &outbound.Response{Status: status, Body: body}
		e := slackError(r)
		if taken := status == 200 && strings.TrimSpace(string(body)) == "ok"; taken != (e == nil) {
			t.Fatalf("%d %q: %v", status, body, e)
		}
		if e == nil {
			return
		}
		if e.RetryAfter < 0 || e.RetryAfter > time.Hour || e.RetryAfter > 0 && e.Class != Again {
			t.Errorf("%v, wait %v", e.Class, e.RetryAfter)
		}
		if text := e.Error(); strings.ContainsAny(text, "\n\x00\x1b\u202e") || len([]rune(text)) > 300 {
			t.Errorf("%q", text)
		}
		if _, err := json.Marshal(e.Error()); err != nil {
			t.Error(err)
		}
	})
}
