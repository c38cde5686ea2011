// Package sshauth reads out of an event how somebody authenticated: the methods,
// and of the key its type, fingerprint and certificate. The hook stores what
// sshd wrote, because reading keys takes a library that is slow to start.
//
// It verifies nothing: sshd has done that.
package sshauth

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Decode is event.Decode, and reads Auth out of what the hook stored. An event
// whose Auth was read by an older hook stays as it is. Safe for concurrent use.
func Decode(b []byte) (event.Event, error) {
	e, err := event.Decode(b)
	if err == nil && e.Login.Auth.Info != "" {
		e.Login.Auth = Parse(e.Login.Auth.Info).Cleaned()
	}
	return e, err
}

// Parse reads SSH_AUTH_INFO_0, which is also the form of the file that
// ExposeAuthInfo makes, see sshd_config(5): a line for each method that was
// passed, "METHOD[/SUBMETHOD] [KEYTYPE BASE64]" and perhaps more words. Of what
// is not as it should be, the part that is understood is used. Its strings are
// not cleaned.
func Parse(s string) event.Auth {
	var a event.Auth
	var methods []string
	for line := range strings.Lines(s[:min(len(s), event.MaxAuthInfo)]) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		methods = append(methods, f[0])
		if len(f) < 3 {
			continue
		}
		blob, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			blob = nil
		}
		if isKeyType(f[1]) || bears(blob, f[1]) {
			a = describe(f[1], blob)
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

// certSuffix ends the type of every certificate, see OpenSSH's
// PROTOCOL.certkeys.
const certSuffix = "-cert-v01@openssh.com"

// describe says what is to be told of a key of a type, in its wire form. A
// certificate has the fingerprint of the key that it is for, as in sshd's log.
func describe(keyType string, blob []byte) event.Auth {
	a := event.Auth{KeyType: keyType}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != keyType {
		// A kind of key that the library does not know, or no longer: a plain one
		// is hashed as it is.
		if !strings.HasSuffix(keyType, certSuffix) && bears(blob, keyType) {
			a.Fingerprint = fingerprint(blob)
		}
		return a
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		a.Fingerprint = ssh.FingerprintSHA256(key)
		return a
	}
	a.Fingerprint = ssh.FingerprintSHA256(cert.Key)
	a.Serial, a.KeyID = cert.Serial, cert.KeyId
	a.CAFingerprint = ssh.FingerprintSHA256(cert.SignatureKey)
	return a
}

// bears reports whether a blob has the form of a key of a type: strings and, if
// it is a plain one, nothing else, the type in front (RFC 4253, section 6.6).
func bears(blob []byte, keyType string) bool {
	n := 0
	for len(blob) > 0 {
		var w struct {
			Text string
			Rest []byte `ssh:"rest"`
		}
		if ssh.Unmarshal(blob, &w) != nil || n == 0 && w.Text != keyType {
			return false
		}
		blob = w.Rest
		n++
	}
	return n > 1
}

// fingerprint is what ssh-keygen -l and sshd's log show.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
