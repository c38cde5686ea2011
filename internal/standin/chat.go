package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// pushbullet is https://docs.pushbullet.com/#create-push.
func pushbullet(w http.ResponseWriter, r *http.Request) {
	var m struct{ Type, Title, Body, GUID string }
	say := func(status int, text string) { refuse(w, status, fmt.Sprintf(`{"error":{"message":%q}}`, text)) }
	switch {
	case r.Header.Get("Access-Token") != ServiceToken:
		say(401, "Access token is missing or invalid.")
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/v2/users/me"):
		told(w, `{"iden":"ujpah72o0"}`)
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v2/pushes"):
		say(404, "The resource could not be found.")
	default:
		if err := readStrict(r, &m); err != nil || m.Type != "note" || m.Body == "" || m.GUID == "" {
			say(400, fmt.Sprintf("The param 'body' is missing: %v", err))
			return
		}
		told(w, `{"iden":"ujpah72o0sjAoRtnM0jc","active":true}`)
	}
}

// rocketChat is https://docs.rocket.chat/docs/integrations. What would mention
// somebody is refused.
func rocketChat(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Text        string
		ParseURLs   *bool `json:"parseUrls"`
		Attachments []struct{ Color, Text string }
	}
	err := readStrict(r, &m)
	all := m.Text
	for _, a := range m.Attachments {
		all += a.Text
	}
	switch {
	case r.Method != http.MethodPost || err != nil || m.ParseURLs == nil || *m.ParseURLs || strings.Contains(all, "@"):
		refuse(w, 400, fmt.Sprintf(`{"success":false,"error":%q}`, fmt.Sprint(err)))
	case m.Text == "": // it answers as if all were well, and shows nothing
		refuse(w, 400, `{"success":false,"error":"nothing would be posted"}`)
	case utf8.RuneCountInString(all) > 5000:
		refuse(w, 400, `{"success":false,"error":"error-message-size-exceeded"}`)
	default:
		told(w, `{"success":true}`)
	}
}

// googleChat is spaces.messages.create by a webhook
// (https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create).
func googleChat(w http.ResponseWriter, r *http.Request) {
	var m struct {
		FallbackText string
		Thread       *struct{ Name string }
		CardsV2      []struct {
			CardID string
			Card   struct {
				Header   struct{ Title string }
				Sections []struct {
					Widgets []struct{ TextParagraph struct{ Text string } }
				}
			}
		}
	}
	say := func(status int, kind, text string) {
		refuse(w, status, fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q}}`, status, text, kind))
	}
	const tooBig = 32000
	q := r.URL.Query()
	size := r.ContentLength
	err := readStrict(r, &m)
	switch {
	case q.Get("token") == "" || q.Get("key") == "":
		say(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
	case r.Method != http.MethodPost || err != nil || len(m.CardsV2) != 1 || m.FallbackText == "" || !matches("[a-zA-Z0-9_.-]{1,128}", q.Get("requestId")):
		say(400, "INVALID_ARGUMENT", fmt.Sprint(err))
	case m.Thread != nil && (!matches("spaces/[^/]+/threads/[^/]+", m.Thread.Name) || q.Get("messageReplyOption") == ""):
		say(400, "INVALID_ARGUMENT", "Invalid thread resource name")
	case size > tooBig:
		say(400, "INVALID_ARGUMENT", "Message is too long")
	default:
		for _, s := range m.CardsV2[0].Card.Sections {
			for _, p := range s.Widgets {
				if p.TextParagraph.Text == "" {
					say(400, "INVALID_ARGUMENT", "Widget is required")
					return
				}
			}
		}
		told(w, `{"name":"spaces/AAA/messages/CCC","thread":{"name":"spaces/AAA/threads/BBB"}}`)
	}
}

// pushover is https://pushover.net/api.
func pushover(w http.ResponseWriter, r *http.Request) {
	say := func(status int, field, text string) {
		refuse(w, status, fmt.Sprintf(`{%q:"invalid","errors":[%q],"status":0,"request":"5042853c"}`, field, text))
	}
	f := r.PostFormValue
	switch priority := f("priority"); {
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/1/messages.json") && !strings.HasSuffix(r.URL.Path, "/1/users/validate.json"):
		w.WriteHeader(404)
	case f("token") != Token("pushover"):
		say(400, "token", "application token is invalid, see https://pushover.net/api")
	case f("user") != "uQiRzpo4DXghDmr9QzzfQu27cmVRsG":
		say(400, "user", "user identifier is not a valid user, group, or subscribed user key")
	case strings.HasSuffix(r.URL.Path, "validate.json"):
		told(w, `{"status":1,"devices":["phone"]}`)
	case f("message") == "" || utf8.RuneCountInString(f("message")) > 1024:
		say(400, "message", "message cannot be blank, or is too long")
	case utf8.RuneCountInString(f("title")) > 250:
		say(400, "title", "title is too long")
	case !matches("-2|-1|0|1|2", priority):
		say(400, "priority", "priority is invalid")
	case priority == "2" && (!matches("[0-9]{2,5}", f("retry")) || !matches("[0-9]{2,5}", f("expire")) || f("retry") < "30"):
		say(400, "expire", "expire must be supplied with priority=2")
	case priority != "2" && f("retry")+f("expire") != "":
		say(400, "retry", "only of priority 2")
	case f("timestamp") != "" && !matches("[0-9]{10}", f("timestamp")):
		say(400, "timestamp", "timestamp is invalid")
	default:
		told(w, `{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}`)
	}
}

// matrix is PUT …/send/{eventType}/{txnId} of
// https://spec.matrix.org/latest/client-server-api/, in one room. It gives the
// first event for a transaction that it knows.
func matrix() http.HandlerFunc {
	type content struct {
		MsgType   string `json:"msgtype"`
		Body      string
		Format    string
		Formatted string            `json:"formatted_body"`
		Mentions  *map[string][]any `json:"m.mentions"`
		Relates   *struct {
			Type  string `json:"rel_type"`
			Event string `json:"event_id"`
		} `json:"m.relates_to"`
		New *json.RawMessage `json:"m.new_content"`
	}
	var mu sync.Mutex
	events := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request) {
		var m content
		say := func(status int, code, text string) {
			refuse(w, status, fmt.Sprintf(`{"errcode":%q,"error":%q}`, code, text))
		}
		_, path, found := strings.Cut(r.URL.Path, "/_matrix/client/v3/rooms/")
		room, what, _ := strings.Cut(path, "/")
		txn, sends := strings.CutPrefix(what, "send/m.room.message/")
		switch {
		case !found:
			say(404, "M_UNRECOGNIZED", "Unrecognized request")
		case r.Header.Get("Authorization") != "Bearer "+ServiceToken:
			say(401, "M_UNKNOWN_TOKEN", "Unknown access token")
		case room != "!636q39766251:example.com":
			say(403, "M_FORBIDDEN", "User @bot:example.com not in room "+room)
		case r.Method == http.MethodGet && what == "state/m.room.encryption":
			say(404, "M_NOT_FOUND", "Event not found.")
		case r.Method == http.MethodGet && what == "state/m.room.create":
			told(w, `{"room_version":"10","creator":"@ops:example.com"}`)
		case r.Method != http.MethodPut || !sends || txn == "" || strings.Contains(txn, "/"):
			say(405, "M_UNRECOGNIZED", "Unrecognized request")
		default:
			size := r.ContentLength
			err := readStrict(r, &m)
			switch {
			case err != nil || m.MsgType != "m.text" && m.MsgType != "m.notice" || m.Body == "" || m.Format != "org.matrix.custom.html" || m.Formatted == "":
				say(400, "M_BAD_JSON", fmt.Sprint(err))
			case m.Mentions == nil || len(*m.Mentions) > 0:
				say(400, "M_BAD_JSON", "it would mention whom the text names")
			case m.Relates != nil && (!strings.HasPrefix(m.Relates.Event, "$") || m.Relates.Type != "m.thread" && m.Relates.Type != "m.replace" || (m.Relates.Type == "m.replace") != (m.New != nil)):
				say(400, "M_BAD_JSON", fmt.Sprintf("%+v", m.Relates))
			case size > 60000: // 65,536 with what the server adds
				say(413, "M_TOO_LARGE", "event too large")
			default:
				mu.Lock()
				defer mu.Unlock()
				if _, ok := events[txn]; !ok {
					events[txn] = 42 + len(events)
				}
				told(w, fmt.Sprintf(`{"event_id":"$%d"}`, events[txn]))
			}
		}
	}
}

// signal is https://bbernhard.github.io/signal-cli-rest-api/, behind a proxy that
// wants a token where one is sent.
func signal(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Message, Number string
		Recipients      []string
		TextMode        string `json:"text_mode"`
	}
	say := func(status int, text string) { refuse(w, status, fmt.Sprintf(`{"error":%q}`, text)) }
	a := r.Header.Get("Authorization")
	_, known, identities := strings.Cut(r.URL.Path, "/v1/identities/")
	switch {
	case a != "" && a != "Bearer "+ServiceToken:
		say(401, "unauthorized")
	case identities && known != "+15557654321":
		say(400, "Specified account does not exist")
	case identities:
		told(w, `[{"number":"+15551234567","status":"TRUSTED_UNVERIFIED"}]`)
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v2/send"):
		say(404, "404 page not found")
	default:
		err := readStrict(r, &m)
		switch {
		case err != nil || m.Message == "" || len(m.Recipients) != 1 || m.TextMode != "normal":
			say(400, "Couldn't process request - invalid request")
		case m.Number != "+15557654321":
			say(400, "User "+m.Number+" is not registered.")
		case utf8.RuneCountInString(m.Message) > 2000: // which becomes a file
			say(400, "the message is too long")
		default:
			refuse(w, 201, `{"timestamp":"1795227304123"}`)
		}
	}
}

// pagerDuty is https://developer.pagerduty.com/docs/events-api-v2/trigger-events/.
func pagerDuty(w http.ResponseWriter, r *http.Request) {
	var m struct {
		RoutingKey  string `json:"routing_key"`
		EventAction string `json:"event_action"`
		DedupKey    string `json:"dedup_key"`
		Client      string
		Payload     *struct {
			Summary, Source, Severity, Timestamp, Class string
			Details                                     map[string]string `json:"custom_details"`
		}
	}
	say := func(text string) {
		refuse(w, 400, fmt.Sprintf(`{"status":"invalid event","message":"Event object is invalid","errors":[%q]}`, text))
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v2/enqueue") {
		w.WriteHeader(404)
		return
	}
	size := r.ContentLength
	err := readStrict(r, &m)
	p := m.Payload
	switch {
	case err != nil || m.EventAction != "trigger" && m.EventAction != "resolve":
		say(fmt.Sprintf("'event_action' is invalid: %v", err))
	case m.RoutingKey != Token("pagerduty"):
		say("Invalid routing key")
	case m.DedupKey == "" || len(m.DedupKey) > 255:
		say("'dedup_key' is too long")
	case m.EventAction == "trigger" && (p == nil || p.Summary == "" || utf8.RuneCountInString(p.Summary) > 1024 || p.Source == "" || !matches("critical|error|warning|info", p.Severity)):
		say(fmt.Sprintf("'payload' is invalid: %+v", p))
	case p != nil && p.Timestamp != "" && !isTime(p.Timestamp):
		say("'payload.timestamp' is invalid")
	case size > 512<<10:
		w.WriteHeader(413)
		io.WriteString(w, "too large")
	default:
		refuse(w, http.StatusAccepted, fmt.Sprintf(`{"status":"success","message":"Event processed","dedup_key":%q}`, m.DedupKey))
	}
}

func isTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

// alertmanager is version 2 of its API
// (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml), with
// a log-in of any user by ServiceToken, as a password or a bearer token.
func alertmanager(w http.ResponseWriter, r *http.Request) {
	var list []struct {
		Labels, Annotations map[string]string
		StartsAt, EndsAt    string
		GeneratorURL        string
	}
	_, password, _ := r.BasicAuth()
	switch {
	case password != ServiceToken && r.Header.Get("Authorization") != "Bearer "+ServiceToken:
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/api/v2/status") && !strings.Contains(r.URL.Path, "/api/v2/alerts/"):
		told(w, `{"cluster":{"status":"ready"},"versionInfo":{"version":"0.25.0"}}`)
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/api/v2/alerts"):
		http.Error(w, "404 page not found", 404)
	default:
		err := readStrict(r, &list)
		if err != nil || len(list) == 0 {
			refuse(w, 400, fmt.Sprintf(`{"code":400,"message":%q}`, fmt.Sprint(err)))
			return
		}
		for _, a := range list {
			ok := a.Labels["alertname"] != "" && isTime(a.EndsAt) && (a.StartsAt == "" || isTime(a.StartsAt) && a.StartsAt < a.EndsAt)
			for name, value := range a.Labels {
				ok = ok && matches("[a-zA-Z_][a-zA-Z0-9_]*", name) && value != "" && utf8.ValidString(value)
			}
			for name, value := range a.Annotations {
				ok = ok && matches("[a-zA-Z_][a-zA-Z0-9_]*", name) && value != ""
			}
			if !ok {
				refuse(w, 400, `"invalid label set"`)
				return
			}
		}
	}
}
