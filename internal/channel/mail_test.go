package channel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// authority is a certificate authority of one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // in PEM form
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	der, key := sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	writeFile(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func sign(t *testing.T, template *x509.Certificate, by *authority) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer); err != nil {
		t.Fatal(err)
	}
	return der, key
}

// certificate returns one for names and addresses.
func (a *authority) certificate(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, key := sign(t, template, a)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func startSMTP(t *testing.T, o standin.SMTPOptions) *standin.SMTP {
	t.Helper()
	s, err := standin.StartSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		for _, f := range s.Faults() {
			t.Errorf("the server was given what it need not take: %s", f)
		}
	})
	return s
}

// mailSettings reads settings as they stand in a file; $SERVER is replaced.
func mailSettings(t *testing.T, server string, lines ...string) *Mail {
	t.Helper()
	text := strings.ReplaceAll(strings.Join(append([]string{
		`server = "$SERVER"`, `from = "sshnotify <sshnotify@example.com>"`,
	}, lines...), "\n"), "$SERVER", server)
	if !strings.Contains(text, "\nto =") {
		text += "\nto = \"admin@example.com\""
	}
	m := new(Mail)
	if err := strictoml.Unmarshal("config.toml", []byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func openMail(t *testing.T, server string, lines ...string) Channel {
	t.Helper()
	c, err := mailSettings(t, server, lines...).Open("mail", Env{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tell sends an alert, and returns what became of it.
func tell(t *testing.T, c Channel, a event.Alert) *Error {
	t.Helper()
	_, err := c.Send(t.Context(), a)
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is not an *Error: %v", err, err)
	}
	for _, secret := range []string{"swordfish", "c3dvcmRmaXNo"} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v %s", e, e, e, e.Hint), secret) {
			t.Errorf("the error shows the password: %v", e)
		}
	}
	if strings.ContainsAny(e.Error(), "\r\n\x1b\u202e") {
		t.Errorf("the error is not one plain line: %q", e.Error())
	}
	return e
}

const plainServer = `tls = "none"`

// A server may refuse at each step, in every way that was seen.
func TestWhatMailServersAnswer(t *testing.T) {
	at := func(verb, answer string) func(string, string) string {
		return func(v, _ string) string {
			if v == verb {
				return answer
			}
			return ""
		}
	}
	for _, tc := range []struct {
		name   string
		behave func(verb, arg string) string
		want   *Error
		text   string
		hint   string
	}{
		{"taken", nil, nil, "", ""},
		{"too busy to greet", at("", "421 4.3.2 too many connections"), &Error{Class: Again}, "takes no connection: 421", ""},
		{"blocked at the door", at("", "554 5.7.1 blocked"), &Error{Class: Broken}, "takes no connection: 554", ""},
		{"no greeting", at("", HangUpNow), &Error{Class: Again}, "closed", ""},
		{"the sender is refused", at("MAIL", "553 5.7.1 not yours"), &Error{Class: Broken}, "refuses the sender: 553", "set from"},
		{"a log-in is wanted", at("MAIL", "530 5.7.0 Authentication required"), &Error{Class: Broken}, "refuses the sender: 530", "password_file"},
		{"the disk is full", at("MAIL", "452 4.3.1 insufficient storage"), &Error{Class: Again}, "452", ""},
		{"nobody of that name", at("RCPT", "550 5.1.1 no such user"), &Error{Class: Broken}, `admin@example.com: `, "address in to"},
		{"a domain without mail", at("RCPT", "556 5.1.10 null MX"), &Error{Class: Broken}, "refuses the recipient: 556", "address in to"},
		{"no relaying", at("RCPT", "554 5.7.1 Relay access denied"), &Error{Class: Broken}, "refuses the recipient: 554", "log-in"},
		{"no relaying, as Postfix has it", at("RCPT", "454 4.7.1 <a@example.net>: Relay access denied"), &Error{Class: Broken}, "refuses the recipient: 454", "log-in"},
		{"the sender is refused once the recipient is known", at("RCPT", "553 5.7.1 <sshnotify@example.com>: Sender address rejected: not owned by user ops"), &Error{Class: Broken}, "refuses the sender: 553", "set from"},
		{"the sender's domain is not known", at("RCPT", "450 4.1.8 <sshnotify@example.com>: Sender address rejected: Domain not found"), &Error{Class: Again}, "refuses the sender: 450", "set from"},
		{"the host's name is not known", at("RCPT", "450 4.7.1 <db1.internal>: Helo command rejected: Host not found"), &Error{Class: Again}, "refuses this host's name: 450", "hostnamectl"},
		{"the host's address has no name", at("RCPT", "550 5.7.25 Client host rejected: cannot find your hostname, [203.0.113.7]"), &Error{Class: Broken}, "refuses this host's name: 550", "hostnamectl"},
		{"greylisting by the code", at("RCPT", "450 4.7.1 come again"), &Error{Class: Again, RetryAfter: 5 * time.Minute}, "greylisting", ""},
		{"greylisting in words", at("RCPT", "451 Greylisted, see http://postgrey.example"), &Error{Class: Again, RetryAfter: 5 * time.Minute}, "greylisting", ""},
		{"a full mailbox", at("RCPT", "552 5.2.2 over quota"), &Error{Class: Quota, RetryAfter: time.Hour}, "the mailbox is full: 552", "make room"},
		{"a full mailbox, for now", at("RCPT", "452 4.2.2 over quota"), &Error{Class: Quota, RetryAfter: time.Hour}, "the mailbox is full: 452", ""},
		{"a full mailbox, at the end", at(".", "552 mailbox full"), &Error{Class: Quota, RetryAfter: time.Hour}, "the mailbox is full", "make room"},
		{"too big", at(".", "552 5.3.4 too big"), &Error{Class: Bug}, "refuses the mail: 552", ""},
		{"taken for spam", at(".", "554 5.7.1 spam"), &Error{Class: Bug}, "refuses the mail: 554", ""},
		{"the domain does not allow it", at(".", "550 5.7.26 unauthenticated"), &Error{Class: Broken}, "550", "SPF"},
		{"not now, at the end", at(".", "451 4.3.0 try later"), &Error{Class: Again}, "451", ""},
		{"DATA is refused", at("DATA", "451 4.3.5 broken here"), &Error{Class: Again}, "451", ""},
		{"the answer to a mail never comes", at(".", HangUpNow), &Error{Class: Again, Sent: true}, "closed", ""},
		{"the answer to QUIT never comes", at("QUIT", HangUpNow), nil, "", ""},
		{"a strange answer to QUIT", at("QUIT", "500 what"), nil, "", ""},
		{"a server that is no mail server", at("", "HTTP/1.1 400 Bad Request"), &Error{Class: Again}, "", ""},
		{"a line without an end", at("", "220 "+strings.Repeat("x", 2<<20)), &Error{Class: Again}, "more than a mail server has to say", ""},
		{"an answer without an end", at("RCPT", strings.Repeat("550-x\n", 1<<18)+"550 x"), &Error{Class: Again}, "more than a mail server has to say", ""},
		{"words with escape sequences", at("RCPT", "550 5.1.1 \x1b[31m\u202eno"), &Error{Class: Broken}, `\\u001b[31m`, "address in to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, standin.SMTPOptions{Behave: tc.behave})
			e := tell(t, openMail(t, s.Addr(), plainServer), login())
			sameError(t, e, tc.want, tc.text)
			if e != nil && (tc.hint == "") != (e.Hint == "") || e != nil && !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("hint %q, want %q", e.Hint, tc.hint)
			}
			if tc.want == nil && len(s.Mails()) != 1 {
				t.Errorf("%d mails", len(s.Mails()))
			}
		})
	}
}

const HangUpNow = standin.HangUp

func TestMailTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	right := &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "127.0.0.1")}}
	wrongName := &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "mail.example.com")}}
	trust := func(a *authority) string { return fmt.Sprintf("ca_file = %q", a.file) }
	implicit := `tls = "tls"`
	for _, tc := range []struct {
		name string
		o    standin.SMTPOptions
		set  []string
		want *Error
		text string
		hint string
	}{
		{"STARTTLS", standin.SMTPOptions{TLS: right}, []string{trust(ca)}, nil, "", ""},
		{"TLS from the start", standin.SMTPOptions{TLS: right, Implicit: true}, []string{trust(ca), implicit}, nil, "", ""},
		{"no STARTTLS", standin.SMTPOptions{}, nil, &Error{Class: Broken}, "offers no STARTTLS", `tls = "tls"`},
		{"an authority that nobody knows", standin.SMTPOptions{TLS: right}, nil, &Error{Class: Again}, "unknown authority", "ca_file"},
		{"another authority", standin.SMTPOptions{TLS: right}, []string{trust(other)}, &Error{Class: Again}, "unknown authority", "ca_file"},
		{"another authority, from the start", standin.SMTPOptions{TLS: right, Implicit: true}, []string{trust(other), implicit}, &Error{Class: Again}, "unknown authority", "ca_file"},
		{"a certificate of another name", standin.SMTPOptions{TLS: wrongName}, []string{trust(ca)}, &Error{Class: Again}, "certificate", "as the certificate names it"},
		{"TLS where STARTTLS is due", standin.SMTPOptions{TLS: right}, []string{trust(ca), implicit}, &Error{Class: Again}, "TLS handshake", `tls = "starttls"`},
		{"STARTTLS is refused", standin.SMTPOptions{TLS: right, Behave: func(v, _ string) string {
			if v == "STARTTLS" {
				return "454 4.7.0 not now"
			}
			return ""
		}}, []string{trust(ca)}, &Error{Class: Again}, "refuses TLS: 454", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, tc.o)
			e := tell(t, openMail(t, s.Addr(), tc.set...), login())
			sameError(t, e, tc.want, tc.text)
			if e != nil && !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("hint %q, want %q", e.Hint, tc.hint)
			}
			if want := 1; tc.want == nil && len(s.Mails()) != want || tc.want != nil && len(s.Mails()) != 0 {
				t.Errorf("%d mails", len(s.Mails()))
			}
		})
	}
}

func TestMailLogIn(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "127.0.0.1")}}
	const user = "username = \"ops\"\n"
	for _, tc := range []struct {
		name    string
		offered string
		set     string
		want    *Error
		text    string
	}{
		{"plain", "PLAIN", user + `password = "swordfish"`, nil, ""},
		{"login", "LOGIN", user + `password = "swordfish"`, nil, ""},
		{"CRAM-MD5", "CRAM-MD5", user + `password = "swordfish"`, nil, ""},
		{"SCRAM-SHA-1", "SCRAM-SHA-1", user + `password = "swordfish"`, nil, ""},
		{"SCRAM-SHA-256", "SCRAM-SHA-256", user + `password = "swordfish"`, nil, ""},
		{"the best of several", "LOGIN PLAIN XOAUTH2 SCRAM-SHA-256", user + `password = "swordfish"`, nil, ""},
		{"the one that is named", "SCRAM-SHA-256 PLAIN", user + "auth = \"plain\"\n" + `password = "swordfish"`, nil, ""},
		{"a wrong password, plain", "PLAIN", user + `password = "swordfish!"`, &Error{Class: Broken}, "refuses the log-in: 535"},
		{"a wrong password, login", "LOGIN", user + `password = "swordfish!"`, &Error{Class: Broken}, "refuses the log-in: 535"},
		{"a wrong password, CRAM-MD5", "CRAM-MD5", user + `password = "swordfish!"`, &Error{Class: Broken}, "refuses the log-in: 535"},
		{"a wrong password, SCRAM", "SCRAM-SHA-256", user + `password = "swordfish!"`, &Error{Class: Broken}, "refuses the log-in: 535"},
		{"none that is known", "GSSAPI", user + `password = "swordfish"`, &Error{Class: Broken}, "no way to log in that is known"},
		{"not the one that is named", "PLAIN", user + "auth = \"cram-md5\"\n" + `password = "swordfish"`, &Error{Class: Broken}, `does not offer auth = "cram-md5"`},
		{"no log-in where one is wanted", "PLAIN", "", &Error{Class: Broken}, "530"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, standin.SMTPOptions{TLS: config, User: "ops", Password: "swordfish", Auth: tc.offered})
			c := openMail(t, s.Addr(), fmt.Sprintf("ca_file = %q", ca.file), tc.set)
			e := tell(t, c, login())
			sameError(t, e, tc.want, tc.text)
			if e != nil && e.Hint == "" {
				t.Error("no hint")
			}
		})
	}
	t.Run("a server that offers more than it can do", func(t *testing.T) {
		s := startSMTP(t, standin.SMTPOptions{TLS: config, User: "ops", Password: "swordfish", Auth: "CRAM-MD5 PLAIN", Behave: func(v, arg string) string {
			if v == "AUTH" && arg == "CRAM-MD5" {
				return "535 5.7.8 authentication failed: no secret in database"
			}
			return ""
		}})
		trust := fmt.Sprintf("ca_file = %q", ca.file)
		e := tell(t, openMail(t, s.Addr(), trust, user, `password = "swordfish"`), login())
		sameError(t, e, &Error{Class: Broken}, "refuses the log-in: 535")
		if !strings.Contains(e.Hint, `set auth = "plain"`) {
			t.Errorf("hint %q", e.Hint)
		}
		sameError(t, tell(t, openMail(t, s.Addr(), trust, user, `auth = "plain"`, `password = "swordfish"`), login()), nil, "")
	})
	t.Run("a server without log-ins", func(t *testing.T) {
		s := startSMTP(t, standin.SMTPOptions{TLS: config})
		e := tell(t, openMail(t, s.Addr(), fmt.Sprintf("ca_file = %q", ca.file), user, `password = "swordfish"`), login())
		sameError(t, e, &Error{Class: Broken}, "offers no log-in")
	})
	t.Run("a server that repeats the password", func(t *testing.T) {
		s := startSMTP(t, standin.SMTPOptions{TLS: config, User: "ops", Password: "swordfish", Auth: "PLAIN", Behave: func(v, _ string) string {
			if v == "AUTH" {
				return "535 5.7.8 AG9wcwBzd29yZGZpc2g= is swordfish"
			}
			return ""
		}})
		e := tell(t, openMail(t, s.Addr(), fmt.Sprintf("ca_file = %q", ca.file), user, `password = "swordfish"`), login())
		sameError(t, e, &Error{Class: Broken}, "refuses the log-in: 535")
	})
}

func TestMailOfSeveral(t *testing.T) {
	refuse := func(answers map[string]string) func(string, string) string {
		return func(verb, arg string) string {
			if verb != "RCPT" {
				return ""
			}
			for who, answer := range answers {
				if strings.Contains(arg, who) {
					return answer
				}
			}
			return ""
		}
	}
	const to = `to = ["a@example.com", "b@example.com", "c@example.com"]`
	for _, tc := range []struct {
		name    string
		refused map[string]string
		before  []string // who has it already
		want    *Error
		told    []string
		got     []string
	}{
		{"all get it", nil, nil, nil, nil, []string{"a@example.com", "b@example.com", "c@example.com"}},
		{"one is greylisted", map[string]string{"b@": "450 4.7.1 later"}, nil, &Error{Class: Again, RetryAfter: 5 * time.Minute}, []string{"a@example.com", "c@example.com"}, []string{"a@example.com", "c@example.com"}},
		{"those who have it don't get it again", nil, []string{"a@example.com", "c@example.com"}, nil, nil, []string{"b@example.com"}},
		{"one does not exist: the others' mails go on", map[string]string{"b@": "550 5.1.1 no"}, nil, &Error{Class: Bug}, []string{"a@example.com", "c@example.com"}, []string{"a@example.com", "c@example.com"}},
		{"one's mailbox is full", map[string]string{"b@": "452 4.2.2 over quota"}, nil, &Error{Class: Again, RetryAfter: time.Hour}, []string{"a@example.com", "c@example.com"}, []string{"a@example.com", "c@example.com"}},
		{"one's mailbox is full for good", map[string]string{"b@": "552 5.2.2 over quota"}, nil, &Error{Class: Bug, RetryAfter: time.Hour}, []string{"a@example.com", "c@example.com"}, []string{"a@example.com", "c@example.com"}},
		{"one's is full for good, another's for now", map[string]string{"a@": "552 5.2.2 over quota", "b@": "452 4.2.2 over quota"}, nil, &Error{Class: Again, RetryAfter: time.Hour}, []string{"c@example.com"}, []string{"c@example.com"}},
		{"all are full for good", map[string]string{"@": "552 5.2.2 over quota"}, nil, &Error{Class: Quota, RetryAfter: time.Hour}, nil, nil},
		{"none exists", map[string]string{"@": "550 5.1.1 no"}, nil, &Error{Class: Broken}, nil, nil},
		{"the server goes in between", map[string]string{"b@": "421 4.3.2 going"}, nil, &Error{Class: Again}, []string{"a@example.com"}, []string{"a@example.com"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, standin.SMTPOptions{Behave: refuse(tc.refused)})
			a := login()
			a.Reached = tc.before
			e := tell(t, openMail(t, s.Addr(), plainServer, to), a)
			sameError(t, e, tc.want, "")
			if e != nil && !slices.Equal(e.Reached, tc.told) {
				t.Errorf("told %q, want %q", e.Reached, tc.told)
			}
			var got []string
			for _, m := range s.Mails() {
				got = append(got, m.To)
				if !strings.Contains(m.Data, "To: <"+m.To+">\r\n") {
					t.Errorf("the mail to %s is addressed to another", m.To)
				}
			}
			if !slices.Equal(got, tc.got) {
				t.Errorf("got %q, want %q", got, tc.got)
			}
		})
	}
}

func TestGreylistingLastsLonger(t *testing.T) {
	answer := "450 4.7.1 greylisted"
	s := startSMTP(t, standin.SMTPOptions{Behave: func(verb, _ string) string {
		if verb == "RCPT" {
			return answer
		}
		return ""
	}})
	c := openMail(t, s.Addr(), plainServer)
	for i, want := range []time.Duration{5 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		if e := tell(t, c, login()); e == nil || e.RetryAfter != want {
			t.Errorf("try %d: %v, want a wait of %v", i+1, e, want)
		}
	}
	answer = ""
	sameError(t, tell(t, c, login()), nil, "")
	answer = "450 4.7.1 greylisted"
	if e := tell(t, c, login()); e == nil || e.RetryAfter != 5*time.Minute {
		t.Errorf("anew: %v", e)
	}
}

func TestMailServerOutOfReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	e := tell(t, openMail(t, l.Addr().String()), login())
	sameError(t, e, &Error{Class: Again}, "connection refused")
	if !strings.Contains(e.Hint, "host and port") {
		t.Errorf("hint %q", e.Hint)
	}
	t.Run("no answer in time", func(t *testing.T) {
		s := startSMTP(t, standin.SMTPOptions{Behave: func(string, string) string { return standin.Hang }})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var e *Error
		if _, err := openMail(t, s.Addr(), plainServer).Send(ctx, login()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		sameError(t, e, &Error{Class: Again}, "timed out")
	})
	t.Run("no answer to the mail in time", func(t *testing.T) {
		s := startSMTP(t, standin.SMTPOptions{Behave: func(verb, _ string) string {
			if verb == "." {
				return standin.Hang
			}
			return ""
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var e *Error
		if _, err := openMail(t, s.Addr(), plainServer).Send(ctx, login()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		sameError(t, e, &Error{Class: Again, Sent: true}, "timed out")
	})
}

func TestSendmail(t *testing.T) {
	dir := t.TempDir()
	program := func(name, script string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name, script string
		want         *Error
		text         string
	}{
		{"takes it", `cat >"$0.mail"; printf '%s\n' "$@" >"$0.args"`, nil, ""},
		{"takes it and talks", `cat >/dev/null; echo "warning: all is well" >&2`, nil, ""},
		{"takes it unread", `exit 0`, nil, ""},
		{"later", `cat >/dev/null; exit 75`, &Error{Class: Again}, "exit status 75"},
		{"no user", `cat >/dev/null; echo "unknown user" >&2; exit 67`, &Error{Class: Broken}, `"unknown user"`},
		{"usage", `cat >/dev/null; exit 64`, &Error{Class: Bug}, "exit status 64"},
		{"set up wrong", `cat >/dev/null; exit 78`, &Error{Class: Broken}, "exit status 78"},
		{"killed", `kill -9 $$`, &Error{Class: Again}, "killed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := program(strings.ReplaceAll(tc.name, " ", "-"), tc.script)
			sameError(t, tell(t, openMail(t, path), login()), tc.want, tc.text)
		})
	}
	t.Run("what it is given", func(t *testing.T) {
		path := program("given", `cat >"$0.mail"; printf '%s\n' "$@" >"$0.args"; env >"$0.env"`)
		sameError(t, tell(t, openMail(t, path, `to = "-oQ@example.com"`), login()), nil, "")
		args, _ := os.ReadFile(path + ".args")
		if string(args) != "-oi\n-f\nsshnotify@example.com\n--\n-oQ@example.com\n" {
			t.Errorf("arguments %q", args)
		}
		mail, _ := os.ReadFile(path + ".mail")
		if strings.Contains(string(mail), "\r") || !strings.Contains(string(mail), "To: <-oQ@example.com>\n") {
			t.Errorf("mail %q", mail)
		}
		if env, _ := os.ReadFile(path + ".env"); strings.Contains(string(env), "GO") {
			t.Errorf("environment %q", env)
		}
	})
	t.Run("is not there", func(t *testing.T) {
		e := tell(t, openMail(t, filepath.Join(dir, "none")), login())
		sameError(t, e, &Error{Class: Broken}, "there is no ")
		if !strings.Contains(e.Hint, "apt install") {
			t.Errorf("hint %q", e.Hint)
		}
	})
	t.Run("takes too long", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var e *Error
		if _, err := openMail(t, program("slow", "exec sleep 60")).Send(ctx, login()); !errors.As(err, &e) {
			t.Fatal(err)
		}
		sameError(t, e, &Error{Class: Again, Sent: true}, "longer than it may")
	})
}

func TestMailSettings(t *testing.T) {
	const rest = "from = \"a@example.com\"\nto = \"b@example.com\"\n"
	for _, tc := range []struct{ name, text, want string }{
		{"a host", `server = "smtp.example.com"` + "\n" + rest, ""},
		{"a host and a port", `server = "smtp.example.com:587"` + "\n" + rest, ""},
		{"an address of IPv6", `server = "[2001:db8::1]:25"` + "\n" + rest, ""},
		{"a program", `server = "/usr/sbin/sendmail"` + "\n" + rest, ""},
		{"nothing", ``, "server is missing"},
		{"a URL", `server = "smtp://example.com"` + "\n" + rest, "must be a host, host:port"},
		{"a port that is none", `server = "example.com:smtp"` + "\n" + rest, "must be a host, host:port"},
		{"no TLS to another machine", "server = \"smtp.example.com\"\ntls = \"none\"\n" + rest, "this machine only"},
		{"no TLS to this machine", "server = \"localhost\"\ntls = \"none\"\n" + rest, ""},
		{"no TLS at all", "server = \"localhost\"\ntls = \"off\"\n" + rest, "starttls"},
		{"a sender with a line break", "server = \"localhost\"\nfrom = \"a@example.com\\r\\nBcc: c@example.com\"\nto = \"b@example.com\"", "must be a mail address"},
		{"a sender without a domain", "server = \"localhost\"\nfrom = \"root\"\nto = \"b@example.com\"", "must be a mail address"},
		{"two recipients in one", "server = \"localhost\"\nfrom = \"a@example.com\"\nto = \"b@example.com, c@example.com\"", "several stand in a list"},
		{"a quoted name", "server = \"localhost\"\nfrom = \"a@example.com\"\nto = '\"b c\"@example.com'", "must be a mail address"},
		{"letters that not every server takes", "server = \"localhost\"\nfrom = \"a@example.com\"\nto = \"ü@example.com\"", "must be a mail address"},
		{"a user without a password", "server = \"localhost\"\nusername = \"a\"\n" + rest, "needs a password"},
		{"a password without a user", "server = \"localhost\"\npassword = \"a\"\n" + rest, "needs a username"},
		{"a way to log in without a user", "server = \"localhost\"\nauth = \"plain\"\n" + rest, "needs a username and a password"},
		{"a program and a user", "server = \"sendmail\"\nusername = \"a\"\npassword = \"x\"\n" + rest, "has settings of its own"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := strictoml.Unmarshal("config.toml", []byte(tc.text), new(Mail))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestMailDoctor(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "127.0.0.1")}}
	trust := fmt.Sprintf("ca_file = %q\nusername = \"ops\"\n", ca.file)
	o := standin.SMTPOptions{TLS: config, User: "ops", Password: "swordfish", Auth: "PLAIN"}
	refusing := o
	refusing.Behave = func(verb, arg string) string {
		if verb == "RCPT" && strings.Contains(arg, "b@") {
			return "550 5.1.1 no such user"
		}
		return ""
	}
	stranger := o
	stranger.Behave = func(verb, _ string) string {
		if verb == "MAIL" {
			return "553 5.7.1 not your address"
		}
		return ""
	}
	for _, tc := range []struct {
		name  string
		o     standin.SMTPOptions
		set   string
		state doctor.State
		text  string
		hint  string
	}{
		{"all is well", o, trust + `password = "swordfish"`, doctor.OK, "over TLS as ops takes mail for admin@example.com", ""},
		{"an unknown certificate", o, "username = \"ops\"\npassword = \"swordfish\"", doctor.Fail, "unknown authority", "ca_file"},
		{"a wrong password", o, trust + `password = "x"`, doctor.Fail, "refuses the log-in: 535", "username and password"},
		{"a port that begins without TLS", o, trust + "password = \"swordfish\"\ntls = \"tls\"", doctor.Fail, "TLS handshake", "tls = \"starttls\""},
		{"a sender who is not theirs", stranger, trust + `password = "swordfish"`, doctor.Fail, "refuses the sender: 553", "set from"},
		{"no log-in", o, fmt.Sprintf("ca_file = %q", ca.file), doctor.Fail, "530", "set username and password_file"},
		{"a wrong recipient", refusing, trust + "password = \"swordfish\"\nto = [\"a@example.com\", \"b@example.com\"]", doctor.Fail, "b@example.com: ", "address in to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startSMTP(t, tc.o)
			c := openMail(t, s.Addr(), strings.Split(tc.set, "\n")...)
			r := doctor.Run(t.Context(), doctor.Target{Online: true}, c.(Checker).Checks())
			if len(r.Results) != 1 || r.Results[0].State != tc.state || !strings.Contains(r.Results[0].Message, tc.text) || !strings.Contains(r.Results[0].Hint, tc.hint) {
				t.Errorf("got %+v, want %s with %q and the hint %q", r.Results, tc.state, tc.text, tc.hint)
			}
			if n := len(s.Mails()); n != 0 {
				t.Errorf("%d mails", n)
			}
		})
	}
	t.Run("a port that begins with TLS", func(t *testing.T) {
		early := o
		early.Implicit = true
		s := startSMTP(t, early)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // both wait for the other
		defer cancel()
		r := doctor.Run(ctx, doctor.Target{Online: true}, openMail(t, s.Addr()).(Checker).Checks())
		if len(r.Results) != 1 || r.Results[0].State != doctor.Fail || !strings.Contains(r.Results[0].Hint, `tls = "tls"`) {
			t.Errorf("got %+v", r.Results)
		}
	})
	t.Run("no program", func(t *testing.T) {
		c := openMail(t, "/nonexistent/sendmail")
		r := doctor.Run(t.Context(), doctor.Target{}, c.(Checker).Checks())
		if len(r.Results) != 1 || r.Results[0].State != doctor.Fail {
			t.Errorf("got %+v", r.Results)
		}
	})
}
