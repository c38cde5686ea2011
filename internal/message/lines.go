package message

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Each of these functions returns a line, or none where there is nothing to say.

func addressLine(e event.Event, f event.Facts) Line {
	name := "Connected from IP:"
	if e.Kind == event.KindAlert { // nobody need have connected
		name = "IP:"
	}
	ip := e.Remote.IP.Unmap().WithZone("")
	var l Line
	switch {
	case ip.IsValid():
		l = append(label(literal(name)), Span{Kind: Exact, Text: ip.String()})
		if e.Remote.Zone != "" {
			l = append(l, literal("%"), untrusted(e.Remote.Zone))
		}
	case !blank(e.Remote.Name):
		l = append(label(literal("Connected from IP:")), literal("unknown, named "), untrusted(e.Remote.Name))
	case e.Kind == event.KindLogin && !becomes(e):
		l = append(label(literal("Connected from IP:")), literal("unknown"))
	default:
		return nil
	}
	if e.Has(event.FlagAddressMismatch) && e.Remote.Claimed != "" {
		l = append(l, literal(" (SSH_CONNECTION said "), untrusted(e.Remote.Claimed), literal(")"))
	} else if ip.IsValid() && e.Has(event.FlagAddressUnverified) {
		l = append(l, literal(" (unverified)"))
	}
	if p := place(f); len(p) > 0 {
		l = append(append(l, literal(" · ")), append(label(literal("IP Location:")), p...)...)
	}
	return l
}

// place is City - Region (CC), as much of it as is known, or what the network
// is called.
func place(f event.Facts) Line {
	if name := untrusted(f.Name); name.Text != "" {
		if f.Scope == "" {
			return Line{name}
		}
		return Line{name, literal(" ("), untrusted(f.Scope), literal(")")}
	}
	if f.Scope != "" {
		return Line{untrusted(f.Scope)}
	}
	l := dashed(f.Place.City, f.Place.Region)
	switch country := untrusted(f.Place.Country); {
	case country.Text == "":
	case len(l) == 0:
		l = Line{country}
	default:
		l = append(l, literal(" ("), country, literal(")"))
	}
	return l
}

// dashed joins what there is of the parts.
func dashed(parts ...string) Line {
	var l Line
	for _, p := range parts {
		if blank(p) {
			continue
		}
		if len(l) > 0 {
			l = append(l, literal(" - "))
		}
		l = append(l, untrusted(p))
	}
	return l
}

func ispLine(e event.Event, f event.Facts) Line {
	from, isp := "Connected from:", "Connected from ISP:"
	if e.Kind == event.KindAlert {
		from, isp = "Network:", "ISP:"
	}
	n, sorts := f.Network, sorts(f.Traits)
	names := dashed(n.Name, n.Description)
	if n.ASN == 0 && len(names) == 0 {
		if len(sorts) == 0 {
			return nil
		}
		return append(label(literal(from)), sorts...)
	}
	l := label(literal(isp))
	if n.ASN != 0 {
		l = append(l, literal(fmt.Sprintf("AS%d", n.ASN)))
		if len(names) > 0 {
			l = append(l, literal(" "))
		}
	}
	l = append(l, names...)
	if len(sorts) > 0 {
		l = append(append(l, literal(" · ")), sorts...)
	}
	return l
}

// sorts names what sort of address it is, where anybody says so.
func sorts(t event.Traits) Line {
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
	return Line{literal(strings.Join(words, ", "))}
}

func riskLine(a event.Alert) Line {
	r := a.Facts.Risk
	if r == nil || a.Facts.Scope != "" {
		return nil
	}
	l := label(literal("Risk:"))
	switch name := strings.TrimSpace(r.Provider); {
	case name == "":
	case endsInRisk(name):
		l = label(untrusted(name), literal(":"))
	default:
		l = label(untrusted(name), literal(" Risk:"))
	}
	why := r.Reason
	if r.Known {
		l = append(l, literal(fmt.Sprint(r.Score)))
		if !blank(r.Word) {
			l = append(l, literal(" ("), untrusted(r.Word), literal(")"))
		}
	} else {
		l = append(l, literal("unknown"))
		why = r.Problem
	}
	if !blank(why) {
		l = append(l, literal(" - "), untrusted(why))
	}
	if r.Known && !r.Stale.IsZero() {
		l = append(l, literal(" (an answer of "+inZone(r.Stale, a.Zone).Format("2 Jan")+" "+clockOf(a).minutes(r.Stale)+")"))
	}
	return l
}

// endsInRisk reports whether a provider's name says itself what its number is.
func endsInRisk(name string) bool {
	words := strings.Fields(strings.ToLower(name))
	return len(words) > 0 && (words[len(words)-1] == "risk" || len(words) > 1 && words[len(words)-2] == "risk")
}

func authLine(a event.Alert) Line {
	u := a.Event.Auth()
	if blank(u.Method) && blank(u.Fingerprint) {
		return nil
	}
	l := join(label(literal("Authenticated with:")), method(u))
	if !blank(a.Person) {
		l = append(l, literal(" ("), untrusted(a.Person), literal(")"))
	}
	if u.KeyID == "" && u.CAFingerprint == "" {
		return l
	}
	l = append(l, literal(`, key id "`), untrusted(u.KeyID), literal(fmt.Sprintf(`", serial %d`, u.Serial)))
	if u.CAFingerprint != "" {
		l = append(l, literal(", CA "), fingerprint(u.CAFingerprint))
	}
	return l
}

// method is how somebody authenticated, and with which key.
func method(u event.Auth) Line {
	var l Line
	sep := ""
	for _, p := range []Span{untrusted(u.Method), untrusted(keyType(u.KeyType)), fingerprint(u.Fingerprint)} {
		if p.Text != "" {
			l = append(l, literal(sep), p)
			sep = " "
		}
	}
	return l
}

// seenLine is what the memory knows of a login that raises nothing.
func seenLine(a event.Alert) Line {
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
	if m.Young {
		said += " (still learning)"
	}
	return append(label(literal("Seen before:")), literal(said))
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
	t = inZone(t, a.Zone)
	if t.Year() == inZone(a.Event.Time, a.Zone).Year() {
		return t.Format("2 January")
	}
	return t.Format(date)
}

// sessionLine is a logout's: how long, how it ended, and which login it was.
func sessionLine(a event.Alert) Line {
	var l Line
	add := func(sep string, ps ...Span) {
		if len(l) > 0 {
			l = append(l, literal(sep))
		}
		l = append(l, ps...)
	}
	if a.Lasted > 0 {
		add("", literal(duration(a.Lasted)))
	}
	if a.Event.Has(event.FlagNoLogout) {
		add(", ", literal("its sshd is gone, no logout was reported"))
	}
	if a.LoginID != "" {
		add(" · ", literal("login ref "), untrusted(event.Ref(a.LoginID)))
	}
	if len(l) == 0 {
		return nil
	}
	return append(label(literal("Session:")), l...)
}

// fingerprint is exact where it has the form that ssh-keygen -l prints.
func fingerprint(s string) Span {
	sum, ok := strings.CutPrefix(s, "SHA256:")
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimSuffix(sum, "="))
	if ok && err == nil && len(b) == sha256.Size && !strings.ContainsAny(s, "\r\n") {
		return Span{Kind: Exact, Text: s}
	}
	return untrusted(s)
}
