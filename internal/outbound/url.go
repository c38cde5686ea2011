package outbound

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// CheckURL reports whether a request to raw may be made: https, or http to
// this machine (localhost, 127.0.0.0/8, ::1), with a host and without
// userinfo. Errors name the scheme or the host at most, nothing else of the
// URL, which may be a secret.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("no URL")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's error quotes the URL.
		return nil, errors.New("not a URL")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		// Without "//" anything before a colon reads as a scheme, a secret too.
		return nil, errors.New("the URL must begin with https://")
	}
	if u.User != nil {
		return nil, errors.New("a URL must not contain a user name or password")
	}
	if u.Opaque != "" || !validHost(u.Hostname()) {
		return nil, errors.New("no valid host name in the URL")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("no valid port in the URL")
		}
	}
	if u.Scheme == "http" && !isLoopbackName(u.Hostname()) {
		return nil, errors.New("http:// is allowed to this machine only, use https://")
	}
	return u, nil
}

// CheckProxyURL reports whether raw can be a proxy's URL: http, https, socks5
// or socks5h, with a host; a user name and password may be in it. Errors do not
// contain it.
func CheckProxyURL(raw string) error {
	_, err := parseProxyURL(raw)
	return err
}

func parseProxyURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the proxy's URL is not a URL")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, errors.New("the proxy's URL must begin with http://, https:// or socks5://")
	}
	if u.Opaque != "" || !validHost(u.Hostname()) {
		return nil, errors.New("no valid host name in the proxy's URL")
	}
	return u, nil
}

// validHost keeps to what a name or an address can hold, so that a host can be
// shown in an error as it is.
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == "" || isWord(addr.Zone())
	}
	return host != "" && len(host) <= 253 && isWord(host)
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// isLoopbackName reports whether a URL's host says this machine. That
// localhost really is, is checked when it is dialled.
func isLoopbackName(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
