package channel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

const botToken = "xoxb-swordfish-xyzzy"

// slackBotAPI answers a method as the Web API documents it
// (https://docs.slack.dev/reference/methods/chat.postMessage).
func slackBotAPI(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m struct{ Channel, TS, Parse string }
	say := func(text string) { fmt.Fprintf(w, `{"ok":false,"error":%q}`, text) }
	_, method, _ := strings.Cut(r.URL.Path, secretPath+"/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+botToken:
		say("invalid_auth")
	case r.Header.Get("Content-Type") != "application/json; charset=utf-8" || json.Unmarshal(body, &m) != nil || m.Parse != "none":
		say("invalid_arguments")
	case m.Channel == "":
		say("channel_not_found")
	case standin.CheckSlack(body) != "":
		say(standin.CheckSlack(body))
	case method == "chat.postMessage" && m.TS == "", method == "chat.update" && m.TS != "" && m.Channel == "C024BE91L":
		fmt.Fprint(w, `{"ok":true,"channel":"C024BE91L","ts":"1503435956.000247","message":{"text":"x"}}`)
	default:
		say("invalid_arguments")
	}
}

func slackBotRow() httpDestination {
	return httpDestination{
		name: SlackType,
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
			return (&Slack{Token: outbound.NewSecret(botToken), Channel: "#alerts", API: cmp.Or(url.Reveal(), "none")}).Open("slack", Env{Client: c})
		},
		told: slackBotAPI,
		own: []answer{
			{"bot: invalid token", says(200, `{"ok":false,"error":"invalid_auth"}`), &Error{Class: Broken}, "copy the Bot User OAuth Token"},
			{"bot: missing scope", says(200, `{"ok":false,"error":"missing_scope","needed":"im:write","provided":"x"}`), &Error{Class: Broken}, "add im:write"},
			{"bot: not in the channel", says(200, `{"ok":false,"error":"not_in_channel"}`), &Error{Class: Broken}, "/invite"},
			{"bot: no such channel", says(200, `{"ok":false,"error":"channel_not_found"}`), &Error{Class: Broken}, "use its id"},
			{"bot: no text", says(200, `{"ok":false,"error":"no_text"}`), &Error{Class: Bug}, "no_text"},
			{"bot: a new word", says(200, `{"ok":false,"error":"moon_phase"}`), &Error{Class: Bug}, "moon_phase"},
			{"bot: trouble within Slack", says(200, `{"ok":false,"error":"internal_error"}`), &Error{Class: Again, Sent: true}, "within Slack"},
			{"bot: away", says(503, `{"ok":false,"error":"service_unavailable"}`), &Error{Class: Again, Sent: true}, "away"},
			{"bot: too often", says(429, `{"ok":false,"error":"ratelimited"}`, "Retry-After", "30"), &Error{Class: Again, RetryAfter: 30 * time.Second}, "asks to wait"},
			{"bot: a webhook's ok", says(200, "ok"), &Error{Class: Again, Sent: true}, "not Slack's answer"},
			{"bot: ok with another status", says(202, `{"ok":true}`), &Error{Class: Again, Sent: true}, "HTTP 202"},
		},
	}
}

// An answer goes into the thread of what it answers, and repeats take the place of
// the message before; one that can't be changed any more is posted anew.
func TestSlackBotThreadsAndUpdates(t *testing.T) {
	parent := event.Receipt{"channel": "C024BE91L", "ts": "1.1"}
	reply := event.Receipt{"channel": "C024BE91L", "ts": "1.2", "thread_ts": "1.1"}
	posted := event.Receipt{"channel": "C024BE91L", "ts": "1503435956.000247"}
	threaded := event.Receipt{"channel": "C024BE91L", "ts": "1503435956.000247", "thread_ts": "1.1"}
	for _, tc := range []struct {
		name             string
		parent, replaces event.Receipt
		refuse           string // what chat.update says; empty: it works
		calls            string
		want             event.Receipt
	}{
		{"alone", nil, nil, "", "chat.postMessage #alerts  ", posted},
		{"in a thread", parent, nil, "", "chat.postMessage C024BE91L  1.1", threaded},
		{"in the thread of a reply", reply, nil, "", "chat.postMessage C024BE91L  1.1", threaded},
		{"in place", nil, parent, "", "chat.update C024BE91L 1.1 ", parent},
		{"in place of what is gone", nil, parent, "message_not_found", "chat.update C024BE91L 1.1 ,chat.postMessage #alerts  ", posted},
		{"in place of what is too old", nil, parent, "edit_window_closed", "chat.update C024BE91L 1.1 ,chat.postMessage #alerts  ", posted},
		{"another's receipt", event.Receipt{"message_id": "7"}, event.Receipt{}, "", "chat.postMessage #alerts  ", posted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var mu sync.Mutex
			var calls []string
			f := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				var m struct {
					Channel, TS, Text string
					Thread            string `json:"thread_ts"`
				}
				json.Unmarshal(body, &m)
				method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
				mu.Lock()
				calls = append(calls, strings.Join([]string{method, m.Channel, m.TS, m.Thread}, " "))
				mu.Unlock()
				if method == "chat.update" && !strings.Contains(m.Text, "40") {
					t.Errorf("the update does not tell all: %q", m.Text)
				}
				if method == "chat.update" && tc.refuse != "" {
					fmt.Fprintf(w, `{"ok":false,"error":%q}`, tc.refuse)
					return
				}
				slackBotAPI(w, r)
			})
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			b, err := slackBotRow().make(c, outbound.NewSecret(f.url+secretPath))
			if err != nil {
				t.Fatal(err)
			}
			a := login()
			a.Parent, a.Replaces = tc.parent, tc.replaces
			if tc.replaces != nil {
				a.Count, a.More, a.Told, a.ToldFirst = 39, true, 1, a.First.Add(-time.Minute)
			}
			got, err := b.Send(t.Context(), a)
			if diff := gocmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
			if got := strings.Join(calls, ","); got != tc.calls {
				t.Errorf("got  %q\nwant %q", got, tc.calls)
			}
		})
	}
}

// A user's id is enough for a direct message; where it is not, a conversation is
// opened once. Its scope is another one.
func TestSlackBotDirectMessage(t *testing.T) {
	for _, tc := range []struct {
		name, open string // what conversations.open says; empty: the id is enough
		calls      string // of two messages
		want       string // in the error
	}{
		{"the id is enough", "", "chat.postMessage U012A3CDE,chat.postMessage U012A3CDE", ""},
		{"a conversation is opened", `{"ok":true,"channel":{"id":"D069C7QFK"}}`, "chat.postMessage U012A3CDE,conversations.open ,chat.postMessage D069C7QFK,chat.postMessage D069C7QFK", ""},
		{"which another scope allows", `{"ok":false,"error":"missing_scope","needed":"im:write"}`, "chat.postMessage U012A3CDE,conversations.open ,chat.postMessage U012A3CDE,conversations.open ", "add im:write"},
		{"with nobody", `{"ok":false,"error":"user_not_found"}`, "chat.postMessage U012A3CDE,conversations.open ,chat.postMessage U012A3CDE,conversations.open ", "no such user"},
		{"with no answer", `<html>`, "chat.postMessage U012A3CDE,conversations.open ,chat.postMessage U012A3CDE,conversations.open ", "not Slack's answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var mu sync.Mutex
			var calls []string
			f := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var m struct{ Channel, Users string }
				json.NewDecoder(r.Body).Decode(&m)
				method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
				mu.Lock()
				calls = append(calls, method+" "+m.Channel)
				mu.Unlock()
				switch {
				case method == "conversations.open" && m.Users == "U012A3CDE":
					io.WriteString(w, tc.open)
				case tc.open != "" && m.Channel != "D069C7QFK":
					io.WriteString(w, `{"ok":false,"error":"channel_not_found"}`)
				default:
					io.WriteString(w, `{"ok":true,"channel":"D069C7QFK","ts":"1503435956.000247"}`)
				}
			})
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			b, err := (&Slack{Token: outbound.NewSecret(botToken), Channel: "U012A3CDE", API: f.url}).Open("slack", Env{Client: c})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := b.Send(t.Context(), login())
				if tc.want == "" && (err != nil || got["channel"] != "D069C7QFK") || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("%v, %v", got, err)
				}
			}
			if got := strings.Join(calls, ","); got != tc.calls {
				t.Errorf("got  %q\nwant %q", got, tc.calls)
			}
		})
	}
}

// doctor tells a wrong token, a missing scope and a channel without the app apart.
func TestSlackBotDoctor(t *testing.T) {
	for _, tc := range []struct {
		name, auth, scopes, info, want string
		status                         doctor.State
	}{
		{"it may post", `{"ok":true,"team":"Example"}`, "chat:write,channels:read", `{"ok":true,"channel":{"is_member":true}}`, "may post in C024BE91L", doctor.OK},
		{"it may not look", `{"ok":true,"team":"Example"}`, "chat:write", `{"ok":false,"error":"missing_scope"}`, "only a test message", doctor.OK},
		{"a wrong token", `{"ok":false,"error":"invalid_auth"}`, "", "", "does not take the token", doctor.Fail},
		{"a missing scope", `{"ok":true}`, "channels:read", "", "lacks the scope chat:write", doctor.Fail},
		{"not in the channel", `{"ok":true}`, "chat:write,channels:read", `{"ok":true,"channel":{"is_member":false}}`, "is not in the channel", doctor.Fail},
		{"an archived channel", `{"ok":true}`, "chat:write,channels:read", `{"ok":true,"channel":{"is_archived":true}}`, "archived", doctor.Fail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/auth.test") {
					w.Header().Set("X-OAuth-Scopes", tc.scopes)
					io.WriteString(w, tc.auth)
					return
				}
				io.WriteString(w, tc.info)
			})
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			b, err := (&Slack{Token: outbound.NewSecret(botToken), Channel: "C024BE91L", API: f.url}).Open("slack", Env{Client: c})
			if err != nil {
				t.Fatal(err)
			}
			r := &doctor.Report{}
			for _, check := range b.(Checker).Checks() {
				check.Run(t.Context(), r)
			}
			if len(r.Results) != 1 {
				t.Fatalf("%+v", r.Results)
			}
			got := r.Results[0]
			if got.State != tc.status || !strings.Contains(got.Message, tc.want) || strings.Contains(fmt.Sprint(got), "swordfish") {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
		})
	}
}
