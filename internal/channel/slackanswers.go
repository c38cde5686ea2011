package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// What answering needs of a bot: to ask somebody alone, to change what was told, and
// to know who they are. Whoever calls these waits for what Slack's limits ask for;
// every error is an *Error.

// SlackApp is how the socket of an app is reached.
type SlackApp struct {
	Client     *outbound.Client
	API, Token outbound.Secret // where the methods are; the app-level token
	// Ask is from which severity on somebody is asked; Never: nobody is.
	Ask         event.Severity
	Never       bool
	Confirm     bool // "It was me" is confirmed in the session of the login
	AnswersFrom []string
	RespondFrom []string
}

// Asks reports whether the settings have a socket for answers.
func (s *Slack) Asks() bool { return !s.AppToken.IsZero() }

func (s *Slack) hasAnswers(at strictoml.At) bool {
	return at.Has("app_token") || at.Has("app_token_file") || at.Has("ask") || at.Has("confirm") || at.Has("answers_from") || at.Has("respond_from")
}

func (s *Slack) validateAnswers(at strictoml.At) {
	switch {
	case !s.AppToken.IsZero() && !strings.HasPrefix(s.AppToken.Reveal(), "xapp-"):
		at.Fail("app_token", "is not an app-level token, which begins with xapp-").Hint = "make one with the scope connections:write under Basic Information, App-Level Tokens, at https://api.slack.com/apps"
	case s.AppToken.IsZero() && (at.Has("ask") || at.Has("confirm") || at.Has("answers_from") || at.Has("respond_from")) && !at.Has("app_token") && !at.Has("app_token_file"):
		at.Fail("", "ask, confirm, answers_from and respond_from need app_token_file: without it nobody can press a button").Hint = "see docs/was-it-you.md"
	}
	areMembers(at, "answers_from", s.AnswersFrom)
	areMembers(at, "respond_from", s.RespondFrom)
}

func areMembers(at strictoml.At, key string, ids []string) {
	for _, id := range ids {
		if !isSlackUser(id) {
			at.Fail(key, "%q is not the id of a member (U and letters or digits)", id).Hint = "in Slack: the member's profile, More, Copy member ID"
		}
	}
}

// App returns how the bot's socket is reached; false: it has none, and no buttons.
func (b *SlackBot) App() (SlackApp, bool) {
	s := b.settings
	app := SlackApp{Client: b.client, API: b.api, Token: s.AppToken, Ask: event.Medium, Never: s.Ask == AskNever, Confirm: s.Confirm == ConfirmByCode, AnswersFrom: s.AnswersFrom, RespondFrom: s.RespondFrom}
	switch s.Ask {
	case "high":
		app.Ask = event.High
	case "critical":
		app.Ask = event.Critical
	}
	return app, !s.AppToken.IsZero()
}

// Direct tells an alert to a member alone.
func (b *SlackBot) Direct(ctx context.Context, a event.Alert, user string) (event.Receipt, error) {
	where := map[string]string{"channel": user}
	reply, err := b.post(ctx, "chat.postMessage", a, where)
	if err != nil && reply.Error == "channel_not_found" {
		if where["channel"], err = b.open(ctx, user); err == nil {
			reply, err = b.post(ctx, "chat.postMessage", a, where)
		}
	}
	if err != nil {
		return nil, err
	}
	return event.Receipt{"channel": string(reply.Channel), "ts": reply.TS}, nil
}

// Update puts an alert in the place of a message, and nowhere else.
func (b *SlackBot) Update(ctx context.Context, a event.Alert, at event.Receipt) error {
	_, err := b.post(ctx, "chat.update", a, map[string]string{"channel": at["channel"], "ts": at["ts"]})
	return err
}

// Whisper shows a message to one member, where another message is
// (https://docs.slack.dev/reference/methods/chat.postEphemeral).
func (b *SlackBot) Whisper(ctx context.Context, m message.Message, at event.Receipt, user string) error {
	_, err := b.postMessage(ctx, "chat.postEphemeral", m, map[string]string{"channel": at["channel"], "thread_ts": at["thread_ts"], "user": user})
	return err
}

// OpenDialog shows a view to the member whose press has a trigger, which holds for three
// seconds (https://docs.slack.dev/reference/methods/views.open).
func (b *SlackBot) OpenDialog(ctx context.Context, view *slackmsg.View, trigger string) error {
	body, err := json.Marshal(map[string]any{"trigger_id": trigger, "view": view})
	if err != nil {
		return &Error{Class: Bug, Err: err}
	}
	answer, err := b.do(ctx, "Slack dialog", "views.open", body)
	if err != nil {
		return notAnswered(err)
	}
	if _, e := b.read(answer); e != nil {
		return e
	}
	return nil
}

// Member returns the id of the member with a mail address, empty where there is none
// who can be asked (https://docs.slack.dev/reference/methods/users.lookupByEmail).
func (b *SlackBot) Member(ctx context.Context, email string) (string, error) {
	answer, err := b.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "Slack member", URL: outbound.NewSecret(b.api.Reveal() + "/users.lookupByEmail"), MaxBody: slackBotAnswer,
		Body:   []byte(url.Values{"email": {email}}.Encode()), // the method takes no JSON
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + b.token.Reveal()}},
	})
	if err != nil {
		return "", notAnswered(err)
	}
	reply, e := b.read(answer)
	switch {
	case reply.Error == "users_not_found":
		return "", nil
	case e != nil:
		return "", e
	case reply.User.Deleted || reply.User.Bot || !isSlackUser(reply.User.ID):
		return "", nil
	}
	return reply.User.ID, nil
}

// Who returns the id of the workspace that the token is for, and the token's scopes
// as far as Slack says them.
func (b *SlackBot) Who(ctx context.Context) (team string, scopes []string, err error) {
	answer, err := b.do(ctx, "Slack workspace", "auth.test", nil)
	if err != nil {
		return "", nil, notAnswered(err)
	}
	reply, e := b.read(answer)
	if e != nil {
		return "", nil, e
	}
	return reply.TeamID, scopesOf(answer), nil
}

// scopesOf returns the scopes of the token that an answer is for.
func scopesOf(r *outbound.Response) []string {
	return strings.FieldsFunc(r.Header.Get("X-OAuth-Scopes"), func(c rune) bool { return c == ',' || c == ' ' })
}

// Connects asks Slack whether the app-level token opens a socket, and opens none
// (https://docs.slack.dev/reference/methods/apps.connections.open).
func (a SlackApp) Connects(ctx context.Context) error {
	answer, err := a.Client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "doctor", URL: outbound.NewSecret(a.API.Reveal() + "/apps.connections.open"), MaxBody: slackBotAnswer,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + a.Token.Reveal()}},
	})
	if err != nil {
		return notAnswered(err)
	}
	reply, e := slackBotError(answer)
	if e == nil {
		return nil
	}
	const basic = "under Basic Information, App-Level Tokens, at https://api.slack.com/apps"
	switch reply.Error {
	case "invalid_auth", "not_authed", "token_revoked", "not_allowed_token_type":
		e.Hint = "make an app-level token " + basic + ", and put it where app_token_file says"
	case "missing_scope":
		e.Hint = "make an app-level token with the scope " + cmp.Or(event.Clean(reply.Needed, excerptLength), "connections:write") + " " + basic
	default:
		if e.Class != Again {
			e.Hint = "see whether Socket Mode is switched on for the app at https://api.slack.com/apps"
		}
	}
	return e
}
