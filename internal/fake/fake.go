// Package fake owns the servers that the command demo talks to in place of
// Slack and Threat Jammer. They know the one message and the one address of the
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

// IP is the address that ThreatJammer knows, out of those for documentation
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

// ThreatJammer is a server with the three look-ups of Threat Jammer's API that
// a login needs, for IP alone.
type ThreatJammer struct {
	server
	key string
}

// StartThreatJammer starts a ThreatJammer. Close it.
func StartThreatJammer() (*ThreatJammer, error) {
	t := &ThreatJammer{key: "tja_" + rand.Text()}
	return t, t.start(http.HandlerFunc(t.answer))
}

// URL returns the API's base, without a slash at its end.
func (t *ThreatJammer) URL() string { return "http://" + t.address }

// Key returns the one key that is valid.
func (t *ThreatJammer) Key() string { return t.key }

// answer has bodies in the form of the API's OpenAPI description, version
// 1.2.27 (https://github.com/APIs-guru/openapi-directory).
func (t *ThreatJammer) answer(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, ""
	switch {
	case r.Header.Get("Authorization") != "Bearer "+t.key:
		status, body = http.StatusUnauthorized, `{"title":"Unauthorized","detail":"The token is not valid."}`
	case r.URL.Path == "/v1/assess/ip/"+IP:
		body = `{"self":"/v1/assess/ip/203.0.113.7","score":72,"risk":"HIGH","reason":"Listed as a brute force source",` +
			`"datasets":[],"sources":[],"asn":"/v1/asn/64500","asn_prefix":"/v1/asn/prefix/203.0.113.0%252F24"}`
	case r.URL.Path == "/v1/geo/"+IP:
		body = `{"self":"/v1/geo/203.0.113.7","city_name":"Dublin","region_name":"Leinster","country_iso_code":"IE",` +
			`"asn_country_iso_code":"IE","continent_code":"EU","latitude":50.5,"longitude":10.25,"time_zone":"UTC"}`
	case r.URL.Path == "/v1/asn/64500":
		body = `{"self":"/v1/asn/64500","name":"EXAMPLE-NET","description":"Example Networks","country_code":"IE",` +
			`"score":0,"risk":"LOW"}`
	default:
		status, body = http.StatusNotFound, `{"title":"Resource not found","detail":"Not Found"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}
