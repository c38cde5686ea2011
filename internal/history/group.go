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
	byHost     kind = iota // a host
	byUser                 // a user
	byUserHost             // a user, b host
	byAddress              // a user, b address
	byNetwork              // a user, b network
	byCountry              // a user, b country
	byKey                  // a user, b key
	byDetail               // b what many logins share and nobody asks by, as JSON
	kinds
)

// column is the one of login that holds the id of its group of a kind.
func (k kind) column() string {
	return [...]string{"g_host", "g_user", "g_user_host", "g_address", "g_network", "g_country", "g_key", "g_detail"}[k]
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
	Place   event.Place  `json:"place,omitzero"`
	Traits  event.Traits `json:"traits,omitzero"`
}

// asked returns the groups that the memory of a login is about.
func (e Entry) asked() []group {
	g := []group{{byHost, e.Host, ""}, {byUser, e.User, ""}, {byUserHost, e.User, e.Host}}
	if e.IP.IsValid() {
		g = append(g, group{byAddress, e.User, e.IP.String()})
	}
	if n := e.network(); n != "" {
		g = append(g, group{byNetwork, e.User, n})
	}
	if e.Place.Country != "" {
		g = append(g, group{byCountry, e.User, e.Place.Country})
	}
	if e.Key != "" {
		g = append(g, group{byKey, e.User, e.Key})
	}
	return g
}

// groups returns all that a login belongs to.
func (e Entry) groups() ([]group, error) {
	b, err := json.Marshal(detail{e.Service, e.Method, e.ASN, e.ASName, e.Place, e.Traits})
	if err != nil {
		return nil, err
	}
	return append(e.asked(), group{byDetail, "", string(b)}), nil
}

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
