package jetstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// example runs a server with the settings of examples/nats, but for its places: there is
// one, without a cluster, and its files are below dir.
func example(t *testing.T, dir string, changed ...string) (url string) {
	t.Helper()
	certificate(t, filepath.Join(dir, "etc/nats1"), filepath.Join(dir, "etc/ca.crt"))
	moved := strings.NewReplacer(append([]string{"/etc/nats/", filepath.Join(dir, "etc") + "/", "/var/lib/nats", filepath.Join(dir, "lib")}, changed...)...)
	for _, name := range []string{"nats-server.conf", "hosts.conf", "jwt.conf"} {
		text, err := os.ReadFile(filepath.Join("../../../examples/nats", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(moved.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !o.SyncAlways || o.MaxPayload != 256<<10 || len(o.Routes) != 3 || o.Cluster.TLSConfig == nil || o.TLSConfig == nil {
		t.Errorf("%+v", o)
	}
	o.Cluster, o.Routes = server.ClusterOpts{}, nil
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	return "tls://" + s.Addr().String()
}

// certificate makes one for this machine, which signs itself.
func certificate(t *testing.T, to, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{to + ".crt": public, ca: public, to + ".key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// works has hosts and the hub hand over and take by the rights of an example.
func works(t *testing.T, k keys, url, ca string) {
	t.Helper()
	m := &memory{}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	done := make(chan error, 1)
	go func() {
		done <- quick.Serve(t.Context(), fleet.Settings{NATS: url, CredentialsFile: k["hub"], CAFile: ca, Replicas: 1}, m, log)
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	dial := func(name, as string) fleet.Transport {
		h, err := quick.Dial(fleet.Settings{URL: url, Name: name, CredentialsFile: k[as], CAFile: ca})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	for _, name := range []string{"web1", "web2"} {
		h := dial(name, name)
		handOver(t, h, fleet.Batch{Numbering: "a", Lines: lines(1, 3)})
		eventually(t, "an answer to a beat", func() bool { _, err := h.Beat(t.Context(), fleet.Beat{}); return err == nil })
	}
	eventually(t, "all events at the hub", func() bool { return m.count() == 6 })
	_, err := dial("web2", "web1").HandOver(t.Context(), fleet.Batch{Numbering: "a", Lines: lines(4, 1)})
	if classed := (*fleet.Error)(nil); !errors.As(err, &classed) || classed.Class != fleet.Refused {
		t.Errorf("in another's name: %v", err)
	}
	// By a CA that signed no server's certificate, somebody else answers.
	other := filepath.Join(t.TempDir(), "other.crt")
	certificate(t, strings.TrimSuffix(other, ".crt"), other)
	h, err := quick.Dial(fleet.Settings{URL: url, Name: "web1", CredentialsFile: k["web1"], CAFile: other})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, err = h.HandOver(t.Context(), fleet.Batch{Numbering: "a", Lines: lines(4, 1)})
	if classed := (*fleet.Error)(nil); !errors.As(err, &classed) || classed.Class != fleet.Refused || !strings.Contains(classed.Hint, "ca_file") {
		t.Errorf("a certificate of another's: %v", err)
	}
}

func TestExampleOfNkeys(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	text, err := os.ReadFile("../../../examples/nats/hosts.conf")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`nkey: (U[A-Z2-7]{55})`).FindAllStringSubmatch(string(text), -1)
	k, dir := keys{}, t.TempDir()
	var changed []string
	for i, who := range []string{"hub", "web1", "web2"} {
		if !nkeys.IsValidPublicUserKey(named[i][1]) {
			t.Fatalf("no key of a user's: %s", named[i][1])
		}
		changed = append(changed, named[i][1], k.newUser(t, who))
	}
	works(t, k, example(t, dir, changed...), filepath.Join(dir, "etc/ca.crt"))
}

func TestExampleOfJWT(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	text, err := os.ReadFile("../../../examples/nats/jwt.conf")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile(`#   (publish|subscribe) +(.+)`).FindAllStringSubmatch(string(text), -1)
	if len(rights) != 2 {
		t.Fatalf("the rights of a host are %q", rights)
	}
	o := newOperator(t, strings.Fields(rights[0][2]), strings.Fields(rights[1][2]))
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "lib/jwt"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, token := range o.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := keys{}
	for _, name := range []string{"hub", "web1", "web2"} {
		o.newUser(t, k, name, name != "hub")
	}
	url := example(t, dir, `include "hosts.conf"`, `include "jwt.conf"`)
	works(t, k, url, filepath.Join(dir, "etc/ca.crt"))
}

// operator has signed an account, whose scoped key signs hosts.
type operator struct {
	account, hosts nkeys.KeyPair
	files          map[string]string // below the test's folder
}

func newOperator(t *testing.T, publish, subscribe []string) *operator {
	t.Helper()
	must := func(k nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		public, err := k.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return k, public
	}
	signed := func(c jwt.Claims, by nkeys.KeyPair) string {
		t.Helper()
		token, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	root, rootID := must(nkeys.CreateOperator())
	_, systemID := must(nkeys.CreateAccount())
	account, accountID := must(nkeys.CreateAccount())
	hosts, hostsID := must(nkeys.CreateAccount())

	top := jwt.NewOperatorClaims(rootID)
	top.SystemAccount = systemID
	own := jwt.NewAccountClaims(accountID)
	own.Name = "SSHNOTIFY"
	own.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	scope := jwt.NewUserScope()
	scope.Key, scope.Role = hostsID, "host"
	scope.Template.Pub.Allow, scope.Template.Sub.Allow = publish, subscribe
	own.SigningKeys.AddScopedSigner(scope)
	return &operator{account, hosts, map[string]string{
		"etc/operator.jwt":              signed(top, root),
		"lib/jwt/" + systemID + ".jwt":  signed(jwt.NewAccountClaims(systemID), root),
		"lib/jwt/" + accountID + ".jwt": signed(own, root),
	}}
}

// newUser signs a host by the scoped key, or the hub by the account itself, and writes
// its .creds file.
func (o *operator) newUser(t *testing.T, k keys, name string, host bool) {
	t.Helper()
	k.newUser(t, name)
	seed, err := os.ReadFile(k[name])
	if err != nil {
		t.Fatal(err)
	}
	pair, err := nkeys.FromSeed(slices.Concat(seed[:len(seed)-1]))
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims, by := jwt.NewUserClaims(public), o.account
	claims.Name = name
	if host {
		by = o.hosts
		claims.SetScoped(true)
		if claims.IssuerAccount, err = o.account.PublicKey(); err != nil {
			t.Fatal(err)
		}
	}
	token, err := claims.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed[:len(seed)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k[name], creds, 0o600); err != nil {
		t.Fatal(err)
	}
}
