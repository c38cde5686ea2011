package sshauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/event"
)

// keys returns a signer for each kind of key that can be made here.
func keys(t testing.TB) map[string]ssh.Signer {
	t.Helper()
	signers := map[string]ssh.Signer{}
	add := func(key any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		signers[s.PublicKey().Type()] = s
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	add(ed, err)
	add(rsa.GenerateKey(rand.Reader, 2048))
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		add(ecdsa.GenerateKey(curve, rand.Reader))
	}
	return signers
}

// tokens returns public keys of hardware tokens, made from plain ones.
func tokens(t testing.TB, of map[string]ssh.Signer) []ssh.PublicKey {
	t.Helper()
	var ed struct {
		Type string
		Key  []byte
	}
	var ec struct {
		Type, Curve string
		Point       []byte
	}
	unmarshal := func(name string, to any) {
		if err := ssh.Unmarshal(of[name].PublicKey().Marshal(), to); err != nil {
			t.Fatal(err)
		}
	}
	unmarshal("ssh-ed25519", &ed)
	unmarshal("ecdsa-sha2-nistp256", &ec)
	var keys []ssh.PublicKey
	for _, blob := range [][]byte{
		ssh.Marshal(struct {
			Type string
			Key  []byte
			App  string
		}{"sk-ssh-ed25519@openssh.com", ed.Key, "ssh:"}),
		ssh.Marshal(struct {
			Type, Curve string
			Point       []byte
			App         string
		}{"sk-ecdsa-sha2-nistp256@openssh.com", ec.Curve, ec.Point, "ssh:"}),
	} {
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func certify(t testing.TB, key ssh.PublicKey, ca ssh.Signer) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{
		Key: key, Serial: 42, CertType: ssh.UserCert, KeyId: "alice, laptop", ValidPrincipals: []string{"alice", "deploy"},
		ValidBefore: ssh.CertTimeInfinity,
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{"source-address": "192.0.2.0/24"}, Extensions: map[string]string{"permit-pty": ""}},
	}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return c
}

func line(key ssh.PublicKey) string {
	return "publickey " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}

func TestEveryKindOfKeyAndCertificate(t *testing.T) {
	signers := keys(t)
	public := tokens(t, signers)
	for _, s := range signers {
		public = append(public, s.PublicKey())
	}
	for _, key := range public {
		t.Run(key.Type(), func(t *testing.T) {
			want := event.Auth{Method: "publickey", KeyType: key.Type(), Fingerprint: ssh.FingerprintSHA256(key)}
			if d := cmp.Diff(want, Parse(line(key)+"\n")); d != "" {
				t.Error("plain:", d)
			}
			for _, ca := range signers {
				cert := certify(t, key, ca)
				want.KeyType, want.KeyID, want.Serial = cert.Type(), "alice, laptop", 42
				want.CAFingerprint = ssh.FingerprintSHA256(ca.PublicKey())
				if d := cmp.Diff(want, Parse(line(cert))); d != "" {
					t.Error("certificate:", d)
				}
			}
		})
	}
}

func TestParse(t *testing.T) {
	signer := keys(t)["ssh-ed25519"]
	key, cert := signer.PublicKey(), certify(t, signer.PublicKey(), signer)
	fp := ssh.FingerprintSHA256(key)
	blob := cert.Marshal()
	// The certificate up to and with its serial; the type and the rest are gone.
	upTo := func(n int) string { return base64.StdEncoding.EncodeToString(blob[:n]) }
	plain := event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: fp}
	also := func(a event.Auth, method string) event.Auth { a.Method = method; return a }
	future := ssh.Marshal(struct{ Type, Key string }{"mldsa44@example.com", "x"})
	rows := []struct {
		name string
		info string
		want event.Auth
	}{
		{"nothing", "", event.Auth{}},
		{"newlines", "\n\r\n \n", event.Auth{}},
		{"password", "password\n", event.Auth{Method: "password"}},
		{"keyboard-interactive", "keyboard-interactive/pam\n", event.Auth{Method: "keyboard-interactive/pam"}},
		{"Kerberos names a principal", "gssapi-with-mic alice@EXAMPLE.COM\n", event.Auth{Method: "gssapi-with-mic"}},
		{"a key, then a one-time password", line(key) + "\nkeyboard-interactive/pam\n", also(plain, "publickey,keyboard-interactive/pam")},
		{"two keys: the last counts", line(cert) + "\n" + line(key) + "\n", also(plain, "publickey,publickey")},
		{"a host's key, and what sshd adds", "hostbased" + strings.TrimPrefix(line(key), "publickey") + ` client user "alice", client host "x"`, also(plain, "hostbased")},
		{"no newline at the end", line(key), plain},
		{"a kind of key from the future", "publickey mldsa44@example.com " + base64.StdEncoding.EncodeToString(future), event.Auth{Method: "publickey", KeyType: "mldsa44@example.com", Fingerprint: fingerprint(future)}},
		{"a kind of certificate from the future", "publickey mldsa44-cert-v01@openssh.com " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct{ Type, Key string }{"mldsa44-cert-v01@openssh.com", "x"})), event.Auth{Method: "publickey", KeyType: "mldsa44-cert-v01@openssh.com"}},
		{"a type without a key", "publickey ssh-ed25519", event.Auth{Method: "publickey"}},
		{"bad base64", "publickey ssh-ed25519 !!!!", event.Auth{Method: "publickey", KeyType: "ssh-ed25519"}},
		{"words that are no key", "publickey of alice", event.Auth{Method: "publickey"}},
		{"a key of another type than it says", "publickey ssh-rsa " + strings.Fields(line(key))[2], event.Auth{Method: "publickey", KeyType: "ssh-rsa"}},
		{"a key cut short", "publickey ssh-ed25519 " + base64.StdEncoding.EncodeToString(key.Marshal()[:40]), event.Auth{Method: "publickey", KeyType: "ssh-ed25519"}},
		{"a type alone", "publickey ssh-ed25519 " + base64.StdEncoding.EncodeToString(key.Marshal()[:15]), event.Auth{Method: "publickey", KeyType: "ssh-ed25519"}},
		{"a certificate cut in its nonce", "publickey " + cert.Type() + " " + upTo(60), event.Auth{Method: "publickey", KeyType: cert.Type()}},
		{"a certificate cut after its key", "publickey " + cert.Type() + " " + upTo(36+36+36), event.Auth{Method: "publickey", KeyType: cert.Type()}},
		{"a certificate cut in its signature key", "publickey " + cert.Type() + " " + upTo(len(blob)-100), event.Auth{Method: "publickey", KeyType: cert.Type()}},
		{"lengths of 4 GiB", "publickey ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\xff\xff\xff\xffx")), event.Auth{Method: "publickey", KeyType: "ssh-ed25519"}},
		{"a key of 1 MiB", line(key) + "\n" + "publickey ssh-rsa " + strings.Repeat("A", 1<<20), event.Auth{Method: "publickey,publickey", KeyType: "ssh-rsa"}},
		{"endless methods", strings.Repeat("x\n", 1<<20) + line(key), event.Auth{Method: strings.Repeat(",x", event.MaxAuthInfo/2)[1:]}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if d := cmp.Diff(r.want, Parse(r.info)); d != "" {
				t.Error(d)
			}
		})
	}
}

// FuzzParse holds what is read here against what x/crypto/ssh reads.
func FuzzParse(f *testing.F) {
	signers := keys(f)
	for _, key := range append(tokens(f, signers), signers["ssh-ed25519"].PublicKey(), signers["ecdsa-sha2-nistp384"].PublicKey()) {
		f.Add([]byte(line(key) + "\n"))
		f.Add([]byte(line(certify(f, key, signers["ssh-ed25519"])) + "\n"))
	}
	f.Add([]byte("password\nkeyboard-interactive/pam\n"))
	f.Fuzz(func(t *testing.T, info []byte) {
		got := Parse(string(info))
		word := strings.Fields(string(info))
		if len(word) != 3 || strings.Count(string(info), "\n") > 0 {
			return
		}
		blob, err := base64.StdEncoding.DecodeString(word[2])
		if err != nil {
			return
		}
		key, err := ssh.ParsePublicKey(blob)
		if err != nil || key.Type() != word[1] {
			return
		}
		want := event.Auth{Method: word[0], KeyType: key.Type(), Fingerprint: ssh.FingerprintSHA256(key)}
		if cert, ok := key.(*ssh.Certificate); ok {
			want.Fingerprint, want.CAFingerprint = ssh.FingerprintSHA256(cert.Key), ssh.FingerprintSHA256(cert.SignatureKey)
			want.Serial, want.KeyID = cert.Serial, cert.KeyId
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestDecodeReadsWhatTheHookStored(t *testing.T) {
	signer := keys(t)["ssh-ed25519"]
	cert := certify(t, signer.PublicKey(), signer)
	plain := event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: ssh.FingerprintSHA256(signer.PublicKey())}
	certified := event.Auth{Method: "publickey,publickey", KeyType: cert.Type(), Fingerprint: plain.Fingerprint, KeyID: `alice\u202e`, Serial: 42, CAFingerprint: plain.Fingerprint}
	cert.KeyId = "alice\u202e"
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	large := strings.TrimSuffix(line(signer.PublicKey()), "\n") + strings.Repeat(" more", 2000) + "\n"
	for _, r := range []struct {
		name       string
		auth, want event.Auth
	}{
		{"as sshd wrote it", event.Auth{Info: line(signer.PublicKey()) + "\n"}, plain},
		{"what an older hook had read", plain, plain},
		{"a certificate, with a name that is cleaned, after a key that is too long to keep", event.Auth{Info: large + line(cert)}, certified},
		{"nothing", event.Auth{}, event.Auth{}},
	} {
		e := event.Event{ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Login: event.Login{Auth: r.auth}}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r.want, got.Login.Auth); d != "" {
			t.Errorf("%s: %s", r.name, d)
		}
	}
}
