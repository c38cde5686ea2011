package policy

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// FuzzJudge: whatever is stored or made up, judging ends, gives the same twice,
// and keeps its promises.
func FuzzJudge(f *testing.F) {
	type all struct {
		In       Input
		Settings Settings
	}
	add := func(change func(in *Input, s *Settings)) {
		a := all{everyday(nil), household()}
		change(&a.In, &a.Settings)
		b, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(func(*Input, *Settings) {})
	add(func(in *Input, s *Settings) {
		elsewhereNew(in)
		in.Memory.Last.Place.Point = &event.Point{Lat: 90, Lon: -180}
		in.Event.Flags = []event.Flag{event.FlagAddressUnverified}
		in.Facts.Risk = &event.Risk{Known: true, Score: 12}
		s.Raise = DefaultSeverity()
		h, _ := ParseHours("mon-fri 22:00-06:00")
		s.Rules = []Rule{
			{User: []string{"b*b"}, Hours: []Hours{h}, NewKey: new(true), MinRisk: new(3), Network: []RuleNetwork{{Name: "office"}}},
			{Label: []Label{{"env", "*"}}, Severity: new(event.Medium), Ignore: true, Destination: []string{"log"}},
		}
	})
	add(func(in *Input, s *Settings) {
		stranger(in)
		in.Memory.Young, in.Memory.KeyUsers = true, []string{"bob"}
		in.Owner = "bob"
		in.Facts.Traits = event.Traits{Tor: "a", VPN: "b", Lists: []string{""}}
		s.RedAbove, s.YellowAbove = -5, 900
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		var a all
		if json.Unmarshal(data, &a) == nil {
			keepsPromises(t, a.In, a.Settings)
		}
	})
}

// keepsPromises holds a verdict against what no settings, facts and memory may
// change.
func keepsPromises(t *testing.T, in Input, s Settings) event.Verdict {
	t.Helper()
	v, x := Judge(in, s), Explain(in, s)
	if diff := cmp.Diff(v, x.Verdict); diff != "" {
		t.Fatal("Explain and Judge differ:", diff)
	}
	e, m, risk := in.Event, in.Memory, in.Facts.Risk
	isLogin := e.Kind == event.KindLogin
	asked := risk != nil && in.Facts.Scope == ""
	isScored := asked && risk.Known && risk.Score >= 0 && risk.Score <= 100
	doubtful := e.Has(event.FlagAddressMismatch) || e.Has(event.FlagAddressUnverified) || e.Has(event.FlagEnvironmentUnverified)
	problem := ""
	switch {
	case v.Severity < event.Low || v.Severity > event.Critical:
		problem = "no severity"
	case v.Knowledge == event.Known && e.Kind != event.KindAlert && (!isScored || doubtful):
		problem = "known without a score of its own"
	case v.Ignore && (!isLogin || len(e.Flags) > 0):
		problem = "ignored"
	case (v.Usual || v.Knowledge == event.Usual) && e.Kind != event.KindDigest && (!isLogin || v.Severity != event.Low || !m.Known || !m.Pair.Usual() || len(e.Flags) > 0 ||
		m.User.Count < 1 || m.UserHost.Count < 1 || m.Network.Count < 1 || e.Login.Auth.Fingerprint != "" && m.Key.Count < 1 || asked && !isScored):
		problem = "usual"
	case e.Has(event.FlagAddressMismatch) && isLogin && (v.Severity < event.High || v.Only != nil):
		problem = "a forged address, milder or in fewer places"
	case slices.Contains(v.Reasons, "") && !slices.Contains(in.Facts.Traits.Lists, ""):
		problem = "an empty reason"
	case v.Usual && in.Owner != e.User && isPerson(s, in.Owner) && isPerson(s, e.User) && e.Login.Auth.Fingerprint != "":
		problem = "somebody else's key, and usual"
	case !slices.IsSortedFunc(x.Reasons, func(a, b Asked) int { return int(b.Severity - a.Severity) }):
		problem = "reasons out of order"
	case v.Floor > event.Low && (isScored || v.Rule != "" && s.Rules[x.Rule].Severity != nil):
		problem = "a score, or the owner's word, that is routed as unknown"
	case isLogin && asked && !isScored && (v.Route() < event.Medium || v.Knowledge != event.Unknown) && (v.Rule == "" || s.Rules[x.Rule].Severity == nil):
		problem = "a provider that could not say, and as if it were safe"
	}
	if problem != "" {
		t.Fatalf("%s: %+v\n%+v\n%+v", problem, v, in, s)
	}
	if x.Rule < 0 {
		s.Rules = nil
		if diff := cmp.Diff(v, Judge(in, s)); diff != "" {
			t.Fatal("rules that don't match change something:", diff)
		}
	}
	return v
}

// Whatever comes together, the promises hold; and it is not that nothing ever
// happens.
func TestPromisesHoldForAnyMixture(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	maybe := func() bool { return rnd.IntN(4) == 0 }
	word := func() string {
		return []string{"", "", "", "x"}[rnd.IntN(4)]
	}
	seen := map[string]int{}
	for range 4000 {
		in, s := everyday(nil), household()
		if maybe() {
			in.Event.Flags = [][]event.Flag{{event.FlagAddressMismatch}, {event.FlagAddressUnverified}, {event.FlagEnvironmentUnverified}, {"odd"}}[rnd.IntN(4)]
		}
		if maybe() {
			in.Event.Kind = []event.Kind{event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert}[rnd.IntN(4)]
		}
		if rnd.IntN(2) == 0 {
			in.Facts.Risk = &event.Risk{Known: !maybe(), Score: rnd.IntN(140) - 20}
		}
		for _, n := range []*event.Seen{&in.Memory.User, &in.Memory.UserHost, &in.Memory.Address, &in.Memory.Network, &in.Memory.Country, &in.Memory.Key} {
			if rnd.IntN(12) == 0 {
				*n = event.Seen{Count: rnd.IntN(3) - 1}
			}
		}
		if maybe() {
			in.Memory.HourShare = rnd.Float64() / 10
		}
		if maybe() {
			in.Memory.Last.Place.Point, in.Memory.Last.Time = new(sofia), in.Event.Time.Add(-time.Hour)
		}
		if rnd.IntN(8) == 0 {
			in.Memory.Known = false
		}
		in.Memory.Young = rnd.IntN(8) == 0
		if rnd.IntN(8) == 0 {
			in.Facts.Traits = event.Traits{Tor: word(), VPN: word(), Proxy: word(), Hosting: word(), Mobile: word()}
		}
		if rnd.IntN(8) == 0 {
			in.Facts.Name, in.Facts.Scope = word(), word()
		}
		in.Owner = []string{"alice", "alice", "alice", "", "bob"}[rnd.IntN(5)]
		if maybe() {
			s.Raise = SignalSeverity{}
			for _, n := range Signals() {
				if maybe() {
					s.Raise[n] = event.Severity(rnd.IntN(4))
				}
			}
		}
		for range rnd.IntN(3) {
			r := Rule{Ignore: maybe()}
			if maybe() {
				r.Severity = new(event.Severity(rnd.IntN(4)))
			}
			if maybe() {
				r.Destination = []string{"log"}
			}
			if maybe() {
				r.NewKey = new(maybe())
			}
			s.Rules = append(s.Rules, r)
		}
		v := keepsPromises(t, in, s)
		seen[string(v.Knowledge)]++
		seen[v.Severity.String()]++
	}
	for _, s := range []string{"known", "usual", "unknown", "low", "medium", "high"} {
		if seen[s] < 50 {
			t.Errorf("%s %d times: this shows little", s, seen[s])
		}
	}
}

func FuzzParseHours(f *testing.F) {
	for _, s := range []string{"mon-fri 22:00-06:00", "sat,sun", "00:00-24:00", ":", "-", "mon-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHours(s)
		if err != nil {
			return
		}
		if again, err := ParseHours(h.String()); err != nil || again != h {
			t.Errorf("%q: written as %q, which is %v %v", s, h, again, err)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	s := household()
	h, err := ParseHours("mon-fri 22:00-06:00")
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		s.Rules = append(s.Rules, Rule{User: []string{"ext-*"}, Hours: []Hours{h}, Tor: new(true)})
	}
	in := everyday(elsewhereNew)
	for b.Loop() {
		Judge(in, s)
	}
}
