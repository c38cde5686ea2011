package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// copyDatabase replaces one state folder's database by another's.
func copyDatabase(t testing.TB, from, to string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		name := store.FileName + end
		if err := os.Remove(filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) && end != "" {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// logins makes n logins at a host, and hands them over.
func (h *simHost) logins(t testing.TB, n int) {
	t.Helper()
	for range n {
		h.login(time.Now())
	}
	h.empty(t)
}

// empty hands over what waits.
func (h *simHost) empty(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		lines := h.batch()
		if len(lines) == 0 {
			return
		}
		a, err := h.events(t.Context(), lines)
		if err == nil && a.status == http.StatusOK {
			h.taken(lines, a, 0)
			end = time.Now().Add(patience)
			continue
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d %s %v", h.name, a.status, a.body, err)
		}
	}
}

// askAgain asks the hub what it has, lets wait what is after that, and hands it over.
func (h *simHost) askAgain(t testing.TB) (have int64, sent int) {
	t.Helper()
	a, err := h.beat(t.Context())
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: a beat: %d %s %v", h.name, a.status, a.body, err)
	}
	n := h.again(a.Have)
	h.empty(t)
	return a.Have, n
}

// A hub that lost its disk and was restored from yesterday's copy asks for what came
// since, lets in again who joined since, and loses nothing.
func TestFleetHubOfYesterday(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	h := newFleetHub(t, dir, toldSettings)
	hosts := h.mustJoin("web1", "web2")
	for _, s := range hosts {
		s.logins(t, 20)
	}
	settled(t, h, hosts, 40, patience)
	h.stop()
	yesterday := filepath.Join(dir, "yesterday")
	if err := os.Mkdir(yesterday, 0o700); err != nil {
		t.Fatal(err)
	}
	copyDatabase(t, h.state, yesterday)
	h.launch()
	hosts[0].logins(t, 15)
	hosts = append(hosts, h.mustJoin("web3")...)
	hosts[2].logins(t, 5)
	settled(t, h, hosts, 60, patience)
	h.kill()
	copyDatabase(t, yesterday, h.state)
	h.launch()
	for i, want := range []struct {
		have int64
		sent int
	}{{20, 15}, {20, 0}, {0, 5}} {
		if have, sent := hosts[i].askAgain(t); have != want.have || sent != want.sent {
			t.Errorf("%s: the hub says it has %d, and was sent %d again; want %+v", hosts[i].name, have, sent, want)
		}
	}
	for _, s := range hosts {
		s.logins(t, 1)
	}
	settled(t, h, hosts, 63, patience)
	h.lookAtHosts()
	until(t, "the host that the copy does not know to be told", func() bool {
		_, other := h.told.logins()
		for _, l := range other {
			if strings.Contains(l.Headline+l.Title+l.Text, "web3") {
				return true
			}
		}
		return false
	})
	for _, s := range hosts {
		if a, err := s.beat(t.Context()); err != nil || a.Have != s.n {
			t.Errorf("%s: %d numbers, and the hub says %s %v", s.name, s.n, a.body, err)
		}
	}
	// What is told twice has one ref; that web3 is let in again is told.
	h.told.mu.Lock()
	h.told.lines = deleteAlerts(h.told.lines, "web3")
	h.told.mu.Unlock()
	oracle(t, h, hosts, nil, 20)
}

// deleteAlerts leaves out what was told of a host itself.
func deleteAlerts(lines []toldLine, host string) (left []toldLine) {
	for _, l := range lines {
		if l.Kind != "alert" || !strings.Contains(l.Headline+l.Title+l.Text, host) {
			left = append(left, l)
		}
	}
	return left
}

// A host whose clock is wrong is told, once; what it says of the time to come happened
// when it came.
func TestFleetClocksThatAreWrong(t *testing.T) {
	e2e(t)
	t.Parallel()
	h := newFleetHub(t, swiftDir(t), toldSettings)
	hosts := h.mustJoin("ahead", "behind")
	for range 2 {
		for i, s := range hosts {
			now := time.Now().Add([]time.Duration{48 * time.Hour, -48 * time.Hour}[i])
			s.login(now)
			s.empty(t)
			a, err := s.post(t.Context(), "/v1/beat", nil, fmt.Appendf(nil, `{"time":%q,"numbering":%q,"n":%d,"version":"v9"}`, now.UTC().Format(time.RFC3339Nano), s.numbering, s.n))
			if err != nil || a.status != http.StatusOK {
				t.Fatalf("%d %s %v", a.status, a.body, err)
			}
		}
		h.lookAtHosts()
	}
	settled(t, h, hosts, 4, patience)
	var byKey map[string][]toldLine
	var other []toldLine
	until(t, "the clocks to be told", func() bool {
		byKey, other = h.told.logins()
		return len(other) > 0
	})
	for _, user := range []string{"u1", "u2"} {
		for _, l := range byKey["ahead/"+user] {
			if l.Time.After(time.Now().Add(10 * time.Minute)) {
				t.Errorf("told of the day after tomorrow: %+v", l)
			}
		}
		for _, l := range byKey["behind/"+user] {
			if time.Since(l.Time) < 40*time.Hour {
				t.Errorf("told as new: %+v", l)
			}
		}
	}
	for _, s := range hosts {
		n := 0
		for _, l := range other {
			if l.Kind == "alert" && strings.Contains(l.Headline+l.Title+l.Text, s.name) && strings.Contains(l.Headline+l.Title+l.Text, "clock") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s's clock was told %d times, want once: %+v", s.name, n, other)
		}
	}
}

// newerHub is a hub of another version: it stands where a hub was, by that one's CA,
// and says more than this version knows.
type newerHub struct {
	mu    sync.Mutex
	lines []string // as they came
	beats []string
}

func startNewerHub(t testing.TB, h *fleetHub) *newerHub {
	t.Helper()
	ca := h.thief()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	n := &newerHub{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		var have int64
		stored := 0
		for line := range strings.Lines(string(body)) {
			var l struct {
				N int64 `json:"n"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			have = max(have, l.N)
			n.lines = append(n.lines, line)
			stored++
		}
		w.Header().Set("Sshnotify-Mood", "good")
		fmt.Fprintf(w, `{"weather":{"rain":true},"stored":%d,"duplicate":0,"have":%d,"queue":[1,2,3]}`, stored, have)
	})
	mux.HandleFunc("POST /v1/beat", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.beats = append(n.beats, string(body))
		fmt.Fprintf(w, `{"time":%q,"have":%d,"advice":"drink water"}`, time.Now().UTC().Format(time.RFC3339), len(n.lines))
	})
	l, err := net.Listen("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}},
	}}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { server.Close() })
	return n
}

// Host and hub are upgraded in either order: what one says that the other does not
// know is left aside, and an event of a newer form waits at its host.
func TestFleetUpgradesInEitherOrder(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	h := newFleetHub(t, dir, toldSettings)
	newer := h.mustJoin("newer")[0]

	t.Run("a newer host", func(t *testing.T) {
		body := fmt.Sprintf(`{"n":1,"priority":9,"event":%s,"seen":[1]}`+"\n", newer.over("fields", map[string]any{"weather": map[string]any{"rain": true}}))
		a, err := newer.post(t.Context(), "/v1/events", http.Header{"Content-Type": {"application/x-ndjson"}, "Sshnotify-Numbering": {newer.numbering}, "Sshnotify-Mood": {"good"}}, []byte(body))
		if err != nil || a.status != 200 || a.Stored != 1 {
			t.Errorf("%d %s %v", a.status, a.body, err)
		}
		a, err = newer.post(t.Context(), "/v1/beat", nil, fmt.Appendf(nil, `{"time":%q,"numbering":%q,"n":1,"version":"v99","mood":"good","cpus":[1,2]}`, time.Now().UTC().Format(time.RFC3339), newer.numbering))
		if err != nil || a.status != 200 || a.Have != 1 {
			t.Errorf("a beat: %d %s %v", a.status, a.body, err)
		}
		// It is not thrown away: the hub will be upgraded.
		body = fmt.Sprintf(`{"n":2,"event":%s}`+"\n", newer.over("form", map[string]any{"v": 3}))
		if a, err = newer.say(t.Context(), body); err != nil || a.status != 503 || a.why != "newer" || a.retryAfter == "" {
			t.Errorf("an event of a newer form: %d (%s) %s %v", a.status, a.why, a.body, err)
		}
		until(t, "the event to be told", func() bool { _, ok := h.told.seen("newer/fields"); return ok })
	})

	t.Run("a newer hub", func(t *testing.T) {
		r := newRealHost(t, filepath.Join(dir, "host"), "older", h, "")
		h.stop()
		n := startNewerHub(t, h)
		r.comes()
		r.comes()
		r.work()
		until(t, "two events at the newer hub", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.lines) == 2 })
		until(t, "an empty spool", func() bool { return len(r.left("new"))+len(r.left("cur")) == 0 })
		if dead := r.left("failed"); len(dead) > 0 {
			t.Errorf("dead letters: %q", dead)
		}
		// A beat comes within a minute, by chance.
		for end := time.Now().Add(time.Minute + patience); ; time.Sleep(50 * time.Millisecond) {
			n.mu.Lock()
			beats := len(n.beats)
			n.mu.Unlock()
			if beats > 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("waited in vain for a beat")
			}
		}
	})
}

// A host whose certificate has ended keeps its events, and hands them over with the
// next one, which it reads anew.
func TestFleetHostWhoseCertificateEnded(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	h := newFleetHub(t, dir, toldSettings)
	r := newRealHost(t, filepath.Join(dir, "host"), "web1", h, "")
	path := filepath.Join(r.state, "hub", "host.pem")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(good, good)
	if err != nil {
		t.Fatal(err)
	}
	cert := pair.Leaf
	ca := h.thief()
	ended := *cert
	ended.NotBefore, ended.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &ended, ca.cert, cert.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	key := good[:bytes.Index(good, []byte("-----BEGIN CERTIFICATE"))]
	if err := os.WriteFile(path, slices.Concat(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600); err != nil {
		t.Fatal(err)
	}
	r.work()
	login := r.comes()
	time.Sleep(2 * time.Second)
	if _, ok := h.told.seen(login); ok {
		t.Error("an ended certificate was let in")
	}
	if n := len(r.left("new")) + len(r.left("cur")); n == 0 {
		t.Error("the event has left the spool")
	}
	if d := r.run(nil, "doctor", "--config", r.settings); !strings.Contains(d.out+d.stderr, "certificate") {
		t.Errorf("doctor does not name the certificate: %+v", d)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if p := r.run(nil, "queue", "retry", "--config", r.settings); p.code != 0 {
		t.Errorf("queue retry: %+v", p)
	}
	for {
		if _, ok := h.told.seen(login); ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the event was never handed over:\n%s", r.worker.err.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
