package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// simHost is a host of the simulated fleet: a client of the protocol in its own
// words, so that what the program's two ends have wrong alike is seen. It keeps
// what it hands over until the hub says that it has it.
type simHost struct {
	name      string
	url       string
	numbering string
	client    *http.Client
	boot      string

	mu      sync.Mutex
	n       int64     // the newest number
	waiting []simLine // not acknowledged, the oldest first
	acked   map[string]simLine
	asks    int // answers that were no 200, and none at all
	faults  []string
	slowest time.Duration
	took    []time.Duration // of requests that were answered with 200
	wake    chan struct{}
}

// simLine is an event of a simHost.
type simLine struct {
	number  int64
	id, key string
	made    time.Time
	old     bool
	event   []byte
}

func newSimHost(name, url string, tlsConfig *tls.Config) *simHost {
	return &simHost{
		name: name, url: url, numbering: rand.Text(), boot: rand.Text(), wake: make(chan struct{}, 1), acked: make(map[string]simLine),
		client: &http.Client{
			Timeout:       20 * time.Second,
			Transport:     &http.Transport{TLSClientConfig: tlsConfig, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (h *simHost) tls() *tls.Config { return h.client.Transport.(*http.Transport).TLSClientConfig }

// eventID returns 128 random bits in Crockford's base 32.
func eventID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails since Go 1.24
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding).EncodeToString(b)
}

// loginEvent returns a login as a host stores it, of some 600 bytes.
func loginEvent(id, host, user, boot string, n int64, at time.Time) []byte {
	key := sha256.Sum256([]byte(host + user)) // each has one of their own
	return fmt.Appendf(nil, `{"v":2,"id":%q,"kind":"login","time":%q,"host":%q,"user":%q,"service":"sshd","via":"pam",`+
		`"remote":{"ip":"203.0.113.%d","port":%d,"name":""},"local":{"ip":"192.0.2.5","port":22},`+
		`"session":{"pid":%d,"start":%d,"boot":%q,"ns":"pid:[4026531836]"},`+
		`"login":{"auth":{"method":"publickey","key_type":"ssh-ed25519","fingerprint":"SHA256:%s"}}}`,
		id, at.UTC().Format("2006-01-02T15:04:05.000Z"), host, user, 1+n%250, 1024+n%60000, 1000+n, 5000+n, boot, base64.RawStdEncoding.EncodeToString(key[:]))
}

// login makes a login of a user who never came before, and lets it wait.
func (h *simHost) login(at time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	user := "u" + strconv.FormatInt(h.n, 10)
	id := eventID()
	h.waiting = append(h.waiting, simLine{
		number: h.n, id: id, key: h.name + "/" + user, made: time.Now(), old: time.Since(at) > 5*time.Minute,
		event: loginEvent(id, h.name, user, h.boot, h.n, at),
	})
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return h.name + "/" + user
}

// answer is what the hub says, read as strictly as may be.
type answer struct {
	status     int
	retryAfter string
	why        string // Sshnotify-Why
	body       []byte
	Stored     int   `json:"stored"`
	Duplicate  int   `json:"duplicate"`
	Have       int64 `json:"have"`
	Rejected   []struct {
		N   int64  `json:"n"`
		ID  string `json:"id"`
		Why string `json:"why"`
	} `json:"rejected"`
}

// post sends a body, and reads the answer.
func (h *simHost) post(ctx context.Context, path string, header http.Header, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), why: resp.Header.Get("Sshnotify-Why")}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil {
		return answer{}, err
	}
	if a.status == http.StatusOK || a.status == http.StatusBadRequest && resp.Header.Get("Sshnotify-Rejected") != "" {
		if err := json.Unmarshal(a.body, &a); err != nil {
			return answer{}, fmt.Errorf("%d, and %w: %q", a.status, err, a.body)
		}
	}
	return a, nil
}

// events hands lines over.
func (h *simHost) events(ctx context.Context, lines []simLine) (answer, error) {
	var body bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&body, `{"n":%d,"event":%s}`+"\n", l.number, l.event)
	}
	return h.post(ctx, "/v1/events", http.Header{"Content-Type": {"application/x-ndjson"}, "Sshnotify-Numbering": {h.numbering}}, body.Bytes())
}

// beat says that the host lives.
func (h *simHost) beat(ctx context.Context) (answer, error) {
	h.mu.Lock()
	n, waiting := h.n, len(h.waiting)
	h.mu.Unlock()
	return h.post(ctx, "/v1/beat", http.Header{"Content-Type": {"application/json"}},
		fmt.Appendf(nil, `{"time":%q,"numbering":%q,"n":%d,"waiting":%d,"version":"v9.9.9","settings":"0000"}`, time.Now().UTC().Format(time.RFC3339Nano), h.numbering, n, waiting))
}

// batch takes up to 100 of what waits: what is fresh goes first.
func (h *simHost) batch() []simLine {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := slices.Clone(h.waiting)
	slices.SortStableFunc(lines, func(a, b simLine) int {
		switch {
		case a.old == b.old:
			return 0
		case a.old:
			return 1
		}
		return -1
	})
	return lines[:min(len(lines), 100)]
}

// run hands over what waits until ctx ends.
func (h *simHost) run(ctx context.Context) {
	backOff := 50 * time.Millisecond
	for ctx.Err() == nil {
		lines := h.batch()
		if len(lines) == 0 {
			select {
			case <-ctx.Done():
			case <-h.wake:
			}
			continue
		}
		start := time.Now()
		a, err := h.events(ctx, lines)
		took := time.Since(start)
		if err == nil && a.status == http.StatusOK {
			h.taken(lines, a, took)
			backOff = 50 * time.Millisecond
			continue
		}
		h.refused(ctx, a, err)
		wait := mathrand.N(backOff)
		if s, err := strconv.Atoi(a.retryAfter); err == nil {
			wait += time.Duration(s) * time.Second
		}
		backOff = min(2*backOff, 2*time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// taken notes what the hub has acknowledged.
func (h *simHost) taken(lines []simLine, a answer, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = append(h.took, took)
	now := time.Now()
	if a.Stored+a.Duplicate != len(lines) || len(a.Rejected) > 0 {
		h.faults = append(h.faults, fmt.Sprintf("%s: %d lines, and the answer is %s", h.name, len(lines), a.body))
		return
	}
	done := make(map[int64]bool, len(lines))
	for _, l := range lines {
		done[l.number] = true
		h.acked[l.key] = l
		h.slowest = max(h.slowest, now.Sub(l.made))
	}
	h.waiting = slices.DeleteFunc(h.waiting, func(l simLine) bool { return done[l.number] })
	if a.Have > h.n {
		h.faults = append(h.faults, fmt.Sprintf("%s: %d numbers were given, and the hub says it has %d", h.name, h.n, a.Have))
	}
}

// again lets everything wait once more that the hub does not have, and returns how
// much that is.
func (h *simHost) again(have int64) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, l := range h.acked {
		if l.number > have && !slices.ContainsFunc(h.waiting, func(w simLine) bool { return w.number == l.number }) {
			h.waiting = append(h.waiting, l)
			n++
		}
	}
	slices.SortFunc(h.waiting, func(a, b simLine) int { return int(a.number - b.number) })
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return n
}

// refused notes what is no answer that a hub that is killed may give.
func (h *simHost) refused(ctx context.Context, a answer, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asks++
	if err == nil && a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable {
		h.faults = append(h.faults, fmt.Sprintf("%s: %d %s", h.name, a.status, a.body))
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && ctx.Err() == nil {
		h.faults = append(h.faults, fmt.Sprintf("%s: %v", h.name, err))
	}
}
