package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// slackPace is Slack's limit for a webhook, and for a channel
// (https://docs.slack.dev/apis/web-api/rate-limits). It allows short bursts of
// a size that it does not tell.
const slackPace = time.Second

// slackAnswer is how much of Slack's answer is read: a word, or a few.
const slackAnswer = 4 << 10

// SlackType is the channel's name in the settings.
const SlackType = "slack"

// Slack are the settings of an incoming webhook
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks),
// or of an app's bot.
type Slack struct {
	// WebhookURL is what outbound.CheckURL takes. Any host is taken, see
	// KnownSlackHost.
	WebhookURL outbound.Secret `toml:"webhook_url,secret" doc:"the URL of an [incoming webhook](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks); this or token"`
	Token      outbound.Secret `toml:"token,secret" doc:"the bot token of an app, xoxb-…, in place of webhook_url"`
	Channel    string          `toml:"channel" check:"line=80" doc:"with token: a channel's name or id, or a user's id for direct messages"`
	// API is where Slack's methods are; GovSlack has another.
	API string `toml:"api_url" doc:"with token: where Slack's methods are, by default https://slack.com/api"`
	// AppToken lets somebody press buttons.
	AppToken outbound.Secret `toml:"app_token,secret" doc:"with token: the app-level token, xapp-…: messages of medium and worse get buttons, and [whose login it was is asked](was-it-you.md)"`
	// Ask is from which severity on whoever logged in is asked; AskNever: nobody is.
	Ask string `toml:"ask" check:"oneof=medium high critical never" doc:"with app_token: from which severity on whoever logged in is asked whether it was them: medium (default), high, critical or never"`
	// Confirm is ConfirmByCode where "It was me" counts only with a code.
	Confirm string `toml:"confirm" check:"oneof=code" doc:"with app_token: \"code\": *It was me* counts once a number that Slack shows is typed in the session of the login"`
	// AnswersFrom are members beside those of [person] whose clicks count.
	AnswersFrom []string `toml:"answers_from" check:"line=64" doc:"with app_token: the ids of members who may press the channel's buttons, beside those of \\[person.NAME\\]"`
	// RespondFrom are members who may have a host ordered to do something.
	RespondFrom []string `toml:"respond_from" check:"line=64" doc:"with app_token, at a hub: the ids of members who may [respond by button](was-it-you.md#respond-by-button); without it nobody"`
}

// AskNever is the Ask by which nobody is asked, and ConfirmByCode the Confirm by which
// whoever was asked types a code.
const (
	AskNever      = "never"
	ConfirmByCode = "code"
)

// Validate looks at the URL.
func (s *Slack) Validate(at strictoml.At) {
	if !s.Token.IsZero() {
		s.validateBot(at)
		return
	}
	if s.hasAnswers(at) && !at.Has("token") && !at.Has("token_file") { // whose secret may not be read
		at.Fail("", "app_token, ask, confirm, answers_from and respond_from are for a bot").Hint = "write token_file, see docs/was-it-you.md"
	}
	if s.WebhookURL.IsZero() {
		if !slices.ContainsFunc([]string{"webhook_url", "webhook_url_file", "token", "token_file"}, at.Has) {
			at.Fail("", "webhook_url or webhook_url_file, or token or token_file is missing")
		}
		return // said already, or not read
	}
	checkWebhook(at, s.WebhookURL.Reveal(), "Slack")
}

// Open returns the channel behind the webhook, or the token. The error is
// CheckURL's.
func (s *Slack) Open(name string, env Env) (Channel, error) {
	if !s.Token.IsZero() {
		return s.openBot(name, env)
	}
	if err := outbound.CheckURL(s.WebhookURL.Reveal()); err != nil {
		return nil, err
	}
	return &slack{name: name, client: env.Client, url: s.WebhookURL}, nil
}

type slack struct {
	name   string
	client *outbound.Client
	url    outbound.Secret
}

// KnownSlackHost reports whether a webhook's URL leads to Slack, or to this
// machine. Another host may be a relay, or a mistake worth a hint.
func KnownSlackHost(webhook outbound.Secret) bool {
	if outbound.CheckURL(webhook.Reveal()) != nil {
		return false
	}
	u, err := url.Parse(webhook.Reveal())
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Hostname()) {
	case "hooks.slack.com", "hooks.slack-gov.com":
		return strings.HasPrefix(u.Path, "/services/")
	}
	return u.Scheme == "http" // which leads to this machine only
}

func (s *slack) Name() string   { return s.name }
func (s *slack) Traits() Traits { return Traits{Pace: slackPace} }

// Send posts the alert, and once more as plain text where Slack refuses its
// form: a bare message is better than none.
func (s *slack) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	m := message.New(a)
	answer, err := s.post(ctx, slackmsg.Build(m))
	if err == nil && worthPlain(answer) {
		answer, err = s.post(ctx, slackmsg.Plain(m))
	}
	if err != nil {
		return nil, err
	}
	if e := slackError(answer); e != nil {
		return nil, e
	}
	return nil, nil
}

// worthPlain reports whether Slack refused the form of a message. A 400 without
// a word that is known counts: it may be a new one.
func worthPlain(r *outbound.Response) bool {
	known, ok := slackErrors()[slackWord(r)]
	return known.plain || !ok && r.Status == http.StatusBadRequest
}

func (s *slack) post(ctx context.Context, p slackmsg.Payload) (*outbound.Response, error) {
	body, err := p.JSON()
	if err != nil {
		return nil, &Error{Class: Bug, Err: err}
	}
	answer, err := s.client.Do(ctx, outbound.Request{
		Method:  http.MethodPost,
		Purpose: "Slack message",
		URL:     s.url,
		Header:  http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:    body,
		MaxBody: slackAnswer,
	})
	if err != nil {
		return nil, notAnswered(err)
	}
	return answer, nil
}

// Checks look whether the webhook is Slack's and, online, whether it works.
func (s *slack) Checks() []doctor.Check {
	return []doctor.Check{
		{Run: func(_ context.Context, r *doctor.Report) {
			if !KnownSlackHost(s.url) {
				r.Warn("secrets", r.Command("test"), "the webhook of destination.%s does not begin with https://hooks.slack.com/services/: right for a relay only", s.name)
			}
		}},
		{Needs: doctor.NeedsOnline, Run: s.reach},
	}
}

// reach sends an empty message: Slack looks at the webhook first, and then says
// that there is no text. Another host might post it, and is asked for its front
// page only.
func (s *slack) reach(ctx context.Context, r *doctor.Report) {
	name := "online " + s.name
	at, err := url.Parse(s.url.Reveal())
	if err != nil {
		r.Fail(name, r.Command("config check"), "the webhook is not a URL")
		return
	}
	req := outbound.Request{
		Method: http.MethodPost, Purpose: "doctor", URL: s.url, Body: []byte("{}"), MaxBody: slackAnswer,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
	}
	known := KnownSlackHost(s.url)
	if !known {
		front := url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/"}
		req = outbound.Request{Method: http.MethodHead, Purpose: "doctor", URL: outbound.NewSecret(front.String()), MaxBody: slackAnswer}
	}
	start := time.Now()
	answer, err := s.client.Do(ctx, req)
	if err != nil {
		hint := ""
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.Host != "" {
			hint = "curl -sS -o /dev/null " + at.Scheme + "://" + e.Host + "/"
		}
		r.Fail(name, hint, "%v", err)
		return
	}
	took := time.Since(start).Round(time.Millisecond)
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		r.ServerClock(date)
	}
	said := answer.Excerpt(excerptLength)
	switch {
	case !known:
		r.OK(name, "its host answers (%v); only a test message shows whether it takes messages: %s", took, r.Command("test"))
	case answer.Status == http.StatusBadRequest && (said == "no_text" || said == "missing_text_or_fallback_or_attachments" || said == "invalid_payload"):
		r.OK(name, "Slack knows the webhook (%v); an empty message was sent, which it refused without posting it", took)
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		r.Warn(name, "ask again later: "+r.Command("doctor --online"), "Slack was reached, and says HTTP %d %q", answer.Status, said)
	default:
		r.Fail(name, cmp.Or(slackMend(slackWord(answer)), "make a new webhook at https://api.slack.com/apps, and put its URL where "+r.Config+" says"),
			"Slack does not take messages for this webhook: HTTP %d %q", answer.Status, said)
	}
}

// slackMend says what to change where an incoming webhook refuses with a word.
func slackMend(word string) string {
	const make = "make a new webhook at https://api.slack.com/apps (Incoming Webhooks)"
	switch word {
	case "no_service", "no_active_hooks", "invalid_token", "token_revoked", "account_inactive":
		return make + ", and put its URL where webhook_url_file says"
	case "channel_not_found", "channel_is_archived", "posting_to_general_channel_denied":
		return make + " for another channel, and put its URL where webhook_url_file says"
	case "no_service_id", "no_team":
		return "copy the webhook's URL again, all of it, from https://api.slack.com/apps (Incoming Webhooks)"
	case "action_prohibited":
		return "ask the workspace's administrators to allow the app (Manage apps)"
	}
	return ""
}

// slackError reads Slack's answer: nil if the message was taken. The word in
// the body counts for more than the status, because for many words Slack does
// not document one, and some were seen with 200.
func slackError(r *outbound.Response) *Error {
	word := slackWord(r)
	if r.Status == http.StatusOK && word == "ok" && !r.Truncated {
		return nil
	}
	known, ok := slackErrors()[word]
	if !ok {
		e := notUnderstood(r, "Slack")
		if e.Class == Again && e.RetryAfter == 0 && r.Status >= 400 {
			e.RetryAfter = slackRetryAfter(r)
		}
		return e
	}
	e := failed(known.class, "%s: %s", word, known.means)
	e.Hint = slackMend(word)
	if e.Class == Again {
		e.RetryAfter = slackRetryAfter(r)
		e.Sent = r.Status >= 500
	}
	return e
}

// slackReply is the form in which Slack was seen to refuse for the rate.
type slackReply struct {
	Error      string  `json:"error"`
	RetryAfter float64 `json:"retry_after"` // seconds
}

// slackWord returns the word that is Slack's answer.
func slackWord(r *outbound.Response) string {
	text := strings.TrimSpace(string(r.Body))
	if !strings.HasPrefix(text, "{") {
		return text
	}
	var reply slackReply
	if json.Unmarshal([]byte(text), &reply) != nil || reply.Error == "ok" {
		return text // it takes more than a member of that name to have told
	}
	return reply.Error
}

// slackRetryAfter returns the header's time, or the body's where there is none.
func slackRetryAfter(r *outbound.Response) time.Duration {
	var reply slackReply
	if r.RetryAfter > 0 || json.Unmarshal(r.Body, &reply) != nil {
		return r.RetryAfter
	}
	return time.Duration(min(max(reply.RetryAfter, 0), time.Hour.Seconds()) * float64(time.Second))
}

type refusal struct {
	class Class
	plain bool // worth trying as plain text
	means string
}

// slackErrors are the words with which an incoming webhook refuses a message
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
// and what was seen in the field).
var slackErrors = sync.OnceValue(func() map[string]refusal {
	return map[string]refusal{
		"invalid_payload":      {Bug, false, "Slack can't read the message"},
		"no_text":              {Bug, false, "Slack finds no text in the message"},
		"too_many_attachments": {Bug, false, "the message has more attachments than Slack takes"},
		"user_not_found":       {Bug, false, "the message is for a user that Slack does not know"},

		"invalid_attachments":                     {Bug, true, "Slack does not take the attachment"},
		"invalid_blocks":                          {Bug, true, "Slack does not take the message's blocks"},
		"invalid_blocks_format":                   {Bug, true, "Slack does not take the message's blocks"},
		"msg_blocks_too_long":                     {Bug, true, "the message is too long for Slack"},
		"msg_too_long":                            {Bug, true, "the message is too long for Slack"},
		"missing_text_or_fallback_or_attachments": {Bug, true, "Slack finds no text in the message"},

		"action_prohibited":                 {Broken, false, "the workspace's administrators forbid this webhook to post"},
		"posting_to_general_channel_denied": {Broken, false, "the workspace's administrators forbid posting to #general; make a webhook for another channel"},
		"invalid_token":                     {Broken, false, "the webhook's URL is wrong or was revoked; make a new one"},
		"token_revoked":                     {Broken, false, "the webhook was revoked; make a new one"},
		"account_inactive":                  {Broken, false, "who made the webhook has left the workspace, or its app was removed; make a new one"},
		"channel_not_found":                 {Broken, false, "the channel was deleted, or the webhook may not post there; make a webhook for another channel"},
		"channel_is_archived":               {Broken, false, "the channel was archived; unarchive it, or make a webhook for another one"},
		"no_service":                        {Broken, false, "the webhook was removed, disabled or revoked; make a new one"},
		"no_service_id":                     {Broken, false, "the webhook's URL is not complete; copy it again"},
		"no_active_hooks":                   {Broken, false, "the webhook was disabled; make a new one"},
		"no_team":                           {Broken, false, "Slack does not know the workspace in the webhook's URL; copy it again"},
		"team_disabled":                     {Broken, false, "the workspace was disabled"},

		"rollup_error": {Again, false, "something went wrong within Slack"},
		"rate_limited": {Again, false, "too many messages, Slack asks to wait"},
		"ratelimited":  {Again, false, "too many messages, Slack asks to wait"},
	}
})
