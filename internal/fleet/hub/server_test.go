package hub

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
)

// served is a hub that serves, for one test.
type served struct {
	*Hub
	t     testing.TB
	url   string
	ahead atomic.Int64 // how far its clock is ahead, in nanoseconds
	made  atomic.Int64 // pages
	page  atomic.Pointer[MakePage]
	stop  func()
}

func serve(t testing.TB, db *store.DB) *served {
	t.Helper()
	s := &served{t: t}
	h, err := New(t.Context(), Options{
		DB: db, Settings: fleet.Settings{Listen: "127.0.0.1:0"}, Hostname: "hub1",
		Log: slog.New(slog.DiscardHandler), Alarm: func(string) {},
		Page: func(ctx context.Context, o PageOptions) ([]byte, error) {
			n := s.made.Add(1)
			if f := s.page.Load(); f != nil {
				return (*f)(ctx, o)
			}
			return fmt.Appendf(nil, "page %d of %v, masked %v", n, o.Since, o.Mask), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Hub = h
	h.reg.now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { h.run(ctx); done <- struct{}{} }()
	go func() {
		if err := h.serve(ctx, l); err != nil {
			t.Error(err)
		}
		done <- struct{}{}
	}()
	var stopped atomic.Bool
	s.stop = func() {
		if !stopped.Swap(true) {
			cancel()
			<-done
			<-done
		}
	}
	t.Cleanup(s.stop)
	return s
}

// host is one that has joined.
type host struct {
	*fleet.HTTPS
	t    testing.TB
	name string
	c    fleet.Credentials
}

func (s *served) join(name string, o TokenOptions) *host {
	s.t.Helper()
	c := fleet.CredentialsIn(filepath.Join(s.t.TempDir(), "state"))
	o.Name = name
	got, err := fleet.Join(context.Background(), fleet.HTTPSOptions{URL: s.url, Credentials: c}, newToken(s.t, s.reg, o), name)
	if err != nil || got != name {
		s.t.Fatalf("%s joins as %q: %v", name, got, err)
	}
	return s.connect(name, c)
}

func (s *served) connect(name string, c fleet.Credentials) *host {
	h := &host{fleet.NewHTTPS(fleet.HTTPSOptions{URL: s.url, Credentials: c}), s.t, name, c}
	s.t.Cleanup(h.Close)
	return h
}

func loginOf(user string) event.Event {
	return event.Event{ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "x", User: user, Service: "sshd", Via: event.ViaPAM,
		Session: event.Session{PID: 7, Start: 8, Boot: "b007"}}
}

func stored(t testing.TB, e event.Event) []byte {
	t.Helper()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

// batchFrom numbers events from a number on.
func batchFrom(t testing.TB, numbering string, first int64, events ...event.Event) fleet.Batch {
	b := fleet.Batch{Numbering: numbering}
	for i, e := range events {
		b.Lines = append(b.Lines, fleet.Line{Number: first + int64(i), Event: stored(t, e)})
	}
	return b
}

func (h *host) hand(b fleet.Batch) fleet.Answer {
	h.t.Helper()
	a, err := h.HandOver(context.Background(), b)
	if err != nil {
		h.t.Fatalf("%s hands over: %v", h.name, err)
	}
	return a
}

// class returns the class of an error of a host, and whether there is one.
func class(err error) (fleet.Class, bool) {
	e, ok := errors.AsType[*fleet.Error](err)
	if !ok {
		return 0, false
	}
	return e.Class, true
}

// waiting returns the records that the worker will find.
func (s *served) waiting() (all []deliver.Record) {
	s.t.Helper()
	for _, fresh := range []bool{true, false} {
		ids, _, err := s.inbox.Claim(fresh, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, id := range ids {
			b, err := s.inbox.Read(id)
			if err != nil {
				s.t.Fatal(err)
			}
			r, err := deliver.DecodeRecord(b)
			if err != nil {
				s.t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

func TestHostHandsOver(t *testing.T) {
	db := openDB(t)
	s := serve(t, db)
	web := s.join("web1", TokenOptions{Labels: map[string]string{"env": "prod"}})
	b := batchFrom(t, "n1", 1, loginOf("alice"), loginOf("bob"))
	b.Lines = append(b.Lines, fleet.Line{Number: 3, Event: []byte(`{"v":2,"id":"x"}`)})
	a := web.hand(b)
	if a.Stored != 2 || a.Have != 3 || len(a.Rejected) != 1 || a.Rejected[0].Number != 3 {
		t.Errorf("the first time: %+v", a)
	}
	// The answer was lost, and the hub began anew meanwhile.
	s.stop()
	s = serve(t, db)
	web = s.connect("web1", web.c)
	if a := web.hand(b); a.Stored != 0 || a.Duplicate != 2 || a.Have != 3 {
		t.Errorf("the second time: %+v", a)
	}
	got := s.waiting()
	if len(got) != 2 {
		t.Fatalf("the worker finds %d events, want 2", len(got))
	}
	for _, r := range got {
		if r.From != "web1" || r.Event.Host != "web1" || r.Event.Labels["env"] != "prod" || r.Event.Session.Boot != "web1:b007" {
			t.Errorf("the worker finds %+v", r)
		}
	}
	// All of a batch can be rejected, which is no reason to send it again.
	if a := web.hand(fleet.Batch{Numbering: "n1", Lines: []fleet.Line{{Number: 4, Event: []byte(`{}`)}}}); len(a.Rejected) != 1 || a.Have != 4 {
		t.Errorf("nothing but what can't be taken: %+v", a)
	}
	if a := web.hand(batchFrom(t, "n1", 6, loginOf("carol"))); a.Have != 4 {
		t.Errorf("after a gap: %+v", a)
	}
	if a, err := web.Beat(context.Background(), fleet.Beat{Time: time.Now(), Numbering: "n1", Number: 6}); err != nil || a.Have != 4 {
		t.Errorf("a beat is answered %+v, %v", a, err)
	}
}

func TestWhoIsKeptOut(t *testing.T) {
	s := serve(t, openDB(t))
	other := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	web.hand(batchFrom(t, "n", 1, loginOf("alice")))
	n := int64(2)
	try := func(h *host) (fleet.Class, bool) {
		_, err := h.HandOver(context.Background(), batchFrom(t, "n", n, loginOf("alice")))
		n++
		return class(err)
	}

	// Another hub's: the host would not even know this one, and is made to.
	alien := other.join("web1", TokenOptions{})
	cert, err := tls.LoadX509KeyPair(filepath.Join(alien.c.Folder(), "host.pem"), filepath.Join(alien.c.Folder(), "host.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]tls.Certificate{"no certificate": {}, "a certificate of another CA": cert} {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }}}}
		for _, path := range []string{fleet.PathEvents, fleet.PathBeat, fleet.PathRenew, "/", "/v2/events", "/v1/../v1/events", "//v1/events"} {
			r, err := c.Post(s.url+path, "", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode != 401 || string(body) != "unknown\n" {
				t.Errorf("%s at %s: %d %q", name, path, r.StatusCode, body)
			}
		}
		c.CloseIdleConnections()
	}

	if err := s.reg.Revoke(context.Background(), "web1"); err != nil {
		t.Fatal(err)
	}
	if c, failed := try(web); !failed || c != fleet.Refused { // on the connection that is open
		t.Errorf("a revoked host: %v, %v", c, failed)
	}
	again := s.join("web1", TokenOptions{})
	if _, failed := try(again); failed {
		t.Error("a host that joined anew is kept out")
	}
	if c, failed := try(web); !failed || c != fleet.Refused {
		t.Errorf("its certificate from before: %v, %v", c, failed)
	}
	s.ahead.Store(int64(hostLife + time.Hour))
	if c, failed := try(again); !failed || c != fleet.Clock {
		t.Errorf("an expired certificate: %v, %v", c, failed)
	}
	s.ahead.Store(int64(-48 * time.Hour))
	if c, failed := try(again); !failed || c != fleet.Clock {
		t.Errorf("a certificate that has not begun by the hub's clock: %v, %v", c, failed)
	}
	s.ahead.Store(0)
	if got := len(s.waiting()); got != 2 {
		t.Errorf("%d events came in, want 2", got)
	}
}

func TestBearerToken(t *testing.T) {
	s := serve(t, openDB(t))
	token, err := s.reg.NewToken(context.Background(), TokenOptions{Kind: KindBearer, Name: "web1"})
	if err != nil {
		t.Fatal(err)
	}
	s.join("other", TokenOptions{}) // so that its CA is known
	o := fleet.HTTPSOptions{URL: s.url, Token: outbound.NewSecret(token), Credentials: s.join("x", TokenOptions{}).c}
	h := &host{fleet.NewHTTPS(o), t, "web1", o.Credentials}
	defer h.Close()
	for range 2 {
		if err := s.refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	h.hand(batchFrom(t, "n", 1, loginOf("alice")))
	if got := s.waiting(); len(got) != 1 || got[0].From != "web1" {
		t.Errorf("the worker finds %+v", got)
	}
	if err := s.reg.Revoke(context.Background(), "web1"); err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.HandOver(context.Background(), batchFrom(t, "n", 2, loginOf("alice"))); err == nil {
		t.Error("a revoked token is let in")
	}
}

func TestRenew(t *testing.T) {
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	old, err := web.c.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	if err := web.Renew(context.Background()); err != nil {
		t.Fatal(err)
	}
	fresh, err := web.c.Certificate()
	if err != nil || fresh.SerialNumber.Cmp(old.SerialNumber) <= 0 {
		t.Fatalf("the renewed certificate: %v, %v", fresh, err)
	}
	web.hand(batchFrom(t, "n", 1, loginOf("alice")))
}

// Whoever was let in once, and is kept out since, is let in by nothing that came after.
func TestCertificateOfBefore(t *testing.T) {
	ctx := context.Background()
	s := serve(t, openDB(t))
	thief := s.join("web1", TokenOptions{Kind: KindStandby})
	cert, err := thief.c.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reg.Revoke(ctx, "web1"); err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		if err := s.refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := thief.Beat(ctx, fleet.Beat{Time: time.Now(), Numbering: "n"}); err == nil {
			t.Errorf("%s its old certificate is let in", when)
		}
		_, csr, err := fleet.NewKey("web1")
		if err != nil {
			t.Fatal(err)
		}
		// One that was let in before, and whose request was whole only now.
		if _, err := s.reg.renew(ctx, s.ca, "web1", KindStandby, cert.SerialNumber.Int64(), fleet.JoinRequest{CSR: string(csr)}); err == nil {
			t.Errorf("%s its old certificate is renewed", when)
		}
	}
	refused("after it was revoked")
	if _, err := s.reg.NewToken(ctx, TokenOptions{Kind: KindBearer, Name: "web1"}); err != nil {
		t.Fatal(err)
	}
	refused("after a bearer token was made")
	s.join("web1", TokenOptions{})
	refused("after another machine joined in the name")
	s.join("web1", TokenOptions{Kind: KindStandby})
	refused("after another machine joined to stand by")
}

// A host that has the hub's name would be taken for it.
func TestNameOfTheHub(t *testing.T) {
	s := serve(t, openDB(t))
	for _, name := range []string{"hub1", "localhost"} {
		c := fleet.CredentialsIn(filepath.Join(t.TempDir(), "state"))
		if _, err := fleet.Join(context.Background(), fleet.HTTPSOptions{URL: s.url, Credentials: c}, newToken(t, s.reg, TokenOptions{}), name); err == nil || !strings.Contains(err.Error(), "the hub's own name") {
			t.Errorf("%s joins: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	raw := func(body string) (int, string) {
		t.Helper()
		cert, err := tls.LoadX509KeyPair(filepath.Join(web.c.Folder(), "host.pem"), filepath.Join(web.c.Folder(), "host.pem"))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(s.ca.cert)
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}}}
		defer c.CloseIdleConnections()
		r, err := http.NewRequest("POST", s.url+fleet.PathEvents, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(fleet.HeaderNumbering, "n")
		a, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(b)
	}
	good, err := json.Marshal(fleet.Line{Number: 1, Event: stored(t, loginOf("alice"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		situation, body string
		want            int
	}{
		{"an event", string(good), 200},
		{"no event", "", 200},
		{"what is no JSON", "x", 400},
		{"a line of 64 KiB", `{"n":2,"event":"` + strings.Repeat("x", fleet.MaxLine) + `"}`, 413},
		{"two MiB", strings.Repeat(strings.Repeat("\n", 1<<10), 2<<10), 413},
		{"101 events", strings.Repeat(string(good)+"\n", 101), 413},
		{"the number 0", strings.Replace(string(good), `"n":1`, `"n":0`, 1), 400},
		{"a newer sshnotify's", `{"n":2,"event":{"v":99}}`, 503},
	} {
		if got, body := raw(row.body); got != row.want {
			t.Errorf("%s: %d %s, want %d", row.situation, got, body, row.want)
		}
	}
	// 2,000 a second: what is too much is told to come later, and another host is let in.
	var busy *fleet.Error
	for n := int64(10); busy == nil && n < 30*100; n += 100 {
		var many []event.Event
		for range 100 {
			many = append(many, loginOf("mallory"))
		}
		_, err := web.HandOver(context.Background(), batchFrom(t, "n", n, many...))
		if e, ok := errors.AsType[*fleet.Error](err); ok {
			busy = e
		}
	}
	if busy == nil || busy.Class != fleet.Again || busy.RetryAfter == 0 {
		t.Errorf("a host that sends too much is told: %v", busy)
	}
	s.join("web2", TokenOptions{}).hand(batchFrom(t, "n", 1, loginOf("alice")))
}

func TestHubOfAnOlderCopy(t *testing.T) {
	db := openDB(t)
	s := serve(t, db)
	web := s.join("web1", TokenOptions{})
	web.hand(batchFrom(t, "n", 1, loginOf("alice")))
	copied, err := db.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	later := batchFrom(t, "n", 2, loginOf("bob"), loginOf("carol"))
	web.hand(later)
	db1 := s.join("db1", TokenOptions{}) // it joined after the copy
	s.stop()

	file := filepath.Join(t.TempDir(), store.FileName)
	writeAll(t, file, copied)
	old, err := store.Open(file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close() })
	s = serve(t, old)
	web, db1 = s.connect("web1", web.c), s.connect("db1", db1.c)
	a, err := web.Beat(context.Background(), fleet.Beat{Time: time.Now(), Numbering: "n", Number: 3})
	if err != nil || a.Have != 1 {
		t.Errorf("a beat is answered %+v, %v: the host must send again what is after 1", a, err)
	}
	if a := web.hand(later); a.Stored != 2 || a.Have != 3 {
		t.Errorf("what is sent again: %+v", a)
	}
	if a := db1.hand(batchFrom(t, "m", 1, loginOf("dave"))); a.Stored != 1 {
		t.Errorf("a host that the copy does not know: %+v", a)
	}
	s.sweep(context.Background(), s.now())
	if d := cmp.Diff([]string{"db1 was not known to the hub"}, s.said()); d != "" {
		t.Errorf("what is told: %s", d)
	}
}

// said returns the titles of what the hub tells on its own account, all at most once.
func (s *served) said() (all []string) {
	s.t.Helper()
	for _, r := range s.waiting() {
		if r.From == "" {
			all = append(all, fmt.Sprint(r.Event.Alert.Title))
			if _, err := s.inbox.Remove(r.Event.ID); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return all
}

// Guessing is slowed down; hosts that may join are not, however many start at once.
func TestWhoMayNotJoinIsSlowedDown(t *testing.T) {
	s := serve(t, openDB(t))
	join := func(from, secret, csr string) int {
		t.Helper()
		b, err := json.Marshal(fleet.JoinRequest{Token: secret, CSR: csr})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", fleet.PathJoin, bytes.NewReader(b))
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		return w.Code
	}
	const stranger, admin = "[2001:db8::1]:1234", "192.0.2.7:1234"
	token := newToken(t, s.reg, TokenOptions{Uses: 1000})
	for i := range joinsBurst + 5 {
		if got := join(admin, token.Secret, newCSR(t, fmt.Sprintf("web%d", i))); got != 200 {
			t.Fatalf("host %d joins: %d", i, got)
		}
	}
	csr, slowed := newCSR(t, "db1"), false
	for range 20 * joinsBurst {
		if slowed = join(stranger, "guess", csr) == 429; slowed {
			break
		}
	}
	if !slowed {
		t.Error("whoever guesses is not slowed down")
	}
	if got := join("[2001:db8::2]:99", "guess", csr); got != 429 {
		t.Errorf("nor with another address of the same network: %d", got)
	}
	if got := join(admin, token.Secret, csr); got != 200 {
		t.Errorf("a guesser keeps others out: %d", got)
	}
	// Nor does one who has many addresses fill the memory.
	for i := range maxJoiners + 10 {
		s.joiner(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)).AllowN(time.Now(), joinsBurst)
	}
	if len(s.joins) > maxJoiners+1 {
		t.Errorf("%d addresses are told apart", len(s.joins))
	}
}

// Who does not say who they are keeps few connections open from one address, and those
// who did are not counted among them.
func TestStrangersAreFew(t *testing.T) {
	s := serve(t, openDB(t))
	h := s.join("web1", TokenOptions{})
	h.hand(batchFrom(t, "n", 1, loginOf("alice")))
	s.mu.Lock()
	for from, n := range s.strangers {
		if n > 1 { // the connection that it joined by may not be closed yet
			t.Errorf("%d strangers from %v", n, from)
		}
	}
	s.mu.Unlock()
	var all []*client
	from, other := sourceOf("192.0.2.7:1"), sourceOf("192.0.2.8:1")
	greet := func(from netip.Prefix) bool {
		all = append(all, &client{})
		return s.greet(all[len(all)-1], from)
	}
	for i := range maxStrange {
		if !greet(from) {
			t.Fatalf("connection %d is too many", i)
		}
	}
	if greet(from) {
		t.Error("one more than there may be")
	}
	if !greet(other) {
		t.Error("strangers keep another address out")
	}
	for _, cl := range all[:2] {
		s.leave(cl)
	}
	if !greet(from) {
		t.Error("there is room again, and none for the next")
	}
	for _, cl := range all {
		s.leave(cl)
		s.leave(cl)
	}
	if s.strangers[from]+s.strangers[other] != 0 {
		t.Errorf("who is gone is counted: %v", s.strangers)
	}
}
