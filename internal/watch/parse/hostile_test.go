package parse_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// form is a line that a daemon writes, with a stranger's words in it. %[1]s is
// where they stand, %[2]s the true address.
type form struct {
	text string
	most int // bytes of the stranger's words that the daemon lets through
	was  parse.Outcome
}

const (
	sshdName = 100
	ftpLine  = 600
)

// forms are the places of every daemon's lines at which a stranger writes.
var forms = []form{
	{"sshd[1]: Failed password for invalid user %[1]s from %[2]s port 40001 ssh2", sshdName, parse.Failure},
	{"sshd[1]: Failed none for invalid user %[1]s from %[2]s port 40001 ssh2", sshdName, parse.Failure},
	{"sshd[1]: Failed keyboard-interactive/pam for invalid user %[1]s from %[2]s port 40001 ssh2", sshdName, parse.Failure},
	{"sshd[1]: Failed publickey for invalid user %[1]s from %[2]s port 40001 ssh2: ED25519 SHA256:mXkP0a+/Zz", sshdName, parse.Failure},
	{"sshd[1]: Failed publickey for root from %[2]s port 40001 ssh2: ED25519-CERT SHA256:A ID %[1]s (serial 0) CA RSA SHA256:C", ftpLine, parse.Failure},
	{`sshd[1]: Failed hostbased for root from %[2]s port 40001 ssh2: RSA SHA256:A, client user "%[1]s", client host "c.example.com"`, ftpLine, parse.Failure},
	{"sshd[1]: Accepted publickey for root from %[2]s port 40001 ssh2: ED25519-CERT SHA256:A ID %[1]s (serial 0) CA RSA SHA256:C", ftpLine, parse.Success},
	{"sshd[1]: Invalid user %[1]s from %[2]s port 40001", sshdName, parse.Failure},
	{"sshd[1]: Invalid user %[1]s from %[2]s", sshdName, parse.Failure},
	{"sshd[1]: error: PAM: Authentication failure for illegal user %[1]s from %[2]s", sshdName, parse.Failure},
	{"sshd[1]: error: PAM: Authentication failure for illegal user %[1]s from host7.example.net", sshdName, parse.Failure},
	{"sshd[1]: error: maximum authentication attempts exceeded for invalid user %[1]s from %[2]s port 40001 ssh2 [preauth]", sshdName, parse.Failure},
	{"sshd[1]: Connection closed by invalid user %[1]s %[2]s port 40001 [preauth]", 186, parse.Failure},
	{"sshd[1]: Disconnected from invalid user %[1]s %[2]s port 40001 [preauth]", 186, parse.Failure},
	{"sshd[1]: Disconnecting invalid user %[1]s %[2]s port 40001: Too many authentication failures [preauth]", 186, parse.Failure},
	{"sshd[1]: Disconnecting invalid user a %[2]s port 2: Change of username or service not allowed: (a,ssh-connection) -> (%[1]s,ssh-connection) [preauth]", ftpLine, parse.Failure},
	{"sshd[1]: Disconnecting invalid user a %[2]s port 2: Change of username or service not allowed: (a,%[1]s) -> (b,ssh-connection) [preauth]", ftpLine, parse.Failure},
	{"sshd[1]: Received disconnect from %[2]s port 40001:11: %[1]s [preauth]", ftpLine, parse.Other},
	{"sshd[1]: error: Received disconnect from %[2]s port 40001:3: %[1]s [preauth]", ftpLine, parse.Other},
	{"sshd[1]: Bad protocol version identification '%[1]s' from %[2]s port 40001", sshdName, parse.Failure},
	{`sshd[1]: error: kex_exchange_identification: client sent invalid protocol identifier "%[1]s"`, ftpLine, parse.Other},
	{"sshd[1]: Protocol major versions differ for %[2]s port 40001: SSH-2.0-OpenSSH vs. %[1]s", ftpLine, parse.Failure},
	{"sshd[1]: Unable to negotiate with %[2]s port 40001: no matching cipher found. Their offer: %[1]s [preauth]", ftpLine, parse.Failure},
	{"sshd[1]: refused connect from %[1]s@host7.example.net (%[2]s)", sshdName, parse.Failure},
	{"sshd[1]: pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%[2]s user=%[1]s", ftpLine, parse.Failure},
	{"sshd[1]: pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net user=%[1]s", ftpLine, parse.Failure},
	{"sshd[1]: message repeated 3 times: [ Failed password for invalid user %[1]s from %[2]s port 40001 ssh2]", sshdName, parse.Failure},
	{"sshd[1]: input_userauth_request: invalid user %[1]s [preauth]", sshdName, parse.Other},

	{"dropbear[1]: Bad password attempt for '%[1]s' from %[2]s:40001", sshdName, parse.Failure},
	{"dropbear[1]: Login attempt with wrong user %[1]s from %[2]s:40001", sshdName, parse.Failure},
	{"dropbear[1]: Exit before auth from <%[2]s:40001>: (user 'root', 3 fails): %[1]s", sshdName, parse.Failure},
	{"dropbear[1]: Exit before auth from <%[2]s:40001>: %[1]s", sshdName, parse.Other},

	{`vsftpd[1]: [%[1]s] FAIL LOGIN: Client "%[2]s"`, ftpLine, parse.Failure},
	{`vsftpd[1]: [%[1]s] FAIL LOGIN: Client "%[2]s", "Permission denied"`, ftpLine, parse.Failure},
	{`vsftpd[1]: [%[1]s] FTP response: Client "%[2]s", "530 Login incorrect."`, ftpLine, parse.Failure},
	{`vsftpd[1]: [%[1]s] FTP response: Client "%[2]s", "331 Please specify the password."`, ftpLine, parse.Other},
	{`vsftpd[1]: [%[1]s] FTP command: Client "%[2]s", "PASS <password>"`, ftpLine, parse.Other},
	{`vsftpd[1]: FTP command: Client "%[2]s", "%[1]s"`, ftpLine, parse.Other},
	{`vsftpd[1]: [root] FTP command: Client "%[2]s", "%[1]s"`, ftpLine, parse.Other},
	{`vsftpd[1]: [ftp] OK LOGIN: Client "%[2]s", anon password "%[1]s"`, ftpLine, parse.Success},
	{`vsftpd[1]: [ftp] FAIL LOGIN: Client "%[2]s", anon password "%[1]s"`, ftpLine, parse.Failure},
	{`vsftpd[1]: [bob] OK UPLOAD: Client "%[2]s", "/%[1]s", 5 bytes, 0.10Kbyte/sec`, ftpLine, parse.Other},
	{`vsftpd[1]: [bob] FAIL UPLOAD: Client "%[2]s", "/%[1]s", 0.00Kbyte/sec`, ftpLine, parse.Other},
	{`vsftpd[1]: [bob] OK RENAME: Client "%[2]s", "/a /%[1]s"`, ftpLine, parse.Other},
	{`vsftpd[1]: [bob] FTP response: Client "%[2]s", "257 "/%[1]s" created"`, ftpLine, parse.Other},
	{`vsftpd[1]: [bob] FTP response: Client "%[2]s", "250-%[1]s"`, ftpLine, parse.Other},
	{"vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=%[1]s rhost=%[2]s", ftpLine, parse.Failure},
	{"vsftpd[1]: pam_sss(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=%[1]s rhost=%[2]s user=%[1]s", ftpLine, parse.Failure},
	{"vsftpd[1]: pam_sss(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=%[1]s rhost=host7.example.net  user=%[1]s", ftpLine, parse.Failure},

	{"proftpd[1]: 192.0.2.1 (host7.example.net[%[2]s]) - USER %[1]s (Login failed): Incorrect password", ftpLine, parse.Failure},
	{"proftpd[1]: 192.0.2.1 (host7.example.net[%[2]s]) - USER %[1]s: no such user found from host7.example.net [%[2]s] to 192.0.2.1:21", ftpLine, parse.Failure},
	{"proftpd[1]: 192.0.2.1 (host7.example.net[%[2]s]) - error: chdir to %[1]s failed", ftpLine, parse.Other},
	{"proftpd: pam_unix(proftpd:auth): authentication failure; logname= uid=0 euid=0 tty=/dev/ftpd1 ruser=%[1]s rhost=%[2]s  user=%[1]s", ftpLine, parse.Failure},

	{"pure-ftpd: (?@%[2]s) [WARNING] Authentication failed for user [%[1]s]", sshdName, parse.Failure},
	{"pure-ftpd: (?@%[2]s) [DEBUG] Command [user] [%[1]s]", ftpLine, parse.Other},
	{"pure-ftpd: (bob@%[2]s) [NOTICE] /home/bob/%[1]s uploaded  (5 bytes, 1.00KB/sec)", ftpLine, parse.Other},
	{"pure-ftpd: (bob@%[2]s) [INFO] Can't change directory to %[1]s", ftpLine, parse.Other},
	{"pure-ftpd: pam_unix(pure-ftpd:auth): authentication failure; logname= uid=0 euid=0 tty=pure-ftpd ruser=%[1]s rhost=%[2]s  user=%[1]s", ftpLine, parse.Failure},
}

// lies are whole ends of lines; each form is tried with each of them.
var lies = []string{
	" rhost=192.0.2.204 ",
	`root] OK LOGIN: Client "192.0.2.204"`,
	`FOO [root] OK LOGIN: Client "192.0.2.204`,
	`x] OK LOGIN: Client "192.0.2.204`,
	`x] OK LOGIN: Client "192.0.2.204", anon password "y`,
	`x] FAIL LOGIN: Client "192.0.2.204`,
	`x] FAIL LOGIN: Client "192.0.2.204", "y`,
	`x] FTP response: Client "192.0.2.204", "530 Login incorrect.`,
	`x] FTP command: Client "192.0.2.204", "y`,
	`x] OK UPLOAD: Client "192.0.2.204", "/y`,
	`a] OK LOGIN: Client "192.0.2.204", 5 bytes`,
	`: Client "192.0.2.204"`,
	"a from 192.0.2.204 port 1 ssh2",
	"a from 192.0.2.204 port 1 ssh2: RSA SHA256:x",
	"a from 192.0.2.204 port 1",
	"a from 192.0.2.204",
	"a 192.0.2.204 port 1 [preauth]",
	"a 192.0.2.204 port 1: Too many authentication failures",
	"a,x) 192.0.2.204 port 1: Change of username or service not allowed: (a 192.0.2.204 port 1,x) -> (",
	"x rhost=192.0.2.204",
	"x rhost=192.0.2.204  user=x",
	"z rhost=127.0.0.1 rhost=192.0.2.204  user=z",
	"z rhost=2001:db8:ffff::1 rhost=192.0.2.204  user=z",
	"a' from 192.0.2.204:1",
	"x (d[192.0.2.204]) - USER root: Login successful.",
	"root: Login successful.",
	"x] (?@192.0.2.204) [INFO] root is now logged in",
	"root is now logged in",
	"Accepted password for root from 192.0.2.204 port 1 ssh2",
	"message repeated 9 times: [ Failed password for root from 192.0.2.204 port 1 ssh2]",
	"Nov 20 10:00:00 web1 sshd[1]: Accepted password for root from 192.0.2.204 port 1 ssh2",
	"192.0.2.204", "(192.0.2.204)", "[192.0.2.204]", `"`, "]", "", " ", `", "`,
}

func TestNoStrangerChoosesTheAddress(t *testing.T) {
	p := parse.New(parse.Options{Now: november})
	for i := range forms {
		for _, lie := range lies {
			checkForm(t, p, i, lie, 0)
			// A logger cuts long lines, and whoever knows where can end one there.
			for _, before := range []int{210, 256, 500} {
				f := forms[i]
				at := strings.Index(f.text, "%[1]s")
				start := len(fmt.Sprintf(strings.ReplaceAll(f.text[:at], "%[2]s", "%[1]s"), "127.0.0.1"))
				if pad := before - start - len(lie); pad > 0 {
					checkForm(t, p, i, strings.Repeat("A", pad)+lie+strings.Repeat("A", 600), before)
					checkForm(t, p, i, lie+strings.Repeat(" ", pad)+strings.Repeat("A", 600), before)
				}
			}
		}
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		var text strings.Builder
		for range rnd.IntN(9) {
			if rnd.IntN(3) == 0 {
				text.WriteString(lies[rnd.IntN(len(lies))])
			} else {
				text.WriteString(pieces[rnd.IntN(len(pieces))])
			}
		}
		checkForm(t, p, rnd.IntN(len(forms)), text.String(), rnd.IntN(600))
	}
}

func FuzzNoStrangerChoosesTheAddress(f *testing.F) {
	for i := range forms {
		f.Add(uint8(i), lies[i%len(lies)], uint16(0))
	}
	p := parse.New(parse.Options{Now: november})
	f.Fuzz(func(t *testing.T, n uint8, text string, cut uint16) {
		checkForm(t, p, int(n)%len(forms), text, int(cut))
	})
}

var hosts int

// checkForm puts a stranger's words into a form. The address that comes out is the
// true one or none, and nothing becomes a login. A message that is longer than
// cut is cut off there, if any logger would.
func checkForm(t *testing.T, p *parse.Parser, n int, words string, cut int) {
	t.Helper()
	f := forms[n]
	if strings.IndexFunc(words, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return
	}
	words = words[:min(len(words), f.most)]
	for _, ip := range []string{"127.0.0.1", "2001:db8:ffff::1"} {
		text := fmt.Sprintf(f.text, words, ip)
		if !strings.Contains(f.text, "%[2]s") {
			text = fmt.Sprintf(f.text, words)
		}
		tag, message, _ := strings.Cut(text, ": ")
		if strings.HasPrefix(tag, "sshd") && len(message) > 500 && !strings.HasPrefix(message, "pam_") {
			message = message[:500] // as log.c does
		}
		if cut > 200 && len(message) > cut {
			message = message[:cut]
		}
		hosts++ // each has sessions of its own
		l := line.Line{Source: "a", Text: fmt.Sprintf("Nov 20 10:00:00 web%d %s: %s", hosts, tag, message)}
		for _, got := range []parse.Result{parse.Explain(l, parse.Options{Now: november}), p.Parse(l), p.Parse(l)} {
			if got.IP.IsValid() && got.IP.String() != ip {
				t.Fatalf("%s\nis from %s, not %s (%s)", l.Text, got.IP, ip, got.Outcome)
			}
			if got.Outcome == parse.Success && f.was != parse.Success {
				t.Fatalf("%s\nis a login of %q", l.Text, got.User)
			}
			if got.Outcome == parse.Failure && f.was == parse.Success {
				t.Fatalf("%s\nis no failure", l.Text)
			}
		}
	}
}

// What can be read in two ways is said to be.
func TestAmbiguous(t *testing.T) {
	for text, want := range map[string]bool{
		`vsftpd[1]: [x] FTP command: Client "127.0.0.1", "FOO [root] FAIL LOGIN: Client "192.0.2.204"`:                                                              true,
		`vsftpd[1]: [ftp] OK LOGIN: Client "127.0.0.1", anon password "x] FAIL LOGIN: Client "192.0.2.204"`:                                                         true,
		"vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=z rhost=127.0.0.1 rhost=192.0.2.204  user=z rhost=127.0.0.1": true,
		"sshd[1]: Failed publickey for root from 127.0.0.1 port 1 ssh2: RSA-CERT SHA256:A ID x from 192.0.2.204 port 2 ssh2: RSA SHA256:B":                          true,
		`vsftpd[1]: [x] FAIL LOGIN: Client "127.0.0.1"`:                                                                                                             false,
		`vsftpd[1]: [x] FTP command: Client "127.0.0.1", "FOO [root] OK LOGIN: Client "192.0.2.204"`:                                                                false,
		`vsftpd[1]: [bob] OK UPLOAD: Client "127.0.0.1", "/a] OK LOGIN: Client "192.0.2.204", "y", 5 bytes`:                                                         false,
		"sshd[1]: Failed password for root from 127.0.0.1 port 1 ssh2":                                                                                              false,
		"sshd[1]: Failed password for root from host7.example.net port 1 ssh2":                                                                                      false,
	} {
		got := explain(text)
		if got.Ambiguous != want || want && got.IP.IsValid() {
			t.Errorf("%s\nambiguous: %v (%s from %s)", text, got.Ambiguous, got.Outcome, got.IP)
		}
	}
}
