package slackmsg

import (
	"fmt"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// unreported ends the titles of sessions that only the system log knows.
const unreported = ", not reported by the login hook"

// opener is who opened a session, where that is somebody on the host: of a login
// it is the server.
func opener(e event.Event) string {
	if event.Became(e.Service) {
		return e.By()
	}
	return ""
}

// many reports whether an alert tells sessions that have no more than their
// service in common.
func many(a event.Alert) bool { return a.Count > 1 && a.Event.Witness.Crowd }

// witnessTitle tells of a session, or of several.
func witnessTitle(a event.Alert, host, at line) line {
	e := a.Event
	door, end := quote(service(e), 20), line{say(unreported)}
	user := marked(orUnknown(e.User, "user"), titleUser)
	var from line
	if who := opener(e); !blank(who) {
		from = append(line{say(" by ")}, marked(who, titleUser)...)
	}
	switch {
	case many(a):
		return slices.Concat(line{say(fmt.Sprintf("%d more ", a.Count)), door, say(" sessions on ")}, host, at, end)
	case a.Count > 1:
		return slices.Concat(line{say(fmt.Sprintf("%d more ", a.Count)), door, say(" sessions of ")}, user, from, line{say(" on ")}, host, at, end)
	default:
		return slices.Concat(line{door, say(" session of ")}, user, from, line{say(" on ")}, host, at, end)
	}
}

func witnessHeadline(a event.Alert, f form) line {
	e := a.Event
	door := ""
	if event.Witnessed(e.Service) {
		door = service(e) + " "
	}
	head := subject{prefix: severityWord(a.Verdict.Severity) + door, by: opener(e), user: e.User, host: e.Host, labels: e.Labels, login: true}
	tail := line{say(": missed by the login hook")}
	if a.Count > 1 {
		head.labels = nil
		tail = line{say(": " + more(a.Count, e.Kind) + within(a))}
	}
	if many(a) {
		head.by, head.user, head.login = "", "", false
	}
	return head.fit(tail, tail.width(f), f)
}

// witnessLine says where to look on.
func witnessLine(a event.Alert) line {
	l := label(say("What to do:"))
	if pid := a.Event.Session.PID; pid != 0 && a.Count <= 1 {
		l = append(l, say(fmt.Sprintf("look for process %d in the system log; ", pid)))
	}
	return append(l, say("sudo sshnotify doctor --system says whether the hook works"))
}
