package attack

import (
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Validate asks for a name that events can bear, and fills in the defaults.
func (d *Detector) Validate(at strictoml.At) {
	if d.By == "" {
		d.By = ByAddress
	}
	if d.Name != "" && !isName(d.Name) {
		e := at.Fail("name", "must be 1 to 32 letters from a to z, digits and -%s", strictoml.Not(d.Name))
		if s := strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(d.Name)); strictoml.Not(s) != "" && isName(s) {
			e.Hint = `name = "` + s + `"`
		}
	}
	if d.Distinct > d.Count && d.Count > 0 {
		at.Fail("distinct", "must not be more than count (%d)", d.Count)
	}
	if at.OK() {
		if err := d.check(); err != nil {
			at.Err("", err)
		}
	}
}

func isName(s string) bool {
	return strictoml.IsName(s) && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// WithDefaults returns the detectors that need no settings and those of the
// settings. One of these takes the place of another of its name.
func WithDefaults(own []Detector) []Detector {
	all := slices.DeleteFunc(Defaults(), func(d Detector) bool {
		return slices.ContainsFunc(own, func(o Detector) bool { return o.Name == d.Name })
	})
	return append(all, own...)
}
