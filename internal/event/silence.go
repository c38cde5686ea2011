package event

import (
	"net/netip"
	"time"
)

// Silence keeps events from being told for a while: they are remembered and
// counted. What is critical is told all the same. Every field that is set must
// match.
type Silence struct {
	ID    string    `json:"id"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`

	User    string       `json:"user,omitempty"`   // glob
	Host    string       `json:"host,omitempty"`   // glob, whatever the case
	Network netip.Prefix `json:"network,omitzero"` // masked
	Kind    Kind         `json:"kind,omitempty"`   // empty: any
	Rule    string       `json:"rule,omitempty"`   // name

	Why  string `json:"why"`
	By   string `json:"by"`             // the account that set it
	Peer string `json:"peer,omitempty"` // where that one's session came from

	Held  map[Kind]int `json:"held,omitempty"`
	Worst Severity     `json:"worst,omitempty"` // of those held
}

// String says what is silenced.
func (s Silence) String() string {
	kind := string(s.Kind)
	if kind == "" {
		kind = "everything"
	}
	for _, p := range []struct{ word, of string }{{"of", s.User}, {"on", s.Host}, {"by rule", s.Rule}} {
		if p.of != "" {
			kind += " " + p.word + " " + p.of
		}
	}
	if s.Network.IsValid() {
		from := s.Network.String()
		if s.Network.IsSingleIP() {
			from = s.Network.Addr().String()
		}
		kind += " from " + from
	}
	return kind
}
