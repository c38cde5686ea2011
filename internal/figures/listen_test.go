package figures

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// What is asked for, how, and what is answered.
func TestRequests(t *testing.T) {
	r := NewRecorder(t.TempDir(), "", "1.2.3")
	if err := r.Keep(time.Now(), true, Queue{Waiting: 2}, map[string]Destination{"slack": {}}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		situation, method, host, path string
		status                        int
		body                          string
	}{
		{"a scrape", "GET", "127.0.0.1:9847", "/metrics", 200, "sshnotify_queue_events{state=\"waiting\"} 2\n"},
		{"by IPv6", "GET", "[::1]:9847", "/metrics", 200, "# HELP "},
		{"by a name, as an ssh tunnel leads here", "GET", "localhost", "/healthz", 200, "ok\n"},
		{"only the header", "HEAD", "127.0.0.1:9847", "/metrics", 200, ""},
		{"a page whose name was made to lead here", "GET", "evil.example.com:9847", "/metrics", 421, "Host must be"},
		{"a name that begins like an address of ours", "GET", "127.0.0.1.example.com", "/healthz", 421, "Host must be"},
		{"the address of another interface", "GET", "192.0.2.1:9847", "/metrics", 421, "Host must be"},
		{"no host", "GET", "", "/metrics", 421, "Host must be"},
		{"something that wants to change something", "POST", "127.0.0.1:9847", "/metrics", 405, "only GET and HEAD"},
		{"something else", "GET", "127.0.0.1:9847", "/", 404, ""},
		{"a file", "GET", "127.0.0.1:9847", "/metrics/../../etc/passwd", 307, ""},
	} {
		t.Run(row.situation, func(t *testing.T) {
			q := httptest.NewRequest(row.method, "http://x"+row.path, nil)
			q.Host = row.host
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, q)
			if body := w.Body.String(); w.Code != row.status || !strings.Contains(body, row.body) {
				t.Errorf("%d %s", w.Code, body)
			}
			if row.path == "/metrics" && w.Code == 200 && w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// What is served is what the node exporter reads.
func TestTheSameAsTheTextfile(t *testing.T) {
	dir := t.TempDir()
	r := NewRecorder(dir, "", "1.2.3")
	r.Tried("slack", Sent, time.Now())
	if err := r.Keep(time.Now(), true, Queue{}, map[string]Destination{"slack": {}}); err != nil {
		t.Fatal(err)
	}
	q := httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil)
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := string(Text(f, nil)); w.Body.String() != want {
		t.Errorf("%s\nwant %s", w.Body, want)
	}
}

func TestHealth(t *testing.T) {
	r := NewRecorder(t.TempDir(), "", "1")
	status := func() int {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/healthz", nil))
		return w.Code
	}
	if got := status(); got != 503 {
		t.Errorf("a worker that has not begun: %d", got)
	}
	for ago, want := range map[time.Duration]int{0: 200, healthyFor / 2: 200, healthyFor + time.Second: 503} {
		if err := r.Keep(time.Now().Add(-ago), true, Queue{}, nil); err != nil {
			t.Fatal(err)
		}
		if got := status(); got != want {
			t.Errorf("%v ago: %d", ago, got)
		}
	}
}

func TestListener(t *testing.T) {
	r := NewRecorder(t.TempDir(), "", "1")
	if err := r.Keep(time.Now(), true, Queue{}, nil); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	l := NewListener(r, slog.New(slog.NewTextHandler(&said, nil)))
	defer l.Close()
	free := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	alive := func(at string) bool {
		resp, err := http.Get("http://" + at + "/healthz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == 200 && string(b) == healthy
	}
	first, second := free(), free()
	for range 2 { // the second is a reload that changes nothing
		if err := l.Listen(first); err != nil || !alive(first) {
			t.Fatal(err)
		}
	}
	if n := strings.Count(said.String(), "figures are served"); n != 1 {
		t.Errorf("it began %d times:\n%s", n, &said)
	}
	if err := l.Listen(second); err != nil || !alive(second) || alive(first) {
		t.Errorf("%v: the new settings' address %v, the old one %v", err, alive(second), alive(first))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := l.Listen(taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "address already in use") || alive(second) {
		t.Errorf("a port that is taken: %v", err)
	}
	for _, open := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:80", ":0", "localhost:0"} {
		if err := l.Listen(open); err == nil {
			t.Errorf("%s is listened at", open)
		}
	}
	if err := l.Listen(first); err != nil || !alive(first) {
		t.Errorf("it does not begin again: %v", err)
	}
	if err := l.Listen(""); err != nil || alive(first) {
		t.Errorf("it does not end: %v", err)
	}
}

// Whoever connects and says nothing, or too much, is cut off, and keeps it from
// nobody else and from no end.
func TestScrapersThatMisbehave(t *testing.T) {
	r := NewRecorder(t.TempDir(), "", "1")
	if err := r.Keep(time.Now(), true, Queue{}, nil); err != nil {
		t.Fatal(err)
	}
	l := NewListener(r, slog.New(slog.DiscardHandler))
	defer l.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	ln.Close()
	if err := l.Listen(at); err != nil {
		t.Fatal(err)
	}
	for range maxScrapers - 1 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\n")
	}
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*maxScrapeHeader))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 431 ") {
		t.Errorf("%q %v", line, err)
	}
	began := time.Now()
	l.Close()
	if took := time.Since(began); took > scrapeLimit {
		t.Errorf("closing took %v", took)
	}
}

func TestListenCheck(t *testing.T) {
	r := NewRecorder(t.TempDir(), "", "1")
	ours := httptest.NewServer(r.Handler())
	other := httptest.NewServer(http.NotFoundHandler())
	gone := httptest.NewServer(nil)
	gone.Close()
	defer ours.Close()
	defer other.Close()
	say := func(s *httptest.Server) doctor.Result {
		check := ListenCheck(ListenSettings{Listen: s.Listener.Addr().String()}, outbound.New(outbound.Options{}), "restart")
		return doctor.Run(t.Context(), doctor.Target{Settings: true}, []doctor.Check{check}).Results[0]
	}
	for what, row := range map[string]struct {
		at   *httptest.Server
		want string
	}{
		"nobody":              {gone, "connection refused"},
		"somebody else":       {other, "something else answers there (HTTP 404)"},
		"a worker that waits": {ours, "the worker does not work the queue"},
	} {
		if got := say(row.at); got.State != doctor.Warn || !strings.Contains(got.Message, row.want) || got.Hint == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if err := r.Keep(time.Now(), true, Queue{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := say(ours); got.State != doctor.OK {
		t.Errorf("%+v", got)
	}
}
