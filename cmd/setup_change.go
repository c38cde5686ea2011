package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sshnotify/sshnotify/install"
)

// changer is what install and uninstall have in common: where the set-up
// stands, how they are asked to go about it, and how they show what they do.
type changer struct {
	setter
	ask func() *prompter

	system, dryRun, json, yes bool
	root                      string
}

func newChanger(a *app) changer { return changer{setter: newSetter(a), ask: a.terminal} }

// addFlags adds the flags that both have; system says what --system does.
func (c *changer) addFlags(f *pflag.FlagSet, system string) {
	f.BoolVar(&c.system, "system", false, system)
	f.StringVar(&c.root, "root", "", "work on a host image in `DIR`; none of its commands is run")
	f.BoolVar(&c.dryRun, "dry-run", false, "show every change as a unified diff, and change nothing")
	f.BoolVar(&c.json, "json", false, "print what was changed as a JSON object")
	f.BoolVar(&c.yes, "yes", false, "ask nothing")
}

// find finds the set-up that is meant.
func (c *changer) find(shells []string) (*setup, error) {
	if c.system {
		return c.hostSetup(c.root)
	}
	return c.accountSetup(c.root, shells)
}

// prompter returns whom to ask; nil where nothing is to be asked.
func (c *changer) prompter() *prompter {
	if c.yes || c.json {
		return nil
	}
	return c.ask()
}

// confirm shows a plan, and asks whether it shall be carried out. Without a
// person to ask, or anything to do, it shall.
func (c *changer) confirm(ctx context.Context, q *prompter, p install.Plan) error {
	if q == nil || p.Empty() {
		return nil
	}
	for _, change := range p.Changes {
		fmt.Fprintln(q.out, " ", change)
	}
	if yes, err := q.yes(ctx, "Make these changes?", false); err != nil || !yes {
		return cmp.Or(err, error(&silentError{exitFailed}))
	}
	return nil
}

// apply carries a plan out, shows what was done, and begins the document that
// --json prints.
func (c *changer) apply(ctx context.Context, s *setup, p install.Plan) (result, error) {
	r, err := p.Apply(ctx, s.host)
	doc := result{Report: r}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted, what was changed was taken back")
	}
	if err != nil {
		doc.Error = err.Error()
	}
	if !c.json {
		c.showReport(r, err)
	}
	return doc, c.hinted(err)
}

// finish prints the document where --json asks for it, and returns err.
func (c *changer) finish(doc result, err error) error {
	if !c.json {
		return err
	}
	return errors.Join(err, c.document(doc))
}

// say tells a person something; --json has standard output for itself.
func (c *changer) say(format string, args ...any) {
	w := io.Writer(c.app.out)
	if c.json {
		w = c.app.err
	}
	fmt.Fprintf(w, format+"\n", args...)
}

func (c *changer) warn(text string, hints ...string) {
	fmt.Fprintf(c.app.err, "sshnotify: warning: %s\n", text)
	for _, h := range hints {
		fmt.Fprintf(c.app.err, "sshnotify: hint: %s\n", h)
	}
}

func (c *changer) document(doc any) error {
	enc := json.NewEncoder(c.app.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}

// showPlan is what --dry-run prints: a patch, with all else as comments.
func (c *changer) showPlan(p install.Plan) error {
	if c.json {
		return c.document(p)
	}
	if p.Empty() {
		c.say("# nothing to do")
	}
	fmt.Fprint(c.app.out, p.Diff())
	for _, n := range p.Notes {
		c.say("# note: %s", strings.ReplaceAll(n, "\n", "\n# "))
	}
	return nil
}

// result is what --json prints of a change.
type result struct {
	install.Report
	Queued []waiting `json:"queued,omitempty"` // events that went with the queue
	Joined string    `json:"joined,omitempty"` // the name that the host has at the hub since
	Seen   *sighting `json:"seen,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// showReport says what was changed, a line each. err is what ended it early.
func (c *changer) showReport(r install.Report, err error) {
	for _, d := range r.Done {
		c.say("%s", d)
	}
	for _, d := range r.Undone {
		c.say("taken back: %s", d)
	}
	for _, f := range r.Left {
		c.warn(fmt.Sprintf("this could not be taken back: %s: %v", f.Change, f.Err))
	}
	for _, f := range r.Failed {
		c.warn(fmt.Sprintf("%s: %v", f.Change, f.Err))
	}
	if err == nil {
		for _, n := range r.Notes {
			c.say("note: %s", n)
		}
	}
}

// hinted adds what to do to an error of package install.
func (c *changer) hinted(err error) error {
	var (
		host  *install.HostError
		pam   *install.PAMError
		shell *install.ShellError
	)
	again := "sshnotify install"
	if c.system {
		again = "sudo sshnotify install --system"
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &host) && host.Do != "":
		return withHint(err, host.Do)
	case errors.As(err, &pam) && pam.Line != "":
		return withHint(err, "if you know that it is right there, add this line by hand: "+pam.Line)
	case errors.As(err, &shell) && shell.Line != "":
		return withHint(err, "name a shell: sshnotify install --shell bash", "or, for one like sh, put this where it reads it at each login:\n"+shell.Line)
	case errors.Is(err, install.ErrDamaged):
		return withHint(err, "take what is left of the block out of the file by hand, then: "+again)
	case errors.Is(err, install.ErrChanged):
		return withHint(err, "nothing of it stands; try again: "+again)
	}
	return err
}
