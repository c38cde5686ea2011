package hub

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

func openDB(t testing.TB) *store.DB {
	t.Helper()
	return openDBIn(t, t.TempDir())
}

func openDBIn(t testing.TB, dir string) *store.DB {
	t.Helper()
	db := storetest.Open(t, filepath.Join(dir, "state"))
	db.BePatient(30)
	return db
}

// newToken returns a token of a registry.
func newToken(t testing.TB, r *Registry, o TokenOptions) fleet.Token {
	t.Helper()
	text, err := r.NewToken(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	token, err := fleet.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newCSR(t testing.TB, name string) string {
	t.Helper()
	_, csr, err := fleet.NewKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(csr)
}

func TestJoin(t *testing.T) {
	ctx := context.Background()
	r := NewRegistry(openDB(t))
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	r.now = func() time.Time { return now }
	ca, err := loadCA(ctx, r.db, now)
	if err != nil {
		t.Fatal(err)
	}
	join := func(token fleet.Token, csr string) (string, error) {
		_, der, err := r.join(ctx, ca, fleet.JoinRequest{Token: token.Secret, CSR: csr})
		if err != nil {
			return "", err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		h, ok := ca.verify(cert)
		if !ok {
			t.Fatal("the authority does not know its own certificate")
		}
		return h.name, nil
	}
	why := func(err error) string {
		var no *refusal
		if errors.As(err, &no) {
			return no.why
		}
		return ""
	}
	open := newToken(t, r, TokenOptions{})
	first := newCSR(t, "web1")
	if name, err := join(open, first); name != "web1" || err != nil {
		t.Fatalf("the first use: %q, %v", name, err)
	}
	for _, row := range []struct {
		situation string
		token     fleet.Token
		csr       string
		want      string // why it is refused; empty: it is not
	}{
		{"the same request again, whose answer was lost", open, first, ""},
		{"the token used twice", open, newCSR(t, "web2"), fleet.WhyToken},
		{"a token nobody gave", fleet.Token{Secret: "guess"}, newCSR(t, "web2"), fleet.WhyToken},
		{"a token that ended", newToken(t, r, TokenOptions{Life: time.Nanosecond}), newCSR(t, "web2"), fleet.WhyToken},
		{"a token for another name", newToken(t, r, TokenOptions{Name: "db1"}), newCSR(t, "web2"), fleet.WhyToken},
		{"a name that another host has", newToken(t, r, TokenOptions{}), newCSR(t, "web1"), fleet.WhyName},
		{"the same name, with a token for it: the host was installed anew", newToken(t, r, TokenOptions{Name: "web1"}), newCSR(t, "web1"), ""},
		{"an impossible name", newToken(t, r, TokenOptions{}), newCSR(t, "*.example.com"), fleet.WhyName},
		{"no request", newToken(t, r, TokenOptions{}), "x", fleet.WhyUnknown},
	} {
		name, err := join(row.token, row.csr)
		if why(err) != row.want || err == nil && name != "web1" {
			t.Errorf("%s: %q, %v; want %q", row.situation, name, err, row.want)
		}
	}
	two := newToken(t, r, TokenOptions{Uses: 2, Kind: KindStandby, Labels: map[string]string{"env": "prod"}})
	for _, name := range []string{"a", "b"} {
		if _, err := join(two, newCSR(t, name)); err != nil {
			t.Errorf("a token for two hosts: %v", err)
		}
	}
	if _, err := join(two, newCSR(t, "c")); why(err) != fleet.WhyToken {
		t.Errorf("the third host with a token for two: %v", err)
	}
	if _, err := join(two, first); why(err) != fleet.WhyToken {
		t.Errorf("a host with a token for a standby that was used: %v", err)
	}
	if err := r.Revoke(ctx, "a", "nobody"); err == nil {
		t.Error("revoking a host that is not there is no error")
	}
	if err := r.Revoke(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	all, err := r.Hosts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	end := now.Add(hostLife)
	env := map[string]string{"env": "prod"}
	if d := cmp.Diff([]Host{
		{Name: "a", Kind: KindStandby, Joined: now, Expires: end, Revoked: now, Labels: env},
		{Name: "b", Kind: KindStandby, Joined: now, Expires: end, Labels: env},
		{Name: "web1", Kind: KindHost, Joined: now, Expires: end},
	}, all); d != "" {
		t.Error(d)
	}
	// Whoever was revoked may join anew under its name, with any token.
	if _, err := join(newToken(t, r, TokenOptions{}), newCSR(t, "a")); err != nil {
		t.Errorf("a revoked host that joins anew: %v", err)
	}
}

func TestTheAuthorityKnowsItsOwn(t *testing.T) {
	ctx, now := context.Background(), time.Now()
	ca, err := loadCA(ctx, openDB(t), now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := loadCA(ctx, openDB(t), now)
	if err != nil {
		t.Fatal(err)
	}
	csr, _, err := parseCSR(newCSR(t, "web1"))
	if err != nil {
		t.Fatal(err)
	}
	of := func(a *authority, name string) *x509.Certificate {
		_, der, err := a.issue(name, KindHost, csr.PublicKey, now, 0)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(pemCert(der)))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	own, err := ca.own([]string{"hub.example.com", "192.0.2.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		cert *x509.Certificate
		want bool
	}{
		"a host's":           {of(ca, "web1"), true},
		"another CA's":       {of(other, "web1"), false},
		"the hub's own":      {own.Leaf, false},
		"the CA itself":      {ca.cert, false},
		"an impossible name": {of(ca, "*"), false},
		"a name with a dot":  {of(ca, "web1.example.com"), false},
		"a name in capitals": {of(ca, "WEB1"), false},
	} {
		if h, ok := ca.verify(row.cert); ok != row.want {
			t.Errorf("%s: verify = %+v, %v", name, h, ok)
		}
	}
	for _, name := range []string{"hub.example.com", "192.0.2.1"} {
		if err := own.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func writeAll(t testing.TB, file string, from io.Reader) {
	t.Helper()
	b, err := io.ReadAll(from)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
