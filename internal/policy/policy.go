// Package policy decides what an event means: how severe it is, how much
// is known of it, to whom it is told, and why. It is one pure function over the event,
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

// Input is all that is known of one event.
type Input struct {
	Event  event.Event
	Facts  event.Facts
	Memory event.Memory // of a login; the zero value: no memory
	Owner  string       // whose key it is; empty: nobody known
	// KnownKeys: there is a list of owners at all, so that a key which nobody
	// owns means something.
	KnownKeys bool
	// OneByOne: ordinary logins of this host are few enough to be told one by one,
	// where the settings leave that to their number. Frequent: this one's pair
	// comes more often than hourly.
	OneByOne, Frequent bool
	// Few: so are all logins of this host, usual or not.
	Few bool
	// ManyNew: more pairs that are not usual yet came in a day than are told one by
	// one.
	ManyNew bool
}

// Judge returns the verdict on one event. The verdict of a logout is its own;
// who tells a logout as severe as its login passes the login's instead.
//
// Settings' rules are for logins. A rule's severity holds whatever the reasons
// ask for, with one exception: the flags that say that an event may be forged
// keep the severity which they ask for, because a rule may have matched the
// forgery. A rule's severity is what the event is routed as, since the owner has
// said where it is to go, also where its risk is not known; it counts as known
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
		return conclude(assessment{scored: true, reasons: noted(e, nil)})
	case event.KindDigest:
		r := e.Digest.Report
		odd := len(e.Digest.Unanswered) > 0 || r != nil && (r.Unusual > 0 || r.Logins == 0 || len(r.Failing)+r.MoreFailing > 0)
		return conclude(assessment{usual: e.Digest.Of != event.KindAttempt && !odd})
	case event.KindLogout:
		var rs []reason
		if e.Has(event.FlagNoLogout) {
			rs = append(rs, reason{weight: event.Low, text: "its sshd is gone, no logout was reported", key: keyNoLogout})
		}
		return conclude(assessment{reasons: rs})
	case event.KindWitness:
		return conclude(assessment{reasons: []reason{missed(e)}})
	case event.KindGate:
		a := addressed(in, s)
		a.add(step2(e))
		a.reasons = append(a.reasons, traitReasons(in.Facts, s)...)
		return conclude(a)
	case event.KindLogin:
		a := addressed(in, s)
		a.reasons = append(a.reasons, keyReasons(in, s)...)
		a.reasons = append(a.reasons, traitReasons(in.Facts, s)...)
		a.reasons = append(standing(a.reasons, in.Memory.Pair), memoryReasons(in, s)...)
		a.reasons = step(append(a.reasons, anomalies(in, s)...), in.Memory.Young)
		a.reasons = append(a.reasons, afterFailures(in, e.Login.After)...)
		a.usual = usual(in, s, a)
		return applyRule(conclude(a), in, s, trace)
	default:
		a := addressed(in, s)
		a.reasons = append(a.reasons, traitReasons(in.Facts, s)...)
		if e.GotIn() {
			a.reasons = append(a.reasons, afterFailures(in, e.Attack)...)
		} else {
			a.reasons = noted(e, a.reasons)
		}
		return conclude(a)
	}
}

// assessment is what there is to say of an event, before it is weighed.
type assessment struct {
	unanswered bool // a provider was asked in vain
	scored     bool // a score vouches for the event
	usual      bool
	reasons    []reason
}

// addressed is for whatever came from somewhere: a login, an attack.
func addressed(in Input, s Settings) assessment {
	e, f := in.Event, in.Facts
	var a assessment
	if e.Has(event.FlagAddressMismatch) {
		a.add(reason{weight: event.High, text: forged(e.Remote), key: keyForged, forged: true})
	}
	if _, a.scored = score(f, s); a.scored {
		a.add(scoreReason(f.Risk, s)...)
	} else if unknownRisk(f, s) {
		a.unanswered = true
		a.add(noScore(f.Risk))
	}
	if e.Has(event.FlagEnvironmentUnverified) {
		a.add(reason{weight: event.Medium, text: "its environment could not be verified, user and address may be forged", key: keyUnverified, forged: true})
	}
	if e.Has(event.FlagAddressUnverified) {
		// No higher severity: a host with UseDNS would cry wolf at every login.
		a.add(reason{weight: event.Low, text: "its address is unverified, sshd named none", key: keyUnverified})
	}
	// The score of an address that may be another's vouches for nothing.
	a.scored = a.scored && !e.Has(event.FlagAddressMismatch) && !e.Has(event.FlagEnvironmentUnverified) && !e.Has(event.FlagAddressUnverified)
	return a
}

func (a *assessment) add(rs ...reason) { a.reasons = append(a.reasons, rs...) }

// conclude takes the most severe of the reasons.
func conclude(a assessment) judgement {
	v := event.Verdict{Severity: event.Low, Usual: a.usual}
	slices.SortStableFunc(a.reasons, func(x, y reason) int { return cmp.Compare(y.weight, x.weight) })
	for _, r := range a.reasons {
		v.Severity = max(v.Severity, r.weight)
		if r.text != "" {
			v.Reasons, v.Keys = append(v.Reasons, r.text), append(v.Keys, r.name())
		}
	}
	v.Knowledge, v.Floor = known(a.scored, a.usual, a.unanswered)
	return judgement{verdict: v, reasons: a.reasons, scored: a.scored, asked: v.Severity, rule: -1}
}

// known decides that what is unknown is never safe: only a score makes an event
// known, only the memory usual, and what a provider could not answer is routed
// as medium at least.
func known(scored, usual, unanswered bool) (k event.Knowledge, floor event.Severity) {
	if unanswered {
		floor = event.Medium
	}
	switch {
	case scored:
		return event.Known, floor
	case usual:
		return event.Usual, floor
	}
	return event.Unknown, floor
}
