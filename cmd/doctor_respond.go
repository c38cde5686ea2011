package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/respond/order"
)

const (
	againRespond = "sudo sshnotify install --system --respond"
	// courierSilent is how long the hub may not have been asked for orders.
	courierSilent = 5 * time.Minute
	// ordersLie is how long an order may lie where root finds it.
	ordersLie = time.Minute
)

// takesOrders reports whether this host takes the orders that its settings allow.
func (x examined) takesOrders(ctx context.Context, r *doctor.Report, start string) {
	c := x.settings
	folder := order.In(x.spool)
	allows := len(c.Respond.Allow) > 0
	switch {
	case !allows && x.host.RespondInstalled():
		r.Warn("orders", "sudo systemctl disable --now sshnotify-respond.path, or allow in [respond]", "a service waits for orders of the hub, and the settings allow none")
		return
	case !allows:
		return
	case c.Hub.Brokered():
		r.Fail("orders", "take [respond] out of the settings, or hand over by https://", "hub.url names servers of NATS, over which no orders come: allow in [respond] does nothing")
		return
	case !c.Hub.Host():
		r.Fail("orders", "take [respond] out of the settings", "this host hands over to no hub, which would give orders: allow in [respond] does nothing")
		return
	case !x.whole:
		r.Fail("orders", "take [respond] out of the settings", "only the whole host's set-up takes orders, which root carries out")
		return
	case !folder.Exists():
		r.Fail("orders", againRespond, "allow in [respond] does nothing yet: no service carries orders out")
		return
	}
	t, err := x.app.trustsIn(c, x.config)
	if errors.Is(err, fs.ErrPermission) {
		r.OK("orders", "only root can look at what they are held against")
		return
	}
	if err != nil {
		r.Fail("orders", againRespond, "none is carried out: %v", err)
		return
	}
	if all, err := os.ReadDir(filepath.Join(string(folder), "new")); err == nil {
		for _, e := range all {
			if info, err := e.Info(); err == nil && r.Now.Sub(info.ModTime()) > ordersLie {
				r.Fail("orders", "systemctl status "+install.RespondPath+" "+install.RespondService+"; and then: sudo systemctl reset-failed "+install.RespondPath+" "+install.RespondService+" && sudo systemctl restart "+install.RespondPath,
					"one lies there since %s, and no service takes it", r.Ago(info.ModTime()))
				return
			}
		}
	}
	var st fleet.CourierStatus
	db, err := lookInto(x.state)
	if err == nil {
		defer db.Close()
		st, err = fleet.ReadCourierStatus(ctx, db)
	}
	what := strings.Join(t.allow, ", ")
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		r.Warn("orders", "", "%v", err)
	case !st.Failing.IsZero():
		r.Warn("orders", st.Hint, "the hub can't be asked since %s: %s", r.Ago(st.Failing), st.Why)
	case st.Asked.IsZero() && x.newHost(r.Now):
		r.OK("orders", "%s, of the hub with the CA %s, which is asked within a minute", what, order.Fingerprint(t.ca))
	case r.Now.Sub(st.Asked) > courierSilent:
		r.Warn("orders", start, "the worker does not ask the hub for any")
	default:
		r.OK("orders", "%s, of the hub with the CA %s", what, order.Fingerprint(t.ca))
	}
}

// givesOrders reports which hosts take a hub's orders, and what became of the newest.
func (x examined) givesOrders(ctx context.Context, r *doctor.Report) {
	db, err := lookInto(x.state)
	if err != nil {
		return // the hosts' own check says it
	}
	defer db.Close()
	takers, err := (&hub.Orders{DB: db}).Takers(ctx)
	var away []string
	for _, t := range takers {
		if t.Away(r.Now) {
			away = append(away, t.Host)
		}
	}
	switch {
	case err != nil:
		r.Warn("orders", "", "%v", err)
	case len(takers) == 0 && x.settings.Hub.NATS != "" && x.settings.Hub.Listen == "":
		r.OK("orders", "hosts take none over NATS")
	case len(takers) == 0:
		r.OK("orders", "no host takes any (sshnotify install --system --respond, there)")
	case len(away) > 0:
		r.Warn("orders", r.Command("fleet status"), "%d hosts take orders, and %d of them have not asked for any for minutes (%s)", len(takers), len(away), away[0])
	default:
		r.OK("orders", "hosts that take them: %d", len(takers))
	}
}
