package fleet

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

func TestReach(t *testing.T) {
	for _, row := range []struct {
		situation string
		status    int
		why       string
		slow      time.Duration // the hub's clock
		class     Class
		want      string // of the error; empty: let in
	}{
		{"the hub lets the host in", 400, WhyUnknown, 0, 0, ""},
		{"its clock is slow", 400, WhyUnknown, time.Hour, 0, ""},
		{"it does not know the host", 401, WhyUnknown, 0, Refused, "unknown"},
		{"the host was revoked", 403, WhyRevoked, 0, Refused, "revoked"},
		{"it is busy", 503, WhyBusy, 0, Again, "busy"},
		{"something else answers", 200, "", 0, Refused, "HTTP 200"},
		{"something else does not understand", 400, "", 0, Refused, "HTTP 400"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != PathEvents || r.ContentLength > 0 || r.Header.Get(HeaderNumbering) != "" || r.Header.Get("Authorization") != "Bearer MadeUpSecret" {
					t.Errorf("%s %s with %d bytes, %v", r.Method, r.URL, r.ContentLength, r.Header)
				}
				w.Header().Set("Date", time.Now().Add(-row.slow).UTC().Format(http.TimeFormat))
				if row.why != "" {
					w.Header().Set(HeaderWhy, row.why)
				}
				w.WriteHeader(row.status)
				w.Write([]byte(row.why + "\n"))
			}))
			defer s.Close()
			pool := x509.NewCertPool()
			pool.AddCert(s.Certificate())
			h := NewHTTPS(HTTPSOptions{URL: s.URL, Token: outbound.NewSecret("MadeUpSecret"), Credentials: CredentialsIn(t.TempDir()), RootCAs: pool})
			defer h.Close()
			ahead, err := h.Reach(t.Context())
			if row.want == "" {
				if off := ahead + row.slow; err != nil || off.Abs() > time.Minute {
					t.Errorf("%v ahead, %v", ahead, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Class != row.class || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want class %d, %q", err, row.class, row.want)
			}
		})
	}
	if _, err := NewHTTPS(HTTPSOptions{URL: "https://127.0.0.1:1", Credentials: CredentialsIn(t.TempDir())}).Reach(t.Context()); !errors.Is(err, ErrNotJoined) {
		t.Errorf("a host that has not joined: %v", err)
	}
}
