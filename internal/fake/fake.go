// Package fake owns the servers that the command demo talks to in place of
// Slack and a look-up service. They know the one message and the one address of the
// demonstration; what tests are held against is internal/standin, which is as
// strict as the real services.
//
// It must never listen on anything but loopback, connect to anything, or write
// to standard error.
package fake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// IP is the address that LookupService knows, out of those for documentation
// (RFC 5737).
const IP = "203.0.113.7"

// ioTimeout bounds how long a request may take to arrive.
const ioTimeout = 10 * time.Second

// maxBody bounds a message, in bytes. It is far above what Slack shows.
const maxBody = 1 << 20

// server is an HTTP server on a free port of 127.0.0.1.
type server struct {
	address string
	http    http.Server
}

func (s *server) start(h http.Handler) error {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = ln.Addr().String()
	s.http = http.Server{Handler: h, ReadTimeout: ioTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	go s.http.Serve(ln) // ends by Close alone
	return nil
}

// Addr returns host and port of the server.
func (s *server) Addr() string { return s.address }

// Close stops the server and its connections.
func (s *server) Close() { s.http.Close() }

// Slack is a server with one incoming webhook
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
type Slack struct {
	server
	path     string
	messages chan Message
}

// Message is what came to the webhook.
type Message struct {
	Raw []byte // the JSON as it came
	At  time.Time
}

// StartSlack starts a Slack. Close it.
func StartSlack() (*Slack, error) {
	s := &Slack{path: "/services/T00000000/B00000000/" + rand.Text()[:24], messages: make(chan Message, 1)}
	return s, s.start(http.HandlerFunc(s.take))
}

// URL returns the webhook. As with the real one, it is the secret.
func (s *Slack) URL() string { return "http://" + s.address + s.path }

// Receive waits for a message until ctx ends.
func (s *Slack) Receive(ctx context.Context) (Message, error) {
	select {
	case m := <-s.messages:
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

func (s *Slack) take(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	at := time.Now()
	switch {
	case r.URL.Path != s.path:
		http.Error(w, "no_service", http.StatusNotFound)
	case r.Method != http.MethodPost:
		http.Error(w, "method_not_allowed", http.StatusMethodNotAllowed)
	case err != nil || !json.Valid(raw):
		http.Error(w, "invalid_payload", http.StatusBadRequest)
	default:
		select {
		case s.messages <- Message{Raw: raw, At: at}:
		default: // nobody waits for a second one
		}
		io.WriteString(w, "ok")
	}
}

// LookupService is a look-up service that knows IP alone, and describes itself for
// the settings' type "http".
type LookupService struct {
	server
	key string
}

// StartLookupService starts a LookupService. Close it.
func StartLookupService() (*LookupService, error) {
	l := &LookupService{key: rand.Text()}
	return l, l.start(http.HandlerFunc(l.answer))
}

// URL returns the service's base, without a slash at its end.
func (l *LookupService) URL() string { return "http://" + l.address }

// Key returns the one key that is valid.
func (l *LookupService) Key() string { return l.key }

// Description is the file that says how the service is asked and what its answers
// mean (enrich/services/README.md).
const Description = `form = 1
title = "Reputation"
headers = {Authorization = "Bearer {key}"}

[[request]]
name = "check"
path = "/v1/{ip}"
expect = ["score"]
word = "level"
reason = ["{reason}"]

[[request.score]]
path = "score"
range = [0, 100]

[request.network]
asn = "network.as"
name = "network.name"
description = "network.description"

[request.place]
city = "place.city"
region = "place.region"
country = "place.country"
`

func (l *LookupService) answer(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, `{"score": 72, "level": "HIGH", "reason": "Listed as a brute force source",
 "network": {"as": 64500, "name": "EXAMPLE-NET", "description": "Example Networks"},
 "place": {"city": "Dublin", "region": "Leinster", "country": "IE"}}`
	switch {
	case r.Header.Get("Authorization") != "Bearer "+l.key:
		status, body = http.StatusUnauthorized, `{"error": "no such key"}`
	case r.URL.Path != "/v1/"+IP:
		status, body = http.StatusNotFound, `{"error": "not listed"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}
