package policy

import (
	"fmt"
	"math"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// absentAfter is how long somebody must have been gone for it to be told.
const absentAfter = 90 * 24 * time.Hour

// A time of day is unusual where less than rareHour of a user's logins were
// within an hour of it, of hourLogins or more. Two hours of a day would be one
// login in twelve of somebody who never sleeps.
const (
	rareHour   = 0.03
	hourLogins = 30
)

// newness is what the memory has never seen. All of it is false where there is no
// memory, and where nothing is known that could be new.
type newness struct{ user, host, key, network, country, address bool }

func newnessOf(in Input) newness {
	m, e := in.Memory, in.Event
	if !m.Known || e.Kind != event.KindLogin {
		return newness{}
	}
	n := newness{
		user: m.User.Count <= 0,
		host: m.UserHost.Count <= 0,
		key:  e.Login.Auth.Fingerprint != "" && m.Key.Count <= 0,
	}
	if e.Remote.IP.IsValid() && m.Address.Count <= 0 {
		// An address that was here before is where it was, whatever today's
		// data say of its network and country.
		n.address = true
		n.network = m.Network.Count <= 0
		n.country = in.Facts.Place.Country != "" && !named(in.Facts) && m.Country.Count <= 0
	}
	return n
}

// named reports whether an address is in no country: it is not public, or is
// one of a network that the settings name.
func named(f event.Facts) bool { return f.Name != "" || f.Scope != "" }

// IsNew reports whether the memory has never seen the user of a login, or the
// user with its key, from its network or from its country. It is false without
// a memory, and while that learns, when nothing is a wonder.
func IsNew(in Input) bool {
	n := newnessOf(in)
	return !in.Memory.Learning && (n.user || n.key || n.network || n.country)
}

// memoryReasons tell what is new. Of what one thing implies only the strongest
// is told: with a user's first login everything is new, and in a new country
// every network is.
func memoryReasons(in Input, s Settings) []reason {
	n, m := newnessOf(in), in.Memory
	var rs []reason
	if n.user {
		rs = s.Raise.told(FirstLogin, "first login of "+name(in.Event.User)+" ever")
	} else if m.Known {
		rs = append(rs, placeReason(n, in.Facts.Place.Country, s)...)
		if n.key {
			rs = append(rs, keyReason(in, s)...)
		}
		if n.host {
			rs = append(rs, s.Raise.told(NewUserOnHost, "first login of "+name(in.Event.User)+" to this host")...)
		}
		if gone := in.Event.Time.Sub(m.User.Last); !m.User.Last.IsZero() && gone > absentAfter {
			rs = append(rs, s.Raise.told(Absent, fmt.Sprintf("gone for %s days", thousands(int(gone/(24*time.Hour)))))...)
		}
	}
	if m.Learning && len(rs) > 0 {
		for i := range rs {
			rs[i].weight = event.Low
		}
		rs = append(rs, reason{weight: event.Low, text: learning(m, s)})
	}
	return odd(rs)
}

func keyReason(in Input, s Settings) []reason {
	text := "first login with this key"
	if len(in.Memory.KeyUsers) > 0 {
		text += ", which " + name(in.Memory.KeyUsers[0]) + " has used"
	}
	rs := s.Raise.told(NewKey, text)
	if len(rs) > 0 && certified(in.Event.Login.Auth) {
		rs[0].weight = event.Low // the authority says whose it is
	}
	return rs
}

func placeReason(n newness, code string, s Settings) []reason {
	var best []reason
	for _, x := range []struct {
		is    bool
		about Signal
		text  string
	}{
		{n.country, NewCountry, "first login from " + CountryName(code)},
		{n.network, NewNetwork, "first login from this network"},
		{n.address, NewAddress, "first login from this address"},
	} {
		if !x.is {
			continue
		}
		if r := s.Raise.told(x.about, x.text); len(best) == 0 || len(r) > 0 && r[0].weight > best[0].weight {
			best = r
		}
	}
	return best
}

func learning(m event.Memory, s Settings) string {
	const what = ": what is new raises nothing yet"
	if m.Since.IsZero() || s.Learning <= 0 {
		return "still learning" + what
	}
	return "still learning until " + m.Since.Add(s.Learning).In(s.zone()).Format("2 January") + what
}

// anomalies are the reasons that raise nothing by themselves.
func anomalies(in Input, s Settings) []reason {
	m := in.Memory
	if !m.Known {
		return nil
	}
	var rs []reason
	if km, ago, is := tooFast(in, s); is {
		rs = s.Raise.told(Travel, thousands(roundKM(km))+" km from the login "+since(ago))
	}
	if share := m.HourShare; m.User.Count >= hourLogins && share >= 0 && share < rareHour {
		rare := int(math.Round(share * float64(m.User.Count)))
		rs = append(rs, s.Raise.told(UnusualHour, fmt.Sprintf("unusual hour (%s of %s logins)", thousands(rare), thousands(m.User.Count)))...)
	}
	for i := range rs {
		rs[i].cap, rs[i].weight = rs[i].weight, event.Low
	}
	return odd(rs)
}

// step lets the odd reasons raise an event that others raise already.
func step(rs []reason) []reason {
	base := event.Low
	for _, r := range rs {
		base = max(base, r.weight)
	}
	if base == event.Low {
		return rs
	}
	for i, r := range rs {
		if r.cap > base {
			rs[i].weight = base + 1
		}
	}
	return rs
}

// usual reports whether the memory knows the person, the network and the key of
// a login, and nothing is odd. Where no key was used, or nothing is known of how
// somebody proved who they are, person and network decide.
func usual(in Input, s Settings, a assessment) bool {
	m, n := in.Memory, newnessOf(in)
	switch {
	case !m.Known, m.Learning, a.unanswered, len(in.Event.Flags) > 0, !in.Event.Remote.IP.IsValid(), m.Network.Count <= 0,
		n.user, n.host, n.key, n.network, n.country, keyHidden(in.Event.Login.Auth), foreignKey(in, s):
		return false
	}
	for _, r := range a.reasons {
		if r.weight > event.Low || r.odd {
			return false
		}
	}
	return true
}

func name(user string) string {
	if user == "" {
		return "an unknown user"
	}
	return user
}
