package cmd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/gate"
)

func newGateServeCmd(o *gateOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Send and check one-time codes for other programs, over HTTP",
		Long: long(`serve is an HTTP service for other programs, such as a web login or a VPN: a client
with a token has a code sent to a number that the settings name, and asks whether
what was typed is right. [gate.http] says where it listens and who its clients are;
docs/gate.md has the routes. It needs no root, and its state folder is the user's
that runs it. Packages bring sshnotify-codes.service, which runs it with the settings
/etc/sshnotify/codes.toml.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sshnotify gate serve --settings " + codesFile,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.serve(c.Context()) },
	}
}

// codesFile is what the package's service runs with.
const codesFile = "/etc/sshnotify/codes.toml"

// What clients get: a code is sent after the answer, so that one takes no time.
const (
	maxConnections = 256
	serveTimeout   = 10 * time.Second
	stopTimeout    = gateSendTimeout + 5*time.Second
)

func (o *gateOptions) serve(ctx context.Context) error {
	s, err := o.settings()
	if err != nil {
		return err
	}
	h := s.Gate.HTTP
	if h == nil {
		return withHint(fmt.Errorf("%s has no [gate.http]", o.file), "docs/gate.md shows one")
	}
	log := o.app.logger()
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	h.StateDir = cmp.Or(h.StateDir, gate.CodesState)
	server := &gate.Server{
		HTTP: *h, Rules: s.Gate, Senders: s.Gate.Senders(newClient(config.Default(), gateSendTimeout)), Host: host, Now: time.Now, Log: log,
		People: s.People,
	}
	if len(server.People) == 0 {
		server.People = o.people(log)
	}
	if len(server.People) == 0 {
		return withHint(&settingsError{fmt.Errorf("%s: nobody has a number", o.file)}, "[person.NAME] with phone, there or in the worker's settings, which then must be readable")
	}
	l, err := net.Listen("tcp", h.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	l = netutil.LimitListener(l, maxConnections)
	if h.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(h.CertFile, h.KeyFile); err != nil {
			return &settingsError{fmt.Errorf("%s: gate.http.cert_file: %w", o.file, err)}
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			// Read anew for each connection: it is renewed every few weeks.
			c, err := tls.LoadX509KeyPair(h.CertFile, h.KeyFile)
			return &c, err
		}})
	}
	web := &http.Server{
		Handler: server.Handler(), ReadTimeout: serveTimeout, WriteTimeout: serveTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = web.Shutdown(ctx)
	}()
	log.Info("listening", "address", l.Addr().String())
	notify(log, daemon.SdNotifyReady)
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	server.Wait()
	return nil
}
