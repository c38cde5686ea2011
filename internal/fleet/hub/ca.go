package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	hostLife = 90 * 24 * time.Hour
	ownLife  = 90 * 24 * time.Hour
	// ownRenew is how long before its end the hub makes itself another certificate.
	ownRenew = 30 * 24 * time.Hour
	// backdated is how far a host's clock may be behind that joins on the first day.
	backdated = 24 * time.Hour
)

// authority signs the certificates of hosts, and the hub's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// The document that the authority is: in the database, so that a copy of that is a
// whole hub.
const (
	kindCA = "fleet"
	nameCA = "ca"
)

type caDoc struct {
	Certificate []byte `json:"certificate"` // DER
	Key         []byte `json:"key"`         // PKCS #8
}

// loadCA returns the authority of a database, which it makes where there is none.
func loadCA(ctx context.Context, db *store.DB, now time.Time) (*authority, error) {
	doc, err := store.Load[caDoc](ctx, db, kindCA, nameCA)
	if err != nil {
		return nil, err
	}
	if doc.Key == nil {
		fresh, err := newCA(now)
		if err != nil {
			return nil, err
		}
		// Another process may be as far.
		err = db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
			if doc, err = store.Get[caDoc](t, kindCA, nameCA); err != nil || doc.Key != nil {
				return err
			}
			doc = fresh
			return store.Put(t, kindCA, nameCA, doc)
		})
		if err != nil {
			return nil, err
		}
	}
	return doc.authority()
}

func (doc caDoc) authority() (*authority, error) {
	cert, err := x509.ParseCertificate(doc.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(doc.Key)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key of the hub's CA is of another type")
	}
	a := &authority{cert, ec, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a, nil
}

func newCA(now time.Time) (caDoc, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return caDoc{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "sshnotify hub CA"},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return caDoc{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return caDoc{der, pkcs8}, err
}

// issue returns a host's certificate. Its serial number is the time in nanoseconds, and
// above after, so that those before a moment can be refused.
func (a *authority) issue(name string, kind Kind, key any, now time.Time, after int64) (credential, []byte, error) {
	serial := max(now.UnixNano(), after+1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{string(kind)}}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(hostLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	return credential{serial: serial, expires: template.NotAfter}, der, err
}

// own returns a certificate for the hub itself.
func (a *authority) own(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "sshnotify hub"},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(ownLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, err
}

// holder is whom a certificate is for, whether or not the hub lets that in.
type holder struct {
	name            string
	kind            Kind
	serial          int64 // when it was issued, in nanoseconds since 1970
	begins, expires time.Time
}

// verify reads a certificate that somebody has the key of, and reports whether it is
// one of the authority's for a host. Whether it holds now is asked at each request.
func (a *authority) verify(leaf *x509.Certificate) (holder, bool) {
	_, err := leaf.Verify(x509.VerifyOptions{Roots: a.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: leaf.NotBefore})
	if err != nil || !fleet.ValidName(leaf.Subject.CommonName) || !leaf.SerialNumber.IsInt64() || len(leaf.Subject.OrganizationalUnit) != 1 {
		return holder{}, false
	}
	return holder{
		name: leaf.Subject.CommonName, kind: Kind(leaf.Subject.OrganizationalUnit[0]), serial: leaf.SerialNumber.Int64(),
		begins: leaf.NotBefore, expires: leaf.NotAfter,
	}, true
}

// goodKey reports whether a host's key is of a type that no one breaks.
func goodKey(key any) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	}
	return false
}

func pemCert(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
