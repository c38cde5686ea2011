package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultTimeout bounds a request whose client was made without a Timeout. A
// webhook answers in well under a second; what takes longer is left to the
// queue.
const DefaultTimeout = 10 * time.Second

const (
	idleTimeout = 30 * time.Second // shorter than servers': a POST on a connection that was just closed may or may not have arrived
	maxHeader   = 64 << 10         // bytes of an answer's header; real ones have a few hundred
	maxAhead    = 256 << 10        // bytes that an HTTP/2 server may send before they are read
)

// Options says how a Client reaches the network. The zero value is complete.
type Options struct {
	Timeout   time.Duration     // for one Do, the body and a retry included; 0: DefaultTimeout
	Proxy     Secret            // URL of a proxy for all but loopback hosts; see CheckProxyURL. Zero: none, whatever the environment says
	RootCAs   *x509.CertPool    // nil: the host's
	TLS       *tls.Config       // of https, in place of RootCAs; nil: TLS 1.2 and above
	UserAgent string            // "sshnotify/1.2.3"; empty: "sshnotify"
	Transport http.RoundTripper // in place of the network, for tests
}

// Client makes HTTP requests. It may be used concurrently and keeps
// connections open between requests.
type Client struct {
	retry     *retryablehttp.Client
	timeout   time.Duration
	userAgent string
	proxy     Secret
	tls       *tls.Config // of a WebSocket
	traced    bool        // the transport reports through httptrace
	broken    error       // why no request can be made
}

// New makes a client. A proxy URL that CheckProxyURL refuses makes every
// request fail: without the proxy nothing must go out.
func New(o Options) *Client {
	c := &Client{timeout: o.Timeout, userAgent: o.UserAgent, proxy: o.Proxy, traced: o.Transport == nil}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.userAgent == "" {
		c.userAgent = "sshnotify"
	}
	var proxy *url.URL
	if !o.Proxy.IsZero() {
		proxy, c.broken = parseProxyURL(o.Proxy.Reveal())
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
	}
	c.tls = o.TLS
	rt := o.Transport
	if rt == nil {
		rt = newTransport(c.timeout, proxy, o.TLS)
	}
	c.retry = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     noFollow{rt},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger:       nil, // the default one prints URLs
		RetryMax:     maxRetries,
		CheckRetry:   checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return quickRetry },
		ErrorHandler: retryablehttp.PassthroughErrorHandler, // the default one hides the answer
	}
	return c
}

// Trust returns those certificates, or the machine's where roots is nil, and
// what a file in PEM form has besides.
func Trust(roots *x509.CertPool, pem []byte) (*x509.CertPool, error) {
	if roots == nil {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil { // a machine without certificates of its own
			roots = x509.NewCertPool()
		}
	}
	roots = roots.Clone()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in PEM form in it")
	}
	return roots, nil
}

// CloseIdleConnections closes the connections that no request is using.
func (c *Client) CloseIdleConnections() { c.retry.HTTPClient.CloseIdleConnections() }

// transport sends https and http on separate ways, because a connection for
// http must end at this machine and never goes through a proxy.
type transport struct{ secure, plain *http.Transport }

func newTransport(timeout time.Duration, proxy *url.URL, t *tls.Config) transport {
	dialer := net.Dialer{Timeout: timeout}
	secure := &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        t,
		TLSHandshakeTimeout:    timeout,
		DisableCompression:     true, // a small answer must not unpack into a big one
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: maxAhead, MaxReceiveBufferPerConnection: maxAhead},
	}
	plain := secure.Clone()
	local := dialer
	local.ControlContext = loopbackOnly
	plain.DialContext = local.DialContext
	if proxy != nil {
		secure.Proxy = func(r *http.Request) (*url.URL, error) {
			if isLoopbackName(r.URL.Hostname()) {
				return nil, nil
			}
			return proxy, nil
		}
	}
	return transport{secure, plain}
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" {
		return t.plain.RoundTrip(r)
	}
	return t.secure.RoundTrip(r)
}

func (t transport) CloseIdleConnections() {
	t.secure.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

var errNotLoopback = errors.New("http:// is allowed to this machine only, and the name leads elsewhere")

// loopbackOnly is asked after a name was resolved: localhost is what the
// resolver says it is.
func loopbackOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// noFollow keeps http.Client from turning a redirect into an error: it parses
// Location before it asks CheckRedirect, and quotes it where it can't be
// parsed.
type noFollow struct{ http.RoundTripper }

func (t noFollow) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if resp != nil {
		if _, bad := r.URL.Parse(resp.Header.Get("Location")); bad != nil {
			resp.Header.Del("Location")
		}
	}
	return resp, err
}

// CloseIdleConnections is what http.Client looks for in its transport.
func (t noFollow) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
