package outbound

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for _, tc := range []struct {
		name, url, err string
	}{
		{"a webhook", "https://hooks.slack.com/services/T0/B0/xyzzy", ""},
		{"upper case", "HTTPS://Hooks.Slack.Com/services", ""},
		{"a port", "https://example.com:8443/x", ""},
		{"an address", "https://192.0.2.7/x", ""},
		{"an IPv6 address", "https://[2001:db8::7]:8443/x", ""},
		{"http to 127.0.0.1", "http://127.0.0.1:8080/x", ""},
		{"http to another loopback address", "http://127.8.9.10/x", ""},
		{"http to ::1", "http://[::1]:8080/x", ""},
		{"http to localhost", "http://localhost:8080/x", ""},
		{"http to LocalHost.", "http://LocalHost./x", ""},
		{"http to mapped loopback", "http://[::ffff:127.0.0.1]/x", ""},
		{"empty", "", "no URL"},
		{"http to elsewhere", "http://hooks.slack.com/xyzzy", "http:// is allowed"},
		{"http to a private address", "http://10.0.0.1/xyzzy", "http:// is allowed"},
		{"http to all addresses", "http://0.0.0.0/xyzzy", "http:// is allowed"},
		{"http to a name that begins like localhost", "http://localhost.example.com/xyzzy", "http:// is allowed"},
		{"http to a short form of an address", "http://127.1/xyzzy", "http:// is allowed"},
		{"http to a decimal address", "http://2130706433/xyzzy", "http:// is allowed"},
		{"a user name", "https://xyzzy@example.com/", "user name"},
		{"a password", "https://a:xyzzy@example.com/", "user name"},
		{"an empty user name", "https://@example.com/xyzzy", "user name"},
		{"a host hidden by a user name", "http://127.0.0.1@example.com/xyzzy", "user name"},
		{"no scheme", "hooks.slack.com/services/xyzzy", "must begin with https://"},
		{"a secret for a scheme", "xyzzy:services", "must begin with https://"},
		{"another scheme", "file:///etc/xyzzy", "must begin with https://"},
		{"no slashes", "https:example.com/xyzzy", "no valid host name"},
		{"no host", "https:///xyzzy", "no valid host name"},
		{"only a port", "https://:443/xyzzy", "no valid host name"},
		{"an odd character in the host", "https://exa<mple.com/xyzzy", "no valid host name"},
		{"a quote in the host", "https://exa'mple.com/xyzzy", "no valid host name"},
		{"a newline", "https://example.com/xyzzy\nx", "not a URL"},
		{"port 0", "https://example.com:0/xyzzy", "no valid port"},
		{"port 65536", "https://example.com:65536/xyzzy", "no valid port"},
		{"a word for a port", "https://example.com:xyzzy/", "not a URL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := CheckURL(tc.url)
			if tc.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if strings.Contains(err.Error(), "xyzzy") {
				t.Errorf("shows the URL: %v", err)
			}
		})
	}
}

func TestCheckProxyURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://proxy.example.com:3128":        true,
		"http://me:xyzzy@192.0.2.1:3128":       true,
		"socks5h://[2001:db8::1]:1080":         true,
		"":                                     false,
		"proxy.example.com:3128":               false,
		"ftp://me:xyzzy@proxy.example.com":     false,
		"http://me:xyzzy@":                     false,
		"http://me:xyzzy@proxy.example.com:p0": false,
	} {
		err := CheckProxyURL(url)
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "xyzzy") {
			t.Errorf("shows the URL: %v", err)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://example.com/a", "http://localhost:1/", "http://[::1]/", "https://a:b@c/", "https://[fe80::1%25eth0]/", "http://127.0.0.1@x/", "https:x", "//x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || u.Hostname() == "" {
			t.Fatalf("accepted %q", raw)
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackName(u.Hostname())) {
			t.Fatalf("accepted %q", raw)
		}
		if strings.ContainsAny(u.Host, "<>&\"'`* \n\x00") {
			t.Fatalf("the host of %q can't be shown", raw)
		}
	})
}
