package slackmsg

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The lines of an attachment's text. Each function gives one, with at most
// each characters of every outside string, or none where there is nothing to
// say.

func addressLine(e event.Event, f event.Facts, each int) line {
	ip := e.Remote.IP.Unmap().WithZone("")
	var l line
	switch {
	case ip.IsValid():
		l = append(label(say("Connected from IP:")), piece{exact, ip.String()})
		if e.Remote.Zone != "" {
			l = append(l, say("%"), quote(e.Remote.Zone, min(each, 16)))
		}
	case !blank(e.Remote.Name):
		l = append(label(say("Connected from IP:")), say("unknown, named "), quote(e.Remote.Name, each))
	case e.Kind == event.KindLogin && !becomes(e):
		l = append(label(say("Connected from IP:")), say("unknown"))
	default:
		return nil
	}
	if e.Has(event.FlagAddressMismatch) && e.Remote.Claimed != "" {
		l = append(l, say(" (SSH_CONNECTION said "), quote(e.Remote.Claimed, min(each, 45)), say(")"))
	} else if ip.IsValid() && e.Has(event.FlagAddressUnverified) {
		l = append(l, say(" (unverified)"))
	}
	if p := place(f, each); len(p) > 0 {
		l = append(append(l, say(" · ")), append(label(say("IP Location:")), p...)...)
	}
	return l
}

// place is City - Region (CC), as much of it as is known, or what the network
// is called.
func place(f event.Facts, each int) line {
	if name := quote(f.Name, each); name.text != "" {
		if f.Scope == "" {
			return line{name}
		}
		return line{name, say(" ("), quote(f.Scope, each), say(")")}
	}
	if f.Scope != "" {
		return line{quote(f.Scope, each)}
	}
	l := dashed(each, f.Place.City, f.Place.Region)
	switch country := quote(f.Place.Country, each); {
	case country.text == "":
	case len(l) == 0:
		l = line{country}
	default:
		l = append(l, say(" ("), country, say(")"))
	}
	return l
}

// dashed joins what there is of the parts.
func dashed(each int, parts ...string) line {
	var l line
	for _, p := range parts {
		if blank(p) {
			continue
		}
		if len(l) > 0 {
			l = append(l, say(" - "))
		}
		l = append(l, quote(p, each))
	}
	return l
}

func ispLine(f event.Facts, each int) line {
	n, sorts := f.Network, sorts(f.Traits)
	names := dashed(each, n.Name, n.Description)
	if n.ASN == 0 && len(names) == 0 {
		if len(sorts) == 0 {
			return nil
		}
		return append(label(say("Connected from:")), sorts...)
	}
	l := label(say("Connected from ISP:"))
	if n.ASN != 0 {
		l = append(l, say(fmt.Sprintf("AS%d", n.ASN)))
		if len(names) > 0 {
			l = append(l, say(" "))
		}
	}
	l = append(l, names...)
	if len(sorts) > 0 {
		l = append(append(l, say(" · ")), sorts...)
	}
	return l
}

// sorts names what sort of address it is, where anybody says so.
func sorts(t event.Traits) line {
	var words []string
	for _, s := range []struct{ source, word string }{
		{t.Tor, "Tor exit"}, {t.VPN, "VPN"}, {t.Proxy, "proxy"}, {t.Hosting, "hosting"}, {t.Mobile, "mobile"},
	} {
		if !blank(s.source) {
			words = append(words, s.word)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return line{say(strings.Join(words, ", "))}
}

func riskLine(f event.Facts, each int) line {
	r := f.Risk
	if r == nil || f.Scope != "" {
		return nil
	}
	l := label(say("Risk:"))
	if !blank(r.Provider) {
		l = label(quote(r.Provider, min(each, 40)), say(" Risk:"))
	}
	why := r.Reason
	if r.Known {
		l = append(l, say(fmt.Sprint(r.Score)))
		if !blank(r.Word) {
			l = append(l, say(" ("), quote(r.Word, min(each, 20)), say(")"))
		}
	} else {
		l = append(l, say("unknown"))
		why = r.Problem
	}
	if !blank(why) {
		l = append(l, say(" - "), quote(why, each))
	}
	if r.Known && !r.Stale.IsZero() {
		l = append(l, say(" (an answer of "+r.Stale.UTC().Format("2 Jan 15:04 MST")+")"))
	}
	return l
}

func authLine(a event.Alert, each int) line {
	u := a.Event.Login.Auth
	if blank(u.Method) && blank(u.Fingerprint) {
		return nil
	}
	l := label(say("Authenticated with:"))
	sep := ""
	for _, p := range []piece{quote(u.Method, min(each, 64)), quote(keyType(u.KeyType), min(each, 40)), fingerprint(u.Fingerprint, each)} {
		if p.text != "" {
			l = append(l, say(sep), p)
			sep = " "
		}
	}
	if !blank(a.Person) {
		l = append(l, say(" ("), quote(a.Person, min(each, 64)), say(")"))
	}
	if u.KeyID == "" && u.CAFingerprint == "" {
		return l
	}
	l = append(l, say(`, key id "`), quote(u.KeyID, min(each, 64)), say(fmt.Sprintf(`", serial %d`, u.Serial)))
	if u.CAFingerprint != "" {
		l = append(l, say(", CA "), fingerprint(u.CAFingerprint, each))
	}
	return l
}

// seenLine is what the memory knows of a login that raises nothing.
func seenLine(a event.Alert) line {
	m := a.Memory
	if !m.Known {
		return nil
	}
	var said string
	switch {
	case m.User.Count == 0:
		said = "never, this is the first login of this user"
	case m.Address.Count > 0:
		said = times(m.Address.Count) + " from this address" + last(m.Address, a)
	case m.Network.Count > 0:
		said = "never from this address; " + times(m.Network.Count) + " from this network" + last(m.Network, a)
	default:
		said = "never from this network; " + logins(m.User.Count)
		if m.Networks > 0 {
			said += " from " + others(m.Networks)
		}
		if !m.User.First.IsZero() {
			said += " since " + day(m.User.First, a)
		}
	}
	if m.Learning {
		said += " (still learning)"
	}
	return append(label(say("Seen before:")), say(said))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func others(n int) string {
	if n == 1 {
		return "1 other"
	}
	return fmt.Sprintf("%d others", n)
}

func logins(n int) string {
	if n == 1 {
		return "1 login"
	}
	return fmt.Sprintf("%d logins", n)
}

// last is when that was, where it was not on the same day.
func last(s event.Seen, a event.Alert) string {
	if s.Last.IsZero() {
		return ""
	}
	when := day(s.Last, a)
	if when == day(a.Event.Time, a) {
		return ""
	}
	return ", last on " + when
}

// day is a date, with the year where that is another.
func day(t time.Time, a event.Alert) string {
	t = inZone(t, a)
	if t.Year() == inZone(a.Event.Time, a).Year() {
		return t.Format("2 January")
	}
	return t.Format(date)
}

// sessionLine is a logout's: how long, how it ended, and which login it was.
func sessionLine(a event.Alert) line {
	var l line
	add := func(sep string, ps ...piece) {
		if len(l) > 0 {
			l = append(l, say(sep))
		}
		l = append(l, ps...)
	}
	if a.Lasted > 0 {
		add("", say(span(a.Lasted)))
	}
	if a.Event.Has(event.FlagNoLogout) {
		add(", ", say("its sshd is gone, no logout was reported"))
	}
	if a.LoginID != "" {
		add(" · ", say("login ref "), quote(event.Ref(a.LoginID), 8))
	}
	if len(l) == 0 {
		return nil
	}
	return append(label(say("Session:")), l...)
}
