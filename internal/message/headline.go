package message

import (
	"cmp"
	"fmt"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Headline is the one line that must be enough: who → where (labels), and why.
type Headline struct {
	Head   Line   // names in it are shortened before the tail is
	Labels Line   // left out where there is no room
	Tail   Line   // to be seen whole
	More   Line   // of which some words are enough
	Items  []Line // of a digest: whose events, as many as there is room for
}

func headline(a event.Alert) Headline {
	e, severity := a.Event, severityWord(a.Verdict.Severity)
	h := Headline{Labels: labels(e.Labels)}
	name, text := Note(e, a.Zone)
	reason := func() Line {
		if a.Verdict.Severity < event.Medium || len(a.Verdict.Reasons) == 0 {
			return nil
		}
		return Line{literal(": "), untrusted(a.Verdict.Reasons[0])}
	}
	switch {
	case a.Test:
		h.Head = Line{literal("Test message from sshnotify on host "), host(e)}
	case public(e):
		return Headline{More: Line{untrusted(cmp.Or(name, kindName(e.Kind)))}}
	case len(a.Rows) > 0:
		return digestHeadline(a)
	case e.Kind == event.KindWitness:
		return witnessHeadline(a)
	case a.Count > 1:
		h = Headline{Head: subject(severity, "", e), More: reason()}
		h.Tail = Line{literal(": " + moreOf(a.Count, e.Kind) + within(a))}
	case e.Kind == event.KindLogout:
		return logoutHeadline(a)
	case e.Kind != event.KindLogin:
		h.Head = subject(severity, "", e)
		said := cmp.Or(name, text)
		if said == "" && len(a.Verdict.Reasons) > 0 {
			said = a.Verdict.Reasons[0]
		}
		h.More = Line{literal(": "), untrusted(cmp.Or(said, string(e.Kind)))}
	default:
		prefix := severity
		if becomes(e) {
			prefix += serviceName(e) + " "
		}
		h.Head = subject(prefix, e.Login.By, e)
		switch more := reason(); {
		case a.Verdict.Severity == event.High && e.Has(event.FlagAddressMismatch):
			// The reason names the forged address first, which may push the true
			// one out of sight.
			h.Tail = append(Line{literal(": SSH_CONNECTION was forged, sshd saw ")}, origin(e)...)
		case more != nil:
			h.More = more
		case becomes(e):
		case a.Verdict.Usual:
			h.Tail = Line{literal(": usual")}
		default:
			h.Tail = join(Line{literal(": from ")}, origin(e), riskInShort(a.Facts))
		}
	}
	return h
}

// subject is who became whom, and where.
func subject(prefix, by string, e event.Event) Line {
	l := Line{literal(prefix)}
	if !blank(by) {
		l = append(l, untrusted(by), literal(" → "))
	}
	switch e.Kind {
	case event.KindLogin, event.KindLogout, event.KindWitness:
		l = append(l, untrusted(orUnknown(e.User, "user")), literal(" → "))
	default:
		if !blank(e.User) {
			l = append(l, untrusted(e.User), literal(" → "))
		}
	}
	return append(l, host(e))
}

func host(e event.Event) Span { return untrusted(shortHost(e.Host)) }

// origin is where a login came from, in short.
func origin(e event.Event) Line {
	ip := e.Remote.IP.Unmap().WithZone("")
	switch {
	case ip.IsValid() && e.Has(event.FlagAddressUnverified):
		return Line{{Kind: Exact, Text: ip.String()}, literal(" (unverified)")}
	case ip.IsValid():
		return Line{{Kind: Exact, Text: ip.String()}}
	}
	return Line{literal("an unknown address")}
}

func riskInShort(f event.Facts) Line {
	switch r := f.Risk; {
	case r == nil || f.Scope != "":
		return nil
	case !r.Known:
		return Line{literal(", risk unknown")}
	case blank(r.Word):
		return Line{literal(fmt.Sprintf(", risk %d", r.Score))}
	default:
		return Line{literal(fmt.Sprintf(", risk %d (", r.Score)), untrusted(r.Word), literal(")")}
	}
}

// logoutHeadline bears no severity word: that was said when the login was told,
// and this is its end.
func logoutHeadline(a event.Alert) Headline {
	h := Headline{Head: subject("Ended: ", "", a.Event)}
	if a.Lasted > 0 {
		h.Tail = append(h.Tail, literal(" after "+duration(a.Lasted)))
	}
	if a.LoginID != "" {
		h.Tail = append(h.Tail, literal(" ("), untrusted(event.Ref(a.LoginID)), literal(")"))
	}
	if a.Event.Has(event.FlagNoLogout) {
		h.Tail = append(h.Tail, literal(", no logout"))
	}
	return h
}

// unreported ends the titles of sessions that only the system log knows.
const unreported = ", not reported by the login hook"

// opener is who opened a session, where that is somebody on the host: of a login
// it is the server.
func opener(e event.Event) string {
	if event.Became(e.Service) {
		return e.Witness.By
	}
	return ""
}

// crowd reports whether an alert tells sessions that have no more than their
// service in common.
func crowd(a event.Alert) bool {
	return a.Event.Kind == event.KindWitness && a.Count > 1 && a.Event.Witness.Crowd
}

func witnessHeadline(a event.Alert) Headline {
	e, prefix := a.Event, severityWord(a.Verdict.Severity)
	if event.Witnessed(e.Service) {
		prefix += serviceName(e) + " "
	}
	switch {
	case crowd(a):
		return Headline{Head: Line{literal(prefix), host(e)}, Tail: Line{literal(": " + moreOf(a.Count, e.Kind) + within(a))}}
	case a.Count > 1:
		return Headline{Head: subject(prefix, opener(e), e), Tail: Line{literal(": " + moreOf(a.Count, e.Kind) + within(a))}}
	}
	return Headline{Head: subject(prefix, opener(e), e), Labels: labels(e.Labels), Tail: Line{literal(": missed by the login hook")}}
}

// witnessLine says where to look on.
func witnessLine(a event.Alert) Line {
	l := label(literal("What to do:"))
	if pid := a.Event.Session.PID; pid != 0 && a.Count <= 1 {
		l = append(l, literal(fmt.Sprintf("look for process %d in the system log; ", pid)))
	}
	return append(l, literal("sudo sshnotify doctor --system says whether the hook works"))
}
