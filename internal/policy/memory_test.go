package policy

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestMemory(t *testing.T) {
	verdict := func(s event.Severity, k event.Knowledge, reasons ...string) event.Verdict {
		return event.Verdict{Severity: s, Knowledge: k, Reasons: reasons, Usual: k == event.Usual}
	}
	none := event.Seen{}
	tests := []struct {
		name   string
		change func(in *Input)
		want   event.Verdict
	}{
		{"what alice does every day", nil, verdict(event.Low, event.Usual)},
		{"no memory: nothing is usual, nothing is new", func(in *Input) { in.Memory = event.Memory{} }, verdict(event.Low, event.Unknown)},
		{"a memory that could not be read, with leftovers", func(in *Input) { in.Memory.Known = false }, verdict(event.Low, event.Unknown)},
		{"a network", func(in *Input) { in.Memory.Network, in.Memory.Address = none, none },
			verdict(event.Medium, event.Unknown, "first login from this network")},
		{"a country, which implies its network", elsewhereNew, verdict(event.High, event.Unknown, "first login from Bulgaria")},
		{"a country whose code is nobody's", func(in *Input) { elsewhereNew(in); in.Facts.Place.Country = "QQ" },
			verdict(event.High, event.Unknown, "first login from QQ")},
		{"a country of a network that is known", func(in *Input) {
			in.Memory.Address, in.Memory.Country, in.Facts.Place.Country = none, none, "NL"
		}, verdict(event.High, event.Unknown, "first login from the Netherlands")},
		{"the data changed their mind about an address that was here before", func(in *Input) {
			in.Memory.Network, in.Memory.Country, in.Facts.Place.Country = none, none, "US"
		}, verdict(event.Low, event.Unknown)}, // nothing to tell, and nothing to call usual
		{"no country is known", func(in *Input) { in.Memory.Country, in.Memory.Address, in.Facts.Place = none, none, event.Place{} },
			verdict(event.Low, event.Usual)},
		{"an address in a network that is known is no news", func(in *Input) { in.Memory.Address = none }, verdict(event.Low, event.Usual)},
		{"a named network is in no country", func(in *Input) { elsewhereNew(in); in.Facts.Name = "office" },
			verdict(event.Medium, event.Unknown, "first login from this network")},
		{"a private network is in no country", func(in *Input) { elsewhereNew(in); in.Facts.Scope = "private network" },
			verdict(event.Medium, event.Unknown, "first login from this network")},
		{"no address", func(in *Input) {
			in.Memory.Network, in.Memory.Address, in.Memory.Country = none, none, none
			in.Event.Remote = event.Remote{}
			in.Facts = event.Facts{}
		}, verdict(event.Low, event.Unknown)},
		{"a key", func(in *Input) { in.Memory.Key = none }, verdict(event.Medium, event.Unknown, "first login with this key")},
		{"a key that another user has used", func(in *Input) { in.Memory.Key, in.Memory.KeyUsers = none, []string{"bob", "root"} },
			verdict(event.Medium, event.Unknown, "first login with this key, which bob has used")},
		{"a certificate of another name: its keys are made anew each day", func(in *Input) {
			in.Memory.Key, in.Owner = none, ""
			in.Event.Login.Auth.CAFingerprint, in.Event.Login.Auth.KeyID = bobKey, "alice@ca"
		}, verdict(event.Medium, event.Unknown, "first login with this certificate's name")},
		{"a password", func(in *Input) {
			in.Memory.Key, in.Event.Login.Auth, in.Owner = none, event.Auth{Method: "password"}, ""
		},
			verdict(event.Low, event.Usual)},
		{"nobody knows how", func(in *Input) { in.Memory.Key, in.Event.Login.Auth, in.Owner = none, event.Auth{}, "" }, verdict(event.Low, event.Usual)},
		{"a key, and nobody knows which", func(in *Input) {
			in.Memory.Key, in.Event.Login.Auth, in.Owner = none, event.Auth{Method: "publickey"}, ""
		}, verdict(event.Low, event.Unknown)},
		{"a network and a key", func(in *Input) { in.Memory.Network, in.Memory.Address, in.Memory.Key = none, none, none },
			verdict(event.Medium, event.Unknown, "first login from this network", "first login with this key")},
		{"everything: the first login of a user", stranger, verdict(event.Medium, event.Unknown, "first login of alice ever")},
		{"the first login of a user who has no name", func(in *Input) { stranger(in); in.Event.User = "" },
			verdict(event.Medium, event.Unknown, "first login of an unknown user ever")},
		{"on this host", func(in *Input) { in.Memory.UserHost = none }, verdict(event.Low, event.Unknown, "first login of alice to this host")},
		{"gone for ninety days and a bit", func(in *Input) { in.Memory.User.Last = now.AddDate(0, 0, -94) },
			verdict(event.Medium, event.Unknown, "gone for 94 days")},
		{"gone for ninety days", func(in *Input) { in.Memory.User.Last = now.AddDate(0, 0, -90) }, verdict(event.Low, event.Usual)},
		{"gone for years", func(in *Input) { in.Memory.User.Last = now.AddDate(0, 0, -1234) },
			verdict(event.Medium, event.Unknown, "gone for 1,234 days")},
		{"a login that comes late, after newer ones", func(in *Input) { in.Memory.User.Last = now.AddDate(0, 4, 0) }, verdict(event.Low, event.Usual)},
		{"an unusual hour is told and raises nothing", func(in *Input) { in.Memory.HourShare = 0.025 },
			verdict(event.Low, event.Unknown, "unusual hour (3 of 120 logins)")},
		{"an unusual hour raises what is raised, by a step", func(in *Input) {
			in.Memory.HourShare, in.Memory.Key = 0.025, none
		}, verdict(event.High, event.Unknown, "unusual hour (3 of 120 logins)", "first login with this key")},
		{"an unusual hour does not make more of high", func(in *Input) { elsewhereNew(in); in.Memory.HourShare = 0 },
			verdict(event.High, event.Unknown, "first login from Bulgaria", "unusual hour (0 of 120 logins)")},
		{"an unusual hour and a bad score", func(in *Input) {
			in.Memory.HourShare = 0
			in.Facts.Risk = scored(50, "MEDIUM", "").Risk
		}, verdict(event.High, event.Known, "unusual hour (0 of 120 logins)", "Threat Jammer 50 (MEDIUM)")},
		{"one in twelve is what anybody has", func(in *Input) { in.Memory.HourShare = 1.0 / 12 }, verdict(event.Low, event.Usual)},
		{"too few logins for an unusual hour", func(in *Input) { in.Memory.User.Count, in.Memory.HourShare = 29, 0 }, verdict(event.Low, event.Usual)},
		{"a share that is no number", func(in *Input) { in.Memory.HourShare = math.NaN() }, verdict(event.Low, event.Usual)},
		{"a young host: what is new is medium at most", func(in *Input) {
			elsewhereNew(in)
			in.Memory.Young, in.Memory.Since, in.Memory.Key = true, now.AddDate(0, 0, -2), none
		}, verdict(event.Medium, event.Unknown, "first login from Bulgaria", "first login with this key",
			"medium at most, because little is usual on this host yet")},
		{"a young host: a first login", func(in *Input) { stranger(in); in.Memory.Young, in.Memory.Since = true, time.Time{} },
			verdict(event.Medium, event.Unknown, "first login of alice ever")},
		{"a young host, and one of its few who are usual", func(in *Input) { in.Memory.Young = true }, verdict(event.Low, event.Usual)},
		{"all is known, and has never been together", func(in *Input) { in.Memory.Pair = event.Pair{} },
			verdict(event.Low, event.Unknown, "first login with this key from this network")},
		{"two of three days", func(in *Input) { in.Memory.Pair = event.Pair{State: event.PairNew, Days: 2} },
			verdict(event.Low, event.Unknown, "not usual yet with this key from this network: on 2 of 3 days")},
		{"a password of somebody who has a key", func(in *Input) {
			in.Memory.Pair, in.Memory.Key, in.Event.Login.Auth, in.Owner = event.Pair{}, none, event.Auth{Method: "password"}, ""
		}, verdict(event.Low, event.Unknown, "first login by password from this network")},
		{"a first login from where nobody of this host came from", func(in *Input) {
			stranger(in)
			in.Memory.HostNetwork, in.Memory.HostCountry = none, none
		}, verdict(event.High, event.Unknown, "first login from Ireland, as of anybody", "first login of alice ever")},
		{"a first login from a network where nobody came from, in a country where they do", func(in *Input) {
			stranger(in)
			in.Memory.HostNetwork = none
		}, verdict(event.Medium, event.Unknown, "first login of alice ever", "first login from this network, as of anybody")},
		{"a young host: a first login from anywhere is medium", func(in *Input) {
			stranger(in)
			in.Memory.HostNetwork, in.Memory.HostCountry, in.Memory.Young, in.Memory.Since = none, none, true, time.Time{}
		}, verdict(event.Medium, event.Unknown, "first login of alice ever")},
		{"from the address of an alarm", func(in *Input) {
			stranger(in)
			in.Memory.Warned = &event.Warned{Ref: "7k2m", User: "erin", Time: now.Add(-9 * time.Minute), By: "address"}
		}, verdict(event.High, event.Unknown, "from the same address as the login of erin 9 minutes ago, which was told as dangerous and nobody acknowledged (ref 7k2m)", "first login of alice ever")},
		{"from the address of an alarm, where she always comes from", func(in *Input) {
			in.Memory.Warned = &event.Warned{Ref: "7k2m", User: "erin", Time: now.Add(-9 * time.Minute), By: "address"}
		}, verdict(event.Low, event.Usual)},
		{"from the address of another host's alarm, which may lie", func(in *Input) {
			in.Memory.Pair = event.Pair{State: event.PairNew, Days: 2}
			in.Memory.Warned = &event.Warned{Ref: "7k2m", User: "erin", Host: "web2", Time: now.Add(-9 * time.Minute), By: "address"}
		}, verdict(event.Medium, event.Unknown, "from the same address as the login of erin to web2 9 minutes ago, which was told as dangerous and nobody acknowledged (ref 7k2m)",
			"not usual yet with this key from this network: on 2 of 3 days")},
		{"with the key of another host's alarm, at an hour that is unusual here", func(in *Input) {
			in.Memory.Pair, in.Memory.HourShare = event.Pair{State: event.PairNew, Days: 2}, 0
			in.Memory.Warned = &event.Warned{Ref: "7k2m", User: "alice", Host: "web2", Time: now.Add(-9 * time.Minute), By: "key"}
		}, verdict(event.Medium, event.Unknown, "with the same key as the login of the same user to web2 9 minutes ago, which was told as dangerous and nobody acknowledged (ref 7k2m)",
			"not usual yet with this key from this network: on 2 of 3 days", "unusual hour (0 of 120 logins)")},
		{"another host's alarm beside what this host itself has seen", func(in *Input) {
			elsewhereNew(in)
			in.Memory.Warned = &event.Warned{Ref: "7k2m", User: "erin", Host: "web2", Time: now.Add(-9 * time.Minute), By: "address"}
		}, verdict(event.High, event.Unknown, "first login from Bulgaria",
			"from the same address as the login of erin to web2 9 minutes ago, which was told as dangerous and nobody acknowledged (ref 7k2m)")},
		{"a VPN that she always had", func(in *Input) { in.Facts.Traits.VPN, in.Memory.Pair.Standing = "X4BNet", []string{"vpn"} },
			verdict(event.Low, event.Usual, "VPN (X4BNet)")},
		{"a score that she always had", func(in *Input) {
			in.Facts.Risk, in.Memory.Pair.Standing = scored(40, "MEDIUM", "").Risk, []string{"score_medium"}
		}, event.Verdict{Severity: event.Low, Knowledge: event.Known, Usual: true, Reasons: []string{"Threat Jammer 40 (MEDIUM)"}}},
		{"a score that has become worse", func(in *Input) {
			in.Facts.Risk, in.Memory.Pair.Standing = scored(80, "HIGH", "").Risk, []string{"score_medium"}
		}, verdict(event.High, event.Known, "Threat Jammer 80 (HIGH)")},
		{"Tor is no standing fact", func(in *Input) { in.Facts.Traits.Tor, in.Memory.Pair.Standing = "ours", []string{"tor"} },
			verdict(event.High, event.Unknown, "Tor exit (ours)")},
		{"Tor that somebody has acknowledged", func(in *Input) {
			in.Facts.Traits.Tor, in.Memory.Pair.State, in.Memory.Pair.Standing = "ours", event.PairAcknowledged, []string{"tor"}
		}, verdict(event.Low, event.Usual, "Tor exit (ours)")},
		{"youth does not excuse a score, or Tor", func(in *Input) {
			in.Memory.Young = true
			in.Facts.Risk, in.Facts.Traits.Tor = scored(50, "", "").Risk, "Tor bulk exit list"
		}, verdict(event.High, event.Known, "Tor exit (Tor bulk exit list)", "Threat Jammer 50")},
		{"a low score stays green, and is usual", func(in *Input) { in.Facts.Risk = scored(3, "LOW", "").Risk },
			event.Verdict{Severity: event.Low, Knowledge: event.Known, Usual: true}},
		{"a low score and a new key", func(in *Input) { in.Facts.Risk, in.Memory.Key = scored(3, "LOW", "").Risk, none },
			verdict(event.Medium, event.Known, "first login with this key")},
		{"a low score on a host that is new to her", func(in *Input) { in.Facts.Risk, in.Memory.UserHost = scored(3, "LOW", "").Risk, none },
			verdict(event.Low, event.Known, "first login of alice to this host")},
		{"the provider did not answer: never usual", func(in *Input) { in.Facts.Risk = unscored("timed out").Risk },
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: timed out"}}},
		{"a high score", func(in *Input) { in.Facts.Risk = scored(90, "HIGH", "").Risk }, verdict(event.High, event.Known, "Threat Jammer 90 (HIGH)")},
		{"an address that sshd did not name: never usual", func(in *Input) { in.Event.Flags = []event.Flag{event.FlagAddressUnverified} },
			verdict(event.Low, event.Unknown, "its address is unverified, sshd named none")},
		{"a flag that this version does not know: never usual", func(in *Input) { in.Event.Flags = []event.Flag{"odd"} }, verdict(event.Low, event.Unknown)},
		{"a key that nobody owns", func(in *Input) { in.Owner = "" }, verdict(event.Medium, event.Unknown, "nobody is known to own this key")},
		{"nobody owns any key", func(in *Input) { in.Owner, in.KnownKeys = "", false }, verdict(event.Low, event.Usual)},
		{"bob's key", func(in *Input) { in.Owner = "bob" }, verdict(event.High, event.Unknown, "the key is bob's")},
		{"Alice and alice are one", func(in *Input) { in.Owner = "Alice" }, verdict(event.Low, event.Usual)},
		{"bob's key for an account that they share", func(in *Input) { in.Owner, in.Event.User = "bob", "root" }, verdict(event.Low, event.Usual)},
		{"the key of somebody who is a comment in authorized_keys", func(in *Input) { in.Owner = "laptop" }, verdict(event.Low, event.Usual)},
		{"bob's key, without a memory", func(in *Input) { in.Owner, in.Memory = "bob", event.Memory{} }, verdict(event.High, event.Unknown, "the key is bob's")},
		{"Tor", func(in *Input) { in.Facts.Traits.Tor = "Tor bulk exit list" }, verdict(event.High, event.Unknown, "Tor exit (Tor bulk exit list)")},
		{"a VPN", func(in *Input) { in.Facts.Traits.VPN = "X4BNet" }, verdict(event.Medium, event.Unknown, "VPN (X4BNet)")},
		{"a proxy", func(in *Input) { in.Facts.Traits.Proxy = "ip-api" }, verdict(event.Medium, event.Unknown, "proxy (ip-api)")},
		{"a data centre that she always comes from", func(in *Input) { in.Facts.Traits.Hosting = "X4BNet" },
			verdict(event.Low, event.Usual, "hosting network (X4BNet)")},
		{"the owner's own VPN in a data centre", func(in *Input) {
			in.Facts.Name, in.Facts.Traits = "vpn", event.Traits{VPN: "X4BNet", Hosting: "X4BNet"}
		}, verdict(event.Low, event.Usual)},
		{"Tor under a network's name", func(in *Input) { in.Facts.Name, in.Facts.Traits.Tor = "vpn", "ours" },
			verdict(event.High, event.Unknown, "Tor exit (ours)")},
		{"lists", func(in *Input) { in.Facts.Traits.Lists = []string{"scanners", "old customers"} },
			verdict(event.Low, event.Usual, "scanners", "old customers")},
		{"an attack has no memory of its own", func(in *Input) {
			stranger(in)
			in.Event.Kind, in.Facts.Traits.Tor = event.KindAttack, "ours"
			in.Event.Attack = &event.Attack{Note: event.Note{Severity: event.Medium, Text: "x"}}
		}, verdict(event.High, event.Unknown, "Tor exit (ours)")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Judge(everyday(tt.change), household()), keyless); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRaise(t *testing.T) {
	all := func(in *Input) { // all of it at once, but for a first login
		elsewhereNew(in)
		in.Memory.Key, in.Memory.UserHost = event.Seen{}, event.Seen{}
		in.Memory.User.Last = now.AddDate(0, 0, -100)
		in.Memory.HourShare = 0
		in.Owner = ""
		in.Facts.Traits = event.Traits{VPN: "a", Proxy: "b", Hosting: "c"}
	}
	for _, tt := range []struct {
		name   string
		change func(*Input)
		raise  SignalSeverity
		want   event.Severity
		texts  []string
	}{
		{"nothing is told", all, SignalSeverity{}, event.Low, nil},
		{"the strongest of country, network and address", all,
			SignalSeverity{NewCountry: event.Low, NewNetwork: event.High, NewAddress: event.Medium}, event.High, []string{"first login from this network"}},
		{"of equals the widest", all, SignalSeverity{NewCountry: event.Medium, NewNetwork: event.Medium, NewAddress: event.Medium},
			event.Medium, []string{"first login from Bulgaria"}},
		{"countries are not told, networks are", all, SignalSeverity{NewNetwork: event.Low}, event.Low, []string{"first login from this network"}},
		{"an address", func(in *Input) { in.Memory.Address = event.Seen{} }, SignalSeverity{NewAddress: event.Low}, event.Low, []string{"first login from this address"}},
		{"first logins are not told, nor what they imply", stranger, SignalSeverity{NewCountry: event.High, NewKey: event.High}, event.Low, nil},
		{"critical", all, SignalSeverity{Absent: event.Critical, NewKey: event.Low}, event.Critical, []string{"gone for 100 days", "first login with this key"}},
		{"out of range", all, SignalSeverity{Absent: 77, NewKey: -7}, event.Critical, []string{"gone for 100 days", "first login with this key"}},
		{"an unusual hour, up to medium", all, SignalSeverity{NewKey: event.Medium, UnusualHour: event.Medium}, event.Medium,
			[]string{"first login with this key", "unusual hour (0 of 120 logins)"}},
		{"an unusual hour, up to critical", all, SignalSeverity{NewKey: event.High, UnusualHour: event.Critical}, event.Critical,
			[]string{"unusual hour (0 of 120 logins)", "first login with this key"}},
		{"an unusual hour alone, whatever it is set to", all, SignalSeverity{UnusualHour: event.Critical, Hosting: event.Low}, event.Low,
			[]string{"hosting network (c)", "unusual hour (0 of 120 logins)"}},
		{"networks of all sorts", all, SignalSeverity{VPN: event.Low, Proxy: event.High, Hosting: event.Medium}, event.High,
			[]string{"proxy (b)", "hosting network (c)", "VPN (a)"}},
		{"keys that nobody owns", all, SignalSeverity{UnknownKey: event.Critical}, event.Critical, []string{"nobody is known to own this key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := household()
			s.Raise = tt.raise
			v := Judge(everyday(tt.change), s)
			if v.Severity != tt.want {
				t.Errorf("%v, want %v", v.Severity, tt.want)
			}
			if diff := cmp.Diff(tt.texts, v.Reasons); diff != "" {
				t.Error(diff)
			}
			if v.Usual {
				t.Error("usual, whatever is not told of it")
			}
		})
	}
	if diff := cmp.Diff(Judge(everyday(all), household()), func() event.Verdict {
		s := household()
		s.Raise = DefaultSeverity()
		return Judge(everyday(all), s)
	}()); diff != "" {
		t.Error("no Raise is not the default one:", diff)
	}
}

func TestIsNew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Input)
		want   bool
	}{
		{"every day", nil, false},
		{"a key", func(in *Input) { in.Memory.Key = event.Seen{} }, true},
		{"a network", func(in *Input) { in.Memory.Network, in.Memory.Address = event.Seen{}, event.Seen{} }, true},
		{"a country", elsewhereNew, true},
		{"a user", stranger, true},
		{"an address", func(in *Input) { in.Memory.Address = event.Seen{} }, false},
		{"a host", func(in *Input) { in.Memory.UserHost = event.Seen{} }, false},
		{"learning", func(in *Input) { stranger(in); in.Memory.Young = true }, false},
		{"no memory", func(in *Input) { in.Memory = event.Memory{} }, false},
		{"a logout", func(in *Input) { stranger(in); in.Event.Kind = event.KindLogout }, false},
	} {
		if got := IsNew(everyday(tt.change)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
