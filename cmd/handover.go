package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/release"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

// hubOptions say how this host reaches its hub.
func hubOptions(c config.Config, stateDir string) fleet.HTTPSOptions {
	return fleet.HTTPSOptions{
		URL: c.Hub.URL, Token: c.Hub.Token, Credentials: fleet.CredentialsIn(stateDir),
		Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent(),
	}
}

// handingOver is how a host whose settings name a hub gives its events to it.
func (a *app) handingOver(c config.Config, stateDir string, db *store.DB) (deliver.HandingOver, error) {
	broker, err := a.brokerOf(c.Hub)
	if err != nil {
		return deliver.HandingOver{}, err
	}
	var way fleet.Transport = fleet.NewHTTPS(hubOptions(c, stateDir))
	if broker != nil {
		if way, err = broker.Dial(c.Hub); err != nil {
			return deliver.HandingOver{}, &settingsError{err}
		}
	}
	return deliver.HandingOver{
		Hub:        fleet.NewOutbox(db, way),
		AloneAfter: c.Hub.AloneAfter,
		Beat:       fleet.Beat{Version: release.Version(), Settings: settingsHash(c.Files)},
	}, nil
}

// carryOrders returns what fetches the hub's orders for root, and hands evidence over; nil
// where this host takes none.
func (a *app) carryOrders(c config.Config, spoolDir, stateDir string, db *store.DB, log *slog.Logger) func(context.Context, deliver.Tell) {
	folder := order.In(spoolDir)
	if !c.Hub.Host() || c.Hub.Brokered() || len(c.Respond.Allow) == 0 || !folder.Exists() {
		return nil
	}
	o := hubOptions(c, stateDir)
	o.Patience = fleet.CourierPatience
	courier := &fleet.Courier{Way: fleet.NewHTTPS(o), Folder: folder, Allow: c.Respond.Allow, DB: db, Log: log, Watch: deliver.Watch}
	return func(ctx context.Context, _ deliver.Tell) { courier.Run(ctx) }
}

// standBy keeps a copy of the hub's database until the context ends. That there is none
// is said once, and by doctor and check.
func standBy(ctx context.Context, c config.Config, job deliver.Job) {
	job.Figures.Hub(func(h *figures.Hub) { h.Standby = true })
	said := false
	go fleet.NewStandby(hubOptions(c, job.StateDir)).Keep(ctx, func(at time.Time, err error) {
		if err == nil {
			said = false
			job.Figures.Hub(func(h *figures.Hub) { h.Copied = at.UTC() })
			return
		}
		job.Log.Warn("the hub's database can't be copied", "error", err)
		if !said {
			said = true
			job.Alarm(fmt.Sprintf("the hub's database can't be copied: %v", err))
		}
	})
}

// handOverWarnings say what has no effect in the settings of a host that hands over.
func handOverWarnings(c config.Config) (all []string) {
	if !c.Hub.Host() {
		return nil
	}
	var own []string
	for _, d := range c.AlertDestinations() {
		own = append(own, d.Name)
	}
	switch alone := c.Hub.AloneAfter > 0; {
	case !alone && len(own) > 0:
		all = append(all, fmt.Sprintf("destinations are not used, because the hub tells: %s; with alert_alone of [hub] they tell what is high or critical while it is away", strings.Join(own, ", ")))
	case alone && len(own) == 0:
		all = append(all, "hub.alert_alone: the settings name no destination, so that the system log has what is high or critical while the hub is away")
	}
	if len(c.Publish.Destinations) > 0 {
		all = append(all, "publish.destination is not used, because the hub tells")
	}
	if m := c.Heartbeat.Message; m != "" && m != heartbeat.None {
		all = append(all, "heartbeat.message is not used: the hub tells when this host falls silent")
	}
	return all
}

// settingsHash tells whether two hosts have the same settings. A file that can't be
// read counts as none.
func settingsHash(files []string) string {
	sum := sha256.New()
	for _, name := range files {
		b, _ := os.ReadFile(name)
		one := sha256.Sum256(b)
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
