package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The zones of https://www.team-cymru.com/ip-asn-mapping. The dot at the end
// keeps the host's search list out of it.
const (
	cymruOrigin4 = ".origin.asn.cymru.com."
	cymruOrigin6 = ".origin6.asn.cymru.com."
	cymruName    = ".asn.cymru.com."
)

// Cymru asks Team Cymru for the network of an address. It may be used
// concurrently.
type Cymru struct{ service }

// NewCymru makes the provider. It is "cymru" in the settings, if Options do not
// say otherwise.
func NewCymru(o Options) (*Cymru, error) {
	s, err := newService(o, "cymru", "Team Cymru")
	if err != nil {
		return nil, err
	}
	return &Cymru{s}, nil
}

// Lookup returns the autonomous system that announces an address, and its name;
// nothing for one that is not announced. The country in the answers is where
// the addresses were registered, not where they are, and is left out.
//
// It asks twice. If there is no answer to the second question the number is
// known all the same, beside an error, which is an *Error.
func (c *Cymru) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	var facts event.Facts
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() {
		return facts, nil
	}
	zone := cymruOrigin4
	if ip.Is6() {
		zone = cymruOrigin6
	}
	answers, err := c.resolver.LookupTXT(ctx, reverse(ip)+zone)
	if err != nil {
		return facts, explain(ctx, err)
	}
	asn, err := origin(answers, ip)
	if err != nil {
		return facts, nonsense(err)
	}
	facts.Network = event.Network{ASN: asn, Source: c.title}
	answers, err = c.resolver.LookupTXT(ctx, "AS"+strconv.FormatUint(uint64(asn), 10)+cymruName)
	if err != nil {
		return facts, explain(ctx, err)
	}
	for _, answer := range answers {
		name, description, nameErr := systemName(answer, asn)
		if nameErr == nil {
			facts.Network.Name, facts.Network.Description = name, description
			return facts, nil
		}
		err = nameErr
	}
	return facts, nonsense(err)
}

// origin returns the system that announces the narrowest network of an address.
// Where several announce the same, as is allowed, it is the one with the lowest
// number: answers come in any order, and a person's network must not change by
// that.
func origin(answers []string, ip netip.Addr) (uint32, error) {
	type route struct {
		bits int
		asn  uint32
	}
	var routes []route
	err := errors.New("there is none")
	for _, answer := range answers {
		asns, prefix, routeErr := parseOrigin(answer)
		if routeErr == nil && !prefix.Contains(ip) {
			routeErr = fmt.Errorf("%v is another network", prefix)
		}
		if routeErr != nil {
			err = routeErr
			continue
		}
		for _, asn := range asns {
			routes = append(routes, route{prefix.Bits(), asn})
		}
	}
	if len(routes) == 0 {
		return 0, err
	}
	return slices.MinFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(b.bits, a.bits), cmp.Compare(a.asn, b.asn))
	}).asn, nil
}

// parseOrigin reads "23028 | 216.90.108.0/24 | US | arin | 1998-09-25". The
// first field may hold several numbers.
func parseOrigin(answer string) ([]uint32, netip.Prefix, error) {
	fields := strings.Split(answer, "|")
	if len(fields) != 5 {
		return nil, netip.Prefix{}, fmt.Errorf("%q has not five fields", event.Clean(answer, maxDetail))
	}
	prefix, err := netip.ParsePrefix(strings.TrimSpace(fields[1]))
	if err != nil {
		return nil, netip.Prefix{}, err
	}
	var asns []uint32
	for number := range strings.FieldsSeq(fields[0]) {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n == 0 {
			return nil, netip.Prefix{}, fmt.Errorf("%q is no number of a system", event.Clean(number, maxDetail))
		}
		asns = append(asns, uint32(n))
	}
	if len(asns) == 0 {
		return nil, netip.Prefix{}, errors.New("no number of a system")
	}
	return asns, prefix, nil
}

// systemName reads "23028 | US | arin | 2002-01-04 | TEAM-CYMRU - Team Cymru
// Inc., US".
func systemName(answer string, asn uint32) (name, description string, err error) {
	fields := strings.SplitN(answer, "|", 5)
	if len(fields) != 5 {
		return "", "", fmt.Errorf("%q has not five fields", event.Clean(answer, maxDetail))
	}
	if strings.TrimSpace(fields[0]) != strconv.FormatUint(uint64(asn), 10) {
		return "", "", fmt.Errorf("%q is another system", event.Clean(answer, maxDetail))
	}
	name = strings.TrimSpace(fields[4])
	if country := strings.TrimSpace(fields[1]); country != "" {
		name = strings.TrimSuffix(name, ", "+country)
	}
	name, description, _ = strings.Cut(name, " - ")
	return event.Clean(strings.TrimSpace(name), maxName), event.Clean(strings.TrimSpace(description), maxName), nil
}
