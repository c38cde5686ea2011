package parse

import "net/netip"

// Explanation is what `watch --explain --json` prints of a result.
type Explanation struct {
	Parser  string     `json:"parser"`
	Outcome Outcome    `json:"outcome"`
	IP      netip.Addr `json:"ip,omitzero"`
	User    string     `json:"user,omitempty"`
	Count   int        `json:"count"`

	Ambiguous bool `json:"ambiguous,omitempty"`
}

// Explanation returns the part of a result that the contract fixes.
func (r Result) Explanation() Explanation {
	return Explanation{Parser: r.Parser, Outcome: r.Outcome, IP: r.IP, User: r.User, Count: r.Count, Ambiguous: r.Ambiguous}
}
