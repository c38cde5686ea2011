package install

import (
	"bytes"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

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
