package slackmsg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// How much of a name a title shows. Linux allows users of 32 characters and
// hosts of 64; the rest of a title takes less than 70.
const (
	titleUser = 60
	titleHost = 90
	titleNote = 150
)

// title gives the attachment's first line.
func title(a event.Alert) line {
	e := a.Event
	host := marked(orUnknown(e.Host, "host"), titleHost)
	user := marked(orUnknown(e.User, "user"), titleUser)
	door := quote(service(e), 20)
	at := timed(a, " at ")
	if a.Count > 1 {
		at = timed(a, " until ")
	}
	var l line
	switch {
	case a.Test:
		l = slices.Concat(line{say("Test message from sshnotify on host ")}, host, at)
	case public(e):
		l = line{quote(noteTitle(a), titleNote)}
	case len(a.Rows) > 0:
		l = digestTitle(a)
	case becomes(e) && a.Count > 1:
		l = slices.Concat(line{say(fmt.Sprintf("%d more ", a.Count)), door, say(" to ")}, user, by(e), line{say(" on ")}, host, at)
	case becomes(e):
		l = slices.Concat(line{say("New "), door, say(" to ")}, user, by(e), line{say(" on ")}, host, at)
	case e.Kind == event.KindLogin && a.Count > 1:
		l = slices.Concat(line{say(fmt.Sprintf("%d more ", a.Count)), door, say(" logins of ")}, user, line{say(" to ")}, host, at)
	case e.Kind == event.KindLogin:
		l = slices.Concat(line{say("New "), door, say(" login of ")}, user, line{say(" to ")}, host, at)
	case e.Kind == event.KindLogout && a.Count > 1:
		l = slices.Concat(line{say(fmt.Sprintf("%d more ", a.Count)), door, say(" logouts of ")}, user, line{say(" from ")}, host, at)
	case e.Kind == event.KindLogout:
		l = slices.Concat(line{say("End of the "), door, say(" session of ")}, user, line{say(" on ")}, host, at)
	case e.Kind == event.KindWitness:
		l = witnessTitle(a, host, at)
	case a.Count > 1:
		l = slices.Concat(line{say(more(a.Count, e.Kind)), say(" on ")}, host, at)
	default:
		l = slices.Concat(line{quote(noteTitle(a), titleNote), say(" on ")}, host, at)
	}
	return clip(l, maxTitle, asEscaped)
}

// becomes reports whether a login is somebody's on the host who becomes
// another user, by sudo or su.
func becomes(e event.Event) bool { return e.Kind == event.KindLogin && !blank(e.By()) }

func by(e event.Event) line { return append(line{say(" by ")}, marked(e.By(), titleUser)...) }

// marked puts a name between the contract's marks.
func marked(s string, limit int) line {
	return line{say(">"), quote(s, limit), say("<")}
}

// timed is " at 02:15:04 AM (UTC), 21 Nov 2026", or nothing without a time.
func timed(a event.Alert, preposition string) line {
	t := newest(a)
	if t.IsZero() {
		return nil
	}
	return line{say(preposition + inZone(t, a).Format(clock))}
}

// service is the adjective that tells by which door: SSH, or the name of a PAM
// service.
func service(e event.Event) string {
	switch s := strings.TrimSpace(e.Service); {
	case s == "" || s == "sshd" || s == "ssh":
		return "SSH"
	case s == "login":
		return "console"
	case s == "su-l", s == "sudo-i": // the same, with a login shell
		return s[:len(s)-2]
	default:
		return s
	}
}

// public reports whether strangers read what an event tells.
func public(e event.Event) bool {
	n := e.Note()
	return n != nil && n.Public
}

// noteTitle is the note's own, or the name of the kind.
func noteTitle(a event.Alert) string {
	if title, _ := message.Note(a.Event, a.Zone); !blank(title) {
		return title
	}
	switch a.Event.Kind {
	case event.KindAttack:
		return "Attack"
	case event.KindMatch:
		return "Match"
	default:
		return "Alert"
	}
}
