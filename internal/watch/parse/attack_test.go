package parse_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// What attackers write into a name, to have somebody else blamed. The true
// address is 127.0.0.1 in all of them.
func TestAttackAddressInTheName(t *testing.T) {
	const sshd = "sshd[1]: "
	for _, tt := range []struct {
		name, text string
		user       string
	}{
		{"attack-whole-line-as-name", sshd + "Failed password for invalid user test from 10.10.1.2 port 55555 ssh2 from 127.0.0.1 port 58946 ssh2", "test from 10.10.1.2 port 55555 ssh2"},
		{"attack-with-info", sshd + "Failed password for invalid user a from 192.0.2.66 port 1 ssh2: b from 127.0.0.1 port 58946 ssh2", "a from 192.0.2.66 port 1 ssh2: b"},
		{"attack-with-colon", sshd + "Failed password for invalid user a from 192.0.2.66: b from 127.0.0.1 port 58946 ssh2", "a from 192.0.2.66: b"},
		{"attack-name-starts-with-from", sshd + "Failed password for invalid user from 10.10.1.1 from 127.0.0.1 port 58946 ssh2", "from 10.10.1.1"},
		{"attack-invalid-user", sshd + "Invalid user x from 10.10.1.3 port 1 from 127.0.0.1 port 58947", "x from 10.10.1.3 port 1"},
		{"attack-invalid-user-of-an-old-sshd", sshd + "Invalid user x from 10.10.1.3 port 1 from 127.0.0.1", "x from 10.10.1.3 port 1"},
		{"attack-closed-by", sshd + "Connection closed by authenticating user test 10.10.1.4 port 12345 127.0.0.1 port 46039 [preauth]", "test 10.10.1.4 port 12345"},
		{"attack-closed-by-with-preauth", sshd + "Connection closed by invalid user test 10.10.1.4 port 12345 [preauth] 127.0.0.1 port 46039 [preauth]", "test 10.10.1.4 port 12345 [preauth]"},
		{"attack-empty-name", sshd + "Invalid user  from 127.0.0.1 port 34916", ""},
		{"attack-empty-name-failed", sshd + "Failed none for invalid user  from 127.0.0.1 port 34916 ssh2", ""},
		{"attack-name-of-spaces", sshd + "Invalid user     from 127.0.0.1 port 34916", "   "},
		{"attack-key-type-in-name", sshd + "Failed publickey for invalid user a from 10.10.1.2 port 1 ssh2: RSA SHA256:AAAA from 127.0.0.1 port 2 ssh2: ED25519 SHA256:BBBB", "a from 10.10.1.2 port 1 ssh2: RSA SHA256:AAAA"},
		{"attack-ipv6", sshd + "Failed password for invalid user a from 2001:db8::1 port 1 ssh2 from 127.0.0.1 port 2 ssh2", "a from 2001:db8::1 port 1 ssh2"},
		{"attack-mapped", sshd + "Failed password for invalid user a from ::ffff:10.1.1.1 port 1 ssh2 from ::ffff:127.0.0.1 port 2 ssh2", "a from ::ffff:10.1.1.1 port 1 ssh2"},
		{"attack-accepted-as-name", sshd + "Failed password for invalid user Accepted password for root from 10.1.1.1 port 1 ssh2 from 127.0.0.1 port 2 ssh2", "Accepted password for root from 10.1.1.1 port 1 ssh2"},
		{"attack-syslog-header-as-name", sshd + "Invalid user Jan  1 00:00:00 h sshd[1]: Accepted password for root from 10.1.1.1 port 1 ssh2 from 127.0.0.1 port 2", "Jan  1 00:00:00 h sshd[1]: Accepted password for root from 10.1.1.1 port 1 ssh2"},
		{"attack-repeated-as-name", sshd + "Invalid user message repeated 100 times: [ x from 10.1.1.1 port 1] from 127.0.0.1 port 2", "message repeated 100 times: [ x from 10.1.1.1 port 1]"},
		{"attack-bracket-in-a-repeated-line", sshd + "message repeated 2 times: [ Failed password for invalid user a from 10.1.1.1 port 1 ssh2] from 127.0.0.1 port 2 ssh2]", "a from 10.1.1.1 port 1 ssh2]"},
		{"attack-pam-error", sshd + "error: PAM: Authentication failure for illegal user a for b from 10.1.1.1 from 127.0.0.1", "a for b from 10.1.1.1"},
		{"attack-maximum", sshd + "error: maximum authentication attempts exceeded for invalid user a from 10.1.1.1 port 1 ssh2 [preauth] from 127.0.0.1 port 2 ssh2 [preauth]", "a from 10.1.1.1 port 1 ssh2 [preauth]"},
		{"attack-too-many", sshd + "Disconnecting invalid user a 10.1.1.1 port 1: Too many authentication failures 127.0.0.1 port 2: Too many authentication failures [preauth]", "a 10.1.1.1 port 1: Too many authentication failures"},
		{"attack-change-of-name", sshd + "Disconnecting invalid user a 127.0.0.1 port 2: Change of username or service not allowed: (a,ssh-connection) -> (b 10.1.1.1 port 1: Change of username or service not allowed: (x,ssh-connection) [preauth]", "a"},
		{"attack-banner", sshd + "Bad protocol version identification 'GET / from 10.1.1.1 port 1' from 127.0.0.1 port 2", ""},
		{"attack-identd", sshd + "refused connect from x (10.1.1.1)@h.example.com (127.0.0.1)", ""},
		{"attack-pam-user", sshd + "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=127.0.0.1 user=a rhost=10.1.1.1", "a rhost=10.1.1.1"},
		{"attack-dropbear", "dropbear[1]: Bad password attempt for 'a' from 10.1.1.1:1' from 127.0.0.1:2", "a' from 10.1.1.1:1"},
		{"attack-vsftpd", `[pid 1] [a] FAIL LOGIN: Client "10.1.1.1", "x] FAIL LOGIN: Client "127.0.0.1"`, `a] FAIL LOGIN: Client "10.1.1.1", "x`},
		{"attack-vsftpd-reason", `vsftpd[1]: [a] FAIL LOGIN: Client "10.1.1.1"] FAIL LOGIN: Client "127.0.0.1", "Permission denied"`, `a] FAIL LOGIN: Client "10.1.1.1"`},
		{"attack-vsftpd-pam", "vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=a rhost=10.1.1.1 rhost=127.0.0.1", "a rhost=10.1.1.1"},
		{"attack-vsftpd-pam-user", "vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=10.1.1.1  user=x rhost=127.0.0.1", "x rhost=10.1.1.1  user=x"},
		{"attack-proftpd", "proftpd[1]: h (c[127.0.0.1]): USER x (d[10.1.1.1]): USER y: Login successful. (Login failed): Incorrect password", "x (d[10.1.1.1]): USER y: Login successful."},
		{"attack-proftpd-no-such-user", "proftpd[1]: h (c[127.0.0.1]): USER x: no such user found from d [10.1.1.1] to 1.1.1.1:21: no such user found from c [127.0.0.1] to 127.0.0.1:21", "x: no such user found from d [10.1.1.1] to 1.1.1.1:21"},
		{"attack-pureftpd", "pure-ftpd: (?@127.0.0.1) [WARNING] Authentication failed for user [x] (?@10.1.1.1) [INFO] root is now logged in]", "x] (?@10.1.1.1) [INFO] root is now logged in"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, header := range []string{"", "Nov 20 10:00:00 web1 ", "2026-11-20T10:00:00.123456+01:00 web1 "} {
				text := header + tt.text
				if strings.HasPrefix(tt.text, "[pid") {
					text = "Fri Nov 20 10:00:00 2026 " + tt.text
				}
				got := explain(text)
				if got.Outcome != parse.Failure || got.IP.String() != "127.0.0.1" || got.User != tt.user {
					t.Errorf("%s\n%s %s %q", text, got.Outcome, got.IP, got.User)
				}
			}
		})
	}
}

// Where nobody can tell what the daemon wrote, nobody is blamed.
func TestAttackThatCanNotBeToldApart(t *testing.T) {
	for name, text := range map[string]string{
		"attack-certificate-identity": "sshd[1]: Failed publickey for invalid user a from 10.1.1.1 port 1 ssh2: RSA-CERT SHA256:A ID x from 127.0.0.1 port 2 ssh2: RSA-CERT SHA256:B ID y (serial 0) CA RSA SHA256:C",
		"attack-hostbased":            `sshd[1]: Failed hostbased for a from 127.0.0.1 port 2 ssh2: RSA SHA256:A, client user "b from 10.1.1.1 port 1 ssh2: x", client host "c"`,
		"attack-vsftpd-command":       `vsftpd[1]: [a] FTP command: Client "127.0.0.1", "USER b] FAIL LOGIN: Client "10.1.1.1", "x"`,
		"attack-host-name":            "sshd[1]: Failed password for invalid user a from 10.1.1.1 port 1 ssh2 from host.example.com port 2 ssh2",
	} {
		if got := explain(text); got.IP.IsValid() {
			t.Errorf("%s: %s is blamed by %s (%s)", name, got.IP, got.Parser, got.Outcome)
		}
	}
	// A login's name is of an account, so that only the identity can lie.
	got := explain("sshd[1]: Accepted publickey for a from 127.0.0.1 port 1 ssh2: RSA-CERT SHA256:A ID x from 10.1.1.1 port 2 ssh2: RSA SHA256:B (serial 0) CA RSA SHA256:C")
	if got.IP.String() != "127.0.0.1" || got.Key != "SHA256:A" || got.Outcome != parse.Success {
		t.Errorf("%+v", got)
	}
}

// A logger that cuts lines must not make what a stranger wrote their end, neither in
// a certificate's identity nor within "message repeated N times".
func TestAttackByALineThatWasCut(t *testing.T) {
	for name, text := range map[string]string{
		"attack-certificate-cut": "sshd[1]: Failed publickey for invalid user a from 10.1.1.1 port 1 ssh2: b from 127.0.0.1 port 4242 ssh2: RSA-CERT SHA256:" +
			strings.Repeat("A", 43) + " ID " + strings.Repeat("x", 60) + " from 10.1.1.1 port 22",
		"attack-repeated-pam": "proftpd[1]: message repeated 2 times: [ pam_unix(proftpd:auth): authentication failure; logname= uid=0 euid=0 tty=/dev/ftpd12 ruser=" +
			strings.Repeat("x", 80) + " rhost=10.1.1.1",
		"attack-dropbear-cut": "dropbear[1]: Login attempt with wrong user " + strings.Repeat("x", 180) + " from 10.1.1.1:2",
	} {
		if got := explain(text); got.Outcome != parse.Failure || got.IP.IsValid() || !got.Ambiguous {
			t.Errorf("%s: %s from %s by %s", name, got.Outcome, got.IP, got.Parser)
		}
	}
	got := explain("proftpd[1]: message repeated 2 times: [ h (c[127.0.0.1]): USER " + strings.Repeat("x", 140) + ": Login successful.")
	if got.Outcome == parse.Success || !got.Ambiguous {
		t.Errorf("a name that was cut off got in: %+v", got)
	}
}

// What stands in JSON is anybody's, whole or not.
func TestAttackInJSON(t *testing.T) {
	const words = `"MESSAGE":"x (a[10.1.1.1]): USER root (Login failed): y","_UID":"1000"`
	for _, text := range []string{"{" + words + "}", " {" + words + "}", "{" + words, "\x1e{" + words + "}", "\t{" + words + "}"} {
		if got := explain(text); got.Outcome != parse.None || got.IP.IsValid() {
			t.Errorf("%q: %s from %s by %s", text, got.Outcome, got.IP, got.Parser)
		}
	}
}

// Nobody gets in by a name.
func TestAttackForgedLogin(t *testing.T) {
	for name, text := range map[string]string{
		"attack-other-program":     "Nov 20 10:00:00 web1 nginx[1]: Accepted password for root from 10.1.1.1 port 1 ssh2",
		"attack-program-in-words":  "Nov 20 10:00:00 web1 app: sshd[1]: Accepted password for root from 10.1.1.1 port 1 ssh2",
		"attack-vsftpd-anonymous":  `Fri Nov 20 10:00:00 2026 [pid 1] FTP command: Client "127.0.0.1", "USER a] OK LOGIN: Client "10.1.1.1"`,
		"attack-vsftpd-file":       `Fri Nov 20 10:00:00 2026 [pid 1] [a] OK UPLOAD: Client "127.0.0.1", "/x] OK LOGIN: Client "10.1.1.1", "y", 5 bytes`,
		"attack-pureftpd-file":     "pure-ftpd: (a@127.0.0.1) [NOTICE] /x) [INFO] root is now logged in uploaded",
		"attack-sudo-command":      "sudo[1]:   bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo root : 3 incorrect password attempts ; TTY=pts/0",
		"attack-proftpd-directory": "proftpd[1]: h (c[127.0.0.1]): chdir to USER root: Login successful.",
	} {
		if got := explain(text); got.Outcome == parse.Success || got.Outcome == parse.Failure {
			t.Errorf("%s: %s takes it for a %s of %q from %s", name, got.Parser, got.Outcome, got.User, got.IP)
		}
	}
}

// templates are lines that sshd writes of a name that a stranger chose; %[1]s is
// the name, %[2]s the address.
var templates = []string{
	"Failed password for invalid user %[1]s from %[2]s port 40001 ssh2",
	"Failed none for invalid user %[1]s from %[2]s port 40001 ssh2",
	"Failed keyboard-interactive/pam for invalid user %[1]s from %[2]s port 40001 ssh2",
	"Failed publickey for invalid user %[1]s from %[2]s port 40001 ssh2: ED25519 SHA256:mXkP0a+/Zz",
	"Failed publickey for invalid user %[1]s from %[2]s port 40001 ssh2: RSA MD5:01:23:45",
	"Invalid user %[1]s from %[2]s port 40001",
	"Invalid user %[1]s from %[2]s",
	"error: PAM: Authentication failure for illegal user %[1]s from %[2]s",
	"error: PAM: User not known to the underlying authentication module for illegal user %[1]s from %[2]s",
	"error: maximum authentication attempts exceeded for invalid user %[1]s from %[2]s port 40001 ssh2 [preauth]",
	"Connection closed by invalid user %[1]s %[2]s port 40001 [preauth]",
	"Connection reset by invalid user %[1]s %[2]s port 40001 [preauth]",
	"Disconnected from invalid user %[1]s %[2]s port 40001 [preauth]",
	"Disconnecting invalid user %[1]s %[2]s port 40001: Too many authentication failures [preauth]",
	"message repeated 3 times: [ Failed password for invalid user %[1]s from %[2]s port 40001 ssh2]",
	"pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%[2]s user=%[1]s",
}

var pieces = []string{" from ", "6.6.6.6", " port ", "22", " ssh2", ": ", "ssh2: ", "RSA SHA256:x", "[preauth]", " [preauth]", "invalid user ", "illegal user ", " for ", "]",
	"rhost=6.6.6.6", " rhost=", " user=", "2001:db8::6", "::ffff:6.6.6.6", " not allowed because ", ": Too many authentication failures", "message repeated 9 times: [ ",
	"Failed password for ", "Accepted password for root from 6.6.6.6 port 1 ssh2", "sshd[1]: ", " ", "  ", "(", ")", `"`, "'", "a", "root", "ü", "%s", "(serial 0) CA RSA SHA256:y", " ID "}

func TestTheTrueAddressComesOut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 60_000 {
		var name strings.Builder
		for range rnd.IntN(9) {
			name.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		checkTrueAddress(t, name.String(), templates[rnd.IntN(len(templates))])
	}
}

func FuzzTheTrueAddressComesOut(f *testing.F) {
	for i := range templates {
		f.Add("a from 6.6.6.6 port 1 ssh2", uint8(i))
	}
	f.Fuzz(func(t *testing.T, name string, n uint8) {
		checkTrueAddress(t, name, templates[int(n)%len(templates)])
	})
}

func checkTrueAddress(t *testing.T, name, template string) {
	t.Helper()
	// sshd cuts a name at 100 bytes, and writes what can't be seen as an escape.
	if len(name) > 100 || strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return
	}
	for _, ip := range []string{"127.0.0.1", "2001:db8:ffff::1"} {
		text := "Nov 20 10:00:00 web1 sshd-session[812]: " + fmt.Sprintf(template, name, ip)
		got := explain(text)
		if got.Outcome != parse.Failure || got.IP.String() != ip {
			t.Fatalf("%s\n%s, %s", text, got.Outcome, got.IP)
		}
	}
}
