package enrich

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestOwnAddressesOfProc(t *testing.T) {
	t.Parallel()
	text := "fd7a115ca1e00000000000000000b001 04 80 00 80 tailscale0\n" +
		"zz\n\n20010db8 02\n" +
		"00000000000000000000000000000001 01 80 10 80       lo\n"
	want := []netip.Addr{netip.MustParseAddr("fd7a:115c:a1e0::b001"), netip.IPv6Loopback()}
	got := parseInet6(strings.NewReader(text))
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if name := Overlay(netip.MustParseAddr("100.64.0.7"), got...); name != "Tailscale" {
		t.Errorf("in a tailnet, 100.64.0.7 is called %q", name)
	}
}
