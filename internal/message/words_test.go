package message

import (
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	keyAlice = "SHA256:uNiVztksCsDhcc0u9e8BrjUYLbCcTx5Qs6w0hQ3xVxI"
	keyCA    = "SHA256:Bd1vF0a4yqEjlQbWVnLzYcN7oD9S2uX6KtPgHm8RZ5w"
)

func TestLinesLeaveOutWhatIsNotKnown(t *testing.T) {
	show := func(l Line) string { return l.Text() }
	where := func(p event.Place) string { return show(place(event.Facts{Place: p})) }
	isp := func(asn uint32, name, description string) string {
		return show(ispLine(event.Event{}, event.Facts{Network: event.Network{ASN: asn, Name: name, Description: description}}))
	}
	risk := func(r event.Risk) string { return show(riskLine(event.Alert{Facts: event.Facts{Risk: &r}})) }
	auth := func(u event.Auth, person string) string {
		return show(authLine(event.Alert{Event: event.Event{Kind: event.KindLogin, Login: event.Login{Auth: u}}, Person: person}))
	}
	tests := []struct{ name, got, want string }{
		{"place", where(event.Place{City: "Dublin", Region: "Leinster", Country: "IE"}), "Dublin - Leinster (IE)"},
		{"no region", where(event.Place{City: "Dublin", Country: "IE"}), "Dublin (IE)"},
		{"no city", where(event.Place{Region: "Leinster", Country: "IE"}), "Leinster (IE)"},
		{"country alone", where(event.Place{Country: "IE"}), "IE"},
		{"no country", where(event.Place{City: "Dublin", Region: "Leinster"}), "Dublin - Leinster"},
		{"no place", where(event.Place{}), ""},
		{"network", isp(64500, "EXAMPLE-NET", "Example Networks"), "Connected from ISP: AS64500 EXAMPLE-NET - Example Networks"},
		{"network without description", isp(64500, "EXAMPLE-NET", ""), "Connected from ISP: AS64500 EXAMPLE-NET"},
		{"network without name", isp(64500, "", "Example Networks"), "Connected from ISP: AS64500 Example Networks"},
		{"network without number", isp(0, "", "Example Networks"), "Connected from ISP: Example Networks"},
		{"number alone", isp(64500, "", " "), "Connected from ISP: AS64500"},
		{"no network", isp(0, "", ""), ""},
		{"risk", risk(event.Risk{Provider: "Threat Jammer", Known: true, Score: 72, Word: "HIGH", Reason: "Listed as a brute force source"}),
			"Threat Jammer Risk: 72 (HIGH) - Listed as a brute force source"},
		{"risk without reason", risk(event.Risk{Provider: "Threat Jammer", Known: true, Score: 0, Word: "LOW"}), "Threat Jammer Risk: 0 (LOW)"},
		{"bare score", risk(event.Risk{Known: true, Score: 5}), "Risk: 5"},
		{"a provider named for its risk", risk(event.Risk{Provider: "Network Risk", Known: true, Score: 5}), "Network Risk: 5"},
		{"a provider named for its risk score", risk(event.Risk{Provider: "IP risk score", Known: true, Score: 5}), "IP risk score: 5"},
		{"risk unknown", risk(event.Risk{Provider: "Threat Jammer", Problem: "timed out", Score: 99, Reason: "old"}), "Threat Jammer Risk: unknown - timed out"},
		{"risk unknown, no word why", risk(event.Risk{Provider: "Threat Jammer"}), "Threat Jammer Risk: unknown"},
		{"key", auth(event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: keyAlice}, "alice"), "Authenticated with: publickey ED25519 " + keyAlice + " (alice)"},
		{"key of nobody known", auth(event.Auth{Method: "publickey", KeyType: "ssh-rsa", Fingerprint: keyAlice}, ""), "Authenticated with: publickey RSA " + keyAlice},
		{"password", auth(event.Auth{Method: "password"}, ""), "Authenticated with: password"},
		{"two methods", auth(event.Auth{Method: "publickey,keyboard-interactive/pam", KeyType: "ssh-rsa", Fingerprint: keyAlice}, ""),
			"Authenticated with: publickey,keyboard-interactive/pam RSA " + keyAlice},
		{"certificate", auth(event.Auth{Method: "publickey", KeyType: "ecdsa-sha2-nistp256-cert-v01@openssh.com", Fingerprint: keyAlice, KeyID: "alice", Serial: 7, CAFingerprint: keyCA}, ""),
			"Authenticated with: publickey ECDSA-CERT " + keyAlice + `, key id "alice", serial 7, CA ` + keyCA},
		{"nothing known of it", auth(event.Auth{}, "alice"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("line\n got %q\nwant %q", tt.got, tt.want)
			}
		})
	}
}

func TestKeyType(t *testing.T) {
	for in, want := range map[string]string{
		"ssh-ed25519":                        "ED25519",
		"ssh-rsa":                            "RSA",
		"rsa-sha2-512":                       "RSA",
		"ssh-dss":                            "DSA",
		"ecdsa-sha2-nistp521":                "ECDSA",
		"sk-ssh-ed25519@openssh.com":         "ED25519-SK",
		"sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK",
		"webauthn-sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK",
		"ssh-ed25519-cert-v01@openssh.com":            "ED25519-CERT",
		"rsa-sha2-256-cert-v01@openssh.com":           "RSA-CERT",
		"sk-ssh-ed25519-cert-v01@openssh.com":         "ED25519-SK-CERT",
		"ED25519":                                     "ED25519",
		"ssh-mldsa44@example.com":                     "ssh-mldsa44@example.com",
		"":                                            "",
	} {
		if got := keyType(in); got != want {
			t.Errorf("keyType(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", time.Second: "1 s", 89 * time.Second: "89 s", 90 * time.Second: "2 min", 4*time.Minute + 10*time.Second: "4 min",
		89 * time.Minute: "89 min", 3*time.Hour + 10*time.Minute: "3 h", 35*time.Hour + 59*time.Minute: "36 h", 7 * 24 * time.Hour: "7 days",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	escaping := Form{Rune: func(r rune) int {
		if r == '&' {
			return len("&amp;")
		}
		return 1
	}}
	for _, tt := range []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"fits", "alice", 5, "alice"},
		{"one too many", "alices", 5, "alic…"},
		{"an entity is kept whole", "ab&cd", 6, "ab…"},
		{"an entity that just fits", "ab&", 7, "ab&"},
		{"between words", "first time from Bulgaria", 20, "first time from…"},
		{"at the end of a word", "one two three", 8, "one two…"},
		{"not between words that are far apart", "a Donaudampfschifffahrt", 20, "a Donaudampfschifff…"},
		{"no comma before the dots", "one hundred, two hundred", 16, "one hundred…"},
		{"wide characters", "漢字漢字", 3, "漢字…"},
		{"room for the dots alone", "alice", 1, "…"},
		{"no room", "alice", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := escaping.cut(tt.in, tt.limit); got != tt.want {
				t.Errorf("cut(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
			}
		})
	}
}

func TestLink(t *testing.T) {
	for raw, want := range map[string]string{
		"https://wiki.example.com/ssh?a=1&b=2#c":        "https://wiki.example.com/ssh?a=1&b=2#c",
		"https://wiki.example.com/x|evil>y":             "https://wiki.example.com/x%7Cevil%3Ey",
		"https://wiki.example.com/a b":                  "https://wiki.example.com/a%20b",
		"javascript:alert(1)":                           "",
		"//wiki.example.com":                            "",
		"https://":                                      "",
		"!channel":                                      "",
		"https://x.example/" + strings.Repeat("a", 200): "",
		"": "",
	} {
		if got := safeURL(raw); got != want {
			t.Errorf("safeURL(%q) = %q, want %q", raw, got, want)
		}
	}
}
