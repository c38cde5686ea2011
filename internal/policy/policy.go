// Package policy decides what an event means: how severe it is, in which
// colour it is told, and why. It is one pure function over the event and what
// look-ups found.
//
// It must never touch the operating system or a network, and never ask for the
// time: the same event and facts give the same verdict, today and replayed.
package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The colours of the contract.
const (
	Green  = "#02ff00" // low, and known to be
	Yellow = "#ffe200" // medium
	Red    = "#ff0002" // high and critical
	Grey   = "#9aa0a6" // not known: never shown as safe
)

// Settings are the owner's thresholds, 0 to 100: a score above RedAbove is
// high, above YellowAbove medium.
type Settings struct {
	YellowAbove int
	RedAbove    int
}

// reason is why a verdict is no better than it is.
type reason struct {
	weight event.Severity // how severe it makes the event
	text   string
}

// Judge gives the verdict on one event. The verdict of a logout is its own;
// who tells a logout as severe as its login passes the login's instead.
func Judge(e event.Event, f event.Facts, s Settings) event.Verdict {
	switch e.Kind {
	case event.KindAlert:
		return verdict(true, true, noted(e, nil))
	case event.KindLogout:
		var rs []reason
		if e.Has(event.FlagNoLogout) {
			rs = append(rs, reason{event.Low, "its sshd is gone, no logout was reported"})
		}
		return verdict(true, false, rs)
	default:
		return judgeAddress(e, f, s)
	}
}

// judgeAddress is for whatever came from somewhere: a login, an attack.
func judgeAddress(e event.Event, f event.Facts, s Settings) event.Verdict {
	var rs []reason
	if e.Has(event.FlagAddressMismatch) {
		rs = append(rs, reason{event.High, forged(e.Remote)})
	}
	known, scored := true, false
	if r := f.Risk; r != nil && f.Scope == "" {
		problem := r.Problem
		known = r.Known
		// A score that no provider should give is no score: below 0 it would be
		// green.
		if known && (r.Score < 0 || r.Score > 100) {
			known, problem = false, fmt.Sprintf("a score of %d", r.Score)
		}
		scored = known
		if known {
			rs = append(rs, scoreReason(r, s)...)
		} else {
			rs = append(rs, reason{event.Low, join(cmp.Or(r.Provider, "provider")+" risk unknown", problem)})
		}
	}
	if e.Has(event.FlagEnvironmentUnverified) {
		rs = append(rs, reason{event.Medium, "its environment could not be verified, user and address may be forged"})
	}
	if e.Has(event.FlagAddressUnverified) {
		// No higher severity: a host with UseDNS would cry wolf at every login.
		// But a score of an address that may be another's makes nothing green.
		rs = append(rs, reason{event.Low, "its address is unverified, sshd named none"})
		scored = false
	}
	return verdict(known, scored, noted(e, rs))
}

// scoreReason gives no reason for a low score: it is no reason to worry.
func scoreReason(r *event.Risk, s Settings) []reason {
	weight := event.Low
	switch {
	case r.Score > s.RedAbove:
		weight = event.High
	case r.Score > s.YellowAbove:
		weight = event.Medium
	default:
		return nil
	}
	text := fmt.Sprintf("%s %d", cmp.Or(r.Provider, "risk"), r.Score)
	if r.Word != "" {
		text += " (" + r.Word + ")"
	}
	return []reason{{weight, join(text, r.Reason)}}
}

// noted adds the severity that the event's own note asks for. It needs no
// words: the note is shown.
func noted(e event.Event, rs []reason) []reason {
	if e.Note == nil {
		return rs
	}
	return append(rs, reason{min(max(e.Note.Severity, event.Low), event.Critical), ""})
}

func forged(r event.Remote) string {
	said, saw := "", ""
	if r.Claimed != "" {
		said = "it said " + r.Claimed
	}
	if r.IP.IsValid() {
		saw = "sshd saw " + r.IP.String()
	}
	if said != "" && saw != "" {
		said += ", "
	}
	return join("SSH_CONNECTION was forged", said+saw)
}

// verdict takes the most severe of the reasons. Low is green only where safe
// says that something vouches for it.
func verdict(known, safe bool, rs []reason) event.Verdict {
	v := event.Verdict{Severity: event.Low, Colour: Grey, Known: known}
	slices.SortStableFunc(rs, func(a, b reason) int { return cmp.Compare(b.weight, a.weight) })
	for _, r := range rs {
		v.Severity = max(v.Severity, r.weight)
		if r.text != "" {
			v.Reasons = append(v.Reasons, r.text)
		}
	}
	switch {
	case v.Severity >= event.High:
		v.Colour = Red
	case v.Severity == event.Medium:
		v.Colour = Yellow
	case safe:
		v.Colour = Green
	}
	return v
}

// join puts a colon between two texts, where there are two.
func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}
