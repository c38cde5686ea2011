package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Action is what a change does. The names are part of --json's output.
type Action string

// The actions.
const (
	Write  Action = "write"  // a file gets new content, or is made
	Remove Action = "remove" // a file is taken away
	Mkdir  Action = "mkdir"  // a folder is made
	Rmdir  Action = "rmdir"  // a folder is taken away if it is empty
	Owning Action = "owner"  // a file or folder gets another owner or mode
	Purge  Action = "purge"  // a folder is taken away with all that is in it
	Link   Action = "link"   // a symbolic link is made; New is its target
	Unlink Action = "unlink" // a symbolic link is taken away; Old is its target
	Run    Action = "run"    // a command is run
)

// Change is one thing that a plan does to the host.
type Change struct {
	Action Action
	Path   string // without links; "" for Run
	// Mode and Owner are what a file or folder shall have; for a file that is
	// edited, what it has.
	Mode  fs.FileMode
	Owner Owner
	// Old and New are the contents for Write and Remove, the targets for Link
	// and Unlink, and the crontab for a Run that changes it. Old of a file must still be there when the plan is applied.
	Old, New []byte
	// Existed is false where Write makes the file.
	Existed bool
	// Hidden contents are shown to nobody: they are secret, or a program.
	Hidden bool
	// Command is for Run; Undo, where there is one, takes it back.
	Command, Undo Command
	// Why is half a sentence for people: "the hook in PAM's stack of sshd".
	Why string

	mayFail bool // a failure is told and does not end the plan
	// proof says whether a command did what it was run for, where its exit
	// status does not.
	proof func(Host) error
}

// hasText reports whether a change is one of a text: of a file, or of a crontab.
func (c Change) hasText() bool {
	return c.Action == Write || c.Action == Remove || c.Action == Run && (c.Old != nil || c.New != nil)
}

// Plan is a list of changes, in the order in which they are made. The zero
// Plan changes nothing.
type Plan struct {
	Changes []Change
	// Notes are sentences for people: what was left as it is and why, what is
	// left to do by hand, what can't be seen from here.
	Notes []string
}

// Empty reports that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// String is one line that says what the change does.
func (c Change) String() string {
	s := string(c.Action) + " " + c.Path
	switch c.Action {
	case Write:
		if !c.Existed {
			s = fmt.Sprintf("create %s (%s)", c.Path, c.rights())
		}
	case Mkdir, Owning:
		s = fmt.Sprintf("%s %s (%s)", c.Action, c.Path, c.rights())
	case Link:
		s = fmt.Sprintf("link %s to %s", c.Path, c.New)
	case Run:
		s = "run " + c.Command.String()
	}
	if c.Why != "" {
		s += ": " + c.Why
	}
	return s
}

// rights shows a mode and an owner as in "0640 root:sshnotify".
func (c Change) rights() string {
	s := octal(c.Mode)
	if c.Owner != (Owner{}) {
		s += " " + c.Owner.String()
	}
	return s
}

// octal writes a mode as chmod(1) takes it.
func octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return fmt.Sprintf("%04o", n)
}

// MarshalJSON writes a change as an object with action, path, mode, owner,
// group, created, command, why and diff, each where it applies. Hidden
// contents are left out.
func (c Change) MarshalJSON() ([]byte, error) {
	doc := struct {
		Action  Action   `json:"action"`
		Path    string   `json:"path,omitempty"`
		Mode    string   `json:"mode,omitempty"`
		Owner   string   `json:"owner,omitempty"`
		Group   string   `json:"group,omitempty"`
		Created bool     `json:"created,omitempty"`
		Command []string `json:"command,omitempty"`
		Why     string   `json:"why,omitempty"`
		Diff    string   `json:"diff,omitempty"`
	}{
		Action: c.Action, Path: c.Path, Owner: c.Owner.User, Group: c.Owner.Group,
		Created: c.Action == Write && !c.Existed, Command: c.Command.Args, Why: c.Why,
	}
	if c.Mode != 0 {
		doc.Mode = octal(c.Mode)
	}
	if c.hasText() && !c.Hidden {
		doc.Diff = c.diff()
	}
	return json.Marshal(doc)
}

// MarshalJSON writes a plan as {"changes":[…],"notes":[…]}.
func (p Plan) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Changes []Change `json:"changes"`
		Notes   []string `json:"notes"`
	}{append([]Change{}, p.Changes...), append([]string{}, p.Notes...)})
}

// Diff shows all changes: files as unified diffs that patch(1) takes, anything
// else, and contents that are secret, as a line that begins with "# ". It is
// "" for an empty plan.
func (p Plan) Diff() string {
	var b strings.Builder
	for _, c := range p.Changes {
		b.WriteString("# " + c.String() + "\n")
		switch {
		case !c.hasText():
		case c.Hidden:
			b.WriteString("# (the content is not shown)\n")
		default:
			b.WriteString(c.diff())
		}
	}
	return b.String()
}

func (c Change) diff() string {
	name := c.Path
	if c.Action == Run {
		name = "/crontab"
	}
	from, to := "a"+name, "b"+name
	if !c.Existed {
		from = "/dev/null"
	}
	if c.Action == Remove {
		to = "/dev/null"
	}
	out := diff.Diff(from, c.Old, to, c.New)
	// The first line ("diff a b") says nothing that the next two do not.
	_, rest, _ := bytes.Cut(out, []byte("\n"))
	return string(rest)
}
