// Package standin owns the stand-ins for services that sshnotify talks to:
// Slack's incoming webhook and Threat Jammer's API, on loopback, as strict as
// the real ones. Only tests and benchmarks import it.
//
// It must never listen on anything but loopback, connect to anything, write to
// standard error, keep a key that it was sent, or import other packages of
// sshnotify: a mistake there must not be mirrored here.
package standin

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the HTTP servers. They bound what a broken client can hold on to;
// how long an answer takes is the stand-in's own affair, so that there is no
// limit for the whole of a request.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // for an answer that is given without a fault
	idleTimeout  = 30 * time.Second
	maxHeader    = 64 << 10
)

// listenFunc is net.Listen.
type listenFunc func(network, address string) (net.Listener, error)

// server is an HTTP server on a free port of 127.0.0.1.
type server struct {
	address string
	http    *http.Server
	cancel  context.CancelFunc // ends every pause in a handler
	served  chan struct{}      // closed when no new connection can come
	running sync.WaitGroup     // connections, and handlers, which outlive a hijacked one
	once    sync.Once
}

func startServer(listen listenFunc, handle http.HandlerFunc) (*server, error) {
	ln, err := listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{address: ln.Addr().String(), cancel: cancel, served: make(chan struct{})}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.running.Add(1)
			defer s.running.Done()
			handle(w, r)
		}),
		ReadTimeout:    readTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(io.Discard, "", 0),
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.running.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.running.Done()
			}
		},
	}
	go func() {
		defer close(s.served)
		s.http.Serve(ln) // ends by Close alone
	}()
	return s, nil
}

// close ends all connections, without an answer where one is still due, and
// returns when nothing runs any more.
func (s *server) close() {
	s.once.Do(func() {
		s.cancel()
		s.http.Close()
	})
	<-s.served
	s.running.Wait()
}

// body reads a request's body, of which at most limit bytes are wanted; more is
// an error. Only after it does net/http notice a client that hangs up.
func body(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("body too long")
	}
	return b, err
}

// pause waits for d, and reports whether there is still somebody to answer.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
