package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	wrap := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://example.com/" + hush, Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	for _, tc := range []struct {
		name string
		err  error
		kind Kind
		text string
		is   error
	}{
		{"cancelled", wrap(context.Canceled), Canceled, "cancelled", context.Canceled},
		{"deadline", wrap(context.DeadlineExceeded), Timeout, "timed out", context.DeadlineExceeded},
		{"a time-out of the network", wrap(syscall.ETIMEDOUT), Timeout, "timed out", context.DeadlineExceeded},
		{"no such host", wrap(&net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true}), DNS, "no such host name", nil},
		{"no resolver", wrap(&net.DNSError{Err: "server misbehaving", Name: "example.com"}), DNS, "the host name could not be resolved: server misbehaving", nil},
		{"refused", wrap(syscall.ECONNREFUSED), Refused, "connection refused", syscall.ECONNREFUSED},
		{"no route", wrap(syscall.EHOSTUNREACH), Unreachable, "no route to host", syscall.EHOSTUNREACH},
		{"reset", wrap(syscall.ECONNRESET), Broken, "connection reset by peer", syscall.ECONNRESET},
		{"closed", wrap(io.EOF), Broken, "the connection was closed before the answer was complete", io.EOF},
		{"an alert", &url.Error{Err: &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}}, TLS, "tls: handshake failure", nil},
		{"what the other side said", wrap(errors.New(`malformed HTTP response "SSH-2.0-x <!channel>"`)), Other, "malformed HTTP response", nil},
		{"a remark with what it said", wrap(errors.New(`signed by unknown authority (possibly because of "x" while "y")`)), Other, "signed by unknown authority", nil},
		{"nothing but what it said", wrap(errors.New(`"x"`)), Other, "the request failed", nil},
		{"a secret", wrap(errors.New("odd path " + hush)), Other, "the request failed", nil},
		{"control characters", wrap(errors.New("odd\x1b[31m\n")), Other, `odd\u001b[31m\u000a`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind, err := explain(tc.err, []string{hush})
			if kind != tc.kind || err.Error() != tc.text || errors.Unwrap(err) != tc.is {
				t.Errorf("got %v %q, is %v; want %v %q, is %v", kind, err, errors.Unwrap(err), tc.kind, tc.text, tc.is)
			}
			if text := fmt.Sprintf("%#v", &Error{Kind: kind, Err: err}); strings.Contains(text, hush) {
				t.Errorf("shows the secret: %s", text)
			}
		})
	}
}
