package standin

import (
	"hash/fnv"
	"net/netip"
)

// Answers are what the Threat Jammer stand-in tells about an address.
type Answers struct {
	Score   int
	NoScore bool   // the answer has no score at all, which the API's schema allows
	Risk    string // UNKNOWN, LOW, MEDIUM or HIGH
	Reason  string

	ASN         uint32 // 0: none is named
	Network     string // the ASN's name
	Description string

	// Where the address is. All empty: not found.
	City, Region, Country string
}

// The ASNs of what is made up: those for documentation (RFC 5398).
const (
	firstASN = 64496
	lastASN  = 64511
)

const (
	exampleNet      = "EXAMPLE-NET"
	exampleNetworks = "Example Networks"
)

// The reasons that the real one is known to give.
const (
	reasonNone       = "No risk found."
	reasonDenylist   = "Found in one or more denylist datasets."
	reasonPrefix     = "Found in an ASN prefix with risky score."
	reasonDatacenter = "Found in an Datacenter network with risky score." // sic
)

// networkName is what is told about an ASN.
type networkName struct{ name, description, country string }

// facts are what the stand-in knows, and make up the rest.
type facts struct {
	answers  map[netip.Addr]Answers
	networks map[uint32]networkName
}

func newFacts() facts {
	f := facts{answers: map[netip.Addr]Answers{}, networks: map[uint32]networkName{}}
	for ip, a := range map[string]Answers{
		"203.0.113.7":   {Score: 72, Risk: "HIGH", Reason: "Listed as a brute force source", ASN: 64500, City: "Dublin", Region: "Leinster", Country: "IE"},
		"192.0.2.50":    {Score: 41, Risk: "MEDIUM", Reason: reasonDatacenter, ASN: 64501, City: "Hamburg", Region: "Hamburg", Country: "DE"},
		"198.51.100.20": {Score: 0, Risk: "LOW", Reason: reasonNone, ASN: 64502, City: "Lyon", Region: "Auvergne-Rhone-Alpes", Country: "FR"},
		"2001:db8::7":   {Score: 99, Risk: "HIGH", Reason: reasonDenylist, ASN: 64503, City: "Porto", Region: "Porto", Country: "PT"},
	} {
		a.Network, a.Description = exampleNet, exampleNetworks
		f.set(netip.MustParseAddr(ip), a)
	}
	return f
}

func (f *facts) set(ip netip.Addr, a Answers) {
	f.answers[ip.Unmap()] = a
	if a.ASN != 0 {
		f.networks[a.ASN] = networkName{a.Network, a.Description, a.Country}
	}
}

// about returns what was set for an address, or makes it up: always the same for
// the same address.
func (f *facts) about(ip netip.Addr) Answers {
	if a, ok := f.answers[ip]; ok {
		return a
	}
	h := fnv.New64a()
	h.Write(ip.AsSlice())
	n := h.Sum64() >> 8 // FNV's low bits hang on the last byte alone
	places := []Answers{
		{City: "Dublin", Region: "Leinster", Country: "IE"},
		{City: "Lyon", Region: "Auvergne-Rhone-Alpes", Country: "FR"},
		{City: "Hamburg", Region: "Hamburg", Country: "DE"},
		{City: "Porto", Region: "Porto", Country: "PT"},
		{City: "Turin", Region: "Piedmont", Country: "IT"},
		{City: "Gdansk", Region: "Pomerania", Country: "PL"},
	}
	a := places[n/100/16%uint64(len(places))]
	a.Score = int(n % 100)
	a.ASN = uint32(firstASN + n/100%(lastASN-firstASN+1))
	a.Network, a.Description = exampleNet, exampleNetworks
	// The bands of the real one's documentation.
	switch {
	case a.Score == 0:
		a.Risk, a.Reason = "LOW", reasonNone
	case a.Score <= 34:
		a.Risk, a.Reason = "LOW", reasonDatacenter
	case a.Score <= 68:
		a.Risk, a.Reason = "MEDIUM", reasonPrefix
	default:
		a.Risk, a.Reason = "HIGH", reasonDenylist
	}
	return a
}

// notPublic returns the title of the error for an address that is not public, ""
// for one that is. Addresses for documentation count as public, for they are
// all that can be used here.
func notPublic(ip netip.Addr) string {
	switch {
	case ip.Is4In6(), ip.Zone() != "", ip.IsUnspecified(), ip.IsLoopback(), ip.IsMulticast(), ip.IsLinkLocalUnicast():
		return "IP Address Must Be Public"
	case ip.IsPrivate():
		return "IP Address Cannot Be Private"
	}
	for _, reserved := range []string{
		// https://www.iana.org/assignments/iana-ipv4-special-registry and
		// iana-ipv6-special-registry, without those for documentation.
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4",
		"100::/64", "64:ff9b:1::/48", "2001:2::/48", "fec0::/10",
	} {
		if netip.MustParsePrefix(reserved).Contains(ip) {
			return "Invalid IP Address"
		}
	}
	return ""
}
