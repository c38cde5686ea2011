package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/history"
)

type historyForget struct {
	app *app
	ask *prompter // nil: nobody to ask
	now func() time.Time

	user, ip, before string
	yes, json        bool
}

// notForgotten is what the memory does not hold.
const notForgotten = "the queue, dead letters and messages that were sent are not touched; the look-ups of addresses are kept for enrich.cache_ttl"

func newHistoryForgetCmd(a *app) *cobra.Command {
	o := historyForget{app: a, now: time.Now}
	c := &cobra.Command{
		Use:   "forget {--user NAME | --ip ADDRESS | --before TIME}",
		Short: "Forget the logins of a user or an address",
		Long: long(`forget removes logins from the history for good, and leaves no trace of them in
its file: those that match all the flags, of which at least one is required. It
prints how many there are and asks first; without a terminal, --yes is required.
Damaged databases that were moved aside are removed too, since nothing can be
taken out of them.`,
			`What waits in the queue, dead letters and messages that were sent are not
touched: sshnotify queue drop removes the first two. Nor are wtmp and the logs,
from which an import would bring the logins back, and backups. Answers of
look-ups are kept for enrich.cache_ttl.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify history forget --user alice
  sshnotify history forget --ip 203.0.113.0/24 --before 90d --yes`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notEmpty(c, "user", "ip", "before"); err != nil {
				return err
			}
			o.ask = a.terminal()
			return o.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.user, "user", "", "logins of `NAME`")
	f.StringVar(&o.ip, "ip", "", "logins from this `ADDRESS` or network")
	f.StringVar(&o.before, "before", "", "logins before this `TIME`: how long ago (90d), or a date")
	f.BoolVar(&o.yes, "yes", false, "don't ask")
	f.BoolVar(&o.json, "json", false, "print what was done as JSON")
	return c
}

// forgotten is what --json prints.
type forgotten struct {
	Matched   int `json:"matched"`
	Forgotten int `json:"forgotten"`
}

func (o *historyForget) run(ctx context.Context) error {
	a := o.app
	if o.user == "" && o.ip == "" && o.before == "" {
		return withHint(&usageError{errors.New("nothing says which logins to forget")}, "give --user NAME, --ip ADDRESS or --before TIME")
	}
	c, err := a.settings()
	if err != nil {
		return err
	}
	f := history.Filter{User: o.user}
	if f.IP, err = network(o.ip); err != nil {
		return err
	}
	if f.Until, err = moment(o.before, o.now(), c.Zone()); err != nil {
		return err
	}
	n := 0
	db, err := a.recall(c)
	if err == nil {
		n, err = count(ctx, db, f)
		db.Close()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o.say(0, 0, "nothing is remembered")
	case err != nil:
		return historyError(err)
	case n == 0 && !o.yes: // with it, what an earlier attempt left in the file is cleaned up
		return o.say(0, 0, "no login that is remembered matches")
	}
	if !o.yes {
		if err := o.confirm(ctx, n); err != nil {
			return err
		}
	}
	if db, err = history.Open(databaseFile(a.stateDir(c)), c.History.Options(c.Zone())); err != nil {
		return err
	}
	defer db.Close()
	done, err := db.Forget(ctx, f)
	if serr := o.say(n, done, logins(done)+" forgotten; "+notForgotten); serr != nil {
		return serr
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		return withHint(historyError(err), "the same again, with --yes, does what remains to be done")
	}
	return nil
}

func count(ctx context.Context, db *history.DB, f history.Filter) (int, error) {
	n := 0
	for _, err := range db.List(ctx, f) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// confirm asks; nil means yes.
func (o *historyForget) confirm(ctx context.Context, n int) error {
	if o.ask == nil {
		err := o.say(n, 0, logins(n)+" would be forgotten")
		return errors.Join(err, withHint(&usageError{errors.New("nobody to ask, nothing was forgotten")}, "--yes forgets without asking"))
	}
	yes, err := o.ask.yes(ctx, "forget "+logins(n)+"? ("+notForgotten+")", false)
	if err != nil {
		return err
	}
	if !yes {
		return errors.New("nothing was forgotten")
	}
	return nil
}

func (o *historyForget) say(matched, done int, text string) error {
	if o.json {
		return json.NewEncoder(o.app.out).Encode(forgotten{matched, done})
	}
	_, err := fmt.Fprintln(o.app.out, text)
	return err
}

// logins counts them.
func logins(n int) string {
	return strings.TrimSuffix(fmt.Sprintf("%d logins", n), map[bool]string{true: "s"}[n == 1])
}
