package outbound

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// roundTrip is a made-up network. It tells its stages as the real one does.
type roundTrip func(r *http.Request, connected func()) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GetConn("")
	return f(r, func() { trace.GotConn(httptrace.GotConnInfo{}) })
}

func answer(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("body"))}
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// fakeClient counts the tries that are made on a made-up network.
func fakeClient(o Options, f roundTrip) (*Client, *int) {
	tries := new(int)
	o.Transport = roundTrip(func(r *http.Request, connected func()) (*http.Response, error) {
		*tries++
		return f(r, connected)
	})
	return New(o), tries
}

func TestWhatIsTriedAgain(t *testing.T) {
	post, get, once := request("POST", "https://example.com"), request("GET", "https://example.com"), request("GET", "https://example.com")
	get.Retry = true
	stubborn := post
	stubborn.Retry = true
	status := func(code int, header ...string) roundTrip {
		return func(_ *http.Request, connected func()) (*http.Response, error) {
			connected()
			return answer(code, header...), nil
		}
	}
	fails := func(err error) roundTrip {
		return func(*http.Request, func()) (*http.Response, error) { return nil, err }
	}
	failsAfterConnecting := func(err error) roundTrip {
		return func(_ *http.Request, connected func()) (*http.Response, error) {
			connected()
			return nil, err
		}
	}
	for _, tc := range []struct {
		name  string
		r     Request
		f     roundTrip
		tries int
	}{
		{"a GET that was answered", get, status(200), 1},
		{"a GET to a server that is away", get, status(503), 2},
		{"a GET to a bad gateway", get, status(502), 2},
		{"a GET to a gateway that timed out", get, status(504), 2},
		{"a GET to a server that says when", get, status(503, "Retry-After", "1"), 1},
		{"a GET to a server that is broken", get, status(500), 1},
		{"a GET that came too often", get, status(429), 1},
		{"a GET that was refused", get, fails(refused()), 2},
		{"a GET that broke off", get, failsAfterConnecting(io.EOF), 2},
		{"a GET to no such host", get, fails(&net.DNSError{IsNotFound: true}), 1},
		{"a GET to a resolver in trouble", get, fails(&net.DNSError{IsTemporary: true}), 2},
		{"a GET that may be sent once, broke off", once, failsAfterConnecting(io.EOF), 1},
		{"a GET that may be sent once, 503", once, status(503), 1},
		{"a GET that may be sent once, refused", once, fails(refused()), 2},
		{"a POST that was refused", post, fails(refused()), 2},
		{"a POST that may have arrived", post, failsAfterConnecting(io.EOF), 1},
		{"a POST that may have arrived, with Retry", stubborn, failsAfterConnecting(io.EOF), 1},
		{"a POST to a server that is away", stubborn, status(503), 1},
		{"a POST that came too often", stubborn, status(429), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				c, tries := fakeClient(Options{}, tc.f)
				resp, err := c.Do(t.Context(), tc.r)
				if *tries != tc.tries {
					t.Errorf("%d tries, want %d (%v, %v)", *tries, tc.tries, resp, err)
				}
				if took := time.Since(start); took != time.Duration(*tries-1)*quickRetry {
					t.Errorf("took %v", took)
				}
				var e *Error
				if errors.As(err, &e) && e.Sent != errors.Is(err, io.EOF) {
					t.Errorf("sent %v: %v", e.Sent, err)
				}
				if resp != nil && string(resp.Body) != "body" {
					t.Errorf("the last answer's body is %q", resp.Body)
				}
			})
		})
	}
}

func TestTheSecondTryCountsIfTheFirstFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c, _ := fakeClient(Options{}, func(r *http.Request, connected func()) (*http.Response, error) {
			if n++; n == 1 {
				return nil, refused()
			}
			if body, _ := io.ReadAll(r.Body); string(body) != `{"text":"hello"}` {
				t.Errorf("the second body is %q", body)
			}
			return answer(200), nil
		})
		if resp := do(t, c, request("POST", "https://example.com")); resp.Status != 200 {
			t.Errorf("got %v", resp)
		}
	})
}

// An answer that is there must not be lost to the end of the deadline.
func TestNoRetryWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tries := fakeClient(Options{Timeout: quickRetry}, func(*http.Request, func()) (*http.Response, error) {
			return answer(503), nil
		})
		r := request("GET", "https://example.com")
		r.Retry = true
		if resp := do(t, c, r); resp.Status != 503 || *tries != 1 {
			t.Errorf("got %v after %d tries", resp, *tries)
		}
	})
}

// A transport that tells nothing of its stages is believed to have sent all.
func TestAnUnknownTransportMayHaveSent(t *testing.T) {
	c := New(Options{Transport: silent{}})
	if e := doFails(t, c, request("POST", "https://example.com")); !e.Sent {
		t.Errorf("sent %v: %v", e.Sent, e)
	}
}

type silent struct{}

func (silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// dribble returns a byte a second, until the request is over.
type dribble struct{ ctx context.Context }

func (d dribble) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		p[0] = '.'
		return 1, nil
	}
}

func (dribble) Close() error { return nil }

func TestTimeOuts(t *testing.T) {
	const lasts = 4500 * time.Millisecond
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	slowly := func(status int) roundTrip {
		return func(r *http.Request, connected func()) (*http.Response, error) {
			connected()
			resp := answer(status)
			resp.Body = dribble{r.Context()}
			return resp, nil
		}
	}
	for _, tc := range []struct {
		name string
		f    roundTrip
		text string // of the error; empty: a Response that is cut
		sent bool
	}{
		{"nobody answers the call", func(r *http.Request, _ func()) (*http.Response, error) { return hang(r) }, "timed out while connecting", false},
		{"no answer", func(r *http.Request, connected func()) (*http.Response, error) { connected(); return hang(r) }, "timed out waiting for an answer", true},
		{"a byte a second", slowly(200), "timed out in the middle of the answer", true},
		{"an error a byte a second", slowly(500), "", true},
	} {
		for _, whose := range []string{"the client's", "the caller's"} {
			t.Run(tc.name+", "+whose, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					o, ctx := Options{Timeout: lasts}, t.Context()
					if whose == "the caller's" {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, lasts)
						defer cancel()
						o.Timeout = time.Minute
					}
					c, _ := fakeClient(o, tc.f)
					resp, err := c.Do(ctx, request("POST", "https://example.com"))
					if took := time.Since(start); took != lasts {
						t.Errorf("took %v", took)
					}
					if tc.text == "" {
						if err != nil || resp.Status != 500 || !resp.Truncated || string(resp.Body) != "...." {
							t.Fatalf("got %v, %v", resp, err)
						}
						return
					}
					var e *Error
					if !errors.As(err, &e) || e.Kind != Timeout || e.Sent != tc.sent || e.Error() != "example.com: "+tc.text {
						t.Errorf("got %v", err)
					}
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error("not a DeadlineExceeded")
					}
				})
			})
		}
	}
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, tries := fakeClient(Options{}, func(*http.Request, func()) (*http.Response, error) {
			cancel()
			return nil, refused()
		})
		_, err := c.Do(ctx, request("POST", "https://example.com"))
		var e *Error
		if !errors.As(err, &e) || e.Kind != Canceled || e.Sent || !errors.Is(err, context.Canceled) || *tries != 1 {
			t.Errorf("got %v after %d tries", err, *tries)
		}
	})
}

// The same on real connections, which a fake can't vouch for.
func TestAConnectionThatBreaksOff(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var conns atomic.Int32
	var say atomic.Value
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, say.Load().(string))
			conn.Close()
		}
	}()
	for _, tc := range []struct {
		name, text string
		kind       Kind
		is         error
	}{
		{"before the answer", "", Broken, io.EOF},
		{"in the middle of the answer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", Broken, io.ErrUnexpectedEOF},
		{"something that is not HTTP", "SSH-2.0-OpenSSH_10.0 " + path + "\r\n", Other, nil},
		{"an echo for a status", "HTTP/1.1 " + hush + "\r\n\r\n", Other, nil},
		{"a header without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader), Other, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conns.Store(0)
			say.Store(tc.text)
			e := doFails(t, New(Options{}), request("POST", "http://"+l.Addr().String()))
			if e.Kind != tc.kind || !e.Sent || !errors.Is(e, tc.is) && tc.is != nil {
				t.Errorf("got %v, sent %v: %v", e.Kind, e.Sent, e)
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	e := doFails(t, New(Options{}), request("POST", "http://"+closedPort(t)))
	if e.Kind != Refused || e.Sent || !errors.Is(e, syscall.ECONNREFUSED) {
		t.Errorf("got %v, sent %v: %v", e.Kind, e.Sent, e)
	}
}
