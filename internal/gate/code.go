package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/argon2"
)

// codeDigits is how many digits a code has that is sent (NIST SP 800-63B-4,
// 3.1.3.2: at least six).
const codeDigits = 6

// newCode returns a random code of codeDigits digits.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // never since Go 1.24
	}
	return fmt.Sprintf("%0*d", codeDigits, n)
}

// typed returns what somebody typed for a code, as codes are kept: without the
// spaces and dashes that make them easier to read, in capitals.
func typed(s string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\t", "", "\r", "", "\n", "").Replace(s))
}

// isCode reports whether what was typed can be a code that is sent or that an app
// shows.
func isCode(s string) bool { return len(s) == codeDigits && strings.Trim(s, "0123456789") == "" }

// seal returns what is kept of a code that is sent. It hides the code from whoever
// looks by accident; from others it is hidden by who may read the file, and by its
// short life.
func seal(salt []byte, code string) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), code...))
	return sum[:]
}

// Recovery codes are for the day on which the phone is lost.
const (
	recoveryCodes = 10
	recoveryChars = 12 // of 5 bits: 60 bits, below which NIST SP 800-63B-4, 3.1.2 wants them hashed as passwords are
	recoverySalt  = 16
)

// What argon2id costs: 19 MiB and two passes (OWASP's password storage cheat sheet,
// 2026-11), some 0.1 s for whoever logs in.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonLength  = 32
)

// recoveryEncoding is Crockford's base 32, which has no letters that are taken for
// digits.
var recoveryEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Recovery are the recovery codes of a user, as they are kept. Each is used once.
type Recovery struct {
	Salt []byte   `json:"salt"`
	Sums [][]byte `json:"sums"` // of those that are left
}

// NewRecovery returns new recovery codes, as they are shown once, and as they are
// kept.
func NewRecovery() (codes []string, r Recovery) {
	r.Salt = make([]byte, recoverySalt)
	rand.Read(r.Salt)
	for range recoveryCodes {
		b := make([]byte, 8)
		rand.Read(b)
		code := recoveryEncoding.EncodeToString(b)[:recoveryChars]
		codes = append(codes, code[:4]+"-"+code[4:8]+"-"+code[8:])
		r.Sums = append(r.Sums, r.sum(code))
	}
	return codes, r
}

// isRecovery reports whether what was typed can be a recovery code.
func isRecovery(s string) bool {
	_, err := recoveryEncoding.DecodeString(readable(s) + "0000") // to whole bytes
	return len(s) == recoveryChars && err == nil
}

// readable takes letters that are mistaken for digits for those.
func readable(s string) string {
	return strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(s)
}

func (r Recovery) sum(code string) []byte {
	return argon2.IDKey([]byte(readable(code)), r.Salt, argonTime, argonMemory, argonThreads, argonLength)
}

// Use takes a code away, and reports whether it was there.
func (r *Recovery) Use(code string) bool {
	if len(r.Sums) == 0 || !isRecovery(code) {
		return false
	}
	sum, at := r.sum(code), -1
	for i, s := range r.Sums {
		if subtle.ConstantTimeCompare(s, sum) == 1 {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	r.Sums = append(r.Sums[:at:at], r.Sums[at+1:]...)
	return true
}
