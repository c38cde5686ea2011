package slackmsg

import (
	"fmt"

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

// place is City - Region (CC), as much of it as is known.
func place(f event.Facts, each int) line {
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

func ispLine(n event.Network, each int) line {
	names := dashed(each, n.Name, n.Description)
	if n.ASN == 0 && len(names) == 0 {
		return nil
	}
	l := label(say("Connected from ISP:"))
	if n.ASN != 0 {
		l = append(l, say(fmt.Sprintf("AS%d", n.ASN)))
		if len(names) > 0 {
			l = append(l, say(" "))
		}
	}
	return append(l, names...)
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
	return l
}

func authLine(a event.Alert, each int) line {
	u := a.Event.Auth
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
