package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
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

// memoryReasons tell what is new. Of what one thing implies only the strongest
// is told: with a user's first login everything is new, and in a new country
// every network is.
func memoryReasons(in Input, s Settings) []reason {
	n, m := newnessOf(in), in.Memory
	if !m.Known {
		return nil
	}
	var rs []reason
	place := placeReason(n, in.Facts.Place.Country, s)
	if n.user {
		rs = s.Raise.told(FirstLogin, "first login of "+name(in.Event.User)+" ever")
		// From where others come a first login is a new colleague's.
		place = strangeReason(n, in, s)
	}
	if m.Young {
		// Its owner is as new as a stranger.
		for i, r := range place {
			if place[i].weight = min(r.weight, event.Medium); r.weight > event.Medium {
				place = append(place, reason{weight: event.Low, text: "medium at most, because little is usual on this host yet", key: keyYoung})
			}
		}
	}
	rs = append(rs, place...)
	if !n.user {
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
	if m.Pair.Usual() {
		return odd(forgiven(rs, m.Pair))
	}
	if m.Warned != nil {
		rs = append(rs, warnedReason(in, s))
	}
	if n.address = false; n == (newness{}) {
		rs = append(rs, reason{weight: event.Low, text: newPair(in), key: keyNewPair})
	}
	return odd(rs)
}

// strangeReason is about a user's first login ever: whether anybody of this host
// came from there before.
func strangeReason(n newness, in Input, s Settings) []reason {
	m := in.Memory
	if m.Young || !n.network && !n.country {
		return nil
	}
	n.country = n.country && m.HostCountry.Count <= 0
	n.network = n.network && m.HostNetwork.Count <= 0
	n.address = false
	rs := placeReason(n, in.Facts.Place.Country, s)
	for i := range rs {
		rs[i].text += ", as of anybody"
	}
	return rs
}

// warnedReason is about a login of the last day that was told as high, from the
// same address or with the same key. Another host's word of one is no more than
// medium: that host may lie.
func warnedReason(in Input, s Settings) reason {
	w := in.Memory.Warned
	from := "from the same address"
	if w.By == "key" {
		from = "with the same key"
	}
	who := name(w.User)
	if w.User == in.Event.User {
		who = "the same user"
	}
	weight, hearsay := event.High, w.Host != ""
	if hearsay {
		who += " to " + w.Host
		weight = event.Medium
	}
	return reason{
		weight: weight, key: keyWarned, hearsay: hearsay,
		text: fmt.Sprintf("%s as the login of %s %s, which was told as dangerous and nobody acknowledged (ref %s)", from, who, since(in.Event.Time.Sub(w.Time)), w.Ref),
	}
}

// newPair says what is new where each part of it is known.
func newPair(in Input) string {
	p, how := in.Memory.Pair, "with this key"
	if in.Event.Login.Auth.Fingerprint == "" {
		how = "by " + cmp.Or(in.Event.Login.Auth.Method, "this method")
	}
	if p.State == "" {
		return "first login " + how + " from this network"
	}
	when := fmt.Sprintf("on %d of 3 days", p.Days)
	switch {
	case p.Elsewhere:
		when = "fewer than three hosts have reported it"
	case p.Days < 3:
	case in.Event.Time.Sub(p.First) < 48*time.Hour:
		when = "for less than 48 hours"
	default: // a password, or a new key of somebody known
		when = "until somebody acknowledges it"
	}
	return "not usual yet " + how + " from this network: " + when
}

// standing takes their weight from facts about an address or key that the pair
// had when it became usual: a person who always comes by a VPN is no news.
func standing(rs []reason, p event.Pair) []reason {
	if !p.Usual() {
		return rs
	}
	for i, r := range rs {
		switch r.name() {
		case string(VPN), string(Proxy), string(Hosting), string(UnknownKey), keyScoreMedium, keyScoreHigh:
			if slices.Contains(p.Standing, r.name()) {
				rs[i].weight, rs[i].odd = event.Low, false
			}
		}
	}
	return forgiven(rs, p)
}

// forgiven takes their weight from what somebody has said is theirs. What may be
// forged is nobody's.
func forgiven(rs []reason, p event.Pair) []reason {
	if p.State != event.PairAcknowledged {
		return rs
	}
	for i, r := range rs {
		if !r.forged && slices.Contains(p.Standing, r.name()) {
			rs[i].weight, rs[i].odd = event.Low, false
		}
	}
	return rs
}

func keyReason(in Input, s Settings) []reason {
	what := "key"
	if certified(in.Event.Login.Auth) {
		what = "certificate's name" // its key is made anew each day
	}
	text := "first login with this " + what
	if len(in.Memory.KeyUsers) > 0 {
		text += ", which " + name(in.Memory.KeyUsers[0]) + " has used"
	}
	return s.Raise.told(NewKey, text)
}

func placeReason(n newness, code string, s Settings) []reason {
	var best []reason
	for _, x := range []struct {
		is    bool
		about Signal
		text  string
	}{
		{n.country, NewCountry, "first login from " + country.Name(code)},
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
// On a young host what is new does not count as one.
func step(rs []reason, young bool) []reason {
	base := event.Low
	for _, r := range rs {
		if r.hearsay {
			continue
		}
		if !young || r.about != FirstLogin && r.about != NewCountry && r.about != NewNetwork {
			base = max(base, r.weight)
		}
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
	case !m.Known, !m.Pair.Usual(), a.unanswered, len(in.Event.Flags) > 0, !in.Event.Remote.IP.IsValid(), m.Network.Count <= 0,
		n.user, n.host, n.key, n.network, n.country, keyHidden(in.Event.Login.Auth):
		return false
	case foreignKey(in, s) && !(m.Pair.State == event.PairAcknowledged && slices.Contains(m.Pair.Standing, string(ForeignKey))):
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
