package order

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are the table [respond]: which orders of a hub this host carries out.
type Settings struct {
	// Allow are evidence and the actions that the host takes orders for; none: it takes
	// no orders.
	Allow []string `toml:"allow" each:"line=16"`
	// Name is the host's at the hub, which orders are for.
	Name string `toml:"name"`
	// CAFile is the certificate of the hub's CA, which must have signed them: root's
	// alone. Empty: hub-ca.crt beside the settings.
	CAFile string `toml:"ca_file" check:"file"`
}

// CAName is the name of CAFile beside the settings.
const CAName = "hub-ca.crt"

// Validate checks the words of Allow, and that the host can be told from others.
func (s *Settings) Validate(at strictoml.At) {
	if !at.OK() {
		return
	}
	if err := ParseAllow(s.Allow); err != nil {
		at.Fail("allow", "%v", err).Hint = `allow = ["evidence", "end", "lock", "key", "block"]`
	}
	if s.Name != "" && strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		at.Fail("name", "must be the host's name at the hub: lower-case letters, digits and hyphens").Hint = `name = "web1"`
	}
	if len(s.Allow) > 0 && s.Name == "" {
		at.Fail("name", "is missing: orders are for a host by its name at the hub").Hint = "sudo sshnotify install --system --respond writes it down"
	}
}
