package enrich

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

//go:embed testdata
var testdata embed.FS

// body gives one of the service's example answers.
func body(t testing.TB, name string) string {
	t.Helper()
	b, err := testdata.ReadFile("testdata/threatjammer-" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The requests of Threat Jammer's file.
const (
	partAssess = "assess"
	partGeo    = "geo"
	partASN    = "asn"
)

// lowBand is the end of the scores that its documentation calls low.
const lowBand = 34

const testKey = "tja_0123456789abcdefghijABCDEFGHIJ012345"

// fakeService is a Threat Jammer as strict as the real one. It is used as a
// RoundTripper, so that a bubble's clock goes on while it is slow.
type fakeService struct {
	good      string        // answers everything, of any service; empty: Threat Jammer
	perMinute int           // 0: 10
	latency   time.Duration // before each answer
	// script answers in its place; nil from it means the usual answer.
	script func(part string, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	asked  []string // path of each request
	minute []time.Time
	bodies map[string]string // by part, for 200; from the examples where missing
}

func (s *fakeService) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// count says how many requests were made for a part.
func (s *fakeService) count(part string) (n int) {
	for _, p := range s.paths() {
		if s.good != "" || partOf(p) == part {
			n++
		}
	}
	return n
}

func partOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/v1/assess/ip/"):
		return partAssess
	case strings.HasPrefix(path, "/v1/geo/"):
		return partGeo
	case strings.HasPrefix(path, "/v1/asn/"):
		return partASN
	}
	return ""
}

func (s *fakeService) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	s.mu.Unlock()
	if s.latency > 0 {
		select {
		case <-time.After(s.latency):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if s.script != nil {
		if resp, err := s.script(partOf(r.URL.Path), r); resp != nil || err != nil {
			return resp, err
		}
	}
	if s.good != "" {
		return reply(200, "application/json", s.good), nil
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" || r.URL.RawQuery != "" {
		s.fail(w, http.StatusBadRequest, "Bad request", "not as documented")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+testKey {
		s.fail(w, http.StatusUnauthorized, "Invalid token", "The token is not valid in this region.")
		return
	}
	if wait := s.take(time.Now()); wait > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds()+1)))
		s.fail(w, http.StatusTooManyRequests, "Too many requests", "The quota is used up.")
		return
	}
	part := partOf(r.URL.Path)
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch part {
	case partAssess, partGeo:
		ip, err := netip.ParseAddr(id)
		if err != nil || ip.Zone() != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintf(w, `{"detail":[{"loc":["path","ip_address"],"msg":"value is not a valid IPv4 or IPv6 address","type":"value_error"}]}`)
			return
		}
		if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.Is4In6() {
			s.fail(w, http.StatusBadRequest, "IP Address Must Be Public", "It is not.")
			return
		}
	case partASN:
		if strings.Trim(id, "0123456789") != "" || id == "64511" {
			s.fail(w, http.StatusNotFound, "Resource not found", "No such ASN.")
			return
		}
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"detail":"Not Found"}`)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if b, ok := s.bodies[part]; ok {
		io.WriteString(w, b)
		return
	}
	name := map[string]string{partAssess: "assess-listed", partGeo: "geo", partASN: "asn"}[part]
	b, err := testdata.ReadFile("testdata/threatjammer-" + name + ".json")
	if err != nil {
		panic(err)
	}
	w.Write(b)
}

func (s *fakeService) fail(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"title": title, "detail": detail, "type:": "https://example.com/docs"})
}

// take counts a request; what it returns is the wait, if there were too many.
func (s *fakeService) take(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.perMinute
	if limit == 0 {
		limit = 10
	}
	s.minute = slices.DeleteFunc(s.minute, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(s.minute) >= limit {
		return s.minute[0].Add(time.Minute).Sub(now)
	}
	s.minute = append(s.minute, now)
	return 0
}

// reply makes an answer for a script.
func reply(status int, contentType, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {contentType}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}

// always makes a script of one answer for everything.
func always(status int, contentType, body string, headers ...string) func(string, *http.Request) (*http.Response, error) {
	return func(string, *http.Request) (*http.Response, error) {
		return reply(status, contentType, body, headers...), nil
	}
}

// onlyFor lets a script answer for one part alone.
func onlyFor(part string, f func(string, *http.Request) (*http.Response, error)) func(string, *http.Request) (*http.Response, error) {
	return func(p string, r *http.Request) (*http.Response, error) {
		if p != part {
			return nil, nil
		}
		return f(p, r)
	}
}

// hang never answers.
func hang(_ string, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// drip is a body that comes a byte a second.
type drip struct {
	ctx  context.Context
	rest *bytes.Reader
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return d.rest.Read(p[:1])
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (drip) Close() error { return nil }

// flood is a body of 100 MB; read counts what was taken of it.
type flood struct{ read int }

func (f *flood) Read(p []byte) (int, error) {
	if f.read >= 100<<20 {
		return 0, io.EOF
	}
	f.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (*flood) Close() error { return nil }

var errConnection = errors.New("connection reset")

// newThreatJammer makes the provider for a fake service.
func newThreatJammer(t testing.TB, s *fakeService, stateDir string) *httpProvider {
	t.Helper()
	return newThreatJammerAs(t, s, stateDir, testKey, HTTPOptions{})
}

// threatJammerAt is NewHTTP for a service that speaks Threat Jammer's API.
func threatJammerAt(t testing.TB, c *outbound.Client, baseURL string, key outbound.Secret, stateDir string, o HTTPOptions) (Provider, error) {
	o.Type, o.BaseURL, o.Key, o.Store = "threatjammer", baseURL, key, testStore(t, stateDir)
	return NewHTTP(c, o)
}

func newThreatJammerAs(t testing.TB, s *fakeService, stateDir, key string, o HTTPOptions) *httpProvider {
	t.Helper()
	p, err := threatJammerAt(t, outbound.New(outbound.Options{Transport: s}), "https://tj.example.com", outbound.NewSecret(key), stateDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*httpProvider)
}

// newEngine makes an engine with Threat Jammer alone, keeping answers for an
// hour in stateDir.
func newEngine(t testing.TB, s *fakeService, stateDir string) *Engine {
	t.Helper()
	return New(Options{Providers: []Provider{newThreatJammer(t, s, stateDir)}, CacheTTL: time.Hour, Store: testStore(t, stateDir)})
}

// testStore returns the database of a state folder; nil where dir is empty.
func testStore(t testing.TB, dir string) *store.DB {
	t.Helper()
	if dir == "" {
		return nil
	}
	return storetest.Open(t, dir)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(b)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + fmt.Sprintf("%+v", err)
}

// contents gives the names and the contents of all files in a folder.
func contents(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(path + "\n")
		if info.Mode().IsRegular() {
			c, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.Write(c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// number returns the one number of a query.
func number(t testing.TB, db *store.DB, query string) (n int) {
	t.Helper()
	if err := db.Read(t.Context(), store.ReadLimit, func(tx *store.Tx) error {
		_, err := tx.One([]any{&n}, query)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
