package gate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

// What authenticator apps take (RFC 6238, with the values that all of them have
// in common).
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	totpSkew   = 1  // steps that a phone's clock may be off, either way
	totpSecret = 20 // bytes (RFC 4226, 4, R6: 160 bits are recommended)
)

// Secret is the key that an authenticator app shares with the host.
type Secret []byte

// NewSecret returns a random one.
func NewSecret() Secret {
	b := make(Secret, totpSecret)
	rand.Read(b) // never fails since Go 1.24
	return b
}

var secretEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Text is the secret as people type it into an app.
func (s Secret) Text() string { return secretEncoding.EncodeToString(s) }

// URL is the secret as apps read it from a picture
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
func (s Secret) URL(host, user string) string {
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + host + ":" + user}
	u.RawQuery = url.Values{"secret": {s.Text()}, "issuer": {host}}.Encode()
	return u.String()
}

// code returns the code of a step (RFC 4226, 5.3).
func (s Secret) code(step int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac := hmac.New(sha1.New, s)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, n%1_000_000)
}

// Code returns the code that an app shows at a time.
func (s Secret) Code(at time.Time) string { return s.code(stepAt(at)) }

// ParseSecret reads what Text returns, with or without spaces.
func ParseSecret(text string) (Secret, error) { return secretEncoding.DecodeString(typed(text)) }

// stepAt returns which step a time is in.
func stepAt(t time.Time) int64 { return t.Unix() / int64(totpStep/time.Second) }

// Check reports whether code is that of now, or of the step before or after it,
// and of which. A step up to last was used already (RFC 6238, 5.2), and counts as
// wrong. It takes as long for a wrong code as for a right one.
func (s Secret) Check(code string, now time.Time, last int64) (step int64, ok bool) {
	at := stepAt(now)
	for n := at - totpSkew; n <= at+totpSkew; n++ {
		if subtle.ConstantTimeCompare([]byte(s.code(n)), []byte(code)) == 1 && n > last {
			step, ok = n, true
		}
	}
	return step, ok
}

// Confirm is Check for a key that was never used: of what somebody types.
func (s Secret) Confirm(answer string, now time.Time) (step int64, ok bool) {
	return s.Check(typed(answer), now, 0)
}
