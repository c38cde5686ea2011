package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/paths"
)

type confirmOptions struct {
	app   *app
	state string
	ask   *prompter // nil: nobody to ask
}

func newConfirmCmd(a *app) *cobra.Command {
	o := confirmOptions{app: a}
	c := &cobra.Command{
		Use:   "confirm [CODE]",
		Short: "Confirm in its own session that a login was yours",
		Long: long(`confirm takes the code that Slack shows to whoever says "It was me", where the
settings have confirm = "code". It counts in the session of that login alone: which
one this is, the kernel says. Without a CODE it asks for it.`,
			`Any user may run it. A code that is typed in another session is taken back.
In a tmux or screen that was begun by an earlier login, run it outside.`,
			`On a host that hands over to a hub, the hub knows the code, and Slack shows what
came of it.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify confirm 482913`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := notEmpty(c, "state"); err != nil {
				return err
			}
			o.ask = a.terminal()
			return o.run(c.Context(), strings.Join(args, ""))
		},
	}
	c.Flags().StringVar(&o.state, "state", "", "state folder `DIR` of the worker (default: the account's own, and the host's)")
	return c
}

// confirmTimeout is longer than the worker takes.
const confirmTimeout = 15 * time.Second

func (o *confirmOptions) run(ctx context.Context, code string) (err error) {
	if code == "" {
		if o.ask == nil {
			return withHint(&usageError{errors.New("the CODE is missing")}, "sshnotify confirm 482913, with the code that Slack shows")
		}
		if code, err = o.ask.line(ctx, "The code that Slack shows: "); err != nil {
			return err
		}
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	if !asked.ValidCode(code) {
		return withHint(&usageError{fmt.Errorf("%q is no code: one has six digits", code)}, "it stands below the message in which you pressed \"It was me\"")
	}
	dirs, err := o.workers()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	var r asked.Reply
	answered := false
	for _, dir := range dirs {
		got, failed := o.typeAt(ctx, dir, code)
		if failed != nil {
			err = failed
			continue
		}
		r, answered = got, true
		if r.Became != asked.NoLogin && r.Became != asked.NotWanted {
			break
		}
	}
	if !answered {
		return withHint(fmt.Errorf("no worker of this host takes codes: %w", err), `it does where confirm = "code" is set, or where it hands over to a hub; sudo sshnotify doctor --system says whether it runs`)
	}
	return o.say(r)
}

// workers returns the state folders of those who may take a code.
func (o *confirmOptions) workers() ([]string, error) {
	check := checkOptions{app: o.app, state: o.state}
	own, _, _, err := check.places()
	if err != nil {
		return nil, err
	}
	if host := (paths.User{}).StateDir(); o.state == "" && o.app.configFile == "" && own != host {
		if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
			return []string{host}, nil
		}
		return []string{own, host}, nil
	}
	return []string{own}, nil
}

func (o *confirmOptions) typeAt(ctx context.Context, dir, code string) (asked.Reply, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return asked.Reply{}, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	return asked.Type(ctx, dir, int(st.Uid), code)
}

func (o *confirmOptions) say(r asked.Reply) error {
	switch r.Became {
	case asked.Right:
		fmt.Fprintln(o.app.out, "confirmed: this login was yours")
		return nil
	case asked.Passed:
		fmt.Fprintln(o.app.out, "handed over to the hub; Slack shows what came of it")
		return nil
	case asked.Wrong:
		if r.Left <= 0 {
			return withHint(errors.New("a wrong code, and the last one: it counts no more"), `press "It was me" again for another`)
		}
		return withHint(fmt.Errorf("a wrong code; %d more may be typed", r.Left), "look at the message in Slack again: it is about the session in which you are")
	case asked.NoLogin:
		return withHint(errors.New("this is no SSH session that was told of"), "run it in the session that Slack asks about, outside of a tmux or screen of an earlier login; of one that began a moment ago, again")
	case asked.TooOften:
		return withHint(errors.New("too many codes were typed"), "try again in a minute")
	case asked.NotWanted:
		return withHint(errors.New("nobody waits for a code from this session"), `press "It was me" in Slack first; the message is about another login, or the code was for five minutes and they are over`)
	}
	return withHint(errors.New("the code can't be written down now"), "sudo sshnotify doctor --system; then type it again")
}
