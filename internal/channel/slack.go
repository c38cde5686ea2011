package channel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// slackPace is Slack's limit for a webhook, and for a channel
// (https://docs.slack.dev/apis/web-api/rate-limits). It allows short bursts of
// a size that it does not tell.
const slackPace = time.Second

// slackAnswer is how much of Slack's answer is read: a word, or a few.
const slackAnswer = 4 << 10

type slack struct {
	name   string
	client *outbound.Client
	url    outbound.Secret
}

// NewSlack gives the channel behind an incoming webhook
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// The error is CheckURL's; any https host is taken, see KnownSlackHost.
func NewSlack(name string, c *outbound.Client, url outbound.Secret) (Destination, error) {
	if err := outbound.CheckURL(url.Reveal()); err != nil {
		return nil, err
	}
	return &slack{name: name, client: c, url: url}, nil
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

func (s *slack) Name() string        { return s.name }
func (s *slack) Pace() time.Duration { return slackPace }

// Send posts the alert, and once more as plain text where Slack refuses its
// form: a bare message is better than none.
func (s *slack) Send(ctx context.Context, a event.Alert) error {
	m := message.New(a)
	answer, err := s.post(ctx, slackmsg.Build(m))
	if err == nil && worthPlain(answer) {
		answer, err = s.post(ctx, slackmsg.Plain(m))
	}
	if err != nil {
		return err
	}
	if e := slackError(answer); e != nil {
		return e
	}
	return nil
}

// worthPlain reports whether Slack refused the form of a message. A 400 without
// a word that is known counts: it may be a new one.
func worthPlain(r *outbound.Response) bool {
	known, ok := slackErrors[slackWord(r)]
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

// slackError reads Slack's answer: nil if the message was taken. The word in
// the body counts for more than the status, because for many words Slack does
// not document one, and some were seen with 200.
func slackError(r *outbound.Response) *Error {
	word := slackWord(r)
	if r.Status == http.StatusOK && word == "ok" && !r.Truncated {
		return nil
	}
	known, ok := slackErrors[word]
	if !ok {
		e := notUnderstood(r, "Slack")
		if e.Class == Again && e.RetryAfter == 0 && r.Status >= 400 {
			e.RetryAfter = slackRetryAfter(r)
		}
		return e
	}
	e := failed(known.class, "%s: %s", word, known.means)
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

// slackWord gives the word that is Slack's answer.
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

// slackRetryAfter gives the header's time, or the body's where there is none.
func slackRetryAfter(r *outbound.Response) time.Duration {
	var reply slackReply
	if r.RetryAfter > 0 || json.Unmarshal(r.Body, &reply) != nil {
		return r.RetryAfter
	}
	return time.Duration(min(max(reply.RetryAfter, 0), time.Hour.Seconds()) * float64(time.Second))
}
