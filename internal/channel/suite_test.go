package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// secretPath is the path of every URL that the suite gives out.
const secretPath = "/services/T0AAAA/B0BBBB/xyzzy-swordfish"

// httpDestination is a row of the suite: a channel that speaks HTTP, and its
// service as strict as its documentation.
type httpDestination struct {
	name string // of the channel's type
	make func(c *outbound.Client, url outbound.Secret) (Channel, error)
	// told is the service: it answers with what means that a message was told,
	// and refuses what the real one refuses, for a size, a header or a form.
	told http.HandlerFunc
	// own are answers that only this service gives, and what they mean.
	own []answer
	// differs is what the service means by answers of the suite's own, by their
	// names, where that is not what it means with others.
	differs map[string]*Error
	// again are how many more requests an answer leads to, by its name.
	again map[string]int
	// any2xx: the status is enough, the body may be anything.
	any2xx bool
}

// answer is what a service says, and what that means.
type answer struct {
	name   string
	answer http.HandlerFunc
	want   *Error // Class, RetryAfter and Sent; nil: told
	text   string // in the error
}

// says returns an answer of a service. The header is pairs of names and values.
func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// httpDestinations all pass the suite. A new one is a new row.
func httpDestinations() []httpDestination {
	return append([]httpDestination{slackRow(), slackBotRow(), webhookRow(), voiceRow(), xRow(), xDMRow(), alertmanagerRow()}, describedRows()...)
}

// withoutHTTP are the types that the suite is not for: each has a test of its own.
func withoutHTTP() []string {
	return []string{LogType, SyslogType, JournalType, ExecType, FileType, MailType}
}

func TestEveryTypeIsInTheSuite(t *testing.T) {
	tested := withoutHTTP()
	for _, d := range httpDestinations() {
		tested = append(tested, d.name)
	}
	for _, typ := range Types() {
		if !slices.Contains(tested, typ.Name) {
			t.Errorf("%s has no row", typ.Name)
		}
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

// alerts are those that are hard to put into a form: the longest, the emptiest,
// and one whose every word a stranger chose.
func alerts() map[string]event.Alert {
	hostile := login()
	hostile.Event.User = "<!channel> @everyone [x](https://evil.example) *b* `c` <b>\u202e\n@here"
	hostile.Event.Host = "db1.example.com\r\nSubject: x"
	hostile.Verdict.Reasons = []string{strings.Repeat("é", 3000), "𝕏 @all"}
	long := login()
	long.ID, long.Count = event.NewID(), 900
	long.Event = event.Event{Kind: event.KindLogin, Host: long.Event.Host}
	for i := range 40 {
		long.Rows = append(long.Rows, event.Row{
			User: fmt.Sprintf("user%d@%s", i, strings.Repeat("ü", 60)), Host: strings.Repeat("h", 60), Kind: event.KindLogin, Count: 20 + i,
			IPs: []netip.Addr{netip.MustParseAddr("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff")}, MoreIPs: 30, Severity: event.High, Reason: strings.Repeat("r", 200),
		})
	}
	note := login()
	note.Event.Kind, note.Event.Alert = event.KindAlert, &event.Note{Title: "backup", Text: strings.Repeat("word\n", 4000)}
	bare := login()
	bare.Event.User, bare.Event.Remote, bare.Event.Login, bare.Verdict = "", event.Remote{}, event.Login{}, event.Verdict{}
	test := login()
	test.Test = true
	return map[string]event.Alert{"a login": login(), "a stranger's words": hostile, "the longest digest": long, "a long note": note, "a login of which nothing is known": bare, "a test": test}
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
		r.Body = io.NopCloser(bytes.NewReader(body))
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
	_, err = to.Send(ctx, login())
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

// expiring is a context whose time is over when a test says so: when the service has
// the request, however slow the machine is.
type expiring struct {
	context.Context
	over chan struct{}
}

func (e *expiring) expire()               { close(e.over) }
func (e *expiring) Done() <-chan struct{} { return e.over }

func (e *expiring) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestEveryHTTPDestination(t *testing.T) {
	trap := serve(t, func(http.ResponseWriter, *http.Request) {})
	for i, d := range httpDestinations() {
		for _, tc := range append([]answer{
			{"2xx", d.told, nil, ""},
			{"401", echo(401), &Error{Class: Broken}, "HTTP 401"},
			{"403", echo(403), &Error{Class: Broken}, "HTTP 403"},
			{"404", echo(404), &Error{Class: Broken}, "HTTP 404"},
			{"408", echo(408), &Error{Class: Again}, "HTTP 408"},
			{"410", echo(410), &Error{Class: Broken}, "HTTP 410"},
			{"400", echo(400), &Error{Class: Bug}, "HTTP 400"},
			{"413", echo(413), &Error{Class: Bug}, "too big"},
			{"422", echo(422), &Error{Class: Bug}, "HTTP 422"},
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
		}, d.own...) {
			t.Run(d.name+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				ctx := &expiring{t.Context(), make(chan struct{})}
				f := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if tc.name == "time-out" {
						ctx.expire()
					}
					tc.answer(w, r)
				})
				o := outbound.Options{Timeout: time.Minute}
				if want, ok := d.differs[tc.name]; ok {
					tc.want, tc.text = want, ""
				}
				sameError(t, d.send(t, ctx, o, f.url), tc.want, tc.text)
				if n := f.requests(); n != 1+d.again[tc.name] {
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
				want, text := &Error{Class: Again, Sent: true}, "a proxy or a login page may be in between"
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
			if i > 0 {
				standin.Gate(t) // a quarter of a second each, until it is tried again
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			sameError(t, d.send(t, t.Context(), outbound.Options{}, "http://"+l.Addr().String()), &Error{Class: Again}, "connection refused")
		})
		t.Run(d.name+"/a certificate of another", func(t *testing.T) {
			s := httptest.NewUnstartedServer(d.told)
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			sameError(t, d.send(t, t.Context(), outbound.Options{}, s.URL), &Error{Class: Again}, "certificate")
		})
		t.Run(d.name+"/a proxy that is no URL", func(t *testing.T) {
			f := serve(t, d.told)
			o := outbound.Options{Proxy: outbound.NewSecret("swordfish")}
			sameError(t, d.send(t, t.Context(), o, f.url), &Error{Class: Broken}, "proxy")
			if n := f.requests(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
		for name, a := range alerts() {
			t.Run(d.name+"/takes "+name, func(t *testing.T) {
				t.Parallel()
				f := serve(t, d.told)
				c := outbound.New(outbound.Options{Timeout: time.Minute})
				defer c.CloseIdleConnections()
				to, err := d.make(c, outbound.NewSecret(f.url+secretPath))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := to.Send(t.Context(), a); err != nil || f.requests() != 1 {
					t.Errorf("%v, after %d requests", err, f.requests())
				}
			})
		}
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
