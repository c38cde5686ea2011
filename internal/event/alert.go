package event

import (
	"net/netip"
	"time"
)

// Facts are what look-ups found out about an address. Strings are cleaned; a
// zero value means unknown.
type Facts struct {
	Risk    *Risk   `json:"risk,omitempty"` // nil: no provider of risk was asked
	Network Network `json:"network,omitzero"`
	Place   Place   `json:"place,omitzero"`
	// Scope names an address that is not public ("private network",
	// "loopback", …) and was asked of nobody; empty for a public one.
	Scope string `json:"scope,omitempty"`
}

// Risk is one provider's opinion.
type Risk struct {
	Provider string `json:"provider"`       // as people know it: "Threat Jammer"
	Known    bool   `json:"known"`          // false: Score means nothing
	Score    int    `json:"score"`          // 0 to 100
	Word     string `json:"word,omitempty"` // the provider's own: LOW, MEDIUM, HIGH
	Reason   string `json:"reason,omitempty"`
	Problem  string `json:"problem,omitempty"` // why it is not known: "timed out"
}

// Network is the autonomous system that an address belongs to.
type Network struct {
	ASN         uint32 `json:"asn,omitempty"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

// Place is where an address is thought to be.
type Place struct {
	City    string `json:"city,omitempty"`
	Region  string `json:"region,omitempty"`
	Country string `json:"country,omitempty"` // ISO 3166-1 alpha-2, upper case
}

// Verdict is what the policy makes of an event and its facts.
type Verdict struct {
	Severity Severity `json:"severity"`
	Colour   string   `json:"colour"` // #rrggbb
	// Known is false where a provider was asked and gave no score. Such an alert
	// is routed as if it were medium, because unknown is not safe.
	Known   bool     `json:"known"`
	Reasons []string `json:"reasons,omitempty"` // plain text, the strongest first
}

// Route is the severity that a destination's threshold is held against.
func (v Verdict) Route() Severity {
	if !v.Known && v.Severity < Medium {
		return Medium
	}
	return v.Severity
}

// Alert is one message for one destination: everything there is to say, as
// values; the destination only puts it into its own form. An alert shows one
// event, or Count of them that are alike (Count > 1), or a digest of many
// (Rows is not empty; then Event, Facts and Person are zero).
type Alert struct {
	ID      string  // the event's, or the digest's own; the same in every retry
	Event   Event   // the newest of Count
	Facts   Facts   //
	Verdict Verdict // the worst of a digest
	Person  string  // whose key it is, from the settings; empty: not known
	Count   int     // how many events this alert tells; 1 for a plain one
	First   time.Time
	Last    time.Time     // when the oldest and the newest of Count happened
	Rows    []Row         // of a digest
	Also    []Row         // repeats of earlier messages that are told along
	Lasted  time.Duration // of a logout: since its login; 0: unknown
	LoginID string        // of a logout: its login's id
	Zone    *time.Location
	Runbook string        // link, from the settings
	Late    time.Duration // how late it is told; shown from lateAfter on
	Test    bool          // sshnotify test: says so
}

// Row counts the events of one user on one host, in a digest.
type Row struct {
	User     string
	Host     string
	Kind     Kind
	Count    int
	IPs      []netip.Addr // the first few, in order of appearance
	MoreIPs  int          // how many other addresses there were
	Severity Severity     // the worst
	Reason   string       // of the worst; may be empty
}
