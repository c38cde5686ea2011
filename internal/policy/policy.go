// Package policy decides what an event means: how severe it is, in which
// colour it is told, to whom, and why. It is one pure function over the event,
// what look-ups found, what is remembered, and the settings.
//
// It must never touch the operating system or a network, and never ask for the
// time: the same event, facts and memory give the same verdict, today and
// replayed.
package policy

import (
	"cmp"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The colours of the contract.
const (
	Green  = "#02ff00" // low, and known to be
	Blue   = "#2f81f7" // usual: no score, but the memory knows this person, network and key
	Yellow = "#ffe200" // medium
	Red    = "#ff0002" // high and critical
	Grey   = "#9aa0a6" // not known: never shown as safe
)

// Input is all that is known of one event.
type Input struct {
	Event  event.Event
	Facts  event.Facts
	Memory event.Memory // of a login; the zero value: no memory
	Owner  string       // whose key it is; empty: nobody known
	// KnownKeys: there is a list of owners at all, so that a key which nobody
	// owns means something.
	KnownKeys bool
}

// Judge gives the verdict on one event. The verdict of a logout is its own;
// who tells a logout as severe as its login passes the login's instead.
//
// Settings' rules are for logins. A rule's severity holds whatever the reasons
// ask for, with one exception: the flags that say that an event may be forged
// keep the severity which they ask for, because a rule may have matched the
// forgery. With a rule's severity Known is true, since the owner has said where
// the event is to go, also where its risk is not known; its colour is green
// only if a score says so.
func Judge(in Input, s Settings) event.Verdict {
	return judge(in, s, nil).verdict
}

// judgement is a verdict and how it came about.
type judgement struct {
	verdict event.Verdict
	reasons []reason
	scored  bool           // a score vouches for the event
	asked   event.Severity // what the reasons alone ask for
	rule    int            // the one that spoke; -1: none
	refused []string       // what it did not get
}

// judge notes in trace, where there is one, why rules did not match.
func judge(in Input, s Settings, trace *[]RuleTrace) judgement {
	e := in.Event
	switch e.Kind {
	case event.KindAlert:
		digest := len(e.Rows) > 0 // of usual logins, for which no score vouches
		return conclude(assessment{known: true, scored: !digest, usual: digest, reasons: noted(e, nil)})
	case event.KindLogout:
		var rs []reason
		if e.Has(event.FlagNoLogout) {
			rs = append(rs, reason{weight: event.Low, text: "its sshd is gone, no logout was reported"})
		}
		return conclude(assessment{known: true, reasons: rs})
	case event.KindWitness:
		return conclude(assessment{known: true, reasons: []reason{missed(e)}})
	case event.KindLogin:
		a := addressed(in, s)
		a.reasons = append(a.reasons, keyReasons(in, s)...)
		a.reasons = append(a.reasons, traitReasons(in.Facts, s)...)
		a.reasons = append(a.reasons, memoryReasons(in, s)...)
		a.reasons = step(append(a.reasons, oddities(in, s)...))
		a.reasons = noted(e, a.reasons)
		a.usual = usual(in, s, a)
		return applyRule(conclude(a), in, s, trace)
	default:
		a := addressed(in, s)
		a.reasons = noted(e, append(a.reasons, traitReasons(in.Facts, s)...))
		return conclude(a)
	}
}

// assessment is what there is to say of an event, before it is weighed.
type assessment struct {
	known   bool // no provider was asked in vain
	scored  bool // a score vouches for the event
	usual   bool
	reasons []reason
}

// addressed is for whatever came from somewhere: a login, an attack.
func addressed(in Input, s Settings) assessment {
	e, f := in.Event, in.Facts
	a := assessment{known: true}
	if e.Has(event.FlagAddressMismatch) {
		a.add(reason{weight: event.High, text: forged(e.Remote), forged: true})
	}
	if _, a.scored = score(f, s); a.scored {
		a.add(scoreReason(f.Risk, s)...)
	} else if unknownRisk(f, s) {
		a.known = false
		a.add(noScore(f.Risk))
	}
	if e.Has(event.FlagEnvironmentUnverified) {
		a.add(reason{weight: event.Medium, text: "its environment could not be verified, user and address may be forged", forged: true})
	}
	if e.Has(event.FlagAddressUnverified) {
		// No higher severity: a host with UseDNS would cry wolf at every login.
		// But a score of an address that may be another's makes nothing green.
		a.add(reason{weight: event.Low, text: "its address is unverified, sshd named none"})
		a.scored = false
	}
	return a
}

func (a *assessment) add(rs ...reason) { a.reasons = append(a.reasons, rs...) }

// conclude takes the most severe of the reasons. Low is green only where a
// score vouches for it, and blue only where the memory does.
func conclude(a assessment) judgement {
	v := event.Verdict{Severity: event.Low, Known: a.known, Usual: a.usual}
	slices.SortStableFunc(a.reasons, func(x, y reason) int { return cmp.Compare(y.weight, x.weight) })
	for _, r := range a.reasons {
		v.Severity = max(v.Severity, r.weight)
		if r.text != "" {
			v.Reasons = append(v.Reasons, r.text)
		}
	}
	v.Colour = colour(v, a.scored)
	return judgement{verdict: v, reasons: a.reasons, scored: a.scored, asked: v.Severity, rule: -1}
}

func colour(v event.Verdict, scored bool) string {
	switch {
	case v.Severity >= event.High:
		return Red
	case v.Severity == event.Medium:
		return Yellow
	case scored:
		return Green
	case v.Usual:
		return Blue
	}
	return Grey
}
