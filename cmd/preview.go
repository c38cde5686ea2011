package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/slackmsg"
)

type previewOptions struct {
	app    *app
	ip     string
	user   string
	format string
}

func newPreviewCmd(a *app) *cobra.Command {
	o := previewOptions{app: a}
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show the message that a login would cause, without sending it",
		Long: long(`preview looks up an address with the providers of the settings, and prints the
message that a login from there would cause: the JSON that Slack would get, or
the text as it would look. Nothing is sent to a destination.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify preview --format text --user root --ip 203.0.113.7`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.ip, "ip", "203.0.113.7", "the `ADDRESS` that the login comes from")
	f.StringVar(&o.user, "user", "alice", "who logs in")
	f.StringVar(&o.format, "format", "json", "json (what Slack gets) or text (as it would look)")
	return c
}

func (o *previewOptions) run(ctx context.Context) error {
	ip, err := netip.ParseAddr(o.ip)
	if err != nil {
		return &usageError{fmt.Errorf("--ip: %q is not an IP address", o.ip)}
	}
	if o.format != "json" && o.format != "text" {
		return &usageError{fmt.Errorf("--format: %q is neither json nor text", o.format)}
	}
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	alert, err := a.sample(c, o.user, ip)
	if err != nil {
		return err
	}
	lookups, done, err := a.lookups(c)
	if err != nil {
		return err
	}
	defer done()
	alert.Facts = lookups.Lookup(ctx, alert.Event.Remote.IP)
	alert.Verdict = policy.Judge(policy.Input{Event: alert.Event, Facts: alert.Facts}, c.Policy())
	if o.format == "text" {
		_, err = fmt.Fprint(a.out, message.New(alert).Plain(a.colour))
		return err
	}
	raw, err := slackmsg.Build(message.New(alert)).JSON()
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, pretty.String())
	return err
}
