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

// clock writes times: those of one zone, in 24 or in 12 hours.
type clock struct {
	zone   *time.Location // nil: UTC
	twelve bool
}

const date = "2 Jan 2006"

func clockOf(a event.Alert) clock { return clock{a.Zone, a.Clock12} }

func (c clock) in(t time.Time) time.Time { return inZone(t, c.zone) }

// of returns a time of day's form, with seconds: 15:04:05.
func (c clock) of() string {
	if c.twelve {
		return "03:04:05 PM"
	}
	return time.TimeOnly
}

// full is "02:15:04 (UTC), 21 Nov 2026".
func (c clock) full(t time.Time) string { return c.in(t).Format(c.of() + " (MST), " + date) }

// minutes is "02:15".
func (c clock) minutes(t time.Time) string {
	if c.twelve {
		return c.in(t).Format("03:04 PM")
	}
	return c.in(t).Format("15:04")
}

// span is "02:15:04 to 02:19:04 (UTC), 21 Nov 2026": what is the same of both is
// said once.
func (c clock) span(first, last time.Time) string {
	from, to := c.in(first), c.in(last)
	day := ""
	if from.Format(date) != to.Format(date) {
		day = ", " + date
		if from.Year() == to.Year() {
			day = ", 2 Jan"
		}
	}
	return from.Format(c.of()+day) + " to " + c.full(last)
}

// brief is "20 Nov 23:15:04", of a text beside a title that has the zone.
func (c clock) brief(t time.Time) string { return c.in(t).Format("2 Jan " + c.of()) }

// briefSpan is "20 Nov 23:15:04 to 23:25:04".
func (c clock) briefSpan(first, last time.Time) string {
	if c.in(first).Format(date) == c.in(last).Format(date) {
		return c.brief(first) + " to " + c.in(last).Format(c.of())
	}
	return c.brief(first) + " to " + c.brief(last)
}

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
	case event.KindGate:
		return "second step", "second steps"
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
	return number(n) + " " + one
}

// moreOf writes 12 logins, or 12 more logins where others were told.
func moreOf(a event.Alert) string {
	_, several := noun(a.Event.Kind)
	return manyOf(a) + several
}

// manyOf writes "12 " or "12 more ".
func manyOf(a event.Alert) string {
	if a.More {
		return number(a.Count) + " more "
	}
	return number(a.Count) + " "
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

// gotIn reports whether an event is that somebody got in after failures, told in
// what was counted.
func gotIn(e event.Event) bool {
	return e.Kind == event.KindAttack && e.Attack != nil && e.Attack.Phase == event.PhaseSuccess
}

func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.UTC()
	}
	return t.In(zone)
}

// Reasons puts the keys of reasons into words, where nothing better is remembered of
// them. What only says that nobody is usual yet is no reason.
func Reasons(keys []string) (out []string) {
	for _, k := range keys {
		if k == "young" || k == "new_pair" {
			continue
		}
		out = append(out, strings.NewReplacer("_", " ", ":", " ").Replace(k))
	}
	return out
}
