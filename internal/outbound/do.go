package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// DefaultMaxBody is how much of an answer is read where Request.MaxBody is 0.
const DefaultMaxBody = 64 << 10

// Request is one HTTP request.
type Request struct {
	Method  string // empty: GET
	Purpose string // what it is for, in a word or two, for logs
	URL     Secret // must pass CheckURL
	Header  http.Header
	Body    []byte
	MaxBody int64 // bytes of the answer's body that are read; 0: DefaultMaxBody
	// To gets the body of an answer of 200, all of it, in place of Response.Body: one that
	// is too large for memory. It may have got some where an error is returned.
	To    io.Writer
	Retry bool // a GET or HEAD may be sent a second time after a failure, or a 502, 503 or 504 without Retry-After
}

// Format writes the method, the host and the purpose for every verb.
func (r Request) Format(f fmt.State, _ rune) { io.WriteString(f, r.describe()) }

// LogValue is what Format writes.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.describe()) }

// Response is an answer, whatever its status.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte        // at most Request.MaxBody
	Truncated  bool          // there was more, or the rest of an answer other than 2xx did not come
	RetryAfter time.Duration // see RetryAfter; 0: not said
	redirect   string
	secrets    func() []string // the request's; a function, so that nothing prints them
}

// Format writes the status and the size for every verb.
func (r Response) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%d, %d bytes", r.Status, len(r.Body))
}

// LogValue is what Format writes.
func (r Response) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// RedirectHost names the host that a redirect leads to, with its port; empty
// if the answer is no redirect or names none.
func (r *Response) RedirectHost() string { return r.redirect }

// Excerpt returns the first max characters of the body on one line, cleaned and
// without the secrets of the request, which some proxies repeat in their error
// pages.
func (r *Response) Excerpt(max int) string {
	text := string(r.Body)
	if r.secrets != nil {
		for _, s := range r.secrets() {
			text = strings.ReplaceAll(text, s, redacted)
		}
	}
	return event.Clean(strings.Join(strings.Fields(text), " "), max)
}

// Do sends a request and reads the answer, within the client's Timeout. Any
// status is a Response, a redirect (never followed) too; every error is an
// *Error. A request that may have arrived is not sent again, unless Retry
// allows it.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if c.broken != nil {
		return nil, &Error{Kind: Invalid, Err: c.broken}
	}
	u, err := parseURL(r.URL.Reveal())
	if err != nil {
		return nil, &Error{Kind: Invalid, Err: err}
	}
	a := &attempt{repeat: r.Retry && isIdempotent(r.Method), traced: c.traced}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	fail := func(err error) error { return c.fail(ctx, err, u, r, a) }

	req, err := c.newRequest(a.watch(ctx), u, r)
	if err != nil {
		return nil, &Error{Kind: Invalid, Host: u.Host, Err: err}
	}
	resp, err := c.retry.Do(req)
	if err != nil {
		return nil, fail(err)
	}
	defer resp.Body.Close() // with the rest unread: that ends the connection
	a.phase.Store(phaseAnswered)

	if r.To != nil && resp.StatusCode == http.StatusOK {
		if n, err := io.Copy(r.To, resp.Body); err != nil {
			return nil, fail(err)
		} else if resp.ContentLength >= 0 && n != resp.ContentLength {
			return nil, fail(io.ErrUnexpectedEOF)
		}
		return &Response{Status: resp.StatusCode, Header: resp.Header, secrets: func() []string { return c.secrets(u, r.Header) }}, nil
	}
	limit := r.MaxBody
	if limit <= 0 {
		limit = DefaultMaxBody
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil && (resp.StatusCode < 300 || errors.Is(ctx.Err(), context.Canceled)) {
		return nil, fail(err)
	}
	out := &Response{Status: resp.StatusCode, Header: resp.Header, Body: body, Truncated: err != nil}
	out.secrets = func() []string { return c.secrets(u, r.Header) }
	if int64(len(body)) > limit {
		out.Body, out.Truncated = body[:limit:limit], true
	}
	out.RetryAfter, _ = RetryAfter(resp.Header, time.Now())
	if to, err := u.Parse(resp.Header.Get("Location")); err == nil && resp.StatusCode/100 == 3 &&
		resp.Header.Get("Location") != "" && validHost(to.Hostname()) {
		out.redirect = to.Host
	}
	return out, nil
}

func isIdempotent(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead
}

// newRequest's errors are ours: those of net/http quote what they refuse.
func (c *Client) newRequest(ctx context.Context, u *url.URL, r Request) (*retryablehttp.Request, error) {
	for _, vs := range r.Header {
		if slices.ContainsFunc(vs, func(v string) bool { return strings.ContainsFunc(v, isControl) }) {
			return nil, errors.New("a key or a header contains a control character")
		}
	}
	var body any // a nil []byte in it would count as a body
	if len(r.Body) > 0 {
		body = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, errors.New("not a valid request")
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// fail makes an *Error of what went wrong.
func (c *Client) fail(ctx context.Context, err error, u *url.URL, r Request, a *attempt) error {
	// What the transport says of a context that ended depends on where it was.
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	kind, reason := explain(err, c.secrets(u, r.Header))
	if kind == Timeout {
		reason = a.timedOut(reason)
	}
	return &Error{Kind: kind, Host: u.Host, Sent: kind != Invalid && a.sent(), Err: reason}
}

// secrets lists what must not be seen of a request and of the proxy, the
// longest first, so that no rest of one is left where another was in it.
func (c *Client) secrets(u *url.URL, h http.Header) []string {
	all := pieces(u, h)
	if proxy, err := parseProxyURL(c.proxy.Reveal()); err == nil {
		all = append(all, pieces(proxy, nil)...)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// pieces cuts the secret parts of a URL and of header values into words, in
// which form they survive escaping.
func pieces(u *url.URL, h http.Header) []string {
	raw := []string{u.Path, u.RawQuery, u.Fragment, u.User.String()}
	for _, vs := range u.Query() {
		raw = append(raw, vs...)
	}
	for _, vs := range h {
		raw = append(raw, vs...)
	}
	var out []string
	for _, s := range raw {
		for _, word := range strings.FieldsFunc(s, isSeparator) {
			if len(word) >= minPiece {
				out = append(out, word)
			}
		}
	}
	return out
}

// minPiece spares words such as "v1" and "api" in a path; no key is that short.
const minPiece = 4

func isSeparator(r rune) bool { return strings.ContainsRune("/?&=:;, \"%@", r) }

func (r Request) describe() string {
	host := "?"
	if u, err := parseURL(r.URL.Reveal()); err == nil {
		host = u.Host
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	return strings.TrimSpace(method + " " + host + " " + r.Purpose)
}
