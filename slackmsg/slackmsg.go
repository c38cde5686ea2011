// Package slackmsg owns what a message looks like in Slack: its limits, and the
// escaping of everything that comes from outside. It builds the payload of an
// incoming webhook.
//
// It must never send anything, choose a word, a severity or a reason, or read a
// clock.
package slackmsg

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/message"
)

// What a message may hold at most, in characters as Slack gets them (an
// escaped "<" counts as four). Slack folds an attachment's text at 700
// characters or five line breaks, cuts a footer at 300 and splits a message
// above some 4,000
// (https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments).
const (
	maxHeadline = 80 // what the notification of a phone shows
	maxTitle    = 250
	maxText     = 700
	maxLines    = 5
	// Of what somebody asked for, which may fold.
	maxLongLines = 25
	maxDigest    = 3800
	maxFallback  = 1000
	maxFooter    = 300
	maxPlain     = 3900
)

// Payload is the body of a POST to an incoming webhook. The fields that it
// shadows are those that slack-go always writes out, null or false: Slack
// answers 400 to an attachment that has text as well as blocks.
type Payload struct {
	slack.WebhookMessage
	Attachments     []Attachment `json:"attachments,omitempty"`
	ReplaceOriginal *bool        `json:"replace_original,omitempty"` // never set
	DeleteOriginal  *bool        `json:"delete_original,omitempty"`  // never set
}

// Attachment is slack-go's, which has blocks or all else but a colour.
type Attachment struct {
	slack.Attachment
	Blocks *slack.Blocks `json:"blocks,omitempty"`
}

// Build returns a message as Slack gets it: a headline, and one attachment; where it
// can be answered a second one, with the buttons. It takes any message, and the
// limits hold whatever its strings are.
func Build(m message.Message) Payload {
	p := payload(render(m.Headline.Fit(asText.count(), maxHeadline), asText))
	title := render(m.Title.Fit(asEscaped.count(), maxTitle), asEscaped)
	att := slack.Attachment{
		Color:      message.Colour(m.Verdict),
		Title:      title,
		Text:       body(m, m.BodySize(maxText, maxDigest), asMrkdwn),
		MarkdownIn: []string{"text"},
		Fallback:   stack(title, body(m, min(m.BodySize(maxText, maxDigest), maxFallback-utf8.RuneCountInString(title)-1), asEscaped)),
		Footer:     render(m.Footer.Fit(asEscaped.count(), maxFooter), asEscaped),
	}
	if !m.Time.IsZero() {
		att.Ts = json.Number(strconv.FormatInt(m.Time.Unix(), 10))
	}
	p.Attachments = []Attachment{{Attachment: att}}
	if m.Asked != nil {
		if below, any := asked(m.Asked, att.Color); any {
			p.Attachments = append(p.Attachments, below)
		}
	}
	return p
}

// Plain returns a message as text alone, for when Slack refuses the attachment.
func Plain(m message.Message) Payload {
	first := render(m.Headline.Fit(asText.count(), maxHeadline), asText) + "\n" + render(m.Title.Fit(asEscaped.count(), maxTitle), asText)
	last := render(m.Footer.Fit(asEscaped.count(), maxFooter), asText)
	room := maxPlain - utf8.RuneCountInString(first) - utf8.RuneCountInString(last) - 2
	return payload(stack(first, body(m, min(m.BodySize(maxText, maxDigest), room), asText), last))
}

// stack puts what is not empty into lines of its own.
func stack(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}

// body renders reasons and lines, at most limit characters of them. Without its
// marks the text is shorter than with them, if anything.
func body(m message.Message, limit int, f form) string {
	var lines []string
	most := maxLines
	if m.Long {
		most = maxLongLines
	}
	for _, l := range m.Body(asMrkdwn.count(), limit, most) {
		lines = append(lines, render(l, f))
	}
	return strings.Join(lines, "\n")
}

// payload returns the part that every payload has. parse "none" asks Slack to
// leave bare URLs and names as they are, and unfurling would make it fetch a
// stranger's URL.
func payload(text string) Payload {
	no := false
	return Payload{WebhookMessage: slack.WebhookMessage{
		Text:        text,
		Parse:       "none",
		UnfurlLinks: &no,
		UnfurlMedia: &no,
	}}
}

// JSON returns the payload as it is posted.
func (p Payload) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "&lt;" instead of "\u0026lt;"
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
