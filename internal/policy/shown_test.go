package policy

import (
	"slices"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Who asks for a second step wants to know what is new, not what is worth telling.
func TestShownIsNotOnlyWhatIsTold(t *testing.T) {
	for _, r := range []struct {
		situation string
		change    func(*Input)
		raise     SignalSeverity
		want      []Signal
	}{
		{"a usual login", nil, nil, nil},
		{"a new country, which implies the network", elsewhereNew, nil, []Signal{NewCountry, NewNetwork}},
		{"a new address is what the settings find worst", elsewhereNew, SignalSeverity{NewAddress: event.High}, []Signal{NewCountry, NewNetwork}},
		{"nothing is to be told", elsewhereNew, SignalSeverity{}, []Signal{NewCountry, NewNetwork}},
		{"a new key that is nobody's, of which nothing is to be told", func(in *Input) { in.Memory.Key, in.Owner = event.Seen{}, "" }, SignalSeverity{}, []Signal{NewKey, UnknownKey}},
		{"bob's key", func(in *Input) { in.Owner = "bob" }, SignalSeverity{}, []Signal{ForeignKey}},
		{"Tor", func(in *Input) { in.Facts.Traits.Tor = "Tor bulk exit list" }, SignalSeverity{}, []Signal{Tor}},
	} {
		s := household()
		s.Raise = r.raise
		if got := Shown(everyday(r.change), s); !slices.Equal(got, r.want) {
			t.Errorf("%s: %q, want %q", r.situation, got, r.want)
		}
	}
}
