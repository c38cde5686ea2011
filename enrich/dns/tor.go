package dns

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/sshnotify/sshnotify/internal/event"
)

// torZone is of the Tor Project's DNS exit list
// (https://lists.torproject.org/pipermail/tor-project/2020-March/002759.html).
const torZone = ".dnsel.torproject.org."

// isExit is its answer for an exit. For all others it has none.
var isExit = netip.AddrFrom4([4]byte{127, 0, 0, 2})

// Tor asks the Tor Project whether an address is an exit. It may be used
// concurrently.
type Tor struct{ service }

// NewTor makes the provider. It is "tordnsel" in the settings, if Options do
// not say otherwise.
func NewTor(o Options) (*Tor, error) {
	s, err := newService(o, "tordnsel", "Tor Project")
	if err != nil {
		return nil, err
	}
	return &Tor{s}, nil
}

// Lookup returns the trait of being a Tor exit, or nothing. Nobody is asked about
// IPv6, which the list does not have. Errors are an *Error.
func (t *Tor) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	var facts event.Facts
	if ip = ip.Unmap(); !ip.Is4() {
		return facts, nil
	}
	answers, err := t.resolver.LookupNetIP(ctx, "ip4", reverse(ip)+torZone)
	if err != nil {
		return facts, explain(ctx, err)
	}
	for _, answer := range answers {
		if answer.Unmap() != isExit {
			return facts, nonsense(fmt.Errorf("%v", answer))
		}
	}
	if len(answers) > 0 {
		facts.Traits.Tor = t.title
	}
	return facts, nil
}
