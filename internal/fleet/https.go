package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

const (
	// requestTimeout bounds one request; a hub commits and answers within
	// milliseconds.
	requestTimeout = 20 * time.Second
	// maxAnswer is what an answer that rejects a whole batch may have, in bytes.
	maxAnswer = 256 << 10
	// maxSaid is how much of a hub's reason is shown, in characters.
	maxSaid = 200
)

// HTTPSOptions say how a host reaches a hub.
type HTTPSOptions struct {
	URL         string          // the hub's, without a path
	Token       outbound.Secret // that lets the host in, in place of a certificate
	Credentials Credentials
	Proxy       outbound.Secret // as outbound.Options has it
	// RootCAs are by which a hub is known that is not by a CA of its own; nil: the
	// machine's.
	RootCAs   *x509.CertPool
	UserAgent string
	// Patience bounds one request; 0: requestTimeout. Orders and Evidence need more.
	Patience time.Duration
}

// HTTPS is the Transport to a hub over HTTPS, with TLS 1.3 and the host's
// certificate, which is read anew for each connection. A connection that nobody uses
// is closed within a minute.
type HTTPS struct {
	o      HTTPSOptions
	client *outbound.Client
	broken error // why no request can be made
}

// NewHTTPS returns a way to a hub. It reaches nobody yet.
func NewHTTPS(o HTTPSOptions) *HTTPS {
	h := &HTTPS{o: o}
	t, err := o.tls()
	h.broken = err
	h.dial(t)
	return h
}

// tls returns how a hub is known, and what it is shown. With an error nothing may be
// sent.
func (o HTTPSOptions) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS13}
	var err error
	if t.RootCAs, err = o.Credentials.roots(o.RootCAs); err != nil {
		return t, fmt.Errorf("the hub's CA: %w", err)
	}
	if o.Token.IsZero() {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.Credentials.pair() }
	}
	return t, nil
}

// newJoining returns a way to the hub of a token, for a host that has no
// certificate yet. ca becomes the one that the hub is known by; nil: one that the
// system trusts.
func newJoining(o HTTPSOptions, t Token, ca **x509.Certificate) *HTTPS {
	h := &HTTPS{o: o}
	name := ""
	if u, err := url.Parse(o.URL); err == nil {
		name = u.Hostname()
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: o.RootCAs}
	if t.CA != nil {
		c.InsecureSkipVerify = true // VerifyConnection does, by the token
		c.VerifyConnection = func(s tls.ConnectionState) (err error) {
			if *ca, err = t.VerifyHub(s.PeerCertificates, name, time.Now()); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			return nil
		}
	}
	h.dial(c)
	return h
}

func (h *HTTPS) dial(c *tls.Config) {
	h.client = outbound.New(outbound.Options{Timeout: cmp.Or(h.o.Patience, requestTimeout), Proxy: h.o.Proxy, TLS: c, UserAgent: h.o.UserAgent})
}

// Close closes what is open.
func (h *HTTPS) Close() { h.client.CloseIdleConnections() }

// HandOver implements Transport.
func (h *HTTPS) HandOver(ctx context.Context, b Batch) (a Answer, err error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // a "<" stays one byte
	for _, l := range b.Lines {
		if err := enc.Encode(l); err != nil {
			return a, &Error{Class: TooLarge, Err: err}
		}
	}
	return a, h.ask(ctx, PathEvents, http.Header{"Content-Type": {"application/x-ndjson"}, HeaderNumbering: {b.Numbering}}, body.Bytes(), &a)
}

// Beat implements Transport. A certificate that nears its end is renewed before it;
// where that fails the next beat tries again, and hub and doctor tell when it ends.
func (h *HTTPS) Beat(ctx context.Context, b Beat) (a BeatAnswer, err error) {
	if c, err := h.o.Credentials.Certificate(); err == nil && h.o.Token.IsZero() {
		b.Expires = c.NotAfter
		if RenewDue(c, time.Now()) && h.Renew(ctx) == nil {
			h.client.CloseIdleConnections() // they are the old one's
			if c, err := h.o.Credentials.Certificate(); err == nil {
				b.Expires = c.NotAfter
			}
		}
	}
	return a, h.post(ctx, PathBeat, b, &a)
}

func (h *HTTPS) sign(ctx context.Context, path string, r JoinRequest) (a JoinAnswer, err error) {
	if err := h.post(ctx, path, r, &a); err != nil {
		return a, err
	}
	if !ValidName(a.Name) {
		return a, &Error{Class: Refused, Err: errors.New("the hub gave this host no valid name")}
	}
	return a, nil
}

func (h *HTTPS) post(ctx context.Context, path string, say, answer any) error {
	b, err := json.Marshal(say)
	if err != nil {
		return &Error{Class: Refused, Err: err}
	}
	return h.ask(ctx, path, http.Header{"Content-Type": {"application/json"}}, b, answer)
}

// ask makes a request, and reads its answer. Fields of it that are not known are a
// newer hub's.
func (h *HTTPS) ask(ctx context.Context, path string, header http.Header, body []byte, answer any) error {
	switch {
	case h.broken != nil:
		return &Error{Class: Refused, Err: h.broken}
	case path == PathJoin:
	case !h.o.Token.IsZero():
		header.Set("Authorization", "Bearer "+h.o.Token.Reveal())
	default:
		if _, err := h.o.Credentials.Certificate(); err != nil {
			return &Error{Class: Refused, Err: err, Hint: joinHint}
		}
	}
	r, err := h.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "the hub", URL: outbound.NewSecret(strings.TrimSuffix(h.o.URL, "/") + path),
		Header: header, Body: body, MaxBody: maxAnswer,
	})
	if err != nil {
		return h.unreachable(ctx, err)
	}
	rejected := r.Status == http.StatusBadRequest && r.Header.Get(HeaderRejected) != ""
	if r.Status != http.StatusOK && !rejected {
		return refused(r, time.Now())
	}
	if r.Truncated || json.Unmarshal(r.Body, answer) != nil {
		return &Error{Class: Refused, Err: fmt.Errorf("something that is no hub answers: %q", r.Excerpt(maxSaid)), Hint: "see whether url of [hub] is the hub's"}
	}
	return nil
}

// What to do about a hub that lets this host in no more.
const (
	joinHint  = "sshnotify fleet token at the hub makes a token, and sshnotify fleet join takes it"
	clockHint = "see whether the clocks are right, here and at the hub: timedatectl"
)

// unreachable classes a request that got no answer.
func (h *HTTPS) unreachable(ctx context.Context, err error) error {
	e := &Error{Class: Again, Err: err}
	o, ok := errors.AsType[*outbound.Error](err)
	if !ok {
		return e
	}
	switch o.Kind {
	case outbound.Invalid:
		e.Class = Refused
	case outbound.TLS:
		e.Class, e.Hint = Refused, "see whether this is the hub that the host joined; if its CA is a new one: "+joinHint+"; if a proxy ends TLS before the hub: sshnotify fleet token --bearer"
		if errors.Is(err, http.ErrSchemeMismatch) {
			e.Hint = "url of [hub] must lead to the hub's own port, or to one of a proxy that speaks TLS"
		}
	case outbound.Clock:
		e.Class, e.Hint = Clock, clockHint
		if hubs, err := h.clock(ctx); err == nil {
			e.Err = fmt.Errorf("%w; it is %s by this host's clock, %s by the hub's", o, stamp(time.Now()), stamp(hubs))
		}
	case outbound.Refused:
		e.Hint = "see whether the hub runs, and whether its port is open to this host"
	case outbound.DNS:
		e.Hint = "see whether the hub's name is right, and whether this host looks names up: getent hosts " + withoutPort(o.Host)
	}
	return e
}

// clock asks what time it is by the hub's clock, of whoever answers: the certificate
// does not hold, so this is for words alone.
func (h *HTTPS) clock(ctx context.Context) (time.Time, error) {
	c := outbound.New(outbound.Options{Timeout: requestTimeout, Proxy: h.o.Proxy, TLS: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}})
	defer c.CloseIdleConnections()
	r, err := c.Do(ctx, outbound.Request{Purpose: "the hub's clock", URL: outbound.NewSecret(strings.TrimSuffix(h.o.URL, "/") + PathHealth)})
	if err != nil {
		return time.Time{}, err
	}
	return http.ParseTime(r.Header.Get("Date"))
}

func withoutPort(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	return name
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// refused classes an answer other than 200.
func refused(r *outbound.Response, now time.Time) *Error {
	said := fmt.Sprintf("HTTP %d", r.Status)
	// The hub's own words, which have no secret; Excerpt would take those of the path
	// for some.
	if text := event.Clean(strings.TrimSpace(string(r.Body)), maxSaid); text != "" && r.Header.Get(HeaderWhy) != "" {
		said = text
	}
	e := &Error{Class: Refused, RetryAfter: r.RetryAfter, Err: errors.New(said)}
	why := r.Header.Get(HeaderWhy)
	switch {
	case why == WhyClock:
		e.Class, e.Hint = Clock, clockHint
		if hubs, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			e.Err = fmt.Errorf("%s; it is %s by this host's clock, %s by the hub's", said, stamp(now), stamp(hubs))
		}
	case why == WhyNewer:
		e.Class, e.Hint = Again, "the hub is of an older version: upgrade it before its hosts"
	case why == WhyToken:
		e.Hint = "sshnotify fleet token at the hub makes another one"
	case why == WhyName:
		e.Hint = "choose another one: --name; or, at the hub, if it is the same machine: sshnotify fleet revoke it first"
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		e.Err = fmt.Errorf("the hub does not let this host in: %s", said)
		e.Hint = joinHint
	case r.Status == http.StatusRequestEntityTooLarge:
		e.Class = TooLarge
	case r.Status == http.StatusTooManyRequests, r.Status >= 500:
		e.Class = Again
	default:
		if to := r.RedirectHost(); to != "" {
			said += ", which leads to " + to
		}
		e.Err = fmt.Errorf("something that is no hub answers: %s", said)
		e.Hint = "see whether url of [hub] is the hub's"
		if r.Status == http.StatusBadRequest { // what a TLS port answers to plain HTTP
			e.Hint += ", and whether a proxy before it reaches the hub by https://"
		}
	}
	return e
}
