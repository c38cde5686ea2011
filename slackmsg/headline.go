package slackmsg

import (
	"cmp"
	"fmt"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// Headline gives the one line that must be enough: at most 80 characters, plain
// text, unescaped.
func Headline(a event.Alert) string { return headline(a, asPlain).render(asPlain) }

// enough is how much of a reason makes sense.
const enough = 34

func headline(a event.Alert, f form) line {
	e, sev := a.Event, severityWord(a.Verdict.Severity)
	switch {
	case a.Test:
		head := subject{prefix: "Test message from sshnotify on host ", host: e.Host, labels: e.Labels}
		return head.fit(nil, 0, f)
	case public(e):
		return clip(line{quote(noteTitle(a), maxHeadline)}, maxHeadline, f)
	case len(a.Rows) > 0:
		return digestHeadline(a, f)
	case e.Kind == event.KindWitness:
		return witnessHeadline(a, f)
	case a.Count > 1:
		return repeatHeadline(a, f)
	case e.Kind == event.KindLogout:
		return logoutHeadline(a, f)
	}
	head := subject{prefix: sev, user: e.User, host: e.Host, labels: e.Labels, login: e.Kind == event.KindLogin}
	if becomes(e) {
		head.prefix += service(e) + " "
		head.by = e.By()
	}
	switch {
	case e.Kind != event.KindLogin:
		tail := line{say(": "), quote(what(a), maxHeadline)}
		return head.fit(tail, min(tail.width(f), enough), f)
	case a.Verdict.Severity == event.High && e.Has(event.FlagAddressMismatch):
		// The reason names the forged address first, which may push the true
		// one out of sight.
		tail := append(line{say(": SSH_CONNECTION was forged, sshd saw ")}, origin(e)...)
		return head.fit(tail, tail.width(f), f)
	case sev != "" && len(a.Verdict.Reasons) > 0:
		tail := line{say(": "), quote(a.Verdict.Reasons[0], maxHeadline)}
		return head.fit(tail, min(tail.width(f), enough), f)
	case becomes(e):
		return head.fit(nil, 0, f)
	case a.Verdict.Usual && e.Kind == event.KindLogin:
		tail := line{say(": usual")}
		return head.fit(tail, tail.width(f), f)
	default:
		tail := append(line{say(": from ")}, origin(e)...)
		tail = append(tail, riskInShort(a.Facts)...)
		return head.fit(tail, tail.width(f), f)
	}
}

// what is the strongest thing to say of an event that is no login.
func what(a event.Alert) string {
	if title, text := message.Note(a.Event, a.Zone); !blank(title) || !blank(text) {
		return cmp.Or(title, text)
	}
	if len(a.Verdict.Reasons) > 0 {
		return a.Verdict.Reasons[0]
	}
	return string(a.Event.Kind)
}

// origin is where a login came from, in short.
func origin(e event.Event) line {
	ip := e.Remote.IP.Unmap().WithZone("")
	switch {
	case ip.IsValid() && e.Has(event.FlagAddressUnverified):
		return line{{exact, ip.String()}, say(" (unverified)")}
	case ip.IsValid():
		return line{{exact, ip.String()}}
	default:
		return line{say("an unknown address")}
	}
}

func riskInShort(f event.Facts) line {
	switch r := f.Risk; {
	case r == nil || f.Scope != "":
		return nil
	case !r.Known:
		return line{say(", risk unknown")}
	case blank(r.Word):
		return line{say(fmt.Sprintf(", risk %d", r.Score))}
	default:
		return line{say(fmt.Sprintf(", risk %d (", r.Score)), quote(r.Word, 10), say(")")}
	}
}

func repeatHeadline(a event.Alert, f form) line {
	e := a.Event
	tail := line{say(": " + more(a.Count, e.Kind) + within(a))}
	need := tail.width(f)
	if a.Verdict.Severity >= event.Medium && len(a.Verdict.Reasons) > 0 {
		tail = append(tail, say(": "), quote(a.Verdict.Reasons[0], maxHeadline))
	}
	head := subject{prefix: severityWord(a.Verdict.Severity), user: e.User, host: e.Host, login: e.Kind == event.KindLogin}
	return head.fit(tail, need, f)
}

// logoutHeadline bears no severity word: that was said when the login was told,
// and this is its end.
func logoutHeadline(a event.Alert, f form) line {
	var tail line
	if a.Lasted > 0 {
		tail = append(tail, say(" after "+span(a.Lasted)))
	}
	if a.LoginID != "" {
		tail = append(tail, say(" ("), quote(event.Ref(a.LoginID), 8), say(")"))
	}
	if a.Event.Has(event.FlagNoLogout) {
		tail = append(tail, say(", no logout"))
	}
	head := subject{prefix: "Ended: ", user: a.Event.User, host: a.Event.Host, login: true}
	return head.fit(tail, tail.width(f), f)
}

// subject is what a headline is about: user → host (labels).
type subject struct {
	prefix string
	by     string // who became the user; mostly empty
	user   string
	host   string
	labels map[string]string
	login  bool // it has a user, even where the name is not known
}

// fit puts the subject before a tail of which need characters must be seen. It
// shortens names and drops labels until they are, and cuts the tail last.
func (s subject) fit(tail line, need int, f form) line {
	var l line
	for _, limit := range []struct{ user, host, labels int }{
		{48, 40, 40}, {32, 20, 24}, {32, 20, 0}, {20, 16, 0}, {14, 12, 0}, {8, 8, 0},
	} {
		l = line{say(s.prefix)}
		if s.by != "" {
			l = append(l, quote(s.by, limit.user), say(" → "))
		}
		if s.login || s.user != "" {
			l = append(l, quote(orUnknown(s.user, "user"), limit.user), say(" → "))
		}
		l = append(l, quote(shortHost(s.host), limit.host))
		if v := labelValues(s.labels); v != "" && limit.labels > 0 {
			l = append(l, say(" ("), quote(v, limit.labels), say(")"))
		}
		if l.width(f)+need <= maxHeadline {
			break
		}
	}
	return clip(append(l, tail...), maxHeadline, f)
}
