// Package event owns what happened: the Event that a hook, a command or a
// watcher writes into the spool, the Facts that look-ups add, the Verdict that
// the policy returns, and the Alert that a destination tells. It cleans every
// string from outside where it enters.
//
// It is plain data: it must never touch the operating system or a network, and
// imports nothing else of sshnotify.
package event

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Version is the v of events that this program writes.
const Version = 2

// MaxSize is the most bytes that a stored event may have. Encode keeps below
// it by the limits on each string; Decode refuses more.
const MaxSize = 32 << 10

// Kind says what sort of thing happened.
type Kind string

// The kinds of the contract. Each but KindAttempt has a body of its own in Event.
const (
	KindLogin  Kind = "login"
	KindLogout Kind = "logout"
	KindAttack Kind = "attack"
	KindMatch  Kind = "match"
	KindAlert  Kind = "alert"
	KindDigest Kind = "digest"
	// KindWitness: the system log says that a session was opened of which the
	// hook has to tell. It says at most that a login was missed.
	KindWitness Kind = "witness"
	// KindGate: what became of the second step of a login.
	KindGate Kind = "gate"
	// KindAttempt is the kind of a digest's rows that count attempts to get in.
	// No event is of it.
	KindAttempt Kind = "attempt"
	// KindReport is the kind of a digest that is about some days, see Report. No event
	// is of it.
	KindReport Kind = "report"
)

// Via says which door an event came in by.
type Via string

// The doors.
const (
	ViaPAM   Via = "pam"
	ViaShell Via = "shell"
	ViaCLI   Via = "cli"   // sshnotify alert
	ViaSelf  Via = "self"  // sshnotify on its own account: a broken destination, a session without a logout
	ViaWatch Via = "watch" // sshnotify watch
)

// Flag marks a doubt about an event, or something odd in it.
type Flag string

// The flags.
const (
	// FlagAddressMismatch: SSH_CONNECTION named another address than PAM_RHOST,
	// which sshd sets itself. Somebody poisoned the environment.
	FlagAddressMismatch Flag = "address_mismatch"
	// FlagAddressUnverified: PAM_RHOST held a host name or nothing, so that the
	// address is the one of SSH_CONNECTION, which a user may be able to set.
	FlagAddressUnverified Flag = "address_unverified"
	// FlagEnvironmentUnverified: the raw environment could not be read, so that
	// a user's value may stand before the one that pam_exec set.
	FlagEnvironmentUnverified Flag = "environment_unverified"
	// FlagNoLogout: the session's sshd is gone and no logout was reported.
	FlagNoLogout Flag = "no_logout"
)

// Event is one thing that happened, as stored in the spool: a head that every
// kind has, and the body of its own kind. Strings are cleaned (see Clean); a
// zero value means unknown.
type Event struct {
	V       int               `json:"v"`
	ID      string            `json:"id"`
	Kind    Kind              `json:"kind"`
	Time    time.Time         `json:"time"` // UTC, to the millisecond
	Host    string            `json:"host"`
	Labels  map[string]string `json:"labels,omitempty"`
	User    string            `json:"user,omitempty"`
	Service string            `json:"service,omitempty"` // PAM_SERVICE; sshd for a shell
	Via     Via               `json:"via"`
	Remote  Remote            `json:"remote,omitzero"`
	Local   Local             `json:"local,omitzero"`
	Session Session           `json:"session,omitzero"`
	Flags   []Flag            `json:"flags,omitempty"`

	Login   Login   `json:"login,omitzero"`
	Logout  Logout  `json:"logout,omitzero"`
	Witness Witness `json:"witness,omitzero"`
	Attack  *Attack `json:"attack,omitempty"`
	Match   *Match  `json:"match,omitempty"`
	Alert   *Note   `json:"alert,omitempty"`
	Digest  *Digest `json:"digest,omitempty"`
	Gate    *Gate   `json:"gate,omitempty"`
}

// Remote is the far end of a connection.
type Remote struct {
	IP      netip.Addr `json:"ip"`             // unmapped, without a zone; zero: unknown
	Port    uint16     `json:"port,omitempty"` // 0: unknown
	Name    string     `json:"name"`           // as sshd resolved it, where UseDNS is on
	Zone    string     `json:"zone,omitempty"`
	Claimed string     `json:"claimed,omitempty"` // what SSH_CONNECTION said, with FlagAddressMismatch
}

// Local is this machine's end of a connection.
type Local struct {
	IP   netip.Addr `json:"ip"`
	Port uint16     `json:"port,omitempty"`
}

// Session is the sshd process of one connection. PID, Start, Boot and NS
// together name a process for good; see proc(5) for their meaning.
type Session struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // clock ticks after boot
	Boot  string `json:"boot,omitempty"`  // /proc/sys/kernel/random/boot_id
	NS    string `json:"ns,omitempty"`    // the PID namespace, as in /proc/self/ns/pid
}

// Ticks is how many clock ticks a second has for programs, on every Linux there is.
const Ticks = 100

// Began returns when the session's process was started, to a tick, on a host whose
// kernel was started at boot.
func (s Session) Began(boot time.Time) time.Time {
	return boot.Add(time.Duration(s.Start) * time.Second / Ticks)
}

// Same reports whether two sessions are the same connection.
func (s Session) Same(o Session) bool {
	return s.PID != 0 && s.PID == o.PID && s.Start == o.Start && s.Boot == o.Boot
}

// Code returns the code that somebody typed in the session of the event, see Note.Code;
// empty: it is no such event.
func (e *Event) Code() string {
	if e.Kind != KindAlert || e.Via != ViaSelf || e.Alert == nil {
		return ""
	}
	return e.Alert.Code
}

// Has reports whether the event bears a flag.
func (e *Event) Has(f Flag) bool {
	for _, g := range e.Flags {
		if g == f {
			return true
		}
	}
	return false
}

// ids are 128 bits in Crockford's base 32 (https://www.crockford.com/base32.html),
// which has no letters that are taken for digits.
var idEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// IDLength is the number of characters of an id.
const IDLength = 26

// LoginID returns the id of the login on the connection that sshd process s
// serves. It hashes the process and SSH_CONNECTION as found, because a bare
// 4-tuple is no id: ports come back, and somebody behind the same NAT could
// choose one.
func LoginID(s Session, sshConnection string) string {
	return hashID("login", s, sshConnection)
}

// LogoutID returns the id of the logout that ends session s: at a hub, whose boots
// are of a host, "HOST:BOOT", the one that the host's own has there.
func LogoutID(s Session) string {
	if host, boot, ok := strings.Cut(s.Boot, ":"); ok {
		s.Boot = boot
		return HubID(host, LogoutID(s))
	}
	return hashID("logout", s, "")
}

// GateID returns the id of the second step of a login that session s serves. more
// tells the connection, the user and the first factor.
func GateID(s Session, more string) string { return hashID("gate", s, more) }

// refBytes of an id are in the part of it that people see, or may type.
const refBytes = 5

// SharedID is how much of an id, in characters, an event has in common at its host and
// at the hub that it is handed over to.
const SharedID = refBytes * 8 / 5

// HubID returns the id that an event of a host has at the hub that it is handed over
// to. Its ref is the same, as are all first eight characters; the rest is a hash, so
// that no host can choose the id of another's event, or of one that is yet to come.
func HubID(host, id string) string {
	b, err := idEncoding.DecodeString(id)
	if err != nil || len(b) < refBytes {
		b = make([]byte, refBytes)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "hub\x00%s\x00%s", host, id))
	copy(sum[:], b[:refBytes])
	return idEncoding.EncodeToString(sum[:16])
}

func hashID(kind string, s Session, more string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d\x00%s", kind, s.Boot, s.PID, s.Start, more))
	return idEncoding.EncodeToString(sum[:16])
}

// NewID returns a random id.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return idEncoding.EncodeToString(b[:])
}

// ValidID reports whether s has the form of an id.
func ValidID(s string) bool {
	if len(s) != IDLength || strings.ContainsAny(s, "\r\n") { // which base32 skips
		return false
	}
	_, err := idEncoding.DecodeString(s)
	return err == nil
}

// Ref is the short form of an id that people see and type.
func Ref(id string) string {
	if len(id) < 4 {
		return id
	}
	return id[:4]
}

// ErrNewer means that a stored event was written by a newer sshnotify. It is
// not broken: that version can read it.
var ErrNewer = errors.New("written by a newer sshnotify")

// Encode returns the event's stored form. It cleans and shortens strings first,
// so that Decode takes what Encode returns.
func (e Event) Encode() ([]byte, error) {
	e.V = Version
	e.normalize()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // a "<" stays one byte
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	b := buf.Bytes()
	if len(b) > MaxSize {
		return nil, fmt.Errorf("event of %d bytes, at most %d are kept", len(b), MaxSize)
	}
	return b, nil
}

// Decode reads a stored event of this version or of an older one, which it
// returns in the form of this one. It trusts nothing in it: strings are cleaned
// again, and an id, a kind, a time or a body that can't be is an error.
func Decode(b []byte) (Event, error) {
	if len(b) > MaxSize {
		return Event{}, fmt.Errorf("event of %d bytes, at most %d are kept", len(b), MaxSize)
	}
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return Event{}, err
	}
	var e Event
	var err error
	switch {
	case v.V > Version:
		return Event{}, ErrNewer
	case v.V < 1:
		return Event{}, errors.New("no version")
	case v.V == 1:
		e, err = decodeV1(b)
	default:
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		return Event{}, err
	}
	e.normalize()
	return e, e.check()
}

// check reports what can't be of a normalized event.
func (e *Event) check() error {
	switch year := e.Time.Year(); {
	case !ValidID(e.ID):
		return errors.New("no valid id")
	case e.Time.IsZero():
		return errors.New("no time")
	case year < 0 || year > 9999: // in UTC; JSON has no such time
		return fmt.Errorf("the year %d", year)
	}
	missing := false
	switch e.Kind {
	case KindLogin, KindLogout:
	case KindWitness:
		if !Witnessed(e.Service) || e.User == "" {
			return errors.New("a witness of no session")
		}
	case KindAttack:
		missing = e.Attack == nil
	case KindMatch:
		missing = e.Match == nil
	case KindAlert:
		missing = e.Alert == nil
	case KindDigest:
		missing = e.Digest == nil || e.Digest.empty() || e.Digest.Of == KindReport && e.Digest.Report == nil
	case KindGate:
		missing = e.Gate == nil || e.Gate.Result == ""
	default:
		return fmt.Errorf("unknown kind %q", e.Kind)
	}
	if missing {
		return fmt.Errorf("the kind is %s, and there is no %[1]s", e.Kind)
	}
	return nil
}

// How much of each outside string is kept, in characters. Linux allows user
// names of 32 characters and host names of 64 bytes; DNS names 253. The rest is
// what fits MaxSize with every one of them at its limit and every character an
// escape or of four bytes.
const (
	maxUser    = 128
	maxHost    = 253
	maxWord    = 96
	maxBoot    = 128 // a hub's names the host, too
	maxKeyID   = 128
	maxTitle   = 150
	maxText    = 2000
	maxLabels  = 16
	maxClaimed = 64
)

func (e *Event) normalize() {
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.Host = Clean(e.Host, maxHost)
	e.User = Clean(e.User, maxUser)
	e.Service = Clean(e.Service, maxWord)
	e.Via = Via(Clean(string(e.Via), maxWord))
	e.Remote.Name = Clean(e.Remote.Name, maxHost)
	e.Remote.Zone = Clean(e.Remote.Zone, maxWord)
	e.Remote.Claimed = Clean(e.Remote.Claimed, maxClaimed)
	e.Remote.IP, e.Local.IP = bare(e.Remote.IP), bare(e.Local.IP)
	e.Session.Boot, e.Session.NS = Clean(e.Session.Boot, maxBoot), Clean(e.Session.NS, maxWord)
	if len(e.Flags) > 8 {
		e.Flags = e.Flags[:8]
	}
	for i := range e.Flags {
		e.Flags[i] = Flag(Clean(string(e.Flags[i]), 32))
	}
	if len(e.Labels) > maxLabels {
		e.Labels = nil
	}
	if len(e.Labels) > 0 {
		clean := make(map[string]string, len(e.Labels))
		for k, v := range e.Labels {
			clean[Clean(k, 32)] = Clean(v, 64)
		}
		e.Labels = clean
	}
	e.normalizeBody()
}

// bare returns the form in which addresses are stored and compared.
func bare(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	return a.Unmap().WithZone("")
}
