package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// strictHub takes what the words of this package allow, and nothing else.
type strictHub struct {
	t      *testing.T
	server *httptest.Server
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	days   int // that a host's certificate has
	answer http.HandlerFunc
	events []string
	names  []string // of the certificates that were shown
	beats  []Beat
}

func newStrictHub(t *testing.T) *strictHub {
	h := &strictHub{t: t, days: 90}
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	h.ca = h.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}, &h.key.PublicKey)
	h.serve(time.Now().Add(time.Hour))
	return h
}

func (h *strictHub) sign(c *x509.Certificate, pub *ecdsa.PublicKey) *x509.Certificate {
	parent := h.ca
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

// serve starts the server, with a certificate of its own that ends then.
func (h *strictHub) serve(end time.Time) {
	own := h.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: end, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, &h.key.PublicKey)
	pool := x509.NewCertPool()
	pool.AddCert(h.ca)
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(h.handle))
	h.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.server.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw, h.ca.Raw}, PrivateKey: h.key}},
	}
	h.server.StartTLS()
	h.t.Cleanup(h.server.Close)
}

func (h *strictHub) handle(w http.ResponseWriter, r *http.Request) {
	if h.answer != nil {
		h.answer(w, r)
		return
	}
	if r.URL.Path == PathHealth {
		return
	}
	name := r.Header.Get("Authorization")
	if len(r.TLS.PeerCertificates) > 0 {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	h.names = append(h.names, name)
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.ProtoMajor != 1 || name == "" && r.URL.Path != PathJoin {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	say := func(v any) { json.NewEncoder(w).Encode(v) }
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	switch r.URL.Path {
	case PathEvents:
		a := Answer{}
		lines := bufio.NewScanner(bytes.NewReader(body))
		for lines.Scan() {
			var l Line
			strict := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			strict.DisallowUnknownFields()
			if err := strict.Decode(&l); err != nil || len(lines.Bytes()) > MaxLine || r.Header.Get(HeaderNumbering) == "" || r.Header.Get("Content-Type") != "application/x-ndjson" {
				h.t.Errorf("a line that is none: %v: %s", err, lines.Bytes())
			}
			h.events = append(h.events, string(l.Event))
			a.Stored++
			a.Have = l.Number
		}
		say(map[string]any{"stored": a.Stored, "have": a.Have, "of_tomorrow": true})
	case PathBeat:
		var b Beat
		if err := strict.Decode(&b); err != nil {
			h.t.Errorf("a beat that is none: %v", err)
		}
		h.beats = append(h.beats, b)
		say(map[string]any{"time": time.Now(), "have": b.Number, "of_tomorrow": 1})
	case PathJoin, PathRenew:
		var j JoinRequest
		if err := strict.Decode(&j); err != nil {
			h.t.Errorf("a request that is none: %v", err)
		}
		if r.URL.Path == PathJoin && j.Token != "s3cret" {
			w.Header().Set(HeaderWhy, WhyToken)
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, "the token was used")
			return
		}
		p, _ := pem.Decode([]byte(j.CSR))
		csr, err := x509.ParseCertificateRequest(p.Bytes)
		if err != nil {
			h.t.Errorf("a CSR that is none: %v", err)
			return
		}
		c := h.sign(&x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: csr.Subject, NotBefore: time.Now().Add(-50 * time.Hour),
			NotAfter: time.Now().AddDate(0, 0, h.days), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, csr.PublicKey.(*ecdsa.PublicKey))
		say(JoinAnswer{Name: csr.Subject.CommonName, Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *strictHub) token() Token {
	sum := sha256.Sum256(h.ca.Raw)
	return Token{Secret: "s3cret", CA: sum[:]}
}

func (h *strictHub) options() HTTPSOptions {
	return HTTPSOptions{URL: h.server.URL, Credentials: CredentialsIn(h.t.TempDir()), UserAgent: "sshnotify/1"}
}

// joined returns the way of a host that has joined.
func (h *strictHub) joined() (*HTTPS, HTTPSOptions) {
	h.t.Helper()
	o := h.options()
	if name, err := Join(h.t.Context(), o, h.token(), "web1"); err != nil || name != "web1" {
		h.t.Fatalf("Join = %q, %v", name, err)
	}
	way := NewHTTPS(o)
	h.t.Cleanup(way.Close)
	return way, o
}

var twoLines = Batch{Numbering: "N", Lines: []Line{{1, json.RawMessage(`{"id":"a"}`)}, {2, json.RawMessage(`{"id":"<b>"}`)}}}

func TestAHostThatJoined(t *testing.T) {
	h := newStrictHub(t)
	way, _ := h.joined()
	a, err := way.HandOver(t.Context(), twoLines)
	if err != nil || a.Stored != 2 || a.Have != 2 {
		t.Errorf("HandOver = %+v, %v", a, err)
	}
	if got := strings.Join(h.events, " "); got != `{"id":"a"} {"id":"<b>"}` {
		t.Errorf("the hub got %s", got)
	}
	if _, err := way.Beat(t.Context(), Beat{Number: 2}); err != nil || len(h.beats) != 1 || h.beats[0].Expires.IsZero() {
		t.Errorf("beats %+v, %v", h.beats, err)
	}
	for _, name := range h.names[1:] {
		if name != "web1" {
			t.Errorf("shown as %q", name)
		}
	}
}

func TestATokenInPlaceOfACertificate(t *testing.T) {
	h := newStrictHub(t)
	o := h.options()
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(h.ca)
	o.Token = outbound.NewSecret("t0ken-of-web2")
	if _, err := NewHTTPS(o).HandOver(t.Context(), twoLines); err != nil || h.names[0] != "Bearer t0ken-of-web2" {
		t.Errorf("shown as %q, %v", h.names, err)
	}
}

// A certificate is renewed with a new key at two thirds of its life, and the next
// connection shows the new one.
func TestRenewal(t *testing.T) {
	h := newStrictHub(t)
	h.days = 1 // of three, two are over
	way, o := h.joined()
	before, err := o.Credentials.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	h.days = 90
	if _, err := way.Beat(t.Context(), Beat{}); err != nil {
		t.Fatal(err)
	}
	after, err := o.Credentials.Certificate()
	if err != nil || before.PublicKey.(*ecdsa.PublicKey).Equal(after.PublicKey) || !after.NotAfter.After(before.NotAfter) {
		t.Errorf("the key is the old one, or %v", err)
	}
	if !h.beats[0].Expires.Equal(after.NotAfter) {
		t.Error("the beat tells when the old one ends")
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	h := newStrictHub(t)
	way, _ := h.joined()
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		body   string
		class  Class
		after  time.Duration
		text   string
	}{
		"later":                   {429, map[string]string{"Retry-After": "7", HeaderWhy: WhyBusy}, "2,000 events a minute", Again, 7 * time.Second, "2,000 events a minute"},
		"a hub that stands by":    {503, map[string]string{HeaderWhy: WhyStandby}, "this hub stands by", Again, 0, "this hub stands by"},
		"a hub that is older":     {503, map[string]string{HeaderWhy: WhyNewer}, "", Again, 0, "HTTP 503"},
		"a proxy without a hub":   {502, nil, "<html>bad gateway", Again, 0, "HTTP 502"},
		"unknown":                 {401, map[string]string{HeaderWhy: WhyUnknown}, "unknown", Refused, 0, "does not let this host in: unknown"},
		"revoked":                 {403, map[string]string{HeaderWhy: WhyRevoked}, "revoked", Refused, 0, "revoked"},
		"a clock":                 {401, map[string]string{HeaderWhy: WhyClock, "Date": "Sun, 01 Nov 2026 10:00:00 GMT"}, "the certificate has ended", Clock, 0, "2026-11-01 10:00 UTC by the hub's"},
		"too large":               {413, nil, "", TooLarge, 0, "HTTP 413"},
		"a redirect":              {302, map[string]string{"Location": "https://login.example.com/x"}, "", Refused, 0, "no hub answers: HTTP 302, which leads to login.example.com"},
		"a portal that says yes":  {200, nil, "<html>welcome", Refused, 0, "no hub answers"},
		"something else":          {404, nil, "", Refused, 0, "no hub answers: HTTP 404"},
		"more than an answer has": {200, nil, strings.Repeat(" ", maxAnswer) + "{}", Refused, 0, "no hub answers"},
	} {
		t.Run(name, func(t *testing.T) {
			h.answer = func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			}
			_, err := way.HandOver(t.Context(), twoLines)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Class != tc.class || e.RetryAfter != tc.after || !strings.Contains(e.Error(), tc.text) {
				t.Errorf("got %#v, want class %d, %v, %q", err, tc.class, tc.after, tc.text)
			}
			if e != nil && e.Class != Again && e.Class != TooLarge && e.Hint == "" {
				t.Error("nothing says what to do")
			}
		})
	}
	h.answer = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set(HeaderRejected, "2")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"rejected":[{"n":1,"why":"no event"},{"n":2,"why":"no event"}],"have":2}`)
	}
	if a, err := way.HandOver(t.Context(), twoLines); err != nil || len(a.Rejected) != 2 {
		t.Errorf("a batch that is rejected: %+v, %v", a, err)
	}
}

func TestAHubThatIsNotTheOne(t *testing.T) {
	h, other := newStrictHub(t), newStrictHub(t)
	_, o := h.joined()
	for name, tc := range map[string]struct {
		change func(*HTTPSOptions)
		class  Class
		text   string
	}{
		"another CA":           {func(o *HTTPSOptions) { o.URL = other.server.URL }, Refused, "signed by unknown authority"},
		"another name":         {func(o *HTTPSOptions) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) }, Refused, "certificate"},
		"nobody there":         {func(o *HTTPSOptions) { o.URL = "https://127.0.0.1:1" }, Again, "connection refused"},
		"a host that is alone": {func(o *HTTPSOptions) { o.Credentials = CredentialsIn(t.TempDir()) }, Refused, "not joined"},
		"a CA that is none": {func(o *HTTPSOptions) {
			o.Credentials = CredentialsIn(t.TempDir())
			if err := o.Credentials.keepCA(&x509.Certificate{}); err != nil {
				t.Fatal(err)
			}
		}, Refused, "PEM"},
		"a hub whose certificate has ended": {func(o *HTTPSOptions) {
			h.serve(time.Now().Add(-time.Hour))
			o.URL = h.server.URL
		}, Clock, "by the hub's"},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			tc.change(&o)
			_, err := NewHTTPS(o).HandOver(t.Context(), twoLines)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Class != tc.class || !strings.Contains(e.Error(), tc.text) {
				t.Errorf("got %v, want class %d, %q", err, tc.class, tc.text)
			}
		})
	}
}

// What stands between a host and the hub is named, and what to do about it.
func TestAProxyBeforeTheHub(t *testing.T) {
	h, other := newStrictHub(t), newStrictHub(t)
	_, joined := h.joined()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	byHTTP, err := url.Parse(strings.Replace(h.server.URL, "https:", "http:", 1))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(byHTTP))
	t.Cleanup(proxy.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(proxy.Certificate())
	for name, tc := range map[string]struct {
		o    HTTPSOptions
		hint string
	}{
		"a port that speaks plain HTTP":                {HTTPSOptions{URL: strings.Replace(plain.URL, "http:", "https:", 1), Credentials: joined.Credentials}, "a proxy that speaks TLS"},
		"a proxy that speaks plain HTTP to the hub":    {HTTPSOptions{URL: proxy.URL, RootCAs: trusted, Token: outbound.NewSecret("t0ken"), Credentials: CredentialsIn(t.TempDir())}, "reaches the hub by https://"},
		"a proxy that ends TLS, before a host of mTLS": {HTTPSOptions{URL: other.server.URL, Credentials: joined.Credentials}, "sshnotify fleet token --bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewHTTPS(tc.o).HandOver(t.Context(), twoLines)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Class != Refused || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("got %#v, want the hint %q", err, tc.hint)
			}
		})
	}
}

func TestJoinThatFails(t *testing.T) {
	h, other := newStrictHub(t), newStrictHub(t)
	used := h.token()
	used.Secret = "used"
	for name, tc := range map[string]struct {
		token Token
		text  string
	}{
		"a token that was used":    {used, "the token was used"},
		"another hub's":            {other.token(), "another CA"},
		"a hub that nobody knows":  {Token{Secret: "s3cret"}, "unknown authority"},
		"a name that is of no use": {Token{Secret: "s3cret", CA: h.token().CA, Name: "Web.1"}, "no valid name"},
	} {
		t.Run(name, func(t *testing.T) {
			o := h.options()
			if _, err := Join(t.Context(), o, tc.token, "web1"); err == nil || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Join: %v, want %q", err, tc.text)
			}
			if _, err := o.Credentials.Certificate(); !errors.Is(err, ErrNotJoined) {
				t.Errorf("it left a certificate: %v", err)
			}
		})
	}
}

func TestACancelledRequest(t *testing.T) {
	h := newStrictHub(t)
	way, _ := h.joined()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := way.HandOver(ctx, twoLines); err == nil {
		t.Error("no error")
	} else if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("%T", err)
	}
}
