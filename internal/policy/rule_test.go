package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func hours(t *testing.T, s ...string) (all []Hours) {
	t.Helper()
	for _, one := range s {
		h, err := ParseHours(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

// Each key by itself, held against what alice does every day with a row's
// change.
func TestRuleKeys(t *testing.T) {
	prefix := func(s string) RuleNetwork { return RuleNetwork{Prefix: netip.MustParsePrefix(s)} }
	yes, no := new(true), new(false)
	office := func(in *Input) { in.Event.Remote.IP = netip.MustParseAddr("192.0.2.3") }
	noMemory := func(in *Input) { in.Memory = event.Memory{} }
	nobody := func(in *Input) {
		*in = Input{Event: event.Event{Kind: event.KindLogin}}
	}
	newKey := func(in *Input) { in.Memory.Key = event.Seen{} }
	tests := []struct {
		name   string
		rule   Rule
		change func(*Input)
		miss   string // "key: want; got"; empty: it matches
	}{
		{"no key at all", Rule{}, nil, ""},
		{"a user", Rule{User: []string{"bob", "alice"}}, nil, ""},
		{"a user's first letters", Rule{User: []string{"al*"}}, nil, ""},
		{"a user, one letter open", Rule{User: []string{"?lice"}}, nil, ""},
		{"another user", Rule{User: []string{"bob", "root"}}, nil, "user: bob, root; alice"},
		{"a user in other letters", Rule{User: []string{"Alice"}}, nil, "user: Alice; alice"},
		{"any user, of an event without one", Rule{User: []string{"*"}}, nobody, "user: *; unknown"},
		{"a group", Rule{Group: []string{"none", "admins"}}, nil, ""},
		{"a group by a glob", Rule{Group: []string{"admins"}}, func(in *Input) { in.Event.User = "adm-7" }, ""},
		{"another group", Rule{Group: []string{"none"}}, nil, "group: none; alice"},
		{"a group of nobody knows what", Rule{Group: []string{"gone"}}, nil, "group: gone; alice"},
		{"a range", Rule{Network: []RuleNetwork{prefix("203.0.113.0/24")}}, nil, ""},
		{"another range", Rule{Network: []RuleNetwork{prefix("198.51.100.0/24"), prefix("2001:db8::/32")}}, nil,
			"network: 198.51.100.0/24, 2001:db8::/32; 203.0.113.7"},
		{"a named network", Rule{Network: []RuleNetwork{{Name: "office"}}}, office, ""},
		{"a named network in IPv6", Rule{Network: []RuleNetwork{{Name: "office"}}},
			func(in *Input) { in.Event.Remote.IP = netip.MustParseAddr("2001:db8:1::7") }, ""},
		{"a network that the look-up names", Rule{Network: []RuleNetwork{{Name: "Tailscale"}}}, func(in *Input) { in.Facts.Name = "Tailscale" }, ""},
		{"another named network", Rule{Network: []RuleNetwork{{Name: "office"}}}, func(in *Input) { in.Facts.Name = "vpn" },
			"network: office; 203.0.113.7 (vpn)"},
		{"a network, of an event without an address", Rule{Network: []RuleNetwork{prefix("0.0.0.0/0"), prefix("::/0"), {Name: "office"}}}, nobody,
			"network: 0.0.0.0/0, ::/0, office; unknown"},
		{"a country", Rule{Country: []string{"GB", "IE"}}, nil, ""},
		{"another country", Rule{Country: []string{"BG"}}, nil, "country: BG; IE"},
		{"no country", Rule{Country: []string{"BG"}}, nobody, "country: BG; unknown"},
		{"an autonomous system", Rule{ASN: []ASN{64500}}, nil, ""},
		{"another autonomous system", Rule{ASN: []ASN{64501, 64502}}, nil, "asn: 64501, 64502; 64500"},
		{"no autonomous system", Rule{ASN: []ASN{64500}}, nobody, "asn: 64500; unknown"},
		{"a host", Rule{Host: []string{"web*", "DB?.example.com"}}, nil, ""},
		{"another host", Rule{Host: []string{"web*"}}, nil, "host: web*; db1.example.com"},
		{"a label", Rule{Label: []Label{{"role", "web"}, {"env", "pr*"}}}, nil, ""},
		{"another label", Rule{Label: []Label{{"env", "test"}, {"zone", "*"}}}, nil, "label: env=test, zone=*; env=prod, role=db"},
		{"a service", Rule{Service: []string{"sshd"}}, nil, ""},
		{"another service", Rule{Service: []string{"su*"}}, nil, "service: su*; sshd"},
		{"a key by its fingerprint", Rule{Key: []string{aliceKey}}, nil, ""},
		{"a key by its owner", Rule{Key: []string{"alice"}}, nil, ""},
		{"another key", Rule{Key: []string{bobKey, "bob"}}, nil, "key: " + bobKey + ", bob; " + aliceKey + " (alice)"},
		{"an owner's name where no key was used", Rule{Key: []string{"alice"}}, func(in *Input) { in.Event.Login.Auth = event.Auth{Method: "password"} },
			"key: alice; unknown"},
		{"nobody's key is not that of a person without a name", Rule{Key: []string{""}}, func(in *Input) { in.Owner = "" }, "key: ; " + aliceKey},
		{"a method", Rule{Method: []string{"publickey"}}, nil, ""},
		{"one method of two", Rule{Method: []string{"keyboard-*"}}, func(in *Input) { in.Event.Login.Auth.Method = "publickey,keyboard-interactive/pam" }, ""},
		{"two methods", Rule{Method: []string{"publickey,*"}}, func(in *Input) { in.Event.Login.Auth.Method = "publickey,password" }, ""},
		{"another method", Rule{Method: []string{"password"}}, nil, "method: password; publickey"},
		{"no method", Rule{Method: []string{"*"}}, nobody, "method: *; unknown"},
		{"hours", Rule{Hours: hours(t, "mon-fri", "22:00-06:00")}, nil, ""},
		{"other hours", Rule{Hours: hours(t, "mon-fri", "sat 06:00-22:00")}, nil,
			"hours: mon,tue,wed,thu,fri 00:00-24:00, sat 06:00-22:00; Sat 02:15 UTC"},
		{"no new network", Rule{NewNetwork: no}, nil, ""},
		{"a new network", Rule{NewNetwork: yes, NewCountry: yes}, elsewhereNew, ""},
		{"not a new network", Rule{NewNetwork: yes}, nil, "new_network: true; false"},
		{"whether a network is new, without a memory", Rule{NewNetwork: no}, noMemory, "new_network: false; unknown"},
		{"whether a network is new, without an address", Rule{NewNetwork: no}, func(in *Input) { in.Event.Remote.IP = netip.Addr{} }, "new_network: false; unknown"},
		{"no new country", Rule{NewCountry: no}, nil, ""},
		{"a named network is in no new country", Rule{NewCountry: no}, func(in *Input) { elsewhereNew(in); in.Facts.Name = "office" }, ""},
		{"whether a country is new that nobody knows", Rule{NewCountry: no}, func(in *Input) { in.Facts.Place = event.Place{} }, "new_country: false; unknown"},
		{"whether the office's country is new, without a memory", Rule{NewCountry: no}, func(in *Input) { noMemory(in); in.Facts.Name = "office" }, "new_country: false; unknown"},
		{"a new key", Rule{NewKey: yes}, newKey, ""},
		{"no new key: a password", Rule{NewKey: no}, func(in *Input) { newKey(in); in.Event.Login.Auth = event.Auth{Method: "password"} }, ""},
		{"whether a key is new that nobody knows", Rule{NewKey: no}, func(in *Input) { in.Event.Login.Auth = event.Auth{} }, "new_key: false; unknown"},
		{"a new user, while learning too", Rule{NewUser: yes}, func(in *Input) { stranger(in); in.Memory.Young = true }, ""},
		{"not a new user", Rule{NewUser: yes}, nil, "new_user: true; false"},
		{"Tor", Rule{Tor: yes, VPN: no}, func(in *Input) { in.Facts.Traits.Tor = "x" }, ""},
		{"not Tor", Rule{Tor: yes}, nil, "tor: true; false"},
		{"nobody says VPN, proxy or hosting", Rule{VPN: no, Proxy: no, Hosting: no}, nil, ""},
		{"VPN, proxy and hosting", Rule{VPN: yes, Proxy: yes, Hosting: yes},
			func(in *Input) { in.Facts.Traits = event.Traits{VPN: "a", Proxy: "b", Hosting: "c"} }, ""},
		{"a score high enough", Rule{MinRisk: new(50)}, func(in *Input) { in.Facts.Risk = scored(50, "", "").Risk }, ""},
		{"a score too low", Rule{MinRisk: new(50)}, func(in *Input) { in.Facts.Risk = scored(49, "", "").Risk }, "min_risk: 50; 49"},
		{"no score", Rule{MinRisk: new(0)}, nil, "min_risk: 0; unknown"},
		{"a score that is none", Rule{MinRisk: new(0)}, func(in *Input) { in.Facts.Risk = scored(101, "", "").Risk }, "min_risk: 0; unknown"},
		{"an unknown risk", Rule{UnknownRisk: yes}, func(in *Input) { in.Facts.Risk = unscored("").Risk }, ""},
		{"nobody was asked", Rule{UnknownRisk: yes}, nil, "unknown_risk: true; false"},
		{"a known risk", Rule{UnknownRisk: no}, func(in *Input) { in.Facts.Risk = scored(3, "", "").Risk }, ""},
		{"all keys but one", Rule{User: []string{"alice"}, Country: []string{"IE"}, Tor: yes}, nil, "tor: true; false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := household()
			s.Rules = []Rule{tt.rule}
			x := Explain(everyday(tt.change), s)
			got := ""
			for _, m := range x.Rules[0].Misses {
				got += fmt.Sprintf("%s: %s; %s", m.Key, m.Want, m.Got)
			}
			if got != tt.miss {
				t.Errorf("misses %q, want %q", got, tt.miss)
			}
			if (x.Rule == 0) != (tt.miss == "") || x.Verdict.Rule != map[bool]string{true: "1"}[tt.miss == ""] {
				t.Errorf("rule %d, %q", x.Rule, x.Verdict.Rule)
			}
			if (tt.name == "no key at all") != tt.rule.MatchesAll() {
				t.Error("MatchesAll is wrong about it")
			}
		})
	}
}

func TestRuleActions(t *testing.T) {
	forgedEvent := func(in *Input) {
		in.Event.Flags = []event.Flag{event.FlagAddressMismatch}
		in.Event.Remote.Claimed = "198.51.100.9"
	}
	unverified := func(in *Input) { in.Event.Flags = []event.Flag{event.FlagEnvironmentUnverified} }
	const mismatch = "SSH_CONNECTION was forged: it said 198.51.100.9, sshd saw 203.0.113.7"
	tests := []struct {
		name    string
		change  func(*Input)
		rule    Rule
		want    event.Verdict
		refused []string
	}{
		{"severer", nil, Rule{Name: "night", Severity: new(event.High)},
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"rule night"}, Rule: "night"}, nil},
		{"severer, with a reason", nil, Rule{Severity: new(event.Medium), Reason: "nobody works at night"},
			event.Verdict{Severity: event.Medium, Knowledge: event.Unknown, Reasons: []string{"nobody works at night"}, Rule: "1"}, nil},
		{"milder: told why, and not green", elsewhereNew, Rule{Severity: new(event.Low)},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"rule 1", "first login from Bulgaria"}, Rule: "1"}, nil},
		{"a high score called low is not green", func(in *Input) { in.Facts.Risk = scored(90, "", "").Risk }, Rule{Severity: new(event.Low), Reason: "our scanner"},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"our scanner", "Threat Jammer 90"}, Rule: "1"}, nil},
		{"a low score called low is green", func(in *Input) { in.Facts.Risk = scored(9, "", "").Risk }, Rule{Severity: new(event.Low)},
			event.Verdict{Severity: event.Low, Knowledge: event.Known, Usual: true, Rule: "1"}, nil},
		{"an unknown risk called low goes where low goes, grey", func(in *Input) { in.Facts.Risk = unscored("timed out").Risk }, Rule{Severity: new(event.Low)},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"Threat Jammer risk unknown: timed out"}, Rule: "1"}, nil},
		{"an unknown risk, and a rule that says nothing of severity", func(in *Input) { in.Facts.Risk = unscored("timed out").Risk }, Rule{Destination: []string{"slack"}},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: timed out"}, Rule: "1", Only: []string{"slack"}}, nil},
		{"usual called low", nil, Rule{Severity: new(event.Low)},
			event.Verdict{Severity: event.Low, Knowledge: event.Usual, Usual: true, Rule: "1"}, nil},
		{"only some destinations", nil, Rule{Destination: []string{"oncall", "log"}, Reason: "root"},
			event.Verdict{Severity: event.Low, Knowledge: event.Usual, Usual: true, Reasons: []string{"root"}, Rule: "1", Only: []string{"oncall", "log"}}, nil},
		{"ignored", elsewhereNew, Rule{Ignore: true},
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"first login from Bulgaria"}, Rule: "1", Ignore: true}, nil},
		{"a severity that is none", nil, Rule{Severity: new(event.Severity(9))},
			event.Verdict{Severity: event.Critical, Knowledge: event.Unknown, Reasons: []string{"rule 1"}, Rule: "1"}, nil},
		{"an address that sshd did not name is never ignored", func(in *Input) { in.Event.Flags = []event.Flag{event.FlagAddressUnverified} }, Rule{Ignore: true},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"its address is unverified, sshd named none"}, Rule: "1"},
			[]string{"not ignored: the event bears a flag"}},
		{"somebody else's key is never ignored", func(in *Input) { in.Owner = "bob" }, Rule{Ignore: true},
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"the key is bob's"}, Rule: "1"},
			[]string{"not ignored: the key is somebody else's"}},
		{"somebody else's key, allowed by name", func(in *Input) { in.Owner = "bob" }, Rule{Severity: new(event.Low), Reason: "bob may"},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"bob may", "the key is bob's"}, Rule: "1"}, nil},
		{"a forged address stays high and is told everywhere", forgedEvent, Rule{Severity: new(event.Low), Ignore: true, Destination: []string{"log"}},
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{mismatch}, Rule: "1"},
			[]string{"not low: the event may be forged", "not ignored: the event bears a flag", "told everywhere: the event may be forged"}},
		{"an environment that could not be verified stays medium", unverified, Rule{Severity: new(event.Low)},
			event.Verdict{Severity: event.Medium, Knowledge: event.Unknown,
				Reasons: []string{"its environment could not be verified, user and address may be forged"}, Rule: "1"},
			[]string{"not low: the event may be forged"}},
		{"a forged address may be critical", forgedEvent, Rule{Severity: new(event.Critical)},
			event.Verdict{Severity: event.Critical, Knowledge: event.Unknown, Reasons: []string{"rule 1", mismatch}, Rule: "1"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := household()
			s.Rules = []Rule{tt.rule}
			x := Explain(everyday(tt.change), s)
			if diff := cmp.Diff(tt.want, x.Verdict, keyless); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.refused, x.Refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			// The rule's own lists are not handed out.
			for i := range x.Verdict.Only {
				x.Verdict.Only[i] = "spoilt"
			}
			if diff := cmp.Diff(tt.want, Judge(everyday(tt.change), s), keyless); diff != "" {
				t.Errorf("the second time (-want +got):\n%s", diff)
			}
		})
	}
}

// Rules are for logins: what is no login can't be ignored or made milder by a
// rule that was written for people.
func TestRulesAreForLogins(t *testing.T) {
	s := household()
	s.Rules = []Rule{{Ignore: true}}
	for _, kind := range []event.Kind{event.KindLogin, event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert} {
		in := everyday(func(in *Input) { in.Event.Kind = kind })
		if v := Judge(in, s); v.Ignore != (kind == event.KindLogin) {
			t.Errorf("%s: %+v", kind, v)
		}
	}
}

// Whatever the rules are, the first that matches by itself speaks, and the rest
// might as well not be there.
func TestFirstMatchWins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(r *Rule) {
		switch rnd.IntN(8) {
		case 0:
			r.User = []string{[]string{"alice", "bob", "a*"}[rnd.IntN(3)]}
		case 1:
			r.Country = []string{[]string{"IE", "BG"}[rnd.IntN(2)]}
		case 2:
			r.Hours = hours(t, []string{"22:00-06:00", "mon-fri", "sat"}[rnd.IntN(3)])
		case 3:
			r.NewKey = new(rnd.IntN(2) == 0)
		case 4:
			r.Tor = new(rnd.IntN(2) == 0)
		case 5:
			r.MinRisk = new(rnd.IntN(100))
		case 6:
			r.ASN = []ASN{64500 + ASN(rnd.Uint32N(2))}
		default:
			r.Method = []string{[]string{"publickey", "password"}[rnd.IntN(2)]}
		}
	}
	spoke, silent := 0, 0
	for range 2000 {
		s := household()
		for i := range rnd.IntN(6) {
			r := Rule{Name: fmt.Sprint("r", i), Severity: new(event.Severity(rnd.IntN(4)))}
			for range 1 + rnd.IntN(2) {
				pick(&r)
			}
			s.Rules = append(s.Rules, r)
		}
		in := everyday(func(in *Input) { in.Facts.Risk = scored(rnd.IntN(101), "", "").Risk })
		want := ""
		for _, r := range s.Rules {
			alone := s
			alone.Rules = []Rule{r}
			if Judge(in, alone).Rule != "" {
				want = r.Name
				break
			}
		}
		got, x := Judge(in, s), Explain(in, s)
		if got.Rule != want {
			t.Fatalf("rule %q spoke, want %q", got.Rule, want)
		}
		if diff := cmp.Diff(got, x.Verdict); diff != "" {
			t.Fatal("Explain and Judge differ:", diff)
		}
		if want == "" {
			silent++
			if len(x.Rules) != len(s.Rules) || x.Rule != -1 {
				t.Fatalf("%d of %d rules explained, rule %d", len(x.Rules), len(s.Rules), x.Rule)
			}
			continue
		}
		spoke++
		if x.Rule != len(x.Rules)-1 || x.Rules[x.Rule].Name != want || len(x.Rules[x.Rule].Misses) > 0 {
			t.Fatalf("rule %d spoke, explained %+v", x.Rule, x.Rules)
		}
		for _, r := range x.Rules[:x.Rule] {
			if len(r.Misses) == 0 {
				t.Fatalf("rule %s did not match, and nobody knows why", r.Name)
			}
		}
	}
	if spoke < 200 || silent < 200 {
		t.Errorf("%d spoke, %d silent: this shows little", spoke, silent)
	}
}

func TestExplain(t *testing.T) {
	s := household()
	s.Rules = []Rule{
		{Name: "contractors", User: []string{"ext-*"}, Tor: new(true), Ignore: true},
		{Group: []string{"admins"}, Severity: new(event.Critical), Reason: "from where we have nobody"},
		{Name: "never tried"},
	}
	in := everyday(func(in *Input) { elsewhereNew(in); in.Memory.HourShare, in.Owner = 0, "" })
	want := Explanation{
		Verdict: event.Verdict{Severity: event.Critical, Knowledge: event.Unknown, Rule: "2",
			Reasons: []string{"from where we have nobody", "first login from Bulgaria", "nobody is known to own this key", "unusual hour (0 of 120 logins)"}},
		Reasons: []Asked{
			{"first login from Bulgaria", event.High, NewCountry},
			{"nobody is known to own this key", event.Medium, UnknownKey},
			{"unusual hour (0 of 120 logins)", event.Low, UnusualHour},
		},
		Asked: event.High,
		Rules: []RuleTrace{{Name: "contractors", Misses: []Miss{{"user", "ext-*", "alice"}, {"tor", "true", "false"}}}, {Name: "2", Reason: "from where we have nobody"}},
		Rule:  1,
	}
	if diff := cmp.Diff(want, Explain(in, s), keyless); diff != "" {
		t.Error(diff)
	}
}
