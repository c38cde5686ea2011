// Package attack finds attacks in who tried to get in: too many attempts from an
// address or a network, or against an account, and a login that follows them.
//
// Its only clock is the time of what it is given, so that a log read again gives
// the same. It must never reach a network or the operating system, and its
// memory is bounded whatever the attackers do.
package attack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Kind says what was found.
type Kind string

// The kinds.
const (
	Begun        Kind = "begun"         // an attack has begun
	Ended        Kind = "ended"         // nothing came for the detector's window, or Close was called
	SuccessAfter Kind = "success-after" // somebody got in after failures of the same source, or by password into an account under attack
	// More come than memory is kept for. Flooding says that attempts begin to be
	// given up, for a log; Flooded, once it is over or lasts, how many they were.
	Flooding Kind = "flooding"
	Flooded  Kind = "flooded"
)

// Finding is an attack that began or ended, or a login after one. Strings are
// cleaned.
type Finding struct {
	Kind Kind
	// Time is of the attempt that made it an attack, of the login, or of the end
	// of the window in which nothing came.
	Time time.Time
	// Attack is the same for an attack's begin and end, and on a replay; for a
	// login it is its own. It is safe in file names.
	Attack string

	Detector string       // that found it; "" for a login
	By       By           // what the detector counts by; "" for a login
	Network  netip.Prefix // by address and network: who; an IPv4 address is a /32, one of IPv6 its /64
	User     string       // by user: the account; of a login, who got in
	IP       netip.Addr   // where the last attempt or the login came from; zero: this host

	// Attempts were made in the attack; at its begin, those that made it one. For
	// a login: the most of the failures from its address, from its network and
	// against its user.
	Attempts    int
	FromAddress int // failures in the day before, refused keys not counted
	OwnFailures int // those of FromAddress for the account itself
	// FromNetwork are the failures for NetworkAccounts accounts of this host, from the
	// /24 or /48 of the login.
	FromNetwork, NetworkAccounts int
	AgainstUser                  int       // where the account is being attacked
	First, Last                  time.Time // of the attempts

	// Of a login: as many attempts of its address, and against its user, were at
	// most given up in a flood of the day before, and are not in Attempts.
	DroppedFrom, DroppedAgainst int
	Flood                       Flood // of Flooded

	Names     Tally // accounts that were tried
	Addresses Tally // where from
	Services  Tally
	Hosts     Tally // that the log names

	Unfinished bool // Ended because of Close or for lack of memory, and not by silence

	// Of a login.
	Method, Key, Service, Host string
	Port                       uint16
	PID                        int
}

// Tally and Count are what is stored of an attack, too.
type (
	Tally = event.Tally
	Count = event.Count
)

// Severity is what the finding is worth before anything else is known: a login
// after failures of its own source is critical, one by password into an account
// that others attack low, since it is its owner's until the memory knows better; a
// flood is high, an attack that has begun medium, one that is over low.
func (f Finding) Severity() event.Severity {
	switch f.Kind {
	case SuccessAfter:
		if f.FromAddress+f.NetworkAccounts+f.DroppedFrom == 0 {
			return event.Low
		}
		return event.Critical
	case Flooded:
		return event.High
	case Begun:
		return event.Medium
	}
	return event.Low
}

// identity names an attack or a login for good, by strings and numbers.
func identity(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", parts)) // as %q a number is a character
	return hex.EncodeToString(sum[:12])
}
