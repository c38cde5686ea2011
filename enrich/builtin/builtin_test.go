package builtin

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func open(tb testing.TB) *Database {
	tb.Helper()
	d, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestLookup(t *testing.T) {
	const source = "built-in database"
	known := func(asn uint32, name, country string) event.Facts {
		return event.Facts{
			Network: event.Network{ASN: asn, Name: name, Source: source},
			Place:   event.Place{Country: country, Source: source},
		}
	}
	google := known(15169, "Google LLC", "US")
	d := open(t)
	for _, row := range []struct {
		name, ip string
		want     event.Facts
	}{
		{"Google's name server", "8.8.8.8", google},
		{"the same, mapped into IPv6", "::ffff:8.8.8.8", google},
		{"its first address", "8.8.8.0", google},
		{"its IPv6 address", "2001:4860:4860::8888", google},
		{"with a zone that doesn't belong there", "2001:4860:4860::8888%eth0", google},
		{"Cloudflare's, whose name has a comma", "1.1.1.1", known(13335, "Cloudflare, Inc.", "US")},
		{"a Tor exit in Germany", "185.220.101.1", known(60729, "Stiftung Erneuerbare Freiheit", "DE")},
		{"private", "10.0.0.1", event.Facts{}},
		{"private", "172.16.3.4", event.Facts{}},
		{"private", "192.168.1.1", event.Facts{}},
		{"carrier-grade NAT", "100.64.0.1", event.Facts{}},
		{"loopback", "127.0.0.1", event.Facts{}},
		{"loopback", "::1", event.Facts{}},
		{"link-local", "169.254.1.1", event.Facts{}},
		{"link-local with a zone", "fe80::1%eth0", event.Facts{}},
		{"unique local", "fd00::1", event.Facts{}},
		{"private, mapped", "::ffff:10.0.0.1", event.Facts{}},
		{"compatible and not mapped: that is IPv6", "::8.8.8.8", event.Facts{}},
		{"unspecified", "0.0.0.0", event.Facts{}},
		{"unspecified", "::", event.Facts{}},
		{"broadcast", "255.255.255.255", event.Facts{}},
		{"multicast", "ff02::1", event.Facts{}},
		{"documentation", "192.0.2.1", event.Facts{}},
		{"documentation", "198.51.100.1", event.Facts{}},
		{"documentation", "203.0.113.7", event.Facts{}},
		{"documentation", "2001:db8::1", event.Facts{}},
		{"6to4: not where its relay is", "2002:808:808::1", event.Facts{}},
		{"Teredo", "2001::1", event.Facts{}},
	} {
		got, err := d.Lookup(t.Context(), netip.MustParseAddr(row.ip))
		if err != nil {
			t.Errorf("%s (%s): %v", row.name, row.ip, err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (%s): %s", row.name, row.ip, diff)
		}
	}
	if got, err := d.Lookup(t.Context(), netip.Addr{}); err != nil || !cmp.Equal(got, event.Facts{}) {
		t.Errorf("no address at all: %+v, %v", got, err)
	}
}

// What a table of a few addresses would miss: records decode, and what they say
// has the right form.
func TestRecords(t *testing.T) {
	d := open(t)
	if n := d.reader.Metadata.NodeCount; n < 1_300_000 {
		t.Errorf("only %d nodes", n)
	}
	for prefix, atLeast := range map[string]int{"8.0.0.0/8": 1000, "185.0.0.0/9": 10_000, "2a01::/16": 1000} {
		networks := 0
		for found := range d.reader.NetworksWithin(netip.MustParsePrefix(prefix)) {
			networks++
			facts, err := d.Lookup(t.Context(), found.Prefix().Addr())
			if err != nil {
				t.Fatalf("%v: %v", found.Prefix(), err)
			}
			c := facts.Place.Country
			if facts.Network.ASN == 0 && c == "" || facts.Network.ASN != 0 && facts.Network.Name == "" ||
				c != "" && (len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
				t.Fatalf("%v: %+v", found.Prefix(), facts)
			}
		}
		if networks < atLeast {
			t.Errorf("%s: only %d networks", prefix, networks)
		}
	}
}

func TestAge(t *testing.T) {
	d := open(t)
	day := time.Date(2026, 6, 17, 0, 0, 0, 0, time.UTC)
	if !d.Date().Equal(day) {
		t.Errorf("the data are of %v", d.Date())
	}
	for _, row := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"on the day", day, false},
		{"a clock that is behind", day.AddDate(-3, 0, 0), false},
		{"180 days later", day.AddDate(0, 0, 180), false},
		{"and a second", day.AddDate(0, 0, 180).Add(time.Second), true},
	} {
		if got := d.Stale(row.now); got != row.want {
			t.Errorf("%s: stale is %v", row.name, got)
		}
	}
}

// The licences ask for it.
func TestAttribution(t *testing.T) {
	text := Attribution()
	for _, want := range []string{"RouteViews", "https://www.routeviews.org", "https://www.nro.net", "IP Geolocation by DB-IP, https://db-ip.com",
		"https://creativecommons.org/licenses/by/4.0/", "https://iptoasn.com", "changed: merged", "17 June 2026"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not named", want)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 81 || !strings.HasSuffix(line, "\n") {
			t.Errorf("too long, or not ended: %q", line)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := Open(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	d := open(b)
	for _, ip := range []string{"8.8.8.8", "2001:4860:4860::8888", "203.0.113.7"} {
		addr := netip.MustParseAddr(ip)
		b.Run(ip, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Lookup(b.Context(), addr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenAndLookup is what a worker does that is started for one login.
func BenchmarkOpenAndLookup(b *testing.B) {
	addr := netip.MustParseAddr("8.8.8.8")
	for b.Loop() {
		if _, err := open(b).Lookup(b.Context(), addr); err != nil {
			b.Fatal(err)
		}
	}
}
