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
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, merge(tc.all)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
