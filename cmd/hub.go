package cmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/report"
)

func newHubCmd(a *app) *cobra.Command {
	o := deliverOptions{app: a, follow: true, hub: true}
	c := &cobra.Command{
		Use:   "hub",
		Short: "Take the events of other hosts, and deliver them with this one's",
		Long: long(`hub serves hosts that hand their events over, at the address of listen in [hub] or
over the servers of nats, and delivers these events as it does its own host's. deliver --follow does the same
where the settings have one of them; hub insists on it. Whom it lets in is said by
sshnotify fleet. At listen it also serves the page of sshnotify report to readers, at
/report. It stops at SIGTERM; SIGHUP reloads the settings, but for [hub].`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify hub --config /etc/sshnotify/config.toml`,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.spoolDir, "spool", "", "spool `DIR` to work on (default: from the settings)")
	f.BoolVar(&o.syslog, "syslog", false, "log to the system log, not to standard error")
	return c
}

// runHub runs a worker that is a hub's, too. broker may be nil; settings returns those of
// now, which the page is made with.
func runHub(ctx context.Context, c config.Config, job deliver.Job, broker fleet.Broker, settings func() (config.Config, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	job.Figures.Hub(func(h *figures.Hub) { h.Standby, h.Copied = false, time.Time{} }) // it may have stood by before
	h, err := hub.New(ctx, hub.Options{
		DB: job.Store, Settings: c.Hub, Hostname: cmp.Or(c.Host, job.Hostname), Log: job.Log, Alarm: job.Alarm, Figures: job.Figures, Evidence: evidenceDir(job.StateDir),
		Page: servedPage(c, job.StateDir, settings, time.Now),
	})
	if err != nil {
		return fmt.Errorf("the hub: %w", err)
	}
	wait, err := h.Start(ctx)
	if err != nil {
		return withHint(fmt.Errorf("the hub: %w", err), listenHint(err))
	}
	served := make(chan error, 1)
	go func() {
		served <- wait()
		stop() // a worker that no host reaches is started anew
	}()
	taken := make(chan error, 1)
	go func() {
		var err error
		if broker != nil {
			if err = broker.Serve(ctx, c.Hub, h.Receiver(filepath.Join(job.StateDir, "hub", "rejected")), job.Log); err != nil {
				err = &settingsError{fmt.Errorf("hub: %w", err)}
				stop()
			}
		}
		taken <- err
	}()
	job.Inbox = h.Inbox()
	err = deliver.Run(ctx, job)
	stop()
	return cmp.Or(err, <-served, <-taken)
}

// evidenceDir is where a hub keeps what hosts saw before something was ended there.
func evidenceDir(stateDir string) string { return filepath.Join(stateDir, "evidence") }

// servedPage makes the pages that the hub's readers get, beside its worker: from a
// database of its own, which is opened to be read alone.
func servedPage(c config.Config, stateDir string, settings func() (config.Config, error), now func() time.Time) hub.MakePage {
	return func(ctx context.Context, o hub.PageOptions) ([]byte, error) {
		if fresh, err := settings(); err == nil { // else those before stay, as the worker's do
			c = fresh
		}
		at := now()
		page, err := gatherReport(ctx, c, stateDir, report.Options{Since: at.Add(-o.Since), Now: at, Mask: o.Mask})
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = page.HTML(&b)
		return b.Bytes(), err
	}
}

// listenHint says what to do about an address that the hub can't listen at.
func listenHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "a port below 1024 needs a right: sudo systemctl edit sshnotify, with AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet=CAP_NET_BIND_SERVICE below [Service]"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "listen in [hub] must be an address of this machine: ip -brief address"
	}
	return "see who has the address of listen in [hub]: ss -ltnp"
}
