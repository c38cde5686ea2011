package mmdb

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// How much is kept of each string, in characters.
const (
	maxName = 100
	maxWord = 40
)

// paths are the places where the vendors put one thing, the best first.
type paths [][]string

// The schemas, 2026-11:
// MaxMind GeoIP2 and GeoLite2 (https://dev.maxmind.com/geoip/docs/databases),
// which DB-IP (https://db-ip.com/db/format) and IP2Location follow: nested maps.
// IPinfo Lite, Core and Plus (https://ipinfo.io/developers) and its older
// files, all of whose values are strings: flat.
// sapics' ip-location-db (https://github.com/sapics/ip-location-db): flat.
var (
	asnPaths = paths{{"autonomous_system_number"}, {"asn"}, {"traits", "autonomous_system_number"}, {"asn", "autonomous_system_number"}, {"as_number"}}
	orgPaths = paths{{"autonomous_system_organization"}, {"as_name"}, {"traits", "autonomous_system_organization"},
		{"asn", "autonomous_system_organization"}, {"as"}}
	ispPaths     = paths{{"isp"}, {"traits", "isp"}, {"organization"}, {"traits", "organization"}}
	countryPaths = paths{{"country", "iso_code"}, {"country_code"}, {"country"}}
	cityPaths    = paths{{"city", "names", "en"}, {"city"}, {"city_name"}}
	regionPaths  = paths{{"region"}, {"state1"}, {"region_name"}}
	latPaths     = paths{{"location", "latitude"}, {"latitude"}, {"lat"}}
	lonPaths     = paths{{"location", "longitude"}, {"longitude"}, {"lng"}, {"lon"}}
	radiusPaths  = paths{{"location", "accuracy_radius"}, {"accuracy_radius"}, {"radius"}}
	torPaths     = paths{{"is_tor_exit_node"}, {"is_tor"}, {"tor"}, {"traits", "is_tor_exit_node"}}
	vpnPaths     = paths{{"is_anonymous_vpn"}, {"is_vpn"}, {"vpn"}, {"traits", "is_anonymous_vpn"}}
	proxyPaths   = paths{{"is_public_proxy"}, {"is_residential_proxy"}, {"is_proxy"}, {"proxy"}, {"is_relay"}, {"relay"},
		{"traits", "is_public_proxy"}, {"traits", "is_residential_proxy"}, {"traits", "is_anonymous_proxy"}}
	anonymousPaths = paths{{"is_anonymous"}, {"traits", "is_anonymous"}}
	hostingPaths   = paths{{"is_hosting_provider"}, {"is_hosting"}, {"hosting"}, {"traits", "is_hosting_provider"}}
	mobilePaths    = paths{{"is_mobile"}, {"traits", "is_mobile"}}
	usePaths       = paths{{"connection_type"}, {"traits", "connection_type"}, {"traits", "user_type"}, {"as_type"}, {"type"}}
)

// facts reads a record of any vendor. What is not understood is left out.
func facts(v map[string]any, source string) event.Facts {
	var f event.Facts
	if n := asnPaths.asn(v); n != 0 {
		f.Network.ASN = n
		f.Network.Name = orgPaths.text(v, maxName)
		if f.Network.Name == "" {
			f.Network.Name = paths{{"name"}}.text(v, maxName) // IPinfo's ASN file
		}
	}
	if isp := ispPaths.text(v, maxName); f.Network.Name == "" {
		f.Network.Name = isp
	} else if isp != f.Network.Name {
		f.Network.Description = isp
	}
	f.Place = event.Place{City: cityPaths.text(v, maxName), Region: region(v), Country: countryPaths.country(v), Point: point(v)}
	is := func(ps paths, uses ...string) string {
		if ps.isTrue(v) || len(uses) > 0 && usePaths.anyOf(v, uses...) {
			return source
		}
		return ""
	}
	f.Traits.Tor, f.Traits.VPN, f.Traits.Proxy = is(torPaths), is(vpnPaths), is(proxyPaths)
	f.Traits.Hosting, f.Traits.Mobile = is(hostingPaths, "hosting"), is(mobilePaths, "cellular")
	if f.Traits.Tor+f.Traits.VPN+f.Traits.Proxy+f.Traits.Hosting == "" {
		f.Traits.Proxy = is(anonymousPaths) // in no way that is told
	}
	if f.Network != (event.Network{}) {
		f.Network.Source = source
	}
	if f.Place != (event.Place{}) {
		f.Place.Source = source
	}
	return f
}

func isEmpty(f event.Facts) bool {
	return f.Network == event.Network{} && f.Place == event.Place{} &&
		f.Traits.Tor+f.Traits.VPN+f.Traits.Proxy+f.Traits.Hosting+f.Traits.Mobile == ""
}

// region is the widest part of the country.
func region(v map[string]any) string {
	if parts, ok := v["subdivisions"].([]any); ok && len(parts) > 0 {
		if part, ok := parts[0].(map[string]any); ok {
			return paths{{"names", "en"}}.text(part, maxName)
		}
	}
	return regionPaths.text(v, maxName)
}

// point is nil unless both co-ordinates can be. 0, 0 is in the sea, and what
// some write for nothing.
func point(v map[string]any) *event.Point {
	lat, ok1 := latPaths.number(v)
	lon, ok2 := lonPaths.number(v)
	if !ok1 || !ok2 || math.Abs(lat) > 90 || math.Abs(lon) > 180 || lat == 0 && lon == 0 {
		return nil
	}
	p := &event.Point{Lat: lat, Lon: lon}
	if r, ok := radiusPaths.number(v); ok && r > 0 && r <= 20_100 { // half way round the earth
		p.Accuracy = r
	}
	return p
}

// each calls f with what is found, until it returns true.
func (ps paths) each(v map[string]any, f func(any) bool) {
	for _, path := range ps {
		at, ok := any(v), true
		for _, key := range path {
			m, isMap := at.(map[string]any)
			if !isMap {
				ok = false
				break
			}
			if at, ok = m[key]; !ok {
				break
			}
		}
		if ok && f(at) {
			return
		}
	}
}

// text returns the first string that says something; "-" is IP2Location's word
// for nothing.
func (ps paths) text(v map[string]any, max int) (out string) {
	ps.each(v, func(x any) bool {
		s, _ := x.(string)
		if s = strings.TrimSpace(s); s == "-" {
			s = ""
		}
		out = event.Clean(s, max)
		return out != ""
	})
	return out
}

// country returns the first that has the form of ISO 3166-1 alpha-2; IPinfo's
// country is a code in some files, a name in others.
func (ps paths) country(v map[string]any) (out string) {
	ps.each(v, func(x any) bool {
		s, _ := x.(string)
		if len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && s != "ZZ" {
			out = s
		}
		return out != ""
	})
	return out
}

// number reads any kind of number, and a string that is one.
func (ps paths) number(v map[string]any) (n float64, found bool) {
	ps.each(v, func(x any) bool {
		var err error
		switch x := x.(type) {
		case float64:
			n = x
		case float32:
			n = float64(x)
		case int:
			n = float64(x)
		case int32:
			n = float64(x)
		case uint64:
			n = float64(x)
		case string:
			n, err = strconv.ParseFloat(strings.TrimSpace(x), 64)
		default:
			return false
		}
		found = err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
		return found
	})
	return n, found
}

// asn reads 15169 and "AS15169".
func (ps paths) asn(v map[string]any) (n uint32) {
	ps.each(v, func(x any) bool {
		switch x := x.(type) {
		case uint64:
			if x <= math.MaxUint32 {
				n = uint32(x)
			}
		case string:
			x = strings.TrimSpace(x)
			if len(x) > 2 && strings.EqualFold(x[:2], "AS") {
				x = x[2:]
			}
			if parsed, err := strconv.ParseUint(x, 10, 32); err == nil {
				n = uint32(parsed)
			}
		}
		return n != 0
	})
	return n
}

// isTrue reads a flag. Older files of IPinfo have strings.
func (ps paths) isTrue(v map[string]any) (is bool) {
	ps.each(v, func(x any) bool {
		switch x := x.(type) {
		case bool:
			is = x
		case string:
			is = strings.EqualFold(x, "true") || x == "1"
		}
		return is
	})
	return is
}

func (ps paths) anyOf(v map[string]any, words ...string) (is bool) {
	ps.each(v, func(x any) bool {
		s, _ := x.(string)
		is = slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, s) })
		return is
	})
	return is
}
