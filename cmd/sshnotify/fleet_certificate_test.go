package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// forger signs certificates as the hub would, or as somebody else would.
type forger struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// thief reads the hub's CA from its database, as nobody may who has not stolen that.
func (h *fleetHub) thief() forger {
	h.t.Helper()
	db, err := store.Open(filepath.Join(h.state, store.FileName), store.Options{ReadOnly: true})
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	doc, err := store.Load[struct{ Certificate, Key []byte }](h.t.Context(), db, "fleet", "ca")
	if err != nil {
		h.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(doc.Certificate)
	if err != nil {
		h.t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(doc.Key)
	if err != nil {
		h.t.Fatal(err)
	}
	return forger{cert, key.(crypto.Signer)}
}

// stranger is a CA of the same name.
func stranger(t testing.TB, like *x509.Certificate) forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: like.Subject, NotBefore: like.NotBefore, NotAfter: like.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: like.SubjectKeyId,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return forger{cert, key}
}

// sign returns a certificate for a host, changed as told.
func (f forger) sign(t testing.TB, name string, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{"host"}}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, f.cert, key.Public(), f.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// withCertificate is a host that shows a certificate, and knows the hub as another
// host does.
func (h *simHost) withCertificate(c tls.Certificate) *simHost {
	config := h.tls().Clone()
	config.Certificates = []tls.Certificate{c}
	return newSimHost(h.name, h.url, config)
}

// Certificates that do not hold let nobody in, whatever the reason, and a host that
// is revoked is out at once, in the midst of its connection.
func TestFleetCertificates(t *testing.T) {
	e2e(t)
	t.Parallel()
	h := newFleetHub(t, swiftDir(t), toldSettings)
	hosts := h.mustJoin("web1", "web2", "web3")
	web1, web2 := hosts[0], hosts[1]
	hub := h.thief()
	other := stranger(t, hub.cert)
	day := 24 * time.Hour
	hostsCert := web1.tls().Certificates[0]
	leaf, err := x509.ParseCertificate(hostsCert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}

	for _, row := range []struct {
		name   string
		cert   tls.Certificate
		status []int // 0: no connection
		why    string
	}{
		{"as the hub signs them", hub.sign(t, "web1", nil), []int{200}, ""},
		{"ended an hour ago", hub.sign(t, "web1", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), []int{401}, "clock"},
		{"begins in two days", hub.sign(t, "web1", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(2 * day) }), []int{401}, "clock"},
		{"of another CA with the same name", other.sign(t, "web1", nil), []int{401, 0}, "unknown"},
		{"the other CA itself", tls.Certificate{Certificate: [][]byte{other.cert.Raw}, PrivateKey: other.key}, []int{401, 0}, "unknown"},
		{"the hub's CA itself", tls.Certificate{Certificate: [][]byte{hub.cert.Raw}, PrivateKey: hub.key}, []int{401, 0}, "unknown"},
		{"signed by a host", forger{leaf, hostsCert.PrivateKey.(crypto.Signer)}.sign(t, "web2", nil), []int{401, 0}, "unknown"},
		{"for a server", hub.sign(t, "web1", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), []int{401, 0}, "unknown"},
		{"for a name with a dot", hub.sign(t, "web1.example", nil), []int{401}, "unknown"},
		{"for everybody", hub.sign(t, "*", nil), []int{401}, "unknown"},
		{"for nobody", hub.sign(t, "", nil), []int{401}, "unknown"},
		{"from before the host joined", hub.sign(t, "web1", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(time.Now().Add(-day).UnixNano()) }), []int{401, 403}, ""},
	} {
		a, err := web1.withCertificate(row.cert).beat(t.Context())
		if err != nil {
			a.status = 0
		}
		if !slices.Contains(row.status, a.status) || a.status >= 400 && row.why != "" && a.why != row.why {
			t.Errorf("%s: %d (%s) %s %v", row.name, a.status, a.why, a.body, err)
		}
	}

	t.Run("revoked", func(t *testing.T) {
		visit := func() answer {
			web2.login(time.Now())
			a, err := web2.events(t.Context(), web2.batch())
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		if a := visit(); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if r := h.run(nil, "fleet", "revoke", "web2", "--config", h.settings); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		until(t, "an open connection to be of no use", func() bool { return visit().status == 403 })
		web2.client.CloseIdleConnections()
		if a := visit(); a.status != 403 || a.why != "revoked" {
			t.Errorf("%d (%s) %s", a.status, a.why, a.body)
		}
		if a, err := web2.beat(t.Context()); err != nil || a.status != 403 {
			t.Errorf("a beat: %d %s %v", a.status, a.body, err)
		}
		// It joins anew, and the old certificate stays outside.
		again, a, err := h.join(h.token("--name", "web2"), "web2")
		if err != nil || a.status != 200 {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		if a, err := newSimHost("web2", h.url(), again.config()).beat(t.Context()); err != nil || a.status != 200 {
			t.Errorf("joined anew: %d %s %v", a.status, a.body, err)
		}
		if a := visit(); a.status != 403 && a.status != 401 {
			t.Errorf("the old certificate: %d %s", a.status, a.body)
		}
	})

	t.Run("tokens", func(t *testing.T) {
		once, named, short := h.token(), h.token("--name", "web4"), h.token("--for", "1s")
		for _, row := range []struct {
			name, token, host string
			status            []int
		}{
			{"a name that is another's", once, "web1", []int{409, 403}},
			{"a name with a dot", once, "web1.example", []int{400, 403}},
			{"a star", once, "*", []int{400, 403}},
			{"used", once, "web5", []int{200}},
			{"used again", once, "web6", []int{403}},
			{"for another name", named, "web7", []int{403}},
			{"for its name", named, "web4", []int{200}},
			{"for its name, again", named, "web4", []int{403}},
		} {
			for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
				_, a, err := h.join(row.token, row.host)
				if a.status == 429 && time.Now().Before(end) {
					continue
				}
				if err != nil || !slices.Contains(row.status, a.status) {
					t.Errorf("%s: %d %s %v", row.name, a.status, a.body, err)
				}
				break
			}
		}
		until(t, "a token to end", func() bool {
			_, a, err := h.join(short, "web8")
			if err == nil && a.status == 200 {
				short = h.token("--for", "1s") // this machine was faster
				time.Sleep(1100 * time.Millisecond)
			}
			return err == nil && a.status == 403
		})
	})

	t.Run("stolen", func(t *testing.T) {
		web3 := hosts[2]
		copied := web3.withCertificate(web3.tls().Certificates[0])
		for range 3 {
			for _, s := range []*simHost{web3, copied} {
				s.login(time.Now())
				lines := s.batch()
				if a, err := s.events(t.Context(), lines); err != nil || a.status != 200 {
					t.Fatalf("%d %s %v", a.status, a.body, err)
				} else {
					s.taken(lines, a, 0)
				}
				if a, err := s.beat(t.Context()); err != nil || a.status != 200 {
					t.Fatalf("%d %s %v", a.status, a.body, err)
				}
			}
		}
		h.lookAtHosts()
		until(t, "the two places to be told", func() bool {
			return slices.ContainsFunc(h.told.read(), func(l toldLine) bool {
				return l.Kind == "alert" && l.Severity == "high" && strings.Contains(fmt.Sprint(l.Headline, l.Title, l.Text), "web3")
			})
		})
	})
}
