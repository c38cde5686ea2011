package policy

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b event.Point
		want float64 // km
	}{
		{"here", dublin, dublin, 0},
		{"a degree of the equator", event.Point{Lat: 0, Lon: 1}, event.Point{Lat: 0, Lon: 2}, 111.2},
		{"pole to pole", event.Point{Lat: 90, Lon: 5}, event.Point{Lat: -90, Lon: 5}, 20015},
		{"over the date line", event.Point{Lat: 0, Lon: 179}, event.Point{Lat: 0, Lon: -179}, 222.4},
		{"antipodes", event.Point{Lat: 10, Lon: 20}, event.Point{Lat: -10, Lon: -160}, 20015},
		{"Dublin to Sofia", dublin, sofia, 2474},
		{"London to New York", event.Point{Lat: 51.5074, Lon: -0.1278}, event.Point{Lat: 40.7128, Lon: -74.006}, 5570},
	} {
		got, _ := distance(&tt.a, &tt.b)
		back, _ := distance(&tt.b, &tt.a)
		if math.Abs(got-tt.want) > 5 || got != back {
			t.Errorf("%s: %.1f km and back %.1f, want %.1f", tt.name, got, back, tt.want)
		}
	}
}

func TestTravel(t *testing.T) {
	// The last login was in Sofia, 2,470 km away, and this one raises for
	// another reason: two hours and a half are too short, three are not.
	from := func(ago time.Duration) func(*Input) {
		return func(in *Input) {
			in.Memory.Last.Time = now.Add(-ago)
			in.Memory.Last.Place = event.Place{Country: "BG", Point: new(sofia)}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*Input)
		more   func(*Input)
		want   string // empty: nothing odd
	}{
		{"an hour", from(time.Hour), nil, "2,500 km from the login 1 hour ago"},
		{"forty minutes", from(40*time.Minute + 59*time.Second), nil, "2,500 km from the login 40 minutes ago"},
		{"one minute", from(time.Minute), nil, "2,500 km from the login 1 minute ago"},
		{"a second", from(time.Second), nil, "2,500 km from the login 1 second ago"},
		{"the same moment", from(0), nil, "2,500 km from the login at the same moment"},
		{"an airliner", from(165 * time.Minute), nil, ""},
		{"just faster than one", from(160 * time.Minute), nil, "2,500 km from the login 2 hours ago"},
		{"the next day", from(24 * time.Hour), nil, ""},
		{"a login that comes late, after a newer one", from(-time.Hour), nil, ""},
		{"a coarse place", from(2 * time.Hour), func(in *Input) { in.Facts.Place.Point.Accuracy = 700 }, ""},
		{"a coarse place before", from(2 * time.Hour), func(in *Input) { in.Memory.Last.Place.Point.Accuracy = 700 }, ""},
		{"accuracy is not said: 100 km each", from(160 * time.Minute), func(in *Input) {
			in.Facts.Place.Point.Accuracy, in.Memory.Last.Place.Point.Accuracy = 0, 0
		}, ""},
		{"no place", from(time.Hour), func(in *Input) { in.Facts.Place.Point = nil }, ""},
		{"no place before, only a country", from(time.Hour), func(in *Input) { in.Memory.Last.Place.Point = nil }, ""},
		{"no login before", from(time.Hour), func(in *Input) { in.Memory.Last = nil }, ""},
		{"no memory", from(time.Hour), func(in *Input) { in.Memory.Known = false }, ""},
		{"the town beside", from(0), func(in *Input) { in.Memory.Last.Place.Point = &event.Point{Lat: 53.35, Lon: -2.5, Accuracy: 10} }, ""},
		{"a town that may be nearer than it seems", from(0), func(in *Input) { in.Memory.Last.Place.Point = &event.Point{Lat: 53.35, Lon: -1.45, Accuracy: 10} }, ""},
		{"a VPN", from(time.Hour), func(in *Input) { in.Facts.Traits.VPN = "x" }, ""},
		{"a VPN before", from(time.Hour), func(in *Input) { in.Memory.Last.Traits.VPN = "x" }, ""},
		{"Tor", from(time.Hour), func(in *Input) { in.Facts.Traits.Tor = "x" }, ""},
		{"Tor before", from(time.Hour), func(in *Input) { in.Memory.Last.Traits.Tor = "x" }, ""},
		{"a proxy before", from(time.Hour), func(in *Input) { in.Memory.Last.Traits.Proxy = "x" }, ""},
		{"a data centre", from(time.Hour), func(in *Input) { in.Facts.Traits.Hosting = "x" }, ""},
		{"a phone before", from(time.Hour), func(in *Input) { in.Memory.Last.Traits.Mobile = "x" }, ""},
		{"the office", from(time.Hour), func(in *Input) { in.Facts.Name = "office" }, ""},
		{"a private network", from(time.Hour), func(in *Input) { in.Facts.Scope = "private network" }, ""},
		{"the office before", from(time.Hour), func(in *Input) { in.Memory.Last.IP = netip.MustParseAddr("192.0.2.3") }, ""},
		{"a place that is not on earth", from(time.Hour), func(in *Input) { in.Facts.Place.Point.Lat = 91 }, ""},
		{"a place that is no number", from(time.Hour), func(in *Input) { in.Facts.Place.Point.Lon = math.NaN() }, ""},
		{"the place of data that know none", from(time.Hour), func(in *Input) { in.Facts.Place.Point = &event.Point{} }, ""},
		{"learning", from(time.Hour), func(in *Input) { in.Memory.Young = true }, "2,500 km from the login 1 hour ago"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := everyday(tt.change)
			if tt.more != nil {
				tt.more(&in)
			}
			got := func(v event.Verdict) (s string) {
				for _, r := range v.Reasons {
					if strings.Contains(r, " km ") {
						s = r
					}
				}
				return s
			}
			v := Judge(in, household())
			if g := got(v); g != tt.want {
				t.Errorf("%q, want %q", g, tt.want)
			}
			if tt.want == "" {
				return
			}
			if v.Severity != event.Low || v.Usual || v.Knowledge != event.Unknown {
				t.Errorf("alone: %+v", v)
			}
			in.Owner = "" // medium
			if v := Judge(in, household()); v.Severity != event.High || v.Reasons[0] != tt.want {
				t.Errorf("beside another: %+v", v)
			}
			in.Memory.HourShare = 0
			if v := Judge(in, household()); v.Severity != event.High || v.Reasons[1] != "unusual hour (0 of 120 logins)" {
				t.Errorf("both: %+v", v)
			}
			fast := household()
			fast.MaxSpeed = math.Inf(1)
			if v := Judge(in, fast); strings.Contains(strings.Join(v.Reasons, ""), " km ") && in.Memory.Last.Time != now {
				t.Errorf("at any speed: %+v", v)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 6100: "6,100", 20015: "20,015", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for km, want := range map[float64]int{304: 300, 996: 1000, 6149: 6100, 6150: 6200} {
		if got := roundKM(km); got != want {
			t.Errorf("%v: %d", km, got)
		}
	}
}
