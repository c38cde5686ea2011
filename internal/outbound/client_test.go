package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// path and auth are what a server is asked with and must never be seen.
const (
	path = "/services/T0AAAA/" + hush + "?key=s3cr3t-parameter"
	auth = "Bearer s3cr3t-header"
)

// serve starts a server that counts its requests.
func serve(t *testing.T, h http.HandlerFunc) (url string, requests *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s.URL, &n
}

func request(method, url string) Request {
	r := Request{Method: method, URL: NewSecret(url + path), Header: http.Header{"Authorization": {auth}}}
	if method == http.MethodPost {
		r.Body = []byte(`{"text":"hello"}`)
	}
	return r
}

// do expects an answer.
func do(t *testing.T, c *Client, r Request) *Response {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// doFails expects an error that hides the request.
func doFails(t *testing.T, c *Client, r Request) *Error {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, %v; want an *Error", resp, err)
	}
	if s := leaks(shown(err), hush, "T0AAAA", "s3cr3t", "services"); s != "" {
		t.Errorf("%q is in the error: %+v", s, err)
	}
	return e
}

func TestARequestArrivesAsItWasMade(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, got := range map[string][2]string{
			"URI":        {r.RequestURI, path},
			"header":     {r.Header.Get("Authorization"), auth},
			"user agent": {r.UserAgent(), "sshnotify/1.2.3"},
			"body":       {string(body), `{"text":"hello"}`},
			"encoding":   {r.Header.Get("Accept-Encoding"), ""},
			"cookies":    {r.Header.Get("Cookie"), ""},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: got %q, want %q", name, got[0], got[1])
			}
		}
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "ok")
	})
	c := New(Options{UserAgent: "sshnotify/1.2.3"})
	for range 2 { // the second time there would be a cookie
		resp := do(t, c, request("POST", url))
		if resp.Status != http.StatusTeapot || string(resp.Body) != "ok" || resp.Truncated || resp.RetryAfter != 7*time.Second {
			t.Errorf("got %d %q, truncated %v, %v", resp.Status, resp.Body, resp.Truncated, resp.RetryAfter)
		}
	}
	c.CloseIdleConnections()
}

func TestARequestThatMayNotBeMade(t *testing.T) {
	url, requests := serve(t, func(http.ResponseWriter, *http.Request) {})
	bad := request("GET", url)
	bad.Header.Set("X-Odd", hush+"\n")
	for name, tc := range map[string]struct {
		c *Client
		r Request
	}{
		"http to elsewhere":      {New(Options{}), request("GET", "http://192.0.2.1")},
		"userinfo":               {New(Options{}), request("GET", "https://"+hush+"@192.0.2.1")},
		"no URL":                 {New(Options{}), Request{}},
		"a proxy that is no URL": {New(Options{Proxy: NewSecret(hush)}), request("GET", url)},
		"a header of two lines":  {New(Options{}), bad},
		"an odd method":          {New(Options{}), request("GE T", url)},
	} {
		t.Run(name, func(t *testing.T) {
			if e := doFails(t, tc.c, tc.r); e.Sent || e.Kind != Invalid {
				t.Errorf("got %v, sent %v: %v", e.Kind, e.Sent, e)
			}
		})
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

// What a name says is not enough: localhost may resolve to anything.
func TestPlainHTTPEndsAtThisMachine(t *testing.T) {
	r := httptest.NewRequest("GET", "http://192.0.2.1/"+hush, nil)
	_, err := newTransport(time.Second, nil, &tls.Config{}).RoundTrip(r)
	if !errors.Is(err, errNotLoopback) {
		t.Errorf("got %v, want %v", err, errNotLoopback)
	}
	if kind, _ := explain(err, nil); kind != Invalid || worthRepeating(err) {
		t.Errorf("kind %v", kind)
	}
	url, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	do(t, New(Options{}), request("GET", strings.Replace(url, "127.0.0.1", "localhost", 1)))
}

func TestARedirectIsAnAnswer(t *testing.T) {
	trap, trapped := serve(t, func(http.ResponseWriter, *http.Request) {})
	trapHost := strings.TrimPrefix(trap, "http://")
	for name, tc := range map[string]struct{ location, host string }{
		"elsewhere":             {trap + "/x", trapHost},
		"a name":                {"https://login.example.com/sso?next=" + hush, "login.example.com"},
		"no location":           {"", ""},
		"a broken location":     {"http://[::1/%zz" + hush, ""},
		"a host with a mention": {"http://<!channel>/", ""},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(name, func(t *testing.T) {
				url, requests := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					if tc.location != "" {
						w.Header().Set("Location", tc.location)
					}
					w.WriteHeader(status)
				})
				resp := do(t, New(Options{}), request("POST", url))
				if resp.Status != status || resp.RedirectHost() != tc.host {
					t.Errorf("got %d to %q, want %d to %q", resp.Status, resp.RedirectHost(), status, tc.host)
				}
				if requests.Load() != 1 {
					t.Errorf("%d requests", requests.Load())
				}
			})
		}
	}
	if trapped.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestAnAnswerThatIsTooBigIsNotRead(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		written := make(chan int, 1)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, chunk := 0, make([]byte, 64<<10)
			for n < 100<<20 {
				m, err := w.Write(chunk)
				if n += m; err != nil {
					break
				}
			}
			written <- n
		}))
		s.EnableHTTP2 = http2
		s.StartTLS()
		t.Cleanup(s.Close)
		r := request("GET", s.URL)
		r.MaxBody = 4096
		resp := do(t, New(Options{RootCAs: pool(s)}), r)
		if len(resp.Body) != 4096 || !resp.Truncated {
			t.Errorf("%d bytes, truncated %v", len(resp.Body), resp.Truncated)
		}
		if n := <-written; n > 20<<20 {
			t.Errorf("HTTP/2 %v: the server got rid of %d bytes", http2, n)
		}
	}
}

func TestAnAnswerOfExactlyTheLimitIsWhole(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "12345678") })
	r := request("GET", url)
	r.MaxBody = 8
	if resp := do(t, New(Options{}), r); string(resp.Body) != "12345678" || resp.Truncated {
		t.Errorf("got %q, truncated %v", resp.Body, resp.Truncated)
	}
}

func pool(s *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}

func TestTLS(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	start := func(change func(*httptest.Server)) *httptest.Server {
		s := httptest.NewUnstartedServer(hello)
		s.Config.ErrorLog = quiet()
		change(s)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	good := start(func(s *httptest.Server) { s.EnableHTTP2 = true })
	old := start(func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	})
	plain := httptest.NewServer(hello)
	t.Cleanup(plain.Close)

	if resp := do(t, New(Options{RootCAs: pool(good)}), request("GET", good.URL)); string(resp.Body) != "HTTP/2.0" {
		t.Errorf("spoke %s", resp.Body)
	}
	for name, tc := range map[string]struct {
		url  string
		root *x509.CertPool
		text string
	}{
		"an unknown authority":      {good.URL, nil, "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"a certificate for another": {strings.Replace(good.URL, "127.0.0.1", "localhost", 1), pool(good), "not localhost"},
		"TLS 1.1":                   {old.URL, pool(old), "tls: protocol version not supported"},
		"no TLS":                    {strings.Replace(plain.URL, "http:", "https:", 1), nil, "no TLS is spoken there"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("GET", tc.url)
			r.Retry = true
			e := doFails(t, New(Options{RootCAs: tc.root}), r)
			if e.Kind != TLS || e.Sent || !strings.Contains(e.Error(), tc.text) {
				t.Errorf("got %v, sent %v: %v", e.Kind, e.Sent, e)
			}
		})
	}
}

// tunnel is a proxy that leads everything to one server, if it is asked with
// the password.
func tunnel(t *testing.T, to string) (host string, asked *atomic.Value) {
	asked = new(atomic.Value)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.Host)
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+hush))
		if r.Header.Get("Proxy-Authorization") != want {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		near, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(far, near); far.Close() }()
		io.Copy(near, far)
		near.Close()
	})
	return strings.TrimPrefix(url, "http://"), asked
}

func TestProxy(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	host, asked := tunnel(t, strings.TrimPrefix(s.URL, "https://"))
	client := func(proxy string) *Client {
		c := New(Options{RootCAs: pool(s), Proxy: NewSecret(proxy)})
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	far := request("POST", "https://example.com") // which the test server's certificate is for

	t.Run("with its password", func(t *testing.T) {
		resp := do(t, client("http://me:"+hush+"@"+host), far)
		if string(resp.Body) != "ok" || asked.Load() != "CONNECT example.com:443" {
			t.Errorf("got %q by %v", resp.Body, asked.Load())
		}
	})
	t.Run("with a wrong password", func(t *testing.T) {
		e := doFails(t, client("http://me:s3cr3t-wrong@"+host), far)
		if e.Error() != "example.com: Proxy Authentication Required" || e.Sent {
			t.Errorf("got %v, sent %v", e, e.Sent)
		}
	})
	t.Run("that is not there", func(t *testing.T) {
		e := doFails(t, client("http://me:"+hush+"@"+closedPort(t)), far)
		if e.Error() != "example.com: the proxy: connection refused" || e.Kind != Refused || e.Sent {
			t.Errorf("got %v, %v, sent %v", e, e.Kind, e.Sent)
		}
	})
	t.Run("is not asked for this machine", func(t *testing.T) {
		if resp := do(t, client("http://me:"+hush+"@"+closedPort(t)), request("GET", s.URL)); string(resp.Body) != "ok" {
			t.Errorf("got %q", resp.Body)
		}
	})
}

// A user's environment is not the owner's: ~/.pam_environment can set these.
func TestTheEnvironmentSetsNoProxy(t *testing.T) {
	for _, k := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(k, "http://192.0.2.1:3128")
	}
	rt := New(Options{}).retry.HTTPClient.Transport.(noFollow).RoundTripper.(transport)
	if rt.secure.Proxy != nil || rt.plain.Proxy != nil {
		t.Error("there is a proxy")
	}
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
