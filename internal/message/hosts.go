package message

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// hostsShown is how many hosts a line of a message names: with names of eight
// characters each there is room for the other lines.
const hostsShown = 12

// usersShown is how many names of somebody are told.
const usersShown = 3

// onHosts reports whether an alert tells events of several hosts that are alike.
func onHosts(a event.Alert) bool { return a.Hosts > 1 && len(a.Accounts) > 0 }

// manyHosts is "40 hosts", or "39 more hosts" where others were told.
func manyHosts(a event.Alert) string {
	if a.More {
		return number(a.Hosts) + " more hosts"
	}
	return number(a.Hosts) + " hosts"
}

// users returns the different names of an alert's accounts, in their order.
func users(a event.Alert) (all []string) {
	for _, acc := range a.Accounts {
		if !slices.Contains(all, acc.User) {
			all = append(all, acc.User)
		}
	}
	return all
}

// hostsOf returns the different hosts that one user, or with all any, is named on.
func hostsOf(a event.Alert, user string, all bool) (hosts []string) {
	for _, acc := range a.Accounts {
		if (all || acc.User == user) && !slices.Contains(hosts, acc.Host) {
			hosts = append(hosts, acc.Host)
		}
	}
	return hosts
}

// who is who an alert of several hosts is about: a user, or all names that somebody
// with one key has.
func who(a event.Alert) Line {
	return listed(a, func(user string) Line { return Line{untrusted(user)} })
}

// listed puts the names that somebody has into a line.
func listed(a event.Alert, put func(user string) Line) Line {
	var l Line
	for i, u := range users(a) {
		if i > 0 {
			l = append(l, literal(", "))
		}
		if i == usersShown {
			return append(l, literal("…"))
		}
		l = append(l, put(orUnknown(u, "user"))...)
	}
	return l
}

// hostsHeadline is "alice → 39 more hosts: web1, web2, …".
func hostsHeadline(a event.Alert) Headline {
	e := a.Event
	h := Headline{Head: Line{literal(severityWord(a.Verdict.Severity))}}
	switch {
	case e.Kind == event.KindLogin, e.Kind == event.KindLogout, e.Kind == event.KindWitness, e.Kind == event.KindGate, gotIn(e):
		if e.Kind == event.KindLogout {
			h.Head = Line{literal("Ended: ")}
		}
		if b := e.By(); !blank(b) {
			h.Head = append(h.Head, untrusted(b), literal(" → "))
		}
		h.Head = join(h.Head, who(a), Line{literal(" → ")})
	}
	h.Head = append(h.Head, literal(manyHosts(a)))
	name, text := note(e, clockOf(a))
	switch {
	case e.Kind == event.KindLogin || e.Kind == event.KindLogout:
	case e.Kind == event.KindWitness:
		h.Tail = Line{literal(", missed by the login hook")}
	case !blank(name) || !blank(text):
		if blank(name) {
			name = text
		}
		h.More = Line{literal(": "), untrusted(name)}
		return h // the lines name the hosts
	}
	if a.Verdict.Severity >= event.Medium && e.Kind != event.KindLogout && e.Kind != event.KindWitness {
		h.From, _ = from(a)
	}
	for _, host := range hostsOf(a, "", true) {
		h.Items = append(h.Items, Line{untrusted(shortHost(host))})
	}
	if len(h.Items) < a.Hosts {
		h.Items = append(h.Items, Line{literal("…")})
	}
	return h
}

// hostsTitle is "39 more SSH logins of >alice< to 39 hosts".
func hostsTitle(a event.Alert) Line {
	e := a.Event
	_, several := noun(e.Kind)
	name, _ := note(e, clockOf(a))
	l := Line{literal(manyOf(a))}
	switch e.Kind {
	case event.KindLogin, event.KindLogout, event.KindWitness:
		l = append(l, untrusted(serviceName(e)), literal(" "))
		if e.Kind == event.KindWitness {
			several = "sessions"
		}
		l = join(l, Line{literal(several + " of ")}, listed(a, marked))
	default:
		l = append(l, literal(several))
		if !blank(name) {
			l = append(l, literal(" ("), untrusted(name), literal(")"))
		}
	}
	l = append(l, literal(toHost(e.Kind)+number(a.Hosts)+" hosts"))
	if e.Kind == event.KindWitness {
		return append(join(l, timed(a, " until ")), literal(unreported))
	}
	return join(l, criticalAuth(a), timed(a, " until "))
}

// hostsLine names the hosts, by user where there are several.
func hostsLine(a event.Alert) Line {
	l := label(literal("Hosts:"))
	names := users(a)
	most := hostsShown / min(len(names), usersShown) // of each
	seen := map[string]bool{}
	for i, u := range names[:min(len(names), usersShown)] {
		hosts := hostsOf(a, u, false)
		if i > 0 {
			l = append(l, literal("; "))
		}
		if len(names) > 1 {
			l = append(l, untrusted(orUnknown(u, "user")), literal(" on "))
		}
		for j, host := range hosts[:min(most, len(hosts))] {
			if j > 0 {
				l = append(l, literal(", "))
			}
			l = append(l, untrusted(shortHost(host)))
			seen[host] = true
		}
	}
	if more := a.Hosts - len(seen); more > 0 {
		l = append(l, literal(" and "+number(more)+" more"))
	}
	return l
}

// rowHosts is whose events a row counts where: "web1", "web1, web2 and 37 more".
func rowHosts(r event.Row) Line {
	if len(r.Hosts) == 0 {
		return Line{untrusted(shortHost(r.Host))}
	}
	var l Line
	for i, host := range r.Hosts {
		if i > 0 {
			l = append(l, literal(", "))
		}
		l = append(l, untrusted(shortHost(host)))
	}
	if r.MoreHosts > 0 {
		l = append(l, literal(fmt.Sprintf(" and %s more", number(r.MoreHosts))))
	}
	return l
}

// hostNames is what a template's {host} is of an alert of several hosts.
func hostNames(a event.Alert) string { return strings.Join(hostsOf(a, "", true), ", ") }
