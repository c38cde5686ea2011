package event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Verdict is what the policy makes of an event and its facts: how severe it is,
// and how much is known of it. The two are independent: a look-up that timed
// out, of a login from a new country, is unknown and high.
type Verdict struct {
	Severity  Severity  `json:"severity"`
	Knowledge Knowledge `json:"knowledge"`
	// Floor is the least severity that the event is routed as. It is above Low
	// where a provider was asked and returned no score, because unknown is not
	// safe.
	Floor   Severity `json:"floor,omitzero"`
	Reasons []string `json:"reasons,omitempty"` // plain text, the strongest first
	// Keys are the reasons in a form that stays when their words or figures do not:
	// "new_country", "tor", "score_high", "rule:NAME".
	Keys []string `json:"keys,omitempty"`
	// Usual: the memory knows this person, network and key, and nothing is odd,
	// whatever a score says.
	Usual bool `json:"usual,omitempty"`
	// Rule names the settings' rule that matched; empty: none did.
	Rule string `json:"rule,omitempty"`
	// Ignore: a rule wants it recorded and not told.
	Ignore bool `json:"ignore,omitempty"`
	// Only are the destinations that a rule wants it to go to; empty: all.
	Only []string `json:"only,omitempty"`
}

// Knowledge is how much is known of an event, and so whether a low severity
// means that it is safe. The zero value is Unknown.
type Knowledge string

// What there is to know.
const (
	Unknown Knowledge = "unknown" // a provider was asked in vain, or nothing vouches for the event
	Usual   Knowledge = "usual"   // no score, but the memory knows it
	Known   Knowledge = "known"   // a score vouches for it
)

// Route returns the severity that a destination's threshold is held against.
func (v Verdict) Route() Severity { return max(v.Severity, v.Floor) }

// Worse reports whether a message that tells both bears v rather than o. One
// low event that is not known makes all of them unknown.
func (v Verdict) Worse(o Verdict) bool {
	if v.Severity != o.Severity || v.Severity > Low {
		return v.Severity > o.Severity
	}
	return v.Knowledge.doubt() > o.Knowledge.doubt()
}

func (k Knowledge) doubt() int {
	switch k {
	case Known:
		return 0
	case Usual:
		return 1
	}
	return 2
}

// UnmarshalJSON also reads the form of version 1, which had a colour.
func (v *Verdict) UnmarshalJSON(b []byte) error {
	type verdict Verdict
	old := struct {
		*verdict
		Known  *bool  `json:"known"`
		Colour string `json:"colour"`
	}{verdict: (*verdict)(v)}
	if err := json.Unmarshal(b, &old); err != nil || old.Known == nil {
		return err
	}
	v.Knowledge = Unknown
	switch {
	case !*old.Known:
		v.Floor = Medium
	case old.Colour == "#02ff00":
		v.Knowledge = Known
	case old.Colour == "#2f81f7":
		v.Knowledge = Usual
	}
	return nil
}

// Severity is how much an alert matters. The zero value is Low.
type Severity int

// The severities, in order.
const (
	Low Severity = iota
	Medium
	High
	Critical
)

var severityNames = [...]string{"low", "medium", "high", "critical"}

func (s Severity) String() string {
	if s < Low || s > Critical {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return Low, errors.New("must be low, medium, high or critical")
}

// MarshalText returns the severity's name.
func (s Severity) MarshalText() ([]byte, error) {
	if s < Low || s > Critical {
		return nil, fmt.Errorf("no severity: %d", int(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	v, err := ParseSeverity(string(b))
	if err == nil {
		*s = v
	}
	return err
}
