package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// secretPath is the path of every URL that the suite gives out.
const secretPath = "/services/T0AAAA/B0BBBB/xyzzy-swordfish"

// httpDestination is one destination that speaks HTTP, as the suite needs it.
type httpDestination struct {
	name string
	make func(c *outbound.Client, url outbound.Secret) (Channel, error)
	// told is the whole answer that means that a message was told.
	told func(w http.ResponseWriter)
	// any2xx: the status is enough, the body may be anything.
	any2xx bool
}

// httpDestinations all pass the suite. A new one is a new row.
func httpDestinations() []httpDestination {
	return []httpDestination{
		{
			name: "slack",
			make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
				return (&Slack{url}).Open("slack", Env{Client: c})
			},
			told: func(w http.ResponseWriter) { io.WriteString(w, "ok") },
		},
	}
}

func login() event.Alert {
	now := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	return event.Alert{
		ID: "7K3F0000000000000000000000",
		Event: event.Event{
			V: event.Version, ID: "7K3F0000000000000000000000", Kind: event.KindLogin, Time: now,
			Host: "db1.example.com", User: "alice", Service: "sshd", Via: event.ViaPAM,
			Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7"), Port: 51234},
			Login:  event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:abc"}},
		},
		Verdict: event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"first time from Bulgaria"}},
		Count:   1, First: now, Last: now,
	}
}

// far is the service at the other end.
type far struct {
	url string
	mu  sync.Mutex
	// bodies are the requests that arrived.
	bodies []string
}

func (f *far) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

func serve(t *testing.T, answer http.HandlerFunc) *far {
	t.Helper()
	f := &far{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.bodies = append(f.bodies, string(body))
		f.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	f.url = s.URL
	return f
}

// hang keeps a request until its client has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// send makes the destination and sends one alert. The error, if there is one,
// is an *Error that hides the URL.
func (d httpDestination) send(t *testing.T, ctx context.Context, o outbound.Options, url string) *Error {
	t.Helper()
	c := outbound.New(o)
	defer c.CloseIdleConnections()
	to, err := d.make(c, outbound.NewSecret(url+secretPath))
	if err != nil {
		t.Fatal(err)
	}
	if s := leak(fmt.Sprintf("%v %+v %#v", to, to, to)); s != "" {
		t.Errorf("printing the destination shows %q", s)
	}
	err = to.Send(ctx, login())
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is not an *Error: %v", err, err)
	}
	for err := err; err != nil; err = errors.Unwrap(err) {
		if s := leak(fmt.Sprintf("%v %+v %#v", err, err, err)); s != "" {
			t.Errorf("the error shows %q: %#v", s, err)
		}
	}
	if strings.ContainsAny(e.Error(), "\n\r\x1b\u202e") {
		t.Errorf("the error is not one plain line: %q", e.Error())
	}
	return e
}

func leak(text string) string {
	for _, s := range []string{"T0AAAA", "B0BBBB", "xyzzy", "swordfish", "services"} {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

// echo is an answer that repeats the request's URL everywhere, as error pages
// of proxies do.
func echo(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("X-Echo", r.RequestURI)
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s\r\n\x1b[31m\u202e http://%s%s", r.RequestURI, r.Host, r.RequestURI)
	}
}

func TestEveryHTTPDestination(t *testing.T) {
	trap := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, d := range httpDestinations() {
		told := func(w http.ResponseWriter, _ *http.Request) { d.told(w) }
		for _, tc := range []struct {
			name   string
			answer http.HandlerFunc
			want   *Error // Class, RetryAfter and Sent; nil: told
			text   string // in the error
		}{
			{"2xx", told, nil, ""},
			{"401", echo(401), &Error{Class: Broken}, "HTTP 401"},
			{"403", echo(403), &Error{Class: Broken}, "HTTP 403"},
			{"404", echo(404), &Error{Class: Broken}, "HTTP 404"},
			{"408", echo(408), &Error{Class: Again}, "HTTP 408"},
			{"410", echo(410), &Error{Class: Broken}, "HTTP 410"},
			{"413", echo(413), &Error{Class: Bug}, "too big"},
			{"429", echo(429, "Retry-After", "7"), &Error{Class: Again, RetryAfter: 7 * time.Second}, "HTTP 429"},
			{"429 for a day", echo(429, "Retry-After", "86400"), &Error{Class: Again, RetryAfter: time.Hour}, "HTTP 429"},
			{"429 without a time", echo(429), &Error{Class: Again}, "HTTP 429"},
			{"500", echo(500), &Error{Class: Again, Sent: true}, "HTTP 500"},
			{"502", echo(502), &Error{Class: Again, Sent: true}, "HTTP 502"},
			{"503 with a time", echo(503, "Retry-After", "9"), &Error{Class: Again, Sent: true, RetryAfter: 9 * time.Second}, "HTTP 503"},
			{"redirect", echo(302, "Location", trap.url+"/x"), &Error{Class: Broken}, "redirects to 127.0.0.1"},
			{"redirect that repeats the POST", echo(307, "Location", trap.url+"/x"), &Error{Class: Broken}, "redirects to 127.0.0.1"},
			{"redirect to nowhere", echo(301), &Error{Class: Broken}, "redirects"},
			{"redirect to a forged host", echo(301, "Location", "https://<!channel>/"), &Error{Class: Broken}, "redirects (HTTP 301)"},
			{"time-out", hang, &Error{Class: Again, Sent: true}, "timed out"},
			{"connection breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, &Error{Class: Again, Sent: true}, "closed"},
			{"oversize error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); flood(w) }, &Error{Class: Again, Sent: true}, "HTTP 500"},
		} {
			t.Run(d.name+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				f := serve(t, tc.answer)
				o := outbound.Options{Timeout: 5 * time.Second}
				if tc.name == "time-out" {
					o.Timeout = 100 * time.Millisecond
				}
				sameError(t, d.send(t, t.Context(), o, f.url), tc.want, tc.text)
				if n := f.requests(); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		}
		for name, answer := range map[string]http.HandlerFunc{
			"a login page":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><title>Hotel Example") },
			"oversize":      func(w http.ResponseWriter, _ *http.Request) { flood(w) },
			"no content":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
			"its own words": func(w http.ResponseWriter, r *http.Request) { echo(200)(w, r) },
		} {
			t.Run(d.name+"/2xx with "+name, func(t *testing.T) {
				t.Parallel()
				f := serve(t, answer)
				want, text := &Error{Class: Again}, "a proxy or a login page may be in between"
				if d.any2xx {
					want, text = nil, ""
				}
				sameError(t, d.send(t, t.Context(), outbound.Options{}, f.url), want, text)
				if n := f.requests(); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		}
		t.Run(d.name+"/cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			f := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(); hang(w, r) })
			e := d.send(t, ctx, outbound.Options{}, f.url)
			sameError(t, e, &Error{Class: Again, Sent: true}, "cancelled")
			if !errors.Is(e, context.Canceled) {
				t.Error("is not context.Canceled")
			}
			e = d.send(t, ctx, outbound.Options{}, f.url)
			sameError(t, e, &Error{Class: Again}, "cancelled")
			if n := f.requests(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
		t.Run(d.name+"/nobody listens", func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			sameError(t, d.send(t, t.Context(), outbound.Options{}, "http://"+l.Addr().String()), &Error{Class: Again}, "connection refused")
		})
		t.Run(d.name+"/a certificate of another", func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(told))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			sameError(t, d.send(t, t.Context(), outbound.Options{}, s.URL), &Error{Class: Again}, "certificate")
		})
		t.Run(d.name+"/a proxy that is no URL", func(t *testing.T) {
			f := serve(t, told)
			o := outbound.Options{Proxy: outbound.NewSecret("swordfish")}
			sameError(t, d.send(t, t.Context(), o, f.url), &Error{Class: Broken}, "proxy")
			if n := f.requests(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
		for name, url := range map[string]string{
			"plain http": "http://example.com/xyzzy", "userinfo": "https://xyzzy@example.com/", "nothing": "", "no URL": "xyzzy",
		} {
			t.Run(d.name+"/is not made for "+name, func(t *testing.T) {
				_, err := d.make(outbound.New(outbound.Options{}), outbound.NewSecret(url))
				if err == nil || leak(err.Error()) != "" {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	t.Cleanup(func() {
		if trap.requests() != 0 {
			t.Error("a redirect was followed")
		}
	})
}

// flood writes until its reader has had enough.
func flood(w http.ResponseWriter) {
	line := strings.Repeat("ok", 32<<10)
	for n := 0; n < 100<<20; n += len(line) {
		if _, err := io.WriteString(w, line); err != nil {
			return
		}
	}
}

func sameError(t *testing.T, got, want *Error, text string) {
	t.Helper()
	if got == nil || want == nil {
		if got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		return
	}
	if got.Class != want.Class || got.RetryAfter != want.RetryAfter || got.Sent != want.Sent {
		t.Errorf("got %v after %v, sent %v: %v; want %v after %v, sent %v",
			got.Class, got.RetryAfter, got.Sent, got, want.Class, want.RetryAfter, want.Sent)
	}
	if !strings.Contains(got.Error(), text) {
		t.Errorf("%q is not in %q", text, got.Error())
	}
}
