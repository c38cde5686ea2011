package slackmsg

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

var (
	fromEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	labelMarks   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|· |• )(\*[^*]+\*)`) })
	linkMarks    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<([^|>]+)\|([^>]+)>`) })
)

// RenderReceived returns a payload that was received, as JSON, about as Slack
// would show it, in the form of message.Plain. It is for payloads of this
// package's making: of Slack's markup it knows what Build uses.
func RenderReceived(raw []byte, coloured bool) (string, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return "", err
	}
	if len(p.Attachments) == 0 {
		return fmt.Sprintln(received(p.Text)[0].Text), nil
	}
	a := p.Attachments[0]
	page := message.Page{Headline: received(p.Text)[0].Text, Colour: a.Color, Title: received(a.Title), Footer: received(a.Footer)}
	for text := range strings.Lines(a.Text) {
		text = linkMarks().ReplaceAllString(strings.TrimSuffix(text, "\n"), "$2: $1")
		var l message.Line
		at := 0
		for _, mark := range labelMarks().FindAllStringSubmatchIndex(text, -1) {
			l = append(l, received(text[at:mark[2]])...)
			l = append(l, message.Span{Kind: message.Bold, Spans: received(text[mark[2]+1 : mark[3]-1])})
			at = mark[3]
		}
		page.Lines = append(page.Lines, append(l, received(text[at:])...))
	}
	return page.Plain(coloured), nil
}

// received returns a string as a person reads it: a backtick is never data, which
// has a look-alike in its place. Cleaning comes last: nothing that was received
// may act on a terminal.
func received(s string) message.Line {
	return message.Line{{Kind: message.Untrusted, Text: event.Clean(strings.ReplaceAll(fromEntities.Replace(s), "`", ""), len(s))}}
}
