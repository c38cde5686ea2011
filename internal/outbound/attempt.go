package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// One quick retry, for a connection that was just being closed or a server
// that was just being replaced. All that takes longer is the queue's, which
// can wait without keeping anything open.
const (
	maxRetries = 1
	quickRetry = 250 * time.Millisecond
)

// attempt watches one Do, over its retries.
type attempt struct {
	repeat bool // the request may be sent twice
	traced bool
	tries  int
	phase  atomic.Int32
}

// The phases, as httptrace tells them. From connected on, the request may have
// been written.
const (
	phaseUnknown int32 = iota
	phaseConnecting
	phaseConnected
	phaseAnswered
)

type attemptKey struct{}

func (a *attempt) watch(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, attemptKey{}, a)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http goes back to this on its own only where it knows that nothing
		// was written, or that the server refused the request unread.
		GetConn: func(string) { a.phase.Store(phaseConnecting) },
		GotConn: func(httptrace.GotConnInfo) { a.phase.Store(phaseConnected) },
	})
}

// sent reports whether the request may have arrived. A transport that tells
// nothing is believed to have sent it.
func (a *attempt) sent() bool {
	p := a.phase.Load()
	return p >= phaseConnected || p == phaseUnknown && !a.traced
}

// timedOut says what was being waited for.
func (a *attempt) timedOut(err error) error {
	text := "timed out while connecting"
	switch a.phase.Load() {
	case phaseConnected:
		text = "timed out waiting for an answer"
	case phaseAnswered:
		text = "timed out in the middle of the answer"
	}
	return &reason{text, errors.Unwrap(err)}
}

// checkRetry is retryablehttp's question after each try.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	a := ctx.Value(attemptKey{}).(*attempt)
	a.tries++
	if a.tries > maxRetries || ctx.Err() != nil || !hasTime(ctx) {
		return false, nil
	}
	if err != nil {
		return worthRepeating(err) && (a.repeat || !a.sent()), nil
	}
	if !a.repeat || !isGatewayTrouble(resp) {
		return false, nil
	}
	// It would be drained before the next try, and may come slowly.
	resp.Body.Close()
	return true, nil
}

// hasTime keeps an answer that is there from being lost by waiting for the end
// of the deadline.
func hasTime(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > 2*quickRetry
}

func worthRepeating(err error) bool {
	switch kind, _ := explain(err, nil); kind {
	case Refused, Unreachable, Broken, Timeout, Other:
		return true
	case DNS:
		dns, _ := errors.AsType[*net.DNSError](err)
		return !dns.IsNotFound
	}
	return false
}

// isGatewayTrouble: the server behind is away for a moment. One that says when
// to come back is not asked before.
func isGatewayTrouble(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return resp.Header.Get("Retry-After") == ""
	}
	return false
}
