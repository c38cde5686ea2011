package policy

import (
	"net/netip"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestRoute(t *testing.T) {
	office := RuleNetwork{Name: "office"}
	s := Settings{Networks: map[string][]netip.Prefix{"office": {netip.MustParsePrefix("203.0.113.0/28")}}}
	of := func(k event.Kind) event.Event {
		e := login()
		e.Kind = k
		return e
	}
	own := event.Event{Kind: event.KindAlert, Via: event.ViaSelf, Host: "db1.example.com", Alert: &event.Note{}}
	theirs := own
	theirs.Via = ""
	tests := []struct {
		name  string
		route Route
		event event.Event
		v     event.Verdict
		want  string // the key that misses; empty: it gets it
	}{
		{"no key", Route{}, login(), event.Verdict{}, ""},
		{"severe enough", Route{MinSeverity: event.High}, login(), event.Verdict{Severity: event.High}, ""},
		{"not severe enough", Route{MinSeverity: event.High}, login(), event.Verdict{Severity: event.Medium}, "severity"},
		{"unknown passes as medium", Route{MinSeverity: event.Medium}, login(), event.Verdict{Floor: event.Medium}, ""},
		{"a kind", Route{Kinds: []event.Kind{event.KindLogin}}, login(), event.Verdict{}, ""},
		{"another kind", Route{Kinds: []event.Kind{event.KindAttack}}, login(), event.Verdict{Severity: event.Critical}, "kind"},
		{"a user", Route{Users: []string{"al*"}}, login(), event.Verdict{}, ""},
		{"another user", Route{Users: []string{"bob"}}, login(), event.Verdict{}, "user"},
		{"names differ by case", Route{Users: []string{"Alice"}}, login(), event.Verdict{}, "user"},
		{"an alert has no user", Route{Users: []string{"*"}}, theirs, event.Verdict{}, "user"},
		{"but what is sshnotify's own passes", Route{Users: []string{"bob"}, Networks: []RuleNetwork{office}}, own, event.Verdict{}, ""},
		{"unless its kind is left out", Route{Kinds: []event.Kind{event.KindLogin}}, own, event.Verdict{}, "kind"},
		{"a host, whatever the case", Route{Hosts: []string{"DB*"}}, login(), event.Verdict{}, ""},
		{"another host", Route{Hosts: []string{"web*"}}, login(), event.Verdict{}, "host"},
		{"a named network", Route{Networks: []RuleNetwork{office}}, login(), event.Verdict{}, ""},
		{"another network", Route{Networks: []RuleNetwork{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}}, login(), event.Verdict{}, "network"},
		{"no digest", Route{Digest: RouteNone}, of(event.KindDigest), event.Verdict{}, "digest"},
		{"no digest, but a login", Route{Digest: RouteNone}, login(), event.Verdict{}, ""},
		{"digests alone", Route{Digest: RouteOnly}, of(event.KindDigest), event.Verdict{}, ""},
		{"digests alone, and no login", Route{Digest: RouteOnly}, login(), event.Verdict{Severity: event.Critical}, "kind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, m := range tt.route.Misses(Input{Event: tt.event}, tt.v, s) {
				got = m.Key
			}
			if got != tt.want {
				t.Errorf("misses by %q, want %q", got, tt.want)
			}
		})
	}
}
