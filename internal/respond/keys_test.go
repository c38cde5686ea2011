package respond

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func testKey(t testing.TB) ssh.PublicKey {
	t.Helper()
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicKey(t testing.TB) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(testKey(t))))
}

func fingerprint(t testing.TB) string { return ssh.FingerprintSHA256(testKey(t)) }
