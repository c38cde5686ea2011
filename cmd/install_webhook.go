package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// maxSecret is far above the length of any webhook URL, or token.
const maxSecret = 8 << 10

// askTimes is how often a wrong answer is asked about again.
const askTimes = 3

const whereWebhook = "make an incoming webhook at https://api.slack.com/apps, then: sshnotify install --webhook-url-file FILE (or - for standard input)"

// given reads the webhook URL that the command line names; zero if none.
func (o *installOptions) given(ctx context.Context) (outbound.Secret, error) {
	var raw, what string
	switch {
	case o.webhookURL != "":
		raw, what = o.webhookURL, "--webhook-url"
		o.warn("a secret on a command line stands in the process list, and in the shell's history",
			"--webhook-url-file FILE, or - for standard input, keeps it out of both")
	case o.webhookFile != "":
		what = "--webhook-url-file"
		b, err := o.readSecret(ctx, o.webhookFile, "Webhook URL")
		if err != nil {
			return outbound.Secret{}, fmt.Errorf("--webhook-url-file: %w", err)
		}
		raw = string(b)
	default:
		return outbound.Secret{}, nil
	}
	s, err := checkWebhook(raw)
	if err != nil {
		return s, &usageError{withHint(fmt.Errorf("%s: %w", what, err), whereWebhook)}
	}
	o.strangeHost(s)
	return s, nil
}

// readSecret reads the file that a flag names, and warns where others can read it. "-"
// is standard input, where a person at a terminal is asked for what it is.
func (c *changer) readSecret(ctx context.Context, file, what string) ([]byte, error) {
	if file == "-" {
		if q := c.app.terminal(); q != nil {
			s, err := q.secret(ctx, what+" (not shown): ")
			return []byte(s), err
		}
		return io.ReadAll(io.LimitReader(c.app.in, maxSecret))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0 {
		c.warn("others can read "+file, "it is copied, and can go: rm "+file)
	}
	return io.ReadAll(io.LimitReader(f, maxSecret))
}

// checkWebhook looks at the form of a webhook URL. Its errors do not show it.
func checkWebhook(raw string) (outbound.Secret, error) {
	raw = strings.TrimSpace(raw)
	switch {
	case raw == "":
		return outbound.Secret{}, errors.New("the webhook URL is empty")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }):
		return outbound.Secret{}, errors.New("the webhook URL contains white space or a character that is not allowed in a URL")
	}
	if err := outbound.CheckURL(raw); err != nil {
		return outbound.Secret{}, err
	}
	return outbound.NewSecret(raw), nil
}

// strangeHost warns of a URL that does not look like Slack's: it may be a
// relay's.
func (o *installOptions) strangeHost(s outbound.Secret) {
	if channel.KnownSlackHost(s) {
		return
	}
	if u, err := url.Parse(s.Reveal()); err == nil {
		o.warn(fmt.Sprintf("the webhook leads to %s: Slack's begin with https://hooks.slack.com/services/", u.Hostname()),
			"that is right for a relay that speaks Slack's language only")
	}
}

// tryOut sends a test message where that is wanted, before anything is changed.
func (o *installOptions) tryOut(ctx context.Context, s *setup, to *chosen, q *prompter) error {
	c := s.settings
	if to != nil {
		var err error
		if c, err = to.settings(); err != nil {
			return err
		}
	}
	asked := false
	switch {
	case o.noTest || o.dryRun || !o.test && q == nil:
		return nil
	case o.test && to == nil && s.image():
		return &usageError{errors.New("--test: the settings of an image are not read; test where it runs: sshnotify test")}
	case !o.test:
		if to == nil {
			return nil // it was set up before
		}
		yes, err := q.yes(ctx, "Send a test message now?", true)
		if err != nil || !yes {
			return err
		}
		asked = true
	}
	err := o.sendTests(ctx, c)
	if err == nil {
		return nil
	}
	if !asked {
		return withHint(fmt.Errorf("the test message did not arrive, nothing was changed: %w", err), "--no-test sets it up all the same")
	}
	fmt.Fprintf(q.out, "It did not arrive: %v\n", err)
	if yes, err := q.yes(ctx, "Set it up all the same?", false); err != nil || yes {
		return err
	}
	return withHint(errors.New("nothing was changed"), "sshnotify install asks again; docs/channels.md says what each destination needs")
}

// sendTests sends a sample to each destination of the settings.
func (o *installOptions) sendTests(ctx context.Context, c config.Config) error {
	targets, err := destinations(c)
	if err != nil {
		return err
	}
	alert, err := o.app.testMessage(c)
	if err != nil {
		return err
	}
	for _, t := range targets {
		start := time.Now()
		if _, err := t.Dest.Send(ctx, alert); err != nil {
			return fmt.Errorf("%s: %w", t.Dest.Name(), err)
		}
		o.say("a test message was sent to %s (%v)", t.Dest.Name(), time.Since(start).Round(time.Millisecond))
	}
	return nil
}

// notUsed warns of a webhook URL that other settings stand in the way of.
func (o *installOptions) notUsed(s *setup, url outbound.Secret) {
	if url.IsZero() || s.broken != nil {
		return
	}
	for _, d := range s.settings.Destinations {
		if s, ok := d.Settings.(*channel.Slack); ok && s.WebhookURL.Equal(url) {
			return
		}
	}
	o.warn("there are settings already, which stay as they are: the webhook URL is not used",
		"put it where "+s.config+" says, or move that file away and install again")
}
