package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// namesShown is how many of the names that were tried an alert shows.
const namesShown = 8

// Note returns the title and the text of what is no login: an alert's or a
// match's own, and what was counted of an attack. Both are empty for any other
// event. A nil zone is UTC.
func Note(e event.Event, zone *time.Location) (title, text string) {
	n := e.Note()
	switch {
	case e.Kind == event.KindDigest && e.Digest.Of == event.KindLogin:
		return "Usual logins", "the daily digest of usual logins"
	case e.Kind == event.KindDigest:
		attempts := 0
		for _, r := range e.Digest.Rows {
			attempts += r.Count
		}
		title = plural(attempts, "attempt")
		if n := e.Digest.Attacks; n > 0 {
			title = plural(n, "attack") + ", " + title
		}
		return title, "the daily digest of attacks"
	case n == nil:
		return "", ""
	case e.Kind != event.KindAttack || n.Title != "" || n.Text != "":
		return n.Title, n.Text
	}
	clock := func(t time.Time) string { return inZone(t, zone).Format("2 Jan 15:04:05 MST") }
	switch a := e.Attack; a.Phase {
	case event.PhaseSuccess:
		return gotIn(a, clock)
	case event.PhaseFlooded:
		lost := Lost(a.Flood)
		if len(lost) == 0 {
			lost = []string{"attempts"}
		}
		text = clock(a.First) + " to " + clock(a.Last) + "; more than can be counted, so these are part of no attack that is reported; who gets in after failures is reported all the same"
		if len(lost) > 1 {
			text += "; also " + strings.Join(lost[1:], "; ")
		}
		return "flood: " + lost[0], text
	case event.PhaseBegun, event.PhaseEnded:
		return attack(e, clock)
	}
	return "", ""
}

// gotIn tells what matters most: somebody got in.
func gotIn(a *event.Attack, clock func(time.Time) string) (title, text string) {
	n := max(a.FromAddress, a.AgainstUser)
	title = "got in after " + plural(n, "failure")
	if n == 0 {
		title = "got in during a flood of failures"
	}
	var parts []string
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(a.FromAddress > 0, plural(a.FromAddress, "failure")+" from this address")
	add(a.AgainstUser > 0, plural(a.AgainstUser, "failure")+" for this user")
	add(!a.First.IsZero(), "since "+clock(a.First))
	add(a.DroppedFrom > 0, "during a flood; earlier attempts of this address may have been dropped")
	add(a.DroppedAgainst > 0, "during a flood; earlier attempts against this user may have been dropped")
	names := counted(a.Names, namesShown)
	add(names != "", "tried: "+names)
	return title, strings.Join(parts, "; ")
}

func attack(e event.Event, clock func(time.Time) string) (title, text string) {
	a := e.Attack
	who := "from " + e.Remote.IP.String()
	switch a.By {
	case "user":
		who = "against " + e.User
		if n := len(a.Addresses.Most); a.Addresses.Rest > 0 {
			who += fmt.Sprintf(" from more than %d addresses", n)
		} else if n > 0 {
			who += " from " + plural(n, "address")
		}
	case "network":
		who = "from the network " + a.Network.String()
	}
	title = "Attack " + who + ": " + plural(a.Attempts, "failure")
	if a.Phase == event.PhaseEnded {
		title = "End of the attack " + who + ": " + plural(a.Attempts, "failure")
	}
	parts := []string{clock(a.First) + " to " + clock(a.Last)}
	if names := counted(a.Names, namesShown); names != "" && a.By != "user" {
		parts = append(parts, "tried: "+names)
	}
	if from := counted(a.Addresses, namesShown); from != "" && a.By != "address" {
		parts = append(parts, "from: "+from)
	}
	return title, strings.Join(parts, "; ")
}

// Lost returns what a flood gave up: "17252 addresses, 138016 attempts", and the
// like of networks and accounts.
func Lost(f event.Flood) (lost []string) {
	for _, l := range []struct {
		event.Lost
		of string
	}{{f.Addresses, "address"}, {f.Networks, "network"}, {f.Accounts, "account"}} {
		if l.N > 0 {
			lost = append(lost, plural(l.N, l.of)+", "+plural(l.Attempts, "attempt"))
		}
	}
	return lost
}

// Who returns whom a digest's row is about.
func Who(r event.Row) string {
	a := r.Attacker
	switch {
	case r.More > 0 && r.Kind == event.KindLogin:
		return fmt.Sprintf("%d others", r.More)
	case r.More > 0:
		return fmt.Sprintf("%d more", r.More)
	case a == nil:
		return r.User
	case a.Account != "":
		return "against " + a.Account
	case a.Network.IsSingleIP():
		return a.Network.Addr().String()
	default:
		return a.Network.String()
	}
}

// Why returns what else a digest's row says: a reason, or where an attacker's
// address belongs and what was tried.
func Why(r event.Row) string {
	a := r.Attacker
	if a == nil {
		return r.Reason
	}
	var parts []string
	if where := strings.TrimSpace(a.ISP + " " + a.Country); where != "" {
		parts = append(parts, where)
	}
	if names := counted(a.Names, 4); names != "" {
		parts = append(parts, names)
	}
	return strings.Join(parts, "; ")
}

// counted is "root ×200, admin ×14, others ×9".
func counted(t event.Tally, most int) string {
	var out []string
	others := t.Rest
	for i, c := range t.Most {
		if i >= most {
			others += c.N
			continue
		}
		out = append(out, fmt.Sprintf("%s ×%d", c.Name, c.N))
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("others ×%d", others))
	}
	return strings.Join(out, ", ")
}

// plural is "1 failure", "2 failures".
func plural(n int, of string) string {
	switch {
	case n == 1:
		return "1 " + of
	case strings.HasSuffix(of, "s"), strings.HasSuffix(of, "ch"):
		return fmt.Sprintf("%d %ses", n, of)
	}
	return fmt.Sprintf("%d %ss", n, of)
}
