package figures

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// ListenSettings are the table [metrics].
type ListenSettings struct {
	// Listen is where /metrics and /healthz are served, an address of this machine
	// alone and a port: "127.0.0.1:9847". Empty: nowhere.
	Listen string `toml:"listen"`
}

// Validate refuses what others could reach.
func (s *ListenSettings) Validate(at strictoml.At) {
	if !at.Has("listen") || !at.OK() {
		return
	}
	if _, err := loopback(s.Listen); err != nil {
		at.Fail("listen", "%s", err).Hint = `listen = "127.0.0.1:9847"; who scrapes from elsewhere needs a proxy with TLS and a log-in, or the node exporter`
	}
}

func loopback(listen string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(listen)
	switch {
	case err != nil:
		return at, errors.New("must be an address of loopback and a port")
	case !at.Addr().IsLoopback():
		return at, errors.New("must be an address of loopback: everybody who reaches it can read the figures")
	}
	return at, nil
}

const (
	healthy = "ok\n"
	// healthyFor is how long ago the worker's loop may have turned. It does so
	// twice in that time where nothing happens.
	healthyFor = 60 * time.Second
	// maxScrapers is how many may be connected at the same time. Prometheus keeps
	// one connection.
	maxScrapers = 8
	// scrapeLimit bounds a request, and its answer.
	scrapeLimit = 5 * time.Second
	// closePatience is how long an answer may still take when serving stops.
	closePatience = 500 * time.Millisecond
	// scraperIdle is longer than Prometheus waits between two scrapes by default.
	scraperIdle = 90 * time.Second
	// maxScrapeHeader is bytes of a request's header. Prometheus sends 300.
	maxScrapeHeader = 8 << 10
)

// Listener serves the figures of a Recorder on loopback. Its methods must not be
// called concurrently.
type Listener struct {
	recorder *Recorder
	log      *slog.Logger
	at       netip.AddrPort // of the settings; zero: it does not listen
	server   *http.Server
	served   chan struct{} // closed when server is
}

// NewListener returns one that does not listen yet.
func NewListener(r *Recorder, log *slog.Logger) *Listener { return &Listener{recorder: r, log: log} }

// Listen serves at an address of ListenSettings from now on, and no more where it
// served before; empty: nowhere. Where it can't, it serves nowhere.
func (l *Listener) Listen(listen string) error {
	if listen == "" {
		l.Close()
		return nil
	}
	at, err := loopback(listen)
	if err != nil {
		l.Close()
		return err
	}
	if at == l.at {
		return nil
	}
	l.Close()
	ln, err := net.Listen("tcp", at.String())
	if err != nil {
		return err
	}
	l.log.Info("figures are served", "at", ln.Addr().String())
	server := &http.Server{
		Handler:           l.recorder.Handler(),
		ReadHeaderTimeout: scrapeLimit,
		ReadTimeout:       scrapeLimit,
		WriteTimeout:      scrapeLimit,
		IdleTimeout:       scraperIdle,
		MaxHeaderBytes:    maxScrapeHeader,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug), // a stranger's mistakes
	}
	served := make(chan struct{})
	l.at, l.server, l.served = at, server, served
	go func() {
		defer close(served)
		if err := server.Serve(netutil.LimitListener(ln, maxScrapers)); !errors.Is(err, http.ErrServerClosed) {
			l.log.Error("figures are served no more", "error", err)
		}
	}()
	return nil
}

// Close stops serving. What is being answered gets its answer.
func (l *Listener) Close() {
	if l.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close()
	}
	<-l.served
	l.at, l.server = netip.AddrPort{}, nil
}

// Handler answers /metrics with Text, and /healthz with 200 while the worker's loop
// turns. It takes no request with a Host but loopback's: a page in a browser on this
// machine could ask by a name of its own that leads here.
func (r *Recorder) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		f, watch := r.Now()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(Text(f, watch))
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if since := r.sinceKept(time.Now()); since > healthyFor || since < 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("the worker does not work the queue\n"))
			return
		}
		_, _ = w.Write([]byte(healthy))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !isLoopbackHost(q.Host):
			http.Error(w, "Host must be this machine's own: 127.0.0.1, [::1] or localhost", http.StatusMisdirectedRequest)
		case q.Method != http.MethodGet && q.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		default:
			mux.ServeHTTP(w, q)
		}
	})
}

func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

// ListenCheck asks whether the worker of this machine serves its figures where the
// settings say, and what /healthz says. restart is a command that starts it anew.
func ListenCheck(s ListenSettings, client *outbound.Client, restart string) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsSettings, Run: func(ctx context.Context, r *doctor.Report) {
		at := "http://" + s.Listen
		resp, err := client.Do(ctx, outbound.Request{Purpose: "metrics", URL: outbound.NewSecret(at + "/healthz")})
		switch {
		case err != nil:
			r.Warn("metrics", restart, "%v", err)
		case resp.Status == http.StatusOK && string(resp.Body) == healthy:
			r.OK("metrics", "%s/metrics", at)
		case resp.Status == http.StatusServiceUnavailable:
			r.Warn("metrics", restart, "%s: the worker does not work the queue", s.Listen)
		default:
			r.Warn("metrics", doctor.ShellLine("ss", "-ltnp"), "%s: something else answers there (HTTP %d)", s.Listen, resp.Status)
		}
	}}
}
