package parse

import "net/netip"

// Explanation is what `watch --explain --json` prints of a result.
type Explanation struct {
	Parser  string     `json:"parser"`
	Outcome Outcome    `json:"outcome"`
	IP      netip.Addr `json:"ip,omitzero"`
	User    string     `json:"user,omitempty"`
	Count   int        `json:"count"`

	Ambiguous bool   `json:"ambiguous,omitempty"`
	Form      string `json:"form,omitempty"` // of a line of parser's that is not read
}

// Explanation returns the part of a result that the contract fixes.
func (r Result) Explanation() Explanation {
	return Explanation{Parser: r.Parser, Outcome: r.Outcome, IP: r.IP, User: r.User, Count: r.Count, Ambiguous: r.Ambiguous, Form: r.Form()}
}
