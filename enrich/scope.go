package enrich

import "net/netip"

// blocks are the special-purpose addresses, the narrower before the wider.
// An empty name means public.
//
// From the IANA registries of RFC 6890, 2026-11
// (https://www.iana.org/assignments/iana-ipv4-special-registry,
// https://www.iana.org/assignments/iana-ipv6-special-registry): what is not
// "globally reachable" there is not public here. Documentation addresses are
// the exception: nobody has them, so that they can stand for public ones.
var blocks = [...]struct{ prefix, name string }{
	{"0.0.0.0/32", "unspecified"},
	{"0.0.0.0/8", "reserved"}, // "this network"
	{"10.0.0.0/8", "private network"},
	{"100.64.0.0/10", "carrier-grade NAT"}, // RFC 6598
	{"127.0.0.0/8", "loopback"},
	{"169.254.0.0/16", "link-local"},
	{"172.16.0.0/12", "private network"},
	{"192.0.0.9/32", ""},  // Port Control Protocol anycast
	{"192.0.0.10/32", ""}, // TURN anycast
	{"192.0.0.0/24", "reserved"},
	{"192.88.99.0/24", "reserved"}, // 6to4 relays, deprecated
	{"192.168.0.0/16", "private network"},
	{"198.18.0.0/15", "reserved"}, // benchmarks
	{"224.0.0.0/4", "multicast"},
	{"240.0.0.0/4", "reserved"},
	{"0.0.0.0/0", ""},

	{"::/128", "unspecified"},
	{"::1/128", "loopback"},
	{"fc00::/7", "private network"}, // unique local
	{"fe80::/10", "link-local"},
	{"fec0::/10", "private network"}, // site-local, deprecated
	{"ff00::/8", "multicast"},
	{"64:ff9b:1::/48", "private network"}, // NAT64 for local use, RFC 8215
	{"2001:1::1/128", ""},                 // Port Control Protocol anycast
	{"2001:1::2/128", ""},                 // TURN anycast
	{"2001:1::3/128", ""},                 // DNS-SD SRP anycast
	{"2001:3::/32", ""},                   // AMT
	{"2001:4:112::/48", ""},               // AS112
	{"2001:20::/28", ""},                  // ORCHIDv2
	{"2001:30::/28", ""},                  // drone remote identification
	{"2001::/23", "reserved"},
	{"2000::/3", ""},     // the only space that is given out
	{"::/0", "reserved"}, // the rest, 100::/64 and 5f00::/16 among it
}

// Scope names the sort of an address that is not public: "private network",
// "loopback", "link-local", "carrier-grade NAT", "multicast", "unspecified",
// "reserved". It is empty for a public address, documentation addresses
// included, and for an invalid one. An address that holds an IPv4 address
// (mapped, NAT64, 6to4, Teredo) is of that one's sort.
func Scope(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if v4, ok := embedded(ip); ok {
		return Scope(v4)
	}
	for _, b := range blocks {
		if netip.MustParsePrefix(b.prefix).Contains(ip) {
			return b.name
		}
	}
	return "reserved"
}

// embedded returns the IPv4 address that an IPv6 address leads to.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if ip.Is4() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip): // NAT64, RFC 6052
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case netip.MustParsePrefix("2002::/16").Contains(ip): // 6to4, RFC 3056
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("2001::/32").Contains(ip): // Teredo, RFC 4380: the client's address with its bits turned over
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	}
	return netip.Addr{}, false
}
