package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// switchboard is a stand-in for healthchecks, and for what is like it.
type switchboard struct {
	*httptest.Server
	answer http.HandlerFunc

	mu  sync.Mutex
	got []string // METHOD path?query body
}

func newSwitch(t *testing.T, answer http.HandlerFunc) *switchboard {
	s := &switchboard{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(b)))
		s.mu.Unlock()
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *switchboard) pings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const token = "5bcf2e0c-secret"

// What a switch answers, and what that means. Nothing that is said of it has the
// URL, which is a secret, not even what a server repeats.
func TestAnswers(t *testing.T) {
	var elsewhere *switchboard
	for _, row := range []struct {
		situation string
		answer    http.HandlerFunc
		want      string // of the error; empty: it arrived
		final     bool
	}{
		{"taken", says(200, "OK"), "", false},
		{"taken, and the check was made", says(201, "Created"), "", false},
		{"the check was deleted", says(404, "not found"), "the check is not there (HTTP 404)", true},
		{"the check was deleted, and that is said as healthchecks did", says(200, "OK (not found)"), "the check is not there (HTTP 200)", true},
		{"the slug is not unique", says(409, "ambiguous slug"), "more than one check is called so (HTTP 409)", true},
		{"refused", says(403, token), "the ping is refused (HTTP 403)", true},
		{"too often", says(200, "OK (rate limited)"), "the check is pinged too often", false},
		{"too often, by its status", says(429, ""), "the check is pinged too often", false},
		{"out of order", says(503, "try later"), "the service is out of order (HTTP 503)", false},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/"+token, http.StatusMovedPermanently)
		}, "the answer is a redirect to 127.0.0.1:", true},
		{"slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timed out waiting for an answer", false},
	} {
		t.Run(row.situation, func(t *testing.T) {
			elsewhere = newSwitch(t, says(200, "OK"))
			s := newSwitch(t, row.answer)
			p := heartbeat.New(heartbeat.Settings{URL: outbound.NewSecret(s.URL + "/" + token), Protocol: heartbeat.Healthchecks}, outbound.New(outbound.Options{Timeout: 200 * time.Millisecond}))
			err := p.Ping(t.Context(), heartbeat.Beat{Text: "queue 0"})
			if want := []string{"POST /" + token + " queue 0"}; !slices.Equal(s.pings(), want) {
				t.Errorf("%q arrived, not %q", s.pings(), want)
			}
			if got := elsewhere.pings(); len(got) > 0 {
				t.Errorf("the redirect was followed: %q", got)
			}
			if row.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var lost *heartbeat.Error
			if !errors.As(err, &lost) || lost.Final != row.final || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("%v (final: %v)", err, lost != nil && lost.Final)
			}
			if said := fmt.Sprintf("%v %+v %s", err, lost.Err, lost.Hint); strings.Contains(said, token) {
				t.Errorf("the secret is in %s", said)
			}
		})
	}
}

// What is sent where all is well, and where something is wrong.
func TestProtocols(t *testing.T) {
	for _, row := range []struct {
		situation, protocol, url, fail string
		failing                        bool
		want                           []string
	}{
		{"well", heartbeat.Healthchecks, "/uuid", "", false, []string{"POST /uuid queue 0"}},
		{"failing", heartbeat.Healthchecks, "/uuid", "", true, []string{"POST /uuid/fail queue 0"}},
		{"failing, a slug that may be made", heartbeat.Healthchecks, "/key/db%201/?create=1", "", true, []string{"POST /key/db%201/fail?create=1 queue 0"}},
		{"well, by GET", heartbeat.Get, "/push/x?status=up", "/push/x?status=down", false, []string{"GET /push/x?status=up"}},
		{"failing, by GET", heartbeat.Get, "/push/x?status=up", "/push/x?status=down", true, []string{"GET /push/x?status=down"}},
		{"failing, and there is no way to say that", heartbeat.Get, "/snitch", "", true, nil},
	} {
		t.Run(row.situation, func(t *testing.T) {
			s := newSwitch(t, says(200, "OK"))
			set := heartbeat.Settings{URL: outbound.NewSecret(s.URL + row.url), Protocol: row.protocol}
			if row.fail != "" {
				set.FailURL = outbound.NewSecret(s.URL + row.fail)
			}
			if err := heartbeat.New(set, outbound.New(outbound.Options{})).Ping(t.Context(), heartbeat.Beat{Failing: row.failing, Text: "queue 0"}); err != nil {
				t.Fatal(err)
			}
			if got := s.pings(); !slices.Equal(got, row.want) {
				t.Errorf("%q arrived, not %q", got, row.want)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	s := newSwitch(t, says(200, "OK"))
	s.Close()
	p := heartbeat.New(heartbeat.Settings{URL: outbound.NewSecret(s.URL + "/" + token)}, outbound.New(outbound.Options{}))
	err := p.Ping(context.Background(), heartbeat.Beat{})
	var lost *heartbeat.Error
	if !errors.As(err, &lost) || lost.Final || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

// A beat says how it is without a name.
func TestBeats(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		situation string
		change    func(*figures.Figures)
		failing   bool
		text      string
		problems  []string
	}{
		{"all is well", func(*figures.Figures) {}, false, "queue 0, oldest -, dead letters 0, destinations 1 of 1 up, last told 2026-11-29T07:57:00Z, sshnotify 1.2.3", nil},
		{"nothing was ever told", func(f *figures.Figures) { f.Dest["slack"] = figures.Destination{} }, false, "queue 0, oldest -, dead letters 0, destinations 1 of 1 up, last told -, sshnotify 1.2.3", nil},
		{"one waits for another try", func(f *figures.Figures) {
			f.Queue = figures.Queue{Waiting: 1, Retry: 1, Oldest: now.Add(-2 * time.Minute)}
		}, false, "queue 1, oldest 2m0s, ", nil},
		{"one has waited for long", func(f *figures.Figures) {
			f.Queue = figures.Queue{Waiting: 1, Retry: 1, Oldest: now.Add(-2 * time.Hour)}
		}, true, "queue 1, oldest 2h0m0s, ", []string{"the oldest has waited for 2 h"}},
		{"a dead letter", func(f *figures.Figures) { f.Queue.Dead = 1 }, true, "queue 0, oldest -, dead letters 1, ", []string{"dead letters: 1"}},
		{"a destination is out of order", func(f *figures.Figures) { f.Dest["mail"] = figures.Destination{Broken: now.Add(-time.Hour)} }, true,
			"queue 0, oldest -, dead letters 0, destinations 1 of 2 up, ", []string{"mail has been out of order for 60 min"}},
		{"a quota is used up", func(f *figures.Figures) { f.Dest["mail"] = figures.Destination{Paused: true} }, false,
			"queue 0, oldest -, dead letters 0, destinations 1 of 2 up, ", []string{"mail takes nothing for now"}},
	} {
		t.Run(row.situation, func(t *testing.T) {
			f := figures.Figures{Version: "1.2.3", Written: now, Follow: now, Dest: map[string]figures.Destination{"slack": {Last: now.Add(-3 * time.Minute)}}}
			row.change(&f)
			b, problems := heartbeat.Of(f, nil, now)
			if b.Failing != row.failing || !strings.HasPrefix(b.Text, row.text) || !slices.Equal(problems, row.problems) {
				t.Errorf("failing %v: %s: %q", b.Failing, b.Text, problems)
			}
			if strings.Contains(b.Text, "slack") || strings.Contains(b.Text, "mail") {
				t.Errorf("it has a name: %s", b.Text)
			}
		})
	}
}
