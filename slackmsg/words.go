package slackmsg

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// clock is the contract's way to write a time.
const (
	timeOfDay = "03:04:05 PM"
	date      = "2 Jan 2006"
	clock     = timeOfDay + " (MST), " + date
)

func inZone(t time.Time, a event.Alert) time.Time {
	if a.Zone == nil {
		return t.UTC()
	}
	return t.In(a.Zone)
}

// newest is the time of the newest event that the alert tells.
func newest(a event.Alert) time.Time {
	if a.Last.After(a.Event.Time) {
		return a.Last
	}
	return a.Event.Time
}

// span writes a duration with one unit, as people do.
func span(d time.Duration) string {
	round := func(unit time.Duration) int { return int(math.Round(float64(d) / float64(unit))) }
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", max(1, round(time.Second)))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", round(time.Minute))
	case d < 36*time.Hour:
		return fmt.Sprintf("%d h", round(time.Hour))
	default:
		return fmt.Sprintf("%d days", round(24*time.Hour))
	}
}

// within is " in 4 min", or nothing for what happened at once.
func within(a event.Alert) string {
	if d := a.Last.Sub(a.First); !a.First.IsZero() && d >= time.Second {
		return " in " + span(d)
	}
	return ""
}

// noun is what one and what several events of a kind are called; a mixture has
// no kind.
func noun(k event.Kind) (one, several string) {
	switch k {
	case event.KindLogin:
		return "login", "logins"
	case event.KindLogout:
		return "logout", "logouts"
	case event.KindAttack:
		return "attack", "attacks"
	case event.KindAttempt:
		return "failed login", "failed logins"
	case event.KindMatch:
		return "match", "matches"
	case event.KindAlert:
		return "alert", "alerts"
	case event.KindWitness:
		return "unreported session", "unreported sessions"
	default:
		return "event", "events"
	}
}

// count writes 1 login, 2 logins.
func count(n int, k event.Kind) string {
	one, several := noun(k)
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// more writes 12 more logins.
func more(n int, k event.Kind) string {
	_, several := noun(k)
	return fmt.Sprintf("%d more %s", n, several)
}

// toHost is the preposition between so many of a kind and their host.
func toHost(k event.Kind) string {
	switch k {
	case event.KindLogin:
		return " to "
	case event.KindLogout:
		return " from "
	default:
		return " on "
	}
}

// severityWord is HIGH with a space after it, or nothing below medium.
func severityWord(s event.Severity) string {
	if s < event.Medium {
		return ""
	}
	return strings.ToUpper(min(s, event.Critical).String()) + " "
}

// shortHost is a host's first label; an address stays whole.
func shortHost(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	first, _, _ := strings.Cut(host, ".")
	return orUnknown(first, "host")
}

func orUnknown(s, what string) string {
	if blank(s) {
		return "unknown " + what
	}
	return s
}

// labelValues joins the values of labels, in the order of their keys.
func labelValues(labels map[string]string) string {
	var vs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if !blank(labels[k]) {
			vs = append(vs, strings.TrimSpace(labels[k]))
		}
	}
	return strings.Join(vs, ", ")
}

// keyType writes the type of a key as sshd's log does (sshkey_type in OpenSSH's
// sshkey.c): ssh-ed25519 is ED25519. What it does not know stays as it is.
func keyType(t string) string {
	base, vendored := strings.CutSuffix(t, "@openssh.com")
	base, cert := strings.CutSuffix(base, "-cert-v01")
	if !vendored {
		cert = false
	}
	base, webauthn := strings.CutPrefix(base, "webauthn-")
	base, sk := strings.CutPrefix(base, "sk-")
	var word string
	switch {
	case base == "ssh-ed25519":
		word = "ED25519"
	case base == "ssh-rsa" || base == "rsa-sha2-256" || base == "rsa-sha2-512":
		word = "RSA"
	case base == "ssh-dss":
		word = "DSA"
	case strings.HasPrefix(base, "ecdsa-sha2-nistp"):
		word = "ECDSA"
	default:
		return t
	}
	if sk || webauthn {
		word += "-SK"
	}
	if cert {
		word += "-CERT"
	}
	return word
}

// maxURL is the longest link that leaves room for words beside it.
const maxURL = 200

// safeURL gives a web address in a form that can't end Slack's link early, or
// nothing where it is none or too long.
func safeURL(raw string) string {
	if len(raw) > maxURL {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	var b strings.Builder
	for _, c := range []byte(raw) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>|\"`\\^{}*", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if width(Escape(b.String())) > maxURL {
		return ""
	}
	return b.String()
}
