package cmd

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/standin"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A mistake is one of the commonest with a service: in the settings, where old
// becomes new, or at the service, which then answers in its documented words.
type mistake struct {
	name     string
	old, new string // of settings
	on       string // the requests that are answered so: a part of "POST /path"
	status   int    // 0: as the stand-in does by itself
	body     string
}

// at is a mistake at the service, which shows in the requests on.
func at(name, on string, status int, body string) mistake {
	return mistake{name: name, on: on, status: status, body: body}
}

// set is a mistake in the settings.
func set(name, old, new string) mistake { return mistake{name: name, old: old, new: new} }

// clumsy is a service, and how people get it wrong.
type clumsy struct {
	typ      string // of the destination
	settings string // that work; URL is the service's
	answer   http.HandlerFunc
	mistakes []mistake
}

// says answers each request with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind := "application/json"
		if strings.HasPrefix(body, "<") {
			kind = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const cloudflare = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>"

func clumsies() []clumsy {
	twilio := "account = '" + standin.ServiceAccount + "'\napi_key = '" + standin.ServiceKey + "'\napi_secret = '" + standin.ServiceToken + "'\nfrom = '+15557654321'\nto = '+15551234567'"
	service := standin.Services()
	return []clumsy{
		{"slack", "webhook_url = 'URL/services/T0/B0/x'", slackHook, []mistake{
			at("the webhook was removed", "POST", 404, "no_service"),
			at("the webhook was revoked", "POST", 403, "invalid_token"),
			at("who made it has left", "POST", 403, "account_inactive"),
			at("the channel was archived", "POST", 410, "channel_is_archived"),
			at("the channel was deleted", "POST", 404, "channel_not_found"),
			at("the administrators forbid it", "POST", 403, "action_prohibited"),
			at("the URL is cut off", "POST", 404, "no_team"),
			set("the URL of Discord", "URL/services/T0/B0/x", "https://discord.com/api/webhooks/1/x"),
			set("a token for a URL", "URL/services/T0/B0/x", "xoxb-1-2-x"),
		}},
		{"slack", "token = 'xoxb-1-2-x'\nchannel = '#alerts'\napi_url = 'URL/api'", slackBot, []mistake{
			set("a user's token", "xoxb-", "xoxp-"),
			set("no channel", "channel = '#alerts'\n", ""),
			at("a wrong token", "", 200, `{"ok":false,"error":"invalid_auth"}`),
			at("the app was removed", "", 200, `{"ok":false,"error":"account_inactive"}`),
			at("a token that expires", "", 200, `{"ok":false,"error":"token_expired"}`),
			at("a scope is missing", "chat.postMessage", 200, `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"identify"}`),
			at("the app is not in the channel", "chat.postMessage", 200, `{"ok":false,"error":"not_in_channel"}`),
			at("no such channel, or a private one", "chat.postMessage", 200, `{"ok":false,"error":"channel_not_found"}`),
			at("an archived channel", "chat.postMessage", 200, `{"ok":false,"error":"is_archived"}`),
			at("a channel for announcements", "chat.postMessage", 200, `{"ok":false,"error":"restricted_action_read_only_channel"}`),
		}},
		{"mail", "server = 'URL'\nfrom = 'sshnotify@example.com'\nto = 'admin@example.com'\nusername = 'alerts'\npassword = 'swordfish'\nca_file = 'CA'", nil, []mistake{
			set("an authority of one's own, not named", "\nca_file = 'CA'", ""),
			set("the name of another server", "'URL'", "'localhost:PORT'"),
			set("tls for a port of STARTTLS", "ca_file = 'CA'", "ca_file = 'CA'\ntls = 'tls'"),
			set("a name and no password", "\npassword = 'swordfish'", ""),
			set("a name for an address", "sshnotify@example.com", "sshnotify"),
			set("nobody listens", "'URL'", "'127.0.0.1:1'"),
			at("no TLS there", "STARTTLS", 1, ""),
			at("a wrong password", "AUTH", 1, "535 5.7.8 Username and Password not accepted"),
			at("a sender of somebody else", "RCPT", 1, "553 5.7.1 <sshnotify@example.com>: Sender address rejected: not owned by user alerts"),
			at("a log-in that may not relay", "RCPT", 1, "554 5.7.1 <admin@example.com>: Relay access denied"),
			at("no such recipient", "RCPT", 1, "550 5.1.1 <admin@example.com>: Recipient address rejected: User unknown"),
			at("a full mailbox", "RCPT", 1, "552 5.2.2 Mailbox full"),
			at("SPF or DKIM do not allow it", ".", 1, "550 5.7.26 This message does not pass authentication checks (SPF and DKIM both do not pass)"),
		}},
		{"ntfy", "url = 'URL'\ntopic = 'ssh'\ntoken = '" + standin.Token("ntfy") + "'", service["ntfy"], []mistake{
			set("a password for a token", standin.Token("ntfy"), "ops:swordfish"),
			set("a wrong token", "swordfish", "swordfisk"),
			set("no token for a reserved topic", "token = '"+standin.Token("ntfy")+"'", ""),
			set("the topic in the URL", "URL", "https://ntfy.sh/ssh"),
			at("a path that is not the server's", "", 404, `{"code":40401,"http":404,"error":"page not found"}`),
			set("a topic of two words", "'ssh'", "'my ssh'"),
			at("a topic that the user may only read", "POST", 403, `{"code":40301,"http":403,"error":"forbidden"}`),
			at("the day's messages are used up", "POST", 429, `{"code":42908,"http":429,"error":"limit reached: daily message quota reached"}`),
			at("a wrong token was tried too often", "", 429, `{"code":42909,"http":429,"error":"limit reached: too many auth failures"}`),
		}},
		{"telegram", "url = 'URL'\nchat = '-1001234567890'\ntoken = '" + standin.ServiceToken + "'", service["telegram"], []mistake{
			set("bot before the token", "token = '", "token = 'bot"),
			set("the bot's name for a token", standin.ServiceToken, "my_bot"),
			set("a wrong token", "swordfish", "swordfisk"),
			set("an id without its minus", "-100123", "100123"),
			set("a group's name", "-1001234567890", "ops group"),
			set("an id without -100", "-1001234567890", "-1234567890"),
			at("no administrator of the channel", "sendMessage", 400, `{"ok":false,"error_code":400,"description":"Bad Request: need administrator rights in the channel chat"}`),
			at("blocked", "sendMessage", 403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`),
			at("kicked", "", 403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the supergroup chat"}`),
			at("a person who has not written to it", "sendMessage", 403, `{"ok":false,"error_code":403,"description":"Forbidden: bot can't initiate conversation with a user"}`),
			at("a group that became a supergroup", "sendMessage", 400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001234567891}}`),
			at("a topic that is none", "sendMessage", 400, `{"ok":false,"error_code":400,"description":"Bad Request: message thread not found"}`),
			at("a topic that was closed", "sendMessage", 400, `{"ok":false,"error_code":400,"description":"Bad Request: TOPIC_CLOSED"}`),
		}},
		{"discord", "webhook_url = 'URL/api/webhooks/1/x'", service["discord"], []mistake{
			at("the webhook was deleted", "", 404, `{"message":"Unknown Webhook","code":10015}`),
			at("the URL is cut off", "", 401, `{"message":"Invalid Webhook Token","code":50027}`),
			at("no webhook's URL", "", 404, `{"message":"404: Not Found","code":0}`),
			at("a forum", "POST", 400, `{"message":"Webhooks posted to forum channels must have a thread_name or thread_id","code":220001}`),
			at("the host's address is locked out", "", 403, cloudflare),
			set("the URL for Slack's messages", "URL/api/webhooks/1/x", "https://discord.com/api/webhooks/1/x/slack"),
			set("the URL of Slack", "URL/api/webhooks/1/x", "https://hooks.slack.com/services/T0/B0/x"),
		}},
		{"teams", "webhook_url = 'URL/workflows/1?sp=x&sig=x'", service["teams"], []mistake{
			set("a connector's URL", "URL/workflows/1?sp=x&sig=x", "https://example.webhook.office.com/webhookb2/1@2/IncomingWebhook/x/y"),
			set("an address that ended in 2025", "URL", "https://prod-01.westeurope.logic.azure.com:443"),
			set("cut off at an &", "&sig=x", ""),
			at("the key is wrong or has expired", "POST", 401, `{"error":{"code":"DirectApiAuthorizationRequired","message":"The request must be authenticated only by Shared Access scheme."}}`),
			at("the workflow was deleted", "POST", 404, `{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}`),
			at("the workflow is switched off", "POST", 400, `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The trigger 'manual' is not enabled."}}`),
			at("too many in a minute", "POST", 429, ``),
		}},
		{"mattermost", "webhook_url = 'URL/hooks/x'", service["mattermost"], []mistake{
			at("the webhook was deleted", "POST", 400, `{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}`),
			at("webhooks are switched off", "POST", 501, `{"id":"web.incoming_webhook.disabled.app_error","message":"Incoming webhooks have been disabled by the system admin.","status_code":501}`),
			at("the webhook is locked to another channel", "POST", 403, `{"id":"web.incoming_webhook.channel_locked.app_error","message":"This webhook is not permitted to post to the requested channel.","status_code":403}`),
			at("who made it has left the channel", "POST", 403, `{"id":"web.incoming_webhook.permissions.app_error","message":"Inappropriate channel permissions.","status_code":403}`),
			at("the channel was deleted", "POST", 404, `{"id":"web.incoming_webhook.channel.app_error","message":"Couldn't find the channel.","status_code":404}`),
			at("Cloudflare's page", "POST", 403, cloudflare),
			at("the web app's page", "POST", 200, "<!doctype html><title>Mattermost</title>"),
			set("the URL of Rocket.Chat", "hooks/x", "hooks/x/y"),
		}},
		{"rocketchat", "webhook_url = 'URL/hooks/x/y'", service["rocketchat"], []mistake{
			at("the webhook was deleted", "POST", 400, `{"success":false,"error":"Invalid integration id or token provided."}`),
			at("the channel was deleted", "POST", 400, `{"success":false,"error":"invalid-channel"}`),
			at("the user is not in the channel", "POST", 400, `{"success":false,"error":"error-not-allowed"}`),
			at("the integration is switched off", "POST", 503, ``),
			at("a script that says nothing", "POST", 200, ``),
			set("the URL is cut off", "hooks/x/y", "hooks/x"),
		}},
		{"google-chat", "webhook_url = 'URL/v1/spaces/x/messages?key=x&token=x'", service["google-chat"], []mistake{
			set("cut off at an &", "&token=x", ""),
			set("the URL of Discord", "URL/v1/spaces/x/messages?key=x&token=x", "https://discord.com/api/webhooks/1/x?key=x&token=x"),
			at("the token is wrong", "POST", 401, `{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}`),
			at("webhooks are switched off", "POST", 403, `{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}`),
			at("the space was removed", "POST", 404, `{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}`),
			at("the space has had too many", "POST", 429, `{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}`),
		}},
		{"matrix", "url = 'URL'\nroom = '!636q39766251:example.com'\ntoken = '" + standin.ServiceToken + "'", service["matrix"], []mistake{
			set("a token that was logged out", "swordfish", "swordfisk"),
			set("not in the room", "!636q", "!999q"),
			set("the room's name", "!636q39766251", "#ops"),
			set("where people read", "url = 'URL'", "url = 'https://app.element.io'"),
			at("not the homeserver", "", 404, `{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}`),
			at("it may not write there", "PUT", 403, `{"errcode":"M_FORBIDDEN","error":"You don't have permission to post that to the room. user_level (0) < send_level (50)"}`),
			at("the account is locked", "", 401, `{"errcode":"M_USER_LOCKED","error":"This account has been locked"}`),
			at("an encrypted room", "m.room.encryption", 200, `{"algorithm":"m.megolm.v1.aes-sha2"}`),
		}},
		{"gotify", "url = 'URL'\ntoken = '" + standin.ServiceToken + "'", service["gotify"], []mistake{
			set("a client's token", standin.ServiceToken, "CLyE8jU71_1wDkI"),
			set("a wrong token", "swordfish", "swordfisk"),
			set("the method in the URL", "'URL'", "'URL/message'"),
			set("http in the network", "'URL'", "'http://gotify.lan:8080'"),
			at("a client's token of another form", "", 403, `{"error":"Forbidden","errorCode":403,"errorDescription":"you are not allowed to access this api"}`),
			at("another server's page", "", 404, "<html><title>404 Not Found</title>nginx"),
		}},
		{"pushover", "url = 'URL'\nuser = 'uQiRzpo4DXghDmr9QzzfQu27cmVRsG'\ntoken = '" + standin.Token("pushover") + "'", service["pushover"], []mistake{
			set("the user key for a token", standin.Token("pushover"), "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"),
			set("a token that is cut off", standin.Token("pushover"), "axyzzy"),
			set("another user", "uQiR", "gQiR"),
			set("a mail address for a user", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG", "ops@example.com"),
			at("the month's messages are used up", "messages", 429, `{"status":0,"errors":["application is over its monthly message quota"]}`),
		}},
		{"signal", "url = 'URL'\nnumber = '+15557654321'\nto = '+15551234567'", service["signal"], []mistake{
			set("a number that is not registered", "+15557654321", "+15557654322"),
			set("a number without its country", "+15551234567", "0155123"),
			set("the method in the URL", "'URL'", "'URL/v2/send'"),
			at("a new phone", "/v2/send", 400, `{"error":"Failed to send message due to untrusted identities"}`),
			at("who is told has no Signal", "/v2/send", 400, `{"error":"Failed to send (some) messages: Unregistered user \"+15551234567\""}`),
			at("not in the group", "/v2/send", 400, `{"error":"Invalid group id: Group not found"}`),
			at("a captcha", "/v2/send", 429, `{"error":"CAPTCHA proof required for sending to +15551234567","challenge_tokens":["1a2b"],"account":"+15557654321"}`),
			at("a proxy that wants a token", "", 401, `{"error":"unauthorized"}`),
		}},
		{"pagerduty", "url = 'URL'\nrouting_key = '" + standin.Token("pagerduty") + "'", service["pagerduty"], []mistake{
			set("an API key", standin.Token("pagerduty"), "u+xyzzyswordfish"),
			set("the web page's address", "'URL'", "'https://example.pagerduty.com/services/P1'"),
			set("a key of v1, or of the other region", "swordfish", "swordfisk"),
			at("too fast", "", 429, ``),
		}},
		{"alertmanager", "url = 'URL'\ntoken = '" + standin.ServiceToken + "'", service["alertmanager"], []mistake{
			set("no log-in", "token = '"+standin.ServiceToken+"'", ""),
			set("behind a prefix", "'URL'", "'URL/api/v2/alerts/x'"),
			set("the page's address", "'URL'", "'URL/#/alerts'"),
			at("Prometheus in its place", "", 404, "404 page not found"),
			at("another page", "", 200, "<html><title>Grafana</title>"),
			set("nobody listens", "'URL'", "'http://127.0.0.1:1'"),
		}},
		{"twilio-sms", "url = 'URL'\n" + twilio, service["twilio-sms"], []mistake{
			set("the secret of another key", "swordfish", "swordfisk"),
			set("the account for a key", "api_key = 'SK", "api_key = 'AC"),
			set("a number without its country", "+15551234567", "0155123"),
			at("no such account", "", 404, `{"code":20404,"message":"The requested resource was not found","status":404}`),
			at("a trial's unverified number", "POST", 400, `{"code":21608,"message":"The number +15551234567 is unverified. Trial accounts cannot send messages to unverified numbers","status":400}`),
			at("a number that is not ours", "POST", 400, `{"code":21659,"message":"'From' is not a Twilio phone number or Short Code country mismatch","status":400}`),
			at("no mobile number", "POST", 400, `{"code":21614,"message":"'To' number is not a valid mobile number","status":400}`),
			at("a country that is switched off", "POST", 400, `{"code":21408,"message":"Permission to send an SMS has not been enabled for the region indicated by the 'To' number","status":400}`),
			at("who said STOP", "POST", 400, `{"code":21610,"message":"Attempt to send to unsubscribed recipient","status":400}`),
			at("from and to are one", "POST", 400, `{"code":21266,"message":"'To' and 'From' number cannot be the same","status":400}`),
			at("an unregistered sender", "POST", 400, `{"code":30034,"message":"Message from an Unregistered Number","status":400}`),
			at("no money left", "", 401, `{"code":20005,"message":"Account not active","status":401}`),
		}},
		{"twilio-voice", "url = 'URL'\n" + twilio, twilioCalls, []mistake{
			at("the secret of another key", "", 401, `{"code":20003,"message":"Authenticate","status":401}`),
			at("no such account", "", 404, `{"code":20404,"message":"The requested resource was not found","status":404}`),
			set("a number without its country", "+15551234567", "0155123"),
			at("a trial's unverified number", "POST", 400, `{"code":21219,"message":"'To' phone number not verified","status":400}`),
			at("a number that is not ours", "POST", 400, `{"code":21210,"message":"'From' phone number not verified","status":400}`),
			at("a country that is switched off", "POST", 400, `{"code":21215,"message":"Account not allowed to call","status":400}`),
			at("no money left", "", 401, `{"code":20005,"message":"Account not active","status":401}`),
		}},
		{"mastodon", "url = 'URL'\nto = '@ops@mastodon.example'\ntoken = '" + standin.ServiceToken + "'", service["mastodon"], []mistake{
			set("a token that was revoked", "swordfish", "swordfisk"),
			set("nobody is mentioned", "@ops", "ops"),
			set("a profile's address", "'URL'", "'https://mastodon.example/@ops'"),
			at("a token that may only read", "POST", 403, `{"error":"This action is outside the authorized scopes"}`),
			at("the account is suspended", "POST", 403, `{"error":"Your login is currently disabled"}`),
			at("no server of Mastodon's", "", 404, `{"error":"Not Found"}`),
		}},
		{"mastodon-post", "url = 'URL'\ntoken = '" + standin.ServiceToken + "'\n[publish]\ndestination = ['far']", service["mastodon-post"], []mistake{
			set("not named in [publish]", "\n[publish]\ndestination = ['far']", ""),
			set("a token that was revoked", "swordfish", "swordfisk"),
			at("a token that may only read", "POST", 403, `{"error":"This action is outside the authorized scopes"}`),
			at("too many posts", "POST", 429, `{"error":"Too many requests"}`),
		}},
		{"x", "url = 'URL'\nconsumer_key = '" + standin.XConsumerKey + "'\nconsumer_secret = '" + standin.XConsumerSecret + "'\ntoken_file = 'TOKEN'\nto = '2244994945'", standin.NewX().ServeHTTP, []mistake{
			set("a wrong key", "xvz1", "xvz2"),
			set("a name for an id", "2244994945", "@ops"),
			set("no token yet", "TOKEN", "TOKEN-none"),
			at("the app may not write", "POST", 403, `{"title":"Forbidden","status":403,"type":"https://api.x.com/2/problems/oauth1-permissions","detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."}`),
			at("the app belongs to no project", "", 403, `{"title":"Client Forbidden","type":"https://api.x.com/2/problems/client-forbidden/client-not-enrolled","detail":"must be attached to a Project"}`),
			at("who is told takes no messages", "POST", 403, `{"title":"Forbidden","status":403,"type":"about:blank","detail":"You do not have permission to DM one or more participants."}`),
			at("no credits left", "POST", 402, `{"title":"CreditsDepleted","status":402,"type":"https://api.x.com/2/problems/credits","detail":"Your account has no credits."}`),
			at("the month's limit", "POST", 429, `{"title":"UsageCapExceeded","type":"https://api.x.com/2/problems/usage-capped","detail":"Usage cap exceeded: Monthly product cap"}`),
		}},
		{"webhook", "url = 'URL/ssh'\nsecret = '" + standin.ServiceSecret + "'", service["webhook"], []mistake{
			set("another secret", standin.ServiceSecret, "whsec_c3dvcmRmaXNoc3dvcmRmaXNoc3dvcmRmaXNo"),
			set("no secret of this form", standin.ServiceSecret, "swordfish"),
			at("a wrong path", "", 404, "not found"),
			at("the receiver wants no more", "", 410, ""),
			set("http in the network", "URL", "http://siem.lan"),
		}},
		{"exec", "command = ['/bin/true']", nil, []mistake{
			set("no such program", "/bin/true", "/usr/bin/apprice"),
			set("a program that says no", "/bin/true", "/bin/false"),
			set("a command of the shell", "['/bin/true']", "['apprise -t x']"),
		}},
		{"file", "path = 'HOME/events.jsonl'", nil, []mistake{
			set("no such folder", "HOME/events.jsonl", "HOME/none/events.jsonl"),
			set("a folder for a file", "HOME/events.jsonl", "HOME"),
		}},
		{"syslog", "server = 'URL'\ntransport = 'tcp'", nil, []mistake{
			set("TLS to a port without", "'tcp'", "'tls'"),
			set("nobody listens", "'URL'", "'127.0.0.1:1'"),
		}},
		{"http", "file = 'PUSHBULLET'\nurl = 'URL'\napi_key = '" + standin.ServiceToken + "'", service["pushbullet"], []mistake{
			set("a wrong token", "swordfish", "swordfisk"),
			set("no such file", "PUSHBULLET", "HOME/none.toml"),
			set("a value that the file has not", "url = 'URL'", "url = 'URL'\nvalues = {room = 'x'}"),
		}},
	}
}

// certificate makes one for this machine, and writes it to a file.
func certificate(t *testing.T, file string) tls.Certificate {
	t.Helper()
	s := httptest.NewTLSServer(nil) // which has one
	defer s.Close()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.TLS.Certificates[0]
}

// slackHook is an incoming webhook.
func slackHook(w http.ResponseWriter, r *http.Request) {
	if b, _ := io.ReadAll(r.Body); string(b) == "{}" {
		w.WriteHeader(400)
		io.WriteString(w, "no_text")
		return
	}
	io.WriteString(w, "ok")
}

// slackBot is Slack's Web API.
func slackBot(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-OAuth-Scopes", "chat:write,channels:read")
	says(200, `{"ok":true,"team":"Example","channel":{"id":"C024BE91L","is_member":true},"ts":"1503435956.000247"}`)(w, nil)
}

func twilioCalls(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		says(200, `{"calls":[]}`)(w, r)
		return
	}
	says(201, `{"sid":"CA00","status":"queued"}`)(w, r)
}

// Each of the commonest mistakes is told by config check, test or doctor --online,
// in words that tell it from the others of the service, and with what to do.
func TestMistakes(t *testing.T) {
	standin.Gate(t)
	var all strings.Builder
	named := []string{"journal", "log"} // of which nothing is set
	ca := filepath.Join(t.TempDir(), "ca.pem")
	for _, c := range clumsies() {
		named = append(named, c.typ)
		said := map[string]string{}
		for _, m := range append([]mistake{{name: "nothing is wrong"}}, c.mistakes...) {
			t.Run(c.typ+"/"+m.name, func(t *testing.T) {
				if !strings.Contains(c.settings, m.old) {
					t.Fatalf("there is no %q in the settings", m.old)
				}
				settings := "[destination.far]\ntype = '" + c.typ + "'\n" + strings.ReplaceAll(c.settings, m.old, m.new)
				if m.old == "" {
					settings = "[destination.far]\ntype = '" + c.typ + "'\n" + c.settings
				}
				far, sent := "", atomic.Int32{}
				switch c.typ {
				case "mail", "syslog":
					o := standin.SMTPOptions{User: "alerts", Password: "swordfish", Auth: "PLAIN", TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t, ca)}}}
					o.Behave = func(verb, _ string) string {
						if m.status != 0 && verb == m.on {
							return m.body
						}
						return ""
					}
					if c.typ == "syslog" || m.status != 0 && m.body == "" {
						o.TLS = nil
					}
					server, err := standin.StartSMTP(o)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(server.Close)
					far = server.Addr()
				default:
					srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						b, _ := io.ReadAll(r.Body)
						r.Body = io.NopCloser(bytes.NewReader(b))
						if strings.Contains(string(b), "arrive") { // from the sample's text
							sent.Add(1)
						}
						if m.status != 0 && strings.Contains(r.Method+" "+r.URL.Path, m.on) {
							says(m.status, m.body)(w, r)
							return
						}
						c.answer(w, r)
					}))
					t.Cleanup(srv.Close)
					far = srv.URL
				}
				got := mistaken(t, strings.ReplaceAll(settings, "CA'", ca+"'"), far)
				// The one is test's; doctor tells nobody anything.
				if n := sent.Load(); n > 1 {
					t.Errorf("%d messages", n)
				}
				fmt.Fprintf(&all, "== %s: %s\n%s", c.typ, m.name, got)
				if was, ok := said[got]; ok {
					t.Errorf("the same is said where %s:\n%s", was, got)
				}
				said[got] = m.name
				if ok := !strings.Contains(got, "failed: ") && !strings.Contains(got, "error: ") && !strings.Contains(got, "✗"); ok != (m.name == "nothing is wrong" || m.on == "m.room.encryption") {
					t.Errorf("is something wrong?\n%s", got)
				} else if !ok && !strings.Contains(got, "hint: ") && !regexp.MustCompile(`error: .* (must|needs|use) `).MatchString(got) {
					t.Errorf("what is to be done?\n%s", got)
				}
			})
		}
	}
	for _, typ := range channel.Types() {
		if !slices.Contains(named, typ.Name) {
			t.Errorf("nobody makes a mistake with %s", typ.Name)
		}
	}
	const golden = "testdata/mistakes.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(all.String(), "\n")); d != "" && !t.Failed() {
		t.Errorf("%s (-want +got):\n%s", golden, d)
	}
}

// mistaken returns what config check says of settings, or where it has no
// objection what test and doctor --online say of the destination.
func mistaken(t *testing.T, settings, far string) string {
	t.Helper()
	p := newAccount(t)
	p.write("x.token", standin.XToken+"\n"+standin.XTokenSecret+"\n")
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(far, "http://"))
	for name, value := range map[string]string{"URL": far, "PORT": port, "HOME": p.home, "TOKEN": filepath.Join(p.home, "x.token"), "PUSHBULLET": filepath.Join(examples, "pushbullet.toml")} {
		settings = strings.ReplaceAll(settings, name, value)
	}
	const name = ".config/sshnotify/config.toml"
	p.write(name, settings)
	file := filepath.Join(p.home, name)
	var said strings.Builder
	command := func(name string, run func(a *app) error) error {
		a := p.app()
		a.configFile = file
		err := run(a)
		a.complain(err)
		for line := range strings.Lines(p.out.String() + p.err.String()) {
			line = strings.TrimPrefix(line, "sshnotify: ")
			if !strings.HasPrefix(line, "hint: mend destination.far in ") {
				said.WriteString(name + ": " + line)
			}
		}
		return err
	}
	if command("config check", func(a *app) error { return a.runConfigCheck(t.Context()) }) == nil {
		said.Reset()
		command("test", func(a *app) error { return a.runTest(t.Context(), []string{"far"}) })
		got, _ := p.doctor(func(o *doctorOptions) { o.online = true })
		for _, name := range slices.Sorted(maps.Keys(got)) {
			r := got[name]
			if !strings.HasSuffix(name, " far") || name == "destination far" {
				continue
			}
			fmt.Fprintf(&said, "doctor: %s %s\n", map[doctor.State]string{doctor.OK: "✓", doctor.Warn: "!", doctor.Fail: "✗"}[r.State], r.Message)
			if r.Hint != "" {
				fmt.Fprintf(&said, "doctor: hint: %s\n", r.Hint)
			}
		}
	}
	text := strings.NewReplacer(far, "URL", strings.TrimPrefix(far, "http://"), "HOST", ":"+port, ":PORT", p.home, "HOME", filepath.Dir(examples), "..").Replace(said.String())
	text = regexp.MustCompile(`\([0-9.]+[mµ]?s\)`).ReplaceAllString(text, "(…)")
	for _, secret := range []string{"swordfish", "xyzzy"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is shown:\n%s", secret, text)
		}
	}
	return text
}
