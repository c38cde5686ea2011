// Package jetstream owns the way between hosts and hub over NATS JetStream: which
// subjects there are and who may use them, the stream and its settings, and what a
// broker's errors mean. It must be linked with sshnotify-nats alone, because it would
// make each login's hook start slower.
//
// A host publishes its events to ev.HOST.KIND, and has handed them over once the
// stream has them; its beats are requests to beat.HOST. It may use no other subject,
// and nothing of JetStream's own. The brokers hold that, as examples/nats has it: the
// name in a subject is who a host is.
package jetstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// Broker is the way over servers of NATS.
type Broker struct {
	answer time.Duration // in place of answerTimeout, for tests; 0: that
	jitter time.Duration // in place of reconnectJitter
	fresh  time.Duration // in place of fleet.FreshFor
}

// What host and hub have agreed on.
const (
	stream   = "SSHNOTIFY"
	consumer = "hub"    // durable, of the one hub that works
	events   = "ev"     // ev.HOST.KIND
	beats    = "beat"   // beat.HOST
	inboxes  = "_INBOX" // a host's answers come to _INBOX_HOST.>

	// A header names the run of numbers that a line's is of; another, the host that
	// published it, so that what a server forged in answer to somebody else is told
	// from it.
	numberingHeader = "Sshnotify-Numbering"
	hostHeader      = "Sshnotify-Host"
	maxNumbering    = 64
)

func inboxOf(host string) string { return inboxes + "_" + host }

// Of a connection. A link that is dead shows after two pings that nobody answers,
// and with the defaults of nats.go after five minutes.
const (
	pingEvery     = 20 * time.Second
	dialTimeout   = 5 * time.Second
	reconnectWait = time.Second
	// All hosts lose the brokers at once.
	reconnectJitter = 30 * time.Second

	// answerTimeout is for one batch. A broker that dies takes its answers with it, so
	// that longer than an election, of some 5 s, is no use.
	answerTimeout = 10 * time.Second
	// connectTimeout is how long a batch waits for a connection.
	connectTimeout = 5 * time.Second
)

// link is a connection that is made anew for ever.
type link struct {
	*nats.Conn
	mu      sync.Mutex
	last    error         // why there is none, or what a broker refused
	refused chan struct{} // closed by what a broker refuses, and made anew
}

// dial connects to the brokers, which need not be there yet.
func (b Broker) dial(servers, inbox, name string, s fleet.Settings) (*link, error) {
	jitter := cmp.Or(b.jitter, reconnectJitter)
	l := &link{refused: make(chan struct{})}
	secure, err := encryption(servers, s.CAFile)
	if err != nil {
		return nil, err
	}
	who, err := credentials(s.CredentialsFile)
	if err != nil {
		return nil, err
	}
	l.Conn, err = nats.Connect(servers, who, secure,
		nats.Name("sshnotify "+name), nats.CustomInboxPrefix(inbox), nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(jitter, jitter),
		// Or what was given up would be sent later.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { l.note(nil) }), nats.ReconnectHandler(func(*nats.Conn) { l.note(nil) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.note(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.note(err) }),
		// A publish outside of one's rights is no error of the publish.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.note(err) }),
	)
	return l, err
}

func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
	if errors.Is(err, nats.ErrPermissionViolation) {
		close(l.refused)
		l.refused = make(chan struct{})
	}
}

// refusals returns a channel that is closed when a broker refuses something.
func (l *link) refusals() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// why is what the brokers said last.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cmp.Or(l.LastError(), l.last, nats.ErrNoServers)
}

// connected waits for a connection.
func (l *link) connected(ctx context.Context) error {
	up := l.StatusChanged(nats.CONNECTED)
	defer l.RemoveStatusListener(up)
	if l.IsConnected() {
		return nil
	}
	// It goes on trying; but this is nothing that mends itself.
	if err := l.why(); failure(err).Class != fleet.Again {
		return err
	}
	select {
	case <-up:
		return nil
	case <-time.After(connectTimeout):
		return l.why()
	case <-ctx.Done():
		return l.why()
	}
}

// credentials are those of a file: an nkey's seed, or a JWT and a seed.
func credentials(file string) (nats.Option, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("credentials_file: %w", err)
	}
	if strings.Contains(string(text), "-----BEGIN NATS USER JWT-----") {
		return nats.UserCredentials(file), nil
	}
	o, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return nil, fmt.Errorf("credentials_file: %s: neither the seed of a user's nkey, nor a JWT and its seed", file)
	}
	return o, nil
}

// encryption is TLS, whatever the scheme, but for brokers on this machine: who answers
// in a broker's place could acknowledge what nobody has.
func encryption(servers, caFile string) (nats.Option, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if c.RootCAs, err = outbound.Trust(x509.NewCertPool(), text); err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
	}
	for server := range strings.SplitSeq(servers, ",") {
		if u, err := url.Parse(server); err != nil || u.Scheme != "nats" || !loopback(u.Hostname()) {
			return nats.Secure(c), nil
		}
	}
	return func(*nats.Options) error { return nil }, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// failure classes what came of a batch or a beat.
func failure(err error) *fleet.Error {
	e := &fleet.Error{Err: err}
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		other   x509.HostnameError
		api     *jetstream.APIError
		network *net.OpError
	)
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		e.Class, e.Hint = fleet.Refused, "the name in [hub] must be that of this host's rights at the NATS servers: see docs/nats.md"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAccountAuthExpired):
		e.Class, e.Hint = fleet.Refused, "the NATS servers must know what credentials_file in [hub] names, and a JWT must not have expired"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Class, e.Hint = fleet.Clock, "compare the clocks of this machine and of the NATS servers; and the end of their certificates"
	case errors.As(err, &unknown), errors.As(err, &other), errors.As(err, &invalid):
		e.Class, e.Hint = fleet.Refused, "ca_file in [hub] must name what signed the NATS servers' certificates, and url must name the servers as these do"
	case errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrSecureConnRequired):
		e.Class, e.Hint = fleet.Refused, "the NATS servers must speak TLS: see examples/nats"
	case errors.As(err, &api) && api.ErrorCode == wrongStream:
		e.Class, e.Hint = fleet.Refused, "the stream "+stream+", and no other, must have the subjects "+events+".*.*"
	case errors.As(err, &api) && (api.ErrorCode == alone || api.ErrorCode == tooFew):
		e.Hint = "replicas in [hub] must be at most the number of NATS servers that are there"
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		e.Hint = "the hub makes the stream when it first runs; while servers elect a leader there is none for some seconds"
	case errors.As(err, &network), errors.Is(err, nats.ErrNoServers):
		e.Hint = "no NATS server can be reached"
	}
	return e
}

// Codes of JetStream's errors that nats.go has no names for, from nats-server's
// errors.json.
const (
	wrongStream = 10060 // what Nats-Expected-Stream says is not so
	tooLong     = 10054 // longer than the stream's messages may be
	alone       = 10074 // replicas, of a server that is in no cluster
	tooFew      = 10005 // servers for the replicas
)
