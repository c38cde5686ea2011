package policy

import "github.com/sshnotify/sshnotify/internal/event"

// Novelty is a sort of thing that is new or odd about a login. The values are
// the keys of the settings.
type Novelty string

// What the memory says is new: nobody has seen it before.
const (
	FirstLogin    Novelty = "first_login"      // of this user, anywhere; then all else is new too, and not told
	NewCountry    Novelty = "new_country"      // of this user
	NewNetwork    Novelty = "new_network"      // of this user
	NewAddress    Novelty = "new_address"      // of this user
	NewKey        Novelty = "new_key"          // of this user
	NewUserOnHost Novelty = "new_user_on_host" // who has logged in elsewhere
	Absent        Novelty = "absent"           // for absentAfter
)

// What is odd in itself.
const (
	UnknownKey Novelty = "unknown_key" // nobody owns it
	ForeignKey Novelty = "foreign_key" // one person's, used by another
	Tor        Novelty = "tor"
	VPN        Novelty = "vpn"
	Proxy      Novelty = "proxy"
	Hosting    Novelty = "hosting"
)

// What is odd, and never enough by itself: beside a reason of medium or more it
// raises the severity by one step, both together too, and to at most the
// severity that the settings give it.
const (
	Travel      Novelty = "travel"       // faster than an airliner
	UnusualHour Novelty = "unusual_hour" // for this user
)

// Novelties lists all of them, as they are shown.
func Novelties() []Novelty {
	return []Novelty{
		FirstLogin, NewCountry, NewNetwork, NewAddress, NewKey, NewUserOnHost, Absent,
		UnknownKey, ForeignKey, Tor, VPN, Proxy, Hosting, Travel, UnusualHour,
	}
}

// Raise says how severe each makes a login. Low: it is told and raises nothing.
// What is not in it is not told. Nil is DefaultRaise.
type Raise map[Novelty]event.Severity

// DefaultRaise is what holds without settings: an address that is new in a
// network that is not is not told.
func DefaultRaise() Raise {
	r := Raise{}
	for _, n := range Novelties() {
		if weight, told := defaultRaise(n); told {
			r[n] = weight
		}
	}
	return r
}

func defaultRaise(n Novelty) (event.Severity, bool) {
	switch n {
	case NewCountry, ForeignKey, Tor, Travel, UnusualHour:
		return event.High, true
	case FirstLogin, NewNetwork, NewKey, Absent, UnknownKey, VPN, Proxy:
		return event.Medium, true
	case NewUserOnHost, Hosting:
		return event.Low, true
	}
	return event.Low, false
}

func (r Raise) of(n Novelty) (weight event.Severity, told bool) {
	if r == nil {
		return defaultRaise(n)
	}
	weight, told = r[n]
	return min(max(weight, event.Low), event.Critical), told
}

// told returns the reason, if it is to be told.
func (r Raise) told(n Novelty, text string) []reason {
	weight, told := r.of(n)
	if !told {
		return nil
	}
	return []reason{{weight: weight, text: text, about: n}}
}
