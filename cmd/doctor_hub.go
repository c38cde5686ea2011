package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/release"
)

// hubChecks returns the checks of a hub, or of a host that hands over to one. start is
// the command that starts the service anew.
func (x examined) hubChecks(start string) []doctor.Check {
	settings := func(run func(context.Context, *doctor.Report)) doctor.Check {
		return doctor.Check{Needs: doctor.NeedsSettings, Run: run}
	}
	takes := settings(func(ctx context.Context, r *doctor.Report) { x.takesOrders(ctx, r, start) })
	switch c := x.settings.Hub; {
	case c.Host() && c.Brokered(): // who it is, the brokers ask
		return []doctor.Check{settings(func(ctx context.Context, r *doctor.Report) { x.handedOver(ctx, r, start) }), takes}
	case c.Host():
		return []doctor.Check{
			settings(x.hubCertificate),
			settings(func(ctx context.Context, r *doctor.Report) { x.handedOver(ctx, r, start) }),
			settings(func(_ context.Context, r *doctor.Report) { x.standsBy(r, start) }),
			takes,
			{Needs: doctor.NeedsSettings | doctor.NeedsOnline, Run: x.reachesHub},
		}
	case c.Hub():
		return []doctor.Check{
			settings(func(ctx context.Context, r *doctor.Report) { x.hubServes(ctx, r, start) }),
			settings(x.hubIsOpen),
			settings(x.hubHosts),
			settings(func(ctx context.Context, r *doctor.Report) { x.hubInbox(ctx, r, start) }),
			settings(x.givesOrders),
		}
	}
	return []doctor.Check{takes}
}

const joinAgain = "sudo sshnotify fleet token at the hub, and here: sudo sshnotify fleet join URL --token-file -"

// hubCertificate looks at what this host shows its hub.
func (x examined) hubCertificate(_ context.Context, r *doctor.Report) {
	if !x.settings.Hub.Token.IsZero() {
		r.OK("hub token", "%s is shown a token of the settings", x.settings.Hub.URL)
		return
	}
	cert, err := fleet.CredentialsIn(x.state).Certificate()
	switch {
	case errors.Is(err, fs.ErrPermission):
		r.OK("hub certificate", "only root and the service can look at it")
	case err != nil:
		r.Fail("hub certificate", joinAgain, "%v", err)
	case r.Now.After(cert.NotAfter):
		r.Fail("hub certificate", joinAgain, "%s: it ended at %s", cert.Subject.CommonName, doctor.Stamp(cert.NotAfter))
	case r.Now.Before(cert.NotBefore):
		r.Fail("hub certificate", "timedatectl", "%s: it begins at %s: a clock is wrong, here or at the hub", cert.Subject.CommonName, doctor.Stamp(cert.NotBefore))
	case cert.NotAfter.Sub(r.Now) < endsSoon:
		r.Warn("hub certificate", r.Command("doctor --online"), "%s: it ends at %s, and has not been renewed", cert.Subject.CommonName, doctor.Stamp(cert.NotAfter))
	default:
		r.OK("hub certificate", "%s, until %s", cert.Subject.CommonName, doctor.Stamp(cert.NotAfter))
	}
}

// handedOver reports how handing over goes, as the worker wrote it down. What waits,
// the queue's check says.
func (x examined) handedOver(ctx context.Context, r *doctor.Report, start string) {
	var st fleet.Status
	db, err := lookInto(x.state)
	if err == nil {
		defer db.Close()
		st, err = fleet.ReadStatus(ctx, db)
	}
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		r.Warn("hub", "", "%v", err)
	case st.Reached.IsZero() && st.Failing.IsZero() && x.newHost(r.Now):
		r.OK("hub", "%s, which hears of this host within a minute, and then every %v", x.settings.Hub.URL, fleet.BeatEvery)
	case st.Reached.IsZero() && st.Failing.IsZero():
		r.Warn("hub", start, "nothing was handed over to %s yet", x.settings.Hub.URL)
	case !st.Failing.IsZero() && st.Class != fleet.Again:
		r.Fail("hub", st.Hint, "it takes nothing since %s: %s", r.Ago(st.Failing), st.Why)
	case !st.Failing.IsZero():
		r.Warn("hub", st.Hint, "it takes nothing since %s: %s; what comes is kept", r.Ago(st.Failing), st.Why)
	case r.Now.Sub(st.Reached) > fleet.SilentAfter:
		r.Warn("hub", start, "it last answered at %s, and is asked every %v", r.Ago(st.Reached), fleet.BeatEvery)
	default:
		r.OK("hub", "%s, which answered at %s", x.settings.Hub.URL, r.Ago(st.Reached))
	}
}

// newHost reports whether the settings are so new that the worker need not have asked
// the hub yet.
func (x examined) newHost(now time.Time) bool {
	return slices.ContainsFunc(x.settings.Files, func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && now.Sub(info.ModTime()) < fleet.BeatEvery
	})
}

// reachesHub asks the hub.
func (x examined) reachesHub(ctx context.Context, r *doctor.Report) {
	way := fleet.NewHTTPS(hubOptions(x.settings, x.state))
	defer way.Close()
	ahead, err := way.Reach(ctx)
	switch {
	case err != nil:
		hint := ""
		if e, ok := errors.AsType[*fleet.Error](err); ok {
			hint = e.Hint
		}
		r.Fail("online hub", hint, "%v", err)
	case ahead.Abs() > clockOff:
		r.Warn("online hub", "timedatectl, here and at the hub", "%s lets this host in; its clock is %v %s of this one", x.settings.Hub.URL, ahead.Abs(), map[bool]string{true: "ahead", false: "behind"}[ahead > 0])
	default:
		r.OK("online hub", "%s lets this host in", x.settings.Hub.URL)
	}
}

// hubServes asks the hub of this machine, and looks at what it shows hosts.
func (x examined) hubServes(ctx context.Context, r *doctor.Report, start string) {
	c := x.settings.Hub
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return // it takes events of brokers alone, or the settings' own check says it
	}
	ip := at.Addr()
	switch {
	case ip == netip.IPv4Unspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip.IsUnspecified():
		ip = netip.IPv6Loopback()
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	// What it shows is looked at below.
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}}
	conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(ip, at.Port()).String())
	if err != nil {
		r.Fail("hub", start, "nobody serves hosts at %s: %v", c.Listen, err)
		return
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
	r.OK("hub", "%s", c.Listen)
	what, hint := "hub certificate", start
	if c.CertFile != "" {
		hint = "put a new one into " + c.CertFile
	}
	for i, cert := range chain {
		if i > 0 && i == len(chain)-1 && c.CertFile == "" {
			what, hint = "hub CA", "hosts join anew before that: sshnotify fleet token"
		} else if i > 0 {
			continue
		}
		switch {
		case r.Now.After(cert.NotAfter):
			r.Fail(what, hint, "it ended at %s", doctor.Stamp(cert.NotAfter))
		case cert.NotAfter.Sub(r.Now) < endsSoon:
			r.Warn(what, hint, "it ends at %s", doctor.Stamp(cert.NotAfter))
		case i == 0 && unnamed(cert, c.Names) != "":
			r.Fail(what, hint, "it is not for %s, as hosts call the hub", unnamed(cert, c.Names))
		default:
			r.OK(what, "until %s", doctor.Stamp(cert.NotAfter))
		}
	}
}

// unnamed returns a name that a certificate is not for; "" if it is for all.
func unnamed(cert *x509.Certificate, names []string) string {
	for _, n := range names {
		if cert.VerifyHostname(n) != nil {
			return n
		}
	}
	return ""
}

// hubIsOpen warns of a hub that all the world reaches, on a machine that has an inner
// address, too.
func (x examined) hubIsOpen(_ context.Context, r *doctor.Report) {
	at, err := netip.ParseAddrPort(x.settings.Hub.Listen)
	if err != nil || !at.Addr().IsUnspecified() && !isPublic(at.Addr()) {
		return
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	var public, inner netip.Addr
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		switch ip := p.Addr(); {
		case err != nil:
		case isPublic(ip) && !public.IsValid():
			public = ip
		case ip.IsPrivate() && !inner.IsValid():
			inner = ip
		}
	}
	if public.IsValid() && inner.IsValid() {
		r.Warn("hub address", fmt.Sprintf("listen = %q in [hub], or a firewall that lets the hosts alone through", netip.AddrPortFrom(inner, at.Port())),
			"all the world reaches it at %s, and this machine has the inner address %s", public, inner)
	}
}

func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(ip)
}

// hubHosts reports how many hosts need somebody.
func (x examined) hubHosts(ctx context.Context, r *doctor.Report) {
	db, err := lookInto(x.state)
	if err != nil {
		r.Warn("hosts", "", "%v", err)
		return
	}
	defer db.Close()
	hosts, err := hub.NewRegistry(db).Hosts(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	n, worst := map[hostState]int{}, ""
	for _, h := range statuses(hosts, release.Version(), r.Now) {
		n[h.State]++
		if worst == "" && h.State > hostWell {
			worst = h.Name + ": " + h.Problems[0]
		}
	}
	show := r.Command("fleet status")
	switch in := n[hostFail] + n[hostLook] + n[hostWell]; {
	case err != nil:
		r.Warn("hosts", "", "%v", err)
	case in == 0:
		r.OK("hosts", "none has joined: sshnotify fleet token makes what one joins with")
	case n[hostFail] > 0:
		r.Fail("hosts", show, "%d of %d may be untold (%s)", n[hostFail], in, worst)
	case n[hostLook] > 0:
		r.Warn("hosts", show, "%d of %d to look at (%s)", n[hostLook], in, worst)
	default:
		r.OK("hosts", "%d", in)
	}
}

// standsBy reports how old a host's copy of the hub's database is.
func (x examined) standsBy(r *doctor.Report, start string) {
	if !x.settings.Hub.Standby {
		return
	}
	f, _ := figures.Read(x.state) // without them there was no copy
	switch h := f.Hub; {
	case h == nil || h.Copied.IsZero():
		r.Fail("standby", start, "there is no copy of the hub's database")
	case r.Now.Sub(h.Copied) > copyOld:
		r.Warn("standby", "journalctl -u sshnotify -n 20", "the copy of the hub's database is of %s", r.Ago(h.Copied))
	default:
		r.OK("standby", "the copy of the hub's database is of %s", r.Ago(h.Copied))
	}
}

// hubInbox reports what waits at the hub.
func (x examined) hubInbox(ctx context.Context, r *doctor.Report, start string) {
	db, err := lookInto(x.state)
	var waiting int
	var oldest time.Time
	if err == nil {
		defer db.Close()
		waiting, oldest, err = hub.NewRegistry(db).Inbox(ctx)
	}
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist): // there was no hub yet
		r.Warn("inbox", "", "%v", err)
	case !oldest.IsZero() && r.Now.Sub(oldest) > waitsLong:
		r.Warn("inbox", start, "%d events of hosts wait for the worker, the oldest since %s", waiting, r.Ago(oldest))
	default:
		r.OK("inbox", "%d events of hosts wait for the worker", waiting)
	}
}

// copyOld is five times what passes between two copies.
const copyOld = 15 * time.Minute
