package channel

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// describedSettings are a destination's own keys, by its type; URL stands for the
// service's.
func describedSettings() map[string]string {
	return map[string]string{
		"ntfy":          "url='URL'\ntopic='ssh'\ntoken='" + standin.Token("ntfy") + "'",
		"telegram":      "url='URL'\nchat='-1001234567890'\ntoken='" + standin.ServiceToken + "'",
		"teams":         "webhook_url='URL?sig=swordfish'",
		"discord":       "webhook_url='URL'",
		"mattermost":    "webhook_url='URL'",
		"twilio-sms":    "url='URL'\naccount='" + standin.ServiceAccount + "'\napi_key='" + standin.ServiceKey + "'\napi_secret='" + standin.ServiceToken + "'\nfrom='+15557654321'\nto='+15551234567'",
		"mastodon":      "url='URL'\nto='@ops@mastodon.example'\ntoken='" + standin.ServiceToken + "'",
		"mastodon-post": "url='URL'\ntoken='" + standin.ServiceToken + "'",
		"gotify":        "url='URL'\ntoken='" + standin.ServiceToken + "'",
		"rocketchat":    "webhook_url='URL'",
		"google-chat":   "webhook_url='URL?key=AIzaxyzzy&token=swordfish'",
		"pushover":      "url='URL'\nuser='uQiRzpo4DXghDmr9QzzfQu27cmVRsG'\ncritical='2'\ntoken='" + standin.Token("pushover") + "'",
		"matrix":        "url='URL'\nroom='!636q39766251:example.com'\ntoken='" + standin.ServiceToken + "'",
		"signal":        "url='URL'\nnumber='+15557654321'\nto='+15551234567'\ntoken='" + standin.ServiceToken + "'",
		"pagerduty":     "url='URL'\nrouting_key='" + standin.Token("pagerduty") + "'",
		HTTPType:        "file='../../examples/pushbullet.toml'\nurl='URL'\napi_key='" + standin.ServiceToken + "'",
	}
}

// standinOf is the stand-in of a type.
func standinOf(name string) http.HandlerFunc {
	if name == HTTPType {
		name = "pushbullet"
	}
	return standin.Services()[name]
}

func openDescribed(name, settings string, c *outbound.Client) (Channel, error) {
	for _, typ := range SettingsTypes() {
		if typ.Name == name {
			s := typ.New("far")
			if err := strictoml.Unmarshal("config.toml", []byte(settings), s); err != nil {
				return nil, err
			}
			return s.Open("far", Env{Client: c})
		}
	}
	return nil, errors.New("there is no such type")
}

func makeDescribed(name string) func(*outbound.Client, outbound.Secret) (Channel, error) {
	return func(c *outbound.Client, at outbound.Secret) (Channel, error) {
		if at.IsZero() {
			return nil, errors.New("the service itself is not called")
		}
		return openDescribed(name, strings.ReplaceAll(describedSettings()[name], "URL", at.Reveal()), c)
	}
}

// isJSON is an answer of a service that has JSON errors.
func isJSON(status int, body string, header ...string) http.HandlerFunc {
	return says(status, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

func describedRows() []httpDestination {
	day := 24 * time.Hour
	deadDiscord := &Error{Class: Broken, RetryAfter: day}
	rows := []httpDestination{
		{name: "ntfy", own: []answer{
			{"too fast", isJSON(429, `{"code":42901,"http":429,"error":"limit reached: too many requests"}`), &Error{Class: Again, RetryAfter: 5 * time.Second}, "too many requests"},
			{"locked out", isJSON(429, `{"code":42909,"http":429,"error":"limit reached: too many auth failures"}`), &Error{Class: Broken, RetryAfter: time.Hour}, "auth failures"},
			{"a wrong token", isJSON(401, `{"code":40101,"http":401,"error":"unauthorized"}`), &Error{Class: Broken}, "unauthorized (HTTP 401)"},
			{"a topic of another", isJSON(403, `{"code":40301,"http":403,"error":"forbidden"}`), &Error{Class: Broken}, "forbidden (HTTP 403)"},
			{"a topic that is none", isJSON(400, `{"code":40009,"http":400,"error":"invalid request: topic invalid"}`), &Error{Class: Broken}, "topic invalid"},
			{"too big", isJSON(413, `{"code":41301,"http":413,"error":"attachment too large"}`), &Error{Class: Bug}, "attachment too large"},
			{"somebody else's JSON", isJSON(200, `{"ok":true}`), &Error{Class: Again, Sent: true}, "not ntfy's answer"},
		}, differs: map[string]*Error{"429 without a time": {Class: Again, RetryAfter: 5 * time.Second}}},
		{name: "telegram", own: []answer{
			{"a wrong token", isJSON(401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`), &Error{Class: Broken}, "Unauthorized (HTTP 401)"},
			{"a token that is none", isJSON(404, `{"ok":false,"error_code":404,"description":"Not Found"}`), &Error{Class: Broken}, "Not Found"},
			{"nobody wrote to the bot", isJSON(400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`), &Error{Class: Broken}, "chat not found"},
			{"a topic that is gone", isJSON(400, `{"ok":false,"error_code":400,"description":"Bad Request: message thread not found"}`), &Error{Class: Broken}, "thread not found"},
			{"a group that became a supergroup", isJSON(400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-100999}}`), &Error{Class: Broken}, "supergroup"},
			{"blocked", isJSON(403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`), &Error{Class: Broken}, "blocked"},
			{"too fast, and the body says how long", isJSON(429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 14","parameters":{"retry_after":14}}`), &Error{Class: Again, RetryAfter: 14 * time.Second}, "Too Many Requests"},
			{"a text that it can't read", isJSON(400, `{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}`), &Error{Class: Bug}, "can't parse entities"},
			{"not ok, with 200", isJSON(200, `{"ok":false}`), &Error{Class: Again, Sent: true}, "not Telegram's answer"},
		}},
		{name: "teams", own: []answer{
			{"the signature is wrong", isJSON(401, `{"error":{"code":"DirectApiAuthorizationRequired","message":"The request must be authenticated"}}`), &Error{Class: Broken}, "must be authenticated"},
			{"the workflow is gone", isJSON(404, `{"error":{"code":"WorkflowNotFound","message":"The workflow was not found"}}`), &Error{Class: Broken}, "not found"},
			{"what a workflow does not say", isJSON(200, `{"ok":true}`), &Error{Class: Again, Sent: true}, "not Microsoft Teams's answer"},
			{"a bad card", isJSON(400, `{"error":{"code":"TriggerInputSchemaMismatch","message":"schema"}}`), &Error{Class: Bug}, "schema"},
		}, differs: map[string]*Error{"429 without a time": {Class: Again, RetryAfter: time.Minute}}},
		{name: "discord", own: []answer{
			{"the webhook was deleted", isJSON(404, `{"message":"Unknown Webhook","code":10015}`), deadDiscord, "Unknown Webhook"},
			{"a webhook's token is wrong", isJSON(401, `{"message":"Invalid Webhook Token","code":50027}`), deadDiscord, "Invalid Webhook Token"},
			{"a forum", isJSON(400, `{"message":"Webhooks posted to forum channels must have a thread_name or thread_id","code":220001}`), deadDiscord, "forum"},
			{"too fast, and the body alone says how long", isJSON(429, `{"message":"You are being rate limited.","retry_after":0.65,"global":false}`), &Error{Class: Again, RetryAfter: 650 * time.Millisecond}, "rate limited"},
			{"too long", isJSON(400, `{"message":"Invalid Form Body","code":50035,"errors":{}}`), &Error{Class: Bug}, "Invalid Form Body"},
		}, differs: map[string]*Error{"401": deadDiscord, "403": deadDiscord, "404": deadDiscord}},
		{name: "mattermost", own: []answer{
			{"the webhook was deleted", isJSON(400, `{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}`), &Error{Class: Broken}, "Invalid webhook."},
			{"webhooks are switched off", isJSON(501, `{"id":"web.incoming_webhook.disabled.app_error","message":"Incoming webhooks have been disabled by the system admin.","status_code":501}`), &Error{Class: Broken}, "disabled"},
			{"a locked channel", isJSON(403, `{"id":"web.incoming_webhook.channel_locked.app_error","message":"This webhook is not permitted to post to the requested channel.","status_code":403}`), &Error{Class: Broken}, "not permitted"},
			{"a text that it does not take", isJSON(400, `{"id":"web.incoming_webhook.parse.app_error","message":"Unable to parse incoming data.","status_code":400}`), &Error{Class: Bug}, "Unable to parse"},
			{"Slack's JSON", isJSON(200, `{"ok":true}`), &Error{Class: Again, Sent: true}, "not Mattermost's answer"},
		}},
		{name: "twilio-sms", own: []answer{
			{"a wrong secret", isJSON(401, `{"code":20003,"message":"Authenticate","status":401}`), &Error{Class: Broken}, "Authenticate"},
			{"no mobile number", isJSON(400, `{"code":21211,"message":"Invalid 'To' Phone Number","status":400}`), &Error{Class: Broken}, "Invalid 'To'"},
			{"a country that is off", isJSON(400, `{"code":21408,"message":"Permission to send an SMS has not been enabled for the region","status":400}`), &Error{Class: Broken}, "region"},
			{"a sender of another", isJSON(400, `{"code":21606,"message":"The From phone number is not valid","status":400}`), &Error{Class: Broken}, "From"},
			{"who said STOP", isJSON(400, `{"code":21610,"message":"Attempt to send to unsubscribed recipient","status":400}`), &Error{Class: Broken}, "unsubscribed"},
			{"too fast", isJSON(429, `{"code":20429,"message":"Too Many Requests","status":429}`), &Error{Class: Again, RetryAfter: 10 * time.Second}, "Too Many Requests"},
			{"the day's limit", isJSON(429, `{"code":63038,"message":"Account exceeded the daily messages limit","status":429}`), &Error{Class: Quota, RetryAfter: 6 * time.Hour}, "daily"},
			{"too long", isJSON(400, `{"code":21617,"message":"The concatenated message body exceeds the 1600 character limit","status":400}`), &Error{Class: Bug}, "1600"},
			{"200 is nobody's", isJSON(200, `{"messages":[]}`), &Error{Class: Again, Sent: true}, "not Twilio's answer"},
		}},
		{name: "mastodon", own: []answer{
			{"a token that is revoked", isJSON(401, `{"error":"The access token is invalid"}`), &Error{Class: Broken}, "access token is invalid"},
			{"a token that may only read", isJSON(403, `{"error":"This action is outside the authorized scopes"}`), &Error{Class: Broken}, "scopes"},
			{"too many, with a date", isJSON(429, `{"error":"Too many requests"}`, "X-RateLimit-Reset", time.Now().Add(72*time.Hour).UTC().Format(time.RFC3339Nano)), &Error{Class: Quota, RetryAfter: day}, "Too many requests"},
			{"too long", isJSON(422, `{"error":"Validation failed: Text character limit of 500 exceeded"}`), &Error{Class: Bug}, "limit of 500"},
			{"no server of Mastodon's", isJSON(404, `{"error":"Not Found"}`), &Error{Class: Broken}, "Not Found"},
		}, differs: map[string]*Error{
			"429": {Class: Quota, RetryAfter: 7 * time.Second}, "429 for a day": {Class: Quota, RetryAfter: time.Hour}, "429 without a time": {Class: Quota, RetryAfter: 15 * time.Minute},
		}},
		{name: "mastodon-post", own: []answer{
			{"a token that may only read", isJSON(403, `{"error":"This action is outside the authorized scopes"}`), &Error{Class: Broken}, "scopes"},
		}, differs: map[string]*Error{
			"429": {Class: Quota, RetryAfter: 7 * time.Second}, "429 for a day": {Class: Quota, RetryAfter: time.Hour}, "429 without a time": {Class: Quota, RetryAfter: 15 * time.Minute},
		}},
		{name: HTTPType, own: []answer{
			{"a wrong token", isJSON(401, `{"error":{"message":"Access token is missing or invalid."}}`), &Error{Class: Broken}, "missing or invalid"},
			{"too many", isJSON(429, `{"error":{"message":"You have been ratelimited."}}`, "X-Ratelimit-Reset", "9999999999"), &Error{Class: Quota, RetryAfter: day}, "ratelimited"},
		}, differs: map[string]*Error{
			"429": {Class: Quota, RetryAfter: 7 * time.Second}, "429 for a day": {Class: Quota, RetryAfter: time.Hour}, "429 without a time": {Class: Quota, RetryAfter: time.Hour},
		}},
		{name: "gotify", own: []answer{
			{"a wrong token", isJSON(401, `{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token"}`), &Error{Class: Broken}, "valid access token"},
			{"a client's token", isJSON(403, `{"error":"Forbidden","errorCode":403,"errorDescription":"you are not allowed to access this api"}`), &Error{Class: Broken}, "not allowed"},
			{"a message that it does not take", isJSON(400, `{"error":"Bad Request","errorCode":400,"errorDescription":"Field 'message' is required"}`), &Error{Class: Bug}, "is required"},
			{"somebody else's JSON", isJSON(200, `{"ok":true}`), &Error{Class: Again, Sent: true}, "not Gotify's answer"},
		}},
		{name: "rocketchat", own: []answer{
			{"the webhook was deleted", isJSON(404, `{"success":false,"error":"Invalid integration id or token provided."}`), &Error{Class: Broken}, "Invalid integration id"},
			{"the same, of a newer server", isJSON(400, `{"success":false,"error":"Invalid integration id or token provided."}`), &Error{Class: Broken}, "Invalid integration id"},
			{"the channel is gone", isJSON(400, `{"success":false,"error":"invalid-channel"}`), &Error{Class: Broken}, "invalid-channel"},
			{"switched off", says(503, "Service Unavailable"), &Error{Class: Again, Sent: true}, "Service Unavailable"},
			{"a script that refuses", isJSON(200, `{"success":false,"error":"no"}`), &Error{Class: Bug}, "no (HTTP 200)"},
			{"too fast, and a header says until when", isJSON(429, `{"success":false,"error":"Error, too many requests. [error-too-many-requests]"}`, "X-RateLimit-Reset", "9999999999999"), &Error{Class: Again, RetryAfter: day}, "too many requests"},
			{"Slack's answer", says(200, "ok"), &Error{Class: Again, Sent: true}, "not Rocket.Chat's answer"},
		}, differs: map[string]*Error{"429 without a time": {Class: Again, RetryAfter: time.Minute}}},
		{name: "google-chat", own: []answer{
			{"the webhook was deleted", isJSON(404, `{"error":{"code":404,"message":"Webhook not found","status":"NOT_FOUND"}}`), &Error{Class: Broken}, "Webhook not found"},
			{"webhooks are switched off", isJSON(403, `{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}`), &Error{Class: Broken}, "permission"},
			{"too big", isJSON(400, `{"error":{"code":400,"message":"Message is too long","status":"INVALID_ARGUMENT"}}`), &Error{Class: Bug}, "too long"},
			{"too fast", isJSON(429, `{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}`), &Error{Class: Again, RetryAfter: 30 * time.Second}, "Quota exceeded"},
			{"out of order", isJSON(503, `{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}`), &Error{Class: Again, Sent: true}, "unavailable"},
		}, differs: map[string]*Error{"429 without a time": {Class: Again, RetryAfter: 30 * time.Second}}},
		{name: "pushover", own: []answer{
			{"a wrong token", isJSON(400, `{"token":"invalid","errors":["application token is invalid"],"status":0}`), &Error{Class: Broken, RetryAfter: day}, "token is invalid"},
			{"a user without a device", isJSON(400, `{"user":"invalid","errors":["user identifier is not a valid user"],"status":0}`), &Error{Class: Broken, RetryAfter: day}, "not a valid user"},
			{"the month's messages", isJSON(429, `{"status":0,"errors":["application is over its monthly message quota"]}`, "X-Limit-App-Reset", "9999999999"), &Error{Class: Quota, RetryAfter: day}, "monthly message quota"},
			{"a message that it does not take", isJSON(400, `{"message":"cannot be blank","errors":["message cannot be blank"],"status":0}`), &Error{Class: Bug}, "cannot be blank"},
			{"not told, with 200", isJSON(200, `{"status":0}`), &Error{Class: Again, Sent: true}, "not Pushover's answer"},
		}, differs: map[string]*Error{
			"401": {Class: Broken, RetryAfter: day}, "403": {Class: Broken, RetryAfter: day}, "404": {Class: Broken, RetryAfter: day},
			"429": {Class: Quota, RetryAfter: 7 * time.Second}, "429 for a day": {Class: Quota, RetryAfter: time.Hour}, "429 without a time": {Class: Quota, RetryAfter: time.Hour},
		}},
		{name: "matrix", own: []answer{
			{"too fast, in milliseconds", isJSON(429, `{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":2500}`), &Error{Class: Again, RetryAfter: 2500 * time.Millisecond}, "Too many requests"},
			{"not in the room", isJSON(403, `{"errcode":"M_FORBIDDEN","error":"User not in room"}`), &Error{Class: Broken}, "not in room"},
			{"a token that was logged out", isJSON(401, `{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}`), &Error{Class: Broken}, "Unknown token"},
			{"too big", isJSON(413, `{"errcode":"M_TOO_LARGE","error":"event too large"}`), &Error{Class: Bug}, "event too large"},
			{"an address without Matrix", isJSON(404, `{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}`), &Error{Class: Broken}, "Unrecognized"},
			{"somebody else's JSON", isJSON(200, `{"ok":true}`), &Error{Class: Again, Sent: true}, "not Matrix's answer"},
		}},
		{name: "signal", own: []answer{
			{"a number that nobody registered", isJSON(400, `{"error":"User +15557654321 is not registered."}`), &Error{Class: Broken}, "not registered"},
			{"a new phone", isJSON(400, `{"error":"Failed to send message due to untrusted identities"}`), &Error{Class: Broken}, "untrusted identities"},
			{"Signal can't be reached", isJSON(400, `{"error":"Failed to send message: connection reset"}`), &Error{Class: Again}, "connection reset"},
			{"a captcha", isJSON(429, `{"error":"CAPTCHA proof required","challenge_tokens":["1a2b"],"account":"+15557654321"}`), &Error{Class: Quota, RetryAfter: day}, "CAPTCHA"},
			{"200 is nobody's", isJSON(200, `{"timestamp":"1"}`), &Error{Class: Again, Sent: true}, "not Signal's answer"},
		}, differs: map[string]*Error{
			"429": {Class: Quota, RetryAfter: 7 * time.Second}, "429 for a day": {Class: Quota, RetryAfter: time.Hour}, "429 without a time": {Class: Quota, RetryAfter: day},
		}},
		{name: "pagerduty", own: []answer{
			{"a wrong key", isJSON(400, `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}`), &Error{Class: Broken}, "routing_key"},
			{"an event that it does not take", isJSON(400, `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.severity' is invalid"]}`), &Error{Class: Bug}, "payload.severity"},
			{"too fast", says(429, ""), &Error{Class: Again, RetryAfter: 30 * time.Second}, "HTTP 429"},
			{"200 is nobody's", isJSON(200, `{"status":"success","dedup_key":"x"}`), &Error{Class: Again, Sent: true}, "not PagerDuty's answer"},
		}, differs: map[string]*Error{"429 without a time": {Class: Again, RetryAfter: 30 * time.Second}}},
	}
	for i := range rows {
		rows[i].make, rows[i].told = makeDescribed(rows[i].name), standinOf(rows[i].name)
	}
	return rows
}

// A message that was deleted can't be edited: the alert is sent after all.
// Discord mentions whom the owner's template does, and nobody else ever.
func TestDiscordMentions(t *testing.T) {
	f, err := shippedFile("discord")
	if err != nil {
		t.Fatal(err)
	}
	a := alerts()["a stranger's words"]
	for want, own := range map[string]event.Words{"[]": {Headline: "<!here> {user}"}, `["everyone","roles","users"]`: {Headline: "<@&42> @here {user}: {headline}"}} {
		a.Own = own
		values := f.messageValues("discord", a)
		if values["mentions"] != want {
			t.Errorf("%q: %s, want %s", own.Headline, values["mentions"], want)
		}
		if got := values["headline"]; strings.Count(got, "@") != strings.Count(own.Headline, "@") {
			t.Errorf("%q became %q", own.Headline, got)
		}
	}
}

func TestDescribedUpdates(t *testing.T) {
	for name, receipt := range map[string]event.Receipt{
		"telegram": {"message_id": "41"}, "discord": {"message_id": "41"}, "mastodon": {"status_id": "41"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, standinOf(name))
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			to, err := makeDescribed(name)(c, outbound.NewSecret(f.url+secretPath))
			if err != nil {
				t.Fatal(err)
			}
			a := login()
			a.Replaces = receipt
			got, err := to.Send(t.Context(), a)
			for key := range receipt {
				if err != nil || f.requests() != 2 || got[key] != "42" {
					t.Errorf("%v after %d requests, %v", got, f.requests(), err)
				}
				a.Replaces = event.Receipt{key: "42"}
			}
			if got, err := to.Send(t.Context(), a); err != nil || f.requests() != 3 || got == nil {
				t.Errorf("%v after %d requests, %v", got, f.requests(), err)
			}
		})
	}
}

// A destination that was of another type before has the ids of that.
func TestDescribedAfterAnotherType(t *testing.T) {
	of := event.Receipt{mailReceiptID: "7K3F@sshnotify.db1.example.com", mailReceiptFirst: "7K3F@sshnotify.db1.example.com", mailReceiptSubject: "x", mailReceiptSeverity: "low"}
	for _, name := range []string{"telegram", "discord", "mastodon", "ntfy"} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, standinOf(name))
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			to, err := makeDescribed(name)(c, outbound.NewSecret(f.url+secretPath))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range []event.Alert{login(), login()} {
				a.Parent, a.Replaces = of, of
				if _, err := to.Send(t.Context(), a); err != nil {
					t.Error(err)
				}
				of = event.Receipt{"message_id": of[mailReceiptID]}
			}
			if f.requests() != 2 {
				t.Errorf("%d requests", f.requests())
			}
		})
	}
}

// Whatever a service says is classed, and shows neither the URL nor the key.
func FuzzDescribedAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"id":"1","ok":true,"result":{"message_id":42}}`)
	f.Add(429, "application/json", `{"code":42908,"parameters":{"retry_after":1e300},"retry_after":-1}`)
	f.Add(404, "text/plain", standin.ServiceToken+"\r\n\x1b[31m\u202e")
	var all []*described
	for name := range describedSettings() {
		to, err := makeDescribed(name)(outbound.New(outbound.Options{}), outbound.NewSecret("https://example.com/"+url.PathEscape(standin.ServiceToken)))
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, to.(*described))
	}
	f.Fuzz(func(t *testing.T, status int, media, body string) {
		resp := &outbound.Response{Status: 200 + (status&0x1ff)%400, Header: http.Header{"Content-Type": {media}}, Body: []byte(body)}
		for _, d := range all {
			name := d.file.Title
			a := d.service.Read(d.file.request(requestSend), resp, time.Now())
			if a.Means == service.Good {
				continue
			}
			e := d.refused(a, resp)
			if p := e.Pause(); p < 0 || p > maxRest || strings.ContainsAny(e.Error(), "\n\r\x1b\u202e") {
				t.Errorf("%s: after %v: %q", name, p, e)
			}
			if strings.Contains(d.service.Key.Reveal(), standin.ServiceToken) && strings.Contains(e.Error(), standin.ServiceToken) {
				t.Errorf("%s: %q", name, e)
			}
		}
	})
}

// An SMS is one message, whatever stands in it: 160 septets of the default alphabet,
// of which the characters of its extension take two. What matters most stands first.
func TestSMSIsOneMessage(t *testing.T) {
	for name, tc := range map[string]struct{ user, reason, begins string }{
		"a plain one":                 {"alice", "first time from Bulgaria", "HIGH alice > db1 from 203.0.113.7"},
		"characters that count twice": {strings.Repeat("[€]", 4), strings.Repeat("{~}|", 60), "HIGH [€][€][€][€] > db1 from 203.0.113.7"},
		"accents that it has":         {"andré", strings.Repeat("ü", 300), "HIGH andré > db1 from 203.0.113.7"},
		"letters that it has not":     {"ёлка", strings.Repeat("你好", 200), "HIGH ???? > db1 from 203.0.113.7"},
		"signs for which it has like": {"o’neil", strings.Repeat("“a” – ", 60), "HIGH o'neil > db1 from 203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, standinOf("twilio-sms")) // which refuses what costs more than one
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			to, err := makeDescribed("twilio-sms")(c, outbound.NewSecret(f.url))
			if err != nil {
				t.Fatal(err)
			}
			a := login()
			a.Event.User, a.Verdict.Reasons = tc.user, []string{tc.reason}
			if _, err := to.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			form, err := url.ParseQuery(f.bodies[0])
			if err != nil {
				t.Fatal(err)
			}
			if text := form.Get("Body"); !strings.HasPrefix(text, tc.begins) || !strings.HasSuffix(text, " ref 7K3F") {
				t.Errorf("%q", text)
			}
		})
	}
}
