package mmdb

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestSchemas(t *testing.T) {
	const us = "GeoLite2"
	network := func(asn uint32, name, description string) event.Network {
		return event.Network{ASN: asn, Name: name, Description: description, Source: us}
	}
	dublin := event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: us,
		Point: &event.Point{Lat: 53.35, Lon: -6.26, Accuracy: 20}}
	noRadius := dublin
	noRadius.Point = &event.Point{Lat: 53.35, Lon: -6.26}
	for _, row := range []struct {
		name   string
		record record
		want   event.Facts
	}{
		{"GeoLite2-City", record{
			"city": names("Dublin"), "continent": names("Europe"),
			"country":            record{"iso_code": text("IE"), "names": record{"en": text("Ireland")}, "is_in_european_union": mmdbtype.Bool(true)},
			"registered_country": record{"iso_code": text("US")},
			"location": record{"latitude": mmdbtype.Float64(53.35), "longitude": mmdbtype.Float64(-6.26), "accuracy_radius": mmdbtype.Uint16(20),
				"time_zone": text("Europe/Dublin")},
			"subdivisions": list{names("Leinster"), names("Dublin City")},
			"postal":       record{"code": text("D02")},
		}, event.Facts{Place: dublin}},
		{"GeoLite2-City, where no more than who registered it is known", record{
			"registered_country": record{"iso_code": text("US")}, "continent": names("Europe"),
		}, event.Facts{}},
		{"GeoLite2-ASN", record{"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": text("EXAMPLE-NET")},
			event.Facts{Network: network(64500, "EXAMPLE-NET", "")}},
		{"GeoIP2-ISP", record{"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": text("EXAMPLE-NET"),
			"isp": text("Example Networks"), "organization": text("A customer")},
			event.Facts{Network: network(64500, "EXAMPLE-NET", "Example Networks")}},
		{"GeoIP2-Anonymous-IP, all at once", record{"is_anonymous": mmdbtype.Bool(true), "is_anonymous_vpn": mmdbtype.Bool(true),
			"is_hosting_provider": mmdbtype.Bool(true), "is_public_proxy": mmdbtype.Bool(true), "is_tor_exit_node": mmdbtype.Bool(true)},
			event.Facts{Traits: event.Traits{Tor: us, VPN: us, Proxy: us, Hosting: us}}},
		{"GeoIP2-Anonymous-IP, a Tor exit", record{"is_anonymous": mmdbtype.Bool(true), "is_tor_exit_node": mmdbtype.Bool(true)},
			event.Facts{Traits: event.Traits{Tor: us}}},
		{"GeoIP2-Anonymous-IP, somebody's home as a proxy", record{"is_anonymous": mmdbtype.Bool(true), "is_residential_proxy": mmdbtype.Bool(true)},
			event.Facts{Traits: event.Traits{Proxy: us}}},
		{"anonymous, and no more is told", record{"is_anonymous": mmdbtype.Bool(true)}, event.Facts{Traits: event.Traits{Proxy: us}}},
		{"flags that are false", record{"is_tor_exit_node": mmdbtype.Bool(false), "is_vpn": mmdbtype.Bool(false), "hosting": text("false")}, event.Facts{}},
		{"GeoIP2-Connection-Type", record{"connection_type": text("Cellular")}, event.Facts{Traits: event.Traits{Mobile: us}}},
		{"DB-IP to ISP", record{"country": record{"iso_code": text("IE")}, "traits": record{
			"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": text("EXAMPLE-NET"),
			"connection_type": text("Corporate"), "user_type": text("hosting"), "isp": text("EXAMPLE-NET")}},
			event.Facts{Network: network(64500, "EXAMPLE-NET", ""), Place: event.Place{Country: "IE", Source: us}, Traits: event.Traits{Hosting: us}}},
		{"IPinfo Lite", record{"network": text("192.0.2.0/24"), "country": text("Ireland"), "country_code": text("IE"), "continent": text("Europe"),
			"continent_code": text("EU"), "asn": text("AS64500"), "as_name": text("EXAMPLE-NET"), "as_domain": text("example.net")},
			event.Facts{Network: network(64500, "EXAMPLE-NET", ""), Place: event.Place{Country: "IE", Source: us}}},
		{"IPinfo Plus", record{"city": text("Dublin"), "region": text("Leinster"), "country": text("Ireland"), "country_code": text("IE"),
			"latitude": mmdbtype.Float64(53.35), "longitude": mmdbtype.Float64(-6.26), "radius": mmdbtype.Uint32(20),
			"asn": text("AS64500"), "as_name": text("EXAMPLE-NET"), "as_type": text("hosting"), "is_vpn": mmdbtype.Bool(true), "is_mobile": mmdbtype.Bool(true)},
			event.Facts{Network: network(64500, "EXAMPLE-NET", ""), Place: dublin, Traits: event.Traits{VPN: us, Hosting: us, Mobile: us}}},
		{"IPinfo's older location file", record{"city": text("Dublin"), "region": text("Leinster"), "country": text("IE"),
			"lat": text("53.35"), "lng": text("-6.26"), "postal_code": text("D02")}, event.Facts{Place: noRadius}},
		{"IPinfo's older ASN file", record{"asn": text("AS64500"), "name": text("Example Networks"), "type": text("hosting"), "route": text("192.0.2.0/24")},
			event.Facts{Network: network(64500, "Example Networks", ""), Traits: event.Traits{Hosting: us}}},
		{"IPinfo's older privacy file", record{"hosting": text(""), "proxy": text("true"), "relay": text(""), "tor": text("true"), "vpn": text("")},
			event.Facts{Traits: event.Traits{Tor: us, Proxy: us}}},
		{"IP2Location: a dash is nothing", record{"country": record{"iso_code": text("-")}, "city": record{"names": record{"en": text("-")}},
			"subdivisions": list{record{"names": record{"en": text("-")}}}, "location": record{"latitude": mmdbtype.Float64(0), "longitude": mmdbtype.Float64(0)}}, event.Facts{}},
		{"sapics city", record{"country_code": text("IE"), "state1": text("Leinster"), "state2": text(""), "city": text("Dublin"),
			"postcode": text(""), "latitude": mmdbtype.Float32(53.5), "longitude": mmdbtype.Float32(-6.25), "timezone": text("")},
			event.Facts{Place: event.Place{City: "Dublin", Region: "Leinster", Country: "IE", Source: us, Point: &event.Point{Lat: 53.5, Lon: -6.25}}}},

		{"a name that hides something", record{"country_code": text("IE"), "city": text("Dub\u202elin\n")},
			event.Facts{Place: event.Place{City: `Dub\u202elin`, Country: "IE", Source: us}}},
		{"a name without end", record{"city": text(strings.Repeat("x", 1000))}, event.Facts{Place: event.Place{City: strings.Repeat("x", 99) + "…", Source: us}}},
		{"countries that are none", record{"country_code": text("ie"), "country": text("Ireland")}, event.Facts{}},
		{"an address that is in no country", record{"country_code": text("ZZ")}, event.Facts{}},
		{"nowhere on earth", record{"country_code": text("IE"), "latitude": mmdbtype.Float64(91), "longitude": mmdbtype.Float64(0)},
			event.Facts{Place: event.Place{Country: "IE", Source: us}}},
		{"no number", record{"country_code": text("IE"), "latitude": mmdbtype.Float64(math.NaN()), "longitude": text("Inf")},
			event.Facts{Place: event.Place{Country: "IE", Source: us}}},
		{"half a place", record{"country_code": text("IE"), "latitude": mmdbtype.Float64(1)}, event.Facts{Place: event.Place{Country: "IE", Source: us}}},
		{"everything of another type", record{"country": list{text("IE")}, "city": mmdbtype.Uint32(1), "asn": mmdbtype.Bool(true), "subdivisions": record{},
			"location": text("here"), "is_vpn": mmdbtype.Uint32(1), "isp": mmdbtype.Bytes("x"), "traits": list{}}, event.Facts{}},
		{"a number that is too big", record{"asn": text("AS4294967296"), "autonomous_system_number": mmdbtype.Uint64(1 << 40)}, event.Facts{}},
	} {
		// The second network makes the file one of use, whatever the first holds.
		data := build(t, "Test", map[string]record{"192.0.2.0/24": row.record, "2001:db8::/32": {"country_code": text("DE")}})
		got, err := newHost(t, data).Lookup(t.Context(), netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
	}
}
