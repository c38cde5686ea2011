package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
)

// namesShown is how many of the names that were tried an alert shows.
const namesShown = 8

// Note returns the title and the text of what is no login: an alert's or a
// match's own, and what was counted of an attack. Both are empty for any other
// event. A nil zone is UTC.
func Note(e event.Event, zone *time.Location) (title, text string) {
	return note(e, clock{zone: zone})
}

func note(e event.Event, c clock) (title, text string) {
	n := e.Note()
	switch {
	case e.Kind == event.KindDigest && e.Digest.Report != nil:
		return "Report", strings.Join(dayParts(e.Digest), "; ")
	case e.Kind == event.KindDigest && e.Digest.Of == event.KindDigest:
		return "Daily digest", strings.Join(dayParts(e.Digest), "; ")
	case e.Kind == event.KindDigest && e.Digest.Of == event.KindLogin:
		return "Ordinary logins", "the daily digest of ordinary logins"
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
	case e.Kind == event.KindGate && e.Gate != nil:
		return step(e.Gate)
	case n == nil:
		return "", ""
	case e.Kind != event.KindAttack || n.Title != "" || n.Text != "":
		return n.Title, n.Text
	}
	switch a := e.Attack; a.Phase {
	case event.PhaseSuccess:
		return success(a, c)
	case event.PhaseFlooded:
		lost := Lost(a.Flood)
		if len(lost) == 0 {
			lost = []string{"attempts"}
		}
		text = c.briefSpan(a.First, a.Last) + "; more than can be counted, so these are part of no attack that is reported; who gets in after failures is reported all the same"
		if len(lost) > 1 {
			text += "; also " + strings.Join(lost[1:], "; ")
		}
		return "flood: " + lost[0], text
	case event.PhaseBegun, event.PhaseEnded:
		return attack(e, c)
	}
	return "", ""
}

// success tells what matters most: somebody got in.
func success(a *event.Attack, c clock) (title, text string) {
	title = "got in after " + plural(max(a.FromAddress, a.FromNetwork), "failure")
	switch {
	case a.FromAddress+a.FromNetwork > 0:
	case a.DroppedFrom > 0:
		title = "got in during a flood of failures"
	default:
		title = "got in by password while others attack the account"
	}
	var parts []string
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(a.FromAddress > 0, plural(a.FromAddress, "failure")+" from this address")
	add(a.OwnFailures > 0 && a.OwnFailures < a.FromAddress, fmt.Sprintf("%d of them for this user", a.OwnFailures))
	add(a.NetworkAccounts > 0, fmt.Sprintf("%s for %s of this host from its network", plural(a.FromNetwork, "failure"), plural(a.NetworkAccounts, "account")))
	against := plural(a.AgainstUser, "failure") + " for this user"
	if !a.OwnSource() {
		against += " from elsewhere"
	}
	add(a.AgainstUser > 0, against)
	add(!a.First.IsZero(), "since "+c.brief(a.First))
	add(a.DroppedFrom > 0, "during a flood; earlier attempts of this address may have been dropped")
	add(a.DroppedAgainst > 0, "during a flood; earlier attempts against this user may have been dropped")
	names := counted(a.Names, namesShown)
	add(names != "", "tried: "+names)
	return title, strings.Join(parts, "; ")
}

func attack(e event.Event, c clock) (title, text string) {
	a := e.Attack
	who, whence := "from "+e.Remote.IP.String(), ""
	switch a.By {
	case "user":
		who = "against " + e.User
		if n := len(a.Addresses.Most); a.Addresses.Rest > 0 {
			whence = " from more than " + plural(n, "address")
		} else if n > 0 {
			whence = " from " + plural(n, "address")
		}
	case "network":
		who = "from the network " + a.Network.String()
	}
	title = "Attack "
	if a.Phase == event.PhaseEnded {
		title = "End of the attack "
	}
	title += who + ": " + plural(a.Attempts, "failure") + whence
	parts := []string{c.briefSpan(a.First, a.Last)}
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
		return plural(r.More, "other")
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
	var where, parts []string
	for _, s := range []string{a.ISP, country.Name(a.Country)} {
		if !blank(s) {
			where = append(where, s)
		}
	}
	if len(where) > 0 {
		parts = append(parts, strings.Join(where, ", "))
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
		out = append(out, c.Name+" ×"+number(c.N))
	}
	if others > 0 {
		out = append(out, "others ×"+number(others))
	}
	return strings.Join(out, ", ")
}

// plural is "1 failure", "2 failures".
func plural(n int, of string) string {
	switch {
	case n == 1:
		return "1 " + of
	case strings.HasSuffix(of, "s"), strings.HasSuffix(of, "ch"):
		return number(n) + " " + of + "es"
	}
	return number(n) + " " + of + "s"
}
