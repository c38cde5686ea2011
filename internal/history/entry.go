package history

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Source says how a login became known.
type Source string

// The sources. One login may be known from several; it is then counted once,
// and bears the name of the best, which is the first of these.
const (
	SourceSeen    Source = "seen" // the hook's own event
	SourceJournal Source = "journal"
	SourceAuthLog Source = "auth.log"
	SourceWtmp    Source = "wtmp"
)

var sourceOrder = [...]Source{SourceSeen, SourceJournal, SourceAuthLog, SourceWtmp}

// bit is the source's place in the mask that is stored; 0 for an unknown one.
func (s Source) bit() int {
	for i, o := range sourceOrder {
		if s == o {
			return 1 << i
		}
	}
	return 0
}

func bestSource(mask int) Source {
	for i, o := range sourceOrder {
		if mask&(1<<i) != 0 {
			return o
		}
	}
	return ""
}

// Entry is one login. A zero value means unknown.
type Entry struct {
	ID      string    // the event's; Import makes one where it is empty
	Time    time.Time // kept to the millisecond
	Host    string
	User    string
	Service string
	Method  string
	Key     string // fingerprint of the plain key, SHA256:…
	IP      netip.Addr
	Port    uint16 // of the far end; tells two connections of the same moment apart
	ASN     uint32
	ASName  string
	Place   event.Place
	Traits  event.Traits

	Severity event.Severity
	Usual    bool // the verdict was that nothing is odd
	Source   Source
	Digest   string // the digest that told it; empty: none has
}

// EntryOf is the entry of a login's event. The verdict may be zero, as long as
// the entry is only used to ask.
func EntryOf(e event.Event, f event.Facts, v event.Verdict) Entry {
	name := f.Network.Name
	if f.Name != "" {
		name = f.Name // what the settings call it says more
	}
	return Entry{
		ID: e.ID, Time: e.Time, Host: e.Host, User: e.User, Service: e.Service, Method: e.Login.Auth.Method,
		Key: e.Login.Auth.Fingerprint, IP: e.Remote.IP, Port: e.Remote.Port,
		ASN: f.Network.ASN, ASName: name, Place: f.Place, Traits: f.Traits,
		Severity: v.Severity, Usual: v.Usual, Source: SourceSeen,
	}
}

// How much of each string is kept, in characters. The first are the limits of
// a stored event, so that an entry and its event agree.
const (
	maxUser  = 128
	maxHost  = 253
	maxWord  = 96
	maxID    = 128
	maxLists = 16
)

// normal returns the entry in the one form that is stored and compared.
func (e Entry) normal() Entry {
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.ID = event.Clean(e.ID, maxID)
	e.Host = event.Clean(e.Host, maxHost)
	e.User = event.Clean(e.User, maxUser)
	for _, s := range []*string{&e.Service, &e.Method, &e.Key, &e.ASName, &e.Place.City, &e.Place.Region, &e.Place.Source,
		&e.Traits.Tor, &e.Traits.VPN, &e.Traits.Proxy, &e.Traits.Hosting, &e.Traits.Mobile, &e.Digest} {
		*s = event.Clean(*s, maxWord)
	}
	e.Place.Country = strings.ToUpper(event.Clean(e.Place.Country, 8))
	if e.Place.Point != nil {
		p := *e.Place.Point
		e.Place.Point = &p
		if !finite(p.Lat) || !finite(p.Lon) || !finite(p.Accuracy) { // JSON has no such number
			e.Place.Point = nil
		}
	}
	lists := e.Traits.Lists[:min(len(e.Traits.Lists), maxLists)]
	e.Traits.Lists = nil
	for _, l := range lists {
		e.Traits.Lists = append(e.Traits.Lists, event.Clean(l, maxWord))
	}
	if e.IP.IsValid() {
		e.IP = e.IP.Unmap().WithZone("")
	}
	if e.Source.bit() == 0 {
		e.Source = SourceSeen
	}
	return e
}

func finite(f float64) bool { return f-f == 0 }

// check refuses what can't be remembered.
func (e Entry) check() error {
	switch year := e.Time.Year(); {
	case e.ID == "":
		return errors.New("a login without an id")
	case e.Time.IsZero() || year < 1970 || year > 9999:
		return fmt.Errorf("a login at %v", e.Time)
	}
	return nil
}

// network names the network that an address is in: the autonomous system, or
// where none is known the surrounding block that one customer usually has.
func (e Entry) network() string {
	if e.ASN != 0 {
		return fmt.Sprintf("AS%d", e.ASN)
	}
	if !e.IP.IsValid() {
		return ""
	}
	bits := 24
	if e.IP.Is6() {
		bits = 48
	}
	p, err := e.IP.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// importID names an imported login, the same one each time that the same
// record is read.
func (e Entry) importID() string {
	what := fmt.Sprintf("%q %q %s %d %d %q", e.Host, e.User, e.IP, e.Port, e.Time.UnixMilli(), e.Key)
	return event.LoginID(event.Session{Boot: string(e.Source)}, what)
}
