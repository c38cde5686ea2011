package enrich

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestOverlay(t *testing.T) {
	tailnet := []netip.Addr{addr("192.0.2.1"), addr("fd7a:115c:a1e0::53")}
	for _, tc := range []struct {
		name, ip string
		own      []netip.Addr
		want     string
	}{
		{"Tailscale's IPv6", "fd7a:115c:a1e0:ab12::1", nil, "Tailscale"},
		{"another's unique local", "fd7a:115c:a1e1::1", tailnet, ""},
		{"100.64/10 on a machine in a tailnet", "100.101.102.103", tailnet, "Tailscale"},
		{"100.64/10 elsewhere is carrier-grade NAT", "100.101.102.103", []netip.Addr{addr("100.64.0.2")}, ""},
		{"mapped", "::ffff:100.101.102.103", tailnet, "Tailscale"},
		{"public", "203.0.113.7", tailnet, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Overlay(addr(tc.ip), tc.own...); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	if got := Overlay(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

func TestNamedNetworks(t *testing.T) {
	asked := 0
	e := New(Options{
		Providers: []Provider{stub{"a", func(context.Context, netip.Addr) (event.Facts, error) {
			asked++
			return event.Facts{Place: event.Place{Country: "IE"}}, nil
		}}},
		Networks: []NamedNetwork{
			{netip.MustParsePrefix("10.1.0.0/16"), "office"},
			{netip.MustParsePrefix("10.0.0.0/8"), "all sites"},
			{netip.MustParsePrefix("203.0.113.0/28"), "office line"},
			{netip.MustParsePrefix("100.64.7.0/24"), "VPN"},
			{netip.MustParsePrefix("::ffff:192.168.0.0/112"), "mapped"},
			{netip.MustParsePrefix("fd00::/8"), "inner"},
		},
		Addresses: func() []netip.Addr { return []netip.Addr{addr("fd7a:115c:a1e0::1")} },
	})
	for _, tc := range []struct {
		name, ip string
		want     event.Facts
		asked    bool
	}{
		{"the narrowest wins", "10.1.2.3", event.Facts{Scope: "private network", Name: "office"}, false},
		{"the wider", "10.2.2.3", event.Facts{Scope: "private network", Name: "all sites"}, false},
		{"mapped", "::ffff:10.1.2.3", event.Facts{Scope: "private network", Name: "office"}, false},
		{"a mapped prefix", "192.168.7.1", event.Facts{Scope: "private network", Name: "mapped"}, false},
		{"a public one is asked about all the same", "203.0.113.7", event.Facts{Name: "office line", Place: event.Place{Country: "IE"}}, true},
		{"the settings go before Tailscale", "100.64.7.1", event.Facts{Scope: "carrier-grade NAT", Name: "VPN"}, false},
		{"Tailscale", "100.64.8.1", event.Facts{Scope: "carrier-grade NAT", Name: "Tailscale"}, false},
		{"Tailscale's IPv6 in a wider name", "fd7a:115c:a1e0::7", event.Facts{Scope: "private network", Name: "inner"}, false},
		{"none", "198.51.100.7", event.Facts{Place: event.Place{Country: "IE"}}, true},
		{"a zone", "fe80::1%eth0", event.Facts{Scope: "link-local"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked = 0
			if diff := cmp.Diff(tc.want, e.Lookup(t.Context(), addr(tc.ip))); diff != "" {
				t.Error(diff)
			}
			if (asked > 0) != tc.asked {
				t.Errorf("asked %d times", asked)
			}
		})
	}
	if got := e.Name(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

// listed is an allow list with one address.
type listed struct{ ip netip.Addr }

func (listed) Info() Info {
	return Info{Name: "customers", Title: "Customers", Local: true, Allow: true}
}
func (listed) Allow() bool { return true }
func (l listed) Lookup(_ context.Context, ip netip.Addr) (event.Facts, error) {
	if ip != l.ip {
		return event.Facts{}, nil
	}
	return event.Facts{Traits: event.Traits{Lists: []string{"customers"}}}, nil
}

func TestAnAllowListNamesItsAddresses(t *testing.T) {
	t.Parallel()
	on, off := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	office := netip.MustParseAddr("198.51.100.7")
	e := New(Options{
		Providers: []Provider{listed{on}},
		Networks:  []NamedNetwork{{netip.PrefixFrom(office, 32), "office"}},
		Addresses: func() []netip.Addr { return nil },
	})
	for ip, want := range map[netip.Addr]string{on: "customers", off: "", office: "office"} {
		if got := e.Lookup(t.Context(), ip).Name; got != want {
			t.Errorf("%s is called %q, not %q", ip, got, want)
		}
	}
}
