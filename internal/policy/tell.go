package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// When is when an event is told.
type When string

// The times.
const (
	Now     When = "now"
	Digest  When = "digest"  // in the daily digest
	Counted When = "counted" // never: it is remembered and counted
	// Silenced is never, too: a silence held it.
	Silenced When = "silenced"
)

// How often what was told as high or worse is told again, while nobody
// acknowledges it: after six hours, then daily, after seven times weekly.
const (
	firstReminder = 6 * time.Hour
	reminder      = 24 * time.Hour
	lateReminder  = 7 * 24 * time.Hour
	lateAfter     = 7
)

// Telling is when an event is told, and what it teaches.
type Telling struct {
	When     When   `json:"when"`
	Ordinary bool   `json:"ordinary,omitempty"` // nothing about it is new or odd
	New      bool   `json:"new,omitempty"`      // nothing about it is odd, but it is not usual yet
	Why      string `json:"why"`                // plain, of When
	// Teaches: what is new about it may become usual. What is high or worse
	// teaches nothing until it is acknowledged, unless only a rule of the owner's
	// says that it is.
	Teaches bool `json:"teaches,omitempty"`
	// Late: it came to a hub so long after it happened that it teaches nothing.
	Late bool `json:"late,omitempty"`
}

// Tell decides whether a login is told at once, in the daily digest, or only
// remembered, given its verdict. All else is told at once.
func Tell(in Input, v event.Verdict, s Settings) Telling {
	t := Telling{When: Now, Teaches: teaches(in, v, s)}
	if in.Event.Kind != event.KindLogin {
		t.Why = "it is no login"
		return t
	}
	p, byRule := in.Memory.Pair, spoken(v, s)
	switch {
	case v.Ignore:
		t.When, t.Why = Counted, "rule "+v.Rule+" leaves it out"
	case len(in.Event.Flags) > 0:
		t.Why = "it may be forged"
	case byRule != nil && (byRule.Severity != nil || len(v.Only) > 0) && (v.Severity > event.Low || len(v.Only) > 0):
		t.Why = "rule " + v.Rule + " wants it told"
	case v.Severity < event.High && s.Ignored.Has(in.Event) && !IsNew(in):
		t.When, t.Why = Counted, "the settings ignore it"
	case !in.Memory.Known:
		t.Why = "nothing is remembered"
	case v.Severity >= event.High:
		t.When, t.Why = again(in, v, p)
	case v.Severity > event.Low || !p.Usual():
		if t.When, t.Why = daily(in, v, p, s); t.When == Digest && v.Severity == event.Low {
			// On a host with few logins, usual or not, each of them is told.
			if s.Notify == NotifyAuto && in.Few {
				t.When, t.Why = Now, "logins are few on this host"
			}
		}
		if t.New = t.When == Now && merelyNew(in, v); t.New && in.ManyNew {
			t.When, t.Why = Digest, "this combination of user, network and key is not usual yet, as those of many others who came today"
		}
	default:
		t.Ordinary = true
		t.When, t.Why = ordinary(in, p, s)
	}
	if t.When == Digest && s.each(in.Event) {
		t.When, t.Why = Now, "the settings want each login told (notify = \"all\")"
	}
	return t
}

// IsNew reports whether the memory has never seen the user of a login, or the
// user with its key, from its network or from its country. It is false without
// a memory, and while that is young, when nothing is a wonder. What is ignored
// is told then all the same: whoever stole the right comes from elsewhere.
func IsNew(in Input) bool {
	n := newnessOf(in)
	return !in.Memory.Young && (n.user || n.key || n.network || n.country)
}

// merelyNew reports whether there is nothing to wonder about in a login but that its
// pair is not usual yet: somebody came from where others of this host come from. By
// password, which strangers guess, that is their network; by key their country will
// do. On a host that is not young it is somebody who came before.
func merelyNew(in Input, v event.Verdict) bool {
	m := in.Memory
	if m.Pair.Usual() || v.Severity > event.Medium || v.Severity == event.Medium && !m.Young {
		return false
	}
	for _, k := range v.Keys {
		switch k {
		case keyNewPair, keyYoung, keyNoScore, string(FirstLogin), string(NewCountry), string(NewNetwork), string(NewAddress), string(NewUserOnHost), string(Hosting), string(UnusualHour):
		default:
			return false
		}
	}
	if named(in.Facts) || m.HostNetwork.Count > 0 {
		return true
	}
	return byKey(in.Event.Login.Auth) && in.Facts.Place.Country != "" && m.HostCountry.Count > 0
}

// teaches reports whether a login may become usual.
func teaches(in Input, v event.Verdict, s Settings) bool {
	if in.Event.Login.Step.LetIn() {
		return false
	}
	if v.Severity < event.High {
		return true
	}
	r := spoken(v, s)
	if r == nil || r.Severity == nil || *r.Severity != v.Severity {
		return false
	}
	s.Rules = nil
	return Judge(in, s).Severity < event.High
}

// spoken returns the rule that a verdict is by; nil: by none.
func spoken(v event.Verdict, s Settings) *Rule {
	if v.Rule == "" {
		return nil
	}
	for i := range s.Rules {
		if s.Rules[i].title(i) == v.Rule {
			return &s.Rules[i]
		}
	}
	return nil
}

// again decides about what is high or worse: at once, and then ever less often
// while nobody answers.
func again(in Input, v event.Verdict, p event.Pair) (When, string) {
	at := in.Event.Time
	told := "told at " + p.Told.UTC().Format("15:04 on 2 January") + " UTC as " + p.ToldSeverity.String()
	wait := firstReminder
	switch {
	case p.Told.IsZero():
		return Now, "it is " + v.Severity.String() + ", and was never told"
	case v.Severity > p.ToldSeverity:
		return Now, "it is " + v.Severity.String() + ", and was " + told
	case newReason(v, p) != "":
		return Now, "a new reason (" + newReason(v, p) + ") since it was " + told
	case p.Unanswered == 0:
		return Now, "it is " + v.Severity.String()
	case p.Unanswered >= lateAfter:
		wait = lateReminder
	case p.Unanswered > 1:
		wait = reminder
	}
	if at.Sub(p.Told) >= wait {
		return Now, fmt.Sprintf("nobody has answered since it was %s, %s", told, times(p.Unanswered))
	}
	return Digest, fmt.Sprintf("%s, and unanswered: told again %s after that", told, interval(wait))
}

// daily decides about what is new or odd, and less than high: once a day.
func daily(in Input, v event.Verdict, p event.Pair, s Settings) (When, string) {
	what := "this combination of user, network and key is not usual yet"
	if p.Usual() {
		what = "it is " + v.Severity.String()
	}
	switch {
	case p.Told.IsZero():
		return Now, what + ", and was never told"
	case v.Severity > p.ToldSeverity:
		return Now, what + ", and more severe than what was told"
	case newReason(v, p) != "" && !p.Usual() && v.Severity == event.Low, newReason(v, p) == "":
	default:
		return Now, what + ", and there is a new reason: " + newReason(v, p)
	}
	at := " at " + p.Told.In(s.zone()).Format("15:04 on 2 January")
	if day(in.Event.Time, s) != day(p.Told, s) {
		return Now, what + ": the first of the day, the last was told" + at
	}
	return Digest, what + ", and was told today already," + at
}

func day(t time.Time, s Settings) string { return t.In(s.zone()).Format(time.DateOnly) }

// newReason returns a reason that was not in the newest message; empty: there is
// none. That time passes makes none.
func newReason(v event.Verdict, p event.Pair) string {
	for _, k := range v.Keys {
		switch k {
		case "", keyNewPair, keyYoung, keyNoScore, keyWarned, string(UnusualHour), string(Travel):
		default:
			if !slices.Contains(p.ToldReasons, k) {
				return k
			}
		}
	}
	return ""
}

// ordinary decides by the mode.
func ordinary(in Input, p event.Pair, s Settings) (When, string) {
	what := "it is " + string(p.State)
	if !p.Since.IsZero() {
		what += " since " + p.Since.In(s.zone()).Format("2 January 2006")
	}
	switch {
	case s.Notify == NotifyUnusual:
		return Digest, what + ", and only what is unusual is told at once (notify = \"unusual\")"
	case s.each(in.Event):
		return Now, what + ", and the settings want each login told (notify = \"all\")"
	case in.Frequent:
		return Digest, what + ", and comes more often than hourly"
	case in.OneByOne:
		return Now, what + ", and ordinary logins are few on this host"
	}
	return Digest, what + ", and ordinary logins are many on this host"
}

// each reports whether a login is told whatever it is. Those that only a log tells of,
// as of FTP servers, never are: a camera comes every minute.
func (s Settings) each(e event.Event) bool {
	return s.Notify != NotifyAuto && s.Notify != NotifyUnusual && e.Via != event.ViaWatch
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func interval(d time.Duration) string {
	if d == firstReminder {
		return "six hours"
	}
	if d == reminder {
		return "a day"
	}
	return "a week"
}
