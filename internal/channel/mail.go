package channel

import (
	"cmp"
	"context"
	"errors"
	"net"
	netmail "net/mail"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// MailType is the channel's name in the settings.
const MailType = "mail"

// mailPace is the least time between two mails. No standard has one; providers
// count by the hour and by the day.
const mailPace = time.Second

// mailTimeout bounds all of an alert's mails. Servers that make strangers wait
// for the greeting do so for some six seconds.
const mailTimeout = 20 * time.Second

// Mail are the settings of mail to some people.
type Mail struct {
	MailServer
	To []Address `toml:"to,required,one" doc:"one recipient or several; each gets a mail of their own"`
}

// MailServer says who takes mail, and for whom: a server by SMTP (RFC 5321), or the
// host's own sendmail.
type MailServer struct {
	Server   string          `toml:"server,required" doc:"a host, or host:port (by default 587; 465 with tls = \"tls\", 25 with \"none\"); \"sendmail\" or the path of a program hands mail to this host's own mail system"`
	TLS      string          `toml:"tls" check:"oneof=starttls tls none" doc:"\"starttls\" (default), \"tls\" for a port that begins with it (465), or \"none\", to this machine only"`
	CAFile   string          `toml:"ca_file" check:"file" doc:"certificates that are trusted for this server, besides those of [outbound] and of the machine"`
	From     Address         `toml:"from,required" doc:"the sender: \"name@example.com\", or with a name in front"`
	Username string          `toml:"username" check:"line=254" doc:"for a server that wants a log-in"`
	Password outbound.Secret `toml:"password,secret" doc:"for username; many providers want one that is made for programs (app password)"`
	Auth     string          `toml:"auth" check:"oneof=auto plain login cram-md5 scram-sha-1 scram-sha-256" doc:"\"auto\" (default) takes the best that the server offers; or plain, login, cram-md5, scram-sha-1, scram-sha-256"`

	ca []byte // CAFile's
}

// How TLS is spoken with a server.
const (
	mailSTARTTLS = "starttls" // a port that begins without (RFC 3207); never goes on without
	mailTLS      = "tls"      // a port that begins with it (RFC 8314)
	mailNoTLS    = "none"     // on this machine only
)

// mailPort returns where a server takes mail to pass on (RFC 6409, RFC 8314), or
// for itself.
func mailPort(tls string) int {
	switch tls {
	case mailTLS:
		return 465
	case mailNoTLS:
		return 25
	}
	return 587
}

// Address is one mail address, with a name in front or without: ASCII alone,
// which every server takes.
type Address struct{ netmail.Address }

// maxAddress is the longest address that fits an SMTP command (RFC 5321,
// 4.5.3.1.3, less the angle brackets).
const maxAddress = 254

// UnmarshalText reads an address.
func (a *Address) UnmarshalText(text []byte) error {
	read, err := netmail.ParseAddress(string(text))
	strange := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>()[]",;:\`, r) }
	if err != nil || len(read.Address) > maxAddress || strings.ContainsFunc(read.Address, strange) || !strictoml.IsLine(string(text), 2*maxAddress) {
		if _, err := netmail.ParseAddressList(string(text)); err == nil && strings.Contains(string(text), ",") {
			return errors.New(`must be one mail address; several stand in a list: ["a@example.com", "b@example.com"]`)
		}
		return errors.New("must be a mail address: name@example.com, or Name <name@example.com>")
	}
	a.Address = *read
	return nil
}

// Validate looks at what only makes sense together.
func (m *MailServer) Validate(at strictoml.At) {
	if m.Server == "" || !at.OK() {
		return // said already
	}
	_, bySendmail := m.sendmail()
	if bySendmail {
		for _, key := range []string{"tls", "ca_file", "username", "password", "auth"} {
			if at.Has(key) {
				at.Fail(key, "has no meaning where server is a program: it has settings of its own")
			}
		}
		return
	}
	host, _, err := m.address()
	switch ip := net.ParseIP(host); {
	case err != nil:
		at.Fail("server", "%s", err)
	case m.TLS == mailNoTLS && host != "localhost" && !ip.IsLoopback():
		at.Fail("tls", "none is allowed to this machine only: localhost, 127.0.0.1 or [::1]")
	}
	switch user, password := m.Username != "", at.Has("password"); {
	case user && !password:
		at.Fail("username", "needs a password, or a password_file")
	case password && !user:
		at.Fail("password", "needs a username")
	case m.Auth != "" && !user:
		at.Fail("auth", "needs a username and a password")
	}
	if m.CAFile == "" {
		return
	}
	if m.ca, _, err = strictoml.ReadFile(m.CAFile); err != nil {
		at.Fail("ca_file", "%s", err).Err = err
	} else if _, err = outbound.Trust(nil, m.ca); err != nil {
		at.Fail("ca_file", "%s", err)
	}
}

// sendmail returns the program that takes mail, where it is no server.
func (m *MailServer) sendmail() (path string, ok bool) {
	if m.Server == "sendmail" {
		return sendmailPath, true
	}
	return m.Server, filepath.IsAbs(m.Server)
}

// address returns the server's host and port.
func (m *MailServer) address() (host string, port int, err error) {
	bad := errors.New(`must be a host, host:port, "sendmail" or the path of a program`)
	host, text, err := net.SplitHostPort(m.Server)
	if err != nil {
		host, text = strings.Trim(m.Server, "[]"), strconv.Itoa(mailPort(m.TLS))
	}
	port, err = strconv.Atoi(text)
	strange := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/@[]<>"\%`, r) }
	if err != nil || port < 1 || port > 65535 || host == "" || strings.ContainsFunc(host, strange) || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", 0, bad
	}
	return host, port, nil
}

// Open returns the channel. The error is what Validate finds wrong with the
// server, or the certificates.
func (m *Mail) Open(name string, env Env) (Channel, error) {
	post, err := m.post(env)
	if err != nil {
		return nil, err
	}
	return &mail{name: name, from: m.From, to: m.To, post: post}, nil
}

func (m *MailServer) post(env Env) (postOffice, error) {
	if path, ok := m.sendmail(); ok {
		return &sendmail{path: path}, nil
	}
	host, port, err := m.address()
	if err != nil {
		return nil, err
	}
	roots := env.RootCAs
	if len(m.ca) > 0 {
		if roots, err = outbound.Trust(roots, m.ca); err != nil {
			return nil, err
		}
	}
	return &smtpServer{
		host: host, port: port, tls: cmp.Or(m.TLS, mailSTARTTLS), roots: roots,
		username: m.Username, password: m.Password, auth: cmp.Or(m.Auth, mailAuthAuto),
	}, nil
}

// SendText sends one mail of plain text, ASCII or not, once. A nil error means that
// the server took it. Every error is an *Error.
func (m *MailServer) SendText(ctx context.Context, env Env, to Address, subject, text string) error {
	post, err := m.post(env)
	if err != nil {
		return &Error{Class: Broken, Err: err}
	}
	l, err := composeText(m.From, to, subject, text, time.Now())
	if err != nil {
		return &Error{Class: Bug, Err: err}
	}
	s, failure := post.open(ctx)
	if failure != nil {
		return failure
	}
	defer s.close()
	if f := s.send(m.From.Address.Address, to.Address.Address, l); f != nil {
		return f.Error
	}
	return nil
}

type mail struct {
	name string
	from Address
	to   []Address
	post postOffice
	grey greylist
}

// postOffice takes mail: an SMTP server, or a program.
type postOffice interface {
	// open returns a session. The error is classed as an *Error is.
	open(ctx context.Context) (postSession, *Error)
}

// postSession hands over one mail after the other.
type postSession interface {
	send(from, to string, l letter) *mailFailure
	close()
}

// mailFailure is a mail that one recipient did not get.
type mailFailure struct {
	*Error
	greylisted bool // refused for being the first of its kind
	forGood    bool // the server wants no other try (5yz of RFC 5321)
	over       bool // the session takes no more mails
}

func (m *mail) Name() string   { return m.name }
func (m *mail) Traits() Traits { return Traits{Pace: mailPace} }

// Send hands over a mail a recipient, but not to those who have it: one who is
// refused keeps it from nobody else. All mails of an alert have one receipt.
func (m *mail) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	s, err := m.post.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	thread := newThread(a)
	told := slices.Clone(a.Reached)
	var failures []*mailFailure
	over := false
	for _, to := range m.to {
		switch {
		case slices.Contains(told, to.Address.Address):
			continue
		case over:
			failures = append(failures, &mailFailure{Error: failed(Again, "%s: not tried", to.Address.Address)})
			continue
		}
		l, err := compose(a, thread, m.from, to, time.Now())
		if err != nil {
			return nil, &Error{Class: Bug, Err: err}
		}
		f := s.send(m.from.Address.Address, to.Address.Address, l)
		if m.grey.note(to.Address.Address, f); f == nil {
			told = append(told, to.Address.Address)
			continue
		}
		failures, over = append(failures, f), f.over
	}
	if len(failures) > 0 {
		return nil, sumUp(failures, told)
	}
	return thread.receipt(), nil
}

// sumUp makes one error of those of several recipients: it waits as long as one
// of them may get the mail yet. Once somebody has it, what is wrong with another's
// address is wrong with this message, not with the destination, and a mailbox that is
// full for good is no more waited for.
func sumUp(failures []*mailFailure, told []string) *Error {
	all := *failures[0].Error
	all.Reached = told
	var errs []string
	forGood := true
	for _, f := range failures {
		forGood = forGood && f.forGood
		errs = append(errs, f.Err.Error())
		if f.Class == Again || f.Class == Quota && all.Class != Again {
			all.Class = f.Class
		}
		all.Sent = all.Sent || f.Sent
		all.RetryAfter = max(all.RetryAfter, f.RetryAfter)
		all.Hint = cmp.Or(all.Hint, f.Hint)
	}
	if len(failures) > 1 {
		all.Err = errors.New(strings.Join(errs, "; "))
	}
	if len(told) == 0 {
		return &all
	}
	switch {
	case all.Class == Broken, all.Class == Quota && forGood:
		all.Class = Bug
	case all.Class == Quota:
		all.Class = Again
	}
	return &all
}

// How long a mail waits that is refused for being the first of its kind: most
// servers want some minutes, a few a quarter of an hour.
const (
	greyFirst = 5 * time.Minute
	greyLater = 15 * time.Minute
)

// greylist remembers whose mail was greylisted last.
type greylist struct {
	mu   sync.Mutex
	last map[string]bool
}

// note takes what became of a mail, and says how long the next one has to wait.
func (g *greylist) note(to string, f *mailFailure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f == nil || !f.greylisted {
		delete(g.last, to)
		return
	}
	f.RetryAfter = greyFirst
	if g.last[to] {
		f.RetryAfter = greyLater
	}
	if g.last == nil {
		g.last = make(map[string]bool)
	}
	g.last[to] = true
}
