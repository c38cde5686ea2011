package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// clockOff is how far a clock may be from a server's before a certificate, or
// the order of events, is at risk.
const clockOff = 2 * time.Minute

// online reaches each destination and each provider.
func (x examined) online(ctx context.Context, r *doctor.Report) {
	c := x.settings
	client := outbound.New(outbound.Options{
		Timeout: sendTimeout, Proxy: c.Outbound.Proxy, RootCAs: c.Outbound.RootCAs, UserAgent: userAgent(),
	})
	for _, d := range c.Destinations {
		if d.Type == config.DestinationSlack {
			x.reachSlack(ctx, r, client, d)
		}
	}
	for _, p := range c.Providers {
		x.reachProvider(ctx, r, client, p)
	}
	if len(c.Destinations)+len(c.Providers) == 0 {
		r.OK("online", "no destinations or providers configured")
	}
}

// reachSlack sends an empty message: Slack looks at the webhook first, and
// then reports that there is no text
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// Another host might post it, and is asked for its front page only.
func (x examined) reachSlack(ctx context.Context, r *doctor.Report, client *outbound.Client, d config.Destination) {
	name := "online " + d.Name
	req := outbound.Request{
		Method: http.MethodPost, Purpose: "doctor", URL: d.WebhookURL, Body: []byte("{}"), MaxBody: 4 << 10,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
	}
	slack := channel.KnownSlackHost(d.WebhookURL)
	if !slack {
		u, err := url.Parse(d.WebhookURL.Reveal())
		if err != nil {
			r.Fail(name, r.Command("config check"), "the webhook is not a URL")
			return
		}
		front := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
		req = outbound.Request{Method: http.MethodHead, Purpose: "doctor", URL: outbound.NewSecret(front.String()), MaxBody: 4 << 10}
	}
	start := time.Now()
	answer, err := client.Do(ctx, req)
	if err != nil {
		r.Fail(name, reachHint(err, d.WebhookURL), "%v", err)
		return
	}
	took := time.Since(start).Round(time.Millisecond)
	serverClock(r, answer)
	if !slack {
		r.OK(name, "its host answers (%v); whether it takes messages says only: %s", took, r.Command("test"))
		return
	}
	said := answer.Excerpt(60)
	switch word := said; {
	case answer.Status == http.StatusBadRequest && (word == "no_text" || word == "missing_text_or_fallback_or_attachments" || word == "invalid_payload"):
		r.OK(name, "Slack knows the webhook (%v); an empty message was sent, which it refused without posting it", took)
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		r.Warn(name, r.Command("doctor --online"), "Slack is reached, and says HTTP %d %q", answer.Status, said)
	default:
		r.Fail(name, "make a new webhook at https://api.slack.com/apps, and put its URL where "+x.config+" says",
			"Slack does not take messages for this webhook: HTTP %d %q", answer.Status, said)
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

// reachHint returns what to try where a host was not reached.
func reachHint(err error, at outbound.Secret) string {
	var e *outbound.Error
	u, bad := url.Parse(at.Reveal())
	if !errors.As(err, &e) || e.Host == "" || bad != nil {
		return ""
	}
	return fmt.Sprintf("curl -sS -o /dev/null %s://%s/", u.Scheme, e.Host)
}

// serverClock compares this machine's clock with a server's, which counts in
// seconds.
func serverClock(r *doctor.Report, answer *outbound.Response) {
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	if off := time.Since(at); off > clockOff || off < -clockOff {
		r.Fail("clock online", "sudo timedatectl set-ntp true", "it is %v away from the server's", off.Round(time.Second))
	}
}
