package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Kind says what sort of failure kept a request from being answered.
type Kind int

// The kinds. A status, a redirect or an answer that is too big is no failure
// here: those are Responses.
const (
	Other       Kind = iota
	Invalid          // the request may not be made: its URL, its proxy, a header
	Canceled         // the caller's context was cancelled
	Timeout          // the caller's deadline, or Options.Timeout, passed
	DNS              // the host's name could not be resolved
	Refused          // nobody listens there
	Unreachable      // no way to the host
	TLS              // no secure connection: a certificate, or no TLS spoken there
	Clock            // TLS, for a certificate that has ended or not begun by this machine's clock
	Broken           // the connection broke off
)

var kindNames = [...]string{"other", "invalid", "cancelled", "time-out", "name resolution", "refused", "unreachable", "tls", "clock", "broken off"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kindNames[k]
}

// Error is a request that got no answer. Whatever prints it shows the host and
// the reason; neither it nor what it unwraps to contains the URL's path, query
// or userinfo, or the value of a header.
type Error struct {
	Kind Kind
	Host string // with the port, where the URL names one; empty if there was none
	Sent bool   // the request may have arrived
	Err  error
}

func (e *Error) Error() string {
	if e.Host == "" {
		return e.Err.Error()
	}
	return e.Host + ": " + e.Err.Error()
}

// Unwrap returns the reason. errors.Is finds context.Canceled,
// context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, http.ErrSchemeMismatch and
// syscall.Errno.
func (e *Error) Unwrap() error { return e.Err }

// Format writes Error for every verb.
func (e *Error) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// reason is an error with a text of ours in place of its own. is is nothing but
// a sentinel or an errno, which hold no text from outside.
type reason struct {
	text string
	is   error
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.is }

// Explain words an error of package net or crypto/tls as Do would, for what
// speaks another protocol than HTTP with host.
func Explain(host string, err error) *Error {
	kind, is := explain(err, nil)
	return &Error{Kind: kind, Host: host, Err: is}
}

// explain finds the kind of a transport's error and says it in words that are
// fit to be seen. secrets are pieces of text that must not be.
func explain(err error, secrets []string) (Kind, error) {
	var is error
	for _, s := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch} {
		if errors.Is(err, s) {
			is = s
			break
		}
	}
	errno, isErrno := errors.AsType[syscall.Errno](err)
	if isErrno {
		is = errno
	}
	op, isOp := errors.AsType[*net.OpError](err)
	say := func(k Kind, text string) (Kind, error) {
		if isOp && op.Op == "proxyconnect" {
			text = "the proxy: " + text
		}
		return k, &reason{text, is}
	}

	dns, isDNS := errors.AsType[*net.DNSError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errNotLoopback):
		return say(Invalid, errNotLoopback.Error())
	case is == context.Canceled:
		return say(Canceled, "cancelled")
	case isDNS && dns.IsNotFound:
		return say(DNS, "no such host name")
	case isDNS:
		return say(DNS, "the host name could not be resolved: "+visible(dns.Err, secrets))
	case is == context.DeadlineExceeded, isNet && netErr.Timeout() && !isTLS(err):
		is = context.DeadlineExceeded
		return say(Timeout, "timed out")
	case isErrno && (errno == syscall.ECONNREFUSED):
		return say(Refused, "connection refused")
	case isErrno && (errno == syscall.ENETUNREACH || errno == syscall.EHOSTUNREACH || errno == syscall.ENETDOWN || errno == syscall.EADDRNOTAVAIL):
		return say(Unreachable, errno.Error())
	case is == http.ErrSchemeMismatch:
		return say(TLS, "no TLS is spoken there")
	case isEnded(err):
		return say(Clock, visible(innermost(err).Error(), secrets))
	case isTLS(err):
		return say(TLS, visible(innermost(err).Error(), secrets))
	case isErrno:
		return say(Broken, errno.Error())
	case is != nil:
		return say(Broken, "the connection was closed before the answer was complete")
	}
	return say(Other, visible(innermost(err).Error(), secrets))
}

// isTLS reports whether TLS failed. Certificates are all wrapped in a
// CertificateVerificationError; alerts are an unexported type of crypto/tls
// inside an OpError with one of these names.
func isTLS(err error) bool {
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	for op, ok := errors.AsType[*net.OpError](err); ok; op, ok = errors.AsType[*net.OpError](op.Err) {
		if op.Op == "remote error" || op.Op == "local error" {
			return true
		}
	}
	return cert || record
}

func isEnded(err error) bool {
	bad, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && bad.Reason == x509.Expired
}

// innermost leaves off the layers that say what was being done, because they
// quote the URL and addresses.
func innermost(err error) error {
	for {
		switch e := err.(type) {
		case *url.Error:
			err = e.Err
		case *net.OpError:
			err = e.Err
		default:
			return err
		}
	}
}

// maxForeign is how much is shown of an error text that is not ours.
const maxForeign = 160

// visible makes the text of a library's error fit to be seen. What stands in
// quotes was said by the other side, and is left out; if any secret is in the
// rest, all of it is.
func visible(text string, secrets []string) string {
	text, _, quotes := strings.Cut(text, `"`)
	if open := strings.LastIndexByte(text, '('); quotes && open > 0 {
		text = text[:open]
	}
	text = strings.TrimRight(text, " :,")
	for _, s := range secrets {
		if strings.Contains(text, s) {
			text = ""
		}
	}
	if text == "" {
		return "the request failed"
	}
	return event.Clean(text, maxForeign)
}
