package order

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/respond"
)

// authority is a hub's CA.
func authority(t testing.TB) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, ca
}

func sample() Order {
	return Order{
		Nonce: NewNonce(), Host: "web1", Made: time.Now(), By: "carol", Actions: []respond.Action{respond.Lock, respond.End}, Seconds: 3600,
		Subject: respond.Subject{ID: "7K3F0000000000000000000000", Kind: event.KindLogin, User: "alice"},
	}
}

func signed(t testing.TB, key *ecdsa.PrivateKey, o Order) []byte {
	t.Helper()
	b, err := Sign(key, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is wrong with an order, or with its place or time, keeps a host from it.
func TestWhatAHostRefuses(t *testing.T) {
	key, ca := authority(t)
	other, _ := authority(t)
	now := time.Now()
	all := []string{Evidence, "end", "lock", "key", "block"}
	raw := func(prefix string, text string) []byte {
		s, err := sign(key, prefix, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(Signed{[]byte(text), s})
		return b
	}
	change := func(f func(*Order)) []byte {
		o := sample()
		f(&o)
		return signed(t, key, o)
	}
	tampered := func(f func(*Signed)) []byte {
		var s Signed
		if err := json.Unmarshal(signed(t, key, sample()), &s); err != nil {
			t.Fatal(err)
		}
		f(&s)
		b, _ := json.Marshal(s)
		return b
	}
	plain, _ := json.Marshal(sample())
	for _, row := range []struct {
		situation string
		data      []byte
		allow     []string
		want      string // of the reason; empty: it is carried out
	}{
		{"an order", signed(t, key, sample()), all, ""},
		{"one that is a second less than five minutes old", change(func(o *Order) { o.Made = now.Add(-Life + time.Second) }), all, ""},
		{"one of a hub whose clock is half a minute fast", change(func(o *Order) { o.Made = now.Add(30 * time.Second) }), all, ""},
		{"evidence alone", change(func(o *Order) { o.Actions = nil }), []string{Evidence}, ""},
		{"another's signature", signed(t, other, sample()), all, "has not signed"},
		{"no signature", tampered(func(s *Signed) { s.Signature = nil }), all, "has not signed"},
		{"a signature of something else", tampered(func(s *Signed) { s.Order = []byte(strings.Replace(string(s.Order), "alice", "bobby", 1)) }), all, "has not signed"},
		{"a receipt's signature", raw(receiptPrefix, string(plain)), all, "has not signed"},
		{"not an order at all", []byte("hello"), all, "no signed order"},
		{"nothing", nil, all, "no signed order"},
		{"two orders in one", append(signed(t, key, sample()), signed(t, key, sample())...), all, "no signed order"},
		{"more than an order has", []byte(`{"order":"` + strings.Repeat("A", MaxSize) + `"}`), all, "no signed order"},
		{"a field that nobody knows", raw(orderPrefix, `{"v":1,"also":"this"}`), all, "newer hub"},
		{"a newer version", raw(orderPrefix, `{"v":2}`), all, "version 2"},
		{"an action that nobody knows", raw(orderPrefix, strings.Replace(string(mustV(t, sample())), `"lock"`, `"wipe"`, 1)), all, "actions that"},
		{"an action twice", raw(orderPrefix, strings.Replace(string(mustV(t, sample())), `"lock"`, `"end"`, 1)), all, "actions that"},
		{"a nonce that is a path", raw(orderPrefix, strings.Replace(string(mustV(t, func() Order { o := sample(); o.Nonce = strings.Repeat("a", 32); return o }())), strings.Repeat("a", 32), "../../../etc/cron.d/aaaaaaaaaaaa", 1)), all, "no nonce"},
		{"an event that is a path", raw(orderPrefix, strings.Replace(string(mustV(t, sample())), "7K3F0000000000000000000000", "../../../../etc/cron.d/aaaa", 1)), all, "no event"},
		{"a year that is too long", raw(orderPrefix, strings.Replace(string(mustV(t, sample())), `"for":3600`, `"for":999999999999`, 1)), all, "366 days"},
		{"another host's", change(func(o *Order) { o.Host = "db1" }), all, "it is for db1"},
		{"one that is old", change(func(o *Order) { o.Made = now.Add(-Life - time.Second) }), all, "too late"},
		{"one of tomorrow", change(func(o *Order) { o.Made = now.Add(24 * time.Hour) }), all, "clock"},
		{"one of two minutes from now", change(func(o *Order) { o.Made = now.Add(2 * time.Minute) }), all, "clock"},
		{"an action that is not allowed", signed(t, key, sample()), []string{Evidence, "end"}, "does not allow lock"},
		{"evidence where only actions are allowed", change(func(o *Order) { o.Actions = nil }), []string{"end"}, "does not allow evidence"},
		{"anything where nothing is allowed", signed(t, key, sample()), nil, "does not allow lock"},
	} {
		o, err := Open(row.data, ca)
		known := err == nil
		if err == nil {
			err = o.Check("web1", row.allow, now)
		}
		no, _ := errors.AsType[*Refusal](err)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.situation, err)
		case row.want != "" && (no == nil || !strings.Contains(no.Why, row.want)):
			t.Errorf("%s: %v, want %q", row.situation, err, row.want)
		case no != nil && known != no.Known && !strings.Contains(row.want, "newer") && no.Known != strings.Contains("version 2 actions that no nonce no event 366 days", row.want):
			t.Errorf("%s: known is %v", row.situation, no.Known)
		}
	}
}

// The name of who asks goes to the journal also where the order is refused: it is clean.
func TestWhoAsksIsClean(t *testing.T) {
	key, ca := authority(t)
	o := sample()
	o.By, o.Seconds = "carol\x1b[2J\nroot", int64(MaxFor/time.Second)+1
	text := mustV(t, o)
	signature, err := sign(key, orderPrefix, text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(Signed{text, signature})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := Open(data, ca); err == nil || o.By == "" || strings.ContainsAny(o.By, "\x1b\n") {
		t.Errorf("by %q, %v", o.By, err)
	}
}

// mustV is an order as it is signed, without its signature.
func mustV(t *testing.T, o Order) []byte {
	t.Helper()
	o.V, o.Made = Version, o.Made.UTC()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReceipts(t *testing.T) {
	key, ca := authority(t)
	sum := sha256.Sum256([]byte("evidence"))
	r, err := SignReceipt(key, "web1", sum)
	if err != nil {
		t.Fatal(err)
	}
	if !ReceiptFits(ca, "web1", sum, r) {
		t.Error("a receipt does not fit")
	}
	if ReceiptFits(ca, "db1", sum, r) || ReceiptFits(ca, "web1", sha256.Sum256([]byte("else")), r) || ReceiptFits(ca, "web1", sum, nil) {
		t.Error("a receipt fits what it is not for")
	}
}

// Whatever lies in the folder, reading it neither panics nor makes an order of it.
func FuzzOpen(f *testing.F) {
	key, ca := authority(f)
	f.Add(signed(f, key, sample()))
	f.Add([]byte(`{"order":"e30=","signature":"AA=="}`))
	_, alien := authority(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := Open(data, alien); err == nil {
			t.Errorf("taken: %+v", o)
		}
		if o, err := Open(data, ca); err == nil && o.valid() != nil {
			t.Errorf("taken, and not valid: %+v", o)
		}
	})
}
