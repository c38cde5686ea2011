package slackmsg

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Select Graphic Rendition, ECMA-48 8.3.117; 38;2 is a 24-bit colour.
const (
	ansiBold    = "\x1b[1m"
	ansiNotBold = "\x1b[22m"
	ansiDim     = "\x1b[2m"
	ansiReset   = "\x1b[0m"
)

// RenderText gives the message about as Slack would show it, for people: the
// headline, then the attachment beside its bar. With colour the bar has the
// verdict's, and labels are bold; without, no escape sequence is written.
// Strings from outside can't bring any: every control character is spelt out.
func RenderText(a event.Alert, coloured bool) string {
	f, bar, dim, reset := asPlain, "▌ ", "", ""
	if coloured {
		f, dim, reset = asTerminal, ansiDim, ansiReset
		bar = colouredBar(colour(a.Verdict)) + " "
	}
	var b strings.Builder
	row := func(s string) { b.WriteString(bar + s + "\n") }
	b.WriteString(Headline(a) + "\n")
	row(append(append(line{{kind: bold}}, title(a)...), piece{kind: bold}).render(f))
	for _, l := range body(a, textLimit(a)) {
		row(l.render(f))
	}
	row(dim + footer(a).render(asPlain) + reset)
	return b.String()
}

func colouredBar(colour string) string {
	rgb, err := hex.DecodeString(strings.TrimPrefix(colour, "#"))
	if err != nil || len(rgb) != 3 {
		return "▌"
	}
	return fmt.Sprintf("\x1b[38;2;%d;%d;%dm▌%s", rgb[0], rgb[1], rgb[2], ansiReset)
}
