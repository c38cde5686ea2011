// Package slackmsg owns what an alert looks like in Slack: which words stand
// where, the limits on each, and the escaping of everything that comes from
// outside. It builds the payload of an incoming webhook, and shows the same
// message in a terminal.
//
// It must never send anything, choose a colour or a severity, or read a clock.
package slackmsg

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/sshnotify/sshnotify/internal/event"
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
	maxDigest   = 3800
	maxFallback = 1000
	maxFooter   = 300
	maxPlain    = 3900
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

// Attachment is slack-go's without its blocks.
type Attachment struct {
	slack.Attachment
	Blocks *struct{} `json:"blocks,omitempty"` // never set
}

// Build gives an alert as Slack gets it: a headline, and one attachment. It
// takes any alert, and the limits hold whatever the alert's strings are.
func Build(a event.Alert) Payload {
	p := payload(headline(a, asText).render(asText))
	var lines []string
	for _, l := range body(a, textLimit(a)) {
		lines = append(lines, l.render(asMrkdwn))
	}
	att := slack.Attachment{
		Color:      colour(a.Verdict),
		Title:      title(a).render(asEscaped),
		Text:       strings.Join(lines, "\n"),
		MarkdownIn: []string{"text"},
		Fallback:   fallback(a),
		Footer:     footer(a).render(asEscaped),
	}
	if t := newest(a); !t.IsZero() {
		att.Ts = json.Number(strconv.FormatInt(t.Unix(), 10))
	}
	p.Attachments = []Attachment{{Attachment: att}}
	return p
}

// Plain gives an alert as text alone, for when Slack refuses the attachment.
func Plain(a event.Alert) Payload {
	lines := []string{headline(a, asText).render(asText), title(a).render(asText)}
	last := footer(a).render(asText)
	room := maxPlain - width(lines[0]) - width(lines[1]) - width(last) - 3
	// Without its marks the text is shorter than in the attachment, if anything.
	for _, l := range body(a, min(textLimit(a), room)) {
		lines = append(lines, l.render(asText))
	}
	return payload(strings.Join(append(lines, last), "\n"))
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

// JSON gives the payload as it is posted.
func (p Payload) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "&lt;" instead of "\u0026lt;"
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// fallback is what clients show that can't show an attachment.
func fallback(a event.Alert) string {
	t := title(a).render(asEscaped)
	lines := []string{t}
	for _, l := range body(a, min(textLimit(a), maxFallback-width(t)-1)) {
		lines = append(lines, l.render(asEscaped))
	}
	return strings.Join(lines, "\n")
}

// colour returns the contract's colour of a verdict.
func colour(v event.Verdict) string {
	switch {
	case v.Severity >= event.High:
		return "#ff0002"
	case v.Severity == event.Medium:
		return "#ffe200"
	case v.Knowledge == event.Known:
		return "#02ff00"
	case v.Knowledge == event.Usual:
		return "#2f81f7"
	}
	return "#9aa0a6" // never shown as safe
}
