package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/slackmsg"
)

type previewOptions struct {
	app    *app
	kind   string
	ip     string
	user   string
	format string
	to     string
}

func newPreviewCmd(a *app) *cobra.Command {
	o := previewOptions{app: a}
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show what messages would look like, without sending one",
		Long: long(`preview looks up an address with the providers of the settings, and prints the
message that a login from there would cause: the JSON that Slack would get, or
the text as it would look. Other kinds of message are made up of the same user
and address. Nothing is sent to a destination. With --destination the words are
those of its templates; JSON is what Slack would get, whatever its type.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify preview --format text --user root --ip 203.0.113.7
  sshnotify preview --format text --kind critical
  sshnotify preview --format text --kind digest --destination mail`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&o.kind, "kind", "login", "the `KIND` of message: "+strings.Join(kinds(), ", "))
	f.StringVar(&o.ip, "ip", "203.0.113.7", "the `ADDRESS` that the login comes from")
	f.StringVar(&o.user, "user", "alice", "who logs in")
	f.StringVar(&o.to, "destination", "", "the `NAME` of a destination: in the words of its templates")
	f.StringVar(&o.format, "format", "json", "json (what Slack gets) or text (as it would look)")
	return c
}

func (o *previewOptions) run(ctx context.Context) error {
	if !slices.Contains(kinds(), o.kind) {
		return &usageError{fmt.Errorf("--kind: %q is none of %s", o.kind, strings.Join(kinds(), ", "))}
	}
	ip, err := address("--ip", o.ip)
	if err != nil {
		return err
	}
	if o.format != "json" && o.format != "text" {
		return &usageError{fmt.Errorf("--format: %q is neither json nor text", o.format)}
	}
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Destinations, func(d config.Destination) bool { return d.Name == o.to })
	if o.to != "" && i < 0 {
		return &usageError{fmt.Errorf("--destination: the settings name no destination %q", o.to)}
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
	become(o.kind, &alert)
	if from := alert.Event.Remote.IP; from.IsValid() {
		alert.Facts = lookups.Lookup(ctx, from)
	}
	alert.Verdict = policy.Judge(policy.Input{Event: alert.Event, Facts: alert.Facts}, c.Policy())
	if i >= 0 {
		alert.Own = c.Destinations[i].Templates.Of(alert)
	}
	for _, part := range message.Silent(alert) {
		fmt.Fprintf(a.err, "sshnotify: warning: the template says nothing of this message in its %s, which has the built-in one\n", part)
	}
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
