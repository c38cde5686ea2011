package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sshnotify/sshnotify/install"
)

// changer is what install and uninstall have in common: how they are asked to
// go about it, and how they show what they do.
type changer struct {
	app    *app
	json   bool
	dryRun bool
	yes    bool
	system bool
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

// result is what --json prints of a set-up.
type result struct {
	Changed []install.Change  `json:"changed"`
	Undone  []install.Change  `json:"undone,omitempty"`
	Left    []install.Failure `json:"left,omitempty"`
	Failed  []install.Failure `json:"failed,omitempty"`
	Notes   []string          `json:"notes"`
	Queued  []waiting         `json:"queued,omitempty"` // events that went with the queue
	Seen    *sighting         `json:"seen,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func newResult(r install.Report) result {
	return result{
		Changed: append([]install.Change{}, r.Done...), Undone: r.Undone, Left: r.Left, Failed: r.Failed,
		Notes: append([]string{}, r.Notes...),
	}
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
