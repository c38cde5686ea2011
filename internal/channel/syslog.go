package channel

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// SyslogType is the channel's name in the settings.
const SyslogType = "syslog"

// Syslog are the settings of a log server that takes syslog messages of RFC 5424.
type Syslog struct {
	Server    string `toml:"server,required" doc:"a host, or host:port; by default 6514 for TLS, else 514"`
	Transport string `toml:"transport" check:"oneof=tls tcp udp" doc:"\"tls\" (default, RFC 5425), \"tcp\" (each message with its length before it, RFC 6587), or \"udp\" (RFC 5426)"`
	CAFile    string `toml:"ca_file" check:"file" doc:"certificates that are trusted for this server, besides those of [outbound] and of the machine"`
	CertFile  string `toml:"cert_file" check:"file" doc:"this host's certificate, for a server that wants one"`
	KeyFile   string `toml:"key_file" check:"file" doc:"its key, which nobody but its owner may read"`
	Facility  string `toml:"facility" check:"oneof=user daemon auth authpriv local0 local1 local2 local3 local4 local5 local6 local7" doc:"a facility of syslog's: \"authpriv\" (default), auth, daemon, user, local0 to local7"`

	ca   []byte // CAFile's
	cert *tls.Certificate
}

// The transports.
const (
	syslogTLS = "tls"
	syslogTCP = "tcp"
	syslogUDP = "udp"
)

// Validate looks at the server, and reads the certificates.
func (s *Syslog) Validate(at strictoml.At) {
	if !at.OK() {
		return
	}
	if _, _, err := s.address(); err != nil {
		at.Fail("server", "%s", err)
	}
	for _, key := range []string{"ca_file", "cert_file", "key_file"} {
		if at.Has(key) && s.transport() != syslogTLS {
			at.Fail(key, "has a meaning with transport = \"tls\" alone")
			return
		}
	}
	if s.CAFile != "" {
		var err error
		if s.ca, _, err = strictoml.ReadFile(s.CAFile); err != nil {
			at.Fail("ca_file", "%s", err).Err = err
		} else if _, err = outbound.Trust(nil, s.ca); err != nil {
			at.Fail("ca_file", "%s", err)
		}
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		at.Fail("cert_file", "cert_file and key_file belong together")
		return
	}
	if s.CertFile != "" {
		cert, err := s.keyPair()
		if err != nil {
			at.Fail("cert_file", "%s", err)
		}
		s.cert = cert
	}
}

// keyPair reads this host's certificate and key.
func (s *Syslog) keyPair() (*tls.Certificate, error) {
	cert, _, err := strictoml.ReadFile(s.CertFile)
	if err != nil {
		return nil, err
	}
	key, perm, err := strictoml.ReadFile(s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	if perm.Perm()&0o077 != 0 {
		return nil, errors.New("key_file can be read by others: chmod 600")
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("cert_file and key_file are no certificate and its key in PEM form")
	}
	return &pair, nil
}

func (s *Syslog) transport() string { return cmp.Or(s.Transport, syslogTLS) }

// address returns the server's host and port.
func (s *Syslog) address() (host, port string, err error) {
	host, port = s.Server, "514"
	if s.transport() == syslogTLS {
		port = "6514"
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return strings.Trim(host, "[]"), port, nil
	}
	if strings.Contains(host, ":") {
		if host, port, err = net.SplitHostPort(s.Server); err != nil {
			return "", "", errors.New("must be a host, or host:port")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
		return "", "", errors.New("must be a host, or host:port")
	}
	return host, port, nil
}

// facilities are RFC 5424's numbers, section 6.2.1.
func facilityOf(name string) int {
	switch name {
	case "user":
		return 1
	case "daemon":
		return 3
	case "auth":
		return 4
	case "", "authpriv":
		return 10
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, "local"))
	if err != nil { // the settings take no other
		return 10
	}
	return 16 + n
}

// Words say that a message of syslog has a headline alone.
func (s *Syslog) Words() (headline, text bool) { return true, false }

// Open returns the channel to the server.
func (s *Syslog) Open(name string, env Env) (Channel, error) {
	host, port, err := s.address()
	if err != nil {
		return nil, err
	}
	c := &syslogServer{name: name, transport: s.transport(), host: host, port: port, facility: facilityOf(s.Facility)}
	if c.transport == syslogTLS {
		c.tls = &tls.Config{ServerName: host, RootCAs: env.RootCAs, MinVersion: tls.VersionTLS12}
		if s.ca != nil {
			if c.tls.RootCAs, err = outbound.Trust(env.RootCAs, s.ca); err != nil {
				return nil, err
			}
		}
		if s.cert != nil {
			c.tls.Certificates = []tls.Certificate{*s.cert}
		}
	}
	return c, nil
}

type syslogServer struct {
	name, transport, host, port string
	facility                    int
	tls                         *tls.Config
}

func (s *syslogServer) Name() string { return s.name }

// Traits are the zero ones: a log takes everything.
func (s *syslogServer) Traits() Traits { return Traits{} }

// How long a server may take to be reached and to take a message, and to close a
// connection after its last one.
const (
	syslogTimeout   = 10 * time.Second
	syslogHandshake = 3 * time.Second
	syslogClosing   = 2 * time.Second
)

var errNoHandshake = errors.New("the log server does not answer in TLS")

// Send writes the alert and the rows of a digest, a message each, over a
// connection of their own: into one that is kept, and that the server has left,
// a message would be written without an error. Syslog has no answer; that the
// server closes the connection in its turn shows that it has read to the end.
func (s *syslogServer) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, syslogTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, s.failed(ctx, err, false)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	sent := false
	for _, line := range logLines(a) {
		m := syslogMessage(a, line, s.facility, s.limit())
		if s.transport != syslogUDP {
			m = append([]byte(strconv.Itoa(len(m))+" "), m...)
		}
		if _, err = conn.Write(m); err != nil {
			return nil, s.failed(ctx, err, sent)
		}
		sent = true
	}
	if err := s.finish(conn); err != nil {
		return nil, s.failed(ctx, err, s.transport != syslogUDP)
	}
	return nil, nil
}

func (s *syslogServer) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(s.host, s.port)
	if s.transport == syslogUDP {
		return new(net.Dialer).DialContext(ctx, "udp", address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || s.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, s.tls)
	ctx, cancel := context.WithTimeout(ctx, syslogHandshake)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = errNoHandshake
		}
		return nil, err
	}
	return secure, nil
}

// finish says that nothing follows, and waits for what the other end says to that.
func (s *syslogServer) finish(conn net.Conn) error {
	wait := syslogClosing
	if s.transport == syslogUDP {
		wait = 20 * time.Millisecond // for the word that nobody listens, if there is one
	} else if c, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	conn.SetReadDeadline(time.Now().Add(wait))
	_, err := io.Copy(io.Discard, io.LimitReader(conn, 4096))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // a server that keeps its end open, or UDP, which says nothing
	}
	return err
}

// failed classes an error. Networks come back, and certificates are renewed.
func (s *syslogServer) failed(ctx context.Context, err error, sent bool) *Error {
	e := &Error{Class: Again, Sent: sent, Err: err}
	if cause := ctx.Err(); cause != nil {
		e.Err = fmt.Errorf("no connection to the log server: %w", cause)
	}
	e.Hint = s.hint(err)
	return e
}

func (s *syslogServer) hint(err error) string {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch {
	case unknown:
		return "name the certificate of the authority that signed the server's in ca_file"
	case name:
		return "server must be a name that stands in the server's certificate"
	case noTLS, errors.Is(err, errNoHandshake):
		return "the server speaks no TLS at this port: TLS has mostly port 6514, transport = \"tcp\" port 514"
	case dns:
		return "check the name in server"
	case alert || s.transport == syslogTLS && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)):
		return "the server takes no connection without a certificate that it trusts: name cert_file and key_file, signed by its authority"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "see whether the server listens at " + net.JoinHostPort(s.host, s.port) + " (" + s.transport + ")"
	}
	return ""
}

// Checks look, online, whether the server takes connections. They tell it nothing.
func (s *syslogServer) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: s.reach}}
}

func (s *syslogServer) reach(ctx context.Context, r *doctor.Report) {
	name, start := "online "+s.name, time.Now()
	ctx, cancel := context.WithTimeout(ctx, syslogTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err == nil {
		defer conn.Close()
		if s.tls != nil { // a server of TLS 1.3 refuses a certificate after the handshake
			conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err = bufio.NewReader(conn).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil
			}
		}
	}
	if err != nil {
		e := s.failed(ctx, err, false)
		r.Fail(name, cmp.Or(e.Hint, "see [destination."+s.name+"] in "+r.Config), "%v", e)
		return
	}
	what := "takes connections"
	if s.transport == syslogUDP {
		what = "is known; UDP says nothing of whether it listens"
	}
	r.OK(name, "the log server %s (%v); nothing was told, and syslog acknowledges nothing: look there after %s", what, time.Since(start).Round(time.Millisecond), r.Command("test"))
}

// The most bytes of a message: what a UDP receiver should take (RFC 5424, 6.1),
// and what rsyslog takes by default, less some room.
const (
	maxSyslogUDP = 2048
	maxSyslog    = 8000
)

func (s *syslogServer) limit() int {
	if s.transport == syslogUDP {
		return maxSyslogUDP
	}
	return maxSyslog
}

// syslogID names the structured data. sshnotify has no enterprise number of its
// own; 32473 is the one for examples (RFC 5612), which no other product has.
const syslogID = "sshnotify@32473"

// syslogValue is the most bytes of one value of the structured data.
const syslogValue = 1000

// syslogMessage writes a line as RFC 5424 has it, in at most so many bytes: the
// words are the message, all else structured data, of which the least important
// go where there is no room.
func syslogMessage(a event.Alert, line logLine, facility, most int) []byte {
	stamp := "-"
	if t := cmp.Or(a.Event.Time, a.Last); !t.IsZero() {
		stamp = t.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	head := fmt.Sprintf("<%d>1 %s %s sshnotify - %s ", facility*8+int(line.priority), stamp, syslogName(a.Event.Host, 255), syslogName(string(a.Event.Kind), 32))
	msg, data := "", "["+syslogID
	for _, f := range slices.Concat([]logField{{"id", a.ID}}, line.fields) {
		value := cutBytes(event.Clean(f.value, 6*len(f.value)), syslogValue)
		if f.key == "msg" {
			msg = value
			continue
		}
		param := " " + f.key + `="` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`).Replace(value) + `"`
		if len(head)+len(data)+len(param)+len("]") < most-syslogValue/2 {
			data += param
		}
	}
	data += "]"
	if msg == "" { // of a digest's row
		msg = line.String()
	}
	mark := ""
	if strings.ContainsFunc(msg, func(r rune) bool { return r >= utf8.RuneSelf }) {
		mark = "\ufeff" // says that it is UTF-8
	}
	return []byte(head + data + " " + mark + cutBytes(msg, most-len(head)-len(data)-len(" ")-len(mark)))
}

// syslogName returns a word of the header, of visible ASCII characters.
func syslogName(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return cmp.Or(s[:min(len(s), most)], "-")
}

// cutBytes shortens a text to so many bytes, between two characters.
func cutBytes(s string, most int) string {
	const end = "…"
	if len(s) <= most {
		return s
	}
	n := max(0, most-len(end))
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + end
}
