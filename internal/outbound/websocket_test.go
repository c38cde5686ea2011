package outbound

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// A socket is opened as a request is made: not without TLS but to this machine, and
// through the proxy that the settings name.
func TestWebSocket(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		if c, err := new(websocket.Upgrader).Upgrade(w, r, nil); err == nil {
			c.Close()
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(serve))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(serve))
	defer secure.Close()
	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	wss := strings.Replace(secure.URL, "https://", "wss://", 1)
	for _, tc := range []struct {
		name, url string
		o         Options
		want      string // in the error; empty: it opens
	}{
		{"to this machine", strings.Replace(plain.URL, "http://", "ws://", 1), Options{}, ""},
		{"to this machine, past the proxy", strings.Replace(plain.URL, "http://", "ws://", 1), Options{Proxy: NewSecret("http://192.0.2.1:3128")}, ""},
		{"elsewhere without TLS", "ws://203.0.113.7/x", Options{}, "use wss://"},
		{"to a name without TLS", "ws://localhost/x", Options{}, "use wss://"},
		{"with a certificate that is trusted", wss, Options{RootCAs: trusted}, ""},
		{"with another one", wss, Options{}, "certificate"},
		{"by a proxy that can't carry it", "wss://slack.example.com/x", Options{Proxy: NewSecret("https://user:swordfish@192.0.2.1")}, "can't carry a socket"},
		{"by a broken proxy", "wss://slack.example.com/x", Options{Proxy: NewSecret("ftp://swordfish")}, "proxy's URL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, resp, err := New(tc.o).WebSocket().DialContext(t.Context(), tc.url, nil)
			if resp != nil {
				defer resp.Body.Close()
			}
			if err == nil {
				c.Close()
			}
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) || err != nil && strings.Contains(err.Error(), "swordfish") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
