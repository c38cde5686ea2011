// Package event owns what happened: the Event that a hook, a command or a
// watcher writes into the spool, the Facts that look-ups add, the Verdict that
// the policy gives, and the Alert that a destination tells. It cleans every
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
	"slices"
	"strings"
	"time"
)

// Version is the v of events that this program writes.
const Version = 1

// MaxSize is the most bytes that a stored event may have. Encode keeps below
// it by the limits on each string; Decode refuses more.
const MaxSize = 32 << 10

// Kind says what sort of thing happened.
type Kind string

// The kinds of the contract.
const (
	KindLogin  Kind = "login"
	KindLogout Kind = "logout"
	KindAttack Kind = "attack"
	KindMatch  Kind = "match"
	KindAlert  Kind = "alert"
	// KindWitness: the system log says that a session was opened of which the
	// hook has to tell. It says at most that a login was missed.
	KindWitness Kind = "witness"

	// KindAttempt is the kind of a digest's lines that count attempts to get in.
	// No event is of it.
	KindAttempt Kind = "attempt"
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
	// FlagCrowd: of a witness, one of many that came at once. They are told by
	// their number.
	FlagCrowd Flag = "crowd"
)

// Event is one thing that happened, as stored in the spool and as webhooks
// get it. Strings are cleaned (see Clean); a zero value means unknown.
type Event struct {
	V       int               `json:"v"`
	ID      string            `json:"id"`
	Kind    Kind              `json:"kind"`
	Time    time.Time         `json:"time"` // UTC, to the millisecond
	Host    string            `json:"host"`
	Labels  map[string]string `json:"labels,omitempty"`
	User    string            `json:"user,omitempty"`
	By      string            `json:"by,omitempty"`      // who became User: of sudo and su
	Service string            `json:"service,omitempty"` // PAM_SERVICE; sshd for a shell
	Via     Via               `json:"via"`
	Remote  Remote            `json:"remote,omitzero"`
	Local   Local             `json:"local,omitzero"`
	Auth    Auth              `json:"auth,omitzero"`
	Session Session           `json:"session,omitzero"`
	Flags   []Flag            `json:"flags,omitempty"`
	Note    *Note             `json:"note,omitempty"`
	// Rows are the lines of a daily digest, which is an alert of sshnotify's
	// own, and Span when what it counts happened.
	Rows []Row `json:"rows,omitempty"`
	Span *Span `json:"span,omitempty"`
}

// Span is a stretch of time.
type Span struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
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

// Auth says how somebody proved who they are. Several methods in a row are
// joined by commas, and the key is the last one used.
type Auth struct {
	Method        string `json:"method,omitempty"`      // publickey, password, keyboard-interactive/pam, …
	KeyType       string `json:"key_type,omitempty"`    // ssh-ed25519, ssh-ed25519-cert-v01@openssh.com, …
	Fingerprint   string `json:"fingerprint,omitempty"` // SHA256:…, of the plain key, also for a certificate
	KeyID         string `json:"key_id,omitempty"`      // of a certificate
	Serial        uint64 `json:"serial,omitempty"`
	CAFingerprint string `json:"ca_fingerprint,omitempty"`
	// Info is SSH_AUTH_INFO_0 as sshd wrote it, a line for each method, of which
	// the worker reads the rest (package sshauth); a hook has no time for keys.
	Info string `json:"info,omitempty"`
}

// Cleaned returns how somebody authenticated as it may be stored and told.
func (a Auth) Cleaned() Auth {
	for _, s := range []*string{&a.Method, &a.KeyType, &a.Fingerprint, &a.CAFingerprint} {
		*s = Clean(*s, maxWord)
	}
	a.KeyID = Clean(a.KeyID, maxKeyID)
	a.Info = cleanAuthInfo(a.Info)
	return a
}

// Session is the sshd process of one connection. PID, Start, Boot and NS
// together name a process for good; see proc(5) for their meaning.
type Session struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // clock ticks after boot
	Boot  string `json:"boot,omitempty"`  // /proc/sys/kernel/random/boot_id
	NS    string `json:"ns,omitempty"`    // the PID namespace, as in /proc/self/ns/pid
}

// Same reports whether two sessions are the same connection.
func (s Session) Same(o Session) bool {
	return s.PID != 0 && s.PID == o.PID && s.Start == o.Start && s.Boot == o.Boot
}

// Note is what somebody wants told: the text of sshnotify alert, or of
// sshnotify's own troubles.
type Note struct {
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
	Text     string   `json:"text"`
	// Except names a destination that must not get the event, because the note
	// is about it.
	Except string `json:"except,omitempty"`
	// Only are the destinations that the event is for; none: all.
	Only []string `json:"only,omitempty"`
	// Public: strangers read it, so that it names no host of ours, and links to
	// nothing of ours.
	Public bool `json:"public,omitempty"`
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

// LoginID gives the id of the login on the connection that sshd process s
// serves. It hashes the process and SSH_CONNECTION as found, because a bare
// 4-tuple is no id: ports come back, and somebody behind the same NAT could
// choose one.
func LoginID(s Session, sshConnection string) string {
	return hashID("login", s, sshConnection)
}

// LogoutID gives the id of the logout that ends session s.
func LogoutID(s Session) string { return hashID("logout", s, "") }

func hashID(kind string, s Session, more string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d\x00%s", kind, s.Boot, s.PID, s.Start, more))
	return idEncoding.EncodeToString(sum[:16])
}

// NewID gives a random id.
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

// Encode gives the event's stored form. It cleans and shortens strings first,
// so that what Encode gives, Decode takes.
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

// Decode reads a stored event. It trusts nothing in it: strings are cleaned
// again, and an id, a kind or a time that can't be is an error.
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
	if v.V > Version {
		return Event{}, ErrNewer
	}
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, err
	}
	e.normalize()
	switch year := e.Time.Year(); {
	case v.V < 1:
		return Event{}, errors.New("no version")
	case !ValidID(e.ID):
		return Event{}, errors.New("no valid id")
	case e.Time.IsZero():
		return Event{}, errors.New("no time")
	case year < 0 || year > 9999: // in UTC; JSON has no such time
		return Event{}, fmt.Errorf("the year %d", year)
	case e.Kind != KindLogin && e.Kind != KindLogout && e.Kind != KindAttack && e.Kind != KindMatch && e.Kind != KindAlert && e.Kind != KindWitness:
		return Event{}, fmt.Errorf("unknown kind %q", e.Kind)
	case e.Kind == KindAlert && e.Note == nil:
		return Event{}, errors.New("an alert without a note")
	case e.Kind == KindWitness && (!Witnessed(e.Service) || e.User == ""):
		return Event{}, errors.New("a witness of no session")
	}
	return e, nil
}

// How much of each outside string is kept, in characters. Linux allows user
// names of 32 characters and host names of 64 bytes; DNS names 253. The rest is
// what fits MaxSize with every one of them at its limit and every character an
// escape or of four bytes.
const (
	maxUser    = 128
	maxHost    = 253
	maxWord    = 96
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
	e.By = Clean(e.By, maxUser)
	e.Service = Clean(e.Service, maxWord)
	e.Via = Via(Clean(string(e.Via), maxWord))
	e.Remote.Name = Clean(e.Remote.Name, maxHost)
	e.Remote.Zone = Clean(e.Remote.Zone, maxWord)
	e.Remote.Claimed = Clean(e.Remote.Claimed, maxClaimed)
	if e.Remote.IP.IsValid() {
		e.Remote.IP = e.Remote.IP.Unmap().WithZone("")
	}
	if e.Local.IP.IsValid() {
		e.Local.IP = e.Local.IP.Unmap().WithZone("")
	}
	for _, s := range []*string{&e.Session.Boot, &e.Session.NS} {
		*s = Clean(*s, maxWord)
	}
	e.Auth = e.Auth.Cleaned()
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
	e.Rows = normalizeRows(e.Rows)
	if e.Note != nil {
		n := *e.Note
		n.Title = Clean(n.Title, maxTitle)
		n.Text = Clean(strings.TrimSpace(n.Text), maxText)
		n.Except = Clean(n.Except, maxWord)
		n.Only = slices.Clone(n.Only[:min(len(n.Only), 16)])
		for i := range n.Only {
			n.Only[i] = Clean(n.Only[i], maxWord)
		}
		e.Note = &n
	}
}

// Of a digest, as much is kept as one message can show.
const (
	maxRows   = 40
	maxRowIPs = 5
)

func normalizeRows(rows []Row) []Row {
	var out []Row
	for _, r := range rows[:min(len(rows), maxRows)] {
		r.User, r.Host, r.Reason = Clean(r.User, maxUser), Clean(r.Host, maxHost), Clean(r.Reason, 100)
		r.Kind = Kind(Clean(string(r.Kind), 16))
		r.IPs = slices.Clone(r.IPs[:min(len(r.IPs), maxRowIPs)])
		for i := range r.IPs {
			r.IPs[i] = r.IPs[i].Unmap().WithZone("")
		}
		r.Count, r.MoreIPs = max(0, r.Count), max(0, r.MoreIPs)
		out = append(out, r)
	}
	return out
}
