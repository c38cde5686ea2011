package standin

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// What the services of Services want to be sent, in place of what a real one
// gives out.
const (
	ServiceToken   = "123456:xyzzy-swordfish"
	ServiceAccount = "AC00000000000000000000000000000000"
	ServiceKey     = "SK00000000000000000000000000000000"
	ServiceSecret  = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
)

// Token returns what the stand-in of a service wants for its key, in the form that
// the real one's have.
func Token(service string) string {
	switch service {
	case "ntfy":
		return "tk_xyzzyswordfish0000000000000000"
	case "pushover":
		return "axyzzyswordfish000000000000000"
	case "pagerduty":
		return "0xyzzyswordfish00000000000000000"
	case "webhook":
		return ServiceSecret
	}
	return ServiceToken
}

// Services returns stand-ins for services that take messages, by their names.
// Each takes what the real one is documented to take, at the end of any path, and
// refuses everything else in the real one's words. What the real one takes and
// makes worse (a text that becomes a file, a second SMS) it refuses as well.
func Services() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"ntfy": ntfy, "telegram": telegram, "teams": teams, "discord": discord, "mattermost": mattermost,
		"twilio-sms": twilioSMS, "twilio-voice": twilioVoice, "slack-bot": slackBot, "mastodon": mastodon("direct", 1), "mastodon-post": mastodon("unlisted", 0), "gotify": gotify,
		"rocketchat": rocketChat, "google-chat": googleChat, "pushover": pushover, "matrix": matrix(), "signal": signal, "pagerduty": pagerDuty, "alertmanager": alertmanager, "pushbullet": pushbullet,
		"webhook": webhook,
	}
}

// refuse answers as a service does that has JSON errors.
func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func told(w http.ResponseWriter, body string) { refuse(w, http.StatusOK, body) }

// readStrict reads a JSON body, in which no field may be that is not of to.
func readStrict(r *http.Request, to any) error {
	if r.Header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

func matches(pattern, s string) bool {
	ok, err := regexp.MatchString("^(?:"+pattern+")$", s)
	return err == nil && ok
}

// webhook is a receiver of Standard Webhooks that has ServiceSecret and takes any
// JSON object of 20 KB at most.
func webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	verifier, e := standardwebhooks.NewWebhook(ServiceSecret)
	var object map[string]any
	switch {
	case r.Method == http.MethodHead:
	case err != nil || e != nil:
		refuse(w, 500, `{}`)
	case verifier.Verify(body, r.Header) != nil:
		refuse(w, 401, `{"error":"signature"}`)
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || len(body) > 20_000 || json.Unmarshal(body, &object) != nil:
		refuse(w, 400, `{"error":"no JSON"}`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// ntfy is https://docs.ntfy.sh/publish/#publish-as-json, with an access token.
func ntfy(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Topic, Title, Message string
		Priority              int
		Tags                  []string
		SequenceID            string `json:"sequence_id"`
	}
	say := func(status, code int, text string) {
		refuse(w, status, fmt.Sprintf(`{"code":%d,"http":%d,"error":%q}`, code, status, text))
	}
	switch a := r.Header.Get("Authorization"); {
	case a != "" && a != "Bearer "+Token("ntfy"):
		say(401, 40101, "unauthorized")
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/v1/account"):
		told(w, `{"username":"ops","role":"user"}`)
	case a == "":
		say(403, 40301, "forbidden")
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/"):
		say(404, 40401, "page not found")
	default:
		switch err := readStrict(r, &m); {
		case err != nil:
			say(400, 40024, "invalid request: body must be valid JSON: "+err.Error())
		case !matches("[-_A-Za-z0-9]{1,64}", m.Topic):
			say(400, 40009, "invalid request: topic invalid")
		case m.Priority < 1 || m.Priority > 5:
			say(400, 40007, "invalid priority parameter")
		case m.SequenceID != "" && !matches("[-_A-Za-z0-9]{1,64}", m.SequenceID):
			say(400, 40049, "invalid request: sequence ID invalid")
		case m.Message == "" || len(m.Message) > 4096 || len(m.Title) > 1024 || len(strings.Join(m.Tags, ",")) > 512:
			say(413, 41301, "attachment too large, or bandwidth limit reached")
		default:
			told(w, `{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"ssh","sequence_id":"`+m.SequenceID+`"}`)
		}
	}
}

// telegram is https://core.telegram.org/bots/api#sendmessage; it knows the chat
// -1001234567890 and the message 42.
func telegram(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Chat     string `json:"chat_id"`
		Thread   int    `json:"message_thread_id"`
		Message  int    `json:"message_id"`
		Text     string
		Entities []struct {
			Type           string
			Offset, Length int
			URL            string
		}
		Preview *struct {
			Disabled bool `json:"is_disabled"`
		} `json:"link_preview_options"`
		Silent bool `json:"disable_notification"`
		Reply  struct {
			Message int  `json:"message_id"`
			Without bool `json:"allow_sending_without_reply"`
		} `json:"reply_parameters"`
	}
	say := func(status int, text string) {
		refuse(w, status, fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q}`, status, text))
	}
	before, method, _ := strings.Cut(r.URL.Path, "/bot"+ServiceToken+"/")
	switch {
	case before == r.URL.Path:
		say(401, "Unauthorized")
		return
	case r.Method == http.MethodGet && method == "getChat":
		if r.URL.Query().Get("chat_id") != "-1001234567890" {
			say(400, "Bad Request: chat not found")
			return
		}
		told(w, `{"ok":true,"result":{"id":-1001234567890,"type":"supergroup"}}`)
		return
	case r.Method != http.MethodPost || method != "sendMessage" && method != "editMessageText":
		say(404, "Not Found")
		return
	}
	if err := readStrict(r, &m); err != nil {
		say(400, "Bad Request: "+err.Error())
		return
	}
	units := utf16.Encode([]rune(m.Text))
	for _, e := range m.Entities {
		if !slices.Contains([]string{"bold", "code", "text_link"}, e.Type) || e.Length < 1 || e.Offset < 0 || e.Offset+e.Length > len(units) || (e.URL != "") != (e.Type == "text_link") {
			say(400, fmt.Sprintf("Bad Request: can't parse entities: %+v", e))
			return
		}
	}
	switch {
	case m.Chat != "-1001234567890":
		say(400, "Bad Request: chat not found")
	case len(units) == 0:
		say(400, "Bad Request: message text is empty")
	case len(units) > 4096:
		say(400, "Bad Request: message is too long")
	case len(m.Entities) > 100: // those after the first hundred do nothing
		say(400, fmt.Sprintf("Bad Request: %d entities", len(m.Entities)))
	case m.Preview == nil || !m.Preview.Disabled:
		say(400, "Bad Request: a preview would be fetched")
	case method == "editMessageText" && m.Message != 42:
		say(400, "Bad Request: message to edit not found")
	default:
		told(w, `{"ok":true,"result":{"message_id":42}}`)
	}
}

// teams is a workflow that begins with "When a Teams webhook request is received"
// (https://learn.microsoft.com/en-us/connectors/teams/).
func teams(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Type, Summary string
		Attachments   []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Schema        string `json:"$schema"`
				MSTeams       struct{ Width string }
				Body          []struct {
					Type, Spacing string
					Inlines       []struct {
						Type, Text, Weight, Size, Color string
						IsSubtle                        bool
					}
				}
			}
		}
	}
	const tooBig = 28 << 10
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch err := readStrict(r, &m); {
	case r.URL.Query().Get("sig") == "":
		refuse(w, 401, `{"error":{"code":"DirectApiAuthorizationRequired","message":"The request must be authenticated only by Shared Access scheme."}}`)
	case r.Method != http.MethodPost:
		refuse(w, 404, `{"error":{"code":"WorkflowNotFound","message":"not found"}}`)
	case len(body) > tooBig:
		w.WriteHeader(413)
	case err != nil || m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" ||
		m.Attachments[0].Content.Type != "AdaptiveCard" || len(m.Attachments[0].Content.Body) == 0:
		refuse(w, 400, fmt.Sprintf(`{"error":{"code":"TriggerInputSchemaMismatch","message":%q}}`, fmt.Sprint(err)))
	default:
		for _, b := range m.Attachments[0].Content.Body {
			if b.Type != "RichTextBlock" || len(b.Inlines) != 1 || b.Inlines[0].Type != "TextRun" || b.Inlines[0].Text == "" || strings.Contains(b.Inlines[0].Text, "\n") {
				refuse(w, 400, fmt.Sprintf(`{"error":{"code":"BadCard","message":%q}}`, fmt.Sprintf("%+v", b)))
				return
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// discord is https://docs.discord.com/developers/resources/webhook; it knows the
// message 42.
func discord(w http.ResponseWriter, r *http.Request) {
	type embed struct {
		Title, Description string
		Color              *int
		Footer             struct{ Text string }
		Timestamp          string
	}
	var m struct {
		Content  string
		Embeds   []embed
		Mentions *struct{ Parse []string } `json:"allowed_mentions"`
	}
	if r.Method == http.MethodGet {
		told(w, `{"id":"1","type":1,"channel_id":"2"}`)
		return
	}
	id, edit := "", r.Method == http.MethodPatch
	if edit {
		_, id, _ = strings.Cut(r.URL.Path, "/messages/")
	}
	err := readStrict(r, &m)
	all := utf8.RuneCountInString(m.Content)
	ok := err == nil && m.Mentions != nil && m.Mentions.Parse != nil && len(m.Mentions.Parse) == 0 && all > 0 && all <= 2000 && len(m.Embeds) == 1
	sum := 0
	for _, e := range m.Embeds {
		_, date := time.Parse(time.RFC3339, e.Timestamp)
		title, description, footer := utf8.RuneCountInString(e.Title), utf8.RuneCountInString(e.Description), utf8.RuneCountInString(e.Footer.Text)
		sum += title + description + footer
		ok = ok && title <= 256 && description <= 4096 && footer <= 2048 && e.Color != nil && *e.Color >= 0 && *e.Color <= 0xffffff && (e.Timestamp == "" || date == nil)
	}
	switch {
	case !ok || sum > 6000:
		refuse(w, 400, fmt.Sprintf(`{"message":"Invalid Form Body","code":50035,"errors":{"_":%q}}`, fmt.Sprint(err)))
	case edit && id != "42":
		refuse(w, 404, `{"message":"Unknown Message","code":10008}`)
	case edit:
		told(w, `{"id":"42","channel_id":"2"}`)
	case r.Method != http.MethodPost:
		refuse(w, 405, `{"message":"405: Method Not Allowed","code":0}`)
	case r.URL.Query().Get("wait") != "true": // what can't be stored is no error then
		w.WriteHeader(http.StatusNoContent)
	default:
		told(w, `{"id":"42","channel_id":"2"}`)
	}
}

// mattermost is https://developers.mattermost.com/integrate/webhooks/incoming/.
func mattermost(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Text        string
		Attachments []struct{ Fallback, Color, Text, Footer string }
		Priority    *struct{ Priority string }
	}
	err := readStrict(r, &m)
	size := utf8.RuneCountInString(m.Text)
	for _, a := range m.Attachments {
		size += utf8.RuneCountInString(a.Text)
	}
	switch {
	case r.Method != http.MethodPost || err != nil || size > 16383 || m.Priority != nil && m.Priority.Priority != "important" && m.Priority.Priority != "urgent":
		refuse(w, 400, fmt.Sprintf(`{"id":"web.incoming_webhook.parse.app_error","message":"Unable to parse incoming data: %v","status_code":400}`, err))
	case size == 0:
		refuse(w, 400, `{"id":"web.incoming_webhook.text.app_error","message":"No text specified.","status_code":400}`)
	default:
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "ok")
	}
}

// twilio refuses what Twilio does of all resources of an account
// (https://www.twilio.com/docs/api/errors), and what is none of a resource's
// parameters. It reports whether it did.
func twilio(w http.ResponseWriter, r *http.Request, resource string, parameters ...string) (refused bool) {
	say := func(status, code int, text string) bool {
		refuse(w, status, fmt.Sprintf(`{"code":%d,"message":%q,"status":%d}`, code, text, status))
		return true
	}
	key, secret, _ := r.BasicAuth()
	to := r.PostFormValue("To")
	switch {
	case key != ServiceKey || secret != ServiceToken:
		return say(401, 20003, "Authenticate")
	case !strings.HasSuffix(r.URL.Path, "/2010-04-01/Accounts/"+ServiceAccount+"/"+resource):
		return say(404, 20404, "The requested resource was not found")
	case r.Method == http.MethodGet:
		return false
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "":
		return say(400, 20001, "Unknown parameters")
	case !matches(`\+[1-9][0-9]{6,14}`, to):
		return say(400, 21211, "Invalid 'To' Phone Number: "+to)
	case r.PostFormValue("From") != "+15557654321":
		return say(400, 21659, "'From' is not a Twilio phone number or Short Code country mismatch")
	case to != "+15551234567":
		return say(400, 21608, "The number "+to+" is unverified. Trial accounts cannot send messages to unverified numbers")
	}
	for name, values := range r.PostForm {
		if !slices.Contains(append(parameters, "To", "From"), name) || len(values) != 1 {
			return say(400, 20001, "Unknown parameter: "+name)
		}
	}
	return false
}

// twilioVoice is https://www.twilio.com/docs/voice/api/call-resource, where the call
// says the TwiML that comes with it: verbs that speak and pause alone.
func twilioVoice(w http.ResponseWriter, r *http.Request) {
	if twilio(w, r, "Calls.json", "Twiml", "Timeout", "TimeLimit") {
		return
	}
	if r.Method == http.MethodGet {
		told(w, `{"calls":[],"page":0,"page_size":1}`)
		return
	}
	say := func(code int, text string) {
		refuse(w, 400, fmt.Sprintf(`{"code":%d,"message":%q,"status":400}`, code, text))
	}
	text := r.PostFormValue("Twiml")
	var response struct {
		XMLName xml.Name `xml:"Response"`
		Verbs   []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
			Inner   []struct {
				XMLName xml.Name
			} `xml:",any"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(text), &response); err != nil || utf8.RuneCountInString(text) > 4000 {
		say(12100, fmt.Sprintf("Document parse failure: %v", err))
		return
	}
	for _, v := range response.Verbs {
		if v.XMLName.Local != "Say" && v.XMLName.Local != "Pause" || len(v.Inner) > 0 {
			say(12200, "Schema validation warning: "+v.XMLName.Local)
			return
		}
	}
	for _, key := range []string{"Timeout", "TimeLimit"} {
		if r.PostForm.Has(key) && !matches("[1-9][0-9]{0,4}", r.PostFormValue(key)) {
			say(20001, key+" is in seconds")
			return
		}
	}
	refuse(w, http.StatusCreated, `{"sid":"CA0123456789abcdef0123456789abcdef","status":"queued"}`)
}

// slackBot is chat.postMessage and conversations.open of Slack's API
// (https://docs.slack.dev/reference/methods). A user whom nobody has written to gets
// messages in the conversation that is opened.
func slackBot(w http.ResponseWriter, r *http.Request) {
	say := func(text string) { told(w, fmt.Sprintf(`{"ok":false,"error":%q}`, text)) }
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m struct{ Channel, Users, Text string }
	post, open := strings.HasSuffix(r.URL.Path, "/chat.postMessage"), strings.HasSuffix(r.URL.Path, "/conversations.open")
	switch {
	case !post && !open:
		say("unknown_method")
	case r.Header.Get("Authorization") != "Bearer "+ServiceToken:
		say("invalid_auth")
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json; charset=utf-8":
		say("invalid_post_type")
	case err != nil || json.Unmarshal(body, &m) != nil:
		say("invalid_json")
	case open && !matches("[UW][A-Z0-9]{8,20}", m.Users):
		say("user_not_found")
	case open:
		told(w, `{"ok":true,"channel":{"id":"D069C7QFK"}}`)
	case CheckSlack(body) != "":
		say(CheckSlack(body))
	case m.Channel != "U0123ABCD" && m.Channel != "D069C7QFK":
		say("channel_not_found")
	case utf8.RuneCountInString(m.Text) > 40_000:
		say("msg_too_long")
	default:
		told(w, fmt.Sprintf(`{"ok":true,"channel":%q,"ts":"1503435956.000247"}`, m.Channel))
	}
}

// twilioSMS is https://www.twilio.com/docs/messaging/api/message-resource. A text
// that costs more than one message is refused.
func twilioSMS(w http.ResponseWriter, r *http.Request) {
	if twilio(w, r, "Messages.json", "Body", "ValidityPeriod") {
		return
	}
	say := func(status, code int, text string) {
		refuse(w, status, fmt.Sprintf(`{"code":%d,"message":%q,"status":%d}`, code, text, status))
	}
	text := r.PostFormValue("Body")
	const (
		gsm7  = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
		gsm14 = "^{}\\[~]|€"
	)
	septets := 0
	for _, c := range text {
		switch {
		case strings.ContainsRune(gsm7, c):
			septets++
		case strings.ContainsRune(gsm14, c):
			septets += 2
		default:
			septets += 1000
		}
	}
	switch valid := r.PostFormValue("ValidityPeriod"); {
	case r.Method == http.MethodGet:
		told(w, `{"messages":[],"page_size":1}`)
	case valid != "" && (!matches("[1-9][0-9]{0,4}", valid) || len(valid) == 5 && valid > "36000"):
		say(400, 21622, "ValidityPeriod must be between 1 and 36000 seconds")
	case text == "" || utf8.RuneCountInString(text) > 1600:
		say(400, 21617, "The concatenated message body exceeds the 1600 character limit")
	case septets > 160:
		say(400, 21617, fmt.Sprintf("more than one message: %q", text))
	default:
		refuse(w, http.StatusCreated, `{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued","error_code":null}`)
	}
}

// mastodon is https://docs.joinmastodon.org/methods/statuses/. It counts a mention
// without its server, and gives the first post for a key that it knows. The posts
// 42 and up are there to be edited and answered.
func mastodon(visibility string, mentioned int) http.HandlerFunc {
	var mu sync.Mutex
	posts := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Status, Visibility, Language string
			InReplyTo                    string `json:"in_reply_to_id"`
		}
		say := func(status int, text string) { refuse(w, status, fmt.Sprintf(`{"error":%q}`, text)) }
		path, found := "", false
		if _, path, found = strings.Cut(r.URL.Path, "/api/v1/"); !found {
			say(404, "Record not found")
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+ServiceToken {
			say(401, "The access token is invalid")
			return
		}
		if r.Method == http.MethodGet && path == "apps/verify_credentials" {
			told(w, `{"name":"sshnotify","scopes":["write:statuses"]}`)
			return
		}
		id, edit := "", false
		if id, edit = strings.CutPrefix(path, "statuses/"); edit && r.Method == http.MethodPut && id != "42" || !edit && path != "statuses" {
			say(404, "Record not found")
			return
		}
		err := readStrict(r, &m)
		size, mentions := 0, 0
		for word := range strings.SplitSeq(m.Status, " ") {
			if strings.HasPrefix(word, "@") {
				mentions++
				word, _, _ = strings.Cut(word[1:], "@")
				size++
			}
			size += utf8.RuneCountInString(word) + 1
		}
		key := r.Header.Get("Idempotency-Key")
		switch {
		case err != nil:
			say(400, err.Error())
		case m.Status == "" || size-1 > 500:
			say(422, fmt.Sprintf("Validation failed: Text character limit of 500 exceeded: %d", size-1))
		case !edit && m.Visibility != visibility || mentions != mentioned || strings.Count(m.Status, "@") != 2*mentioned:
			say(422, fmt.Sprintf("others would read it: %q", m.Status))
		case !edit && key == "":
			say(422, "no Idempotency-Key")
		default:
			mu.Lock()
			defer mu.Unlock()
			if _, ok := posts[key]; !ok {
				posts[key] = 42 + len(posts)
			}
			told(w, fmt.Sprintf(`{"id":"%d","visibility":%q}`, posts[key], visibility))
		}
	}
}

// gotify is https://gotify.net/api-docs, POST /message with an application's token.
func gotify(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Title, Message string
		Priority       *int
	}
	say := func(status int, text string) {
		refuse(w, status, fmt.Sprintf(`{"error":%q,"errorCode":%d,"errorDescription":%q}`, http.StatusText(status), status, text))
	}
	switch {
	case !strings.HasSuffix(r.URL.Path, "/message") || r.Method != http.MethodPost:
		say(404, "page not found")
	case r.Header.Get("X-Gotify-Key") != ServiceToken:
		say(401, "you need to provide a valid access token or user credentials to access this api")
	default:
		if r.ContentLength <= 0 {
			say(400, "Field 'message' is required")
			return
		}
		if err := readStrict(r, &m); err != nil || m.Message == "" || m.Priority == nil || *m.Priority < 0 || *m.Priority > 10 {
			say(400, fmt.Sprintf("Field 'message' is required: %v", err))
			return
		}
		told(w, `{"id":25,"appid":5,"message":"x"}`)
	}
}
