package standin

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// SlackPerSecond is the rate that Slack allows a webhook
// (https://docs.slack.dev/apis/web-api/rate-limits). It also allows "short
// bursts", of a size that it does not tell: see SlackOptions.Burst.
const SlackPerSecond = 1

// maxSlackBody is far above what Slack shows of a message (40,000 characters
// and 100 attachments); its own limit is not documented.
const maxSlackBody = 1 << 20

// SlackOptions are the settings of a Slack stand-in. The zero value is strict
// about everything but the rate.
type SlackOptions struct {
	// MaxPerSecond is how many messages are accepted a second: SlackPerSecond for
	// what the real one promises, 0 for no limit. A message that comes early by a
	// twentieth of the interval is in time.
	MaxPerSecond float64
	Burst        int           // how many more may come at once after a rest: 0 or 1
	Latency      time.Duration // before every answer, after the message is accepted
	Hang         bool          // never answer anything
	Behave       Behave        // may be nil
}

// Slack is a stand-in for Slack's incoming webhook
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// All methods may be called concurrently, and after Close.
type Slack struct {
	o       SlackOptions
	path    string
	server  *server
	arrived ledger[struct{}]
	taken   ledger[Message]
	refused ledger[Refusal]

	mu    sync.Mutex // orders what follows, and taken with it
	pace  pace
	stats SlackStats
}

// Message is one that the stand-in accepted.
type Message struct {
	Raw     []byte // the JSON as it came
	Payload Payload
	At      time.Time // when it had arrived
}

// Refusal is a request that the stand-in refused of its own, not because a
// script told it to.
type Refusal struct {
	Status int
	Reason string // the word that Slack answers with: invalid_payload, rate_limited, …
	Body   []byte // as much of it as was read
	At     time.Time
}

// SlackStats counts requests. Scripted are those that Behave or Hang answered;
// they are among the accepted or refused if they were handled first.
type SlackStats struct {
	Requests, Accepted, Refused, RateLimited, Scripted int
}

// StartSlack starts a stand-in on a free port of 127.0.0.1. It fails if there
// is none, or if an option is out of its range. Close it.
func StartSlack(o SlackOptions) (*Slack, error) { return startSlack(o, net.Listen) }

func startSlack(o SlackOptions, listen listenFunc) (*Slack, error) {
	switch {
	case !(o.MaxPerSecond >= 0 && o.MaxPerSecond <= 1e6):
		return nil, errors.New("messages per second not between 0 and a million")
	case o.Burst < 0 || o.Burst > 1:
		return nil, errors.New("burst not 0 or 1")
	case o.Latency < 0:
		return nil, errors.New("negative latency")
	}
	s := &Slack{o: o, path: "/services/T00000000/B00000000/" + rand.Text()[:24], pace: newPace(o.MaxPerSecond, o.Burst)}
	var err error
	s.server, err = startServer(listen, s.serve)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// URL is the webhook's. As with the real one, it is the secret.
func (s *Slack) URL() string { return "http://" + s.server.address + s.path }

// Messages returns what was accepted so far, in that order.
func (s *Slack) Messages() []Message { return s.taken.all() }

// Refusals returns what was refused so far.
func (s *Slack) Refusals() []Refusal { return s.refused.all() }

// Stats returns the counts so far.
func (s *Slack) Stats() SlackStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Wait returns as soon as n messages are accepted, which may be before they are
// answered. Its error says how many came before ctx or the stand-in ended.
func (s *Slack) Wait(ctx context.Context, n int) error { return s.taken.wait(ctx, n) }

// WaitRequests returns as soon as n requests have arrived, whatever becomes of
// them; errors as in Wait.
func (s *Slack) WaitRequests(ctx context.Context, n int) error { return s.arrived.wait(ctx, n) }

// Close stops the stand-in and frees all it holds; unanswered requests end
// without an answer. It waits for a Behave that runs. Twice is as once.
func (s *Slack) Close() {
	s.server.close()
	s.arrived.close()
	s.taken.close()
	s.refused.close()
}

func (s *Slack) serve(w http.ResponseWriter, r *http.Request) {
	raw, readErr := body(r, maxSlackBody)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	s.mu.Lock()
	s.stats.Requests++
	n := s.stats.Requests
	s.mu.Unlock()
	s.arrived.add(struct{}{})

	var script *Answer
	switch {
	case s.o.Hang:
		script = &Answer{Hang: true}
	case s.o.Behave != nil:
		script = s.o.Behave(n, r)
	}
	var answer Answer
	if script == nil || script.usualFirst() {
		answer = s.handle(r, raw, readErr)
	}
	if script != nil {
		s.mu.Lock()
		s.stats.Scripted++
		s.mu.Unlock()
		if answer.Status < 400 { // not refused
			answer = script.over(answer)
		}
	}
	answer.give(w, r, s.o.Latency)
}

// handle accepts or refuses a request, records that, and returns Slack's answer.
func (s *Slack) handle(r *http.Request, raw []byte, readErr error) Answer {
	message, status, reason := s.check(r, raw, readErr)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if status == http.StatusOK && !s.pace.take(now) {
		status, reason = http.StatusTooManyRequests, "rate_limited"
		s.stats.RateLimited++
	}
	if status == http.StatusOK {
		s.stats.Accepted++
		message.At = now
		s.taken.add(message)
		return Answer{Status: status, Header: contentType("text/plain; charset=utf-8"), Body: "ok"}
	}
	s.stats.Refused++
	s.refused.add(Refusal{Status: status, Reason: reason, Body: raw, At: now})
	a := Answer{Status: status, Header: contentType("text/plain; charset=utf-8"), Body: reason}
	switch {
	case status == http.StatusTooManyRequests:
		a.Header = contentType("application/json; charset=utf-8")
		a.Header.Set("Retry-After", "1")
		a.Body = `{"retry_after":1,"ok":false,"error":"rate_limited"}`
	case status == http.StatusMethodNotAllowed:
		a.Header.Set("Allow", http.MethodPost)
	case readErr != nil:
		a.Header.Set("Connection", "close") // the rest of the body is in the way
	}
	return a
}

// check is all that Slack checks but the rate.
func (s *Slack) check(r *http.Request, raw []byte, readErr error) (Message, int, string) {
	if r.URL.EscapedPath() != s.path {
		return Message{}, http.StatusNotFound, "no_service"
	}
	if r.Method != http.MethodPost {
		return Message{}, http.StatusMethodNotAllowed, "method_not_allowed"
	}
	if readErr != nil {
		return Message{}, http.StatusBadRequest, invalidPayload
	}
	raw, ok := payloadIn(r.Header.Values("Content-Type"), raw)
	if !ok {
		return Message{}, http.StatusBadRequest, invalidPayload
	}
	p, reason := parsePayload(raw)
	if reason != "" {
		return Message{}, http.StatusBadRequest, reason
	}
	return Message{Raw: raw, Payload: p}, http.StatusOK, ""
}

// payloadIn returns the JSON in a body: the whole of it, or a form's payload.
func payloadIn(types []string, raw []byte) ([]byte, bool) {
	if len(types) != 1 {
		return nil, false
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil {
		return nil, false
	}
	if c, set := params["charset"]; set && !strings.EqualFold(c, "utf-8") {
		return nil, false
	}
	switch kind {
	case "application/json":
		return raw, true
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(raw))
		if err != nil || len(form["payload"]) != 1 {
			return nil, false
		}
		return []byte(form["payload"][0]), true
	}
	return nil, false
}

func contentType(t string) http.Header { return http.Header{"Content-Type": {t}} }
