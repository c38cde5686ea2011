package pattern

import (
	"slices"
	"strconv"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Where are the conditions of a pattern by the names of captures and fields.
type Where map[string]Condition

// Scalars are what a capture or a field may be equal to, as text.
type Scalars []string

// DecodeTOML reads one value or a list of them.
func (s *Scalars) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	nodes := []*strictoml.Node{n}
	if n.Kind == strictoml.List {
		if nodes = n.Children; len(nodes) == 0 {
			d.Fail(n, "must not be empty").Hint = "leave it out"
		}
	}
	for _, c := range nodes {
		switch c.Kind {
		case strictoml.Text, strictoml.Bool:
			*s = append(*s, c.Text)
		case strictoml.Integer:
			var i int
			d.Value(c, &i)
			*s = append(*s, strconv.Itoa(i))
		default:
			d.Fail(c, "must be text in quotes, a whole number, true or false, or a list of such, not %s", c.Kind).
				Hint = "for a number's bounds: {min = 1, max = 2}"
		}
	}
}

// DecodeTOML reads a table of bounds, or what the field must be equal to.
func (c *Condition) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if n.Kind != strictoml.Table {
		c.Equals.DecodeTOML(d, n)
		return
	}
	keys := []string{"equals", "glob", "match", "min", "max"}
	known := *n
	known.Children = nil
	for _, k := range n.Children {
		if slices.Contains(keys, k.Key) {
			known.Children = append(known.Children, k)
			continue
		}
		e := d.Fail(k, "unknown key")
		e.Hint = "a condition has " + strictoml.OneOf(keys) + `; a field's name with a point in it stands in quotes: "alert.severity" = …`
		if w := strictoml.Nearest(k.Key, keys); w != "" {
			e.Hint = `did you mean "` + w + `"?`
		}
	}
	type plain Condition // which does not read itself
	d.Table(&known, (*plain)(c))
}

// Validate asks whether the parts of a pattern fit each other.
func (p *Pattern) Validate(at strictoml.At) {
	if t := p.Threshold; t != nil && t.By != "" {
		if p.By != "" && p.By != t.By {
			at.Fail("threshold.by", "by is set as well, to something else").Hint = "leave one of them out"
		}
		p.By, t.By = t.By, ""
	}
	// Whoever may write to the file would run what they like as the watcher.
	if f := at.Node().File; p.Exec != nil && f.Mode&0o002 != 0 {
		at.Fail("exec", "a program is named here, and others can change this file").Hint = "chmod o-w " + strictoml.ShellWord(f.Name)
	}
	if !at.OK() {
		return
	}
	_, errs := compile(*p, minKeys)
	for _, e := range errs {
		switch {
		case e.Key == "where": // each where it stands
			at.In("where").In(e.field).Err("", e.Err)
		case e.Key == "threshold.by" && at.Has("by"):
			at.Err("by", e.Err)
		default:
			at.Err(e.Key, e.Err)
		}
	}
}
