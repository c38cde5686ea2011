package login

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxAuthInfo bounds what is read of how somebody authenticated. sshd writes a
// line a method; the largest, a certificate with an RSA key and many
// principals, has some 10 KiB.
const maxAuthInfo = 64 << 10

// parseAuthInfo reads SSH_AUTH_INFO_0, which is also the form of the file that
// ExposeAuthInfo makes, see sshd_config(5): a line for each method that was
// passed, "METHOD[/SUBMETHOD] [KEYTYPE BASE64]" and perhaps more words. Of what
// is not as it should be, the part that is understood is used.
func parseAuthInfo(s string) event.Auth {
	var a event.Auth
	var methods []string
	for line := range strings.Lines(s[:min(len(s), maxAuthInfo)]) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		methods = append(methods, f[0])
		if len(f) < 3 {
			continue
		}
		blob, err := base64.StdEncoding.DecodeString(f[2])
		if key := (wire{rest: blob}); err != nil || key.text() != f[1] {
			blob = nil
		}
		if blob != nil || isKeyType(f[1]) {
			a = event.Auth{KeyType: f[1]}
			describeKey(&a, blob)
		}
	}
	a.Method = strings.Join(methods, ",")
	return a
}

// isKeyType tells the type of a key that can't be read from what else may
// follow a method. The names are in RFC 4253, section 6.6, RFC 5656 and
// OpenSSH's PROTOCOL.u2f.
func isKeyType(s string) bool {
	return strings.HasPrefix(s, "ssh-") || strings.HasPrefix(s, "ecdsa-") || strings.HasPrefix(s, "sk-")
}

// certSuffix ends the type of every certificate.
const certSuffix = "-cert-v01@openssh.com"

// keyParts says how many strings make up a plain key after its type. Only what
// is inside a certificate needs taking apart; a plain key is hashed as it is.
func keyParts(plain string) (n int, ok bool) {
	switch plain {
	case "ssh-ed25519":
		return 1, true // public key
	case "ssh-rsa":
		return 2, true // e, n
	case "ssh-dss":
		return 4, true // p, q, g, y
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		return 2, true // curve, point
	case "sk-ssh-ed25519@openssh.com":
		return 2, true // public key, application
	case "sk-ecdsa-sha2-nistp256@openssh.com":
		return 3, true // curve, point, application
	}
	return 0, false
}

// describeKey fills in what the wire form of a key of a's type says. The form
// is RFC 4253's, and of a certificate that of OpenSSH's PROTOCOL.certkeys.
// Nothing is verified: sshd has done that. The parsing is done here because to
// import x/crypto/ssh costs every login 0.2 ms.
func describeKey(a *event.Auth, blob []byte) {
	w := wire{rest: blob}
	w.text() // the type
	plain, isCert := strings.CutSuffix(a.KeyType, certSuffix)
	if !isCert {
		// Every kind of plain key is strings and nothing else.
		found := false
		for !w.bad && len(w.rest) > 0 {
			w.text()
			found = !w.bad
		}
		if found {
			a.Fingerprint = fingerprint(blob)
		}
		return
	}
	if strings.HasPrefix(plain, "sk-") {
		plain += "@openssh.com"
	}
	n, ok := keyParts(plain)
	if !ok {
		return
	}
	w.text() // the nonce
	start := w.rest
	for range n {
		w.text()
	}
	if w.bad {
		return
	}
	key := binary.BigEndian.AppendUint32(nil, uint32(len(plain)))
	key = append(key, plain...)
	key = append(key, start[:len(start)-len(w.rest)]...)
	a.Fingerprint = fingerprint(key)
	serial := w.uint64()
	w.take(4) // user or host certificate
	id := w.text()
	if w.bad {
		return
	}
	a.Serial, a.KeyID = serial, id
	w.text()   // principals
	w.take(16) // valid after, valid before
	w.text()   // critical options
	w.text()   // extensions
	w.text()   // reserved
	if ca := w.text(); ca != "" {
		a.CAFingerprint = fingerprint([]byte(ca))
	}
}

// fingerprint is what ssh-keygen -l and sshd's log show.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// wire reads the data types of RFC 4251, section 5. After the first piece that
// is not there, bad is set and everything is empty.
type wire struct {
	rest []byte
	bad  bool
}

func (w *wire) take(n uint64) []byte {
	if w.bad || n > uint64(len(w.rest)) {
		w.bad = true
		return nil
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b
}

func (w *wire) text() string {
	b := w.take(4)
	if w.bad {
		return ""
	}
	return string(w.take(uint64(binary.BigEndian.Uint32(b))))
}

func (w *wire) uint64() uint64 {
	b := w.take(8)
	if w.bad {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
