package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// slackAPI is where the methods of the Web API are.
const slackAPI = "https://slack.com/api"

// slackBotAnswer is how much of an answer is read: it repeats the message.
const slackBotAnswer = 256 << 10

func (s *Slack) validateBot(at strictoml.At) {
	if !s.WebhookURL.IsZero() {
		at.Fail("token", "can't stand beside webhook_url").Hint = "leave out one of the two"
	}
	if s.Channel == "" {
		at.Fail("", "channel is missing: a token does not say where to").Hint = `write channel = "#alerts", or the id of a channel or a user`
	}
	if !strings.HasPrefix(s.Token.Reveal(), "xoxb-") {
		at.Fail("token", "is not a bot token, which begins with xoxb-").Hint = "copy the Bot User OAuth Token from OAuth & Permissions at https://api.slack.com/apps"
	}
	s.validateAnswers(at)
	if s.API != "" && outbound.CheckURL(s.API) != nil {
		at.Fail("api_url", "must be an https URL such as %s", slackAPI)
	}
}

func (s *Slack) openBot(name string, env Env) (Channel, error) {
	api := strings.TrimSuffix(cmp.Or(s.API, slackAPI), "/")
	if err := outbound.CheckURL(api); err != nil {
		return nil, err
	}
	b := &SlackBot{name: name, client: env.Client, api: outbound.NewSecret(api), token: s.Token, channel: s.Channel, settings: s}
	b.to.Store(&s.Channel)
	return b, nil
}

// SlackBot posts with an app's bot token
// (https://docs.slack.dev/reference/methods/chat.postMessage).
type SlackBot struct {
	name, channel string
	settings      *Slack
	client        *outbound.Client
	api, token    outbound.Secret        // api is none, but hidden as the URL of every destination is
	to            atomic.Pointer[string] // channel, or the conversation that was opened with a user
}

func (b *SlackBot) Name() string   { return b.name }
func (b *SlackBot) Traits() Traits { return Traits{Pace: slackPace} }

// Send posts the alert: in the thread of its parent, or in place of the message
// that it repeats. A message that can't be changed any more is posted anew. The
// receipt has the channel's id and the message's ts, and thread_ts where it is in
// a thread.
func (b *SlackBot) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	if old := a.Replaces; old["ts"] != "" {
		reply, err := b.post(ctx, "chat.update", a.Merged(), map[string]string{"channel": old["channel"], "ts": old["ts"]})
		if err == nil {
			return old, nil
		}
		if !slackCantUpdate(reply.Error) {
			return nil, err
		}
	}
	where := map[string]string{"channel": *b.to.Load()}
	if thread := cmp.Or(a.Parent["thread_ts"], a.Parent["ts"]); thread != "" { // never a reply's own
		where["channel"], where["thread_ts"] = a.Parent["channel"], thread
	}
	reply, err := b.post(ctx, "chat.postMessage", a, where)
	if err != nil && reply.Error == "channel_not_found" && where["channel"] == b.channel && isSlackUser(b.channel) {
		if where["channel"], err = b.open(ctx, b.channel); err == nil {
			b.to.Store(new(where["channel"]))
			reply, err = b.post(ctx, "chat.postMessage", a, where)
		}
	}
	if err != nil {
		return nil, err
	}
	got := event.Receipt{"channel": string(reply.Channel), "ts": reply.TS}
	if t := where["thread_ts"]; t != "" {
		got["thread_ts"] = t
	}
	return got, nil
}

// isSlackUser reports whether a channel is the id of a user.
func isSlackUser(channel string) bool {
	ok, _ := regexp.MatchString(`^[UW][A-Z0-9]{5,20}$`, channel)
	return ok
}

// open begins a conversation with the user, where Slack takes no message by the
// user's id alone, and returns the conversation's id
// (https://docs.slack.dev/reference/methods/conversations.open).
func (b *SlackBot) open(ctx context.Context, user string) (string, error) {
	body, err := json.Marshal(map[string]string{"users": user})
	if err != nil {
		return "", &Error{Class: Bug, Err: err}
	}
	answer, err := b.do(ctx, "Slack message", "conversations.open", body)
	if err != nil {
		e := notAnswered(err)
		e.Sent = false // no message was
		return "", e
	}
	reply, e := b.read(answer)
	if e != nil {
		e.Sent = false
		return "", e
	}
	return string(reply.Channel), nil
}

// slackCantUpdate reports whether a word means that the message itself can't be
// changed any more.
func slackCantUpdate(word string) bool {
	return slices.Contains([]string{"message_not_found", "edit_window_closed", "cant_update_message"}, word)
}

// slackChannel is a channel's id, of which some methods answer more.
type slackChannel string

func (c *slackChannel) UnmarshalJSON(b []byte) error {
	var whole struct{ ID string }
	if json.Unmarshal(b, &whole) == nil {
		*c = slackChannel(whole.ID)
		return nil
	}
	return json.Unmarshal(b, (*string)(c))
}

// slackBotReply is what a method answers.
type slackBotReply struct {
	OK      bool         `json:"ok"`
	Error   string       `json:"error"`
	Channel slackChannel `json:"channel"`
	TS      string       `json:"ts"`
	Needed  string       `json:"needed"` // of missing_scope
	Team    string       `json:"team"`   // of auth.test
	TeamID  string       `json:"team_id"`
	User    struct {     // of users.lookupByEmail
		ID      string `json:"id"`
		TeamID  string `json:"team_id"`
		Deleted bool   `json:"deleted"`
		Bot     bool   `json:"is_bot"`
	} `json:"user"`
}

// post calls a method with a message, and once more as plain text where Slack
// refuses its form.
func (b *SlackBot) post(ctx context.Context, method string, a event.Alert, where map[string]string) (slackBotReply, error) {
	return b.postMessage(ctx, method, message.New(a), where)
}

func (b *SlackBot) postMessage(ctx context.Context, method string, m message.Message, where map[string]string) (slackBotReply, error) {
	reply, err := b.call(ctx, method, slackmsg.Build(m), where)
	if known := slackErrors()[reply.Error]; err != nil && known.plain {
		reply, err = b.call(ctx, method, slackmsg.Plain(m), where)
	}
	return reply, err
}

func (b *SlackBot) call(ctx context.Context, method string, p slackmsg.Payload, where map[string]string) (slackBotReply, error) {
	// chat.update takes "client" where it is told nothing, and would make links and
	// mentions of names.
	p.Channel, p.ThreadTimestamp, p.Parse = where["channel"], where["thread_ts"], "none"
	body, err := p.JSON()
	for _, key := range []string{"ts", "user"} { // which the payload of a webhook has not
		var all map[string]json.RawMessage
		if err != nil || where[key] == "" {
			continue
		}
		if err = json.Unmarshal(body, &all); err == nil {
			all[key], _ = json.Marshal(where[key])
			body, err = json.Marshal(all)
		}
	}
	if err != nil {
		return slackBotReply{}, &Error{Class: Bug, Err: err}
	}
	answer, err := b.do(ctx, "Slack message", method, body)
	if err != nil {
		return slackBotReply{}, notAnswered(err)
	}
	reply, e := b.read(answer)
	if e != nil {
		return reply, e
	}
	return reply, nil
}

// read is slackBotError, with what mends it.
func (b *SlackBot) read(r *outbound.Response) (slackBotReply, *Error) {
	reply, e := slackBotError(r)
	if e != nil && e.Class == Broken {
		e.Hint = b.mend(reply)
	}
	return reply, e
}

// mend says what to change at Slack; empty: it is in the settings.
func (b *SlackBot) mend(reply slackBotReply) string {
	const app = " at https://api.slack.com/apps"
	switch reply.Error {
	case "invalid_auth", "not_authed", "token_revoked":
		return "copy the Bot User OAuth Token (OAuth & Permissions" + app + ") to where token_file says; an app that allows some addresses only must allow this host's"
	case "token_expired":
		return "switch off token rotation" + app + ": tokens that expire are not for programs like this one"
	case "channel_not_found":
		return "write /invite and the app's name in " + b.channel + " if it is private; otherwise name the channel by its id (its details, at the end)"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return "ask who manages the channel to let the app post there (channel settings, Posting permissions), or name another"
	case "user_not_found", "user_disabled", "cannot_dm_bot":
		return "copy the member's id from their profile (⋮, Copy member ID)"
	case "not_in_channel":
		return "write /invite and the app's name in the channel " + b.channel
	case "missing_scope":
		return "add the scope " + cmp.Or(event.Clean(reply.Needed, excerptLength), "chat:write") + " under OAuth & Permissions" + app + ", and install the app again"
	case "account_inactive", "access_denied":
		return "install the app again" + app
	case "messages_tab_disabled":
		return "switch on the Messages Tab under App Home" + app
	case "is_archived":
		return "unarchive the channel " + b.channel
	}
	return ""
}

// do posts JSON, or without a body asks a method.
func (b *SlackBot) do(ctx context.Context, purpose, method string, body []byte) (*outbound.Response, error) {
	return b.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: purpose, URL: outbound.NewSecret(b.api.Reveal() + "/" + method), Body: body, MaxBody: slackBotAnswer,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Authorization": {"Bearer " + b.token.Reveal()}},
	})
}

// slackBotError reads an answer: 200 with "ok": true is success, and with false
// a word says what is wrong.
func slackBotError(r *outbound.Response) (slackBotReply, *Error) {
	var reply slackBotReply
	if json.Unmarshal(r.Body, &reply) != nil || r.Truncated || !reply.OK && reply.Error == "" || reply.OK && r.Status != http.StatusOK {
		return slackBotReply{}, notUnderstood(r, "Slack")
	}
	if reply.OK {
		return reply, nil
	}
	known, ok := slackBotErrors()[reply.Error]
	if !ok {
		known, ok = slackErrors()[reply.Error]
	}
	if !ok && (r.Status == http.StatusTooManyRequests || r.Status >= 300) {
		return reply, notUnderstood(r, "Slack")
	}
	if !ok { // a new word: of this message, or else it would have been met
		return reply, failed(Bug, "%s: Slack refuses the message", event.Clean(reply.Error, excerptLength))
	}
	means := known.means
	if reply.Error == "missing_scope" && reply.Needed != "" {
		means = strings.Replace(means, "chat:write", event.Clean(reply.Needed, excerptLength), 1)
	}
	e := failed(known.class, "%s: %s", reply.Error, means)
	if e.Class == Again {
		e.RetryAfter = slackRetryAfter(r)
		e.Sent = r.Status >= 500 || reply.Error == "internal_error" || reply.Error == "fatal_error" || reply.Error == "request_timeout"
	}
	return reply, e
}

// slackBotErrors are the words of the Web API that an incoming webhook does not
// have, or that mean something else there.
var slackBotErrors = sync.OnceValue(func() map[string]refusal {
	token := "the token is wrong or was revoked, or this host's address may not use it; copy the Bot User OAuth Token again"
	return map[string]refusal{
		"invalid_auth":     {Broken, false, token},
		"not_authed":       {Broken, false, token},
		"token_revoked":    {Broken, false, token},
		"token_expired":    {Broken, false, "the token has expired; switch off token rotation, or copy the new one"},
		"account_inactive": {Broken, false, "the app or its bot was removed from the workspace; install it again"},
		"missing_scope":    {Broken, false, "the app lacks a scope; add chat:write under OAuth & Permissions, and install the app again"},

		"not_in_channel":    {Broken, false, "the app is not in the channel; write /invite and the app's name there"},
		"channel_not_found": {Broken, false, "there is no such channel, or it is private and the app is not in it; write /invite and the app's name there, or use its id"},
		"is_archived":       {Broken, false, "the channel was archived; unarchive it, or name another one"},

		"messages_tab_disabled": {Broken, false, "the app takes no direct messages; switch on the Messages Tab under App Home"},
		"cannot_dm_bot":         {Broken, false, "the user is a bot, which gets no messages; name a person"},
		"user_not_found":        {Broken, false, "there is no such user; copy the member's id from their profile"},
		"user_disabled":         {Broken, false, "the user was deactivated; name another one"},

		"restricted_action":                        {Broken, false, "the workspace's administrators do not let the app post there"},
		"restricted_action_read_only_channel":      {Broken, false, "the channel is read-only; name another one"},
		"restricted_action_thread_only_channel":    {Broken, false, "the channel takes replies only; name another one"},
		"restricted_action_non_threadable_channel": {Bug, false, "the channel has no threads"},

		"ekm_access_denied":  {Broken, false, "the workspace's administrators have suspended messages"},
		"org_login_required": {Broken, false, "the workspace is being moved; wait until its owners are done"},
		"access_denied":      {Broken, false, "the token may not do this; install the app again"},

		"invalid_arguments": {Bug, false, "Slack does not understand the message"},

		"internal_error":      {Again, false, "something went wrong within Slack"},
		"fatal_error":         {Again, false, "something went wrong within Slack"},
		"service_unavailable": {Again, false, "Slack is away for a moment"},
		"request_timeout":     {Again, false, "Slack did not get the whole message in time"},
		"team_added_to_org":   {Again, false, "the workspace is being moved, which takes hours"},

		"message_not_found":   {Bug, false, "the message that was to be updated is gone"},
		"edit_window_closed":  {Bug, false, "the message can't be updated any more"},
		"cant_update_message": {Bug, false, "the message is not the app's own"},
	}
})

// Checks ask Slack, online, whose the token is and what it may do.
func (b *SlackBot) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: b.reach}}
}

func (b *SlackBot) reach(ctx context.Context, r *doctor.Report) {
	name := "online " + b.name
	start := time.Now()
	answer, err := b.do(ctx, "doctor", "auth.test", nil)
	if err != nil {
		r.Fail(name, "curl -sS -o /dev/null "+b.api.Reveal()+"/auth.test", "%v", err)
		return
	}
	reply, e := b.read(answer)
	if e != nil {
		if e.Class == Again {
			r.Warn(name, "ask again later: "+r.Command("doctor --online"), "Slack was reached, and says: %v", e)
			return
		}
		r.Fail(name, cmp.Or(e.Hint, "see https://api.slack.com/apps, and put the token where "+r.Config+" says"), "Slack does not take the token: %v", e)
		return
	}
	scopes := scopesOf(answer)
	if len(scopes) > 0 && !slices.Contains(scopes, "chat:write") {
		r.Fail(name, "add chat:write under OAuth & Permissions at https://api.slack.com/apps, and install the app again", "the token lacks the scope chat:write")
		return
	}
	took := time.Since(start).Round(time.Millisecond)
	team := event.Clean(reply.Team, excerptLength)
	// What is in a channel, only a token with one more scope may ask.
	info, err := b.client.Do(ctx, outbound.Request{
		Purpose: "doctor", URL: outbound.NewSecret(b.api.Reveal() + "/conversations.info?channel=" + url.QueryEscape(b.channel)), MaxBody: slackBotAnswer,
		Header: http.Header{"Authorization": {"Bearer " + b.token.Reveal()}},
	})
	var channel struct {
		OK      bool `json:"ok"`
		Channel struct {
			Member   bool `json:"is_member"`
			Archived bool `json:"is_archived"`
			IM       bool `json:"is_im"`
		} `json:"channel"`
	}
	known := err == nil && json.Unmarshal(info.Body, &channel) == nil && channel.OK
	switch c := channel.Channel; {
	case known && c.Archived:
		r.Fail(name, "unarchive the channel, or name another one", "Slack takes the token, but the channel %s is archived", b.channel)
	case known && !c.Member && !c.IM && !slices.Contains(scopes, "chat:write.public"):
		r.Fail(name, fmt.Sprintf("write /invite and the app's name in the channel %s", b.channel), "Slack takes the token, but the app is not in the channel %s", b.channel)
	case known:
		r.OK(name, "Slack takes the token for %s, and the app may post in %s (%v)", team, b.channel, took)
	default:
		r.OK(name, "Slack takes the token for %s (%v); only a test message shows whether %s takes messages: %s", team, took, b.channel, r.Command("test"))
	}
}
