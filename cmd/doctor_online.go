package cmd

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// online reaches each provider. Channels bring checks of their own.
func (x examined) online(ctx context.Context, r *doctor.Report) {
	c := x.settings
	client := newClient(c, sendTimeout)
	for _, p := range c.Providers {
		x.reachProvider(ctx, r, client, p)
	}
	if len(c.Destinations)+len(c.Providers) == 0 {
		r.OK("online", "no destinations or providers configured")
	}
}

// reachProvider asks about a documentation address (RFC 5737). What is asked
// and answered is kept nowhere: the state folder is the service's.
func (x examined) reachProvider(ctx context.Context, r *doctor.Report, client *outbound.Client, p config.Provider) {
	name := "online " + p.Name
	t, err := askAbout(p, client)
	if err != nil {
		r.Fail(name, r.Command("config check"), "%v", err)
		return
	}
	e := enrich.New(enrich.Options{Providers: []enrich.Provider{t}, Timeout: x.settings.Enrich.Timeout})
	for _, got := range e.LookupAll(ctx, netip.AddrFrom4([4]byte{192, 0, 2, 1})) {
		if got.Err != nil {
			r.Fail(name, cmp.Or(got.Hint, r.Command("lookup 192.0.2.1")), "%v", got.Err)
			continue
		}
		r.OK(name, "it was asked about 192.0.2.1 and answered (%v)", got.Took.Round(time.Millisecond))
	}
}
