package hub

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/report"
)

// shows is what somebody shows a hub.
type shows struct {
	header string // Authorization
	secret string // to join with
	host   *host  // whose certificate
}

// ask makes a request, and returns the answer with its body.
func (s *served) ask(who shows, method, path, body string) (*http.Response, string) {
	s.t.Helper()
	c := tls.Config{InsecureSkipVerify: true}
	if who.host != nil {
		cert, err := tls.LoadX509KeyPair(filepath.Join(who.host.c.Folder(), "host.pem"), filepath.Join(who.host.c.Folder(), "host.pem"))
		if err != nil {
			s.t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &c}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set(fleet.HeaderNumbering, "n")
	if who.header != "" {
		r.Header.Set("Authorization", who.header)
	}
	a, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a, string(b)
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func (s *served) reader(name string) string {
	s.t.Helper()
	token, _, err := s.reg.NewReader(context.Background(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// A reader's token opens the page and nothing else, and nothing else opens the page.
func TestWhoMayWhat(t *testing.T) {
	ctx := context.Background()
	s := serve(t, openDB(t))
	web, standby := s.join("web1", TokenOptions{}), s.join("hub2", TokenOptions{Kind: KindStandby})
	alien := serve(t, openDB(t)).join("web1", TokenOptions{})
	gone := s.join("web4", TokenOptions{})
	bearer, err := s.reg.NewToken(ctx, TokenOptions{Kind: KindBearer, Name: "web3"})
	if err != nil {
		t.Fatal(err)
	}
	reader, ended, replaced := s.reader("web1"), s.reader("bob"), s.reader("carol") // a reader may be called as a host
	newer := s.reader("carol")
	join := newToken(t, s.reg, TokenOptions{Uses: 99, Life: 24 * time.Hour})
	for range 2 { // twice is the same as once
		if err := errors.Join(s.reg.RevokeReaders(ctx, "bob"), s.reg.Revoke(ctx, "web4")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.refresh(ctx); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	requests := map[string]func(shows) int{
		"report": func(w shows) int { a, _ := s.ask(w, "GET", fleet.PathPage, ""); return a.StatusCode },
		"head":   func(w shows) int { a, _ := s.ask(w, "HEAD", fleet.PathPage, ""); return a.StatusCode },
		"events": func(w shows) int {
			n++
			line, err := json.Marshal(fleet.Line{Number: n, Event: stored(t, loginOf("alice"))})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := s.ask(w, "POST", fleet.PathEvents, string(line))
			return a.StatusCode
		},
		"beat": func(w shows) int { a, _ := s.ask(w, "POST", fleet.PathBeat, `{}`); return a.StatusCode },
		"renew": func(w shows) int {
			b, err := json.Marshal(fleet.JoinRequest{CSR: newCSR(t, "x")})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := s.ask(w, "POST", fleet.PathRenew, string(b))
			return a.StatusCode
		},
		"copy": func(w shows) int { a, _ := s.ask(w, "GET", fleet.PathCopy, ""); return a.StatusCode },
		"join": func(w shows) int {
			b, err := json.Marshal(fleet.JoinRequest{Token: w.secret, CSR: newCSR(t, fmt.Sprintf("new%d", n))})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := s.ask(w, "POST", fleet.PathJoin, string(b))
			return a.StatusCode
		},
	}
	may := func(what ...string) map[string]bool {
		m := map[string]bool{}
		for _, w := range what {
			m[w] = true
		}
		return m
	}
	for _, row := range []struct {
		situation string
		shows
		may map[string]bool
	}{
		{"nobody", shows{}, may()},
		{"a host's certificate", shows{host: web}, may("events", "beat", "renew")},
		{"a standby's", shows{host: standby}, may("events", "beat", "renew", "copy")},
		{"a revoked host's", shows{host: gone}, may()},
		{"another hub's", shows{host: alien}, may()},
		{"a host's token", shows{"Bearer " + bearer, bearer, nil}, may("events", "beat")},
		{"a host's token as a password", shows{basic("web3", bearer), bearer, nil}, may()},
		{"a token to join with", shows{"Bearer " + join.Secret, join.Secret, nil}, may("join")},
		{"the same as a password", shows{basic("", join.Text()), join.Text(), nil}, may()},
		{"a reader's token", shows{"Bearer " + reader, reader, nil}, may("report", "head")},
		{"a reader's as a password", shows{basic("anybody", reader), reader, nil}, may("report", "head")},
		{"a reader's as a password of nobody", shows{basic("", reader), reader, nil}, may("report", "head")},
		{"a reader's as the user", shows{basic(reader, ""), reader, nil}, may()},
		{"a reader's without its prefix", shows{"Bearer " + strings.TrimPrefix(reader, fleet.ReaderPrefix), reader, nil}, may()},
		{"a revoked reader's", shows{"Bearer " + ended, ended, nil}, may()},
		{"one in whose place another was made", shows{"Bearer " + replaced, replaced, nil}, may()},
		{"that other", shows{"Bearer " + newer, newer, nil}, may("report", "head")},
		{"no token", shows{"Bearer ", "", nil}, may()},
		{"an empty hash", shows{"Bearer " + fleet.ReaderPrefix, fleet.ReaderPrefix, nil}, may()},
		{"a host's certificate, and a reader's token", shows{"Bearer " + reader, reader, web}, may("report", "head", "events", "beat", "renew")},
	} {
		for what, do := range requests {
			s.ahead.Add(int64(time.Minute)) // so that no limit is met
			s.mu.Lock()
			clear(s.joins)
			s.mu.Unlock()
			if got := do(row.shows); got == 200 != row.may[what] || got != 200 && got != 401 && got != 403 {
				t.Errorf("%s: %s is answered %d", row.situation, what, got)
			}
		}
	}
	for _, path := range []string{fleet.PathOrders, fleet.PathEvidence} {
		if a, _ := s.ask(shows{header: "Bearer " + reader}, "POST", path, "{}"); a.StatusCode != 401 {
			t.Errorf("a reader's token at %s: %d", path, a.StatusCode)
		}
	}
	// Nor by another way than a header.
	for _, path := range []string{fleet.PathPage + "?token=" + reader, fleet.PathPage + "/", "/Report", "/report.html", fleet.PathPage + "/../report"} {
		if a, _ := s.ask(shows{}, "GET", path, ""); a.StatusCode != 401 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		if a, _ := s.ask(shows{header: "Bearer " + reader}, method, fleet.PathPage, "x"); a.StatusCode != 401 {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	// No host is one, whatever it is called, and none is silent.
	hosts, err := s.reg.Hosts(ctx)
	for _, h := range hosts {
		if h.Name == "bob" || h.Name == "carol" {
			t.Errorf("the reader %s is a host", h.Name)
		}
	}
	readers, err2 := s.reg.Readers(ctx)
	if err != nil || err2 != nil || len(readers) != 3 || readers[0].Name != "bob" || readers[0].Revoked.IsZero() || !readers[1].Revoked.IsZero() {
		t.Errorf("the readers are %+v, %v, %v", readers, err, err2)
	}
	var unknown *UnknownReaderError
	if err := s.reg.RevokeReaders(ctx, "carol", "web3"); !errors.As(err, &unknown) || unknown.Name != "web3" {
		t.Errorf("a host is revoked as a reader: %v", err)
	}
	if a, _ := s.ask(shows{header: "Bearer " + newer}, "GET", fleet.PathPage, ""); a.StatusCode != 200 {
		t.Errorf("one of those who were not revoked: %d", a.StatusCode)
	}
	if _, _, err := s.reg.NewReader(ctx, "Alice Smith"); err == nil {
		t.Error("a name that is none")
	}
}

func TestHeadersOfThePage(t *testing.T) {
	s := serve(t, openDB(t))
	who := shows{header: "Bearer " + s.reader("alice")}
	for _, row := range []struct {
		situation string
		who       shows
		path      string
		want      int
	}{
		{"the page", who, fleet.PathPage, 200},
		{"nobody", shows{}, fleet.PathPage, 401},
		{"a query that is wrong", who, fleet.PathPage + "?since=<script>", 400},
	} {
		a, body := s.ask(row.who, "GET", row.path, "")
		if a.StatusCode != row.want || strings.Contains(body, "script") {
			t.Errorf("%s: %d %q", row.situation, a.StatusCode, body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": report.Policy() + "; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
			"Content-Type":     map[bool]string{true: "text/html; charset=utf-8", false: "text/plain; charset=utf-8"}[row.want == 200],
			"WWW-Authenticate": map[bool]string{true: `Basic realm="sshnotify: a reader's token is the password", charset="UTF-8"`}[row.want == 401],
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", row.situation, name, got)
			}
		}
	}
}

func TestPageOptions(t *testing.T) {
	const day = 24 * time.Hour
	for query, want := range map[string]PageOptions{
		"": {30 * day, false}, "since=7d": {7 * day, false}, "since=1h": {time.Hour, false}, "since=365d&mask=1": {365 * day, true}, "mask=1": {30 * day, true},
		"since=3650d": {3650 * day, false}, "since=1h0m59s": {time.Hour, false},
	} {
		if got, err := pageOptions(query); err != nil || got != want {
			t.Errorf("%q: %+v, %v", query, got, err)
		}
	}
	for query, want := range map[string]string{
		"since=": "since: must be", "since=7": "since: must be", "since=soon": "since: must be", "since=-7d": "since: must be", "since=0d": "since: must be", "since=59m": "since: must be",
		"since=3651d": "since: must be", "since=65536d": "since: must be", "since=99999999999999999999h": "since: must be", "since=2026-11-01": "since: must be", "since=7d&since=8d": "stands in the query 2 times",
		"mask=": "mask: must be", "mask=0": "mask: must be", "mask=yes": "mask: must be", "mask=1&mask=1": "stands in the query 2 times", "format=json": "other than since and mask", "token=x": "other than since and mask",
		"since=%zz": "not well-formed", "since=7d;mask=1": "not well-formed", "<script>": "other than since and mask",
	} {
		_, err := pageOptions(query)
		no, ok := errors.AsType[*refusal](err)
		if !ok || no.status != 400 || !strings.Contains(no.text, want) {
			t.Errorf("%q: %v", query, err)
		}
	}
}

// Pages are made one at a time, each at most every few minutes, however many ask.
func TestPagesAreMadeSeldom(t *testing.T) {
	s := serve(t, openDB(t))
	who := shows{header: "Bearer " + s.reader("alice")}
	get := func(query string) (int, string) {
		t.Helper()
		a, body := s.ask(who, "GET", fleet.PathPage+query, "")
		return a.StatusCode, body
	}
	var running, most, calls atomic.Int64
	begun, release := make(chan struct{}, 99), make(chan struct{})
	slow := MakePage(func(_ context.Context, o PageOptions) ([]byte, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		begun <- struct{}{}
		<-release
		return fmt.Appendf(nil, "page %d of %v", calls.Add(1), o.Since), nil
	})
	s.page.Store(&slow)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			query := []string{"", "?since=7d", "?mask=1"}[i%3]
			if status, body := get(query); status != 200 {
				t.Errorf("%q, at the same time as others: %d %s", query, status, body)
			}
		})
	}
	<-begun
	close(release)
	all.Wait()
	if calls.Load() != 3 || most.Load() != 1 {
		t.Errorf("%d pages were made for 12 requests of 3, %d at the same time", calls.Load(), most.Load())
	}
	s.page.Store(nil)
	s.made.Store(100)
	_, before := get("")
	s.ahead.Store(int64(pageFresh - time.Second))
	if _, body := get(""); body != before || s.made.Load() != 100 {
		t.Errorf("it was made anew too soon: %q", body)
	}
	s.ahead.Store(int64(pageFresh + time.Second))
	if _, body := get(""); body == before || s.made.Load() != 101 {
		t.Errorf("it was not made anew: %q", body)
	}
	// Whoever asks for ever others is stopped; those that there are stay to be had.
	refused := 0
	for d := range 30 {
		status, _ := get(fmt.Sprintf("?since=%dd", 100+d))
		if status == 429 {
			refused++
		}
		s.ahead.Add(int64(time.Second))
	}
	if refused < 20 {
		t.Errorf("%d of 30 pages were refused", refused)
	}
	if status, body := get(""); status != 200 || !strings.Contains(body, "page 101") {
		t.Errorf("the page that there is: %d %q", status, body)
	}
	if n := len(s.pages.kept); n > maxPages {
		t.Errorf("%d pages are kept", n)
	}
	// One that is old is better than none, where none may be made.
	s.ahead.Add(int64(pageFresh))
	for d := range 6 {
		get(fmt.Sprintf("?since=%dd", 200+d))
	}
	if status, _ := get("?since=205d"); status != 429 {
		t.Errorf("one that was never made, and is one too many: %d", status)
	}
	if status, body := get(""); status != 200 || !strings.Contains(body, "page 101") {
		t.Errorf("one that there is, and is old: %d %q", status, body)
	}
	// A clock that was set back does not keep a page for ever.
	s.ahead.Store(0)
	s.pages.makes.SetLimit(rate.Inf)
	s.made.Store(200)
	get("")
	if s.made.Load() != 201 {
		t.Error("a page of the future is served")
	}
}

func TestPageThatCannotBeMade(t *testing.T) {
	s := serve(t, openDB(t))
	who := shows{header: "Bearer " + s.reader("alice")}
	broken := MakePage(func(context.Context, PageOptions) ([]byte, error) {
		return nil, errors.New("disk image of /secret is malformed")
	})
	s.page.Store(&broken)
	if a, body := s.ask(who, "GET", fleet.PathPage, ""); a.StatusCode != 503 || strings.Contains(body, "secret") || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %q", a.StatusCode, body)
	}
	large := MakePage(func(context.Context, PageOptions) ([]byte, error) { return make([]byte, maxPageKept+1), nil })
	s.page.Store(&large)
	if a, body := s.ask(who, "GET", fleet.PathPage, ""); a.StatusCode != 200 || len(body) != maxPageKept+1 || len(s.pages.kept) != 0 {
		t.Errorf("one that is too large to keep: %d, %d bytes, %d kept", a.StatusCode, len(body), len(s.pages.kept))
	}
}

// Whoever guesses is slowed down, and keeps no reader out who comes from elsewhere.
func TestWhoGuessesTokens(t *testing.T) {
	s := serve(t, openDB(t))
	slowed := false
	for i := range 10 * joinsBurst {
		a, _ := s.ask(shows{header: fmt.Sprintf("Bearer %sguess%d", fleet.ReaderPrefix, i)}, "GET", fleet.PathPage, "")
		if slowed = a.StatusCode == 429; slowed {
			break
		}
	}
	if !slowed {
		t.Error("whoever guesses is not slowed down")
	}
	if a, _ := s.ask(shows{}, "GET", fleet.PathPage, ""); a.StatusCode != 401 {
		t.Errorf("a browser that asks what to show: %d", a.StatusCode)
	}
}
