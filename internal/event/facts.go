package event

import (
	"net/netip"
	"strings"
	"time"
)

// Facts are what look-ups found out about an address. Strings are cleaned; a
// zero value means unknown.
type Facts struct {
	Risk    *Risk   `json:"risk,omitempty"` // the worst; nil: no provider of risk was asked
	Network Network `json:"network,omitzero"`
	Place   Place   `json:"place,omitzero"`
	Traits  Traits  `json:"traits,omitzero"`
	// Scope names an address that is not public ("private network",
	// "loopback", …) and was asked of nobody; empty for a public one.
	Scope string `json:"scope,omitempty"`
	// Name is what the settings call the network ("office"), or an overlay's own
	// name ("Tailscale"); empty for others. It is set for any address.
	Name string `json:"name,omitempty"`
}

// Risk is one provider's opinion.
type Risk struct {
	Provider string    `json:"provider"`       // as people know it: "Threat Jammer"
	Known    bool      `json:"known"`          // false: Score means nothing
	Score    int       `json:"score"`          // 0 to 100
	Word     string    `json:"word,omitempty"` // the provider's own: LOW, MEDIUM, HIGH
	Reason   string    `json:"reason,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why it is not known: "timed out"
	Stale    time.Time `json:"stale,omitzero"`    // when an old answer was got that stands in for one that did not come
}

// SaysNothing reports whether a word that stands for a risk is that there is no
// opinion. Beside it a low score is no sign of anything.
func SaysNothing(word string) bool {
	plain := strings.TrimSpace(strings.NewReplacer("_", " ", "-", " ", "/", "", "?", " ", ".", "", "(", "", ")", "").Replace(strings.ToLower(word)))
	switch plain {
	case "":
		return strings.TrimSpace(word) != "" // "-"
	case "unknown", "unk", "none", "null", "nil", "nan", "na", "not available", "unavailable", "undefined", "undetermined", "indeterminate",
		"unrated", "not rated", "unranked", "unscored", "unclassified", "uncategorized", "unspecified", "unassigned", "not found", "no data", "nodata",
		"no information", "not seen", "unseen", "not analyzed", "pending", "inconclusive", "insufficient data", "not enough data", "no verdict":
		return true
	}
	return strings.HasPrefix(plain, "unknown ") // risk, reputation
}

// Network is the autonomous system that an address belongs to.
type Network struct {
	ASN         uint32 `json:"asn,omitempty"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Source      string `json:"source,omitempty"` // who says so, as people know it
}

// Place is where an address is thought to be.
type Place struct {
	City    string `json:"city,omitempty"`
	Region  string `json:"region,omitempty"`
	Country string `json:"country,omitempty"` // ISO 3166-1 alpha-2, upper case
	Source  string `json:"source,omitempty"`  // who says so, as people know it
	// Point is where that is; nil: not known better than by the names.
	Point *Point `json:"point,omitempty"`
}

// Point is a place on earth, in degrees of WGS 84.
type Point struct {
	Lat      float64 `json:"lat"`
	Lon      float64 `json:"lon"`
	Accuracy float64 `json:"accuracy,omitempty"` // radius in km; 0: not said
}

// Traits are what is known of the sort of an address. Each names who says so;
// empty: nobody does, which does not mean that it is not so.
type Traits struct {
	Tor     string `json:"tor,omitempty"` // an exit of Tor
	VPN     string `json:"vpn,omitempty"`
	Proxy   string `json:"proxy,omitempty"`
	Hosting string `json:"hosting,omitempty"` // a data centre
	Mobile  string `json:"mobile,omitempty"`
	// Lists are the labels of the lists that it is on, in the settings' order.
	Lists []string `json:"lists,omitempty"`
}

// Memory is what is remembered of earlier logins, as seen from one login that
// is not counted itself. The zero value means that there is no memory.
type Memory struct {
	Known bool      `json:"known"` // false: nothing could be remembered, and nothing below means anything
	Since time.Time `json:"since,omitzero"`
	// Young: fewer than three pairs are usual on this host, or its memory is
	// younger than the settings' history.learning, so that its owner is as new as
	// a stranger.
	Young bool `json:"young,omitempty"`

	Host     Seen `json:"host"`      // anybody on this host
	User     Seen `json:"user"`      // this user, on any host
	UserHost Seen `json:"user_host"` // this user on this host
	Address  Seen `json:"address"`   // this user from this address
	// Network is this user from this autonomous system, or where none is known
	// from the same IPv4 /24 or IPv6 /48.
	Network Seen `json:"network"`
	Country Seen `json:"country"` // this user from this country; nothing where it is not known
	Key     Seen `json:"key"`     // this user with this key; nothing where no key was used

	// Pair is this user, from this network, with this key.
	Pair Pair `json:"pair,omitzero"`
	// HostNetwork and HostCountry are anybody on this host from this network and
	// from this country.
	HostNetwork Seen `json:"host_network,omitzero"`
	HostCountry Seen `json:"host_country,omitzero"`
	// Warned is the newest login from this address (IPv6: /64), or with this key,
	// that was told as high or worse within the last 24 hours, whoever's it was;
	// nil: none was, or somebody acknowledged it.
	Warned *Warned `json:"warned,omitempty"`

	// Networks is how many other networks the user came from.
	Networks int `json:"networks,omitempty"`
	// KeyUsers are other users who logged in with the same key, the newest
	// first, at most five.
	KeyUsers []string `json:"key_users,omitempty"`
	// HourShare is the share (0 to 1) of the user's logins that were within an
	// hour of this one's time of day; it means something from 30 logins on.
	HourShare float64 `json:"hour_share,omitempty"`
	// Last is the user's newest login before this one.
	Last *Past `json:"last,omitempty"`
}

// Seen counts earlier logins.
type Seen struct {
	Count int       `json:"count,omitempty"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Pair is what is remembered of a user, from a network, with a key: of a
// certificate its authority and key id count, where no key was used the method.
type Pair struct {
	State PairState `json:"state,omitempty"`
	Since time.Time `json:"since,omitzero"` // since when it is usual or acknowledged
	First time.Time `json:"first,omitzero"` // the first and last of the logins that taught something
	Last  time.Time `json:"last,omitzero"`
	Days  int       `json:"days,omitempty"` // different days, of the memory's zone
	Count int       `json:"count,omitempty"`
	Today int       `json:"today,omitempty"` // of those, in the 24 hours before; at most as many as there are hours
	// Standing are the keys of the facts (see Verdict.Keys) that it had when it
	// became usual.
	Standing []string `json:"standing,omitempty"`
	// Told is when a message told of it last; zero: none has. ToldSeverity and
	// ToldReasons are that message's.
	Told         time.Time `json:"told,omitzero"`
	ToldSeverity Severity  `json:"told_severity,omitzero"`
	ToldReasons  []string  `json:"told_reasons,omitempty"`
	// Unanswered is how often it was told as high or worse since somebody
	// acknowledged it last.
	Unanswered int `json:"unanswered,omitempty"`
	// Elsewhere: it is usual, but only one or two other hosts have reported it.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// PairState is how well a pair is known. The zero value: it was never seen.
type PairState string

// The states of a pair.
const (
	PairNew          PairState = "new"
	PairUsual        PairState = "usual"        // it came on three days
	PairAcknowledged PairState = "acknowledged" // somebody said that it is theirs
)

// Usual reports whether a pair is nothing to wonder about.
func (p Pair) Usual() bool { return p.State == PairUsual || p.State == PairAcknowledged }

// Warned is an earlier login that was told as high or worse.
type Warned struct {
	Ref  string    `json:"ref"` // of its event
	User string    `json:"user"`
	Host string    `json:"host,omitempty"` // where it is another
	Time time.Time `json:"time"`
	By   string    `json:"by"` // what the two have in common: "address" or "key"
}

// Past is an earlier login.
type Past struct {
	Time   time.Time  `json:"time"`
	IP     netip.Addr `json:"ip,omitzero"`
	ASN    uint32     `json:"asn,omitempty"`
	Place  Place      `json:"place,omitzero"`
	Traits Traits     `json:"traits,omitzero"`
}
