package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/message"
)

func newDenyCmd(a *app) *cobra.Command {
	o := ackOptions{queue: queueOptions{app: a}, now: time.Now, host: login.Live()}
	c := &cobra.Command{
		Use:   "deny REF",
		Short: "Say of a login that it was not you",
		Long: long(`deny says of a login "that was not me": it becomes critical, and all destinations
are told so at once. Its user, network and key are new again, whatever was
acknowledged of them. It is what the button "It wasn't me" in Slack does.`,
			`It is remembered who said so. sshnotify ack REF takes it back.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example:           `  sshnotify deny 7K3F --note "alice is on a plane"`,
		Args:              needsOne,
		ValidArgsFunction: o.queue.completeRefs,
		RunE:              func(c *cobra.Command, args []string) error { return o.deny(c.Context(), args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.note, "note", "", "`TEXT` that is told with it")
	f.StringVar(&o.queue.spoolDir, "spool", "", "spool `DIR` (default: from the settings)")
	f.BoolVar(&o.noWorker, "no-worker", false, "don't start a worker")
	return c
}

func (o *ackOptions) deny(ctx context.Context, ref string) error {
	if strings.TrimSpace(ref) == "" {
		return &usageError{errors.New("the REF is empty")}
	}
	a := o.queue.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	if c.Hub.Host() {
		return withHint(errors.New("this host hands over to a hub, which remembers"), "run it there: "+c.Hub.URL)
	}
	by, _ := o.host.Account()
	by = cmp.Or(by, "somebody")
	dir := a.spoolDir(o.queue.spoolDir, c)
	var e history.Entry
	err = a.asOwner(dir, a.stateDir(c), func() error {
		db, err := o.memory(c)
		if err != nil {
			return err
		}
		defer db.Close()
		found, err := o.find(ctx, c, db, []string{ref})
		if err != nil {
			return err
		}
		e = found[0]
		return historyError(db.Deny(ctx, e.ID, o.now()))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "denied: %s\n", spokenOf(e))
	n := message.Denied(spokenOf(e), by, o.note)
	n.Of = e.ID
	err = a.enqueue(dir, event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: o.now(), Host: e.Host, User: by, Via: event.ViaSelf, Alert: &n})
	if err != nil {
		return withHint(err, "it is remembered, and nobody is told of it")
	}
	if o.noWorker {
		return nil
	}
	return a.ensureWorker(dir)
}
