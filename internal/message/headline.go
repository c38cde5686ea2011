package message

import (
	"cmp"
	"fmt"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
)

// Headline is the one line that must be enough: who → where to (labels), from
// where, and why.
type Headline struct {
	Head    Line    // names in it are shortened before the tail is
	Labels  Line    // left out where there is no room
	Times   Line    // how often, to be seen whole
	From    Line    // where it came from; shortened as Head is
	Network Line    // whose network that is; left out where there is no room
	Tail    Line    // to be seen whole
	More    Line    // of which some words are enough
	At      Line    // the time of day, where there is room for it
	Items   []Line  // of a digest: whose events, as many as there is room for
	own     ownLine // the owner's, in place of all this; nil: none
}

func headline(a event.Alert) Headline {
	e, severity := a.Event, severityWord(a.Verdict.Severity)
	name, text := note(e, clockOf(a))
	switch {
	case a.Test:
		return Headline{Head: Line{literal("Test message from sshnotify on host "), host(e)}, Labels: labels(e.Labels)}
	case public(e):
		return Headline{More: Line{untrusted(cmp.Or(name, kindName(e.Kind)))}}
	case isDay(a):
		return dayHeadline(a)
	case len(a.Rows) > 0:
		return digestHeadline(a)
	case onHosts(a):
		return hostsHeadline(a)
	case e.Kind == event.KindWitness:
		return witnessHeadline(a)
	case e.Kind == event.KindLogout:
		return logoutHeadline(a)
	}
	h := Headline{Labels: labels(e.Labels), Times: repeated(a)}
	if a.Verdict.Severity >= event.Medium && !newest(a).IsZero() {
		h.At = Line{literal(", " + clockOf(a).minutes(newest(a)))}
	}
	if e.Kind != event.KindLogin {
		h.Head = subject(Line{literal(severity)}, "", e)
		if gotIn(e) || e.Kind == event.KindGate {
			h.From, h.Network = from(a)
		} else {
			h.At = nil
		}
		said := cmp.Or(name, text)
		if said == "" && len(a.Verdict.Reasons) > 0 {
			said = a.Verdict.Reasons[0]
		}
		h.More = Line{literal(": "), untrusted(cmp.Or(said, string(e.Kind)))}
		return h
	}
	prefix := Line{literal(severity)}
	if becomes(e) {
		prefix = append(prefix, untrusted(serviceName(e)), literal(" "))
	} else {
		h.From, h.Network = from(a)
	}
	h.Head = subject(prefix, e.Login.By, e)
	switch {
	case a.Verdict.Severity >= event.High && e.Has(event.FlagAddressMismatch):
		// The reason names the forged address first, which may push the true
		// one out of sight.
		h.From, h.Network = nil, nil
		h.Tail = append(Line{literal(": SSH_CONNECTION was forged, sshd saw ")}, origin(e)...)
	case a.Verdict.Severity >= event.Medium && len(a.Verdict.Reasons) > 0:
		h.More = Line{literal(": "), because(a.Verdict)}
	case becomes(e):
	case a.Verdict.Usual:
		h.Tail = Line{literal(": usual")}
	default:
		h.Tail = riskInShort(a.Facts)
	}
	return h
}

// because is the strongest reason: what only adds to another follows it. What is
// new about the place is said in fewer words, since that stands before it.
func because(v event.Verdict) Span {
	i := 0
	for j, k := range v.Keys[:min(len(v.Keys), len(v.Reasons))] {
		if k != "unusual_hour" && k != "travel" {
			i = j
			break
		}
	}
	if i < len(v.Keys) {
		switch v.Keys[i] {
		case "new_country":
			return literal("first time")
		case "new_network":
			return literal("first time from this network")
		}
	}
	return untrusted(v.Reasons[i])
}

// repeated is " ×12 in 10 min", or nothing for a single event.
func repeated(a event.Alert) Line {
	if a.Count <= 1 {
		return nil
	}
	return Line{literal(" ×" + number(a.Count) + within(a))}
}

// subject is who became whom, and where. Who wrote an alert is nobody who logged
// in, nor is whose account is attacked.
func subject(prefix Line, by string, e event.Event) Line {
	l := prefix
	if !blank(by) {
		l = append(l, untrusted(by), literal(" → "))
	}
	switch {
	case e.Kind == event.KindLogin, e.Kind == event.KindLogout, e.Kind == event.KindWitness, e.Kind == event.KindGate, gotIn(e):
		l = append(l, untrusted(orUnknown(e.User, "user")), literal(" → "))
	case e.Kind != event.KindAlert && !attacked(e) && !blank(e.User):
		l = append(l, untrusted(e.User), literal(" → "))
	}
	return append(l, host(e))
}

// attacked reports whether an event tells of attempts to get into one account.
func attacked(e event.Event) bool {
	return e.Kind == event.KindAttack && e.Attack != nil && e.Attack.By == "user"
}

func host(e event.Event) Span { return untrusted(shortHost(e.Host)) }

// from is where a login came from, in the words that say most of it, and whose
// network that is. Of a critical one it is the address, which is what has to be
// acted on.
func from(a event.Alert) (place, network Line) {
	e, f := a.Event, a.Facts
	unverified := ""
	if e.Has(event.FlagAddressUnverified) {
		unverified = " (unverified)"
	}
	org := f.Network.Description
	if blank(org) {
		org = f.Network.Name
	}
	in := Line{literal(" from ")}
	switch {
	case a.Verdict.Severity >= event.Critical || !e.Remote.IP.IsValid():
		return append(in, origin(e)...), nil
	case !blank(f.Name):
		return append(in, untrusted(f.Name), literal(unverified)), nil
	case f.Scope != "":
		return append(in, origin(e)...), Line{literal(" ("), untrusted(f.Scope), literal(")")}
	case !blank(f.Place.Country):
		place = append(in, untrusted(country.Name(f.Place.Country)), literal(unverified))
		if !blank(org) {
			network = Line{literal(" ("), untrusted(org), literal(")")}
		}
		return place, network
	case !blank(org):
		return append(in, untrusted(org), literal(unverified)), nil
	}
	return append(in, origin(e)...), nil
}

// origin is the address that a login came from.
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
		return Line{literal(": risk unknown")}
	case blank(r.Word):
		return Line{literal(fmt.Sprintf(": risk %d", r.Score))}
	default:
		return Line{literal(fmt.Sprintf(": risk %d (", r.Score)), untrusted(r.Word), literal(")")}
	}
}

// logoutHeadline bears no severity word: that was said when the login was told,
// and this is its end.
func logoutHeadline(a event.Alert) Headline {
	h := Headline{Head: subject(Line{literal("Ended: ")}, "", a.Event), Labels: labels(a.Event.Labels), Times: repeated(a)}
	if a.Count > 1 {
		return h
	}
	h.Labels = nil
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
	e, prefix := a.Event, Line{literal(severityWord(a.Verdict.Severity))}
	if event.Witnessed(e.Service) {
		prefix = append(prefix, literal(serviceName(e)+" ")) // one of ours
	}
	h := Headline{Head: subject(prefix, opener(e), e), Labels: labels(e.Labels), Times: repeated(a), Tail: Line{literal(": missed by the login hook")}}
	if crowd(a) {
		h.Head = Line{literal(severityWord(a.Verdict.Severity)), host(e)}
		h.Times, h.Tail = nil, Line{literal(": " + manyOf(a)), untrusted(serviceName(e)), literal(" sessions missed by the login hook" + within(a))}
	}
	return h
}

// witnessLine says where to look on.
func witnessLine(a event.Alert) Line {
	l := label(literal("What to do:"))
	if pid := a.Event.Session.PID; pid != 0 && a.Count <= 1 {
		l = append(l, literal(fmt.Sprintf("look for process %d in the system log; ", pid)))
	}
	return append(l, literal("sudo sshnotify doctor --system says whether the hook works"))
}
