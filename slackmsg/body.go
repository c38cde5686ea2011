package slackmsg

import (
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// textLimit is the most characters of an attachment's text.
func textLimit(a event.Alert) int {
	if len(a.Rows) > 0 {
		return maxDigest
	}
	return maxText
}

// body gives the lines of the attachment's text, at most limit characters of
// them, line breaks included. The limit must be some hundreds.
func body(a event.Alert, limit int) []line {
	if len(a.Rows) > 0 {
		return digestBody(a, limit)
	}
	// The reasons matter most, and get what the other lines leave: those give
	// way until there is room.
	room := limit - min(whyLine(a, maxText).width(asMrkdwn), maxWhy)
	var rest []line
	for _, each := range []int{160, 120, 90, 70, 50, 36, 24, 16, 8} {
		if rest = details(a, each); total(rest) <= room {
			break
		}
	}
	why := whyLine(a, limit-total(rest)-1)
	switch {
	case len(why) == 0:
		return rest
	case len(why) == 1 && len(rest) < maxLines: // the link alone, at the end
		return append(rest, why)
	default:
		return append([]line{why}, rest...)
	}
}

// maxWhy is the room that the other lines leave for reasons and a link.
const maxWhy = 280

// total is the length of lines with the line breaks between them.
func total(lines []line) int {
	n := max(0, len(lines)-1)
	for _, l := range lines {
		n += l.width(asMrkdwn)
	}
	return n
}

// whyLine gives the reasons, from medium on, and the runbook's link. Without
// reasons it is the link alone, one piece; without a link too it is empty.
func whyLine(a event.Alert, limit int) line {
	if a.Verdict.Severity < event.Medium {
		return nil
	}
	var tail line
	if u := safeURL(a.Runbook); u != "" {
		tail = line{say(" · "), {link, u}}
	}
	reasons := slices.DeleteFunc(slices.Clone(a.Verdict.Reasons), func(r string) bool { return blank(r) })
	if len(reasons) == 0 {
		return tail[min(1, len(tail)):]
	}
	const worthwhile = 60
	l := label(say("Why:"))
	room := limit - l.width(asMrkdwn)
	if w := tail.width(asMrkdwn); room-w >= worthwhile {
		room -= w
	} else {
		tail = nil // the reasons matter more
	}
	for i, r := range reasons {
		next := line{quote(r, maxText)}
		if i > 0 {
			next = append(line{say("; ")}, next...)
		}
		if next.width(asMrkdwn) > room {
			if i == 0 || room >= worthwhile/2 {
				l = append(l, clip(next, room, asMrkdwn)...)
			} else if room > 0 {
				l = append(l, say("…"))
			}
			break
		}
		l = append(l, next...)
		room -= next.width(asMrkdwn)
	}
	return append(l, tail...)
}

// details gives every line but the reasons, each outside string in it at most
// each characters long. A line with nothing to say is left out.
func details(a event.Alert, each int) []line {
	e, f := a.Event, a.Facts
	var lines []line
	if _, text := message.Note(e, a.Zone); !blank(text) {
		lines = append(lines, line{quote(text, 4*each)})
	}
	lines = append(lines, addressLine(e, f, each), ispLine(f, each))
	switch e.Kind {
	case event.KindLogin:
		lines = append(lines, riskLine(f, each), authLine(a, each))
		if a.Verdict.Severity < event.Medium { // the reasons say it better
			lines = append(lines, seenLine(a))
		}
	case event.KindLogout:
		lines = append(lines, sessionLine(a))
	case event.KindWitness:
		lines = append(lines, witnessLine(a))
	default:
		lines = append(lines, riskLine(f, each))
	}
	lines = slices.DeleteFunc(lines, func(l line) bool { return len(l) == 0 })
	most := maxLines
	if a.Verdict.Severity >= event.Medium {
		most-- // for the reasons
	}
	return lines[:min(len(lines), most)]
}
