package policy

import (
	"net/netip"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
)

// keyless leaves the reasons' keys to the tests that are about them.
var keyless = cmpopts.IgnoreFields(event.Verdict{}, "Keys")

// now is a Saturday.
var now = time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)

var (
	dublin = event.Point{Lat: 53.35, Lon: -6.26, Accuracy: 20}
	sofia  = event.Point{Lat: 42.70, Lon: 23.32, Accuracy: 20}
)

const (
	aliceKey = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	bobKey   = "SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
)

func seen(n int) event.Seen {
	return event.Seen{Count: n, First: now.AddDate(-1, 0, 0), Last: now.Add(-24 * time.Hour)}
}

// everyday is a login that alice does every day. Rows change what is different.
func everyday(change func(in *Input)) Input {
	e := login()
	e.Time = now
	e.Service = "sshd"
	e.Labels = map[string]string{"env": "prod", "role": "db"}
	e.Login.Auth = event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: aliceKey}
	in := Input{
		Event: e,
		Facts: event.Facts{
			Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET"},
			Place:   event.Place{City: "Dublin", Country: "IE", Point: new(dublin)},
		},
		Memory: event.Memory{
			Known: true, Since: now.AddDate(-1, 0, 0),
			Host: seen(900), User: seen(120), UserHost: seen(60), Address: seen(30), Network: seen(100),
			Country: seen(120), Key: seen(110), Networks: 2, HourShare: 0.2,
			HostNetwork: seen(300), HostCountry: seen(900),
			Pair: event.Pair{State: event.PairUsual, Since: now.AddDate(-1, 0, 2), First: now.AddDate(-1, 0, 0), Last: now.Add(-24 * time.Hour), Days: 3, Count: 90},
			Last: &event.Past{
				Time: now.Add(-24 * time.Hour), IP: netip.MustParseAddr("203.0.113.7"), ASN: 64500,
				Place: event.Place{Country: "IE", Point: new(dublin)},
			},
		},
		Owner:     "alice",
		KnownKeys: true,
	}
	if change != nil {
		change(&in)
	}
	return in
}

// stranger is somebody whom the memory does not know.
func stranger(in *Input) {
	in.Memory = event.Memory{Known: true, Since: now.AddDate(-1, 0, 0), Host: seen(900), HostNetwork: seen(300), HostCountry: seen(900)}
}

// elsewhereNew is a country, with its networks and addresses, that alice never
// came from.
func elsewhereNew(in *Input) {
	in.Memory.Address, in.Memory.Network, in.Memory.Country = event.Seen{}, event.Seen{}, event.Seen{}
	in.Memory.HostNetwork, in.Memory.HostCountry, in.Memory.Pair = event.Seen{}, event.Seen{}, event.Pair{}
	in.Facts.Place = event.Place{Country: "BG"}
}

func household() Settings {
	s := settings
	s.People = People{"alice": {}, "bob": {}}
	s.Groups = map[string][]string{"admins": {"alice", "adm-*"}, "none": nil}
	s.Networks = map[string][]netip.Prefix{"office": {netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8:1::/48")}}
	s.Learning = 7 * 24 * time.Hour
	return s
}

func isPerson(s Settings, name string) bool { _, ok := s.People[name]; return ok }
