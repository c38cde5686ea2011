package enrich

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestMerge(t *testing.T) {
	known := func(provider string, score int) *event.Risk {
		return &event.Risk{Provider: provider, Known: true, Score: score}
	}
	unknown := func(provider, problem string) *event.Risk {
		return &event.Risk{Provider: provider, Problem: problem}
	}
	for _, tc := range []struct {
		name string
		all  []event.Facts
		want event.Facts
	}{
		{"nobody asked", nil, event.Facts{}},
		{"the highest risk wins, first", []event.Facts{{Risk: known("A", 70)}, {Risk: known("B", 10)}}, event.Facts{Risk: known("A", 70)}},
		{"the highest risk wins, last", []event.Facts{{Risk: known("A", 10)}, {Risk: known("B", 70)}}, event.Facts{Risk: known("B", 70)}},
		{"equal: the settings' order", []event.Facts{{Risk: known("A", 10)}, {Risk: known("B", 10)}}, event.Facts{Risk: known("A", 10)}},
		{"a known zero beats an unknown", []event.Facts{{Risk: unknown("A", "timed out")}, {Risk: known("B", 0)}}, event.Facts{Risk: known("B", 0)}},
		{"an unknown does not beat a known zero", []event.Facts{{Risk: known("A", 0)}, {Risk: unknown("B", "timed out")}}, event.Facts{Risk: known("A", 0)}},
		{"two unknowns: the first says why", []event.Facts{{}, {Risk: unknown("A", "timed out")}, {Risk: unknown("B", "quota used up")}}, event.Facts{Risk: unknown("A", "timed out")}},
		{"the first network wins", []event.Facts{{Network: event.Network{ASN: 64500, Name: "A"}}, {Network: event.Network{ASN: 64501, Name: "B"}}}, event.Facts{Network: event.Network{ASN: 64500, Name: "A"}}},
		{"a name for the same network", []event.Facts{{Network: event.Network{ASN: 64500}}, {Network: event.Network{ASN: 64500, Name: "B"}}}, event.Facts{Network: event.Network{ASN: 64500, Name: "B"}}},
		{"no name of another network", []event.Facts{{Network: event.Network{ASN: 64500}}, {Network: event.Network{ASN: 64501, Name: "B"}}}, event.Facts{Network: event.Network{ASN: 64500}}},
		{"the first place wins", []event.Facts{{Place: event.Place{City: "Dublin", Country: "IE"}}, {Place: event.Place{City: "Cork", Country: "IE"}}}, event.Facts{Place: event.Place{City: "Dublin", Country: "IE"}}},
		{"a city in the same country", []event.Facts{{Place: event.Place{Country: "IE"}}, {Place: event.Place{City: "Cork", Country: "IE"}}}, event.Facts{Place: event.Place{City: "Cork", Country: "IE"}}},
		{"no city of another country", []event.Facts{{Place: event.Place{Country: "IE"}}, {Place: event.Place{City: "Madrid", Country: "ES"}}}, event.Facts{Place: event.Place{Country: "IE"}}},
		{"each fact from who has it", []event.Facts{{Place: event.Place{Country: "IE"}}, {Network: event.Network{ASN: 64500}}, {Risk: known("C", 5)}}, event.Facts{Place: event.Place{Country: "IE"}, Network: event.Network{ASN: 64500}, Risk: known("C", 5)}},
		{"a name without a number gives way to a number", []event.Facts{{Network: event.Network{Name: "Some ISP"}}, {Network: event.Network{ASN: 64500, Name: "B"}}}, event.Facts{Network: event.Network{ASN: 64500, Name: "B"}}},
		{"a name without a number is better than nothing", []event.Facts{{}, {Network: event.Network{Name: "Some ISP"}}}, event.Facts{Network: event.Network{Name: "Some ISP"}}},
		{"an old score counts like a new one", []event.Facts{{Risk: known("A", 10)}, {Risk: &event.Risk{Provider: "B", Known: true, Score: 70, Stale: noon}}}, event.Facts{Risk: &event.Risk{Provider: "B", Known: true, Score: 70, Stale: noon}}},
		{"each fact keeps its source", []event.Facts{{Place: event.Place{Country: "IE", Source: "A"}}, {Network: event.Network{ASN: 64500, Source: "B"}, Place: event.Place{City: "Cork", Country: "ES", Source: "B"}}}, event.Facts{Place: event.Place{Country: "IE", Source: "A"}, Network: event.Network{ASN: 64500, Source: "B"}}},
		{"a point stays with its place", []event.Facts{{Place: event.Place{Country: "IE", Source: "A"}}, {Place: event.Place{City: "Cork", Country: "IE", Source: "B", Point: &event.Point{Lat: 51}}}}, event.Facts{Place: event.Place{City: "Cork", Country: "IE", Source: "B", Point: &event.Point{Lat: 51}}}},
		{"a point of the same city", []event.Facts{{Place: event.Place{City: "Cork", Country: "IE", Source: "A"}}, {Place: event.Place{City: "cork", Country: "IE", Source: "B", Point: &event.Point{Lat: 51}}}}, event.Facts{Place: event.Place{City: "Cork", Country: "IE", Source: "A", Point: &event.Point{Lat: 51}}}},
		{"no point of another city", []event.Facts{{Place: event.Place{City: "Cork", Country: "IE"}}, {Place: event.Place{City: "Dublin", Country: "IE", Point: &event.Point{Lat: 53}}}}, event.Facts{Place: event.Place{City: "Cork", Country: "IE"}}},
		{"a point alone is no place to lose", []event.Facts{{Place: event.Place{Point: &event.Point{Lat: 53}}}, {Place: event.Place{Country: "ES"}}}, event.Facts{Place: event.Place{Point: &event.Point{Lat: 53}}}},
		{"traits are united, the first source is kept", []event.Facts{{Traits: event.Traits{Tor: "A", Lists: []string{"x"}}}, {Traits: event.Traits{Tor: "B", VPN: "B", Lists: []string{"y", "x"}}}}, event.Facts{Traits: event.Traits{Tor: "A", VPN: "B", Lists: []string{"x", "y"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, merge(tc.all)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
