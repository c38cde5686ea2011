package message

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// tally is what a digest's rows come to.
type tally struct {
	n     int        // events
	kind  event.Kind // of all of them, or empty for a mixture
	hosts []string   // in order of appearance, as far as they are named
	more  int        // hosts beside them, at least
	users []named    // over all hosts, the most events first
}

// named counts the events of a user, or of a kind that has none.
type named struct {
	name string
	n    int
}

// tallyOf adds up rows, of which there is at least one.
func tallyOf(rows []event.Row) tally {
	t := tally{kind: rows[0].Kind}
	hosts, users := map[string]bool{}, map[string]int{} // users: its place in t.users
	for _, r := range rows {
		t.n += r.Count
		if r.Kind != t.kind {
			t.kind = ""
		}
		if r.More > 0 && r.Host == "" && len(rows) > 1 { // of any host
			r.Host = rows[0].Host
			r.Hosts = rows[0].Hosts
		}
		on := r.Hosts
		if len(on) == 0 {
			on = []string{r.Host}
		}
		for _, host := range on {
			if !hosts[host] {
				hosts[host] = true
				t.hosts = append(t.hosts, host)
			}
		}
		t.more = max(t.more, r.MoreHosts)
		name := Who(r)
		if !hasUser(r) {
			_, name = noun(r.Kind)
		}
		i, known := users[name]
		if !known {
			i = len(t.users)
			users[name] = i
			t.users = append(t.users, named{name: name})
		}
		t.users[i].n += r.Count
	}
	slices.SortStableFunc(t.users, func(a, b named) int { return cmp.Compare(b.n, a.n) })
	return t
}

// hasUser reports whether a row is somebody's, be the name known or not.
func hasUser(r event.Row) bool {
	return !blank(Who(r)) || r.Kind == event.KindLogin || r.Kind == event.KindLogout
}

// items is "deploy ×300", "alice ×8", …
func (t tally) items() []Line {
	var out []Line
	for _, u := range t.users {
		out = append(out, Line{untrusted(orUnknown(u.name, "user")), literal(" ×" + number(u.n))})
	}
	return out
}

func digestHeadline(a event.Alert) Headline {
	t := tallyOf(a.Rows)
	where := untrusted(shortHost(t.hosts[0]))
	if n := max(a.Hosts, len(t.hosts)+t.more); n > 1 {
		where = literal(number(n) + " hosts")
	}
	return Headline{
		Head:  Line{literal(severityWord(a.Verdict.Severity) + daily(a) + count(t.n, t.kind) + toHost(t.kind)), where},
		Tail:  Line{literal(within(a))},
		Items: t.items(),
	}
}

// daily sets the digest of ordinary logins apart from that of a burst.
func daily(a event.Alert) string {
	if d := a.Event.Digest; d != nil && d.Of == event.KindLogin {
		return "Ordinary: "
	}
	return ""
}

func digestTitle(a event.Alert) Line {
	t := tallyOf(a.Rows)
	l := Line{literal(daily(a) + count(t.n, t.kind) + toHost(t.kind))}
	if n := max(a.Hosts, len(t.hosts)+t.more); n > 1 {
		l = append(l, literal(number(n)+" hosts"))
	} else {
		l = append(l, marked(orUnknown(t.hosts[0], "host"))...)
	}
	if a.First.IsZero() || a.Last.IsZero() {
		return l
	}
	return append(l, literal(" from "+clockOf(a).span(a.First, a.Last)))
}

// Row is a line of a digest: what it counts, from which addresses, and why.
type Row struct {
	Lead Line
	IPs  []netip.Addr // the first few
	More int          // addresses beside them
	Why  Line         // may be empty
	of   event.Row
}

// rowsOf returns a row a line, the worst and then the most first.
func rowsOf(rows []event.Row) []Row {
	if len(rows) == 0 {
		return nil
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b event.Row) int {
		if a.More > 0 != (b.More > 0) { // who found no row comes last
			return cmp.Compare(a.More, b.More)
		}
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Count, a.Count))
	})
	showHost := len(tallyOf(rows).hosts) > 1
	out := make([]Row, len(rows))
	for i, r := range rows {
		var l Line
		if word := severityWord(r.Severity); word != "" {
			l = label(literal(word[:len(word)-1]))
		}
		if hasUser(r) {
			l = append(l, untrusted(orUnknown(Who(r), "user")))
			if showHost && (r.Host != "" || len(r.Hosts) > 0 || r.More == 0) {
				l = append(append(l, literal(" → ")), rowHosts(r)...)
			}
			l = append(l, literal(": "))
		} else if showHost {
			l = append(append(l, rowHosts(r)...), literal(": "))
		}
		out[i] = Row{Lead: append(l, literal(count(r.Count, r.Kind))), IPs: r.IPs, More: r.MoreIPs, of: r}
		if why := Why(r); !blank(why) {
			out[i].Why = Line{literal(" - "), untrusted(why)}
		}
	}
	return out
}

// noAddresses leaves out even their number.
const noAddresses = -1

// line words a row with so many of its addresses; the others are counted.
func (r Row) line(addresses int) Line {
	if addresses == noAddresses {
		return join(r.Lead, r.Why)
	}
	shown := r.IPs[:min(len(r.IPs), addresses)]
	others := len(r.IPs) - len(shown) + r.More
	var from Line
	for i, ip := range shown {
		if i > 0 {
			from = append(from, literal(", "))
		}
		from = append(from, Span{Kind: Exact, Text: ip.Unmap().WithZone("").String()})
	}
	switch {
	case len(from) > 0 && others > 0:
		from = append(from, literal(fmt.Sprintf(" and %d more", others)))
	case others > 0:
		from = append(from, literal(plural(others, "address")))
	}
	if len(from) > 0 {
		from = join(Line{literal(" from ")}, from)
	}
	return join(r.Lead, from, r.Why)
}
