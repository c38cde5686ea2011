package policy

import "github.com/sshnotify/sshnotify/internal/event"

// Signal is a sort of thing that is new or odd about a login. The values are
// the keys of the settings.
type Signal string

// What the memory says is new: nobody has seen it before.
const (
	FirstLogin    Signal = "first_login"      // of this user, anywhere; then all else is new too, and not told
	NewCountry    Signal = "new_country"      // of this user
	NewNetwork    Signal = "new_network"      // of this user
	NewAddress    Signal = "new_address"      // of this user
	NewKey        Signal = "new_key"          // of this user
	NewUserOnHost Signal = "new_user_on_host" // who has logged in elsewhere
	Absent        Signal = "absent"           // for absentAfter
)

// What is odd in itself.
const (
	UnknownKey Signal = "unknown_key" // nobody owns it
	ForeignKey Signal = "foreign_key" // one person's, used by another
	Tor        Signal = "tor"
	VPN        Signal = "vpn"
	Proxy      Signal = "proxy"
	Hosting    Signal = "hosting"
)

// What is odd, and never enough by itself: beside a reason of medium or more it
// raises the severity by one step, both together too, and to at most the
// severity that the settings give it.
const (
	Travel      Signal = "travel"       // faster than an airliner
	UnusualHour Signal = "unusual_hour" // for this user
)

// Signals lists all of them, as they are shown.
func Signals() []Signal {
	return []Signal{
		FirstLogin, NewCountry, NewNetwork, NewAddress, NewKey, NewUserOnHost, Absent,
		UnknownKey, ForeignKey, Tor, VPN, Proxy, Hosting, Travel, UnusualHour,
	}
}

// SignalSeverity says how severe each makes a login. Low: it is told and raises nothing.
// What is not in it is not told. Nil is DefaultSeverity.
type SignalSeverity map[Signal]event.Severity

// DefaultSeverity is what holds without settings: an address that is new in a
// network that is not is not told.
func DefaultSeverity() SignalSeverity {
	r := SignalSeverity{}
	for _, n := range Signals() {
		if weight, told := defaultSeverity(n); told {
			r[n] = weight
		}
	}
	return r
}

func defaultSeverity(n Signal) (event.Severity, bool) {
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

func (r SignalSeverity) of(n Signal) (weight event.Severity, told bool) {
	if r == nil {
		return defaultSeverity(n)
	}
	weight, told = r[n]
	return min(max(weight, event.Low), event.Critical), told
}

// told returns the reason, if it is to be told.
func (r SignalSeverity) told(n Signal, text string) []reason {
	weight, told := r.of(n)
	if !told {
		return nil
	}
	return []reason{{weight: weight, text: text, about: n}}
}

// Shown returns which signals a login shows, whatever the settings make of them: of what
// one thing implies, as a new country does a new network, a verdict tells only the
// strongest, and nothing of what is not to be told. Absences, speed and hours are not
// among them.
func Shown(in Input, s Settings) (all []Signal) {
	n, key := newnessOf(in), in.Event.Login.Auth
	for _, x := range []struct {
		is bool
		Signal
	}{
		{n.country, NewCountry}, {n.network, NewNetwork}, {n.key, NewKey}, {foreignKey(in, s), ForeignKey},
		{key.Fingerprint != "" && in.KnownKeys && in.Owner == "" && !certified(key), UnknownKey},
		{in.Facts.Traits.Tor != "", Tor},
	} {
		if x.is {
			all = append(all, x.Signal)
		}
	}
	return all
}
