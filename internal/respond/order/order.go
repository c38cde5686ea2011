// Package order owns what a hub asks a host to do about a login: the order's signed
// form, and what the host holds it against before it believes it.
//
// Between the two only those carry it who can't be believed: it counts by its
// signature, for one host, once, for minutes, and for what the host itself allows.
package order

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Version is the v of orders that this program signs.
const Version = 1

const (
	// Life is how long an order may be carried out after it was made.
	Life = 5 * time.Minute
	// Ahead is how far the hub's clock may be before the host's.
	Ahead = time.Minute
	// MaxSize is the most bytes that a signed order has.
	MaxSize = 16 << 10
	// MaxFor is how long an action may be asked for.
	MaxFor = 366 * 24 * time.Hour
	// maxBy is the length of the name of who asks, in characters.
	maxBy = 96
)

// ByHub comes after the name of who asks, where a host tells what it did.
const ByHub = ", by order of the hub"

// Evidence is what a host allows beside the actions: that evidence is taken without
// anything else being done, and that the hub gets a copy.
const Evidence = "evidence"

// Order is what a hub asks of a host.
type Order struct {
	V       int              `json:"v"`
	Nonce   string           `json:"nonce"`   // 128 bits, in hexadecimal: each is carried out once
	Host    string           `json:"host"`    // the host's name at the hub
	Made    time.Time        `json:"made"`    // by the hub's clock
	By      string           `json:"by"`      // who asks
	Actions []respond.Action `json:"actions"` // none: only evidence is taken
	Seconds int64            `json:"for,omitempty"`
	Look    bool             `json:"dry_run,omitempty"` // only say what the actions would find
	// Subject is the event as the hub knows it, with the id that it has there: what a
	// host remembers of it is its worker's word.
	Subject    respond.Subject    `json:"subject"`
	Neighbours respond.Neighbours `json:"neighbours,omitzero"`
}

// For is how long lock, key and block hold; 0: as respond.Responder has it.
func (o Order) For() time.Duration { return time.Duration(o.Seconds) * time.Second }

// Expires is until when the order may be carried out.
func (o Order) Expires() time.Time { return o.Made.Add(Life) }

// Needs are what a host must allow for the order.
func (o Order) Needs() []string {
	if len(o.Actions) == 0 {
		return []string{Evidence}
	}
	var out []string
	for _, a := range o.Actions {
		out = append(out, string(a))
	}
	return out
}

// Wants says what the order asks for, as people read it.
func (o Order) Wants() string {
	text := strings.Join(o.Needs(), ", ")
	if o.Seconds > 0 && len(o.Actions) > 0 {
		text += " for " + strictoml.FormatDuration(o.For())
	}
	if o.Look {
		text += ", to be looked at only"
	}
	return text
}

// ParseAllow checks the words that a host allows.
func ParseAllow(words []string) error {
	for _, w := range words {
		if w == Evidence {
			continue
		}
		if _, err := respond.ParseActions(w); err != nil || strings.Contains(w, ",") {
			return fmt.Errorf("%q is none of evidence, end, lock, key, block", w)
		}
	}
	return nil
}

// NewNonce returns one that nobody guesses.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// ValidNonce reports whether a text has the form of one.
func ValidNonce(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16 && s == strings.ToLower(s)
}

// valid checks what no hub of ours would sign.
func (o Order) valid() error {
	known := 0
	for i, a := range o.Actions {
		if slices.Contains(respond.Actions, a) && !slices.Contains(o.Actions[:i], a) {
			known++
		}
	}
	switch {
	case o.V != Version:
		return fmt.Errorf("it is of version %d, and this sshnotify knows %d", o.V, Version)
	case !ValidNonce(o.Nonce):
		return errors.New("it has no nonce")
	case o.Host == "":
		return errors.New("it is for no host")
	case o.Made.IsZero():
		return errors.New("it has no time")
	case known != len(o.Actions):
		return errors.New("it has actions that this sshnotify does not know")
	case o.Seconds < 0 || o.Seconds > int64(MaxFor/time.Second):
		return fmt.Errorf("it is for more than %d days", MaxFor/(24*time.Hour))
	case !event.ValidID(o.Subject.ID):
		return errors.New("it is about no event")
	}
	return nil
}

// Signed is an order on its way: the bytes that were signed, and the signature.
type Signed struct {
	Order     []byte `json:"order"`
	Signature []byte `json:"signature"` // ECDSA, ASN.1, over what toSign returns
}

// What is signed begins with what it is, so that no signature of the CA is good for
// anything else: a certificate begins with 0x30.
const (
	orderPrefix   = "sshnotify order 1\x00"
	receiptPrefix = "sshnotify evidence 1\x00"
)

func sign(key *ecdsa.PrivateKey, prefix string, data []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(prefix), data...))
	return ecdsa.SignASN1(rand.Reader, key, sum[:])
}

func verify(ca *x509.Certificate, prefix string, data, signature []byte) bool {
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256(append([]byte(prefix), data...))
	return ok && ecdsa.VerifyASN1(key, sum[:], signature)
}

// Sign returns the order as a host takes it, signed by the key of the hub's CA.
func Sign(key *ecdsa.PrivateKey, o Order) ([]byte, error) {
	o.V = Version
	o.Made = o.Made.UTC().Truncate(time.Millisecond)
	o.By = event.Clean(o.By, maxBy)
	if err := o.valid(); err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	signature, err := sign(key, orderPrefix, b)
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(Signed{b, signature})
	if err == nil && len(out) > MaxSize {
		err = fmt.Errorf("an order of %d bytes, at most %d are taken", len(out), MaxSize)
	}
	return out, err
}

// Refusal is why a host does not carry an order out.
type Refusal struct {
	Why string
	// Known: the order is the hub's own, and not something that somebody put there.
	Known bool
}

func (r *Refusal) Error() string { return r.Why }

// Open returns the order that a hub signed whose CA is this one. An error is a *Refusal.
// Whether it is to be carried out is for Check.
func Open(data []byte, ca *x509.Certificate) (Order, error) {
	var s Signed
	if err := strict(data, &s); err != nil {
		return Order{}, &Refusal{Why: "it is no signed order"}
	}
	if !verify(ca, orderPrefix, s.Order, s.Signature) {
		return Order{}, &Refusal{Why: "the hub's CA that this host trusts has not signed it"}
	}
	// From here on it is the hub's own word.
	var o Order
	if err := strict(s.Order, &o); err != nil {
		return Order{}, &Refusal{Why: "a newer hub has signed it, for things that this sshnotify does not know", Known: true}
	}
	o.By = event.Clean(o.By, maxBy)
	if err := o.valid(); err != nil {
		return o, &Refusal{Why: err.Error(), Known: true}
	}
	return o, nil
}

// Check reports why a host must not carry out an order that Open returned: nil, or a
// *Refusal. host is its name at the hub, allow what it allows.
func (o Order) Check(host string, allow []string, now time.Time) error {
	const stamp = "15:04:05 MST on 2006-01-02"
	no := func(format string, a ...any) error { return &Refusal{fmt.Sprintf(format, a...), true} }
	switch {
	case o.Host != host:
		return no("it is for %s, and this is %s", event.Clean(o.Host, 63), host)
	case o.Made.After(now.Add(Ahead)):
		return no("it was made at %s by the hub's clock, and it is %s by this host's: one of them is wrong", o.Made.UTC().Format(stamp), now.UTC().Format(stamp))
	case now.After(o.Expires()):
		return no("it came too late, or a clock is wrong: it was made at %s by the hub's clock, and it is %s by this host's", o.Made.UTC().Format(stamp), now.UTC().Format(stamp))
	}
	for _, need := range o.Needs() {
		if !slices.Contains(allow, need) {
			return no("this host does not allow %s: allow in [respond] there has %s", need, strings.Join(allow, ", "))
		}
	}
	return nil
}

// strict reads JSON that has nothing else in it.
func strict(data []byte, to any) error {
	if len(data) > MaxSize {
		return errors.New("too large")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows")
	}
	return nil
}

// receipt is what a hub signs for evidence that it has.
func receipt(host string, sum [sha256.Size]byte) []byte {
	return append([]byte(host+"\x00"), sum[:]...)
}

// SignReceipt returns a hub's word that it has a host's evidence, by its SHA-256.
func SignReceipt(key *ecdsa.PrivateKey, host string, sum [sha256.Size]byte) ([]byte, error) {
	return sign(key, receiptPrefix, receipt(host, sum))
}

// ReceiptFits reports whether a signature is that word.
func ReceiptFits(ca *x509.Certificate, host string, sum [sha256.Size]byte, signature []byte) bool {
	return verify(ca, receiptPrefix, receipt(host, sum), signature)
}

// ParseCA reads the certificate of a hub's CA, in PEM.
func ParseCA(text []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one certificate in PEM form")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if _, ok := ca.PublicKey.(*ecdsa.PublicKey); !ok || !ca.IsCA {
		return nil, errors.New("not the certificate of a hub's CA")
	}
	return ca, nil
}

// Fingerprint is how people compare a CA at the hub and at a host.
func Fingerprint(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.Raw)
	return "SHA256:" + hex.EncodeToString(sum[:])
}
