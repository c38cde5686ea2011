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
	CA      string // fingerprint of the authority that certified it
	KeyID   string // of the certificate
	IP      netip.Addr
	Port    uint16 // of the far end; tells two connections of the same moment apart
	ASN     uint32
	ASName  string
	Named   string // what the settings call the network
	Place   event.Place
	Traits  event.Traits

	Severity event.Severity
	Usual    bool     // it is left to the digest
	Class    Class    // of those: which part of it
	Reasons  []string // event.Verdict's keys
	Told     bool     // at once, by a message of its own
	Untaught bool     // it was told as high or worse: what is new about it stays new until it is acknowledged
	Late     bool     // it came so long after it happened that it teaches nothing, and warns of nothing
	Source   Source
	Digest   string // the digest that told it; empty: none has
}

// Class is which part of a digest tells of a login.
type Class int

// The classes.
const (
	Ordinary Class = iota // nothing about it is new or odd
	Again                 // of its pair was told before, or many others like it came
	LeftOut               // by the settings
	Silenced              // a silence held it
)

// EntryOf is the entry of a login's event. The verdict may be zero, as long as
// the entry is only used to ask.
func EntryOf(e event.Event, f event.Facts, v event.Verdict) Entry {
	name := f.Network.Name
	if f.Name != "" {
		name = f.Name // what the settings call it says more
	}
	return Entry{
		ID: e.ID, Time: e.Time, Host: e.Host, User: e.User, Service: e.Service, Method: e.Login.Auth.Method,
		Key: e.Login.Auth.Fingerprint, CA: e.Login.Auth.CAFingerprint, KeyID: e.Login.Auth.KeyID, IP: e.Remote.IP, Port: e.Remote.Port,
		ASN: f.Network.ASN, ASName: name, Named: f.Name, Place: f.Place, Traits: f.Traits,
		Severity: v.Severity, Usual: v.Usual, Reasons: v.Keys, Source: SourceSeen,
	}
}

// teaches reports whether what is new about a login is known from then on.
func (e Entry) teaches() bool { return !e.Untaught && !e.Late }

// usual is the column that says whether and how a digest tells of a login.
func (e Entry) usual() int {
	if !e.Usual {
		return 0
	}
	return int(e.Class) + 1
}

func classOf(usual int) Class { return Class(max(0, usual-1)) }

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
	for _, s := range []*string{&e.Service, &e.Method, &e.Key, &e.CA, &e.KeyID, &e.ASName, &e.Named, &e.Place.City, &e.Place.Region, &e.Place.Source,
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
	reasons := e.Reasons[:min(len(e.Reasons), maxLists)]
	e.Reasons = nil
	for _, r := range reasons {
		e.Reasons = append(e.Reasons, event.Clean(r, maxWord))
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

// identity is what somebody proved who they are by: of a certificate its
// authority and key id, because keys and serials are made anew each day; a key;
// else the method.
func (e Entry) identity() string {
	switch {
	case e.CA != "":
		return "ca:" + e.CA + " " + e.KeyID
	case e.Key != "":
		return e.Key
	}
	return "method:" + e.Method
}

// secret reports whether a login proved no more than that somebody knows a
// password.
func (e Entry) secret() bool {
	return e.Key == "" && (strings.Contains(e.Method, "password") || strings.HasPrefix(e.Method, "keyboard-interactive"))
}

// networkNames returns what the network of an address is called by, in the table
// network, and what it is remembered as where it has none of the names yet. All
// numbers of one organisation are one network, IPv4 and IPv6, and so is each of
// the settings. Where nothing is known, it is the surrounding block that one
// customer usually has.
func (e Entry) networkNames() (names []string, network string) {
	org := ""
	if e.ASName != "" {
		org = "org:" + asciiLower(e.ASName)
	}
	switch {
	case e.Named != "":
		return []string{"net:" + e.Named}, "net:" + e.Named
	case e.ASN != 0:
		as := fmt.Sprintf("AS%d", e.ASN)
		if org == "" {
			return []string{as}, as
		}
		return []string{as, org}, as
	case !e.IP.IsValid():
		return nil, ""
	case org != "":
		return []string{org}, org
	}
	bits := 24
	if e.IP.Is6() {
		bits = 48
	}
	p, err := e.IP.Prefix(bits)
	if err != nil {
		return nil, ""
	}
	return nil, p.String()
}

// asciiLower is SQLite's lower, which the names of earlier logins were made by.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// importID names an imported login, the same one each time that the same
// record is read.
func (e Entry) importID() string {
	what := fmt.Sprintf("%q %q %s %d %d %q", e.Host, e.User, e.IP, e.Port, e.Time.UnixMilli(), e.Key)
	return event.LoginID(event.Session{Boot: string(e.Source)}, what)
}
