package enrich

import (
	"net/netip"
	"testing"
)

func TestScope(t *testing.T) {
	for _, tc := range []struct{ name, ip, want string }{
		{"public", "8.8.8.8", ""},
		{"public IPv6", "2606:4700::1111", ""},
		{"documentation 1", "192.0.2.1", ""},
		{"documentation 2", "198.51.100.255", ""},
		{"documentation 3", "203.0.113.7", ""},
		{"documentation IPv6", "2001:db8::1", ""},
		{"documentation IPv6, the newer", "3fff::1", ""},
		{"private 10", "10.0.0.1", "private network"},
		{"private 172.16", "172.31.255.255", "private network"},
		{"just above private 172.16", "172.32.0.0", ""},
		{"private 192.168", "192.168.1.1", "private network"},
		{"carrier NAT", "100.64.0.1", "carrier-grade NAT"},
		{"carrier NAT, its end", "100.127.255.255", "carrier-grade NAT"},
		{"just above carrier NAT", "100.128.0.0", ""},
		{"loopback", "127.0.0.1", "loopback"},
		{"loopback, all of it", "127.255.255.255", "loopback"},
		{"link-local", "169.254.169.254", "link-local"},
		{"unspecified", "0.0.0.0", "unspecified"},
		{"this network", "0.1.2.3", "reserved"},
		{"protocol assignments", "192.0.0.1", "reserved"},
		{"protocol assignments, an anycast address", "192.0.0.9", ""},
		{"benchmarks", "198.19.0.1", "reserved"},
		{"multicast", "224.0.0.1", "multicast"},
		{"class E", "240.0.0.1", "reserved"},
		{"broadcast", "255.255.255.255", "reserved"},
		{"mapped private", "::ffff:10.0.0.1", "private network"},
		{"mapped public", "::ffff:8.8.8.8", ""},
		{"mapped loopback", "::ffff:127.0.0.1", "loopback"},
		{"loopback IPv6", "::1", "loopback"},
		{"unspecified IPv6", "::", "unspecified"},
		{"compatible, deprecated", "::10.0.0.1", "reserved"},
		{"unique local", "fd00::1", "private network"},
		{"link-local IPv6", "fe80::1", "link-local"},
		{"link-local IPv6 with a zone", "fe80::1%eth0", "link-local"},
		{"public with a zone", "2606:4700::1111%eth0", ""},
		{"site-local, deprecated", "fec0::1", "private network"},
		{"multicast IPv6", "ff02::1", "multicast"},
		{"NAT64 of a private one", "64:ff9b::10.0.0.1", "private network"},
		{"NAT64 of a public one", "64:ff9b::8.8.8.8", ""},
		{"NAT64 for local use", "64:ff9b:1::8.8.8.8", "private network"},
		{"6to4 of a private one", "2002:0a00:0001::1", "private network"},
		{"6to4 of a public one", "2002:0808:0808::1", ""},
		{"6to4 of a documentation one", "2002:cb00:7107::1", ""},
		{"Teredo of a private one", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "private network"},
		{"Teredo of a public one", "2001:0:4136:e378:8000:63bf:f7f7:f7f7", ""},
		{"ORCHID, deprecated", "2001:10::1", "reserved"},
		{"ORCHIDv2", "2001:20::1", ""},
		{"benchmarks IPv6", "2001:2::1", "reserved"},
		{"discard", "100::1", "reserved"},
		{"segment routing", "5f00::1", "reserved"},
		{"not given out", "4000::1", "reserved"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Scope(netip.MustParseAddr(tc.ip)); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.ip, got, tc.want)
			}
		})
	}
	if got := Scope(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

// What the standard library knows to be no public address must not pass here.
func FuzzScope(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "::ffff:127.0.0.1", "fe80::1", "2002:7f00:1::", "8.8.8.8"} {
		b, _ := netip.MustParseAddr(s).MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ip, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		ip = ip.Unmap()
		special := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
		if special && Scope(ip) == "" {
			t.Errorf("%v passes as public", ip)
		}
	})
}
