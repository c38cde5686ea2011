package slackmsg

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/sshnotify/sshnotify/internal/event"
)

var (
	fromEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	labelMarks   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\*([^*]+)\*|(· )\*([^*]+)\*`) })
	linkMarks    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<([^|>]+)\|([^>]+)>`) })
)

// RenderReceived gives a payload that was received, as JSON, about as Slack
// would show it, in the form of RenderText. It is for payloads of this
// package's making: of Slack's markup it knows what Build uses.
func RenderReceived(raw []byte, colour bool) (string, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return "", err
	}
	bold, dim, reset := "$2$1$3", "", ""
	if colour {
		bold, dim, reset = "$2"+ansiBold+"$1$3"+ansiNotBold, ansiDim, ansiReset
	}
	var b strings.Builder
	fmt.Fprintln(&b, received(p.Text, len(p.Text)))
	for _, a := range p.Attachments {
		bar := "▌ "
		if colour {
			bar = colouredBar(a.Color) + " "
		}
		title := received(a.Title, len(a.Title))
		if colour {
			title = ansiBold + title + ansiNotBold
		}
		fmt.Fprintln(&b, bar+title)
		for line := range strings.Lines(a.Text) {
			line = linkMarks().ReplaceAllString(strings.TrimSuffix(line, "\n"), "$2 ($1)")
			fmt.Fprintln(&b, bar+labelMarks().ReplaceAllString(received(line, len(line)), bold))
		}
		fmt.Fprintln(&b, bar+dim+received(a.Footer, len(a.Footer))+reset)
	}
	return b.String(), nil
}

// received gives a string as a person reads it: a backtick is never data, which
// has a look-alike in its place. Cleaning comes last: nothing
// that was received may act on a terminal.
func received(s string, limit int) string {
	return event.Clean(strings.ReplaceAll(fromEntities.Replace(s), "`", ""), limit)
}
