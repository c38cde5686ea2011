package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// Credentials are what a host shows a hub, and knows it by: two files in a folder of
// their own.
type Credentials struct{ dir string }

// CredentialsIn returns the credentials that belong to a state folder.
func CredentialsIn(stateDir string) Credentials {
	return Credentials{filepath.Join(stateDir, "hub")}
}

const (
	// hostFile has key and certificate, so that one rename renews both.
	hostFile = "host.pem"
	// caFile has the hub's CA, which alone is trusted then. Without it those of the
	// system are.
	caFile = "ca.crt"
	// maxCredential is more than a chain of certificates has, in bytes.
	maxCredential = 64 << 10
)

// ErrNotJoined means that there is no certificate to show a hub.
var ErrNotJoined = errors.New("this host has not joined a hub")

// Folder returns where the files are.
func (c Credentials) Folder() string { return c.dir }

// Certificate returns the one that the host shows. It has no secret.
func (c Credentials) Certificate() (*x509.Certificate, error) {
	pair, err := c.pair()
	if err != nil {
		return nil, err
	}
	return pair.Leaf, nil
}

func (c Credentials) pair() (*tls.Certificate, error) {
	b, err := state.ReadFile(filepath.Join(c.dir, hostFile), maxCredential)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotJoined
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(b, b)
	return &pair, err
}

// roots returns by which certificates the hub is known; system are those to go by
// where there are none of its own, nil the machine's.
func (c Credentials) roots(system *x509.CertPool) (*x509.CertPool, error) {
	b, err := state.ReadFile(filepath.Join(c.dir, caFile), maxCredential)
	if errors.Is(err, fs.ErrNotExist) {
		return system, nil
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, errors.New("no certificate in PEM form in " + filepath.Join(c.dir, caFile))
	}
	return pool, nil
}

// keep keeps a key with its certificate, both in PEM.
func (c Credentials) keep(key []byte, a JoinAnswer) error {
	both := slices.Concat(key, []byte(a.Certificate))
	if _, err := tls.X509KeyPair(both, both); err != nil {
		return errors.New("the hub's certificate for this host does not fit its key")
	}
	d, err := state.MakeFolder(c.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Replace(hostFile, both, 0o600)
}

// keepCA keeps the CA by which the hub is known; nil: those of the system.
func (c Credentials) keepCA(ca *x509.Certificate) error {
	d, err := state.MakeFolder(c.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if ca == nil {
		return d.Remove(caFile)
	}
	return d.Replace(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o644)
}

// RenewDue reports whether a certificate should be renewed: two thirds of its life
// are over.
func RenewDue(c *x509.Certificate, now time.Time) bool {
	life := c.NotAfter.Sub(c.NotBefore)
	return now.After(c.NotBefore.Add(life / 3 * 2))
}

// Join makes a key, has the hub of a token sign a certificate for it in a name, and
// keeps both. The token's own name goes before. It returns the name that the host has
// from then on.
func Join(ctx context.Context, o HTTPSOptions, t Token, name string) (string, error) {
	if t.Name != "" {
		name = t.Name
	}
	var ca *x509.Certificate
	h := newJoining(o, t, &ca)
	defer h.Close()
	key, csr, err := NewKey(name)
	if err != nil {
		return "", err
	}
	a, err := h.sign(ctx, PathJoin, JoinRequest{Token: t.Secret, CSR: string(csr)})
	if err != nil {
		return "", err
	}
	if err := o.Credentials.keepCA(ca); err != nil {
		return "", err
	}
	return a.Name, o.Credentials.keep(key, a)
}

// Renew replaces the host's key and certificate by new ones.
func (h *HTTPS) Renew(ctx context.Context) error {
	old, err := h.o.Credentials.Certificate()
	if err != nil {
		return err
	}
	key, csr, err := NewKey(old.Subject.CommonName)
	if err != nil {
		return err
	}
	a, err := h.sign(ctx, PathRenew, JoinRequest{CSR: string(csr)})
	if err != nil {
		return err
	}
	return h.o.Credentials.keep(key, a)
}

// CA returns the certificate of the hub's CA, in PEM, as the worker has it. It is
// fs.ErrNotExist where the hub has a certificate of its owner's.
func (c Credentials) CA() ([]byte, error) {
	return state.ReadFile(filepath.Join(c.dir, caFile), maxCredential)
}

// NameBy returns the name that a hub's CA gave this host.
func (c Credentials) NameBy(ca *x509.Certificate) (string, error) {
	cert, err := c.Certificate()
	if err != nil {
		return "", err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: cert.NotBefore})
	if err != nil || !ValidName(cert.Subject.CommonName) {
		return "", errors.New("this host's certificate is of another hub than that CA's")
	}
	return cert.Subject.CommonName, nil
}
