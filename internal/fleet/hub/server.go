package hub

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
)

// Limits of the server, besides those of package fleet.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	// idleTimeout is longer than a host keeps a connection that it does not use.
	idleTimeout = 2 * time.Minute
	maxHeader   = 8 << 10
	maxSmall    = 16 << 10 // bytes of a beat, or of a request for a certificate
	// maxJoins is how many a second may ask to join in vain from one address, with so
	// many at once (an answer to each costs a signature), and maxJoiners how many
	// addresses are told apart.
	maxJoins   = 2
	joinsBurst = 20
	maxJoiners = 10_000
	// maxOpen is how many connections there may be in all.
	maxOpen = 20_000
	// maxStrange is how many there may be from one address on which nobody has said who
	// they are: of those that are open until headerTimeout. Hosts may share an address.
	maxStrange = 256
	// stopGrace is how long requests under way may take when the hub stops.
	stopGrace = 5 * time.Second
)

// client is a connection.
type client struct {
	once   sync.Once
	holder holder
	known  bool // it showed a certificate of ours
	// h.mu guards these.
	member  *member      // that it counts for
	strange netip.Prefix // whose strangers it counts among; not valid: nobody's
}

type clientKey struct{}

// serve serves hosts until the context ends.
func (h *Hub) serve(ctx context.Context, l net.Listener) error {
	var open atomic.Int64
	clients := sync.Map{} // of net.Conn
	s := &http.Server{
		Handler:   h.handler(),
		TLSConfig: h.tlsConfig(),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			cl := &client{}
			clients.Store(c, cl)
			return context.WithValue(ctx, clientKey{}, cl)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				cl, _ := clients.Load(c)
				if !h.greet(cl.(*client), sourceOf(c.RemoteAddr().String())) || open.Load() >= maxOpen {
					c.Close()
				}
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
				if cl, ok := clients.LoadAndDelete(c); ok {
					h.leave(cl.(*client))
				}
			}
		},
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(h.o.Log.Handler(), slog.LevelDebug), // whoever knocks writes it
	}
	s.RegisterOnShutdown(h.orders.close)
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true) // HTTP/2 gained nothing, see its frames
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		if s.Shutdown(grace) != nil {
			s.Close()
		}
	}()
	err := s.ServeTLS(l, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return err
}

// tlsConfig lets everybody finish a handshake: who it is, and whether that may come
// in, is asked at each request, and answered in words.
func (h *Hub) tlsConfig() *tls.Config {
	c := &certificate{hub: h}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, VerifyConnection: small,
		ClientCAs:      h.ca.pool, // a browser offers none of the certificates that it has for others
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(h.now()) },
	}
}

// What a client may show: a connection keeps it.
const (
	maxShown      = 2       // certificates
	maxShownBytes = 8 << 10 // of all of them
)

func small(s tls.ConnectionState) error {
	n := 0
	for _, c := range s.PeerCertificates {
		n += len(c.Raw)
	}
	if len(s.PeerCertificates) > maxShown || n > maxShownBytes {
		return errors.New("more certificates than a host has")
	}
	return nil
}

// certificate is the hub's own: its owner's, or one that it makes.
type certificate struct {
	hub *Hub

	mu    sync.Mutex
	cert  *tls.Certificate
	files [2]time.Time // when the owner's changed last
}

func (c *certificate) get(now time.Time) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.hub.o.Settings
	if set.CertFile == "" {
		if c.cert == nil || now.After(c.cert.Leaf.NotAfter.Add(-ownRenew)) || now.Before(c.cert.Leaf.NotBefore) {
			cert, err := c.hub.ca.own(c.hub.names(), now)
			if err != nil {
				return nil, err
			}
			c.cert = cert
		}
		return c.cert, nil
	}
	var files [2]time.Time
	for i, name := range []string{set.CertFile, set.KeyFile} {
		if st, err := os.Stat(name); err == nil {
			files[i] = st.ModTime()
		}
	}
	if c.cert == nil || files != c.files {
		cert, err := tls.LoadX509KeyPair(set.CertFile, set.KeyFile)
		if err != nil && c.cert == nil {
			return nil, err
		}
		if err != nil { // one of the two is being replaced
			c.hub.o.Log.Warn("the hub's new certificate can't be used, the old one stays", "error", err)
			return c.cert, nil
		}
		c.cert, c.files = &cert, files
	}
	return c.cert, nil
}

// names are those that the hub's own certificate is for.
func (h *Hub) names() []string {
	names := append([]string{"localhost"}, h.o.Settings.Names...)
	if h.o.Hostname != "" {
		names = append(names, h.o.Hostname)
	}
	if host, _, err := net.SplitHostPort(h.o.Settings.Listen); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			names = append(names, ip.String())
		}
	}
	return names
}

func (h *Hub) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+fleet.PathHealth, h.serveHealth)
	mux.HandleFunc("POST "+fleet.PathJoin, h.serveJoin)
	if h.pages != nil {
		mux.HandleFunc("GET "+fleet.PathPage, h.servePage)
	}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, caller) error{
		"POST " + fleet.PathEvents:   h.serveEvents,
		"POST " + fleet.PathBeat:     h.serveBeat,
		"POST " + fleet.PathRenew:    h.serveRenew,
		"GET " + fleet.PathCopy:      h.serveCopy,
		"POST " + fleet.PathOrders:   h.serveOrders,
		"POST " + fleet.PathEvidence: h.serveEvidence,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c, err := h.authenticate(r)
			if err == nil {
				err = serve(w, r, c)
			}
			if err != nil {
				h.refuse(w, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.refuse(w, nobody()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) || r.Method == http.MethodConnect { // the mux would redirect
			h.refuse(w, nobody())
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// nobody is all that is said to who is not known.
func nobody() *refusal { return &refusal{401, fleet.WhyUnknown, "unknown", 0} }

// refuse answers an error.
func (h *Hub) refuse(w http.ResponseWriter, err error) {
	var no *refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &no):
	case errors.As(err, &large), errors.Is(err, bufio.ErrTooLong):
		no = &refusal{413, fleet.WhyBusy, fmt.Sprintf("at most %d events of %d bytes, and %d bytes in all", fleet.MaxBatch, fleet.MaxLine, fleet.MaxBody), 0}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return // nobody is there any more
	default:
		h.o.Log.Error("a request failed", "error", err)
		no = busy("the hub has trouble of its own")
	}
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set(fleet.HeaderWhy, no.why)
	if no.wait > 0 {
		head.Set("Retry-After", strconv.Itoa(int(no.wait.Seconds())))
	}
	if no.status < 500 {
		h.o.Figures.Hub(func(f *figures.Hub) { f.TurnedAway++ })
	}
	if no.status == http.StatusUnauthorized { // nobody keeps a connection who is nobody
		head.Set("Connection", "close")
	}
	w.WriteHeader(no.status)
	fmt.Fprintln(w, no.text)
}

// caller is who makes a request.
type caller struct {
	name   string
	kind   Kind
	serial int64 // of the certificate
}

// authenticate returns who makes a request, by the certificate of its connection or
// by a bearer token.
func (h *Hub) authenticate(r *http.Request) (caller, error) {
	now := h.now()
	cl, _ := r.Context().Value(clientKey{}).(*client)
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && cl != nil {
		cl.once.Do(func() { cl.holder, cl.known = h.ca.verify(r.TLS.PeerCertificates[0]) })
		if !cl.known {
			return caller{}, nobody()
		}
		if now.Before(cl.holder.begins) || now.After(cl.holder.expires) {
			return caller{}, &refusal{401, fleet.WhyClock, fmt.Sprintf("the certificate holds from %s to %s", cl.holder.begins.UTC().Format(time.RFC3339), cl.holder.expires.UTC().Format(time.RFC3339)), 0}
		}
		if err := h.letInAgain(r.Context(), cl.holder); err != nil {
			return caller{}, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var m *member
	kind, serial := KindBearer, int64(0)
	if cl != nil && cl.known {
		m, kind, serial = h.byName[cl.holder.name], cl.holder.kind, cl.holder.serial
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		m = h.byToken[sha256.Sum256([]byte(token))]
	}
	switch {
	case m == nil:
		return caller{}, nobody()
	case !m.Revoked.IsZero() || m.Kind != kind || kind != KindBearer && serial < m.validFrom:
		return caller{}, revoked(m.Name)
	case !m.requests.AllowN(now, 1):
		return caller{}, &refusal{429, fleet.WhyBusy, fmt.Sprintf("more than %d requests a second", fleet.MaxRequests), time.Second}
	}
	if cl != nil && cl.member != m {
		if kind != KindBearer && m.conns >= maxConns {
			return caller{}, &refusal{429, fleet.WhyBusy, fmt.Sprintf("more than %d connections", maxConns), 10 * time.Second}
		}
		if cl.member != nil {
			cl.member.conns--
		}
		h.known(cl)
		cl.member = m
		m.conns++
	}
	return caller{m.Name, kind, serial}, nil
}

// sourceOf returns whose an address is: of IPv6, a subscriber has a /64.
func sourceOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	bits, ip := 64, at.Addr().Unmap()
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

// greet counts a connection among the strangers of an address, and reports whether
// there may be one more.
func (h *Hub) greet(cl *client, from netip.Prefix) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	cl.strange = from
	h.strangers[from]++
	return h.strangers[from] <= maxStrange
}

// known takes a connection off the strangers. h.mu must be held.
func (h *Hub) known(cl *client) {
	if !cl.strange.IsValid() {
		return
	}
	if h.strangers[cl.strange]--; h.strangers[cl.strange] <= 0 {
		delete(h.strangers, cl.strange)
	}
	cl.strange = netip.Prefix{}
}

// joiner returns what limits who asks to join in vain from an address. Where there are
// too many, those that come last are limited as one.
func (h *Hub) joiner(from netip.Prefix) *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.joins[from]; l != nil {
		return l
	}
	if len(h.joins) >= maxJoiners {
		maps.DeleteFunc(h.joins, func(_ netip.Prefix, l *rate.Limiter) bool { return l.Tokens() >= joinsBurst })
	}
	if len(h.joins) >= maxJoiners {
		from = netip.Prefix{}
	}
	l := h.joins[from]
	if l == nil {
		l = rate.NewLimiter(maxJoins, joinsBurst)
		h.joins[from] = l
	}
	return l
}

// leave takes a connection that is closed off its host's.
func (h *Hub) leave(cl *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known(cl)
	if cl.member != nil {
		cl.member.conns--
		cl.member = nil
	}
}

// serveHealth says whether events are taken: to a proxy before two hubs.
func (h *Hub) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "close")
	h.mu.Lock()
	failing := h.failing
	h.mu.Unlock()
	if failing {
		h.refuse(w, busy("events can't be stored"))
		return
	}
	fmt.Fprintln(w, "ok")
}

func (h *Hub) serveEvents(w http.ResponseWriter, r *http.Request, c caller) error {
	b := fleet.Batch{Numbering: r.Header.Get(fleet.HeaderNumbering)}
	lines := bufio.NewScanner(http.MaxBytesReader(w, r.Body, fleet.MaxBody))
	lines.Buffer(make([]byte, 0, 4<<10), fleet.MaxLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if len(b.Lines) == fleet.MaxBatch {
			return bufio.ErrTooLong
		}
		var l fleet.Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			if lines.Err() != nil { // what is too large is cut off
				return lines.Err()
			}
			return &refusal{400, fleet.WhyUnknown, "not an event a line", 0}
		}
		b.Lines = append(b.Lines, l)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	a, err := h.Ingest(r.Context(), c.name, b)
	if err != nil {
		return err
	}
	if len(b.Lines) > 0 && len(a.Rejected) == len(b.Lines) {
		w.Header().Set(fleet.HeaderRejected, strconv.Itoa(len(a.Rejected)))
		return answer(w, http.StatusBadRequest, a)
	}
	return answer(w, http.StatusOK, a)
}

func (h *Hub) serveBeat(w http.ResponseWriter, r *http.Request, c caller) error {
	var b fleet.Beat
	if err := decode(w, r, &b); err != nil {
		return err
	}
	a, err := h.Beat(r.Context(), c.name, b)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, a)
}

func (h *Hub) serveJoin(w http.ResponseWriter, r *http.Request) {
	var req fleet.JoinRequest
	var err error
	failed := h.joiner(sourceOf(r.RemoteAddr))
	if failed.Tokens() < 1 {
		err = &refusal{429, fleet.WhyBusy, "too many want to join that may not", 10 * time.Second}
	} else {
		err = decode(w, r, &req)
	}
	var name string
	var cert []byte
	if err == nil {
		name, cert, err = h.reg.join(r.Context(), h.ca, req)
	}
	if err == nil {
		h.o.Log.Info("a host has joined", "host", name, "from", r.RemoteAddr)
		err = h.refresh(r.Context())
	}
	if err == nil {
		err = answer(w, http.StatusOK, h.joined(name, cert))
	}
	if err != nil {
		failed.Allow() // only what fails counts
		w.Header().Set("Connection", "close")
		h.refuse(w, err)
	}
}

func (h *Hub) serveRenew(w http.ResponseWriter, r *http.Request, c caller) error {
	if c.kind == KindBearer {
		return &refusal{403, fleet.WhyUnknown, "a host with a token has no certificate to renew", 0}
	}
	var req fleet.JoinRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	cert, err := h.reg.renew(r.Context(), h.ca, c.name, c.kind, c.serial, req)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, h.joined(c.name, cert))
}

func (h *Hub) joined(name string, cert []byte) fleet.JoinAnswer {
	a := fleet.JoinAnswer{Name: name, Certificate: pemCert(cert)}
	if h.o.Settings.CertFile == "" {
		a.CA = pemCert(h.ca.cert.Raw)
	}
	return a
}

func decode(w http.ResponseWriter, r *http.Request, to any) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSmall))
	if err == nil && json.Unmarshal(b, to) != nil {
		err = &refusal{400, fleet.WhyUnknown, "not what this path takes", 0}
	}
	return err
}

func answer(w http.ResponseWriter, status int, a any) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // nobody is there any more
	return nil
}
