package channel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// smtpServer takes mail by SMTP.
type smtpServer struct {
	host     string
	port     int
	tls      string // one of mailSTARTTLS, mailTLS, mailNoTLS
	roots    *x509.CertPool
	username string // "": no log-in
	password outbound.Secret
	auth     string
}

func (s *smtpServer) String() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// step is how far a session with a server got.
type step int

// The steps, in their order.
const (
	connecting step = iota // until the answer to EHLO
	securing               // STARTTLS, or TLS from the start
	loggingIn
	giving          // MAIL FROM
	addressing      // RCPT TO
	handingOver     // DATA, and the text of the mail
	waitingForTaken // its end was written, and no answer read
)

// smtpSession is a connection that is ready for a mail.
type smtpSession struct {
	server *smtpServer
	ctx    context.Context
	stop   func() bool
	conn   net.Conn
	client *smtp.Client
	picked bool // auth is "auto", took a mechanism that hides the password, and PLAIN is there too
}

func (s *smtpServer) open(ctx context.Context) (postSession, *Error) {
	n, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// dial returns a session in which mail can be given.
func (s *smtpServer) dial(ctx context.Context) (*smtpSession, *Error) {
	n := &smtpSession{server: s, ctx: ctx}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.String())
	if err != nil {
		return nil, n.failure(connecting, err).Error
	}
	// The library knows no context.
	n.conn, n.stop = &briefConn{conn, maxSaidBySMTP}, context.AfterFunc(ctx, func() { conn.Close() })
	if at, err := n.begin(); err != nil {
		n.abort()
		return nil, n.failure(at, err).Error
	}
	return n, nil
}

// maxSaidBySMTP is how many bytes a server may say in a session, its certificates
// included. Lines and answers have no end of their own: one that does not stop would
// fill the memory until the time is up.
const maxSaidBySMTP = 1 << 20

// briefConn is a connection on which the other side may say so many bytes more.
type briefConn struct {
	net.Conn
	left int
}

func (c *briefConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("said more than a mail server has to say")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// errSettings is what a server lacks that the settings ask for.
type errSettings struct{ text, hint string }

func (e *errSettings) Error() string { return e.text }

func (n *smtpSession) begin() (step, error) {
	s := n.server
	secure := &tls.Config{ServerName: s.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	if tcp, ok := n.conn.RemoteAddr().(*net.TCPAddr); s.tls == mailNoTLS && (!ok || !tcp.IP.IsLoopback()) {
		return securing, &errSettings{"does not lead to this machine, and nothing else is spoken to without TLS", `take tls = "none" away`}
	}
	if s.tls == mailTLS {
		over := tls.Client(n.conn, secure)
		if err := over.HandshakeContext(n.ctx); err != nil {
			return securing, err
		}
		n.conn = over
	}
	var err error
	if n.client, err = smtp.NewClient(n.conn, s.host); err == nil {
		n.client.SkipSMTPUTF8(true) // addresses are ASCII
		err = n.client.Hello(n.ownName())
	}
	if err != nil {
		return connecting, err
	}
	if s.tls == mailSTARTTLS {
		if ok, _ := n.client.Extension("STARTTLS"); !ok {
			return securing, &errSettings{"offers no STARTTLS, and without it nothing is sent",
				`if the port is one that begins with TLS (465), set tls = "tls"; tls = "none" is for a server on this machine`}
		}
		if err := n.client.StartTLS(secure); err != nil {
			return securing, err
		}
	}
	if s.username == "" {
		return loggingIn, nil
	}
	auth, err := n.mechanism()
	if err != nil {
		return loggingIn, err
	}
	return loggingIn, n.client.Auth(auth)
}

// ownName is what the host calls itself in EHLO: a name that others may know, or
// its address (RFC 5321, 4.1.3).
func (n *smtpSession) ownName() string {
	name, err := os.Hostname()
	if err == nil && strings.Contains(name, ".") && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return name
	}
	if tcp, ok := n.conn.LocalAddr().(*net.TCPAddr); ok {
		if ip := tcp.IP.To4(); ip != nil {
			return "[" + ip.String() + "]"
		}
		return "[IPv6:" + tcp.IP.String() + "]"
	}
	return "localhost"
}

// mailAuthAuto takes the best of the mechanisms that the server offers.
const mailAuthAuto = "auto"

// mechanism returns how to log in.
func (n *smtpSession) mechanism() (smtp.Auth, error) {
	s := n.server
	_, offer := n.client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(offer))
	user, password, noTLS := s.username, s.password.Reveal(), s.tls == mailNoTLS
	for _, m := range []struct {
		name string
		make func() smtp.Auth
	}{
		{"scram-sha-256", func() smtp.Auth { return smtp.ScramSHA256Auth(user, password) }},
		{"scram-sha-1", func() smtp.Auth { return smtp.ScramSHA1Auth(user, password) }},
		{"cram-md5", func() smtp.Auth { return smtp.CRAMMD5Auth(user, password) }},
		{"plain", func() smtp.Auth { return smtp.PlainAuth("", user, password, s.host, noTLS) }},
		{"login", func() smtp.Auth { return smtp.LoginAuth(user, password, s.host, noTLS) }},
	} {
		if (s.auth == mailAuthAuto || s.auth == m.name) && slices.Contains(offered, strings.ToUpper(m.name)) {
			n.picked = s.auth == mailAuthAuto && m.name != "plain" && slices.Contains(offered, "PLAIN")
			return m.make(), nil
		}
	}
	switch {
	case len(offered) == 0:
		return nil, &errSettings{"offers no log-in", "take username and password away if it wants none; else the port is one for other servers: 587 or 465 takes log-ins"}
	case s.auth == mailAuthAuto:
		return nil, &errSettings{"offers no way to log in that is known here: " + event.Clean(offer, excerptLength), "ask its owner for PLAIN, LOGIN, CRAM-MD5 or SCRAM-SHA-256 on this port"}
	}
	return nil, &errSettings{"does not offer auth = \"" + s.auth + "\", but " + event.Clean(offer, excerptLength), `set auth = "auto"`}
}

// address begins a mail. What a server has against it, it says here.
func (n *smtpSession) address(from, to string) *mailFailure {
	if err := n.client.Mail("<" + from + ">"); err != nil {
		return n.failure(giving, err)
	}
	if err := n.client.Rcpt("<" + to + ">"); err != nil {
		return n.failure(addressing, err)
	}
	return nil
}

func (n *smtpSession) send(from, to string, l letter) *mailFailure {
	f := n.address(from, to)
	if f == nil {
		f = n.handOver(l)
	}
	if f == nil {
		return nil
	}
	f.Err = fmt.Errorf("%s: %w", to, f.Err)
	f.over = f.over || n.client.Reset() != nil
	return f
}

func (n *smtpSession) handOver(l letter) *mailFailure {
	w, err := n.client.Data()
	if err != nil {
		return n.failure(handingOver, err)
	}
	if _, err := w.Write(l); err != nil {
		return n.failure(handingOver, err)
	}
	if err := w.Close(); err != nil {
		return n.failure(waitingForTaken, err)
	}
	return nil
}

// quitTime is how long a server has to answer QUIT. It has the mails already.
const quitTime = 2 * time.Second

func (n *smtpSession) close() {
	n.conn.SetDeadline(time.Now().Add(quitTime))
	n.client.Quit()
	n.abort()
}

func (n *smtpSession) abort() {
	n.stop()
	n.conn.Close()
}

// failure classes what went wrong at a step: by the status code of the server's
// answer, and the enhanced one (RFC 3463) where there is one.
func (n *smtpSession) failure(at step, err error) *mailFailure {
	s := n.server
	if lacks, ok := errors.AsType[*errSettings](err); ok {
		e := failed(Broken, "%s %s", s, lacks.text)
		e.Hint = lacks.hint
		return &mailFailure{Error: e, over: true}
	}
	answer, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return &mailFailure{Error: s.unanswered(n.ctx, at, err), over: true}
	}
	r := reply{at: at, code: answer.Code, enhanced: enhancedCode(answer.Msg), text: s.quote(answer.Msg)}
	f := &mailFailure{over: answer.Code == 421 || at <= loggingIn, forGood: !r.temporary()}
	f.Error = failed(r.class(), "%s %s: %d%s", s, r.means(), r.code, r.text)
	f.Hint = r.hint()
	if at == loggingIn && n.picked && f.Hint != "" {
		// Cyrus offers what it can only do where it has the passwords themselves.
		f.Hint += `; if they are, set auth = "plain"`
	}
	f.greylisted = r.greylisted()
	if r.mailboxFull() {
		f.RetryAfter = time.Hour
	}
	return f
}

// unanswered classes the error of a connection that gave no answer.
func (s *smtpServer) unanswered(ctx context.Context, at step, err error) *Error {
	if ctx.Err() != nil {
		err = ctx.Err() // which closed the connection
	}
	why := outbound.Explain(s.String(), err)
	e := &Error{Class: Again, Sent: at == waitingForTaken, Err: why}
	var record tls.RecordHeaderError
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	switch {
	case unknown:
		e.Hint = "put the certificate of the authority that signed the server's into a file, and name it in ca_file"
	case name:
		e.Hint = "write server as the certificate names it"
	case errors.As(err, &record) && s.tls == mailTLS:
		e.Hint = `the port begins without TLS: set tls = "starttls"`
	case at == connecting && s.tls != mailTLS && s.port == mailPort(mailTLS):
		e.Hint = `port 465 begins with TLS: set tls = "tls"`
	case why.Kind == outbound.DNS, why.Kind == outbound.Refused, why.Kind == outbound.Timeout && at == connecting:
		e.Hint = "see whether server has the right host and port (587, or 465 with tls = \"tls\"), and whether a firewall lets it out"
	}
	return e
}

// quote returns what a server said, without the password that a strange one may
// repeat.
func (s *smtpServer) quote(said string) string {
	said = strings.ReplaceAll(said, "\n", " ")
	if password := s.password.Reveal(); password != "" {
		for _, p := range []string{password, "\x00" + s.username + "\x00" + password} {
			if strings.Contains(said, p) || strings.Contains(said, base64.StdEncoding.EncodeToString([]byte(p))) {
				return ""
			}
		}
	}
	return fmt.Sprintf(" %q", event.Clean(said, 2*excerptLength))
}

// reply is a server's refusal.
type reply struct {
	at       step
	code     int
	enhanced string // such as "5.1.1"; empty: none
	text     string
}

// enhancedCode returns the enhanced status code that a text begins with.
func enhancedCode(text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return ""
	}
	for _, p := range parts[1:] {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 999 {
			return ""
		}
	}
	return word
}

// says reports whether the enhanced code is one of these, whatever its first
// digit is; "1." is all of that subject.
func (r reply) says(codes ...string) bool {
	if r.enhanced == "" {
		return false
	}
	detail := r.enhanced[2:]
	return slices.ContainsFunc(codes, func(c string) bool {
		return detail == c || strings.HasSuffix(c, ".") && strings.HasPrefix(detail, c)
	})
}

func (r reply) temporary() bool { return r.code < 500 }

// mailboxFull reports whether somebody has to make room first, which may take a
// day.
func (r reply) mailboxFull() bool {
	return r.at >= addressing && (r.says("2.2") || r.code == 552 && r.enhanced == "")
}

// greylisted reports whether the server takes a first mail only when it comes
// again. Postgrey, rspamd and milter-greylist say so in words alone, all others
// by the code.
func (r reply) greylisted() bool {
	words := strings.ToLower(r.text)
	return r.temporary() && r.at >= addressing && !r.noRelay() && !r.ofSender() && !r.ofHost() && (r.says("7.1") || strings.Contains(words, "greylist") || strings.Contains(words, "graylist"))
}

// ofSender reports whether the sender is refused. Postfix waits with that, and with
// what it has against the host, until it knows a recipient (smtpd_delay_reject), and
// says in words alone whom it means.
func (r reply) ofSender() bool {
	return r.at == giving || r.at == addressing && (r.says("1.7", "1.8") || strings.Contains(strings.ToLower(r.text), "sender address rejected"))
}

// ofHost reports whether the name that this host has, or says that it has, is
// refused.
func (r reply) ofHost() bool {
	words := strings.ToLower(r.text)
	return r.at == addressing && (r.says("7.25") || strings.Contains(words, "helo command rejected") || strings.Contains(words, "cannot find your hostname"))
}

// noRelay reports whether the server passes on no mail to there, for this host.
// Postfix says 454 4.7.1 by default, so that who runs it may mend it.
func (r reply) noRelay() bool {
	return r.at == addressing && strings.Contains(strings.ToLower(r.text), "relay")
}

// class says whose fault a refusal is. What a server refuses after it has seen
// the mail may be the stranger's words in it, and must not stop the next one;
// unless it is that it does not believe the sender (RFC 7372, RFC 7489).
func (r reply) class() Class {
	switch {
	case r.mailboxFull():
		return Quota
	case r.temporary() && !r.noRelay():
		return Again
	case r.at >= handingOver && !r.unbelieved(), r.says("3.4", "6."):
		return Bug
	}
	return Broken
}

// unbelieved reports whether the sender failed SPF, DKIM or DMARC, or the host
// has no name.
func (r reply) unbelieved() bool {
	return r.says("7.0", "7.8", "7.9", "7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27") || r.code == 530
}

func (r reply) means() string {
	switch {
	case r.at == connecting:
		return "takes no connection"
	case r.at == securing:
		return "refuses TLS"
	case r.at == loggingIn:
		return "refuses the log-in"
	case r.mailboxFull():
		return "says that the mailbox is full"
	case r.greylisted():
		return "wants the mail to come again (greylisting)"
	case r.ofSender():
		return "refuses the sender"
	case r.ofHost():
		return "refuses this host's name"
	case r.at == addressing:
		return "refuses the recipient"
	}
	return "refuses the mail"
}

// hint says what to change.
func (r reply) hint() string {
	relay := r.noRelay() || r.at == addressing && r.says("7.")
	switch {
	case r.ofHost():
		return "give this host a full name that DNS knows: sudo hostnamectl hostname db1.example.com"
	case r.temporary() && !relay && !(r.ofSender() && r.says("1.")), r.greylisted():
		return ""
	case r.at == loggingIn, r.says("7.8"):
		return "see whether username and password are right; many providers want a password made for programs (app password)"
	case r.code == 530 || r.says("7.0") && r.at < handingOver:
		return "the server wants a log-in: set username and password_file"
	case r.mailboxFull():
		return "make room in the mailbox"
	case r.ofSender():
		return "set from to an address that the server lets this log-in send as"
	case relay:
		return "the server passes on mail for a log-in only, or not to there: set username and password_file, or another server"
	case r.at == addressing:
		return "see whether the address in to is right"
	case r.unbelieved():
		return "the domain of from does not allow mail from there: set from to one that this server may send for, or add it to the domain's SPF and DKIM"
	}
	return ""
}
