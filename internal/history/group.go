package history

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A group is the logins that have something in common. Its kind says what; a
// and b are the values.
type kind int

const (
	byHost        kind = iota // a host
	byUser                    // a user
	byUserHost                // a user, b host
	byAddress                 // a user, b address
	byNetwork                 // a user, b network
	byCountry                 // a user, b country
	byKey                     // a user, b the identity, where that is a key or a certificate
	byDetail                  // b what many logins share and nobody asks by, as JSON
	byKnown                   // a user; only of logins that teach
	byHostNetwork             // a network, whoever came
	byHostCountry             // a country, whoever came
	byPair                    // a user, b network and identity
	byUntaught                // the same, of logins that teach nothing
	kinds
)

// column is the one of login that holds the id of its group of a kind.
func (k kind) column() string {
	return [...]string{"g_host", "g_user", "g_user_host", "g_address", "g_network", "g_country", "g_key", "g_detail",
		"g_known", "g_host_network", "g_host_country", "g_pair", "g_untaught"}[k]
}

type group struct {
	kind kind
	a, b string
}

// detail is what is stored of a login as a whole.
type detail struct {
	Service string       `json:"service,omitempty"`
	Method  string       `json:"method,omitempty"`
	ASN     uint32       `json:"asn,omitempty"`
	ASName  string       `json:"as_name,omitempty"`
	Named   string       `json:"named,omitempty"`
	Place   event.Place  `json:"place,omitzero"`
	Traits  event.Traits `json:"traits,omitzero"`
	Key     string       `json:"key,omitempty"` // where no group says it
	CA      string       `json:"ca,omitempty"`
	KeyID   string       `json:"key_id,omitempty"`
	Reasons []string     `json:"reasons,omitempty"`
}

// pairName is a pair as group and table have it.
type pairName struct{ user, network, key string }

func (p pairName) b() string { return p.network + "\t" + p.key }

func pairOf(user, b string) pairName {
	network, key, _ := strings.Cut(b, "\t")
	return pairName{user, network, key}
}

// pair returns the pair of a login from a network.
func (e Entry) pair(network string) pairName { return pairName{e.User, network, e.identity()} }

// taught returns the groups of what is new once and known from then on.
func (e Entry) taught(network string) []group {
	g := []group{{byKnown, e.User, ""}, {byPair, e.User, e.pair(network).b()}}
	if e.IP.IsValid() {
		g = append(g, group{byAddress, e.User, e.IP.String()})
	}
	if network != "" {
		g = append(g, group{byNetwork, e.User, network}, group{byHostNetwork, network, ""})
	}
	if c := e.Place.Country; c != "" {
		g = append(g, group{byCountry, e.User, c}, group{byHostCountry, c, ""})
	}
	if e.Key != "" {
		g = append(g, group{byKey, e.User, e.identity()})
	}
	return g
}

// asked returns the groups that the memory of a login is about.
func (e Entry) asked(network string) []group {
	return append(e.taught(network), group{byHost, e.Host, ""}, group{byUserHost, e.User, e.Host})
}

// groups returns all that a login belongs to.
func (e Entry) groups(network string) ([]group, error) {
	d := detail{e.Service, e.Method, e.ASN, e.ASName, e.Named, e.Place, e.Traits, "", e.CA, e.KeyID, e.Reasons}
	if !e.teaches() || e.CA != "" {
		d.Key = e.Key
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	g := []group{{byHost, e.Host, ""}, {byUser, e.User, ""}, {byUserHost, e.User, e.Host}, {byDetail, "", string(b)}}
	if e.Late {
		return g, nil
	}
	if e.Untaught {
		return append(g, group{byUntaught, e.User, e.pair(network).b()}), nil
	}
	return append(g, e.taught(network)...), nil
}

// notLate is the condition that a login is in the groups of what teaches, or of what
// does not yet.
const notLate = `(l.g_known IS NOT NULL OR l.g_untaught IS NOT NULL)`

// columns lists the columns of all kinds.
func columns() string {
	var c []string
	for k := range kinds {
		c = append(c, k.column())
	}
	return strings.Join(c, ", ")
}

// is returns the condition that a login belongs to a group whose a and b are
// the next arguments.
func (k kind) is() string {
	return fmt.Sprintf("l.%s = (SELECT id FROM grp WHERE kind = %d AND a = ? AND b = ?)", k.column(), k)
}
