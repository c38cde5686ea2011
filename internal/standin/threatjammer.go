package standin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ThreatJammerPerMinute is the quota of a free account: "10 requests per
// minute", as a sliding window (the API's OpenAPI description, version 1.2.27).
// Every request counts that brings a valid key, wrong ones included.
const ThreatJammerPerMinute = 10

// ThreatJammerOptions are the settings of a Threat Jammer stand-in. The zero
// value is strict about everything but the quota.
type ThreatJammerOptions struct {
	Key       string        // "": one is made up
	PerMinute int           // ThreatJammerPerMinute for the real quota, 0 for none
	Latency   time.Duration // before every answer
	Hang      bool          // never answer anything
	Behave    Behave        // may be nil; with Accept, the request is checked and counted first
}

// ThreatJammer is a stand-in for the part of Threat Jammer's API that tells of
// one address: GET /v1/assess/ip/{ip}, /v1/geo/{ip}, /v1/asn/{number} and
// /v1/token. All methods may be called concurrently, and after Close.
type ThreatJammer struct {
	o      ThreatJammerOptions
	server *server
	seen   ledger[Request]

	mu     sync.Mutex
	count  int // requests
	spent  int // of the monthly quota
	window window
	facts  facts
}

// Request is one that came to the Threat Jammer stand-in.
type Request struct {
	Method string
	Path   string // without a query, and never with the key in it
	Status int    // of the answer; 0: none was given
	At     time.Time
}

// StartThreatJammer starts a stand-in on a free port of 127.0.0.1. It fails if
// there is none, or if an option is out of its range. Close it.
func StartThreatJammer(o ThreatJammerOptions) (*ThreatJammer, error) {
	return startThreatJammer(o, net.Listen)
}

func startThreatJammer(o ThreatJammerOptions, listen listenFunc) (*ThreatJammer, error) {
	switch {
	case o.PerMinute < 0:
		return nil, errors.New("negative quota")
	case o.Latency < 0:
		return nil, errors.New("negative latency")
	case o.Key == "":
		o.Key = "tja_" + (rand.Text() + rand.Text())[:36] // the form of the real ones
	}
	t := &ThreatJammer{o: o, window: window{limit: o.PerMinute, span: time.Minute}, facts: newFacts()}
	var err error
	t.server, err = startServer(listen, t.serve)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// URL is the API's base, without a slash at its end.
func (t *ThreatJammer) URL() string { return "http://" + t.server.address }

// Key is the one key that is valid.
func (t *ThreatJammer) Key() string { return t.o.Key }

// Set fixes what is answered about an address from now on, in place of what is
// made up. The network goes with the ASN, so that the last Set of an ASN counts.
func (t *ThreatJammer) Set(ip netip.Addr, a Answers) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts.set(ip, a)
}

// Requests returns what came so far, in that order.
func (t *ThreatJammer) Requests() []Request { return t.seen.all() }

// Wait returns as soon as n requests have come, which may be before they are
// answered. Its error says how many came before ctx or the stand-in ended.
func (t *ThreatJammer) Wait(ctx context.Context, n int) error { return t.seen.wait(ctx, n) }

// Close stops the stand-in and frees all it holds; unanswered requests end
// without an answer. It waits for a Behave that runs. Twice is as once.
func (t *ThreatJammer) Close() {
	t.server.close()
	t.seen.close()
}

func (t *ThreatJammer) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	raw, _ := body(r, maxHeader) // a GET has none; nothing depends on it
	r.Body = io.NopCloser(bytes.NewReader(raw))
	t.mu.Lock()
	t.count++
	n := t.count
	t.mu.Unlock()

	var script *Answer
	switch {
	case t.o.Hang:
		script = &Answer{Hang: true}
	case t.o.Behave != nil:
		script = t.o.Behave(n, r)
	}
	var answer Answer
	if script == nil || script.usualFirst() {
		answer = t.handle(r, now)
	}
	if script != nil && answer.Status < 400 { // not refused
		answer = script.over(answer)
	}
	t.seen.add(Request{
		Method: r.Method, Path: strings.ReplaceAll(r.URL.Path, t.o.Key, "[key]"), Status: answer.status(), At: now,
	})
	answer.give(w, r, t.o.Latency)
}

// handle returns the usual answer. The order is FastAPI's: the route, the key,
// then the parameters.
func (t *ThreatJammer) handle(r *http.Request, now time.Time) Answer {
	topic, subject, ok := route(r.URL.Path)
	if !ok {
		return answerJSON(http.StatusNotFound, map[string]string{"detail": "Not Found"})
	}
	if r.Method != http.MethodGet {
		a := answerJSON(http.StatusMethodNotAllowed, map[string]string{"detail": "Method Not Allowed"})
		a.Header.Set("Allow", http.MethodGet)
		return a
	}
	if problem := t.checkKey(r.Header.Values("Authorization")); problem != "" {
		return answerError(http.StatusUnauthorized, "Unauthorized", problem, "error-unauthorized")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait, ok := t.window.take(now); !ok {
		a := answerError(http.StatusTooManyRequests, "Too many requests", "The per-minute quota of the token is exceeded.", "error-too-many-requests")
		a.Header.Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second))))
		return a
	}
	t.spent++
	switch topic {
	case topicToken:
		return answerJSON(http.StatusOK, t.token(now))
	case topicASN:
		return t.facts.asn(subject)
	}
	ip, err := netip.ParseAddr(subject)
	if err != nil {
		return answerMalformed("ip_address", "value is not a valid IPv4 or IPv6 address", "value_error.ipvanyaddress")
	}
	if why := notPublic(ip); why != "" {
		return answerError(http.StatusBadRequest, why, fmt.Sprintf("'%s' is not a public IP address.", ip), "error-"+strings.ReplaceAll(strings.ToLower(why), " ", "-"))
	}
	if topic == topicGeo {
		return t.facts.geo(ip)
	}
	return t.facts.assess(ip)
}

// topic is what a request asks about.
type topic int

const (
	topicRisk topic = iota
	topicGeo
	topicASN
	topicToken
)

// route tells the topic of a path, and which address or number it names.
func route(path string) (topic, string, bool) {
	if path == "/v1/token" {
		return topicToken, "", true
	}
	for _, known := range []struct {
		prefix string
		topic  topic
	}{{"/v1/assess/ip/", topicRisk}, {"/v1/geo/", topicGeo}, {"/v1/asn/", topicASN}} {
		subject, ok := strings.CutPrefix(path, known.prefix)
		if ok && subject != "" && !strings.Contains(subject, "/") {
			return known.topic, subject, true
		}
	}
	return 0, "", false
}

// checkKey says what is wrong with a request's Authorization, "" for nothing.
// It never repeats what it was sent.
func (t *ThreatJammer) checkKey(headers []string) string {
	if len(headers) != 1 {
		return "The Authorization header is missing."
	}
	key, ok := strings.CutPrefix(headers[0], "Bearer ")
	if !ok {
		return "The token must have the prefix 'Bearer'."
	}
	if subtle.ConstantTimeCompare([]byte(key), []byte(t.o.Key)) != 1 {
		return "The token is not valid, or does not belong to this region."
	}
	return ""
}

// token is the state of the quota. As in the real one, self has the key in it:
// a client must not show the body of this answer. Times are in milliseconds.
func (t *ThreatJammer) token(now time.Time) any {
	return struct {
		Self         string  `json:"self"`
		Region       string  `json:"region_id"`
		MonthInit    int     `json:"last_month_bucket_init_value"`
		Month        int     `json:"last_month_bucket_value"`
		MonthRefresh int64   `json:"last_month_bucket_refresh"`
		MinuteInit   int     `json:"last_minute_bucket_init_value"`
		RefillRatio  float64 `json:"last_minute_bucket_refill_ratio"`
		Minute       int     `json:"last_minute_bucket_value"`
		Refresh      int64   `json:"last_minute_bucket_refresh"`
		Status       string  `json:"status"`
		Created      int64   `json:"created_at"`
		Updated      int64   `json:"updated_at"`
	}{
		Self: "/v1/token/" + t.o.Key, Region: "aws-eu-west-1", Status: "ENABLED",
		MonthInit: 5000, Month: t.spent, MonthRefresh: now.Add(30 * 24 * time.Hour).UnixMilli(),
		MinuteInit: t.o.PerMinute, RefillRatio: float64(t.o.PerMinute) / 60, Minute: t.window.used(now),
		Refresh: now.Add(time.Minute).UnixMilli(), Created: now.UnixMilli(), Updated: now.UnixMilli(),
	}
}
