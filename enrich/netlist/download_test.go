package netlist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

const secretURL = "https://lists.example.com/tor/geheim"

// server stands in for the network: it answers after a while, and counts.
type server struct {
	mu       sync.Mutex
	takes    time.Duration // how long an answer takes; less than 0: for ever
	status   int
	header   http.Header
	body     string
	err      error
	requests []*http.Request
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	takes := s.takes
	s.mu.Unlock()
	if takes < 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	h := s.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: s.status, Header: h, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// answer sets what comes next.
func (s *server) answer(status int, body string, header ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body, s.err, s.takes, s.header = status, body, nil, 100*time.Millisecond, http.Header{}
	for i := 0; i < len(header); i += 2 {
		s.header.Set(header[i], header[i+1])
	}
}

// asked returns how many requests came since the last call.
func (s *server) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.requests)
	s.requests = nil
	return n
}

// process makes a list as another process would.
func (s *server) process(t *testing.T, dir, url string) *List {
	t.Helper()
	l, err := New(Options{Name: "tor", Title: "Tor exits", Label: "Tor exit", Trait: TraitTor, Score: score(75), StateDir: dir,
		URL: outbound.NewSecret(url), Client: outbound.New(outbound.Options{Transport: s})})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask looks 192.0.2.1 up, and says how long that took.
func ask(l *List, limit time.Duration) (on bool, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	f, err := l.Lookup(ctx, netip.MustParseAddr("192.0.2.1"))
	return len(f.Traits.Lists) > 0, time.Since(start), err
}

func TestDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{}
		s.answer(200, "192.0.2.1\n", "ETag", `"one"`, "Last-Modified", "Fri, 20 Nov 2026 06:00:00 GMT")
		l := s.process(t, dir, secretURL)
		defer l.Close()
		want := func(name string, wantOn bool, wantTook time.Duration, wantAsked int, problem string) {
			t.Helper()
			on, took, err := ask(l, 3*time.Second)
			l.runs.Wait()
			if asked := s.asked(); on != wantOn || took != wantTook || asked != wantAsked {
				t.Errorf("%s: on the list %v after %v, %d requests", name, on, took, asked)
			}
			if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		want("the first look-up waits for it", true, 100*time.Millisecond, 1, "")
		want("the next does not ask", true, 0, 0, "")
		time.Sleep(23 * time.Hour)
		want("nor does one on the same day", true, 0, 0, "")

		s.answer(200, "198.51.100.1\n", "ETag", `"two"`)
		time.Sleep(2 * time.Hour)
		want("a day later the old list answers, and the new one is got", true, 0, 1, "")
		time.Sleep(lookEvery)
		want("and used from then on", false, 0, 0, "")

		s.answer(304, "")
		time.Sleep(25 * time.Hour)
		on, _, _ := ask(l, time.Second)
		l.runs.Wait()
		if r := s.requests; on || len(r) != 1 || r[0].Header.Get("If-None-Match") != `"two"` || r[0].Header.Get("If-Modified-Since") != "" {
			t.Errorf("the server was not told what we have: %+v", r)
		}
		s.asked()
		if age := time.Since(l.Status(t.Context()).AsOf); age > time.Minute {
			t.Errorf("unchanged is as good as new, and it is %v old", age)
		}

		s.answer(500, "sorry")
		time.Sleep(25 * time.Hour)
		want("a server that is out of order: the list is used", false, 0, 1, "")
		for range 3 { // hits within the pause do not ask, nor do they once it is said to be old
			time.Sleep(lookEvery / 2)
			want("and said to be old", false, 0, 0, "is used")
		}
		s.answer(200, "192.0.2.1\n")
		time.Sleep(time.Hour)
		want("until it is back", false, 0, 1, "is used")
		time.Sleep(lookEvery)
		want("and all is well", true, 0, 0, "")
	})
}

// What comes that is no list does not replace one.
func TestBadAnswers(t *testing.T) {
	for _, row := range []struct {
		name, problem string
		do            func(s *server)
	}{
		{"missing", "answered 404", func(s *server) { s.answer(404, "192.0.2.9\n") }},
		{"moved", "redirected to new.example.com", func(s *server) { s.answer(302, "192.0.2.9\n", "Location", "https://new.example.com/geheim") }},
		{"a web page by its type", "web page", func(s *server) { s.answer(200, "192.0.2.9\n", "Content-Type", "text/html; charset=utf-8") }},
		{"a web page by its look", "web page", func(s *server) { s.answer(200, "<html>\n192.0.2.9\n") }},
		{"nothing", "no line of it", func(s *server) { s.answer(200, "") }},
		{"no addresses", "no line of it", func(s *server) { s.answer(200, "quota exceeded\n") }},
		{"compressed", "compressed", func(s *server) { s.answer(200, "\x1f\x8b\x08") }},
		{"without end", "larger", func(s *server) { s.answer(200, strings.Repeat("192.0.2.9\n", maxBytes/10+2)) }},
		{"unchanged, where that can't be", "answered 304", func(s *server) { s.answer(304, "") }},
		{"no network", "lists.example.com", func(s *server) { s.err = errors.New("no way to " + secretURL) }},
		{"no answer", "timed out", func(s *server) { s.takes = -1 }},
		{"be quiet for an hour", "answered 429", func(s *server) { s.answer(429, "", "Retry-After", "3600") }},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir, s := t.TempDir(), &server{}
			row.do(s)
			l := s.process(t, dir, secretURL)
			on, _, err := ask(l, time.Hour)
			if on || err == nil || !strings.Contains(err.Error(), row.problem) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s, and no list before: %v, %v", row.name, on, err)
			}
			s.asked()
			if on, took, err := ask(l, time.Hour); on || err == nil || took != 0 || s.asked() != 0 {
				t.Errorf("%s: asked again at once: %v, %v", row.name, err, took)
			}
			l.Close()
			l = s.process(t, dir, secretURL)
			if on, took, err := ask(l, time.Hour); on || err == nil || took != 0 || s.asked() != 0 {
				t.Errorf("%s: another process asked again at once: %v, %v", row.name, err, took)
			}
			l.Close()

			dir = t.TempDir()
			s.answer(200, "192.0.2.1\n")
			l = s.process(t, dir, secretURL)
			if on, _, err := ask(l, time.Hour); !on || err != nil {
				t.Fatal(on, err)
			}
			if row.name != "unchanged, where that can't be" {
				row.do(s)
				time.Sleep(25 * time.Hour)
				if err := l.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), row.problem) || !strings.Contains(err.Error(), "is used") {
					t.Errorf("%s: refreshed: %v", row.name, err)
				}
				f, err := l.Lookup(t.Context(), netip.MustParseAddr("192.0.2.1"))
				if err == nil || f.Risk == nil || f.Risk.Stale.IsZero() {
					t.Errorf("%s: %+v, %v", row.name, f.Risk, err)
				}
			}
			l.Close()
			// What was kept answers in the next process.
			l = s.process(t, dir, secretURL)
			if on, took, _ := ask(l, time.Hour); !on || took != 0 {
				t.Errorf("%s: the copy says %v after %v", row.name, on, took)
			}
			l.Close()
			eachFile(t, dir, func(path string, b []byte) {
				if strings.Contains(path+string(b), "geheim") {
					t.Errorf("%s: the URL is in %s", row.name, path)
				}
			})
		})
	}
}

func eachFile(t *testing.T, dir string, f func(path string, b []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "lists", "*"))
	if err != nil || len(files) == 0 {
		t.Error("no files", err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s may be read by others: %v", path, info.Mode())
		}
		f(path, b)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.answer(429, "", "Retry-After", "3600")
		l := s.process(t, t.TempDir(), secretURL)
		defer l.Close()
		l.Refresh(t.Context())
		s.answer(200, "192.0.2.1\n")
		for minute := range 60 {
			if l.Refresh(t.Context()) == nil {
				t.Fatalf("asked after %d minutes", minute)
			}
			time.Sleep(time.Minute)
		}
		if err := l.Refresh(t.Context()); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		if n := s.asked(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// A look-up has a time limit; the download goes on for those that follow.
func TestSlowDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.answer(200, "192.0.2.1\n")
		s.takes = 5 * time.Second
		l := s.process(t, t.TempDir(), secretURL)
		defer l.Close()
		if on, took, err := ask(l, time.Second); on || err == nil || took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v, %v", took, on, err)
		}
		if on, took, err := ask(l, 10*time.Second); !on || err != nil || took != 4*time.Second {
			t.Errorf("the next, after %v: %v, %v", took, on, err)
		}
		if n := s.asked(); n != 1 {
			t.Errorf("%d requests", n)
		}
		// Nor does a refresh that hangs hold anybody up.
		s.takes = -1
		time.Sleep(25 * time.Hour)
		for range 3 {
			if on, took, err := ask(l, time.Second); !on || err != nil || took != 0 {
				t.Errorf("while it hangs, after %v: %v, %v", took, on, err)
			}
		}
	})
}

func TestCloseEndsADownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{takes: -1}
		l := s.process(t, dir, secretURL)
		ask(l, time.Second)
		l.Close()
		// It was not the server's fault, and the next may ask at once.
		s.answer(200, "192.0.2.1\n")
		l = s.process(t, dir, secretURL)
		defer l.Close()
		if on, _, err := ask(l, time.Hour); !on || err != nil {
			t.Error(on, err)
		}
	})
}

// Two hundred workers of one host make one request.
func TestManyProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{}
		s.answer(200, "192.0.2.1\n")
		var wg sync.WaitGroup
		for range 200 {
			l := s.process(t, dir, secretURL)
			wg.Go(func() {
				defer l.Close()
				if on, _, err := ask(l, time.Minute); !on || err != nil {
					t.Error(on, err)
				}
			})
		}
		wg.Wait()
		if n := s.asked(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// What another process got is seen without a request.
func TestAnotherProcessRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{}
		s.answer(200, "198.51.100.1\n")
		stays := s.process(t, dir, secretURL)
		defer stays.Close()
		if on, _, err := ask(stays, time.Minute); on || err != nil {
			t.Fatal(on, err)
		}
		time.Sleep(25 * time.Hour)
		s.answer(200, "192.0.2.1\n")
		other := s.process(t, dir, secretURL)
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		other.Close()
		s.asked()
		if on, _, err := ask(stays, time.Minute); !on || err != nil || s.asked() != 0 {
			t.Error(on, err)
		}
	})
}

func TestAnotherURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{}
		s.answer(200, "192.0.2.1\n", "ETag", `"one"`)
		l := s.process(t, dir, secretURL)
		ask(l, time.Minute)
		l.Close()
		neighbour := filepath.Join(dir, "lists", "tor-vpn-0123abcd.list")
		if err := os.WriteFile(neighbour, []byte("192.0.2.1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.answer(200, "198.51.100.1\n")
		s.asked()
		l = s.process(t, dir, secretURL+"/other")
		defer l.Close()
		if on, _, err := ask(l, time.Minute); on || err != nil || s.requests[0].Header.Get("If-None-Match") != "" {
			t.Error("the other URL's copy was used", err)
		}
		lists, _ := filepath.Glob(filepath.Join(dir, "lists", "*.list"))
		if len(lists) != 2 || !strings.Contains(fmt.Sprint(lists), neighbour) {
			t.Errorf("kept: %v", lists)
		}
	})
}

// Where it can't be remembered that the server was asked, it is not.
func TestNoPlaceToKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &server{}
		s.answer(200, "192.0.2.1\n")
		l := s.process(t, file, secretURL)
		defer l.Close()
		if on, _, err := ask(l, time.Minute); on || err == nil || !strings.Contains(err.Error(), "can't be kept") || s.asked() != 0 {
			t.Error(on, err)
		}
	})
}

// On a full disk the list is used, and the server is not asked each second.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.answer(200, "192.0.2.1\n")
		l := s.process(t, t.TempDir(), secretURL)
		defer l.Close()
		if err := os.MkdirAll(l.source.(*download).base+".json", 0o700); err != nil {
			t.Fatal(err)
		}
		for range 3600 {
			if on, _, _ := ask(l, time.Minute); !on {
				t.Fatal("the list is not used")
			}
			l.runs.Wait()
			time.Sleep(time.Second)
		}
		if n := s.asked(); n > 15 {
			t.Errorf("%d requests in an hour", n)
		}
	})
}

// A copy that was torn or tampered with is got anew, as a whole.
func TestDamagedCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &server{}
		s.answer(200, "192.0.2.1\n", "ETag", `"one"`)
		l := s.process(t, dir, secretURL)
		ask(l, time.Minute)
		base := l.source.(*download).base
		l.Close()
		for _, name := range []string{".list", ".json"} {
			if err := os.WriteFile(base+name, []byte("\x00"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.asked()
			l = s.process(t, dir, secretURL)
			if on, _, err := ask(l, time.Minute); !on || err != nil {
				t.Errorf("%s: %v, %v", name, on, err)
			}
			l.runs.Wait()
			if len(s.requests) != 1 || s.requests[0].Header.Get("If-None-Match") != "" {
				t.Errorf("%s: %d requests", name, len(s.requests))
			}
			l.Close()
		}
	})
}
