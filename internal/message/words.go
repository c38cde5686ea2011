package message

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

// newest is the time of the newest event that the alert tells.
func newest(a event.Alert) time.Time {
	if a.Last.After(a.Event.Time) {
		return a.Last
	}
	return a.Event.Time
}

// duration writes a duration with one unit, as people do.
func duration(d time.Duration) string {
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
		return " in " + duration(d)
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
	if n != 1 {
		one = several
	}
	return fmt.Sprintf("%d %s", n, one)
}

// moreOf writes 12 more logins.
func moreOf(n int, k event.Kind) string {
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

// labels is " (prod, db)": the values of a host's labels, in the order of their
// keys.
func labels(all map[string]string) Line {
	var vs []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if !blank(all[k]) {
			vs = append(vs, strings.TrimSpace(all[k]))
		}
	}
	if len(vs) == 0 {
		return nil
	}
	return Line{literal(" ("), untrusted(strings.Join(vs, ", ")), literal(")")}
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

// safeURL returns a web address in a form that can't end a link early, or
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
	if s := b.String(); len(s)+4*strings.Count(s, "&") <= maxURL { // as &amp; at most
		return s
	}
	return ""
}

// serviceName is the adjective that tells by which service: SSH, or the name of
// a PAM service.
func serviceName(e event.Event) string {
	switch s := strings.TrimSpace(e.Service); {
	case s == "" || s == "sshd" || s == "ssh":
		return "SSH"
	case s == "login":
		return "console"
	case s == "su-l", s == "sudo-i": // the same, with a login shell
		return s[:len(s)-2]
	default:
		return s
	}
}

// kindName is what an event without words of its own is called.
func kindName(k event.Kind) string {
	switch k {
	case event.KindAttack:
		return "Attack"
	case event.KindMatch:
		return "Match"
	}
	return "Alert"
}

// becomes reports whether a login is somebody's on the host who becomes
// another user, by sudo or su.
func becomes(e event.Event) bool { return e.Kind == event.KindLogin && !blank(e.Login.By) }

// public reports whether strangers read what an event tells.
func public(e event.Event) bool {
	n := e.Note()
	return n != nil && n.Public
}

func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.UTC()
	}
	return t.In(zone)
}
