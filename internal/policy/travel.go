package policy

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	defaultSpeed    = 900.0  // km/h, the cruise of an airliner
	leastTravel     = 300.0  // km; below it the errors of geolocation are larger than the journey
	unknownAccuracy = 100.0  // km, of a place whose data don't say
	earthRadius     = 6371.0 // km, the mean of WGS 84
)

// tooFast reports whether the user's last login was too far away for the time
// between: the distance of the two places as the crow flies, and how long ago
// it was. What the accuracy of the data leaves open counts for the traveller.
func tooFast(in Input, s Settings) (km float64, ago time.Duration, is bool) {
	last, f := in.Memory.Last, in.Facts
	if last == nil || last.Time.IsZero() || named(f) || elsewhere(f.Traits) || elsewhere(last.Traits) || s.isNamed(last.IP) {
		return 0, 0, false
	}
	ago = in.Event.Time.Sub(last.Time)
	km, off := distance(f.Place.Point, last.Place.Point)
	least := km - off
	// Not a number is no distance: each comparison is such that it says no.
	if ago < 0 || !(least >= leastTravel) {
		return 0, 0, false
	}
	speed := s.MaxSpeed
	if !(speed > 0) {
		speed = defaultSpeed
	}
	return km, ago, least > speed*ago.Hours()
}

// elsewhere reports whether an address says little of where its user is.
// Phones leave their carrier's network far from where they are.
func elsewhere(t event.Traits) bool {
	return t.Tor != "" || t.VPN != "" || t.Proxy != "" || t.Hosting != "" || t.Mobile != ""
}

func (s Settings) isNamed(ip netip.Addr) bool {
	for _, ps := range s.Networks {
		for _, p := range ps {
			if p.Contains(ip) {
				return true
			}
		}
	}
	return false
}

// distance returns the great circle between two points, and how far off it may
// be, in km; without both it is NaN. (The haversine formula, which is exact for
// near points too.)
func distance(a, b *event.Point) (km, off float64) {
	if a == nil || b == nil || !onEarth(*a) || !onEarth(*b) {
		return math.NaN(), 0
	}
	const rad = math.Pi / 180
	sinLat := math.Sin((b.Lat - a.Lat) * rad / 2)
	sinLon := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := sinLat*sinLat + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h))), accuracy(*a) + accuracy(*b)
}

// onEarth also leaves out 0, 0, which is in the sea, and what data bases write
// for a place that they don't know.
func onEarth(p event.Point) bool {
	return math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180 && (p.Lat != 0 || p.Lon != 0)
}

func accuracy(p event.Point) float64 {
	if p.Accuracy > 0 {
		return p.Accuracy
	}
	return unknownAccuracy
}

// roundKM is as exact as the data can be.
func roundKM(km float64) int {
	if km >= 1000 {
		return int(math.Round(km/100)) * 100
	}
	return int(math.Round(km/10)) * 10
}

// since puts a time ago into words, in the largest unit of which there is one.
func since(d time.Duration) string {
	for _, u := range []struct {
		word string
		d    time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := int(d / u.d); n > 0 {
			s := strconv.Itoa(n) + " " + u.word
			if n > 1 {
				s += "s"
			}
			return s + " ago"
		}
	}
	return "at the same moment"
}

// thousands writes 6,100; n is not below 0.
func thousands(n int) string {
	s := strconv.Itoa(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
