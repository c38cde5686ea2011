package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gorilla/websocket"
)

// maxFrame is what is written in one frame at most. Not every service puts several
// together again.
const maxFrame = 32 << 10

// WebSocket returns what opens a socket by the rules of Do: with the same
// certificates and proxy, wss:// only, or ws:// to an address of this machine. A
// proxy that is reached by https can't be used.
func (c *Client) WebSocket() *websocket.Dialer {
	dialer := net.Dialer{Timeout: c.timeout}
	return &websocket.Dialer{
		NetDialContext:   dialer.DialContext,
		TLSClientConfig:  c.tls.Clone(),
		HandshakeTimeout: c.timeout,
		WriteBufferSize:  maxFrame,
		Proxy: func(r *http.Request) (*url.URL, error) {
			if c.broken != nil {
				return nil, c.broken
			}
			host := r.URL.Hostname()
			if r.URL.Scheme != "https" {
				// A name is resolved later, by whoever dials.
				if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
					return nil, errors.New("ws:// is allowed to an address of this machine only, use wss://")
				}
				return nil, nil
			}
			proxy, err := parseProxyURL(c.proxy.Reveal())
			switch {
			case c.proxy.IsZero() || isLoopbackName(host):
				return nil, nil
			case err != nil:
				return nil, err
			case proxy.Scheme == "https":
				return nil, errors.New("a proxy that is reached by https can't carry a socket; name it by http:// or socks5://")
			case proxy.Scheme == "socks5h": // the other one asks the proxy for the name as well
				proxy.Scheme = "socks5"
			}
			return proxy, nil
		},
	}
}
