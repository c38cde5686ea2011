package parse_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestResults(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	ip := netip.MustParseAddr("203.0.113.7")
	fail := func(parser string, change func(*parse.Result)) parse.Result {
		r := parse.Result{Parser: parser, Service: parser, Outcome: parse.Failure, Time: at, Host: "web1", PID: 812, IP: ip, User: "root", Count: 1}
		change(&r)
		return r
	}
	for _, tt := range []struct {
		name, text string
		want       parse.Result
	}{
		{"a wrong password", "sshd[812]: Failed password for root from 203.0.113.7 port 51234 ssh2", fail("sshd", func(r *parse.Result) { r.Port, r.Method = 51234, "password" })},
		{"an account that is not there", "sshd-session[812]: Failed password for invalid user admin from 203.0.113.7 port 51234 ssh2", fail("sshd", func(r *parse.Result) { r.Port, r.Method, r.User, r.Invalid = 51234, "password", "admin", true })},
		{"a line that stands for five", "sshd[812]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 51234 ssh2]", fail("sshd", func(r *parse.Result) { r.Port, r.Method, r.Count = 51234, "password", 5 })},
		{"PAM says how many more", "sshd[812]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root", fail("sshd", func(r *parse.Result) { r.Count = 2 })},
		{"a key", "sshd[812]: Failed publickey for root from 203.0.113.7 port 51234 ssh2: ED25519 SHA256:abc/+", fail("sshd", func(r *parse.Result) { r.Port, r.Method, r.Key = 51234, "publickey", "SHA256:abc/+" })},
		{"a login", "sshd[812]: Accepted publickey for root from 203.0.113.7 port 51234 ssh2: ED25519 SHA256:abc/+", fail("sshd", func(r *parse.Result) {
			r.Outcome, r.Certain, r.Port, r.Method, r.Key = parse.Success, true, 51234, "publickey", "SHA256:abc/+"
		})},
		{"an AllowUsers that leaves it out", "sshd[812]: User root from 203.0.113.7 not allowed because not listed in AllowUsers", fail("sshd", func(r *parse.Result) {})},
		{"one that is punished", "sshd[812]: drop connection #0 from [203.0.113.7]:48602 on [192.0.2.1]:22 penalty: failed authentication", fail("sshd", func(r *parse.Result) { r.User, r.Port = "", 48602 })},
		{"one too many", "sshd[812]: drop connection #10 from [203.0.113.7]:48602 on [192.0.2.1]:22 past MaxStartups", fail("sshd", func(r *parse.Result) { r.User, r.Port, r.Outcome, r.Count = "", 48602, parse.Other, 0 })},
		{"a name service's name", "sshd[812]: Failed password for root from host.example.com port 51234 ssh2", fail("sshd", func(r *parse.Result) { r.Port, r.Method, r.IP = 51234, "password", netip.Addr{} })},
		{"after the login", "sshd[812]: Disconnected from user root 203.0.113.7 port 51234", fail("sshd", func(r *parse.Result) { r.Outcome, r.User, r.Port, r.Count = parse.Other, "", 51234, 0 })},
		{"a second factor is still to come", "sshd[812]: Partial publickey for root from 203.0.113.7 port 51234 ssh2: RSA SHA256:a", fail("sshd", func(r *parse.Result) { r.Outcome, r.User, r.IP, r.Count = parse.Other, "", netip.Addr{}, 0 })},
		{"dropbear", "dropbear[812]: Bad password attempt for 'root' from ::ffff:203.0.113.7:55990", fail("dropbear", func(r *parse.Result) { r.Port, r.Method = 55990, "password" })},
		{"dropbear, a login", "dropbear[812]: Pubkey auth succeeded for 'root' with ssh-ed25519 key SHA256:abc from 203.0.113.7:55990", fail("dropbear", func(r *parse.Result) {
			r.Outcome, r.Port, r.Method, r.Key = parse.Success, 55990, "publickey", "SHA256:abc"
		})},
		{"vsftpd by syslog", `vsftpd[812]: [root] FAIL LOGIN: Client "203.0.113.7", "Permission denied"`, fail("vsftpd", func(r *parse.Result) { r.Method = "password" })},
		{"vsftpd refuses", `vsftpd[812]: [root] FTP response: Client "203.0.113.7", "530 Permission denied."`, fail("vsftpd", func(r *parse.Result) {})},
		{"vsftpd asks for a login", `vsftpd[812]: FTP response: Client "203.0.113.7", "530 Please login with USER and PASS."`, fail("vsftpd", func(r *parse.Result) { r.Outcome, r.User, r.Count = parse.Other, "", 0 })},
		{"vsftpd's PAM", "vsftpd[812]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=root rhost=203.0.113.7  user=root", fail("vsftpd", func(r *parse.Result) {})},
		{"proftpd", "proftpd[812]: 192.0.2.1 (c.example.com[203.0.113.7]) - USER root (Login failed): Incorrect password", fail("proftpd", func(r *parse.Result) { r.Method = "password" })},
		{"proftpd, a login", "proftpd[812]: 192.0.2.1 (c.example.com[203.0.113.7]) - USER root: Login successful.", fail("proftpd", func(r *parse.Result) { r.Outcome, r.Method = parse.Success, "password" })},
		{"pure-ftpd", "pure-ftpd[812]: (?@203.0.113.7) [WARNING] Authentication failed for user [root]", fail("pureftpd", func(r *parse.Result) { r.Method, r.Service = "password", "pure-ftpd" })},
		{"sudo", "sudo[812]:      bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls", fail("sudo", func(r *parse.Result) { r.IP, r.User, r.Count = netip.Addr{}, "bob", 3 })},
		{"sudo's PAM", "sudo[812]: pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob", fail("sudo", func(r *parse.Result) { r.IP, r.User = netip.Addr{}, "bob" })},
		{"not in sudoers", "sudo[812]:      bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls", fail("sudo", func(r *parse.Result) { r.IP, r.User = netip.Addr{}, "bob" })},
		{"su", "su[812]: FAILED SU (to root) bob on pts/1", fail("su", func(r *parse.Result) { r.IP, r.By = netip.Addr{}, "bob" })},
		{"su's PAM", "su[812]: pam_unix(su:auth): authentication failure; logname=bob uid=1000 euid=0 tty=pts/1 ruser=bob rhost=  user=root", fail("su", func(r *parse.Result) { r.IP, r.By = netip.Addr{}, "bob" })},
		{"su of BSD", "su[812]: BAD SU bob to root on /dev/pts/1", fail("su", func(r *parse.Result) { r.IP, r.By = netip.Addr{}, "bob" })},
		{"characters that turn the line around", "sshd[812]: Invalid user a\u202eb from 203.0.113.7 port 5", fail("sshd", func(r *parse.Result) { r.Port, r.User, r.Invalid = 5, `a\u202eb`, true })},
		{"a program that nobody knows", "nginx[812]: Failed password for root from 203.0.113.7 port 51234 ssh2", parse.Result{Outcome: parse.None, Time: at, Host: "web1", PID: 812}},
		{"an unknown line of sshd's", "sshd[812]: Something new of 203.0.113.7", parse.Result{Parser: "sshd", Service: "sshd", Outcome: parse.None, Time: at, Host: "web1", PID: 812, Unread: "Something new of 203.0.113.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, explain("Nov 20 10:00:00 web1 "+tt.text), sameAddr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplanation(t *testing.T) {
	for text, want := range map[string]string{
		"Failed password for root from 203.0.113.7 port 22 ssh2":      `{"parser":"sshd","outcome":"failure","ip":"203.0.113.7","user":"root","count":1}`,
		"Failed password for root from host.example.com port 22 ssh2": `{"parser":"sshd","outcome":"failure","user":"root","count":1}`,
		"Invalid user x from 2001:db8::1%eth0 port 22":                `{"parser":"sshd","outcome":"failure","ip":"2001:db8::1","user":"x","count":1}`,
		"what is this": `{"parser":"","outcome":"none","count":0}`,
		"Nov 20 10:00:00 h sshd[1]: Server listening on 0.0.0.0 port 22.":      `{"parser":"sshd","outcome":"other","count":0}`,
		"sshd[1]: Accepted password for a from ::ffff:203.0.113.7 port 1 ssh2": `{"parser":"sshd","outcome":"success","ip":"203.0.113.7","user":"a","count":1}`,
	} {
		got, err := json.Marshal(explain(text).Explanation())
		if err != nil || string(got) != want {
			t.Errorf("%s\n%s\n%s %v", text, got, want, err)
		}
	}
}

func TestTheJournalKnowsBetter(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 5000, time.UTC)
	got := parse.Explain(line.Line{Text: "Failed password for root from 203.0.113.7 port 22 ssh2", Time: at, Host: "db1", Program: "sshd-session", PID: 7}, parse.Options{Now: november})
	if !got.Time.Equal(at) || got.Host != "db1" || got.PID != 7 || got.Outcome != parse.Failure {
		t.Errorf("%+v", got)
	}
	// What looks like a header is part of the message.
	got = parse.Explain(line.Line{Text: "Nov 20 10:00:00 h sshd[1]: Accepted password for root from 203.0.113.7 port 22 ssh2", Time: at, Program: "sshd"}, parse.Options{Now: november})
	if got.Outcome != parse.None {
		t.Errorf("%+v", got)
	}
}

func TestALineThatIsCutIsNotGuessedAt(t *testing.T) {
	got := parse.Explain(line.Line{Text: "Failed password for invalid user x from 203.0.113.7 port 22 ssh2", Cut: true}, parse.Options{Now: november})
	if got.Outcome != parse.None {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"Nov 20 10:00:00 web1 sshd[812]: Failed password for root from 203.0.113.7 port 51234 ssh2",
		"<35>1 2020-01-03T11:57:14.257387-05:00 1.2.3.4 sshd 86784 - [a b=\"c\\\"]\"] error: PAM: Authentication error for root from 1.2.3.4",
		`Mon Jun 8 12:08:53 2020 [pid 27244] [user] FAIL LOGIN: Client "::ffff:93.24.101.89"`,
		"2021-05-28 18:08:34,399 mantis proftpd[498819] mantis (192.168.1.142[192.168.1.142]): USER seb (Login failed): Incorrect password",
		"Jan  7 14:19:31 ftpcdr pure-ftpd: (?@172.21.10.2) [WARNING] Authentication failed for user [root]",
		"1700000000.5 h dropbear[1]: Bad password attempt for 'root' from ::ffff:1.2.3.4:55990",
		"Nov 20 10:00:00 h sudo: bob : 3 incorrect password attempts ; TTY=pts/0",
		"Nov 20 10:00:00 h su: FAILED SU (to root) bob on pts/1",
		"Nov 20 10:00:00 h last message repeated 3 times",
		"sshd[1]: message repeated 2 times: [ Invalid user x from 1.2.3.4]",
		"sshd[1]: Disconnecting invalid user a 127.0.0.1 port 2: Change of username or service not allowed: (a,b) -> (c,d)",
		"vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=a rhost=1.2.3.4  user=a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := parse.New(parse.Options{Now: november})
		for range 2 {
			checkResult(t, text, p.Parse(line.Line{Text: text}))
		}
		checkResult(t, text, explain(text))
		checkResult(t, text, parse.Explain(line.Line{Text: text, Program: "sshd"}, parse.Options{Now: november}))
	})
}

func checkResult(t *testing.T, text string, r parse.Result) {
	t.Helper()
	switch r.Outcome {
	case parse.Failure, parse.Success:
		if r.Count < 1 || r.Parser == "" {
			t.Fatalf("%q: %+v", text, r)
		}
	case parse.Other, parse.None:
		if r.Count != 0 {
			t.Fatalf("%q: %+v", text, r)
		}
	default:
		t.Fatalf("%q: outcome %q", text, r.Outcome)
	}
	if !r.IP.IsValid() {
		return
	}
	if r.IP.Is4In6() || r.IP.Zone() != "" {
		t.Fatalf("%q: %s", text, r.IP)
	}
	words := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" []()\"<>',;=@\r", c) })
	for _, w := range words {
		for w != "" {
			if a, err := netip.ParseAddr(w); err == nil && a.Unmap().WithZone("") == r.IP {
				return
			}
			i := strings.LastIndexByte(w, ':') // a port, or punctuation
			if i < 0 {
				break
			}
			w = w[:i]
		}
	}
	t.Fatalf("%q has no %s", text, r.IP)
}
