package slackmsg

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// lateAfter is how late an alert must be told for the delay to be worth a word.
const lateAfter = 5 * time.Minute

// footer gives the reference that every command takes, the delay, and what is
// told along.
func footer(a event.Alert) line {
	l := line{say("ref "), quote(event.Ref(a.ID), 8)}
	if a.Late >= lateAfter {
		l = append(l, say(" · told "+span(a.Late)+" late"))
	}
	if len(a.Also) > 0 {
		t := tallyOf(a.Also)
		l = append(l, say(fmt.Sprintf(" · with %d more: ", t.n)))
		l = append(l, t.userCounts(maxFooter-l.width(asEscaped), 40, asEscaped)...)
	}
	return clip(l, maxFooter, asEscaped)
}
