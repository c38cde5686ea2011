package policy

import "github.com/sshnotify/sshnotify/internal/event"

// Explanation is how a verdict came about.
type Explanation struct {
	Verdict event.Verdict  `json:"verdict"`
	Reasons []Asked        `json:"reasons,omitempty"` // the strongest first; without a rule's own
	Asked   event.Severity `json:"asked"`             // what the reasons alone ask for
	// Rules are those that were tried, in order. The one that spoke is the last
	// and misses nothing; those after it were not tried.
	Rules []RuleTrace `json:"rules,omitempty"`
	Rule  int         `json:"rule"` // which one spoke, from 0; -1: none
	// Refused says what the rule wanted and did not get.
	Refused []string `json:"refused,omitempty"`
}

// Asked is a reason, and the severity that it asks for.
type Asked struct {
	Text     string         `json:"text"` // empty: the event's own note
	Severity event.Severity `json:"severity"`
	About    Signal         `json:"about,omitempty"` // the key of the settings that says so; may be empty
}

// RuleTrace is what was found of one rule.
type RuleTrace struct {
	Name   string `json:"name"`             // or its number, from 1
	Misses []Miss `json:"misses,omitempty"` // none: it matched
	Reason string `json:"reason,omitempty"` // its own, of the one that matched; told first
}

// Miss is a key of a rule that did not match.
type Miss struct {
	Key  string `json:"key"`
	Want string `json:"want"` // what the rule says
	Got  string `json:"got"`  // what is so: "unknown" where that is not known
}

// Explain judges as Judge does, and tells why.
func Explain(in Input, s Settings) Explanation {
	var trace []RuleTrace
	j := judge(in, s, &trace)
	x := Explanation{Verdict: j.verdict, Asked: j.asked, Rules: trace, Rule: j.rule, Refused: j.refused}
	for _, r := range j.reasons {
		x.Reasons = append(x.Reasons, Asked{Text: r.text, Severity: r.weight, About: r.about})
	}
	return x
}
