package history

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// A year of a hundred people, each with a key, a home and an office, who work
// by day. In March one moves; in November one's key is stolen. What the memory
// finds odd after its first weeks is that and nothing else.
func TestYearWithAStolenKey(t *testing.T) {
	standin.Gate(t)
	rnd := rand.New(rand.NewPCG(4, 4))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := open(t, Options{})
	person := func(p int, at time.Time) Entry {
		e := Entry{
			Time: at, Host: fmt.Sprintf("web%d.example.com", p%4), User: fmt.Sprintf("p%02d", p), Service: "sshd", Method: "publickey",
			Key: fmt.Sprintf("SHA256:key%02d", p), Place: event.Place{Country: "IE", City: "Dublin", Point: &event.Point{Lat: 53.3, Lon: -6.3}}, Source: SourceSeen,
		}
		e.IP, e.ASN, e.ASName = netip.AddrFrom4([4]byte{192, 0, 2, byte(p)}), 64500, "OFFICE"
		if rnd.IntN(3) == 0 { // from home, where the address changes
			e.IP, e.ASN, e.ASName = netip.AddrFrom4([4]byte{203, 0, 113, byte(rnd.IntN(256))}), uint32(64600+p%7), "HOME"
		}
		return e
	}
	var logins []Entry
	for p := range 100 {
		logins = append(logins, person(p, start.Add(time.Duration(p)*time.Minute)))
		for _, from := range []int{0, 1} { // has been at both places in the first days
			e := person(p, start.Add(time.Duration(24*(1+from))*time.Hour))
			for e.ASN == 64500 != (from == 0) {
				e = person(p, e.Time)
			}
			logins = append(logins, e)
		}
		for range 7 {
			at := start.AddDate(0, 0, 3+rnd.IntN(360)).Add(time.Duration(8*60+p%4*90+rnd.IntN(60)) * time.Minute)
			e := person(p, at)
			logins = append(logins, e)
		}
	}
	moved := person(11, time.Date(2026, 3, 10, 13, 0, 0, 0, time.UTC))
	moved.IP, moved.ASN, moved.ASName, moved.Place.City = netip.MustParseAddr("203.0.113.200"), 64999, "MOVED", "Cork"
	thief := person(37, time.Date(2026, 11, 21, 2, 15, 0, 0, time.UTC))
	thief.IP, thief.ASN, thief.ASName = netip.MustParseAddr("198.51.100.66"), 64666, "ELSEWHERE"
	thief.Place = event.Place{Country: "BG", City: "Sofia", Point: &event.Point{Lat: 42.7, Lon: 23.3}}
	asRoot := thief
	asRoot.Time, asRoot.User = thief.Time.Add(4*time.Minute), "p00"
	logins = append(logins, moved, thief, asRoot, person(37, time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)))
	slices.SortStableFunc(logins, func(a, b Entry) int { return a.Time.Compare(b.Time) })

	odd := map[string][]string{}
	for i, e := range logins {
		e.ID = testID(i)
		m := recall(t, d, e)
		record(t, d, e)
		if e.Time.Before(start.AddDate(0, 0, 3)) {
			if !m.Young {
				t.Fatalf("not learning at %v", e.Time)
			}
			continue
		}
		if old := e.Time.Sub(start) >= youth*DefaultLearning; m.Young && old || !m.Young && e.Time.Before(start.Add(DefaultLearning)) {
			t.Fatalf("learning: %v at %v", m.Young, e.Time)
		}
		who := e.User + " " + e.Place.City
		note := func(is bool, what string) {
			if is && !slices.Contains(odd[who], what) {
				odd[who] = append(odd[who], what)
			}
		}
		note(m.Network.Count == 0, "network")
		note(m.Country.Count == 0, "country")
		note(m.Key.Count == 0, "key")
		note(len(m.KeyUsers) > 0, "key of "+fmt.Sprint(m.KeyUsers))
		note(m.User.Count >= 7 && m.HourShare == 0, "hour")
		if m.Last == nil || !m.Last.Time.Equal(m.User.Last) || m.User.Last.After(e.Time) {
			t.Fatalf("last login: %+v", m)
		}
	}
	want := map[string][]string{
		"p11 Cork":   {"network"},
		"p37 Dublin": {"key of [p00]"}, // from then on
		"p37 Sofia":  {"network", "country", "hour"},
		"p00 Sofia":  {"network", "country", "key", "key of [p37]", "hour"},
	}
	if diff := gocmp.Diff(want, odd); diff != "" {
		t.Error(diff)
	}
}
