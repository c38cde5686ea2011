// Package doctor owns the registry of checks that sshnotify doctor makes, and
// how their results are printed. Each package brings the checks of what it
// owns; those of the machine itself (clock, disks, name, system log) are here.
//
// A check changes nothing, and only one that NeedsOnline may use the network.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// State is what a check came to. The names are part of --json's output.
type State string

// The states.
const (
	OK   State = "ok"
	Warn State = "warn" // it works, but not as well as it could
	Fail State = "fail" // logins may go unreported
)

// Result is one finding of a check.
type Result struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Message string `json:"message"`
	// Hint is a command to paste, or a line of settings; "" where all is well.
	Hint string `json:"hint,omitempty"`
}

// Needs are the conditions under which a check makes sense.
type Needs uint

// The needs of a check, which may be combined.
const (
	NeedsHost     Needs = 1 << iota // the set-up of the whole host, which root alone can look at
	NeedsAccount                    // the set-up of an account
	NeedsSettings                   // settings without mistakes
	NeedsOnline                     // leave to use the network
)

// Check looks at one thing. It may report nothing, or several results.
type Check struct {
	Needs Needs
	Run   func(context.Context, *Report)
}

// Target says which set-up is checked, and how.
type Target struct {
	Host     bool // the whole host's set-up, not an account's
	Settings bool // the settings can be used
	Online   bool
	Now      time.Time
	// Config is the settings file; Explicit says that commands must name it.
	Config   string
	Explicit bool
}

// Command returns how a person runs a subcommand for this set-up.
func (t Target) Command(sub string) string {
	s := "sshnotify " + sub
	if t.Host {
		s = "sudo " + s
	}
	if t.Explicit {
		s += " --config " + t.Config
	}
	return s
}

func (t Target) meets(n Needs) bool {
	return (n&NeedsHost == 0 || t.Host) && (n&NeedsAccount == 0 || !t.Host) &&
		(n&NeedsSettings == 0 || t.Settings) && (n&NeedsOnline == 0 || t.Online)
}

// Report collects results.
type Report struct {
	Target
	Results []Result
}

// OK adds the result that something is as it should be.
func (r *Report) OK(name, format string, args ...any) { r.add(name, OK, "", format, args...) }

// Warn adds the result that something works, but could work better.
func (r *Report) Warn(name, hint, format string, args ...any) {
	r.add(name, Warn, hint, format, args...)
}

// Fail adds the result that logins may go unreported.
func (r *Report) Fail(name, hint, format string, args ...any) {
	r.add(name, Fail, hint, format, args...)
}

func (r *Report) add(name string, s State, hint, format string, args ...any) {
	r.Results = append(r.Results, Result{name, s, fmt.Sprintf(format, args...), hint})
}

// Run makes those of the checks whose needs a target meets, in their order.
func Run(ctx context.Context, t Target, checks []Check) *Report {
	r := &Report{Target: t}
	for _, c := range checks {
		if t.meets(c.Needs) {
			c.Run(ctx, r)
		}
	}
	return r
}

// Count returns how many results have a state.
func (r *Report) Count(s State) (n int) {
	for _, c := range r.Results {
		if c.State == s {
			n++
		}
	}
	return n
}

// MarshalJSON writes {"ok":…,"scope":"host"|"account","config":"…","checks":[…]}.
func (r *Report) MarshalJSON() ([]byte, error) {
	scope := "account"
	if r.Host {
		scope = "host"
	}
	return json.Marshal(struct {
		OK     bool     `json:"ok"` // no check failed
		Scope  string   `json:"scope"`
		Config string   `json:"config"`
		Checks []Result `json:"checks"`
	}{r.Count(Fail) == 0, scope, r.Config, r.Results})
}

// WriteText writes a line for each result, its hint below it, and a summary.
func (r *Report) WriteText(w io.Writer, colour bool) {
	marks := map[State]struct{ mark, colour string }{OK: {"✓", "\x1b[32m"}, Warn: {"!", "\x1b[33m"}, Fail: {"✗", "\x1b[31m"}}
	for _, c := range r.Results {
		m := marks[c.State]
		if colour {
			m.mark = m.colour + m.mark + "\x1b[0m"
		}
		fmt.Fprintf(w, "%s %s: %s\n", m.mark, c.Name, c.Message)
		if c.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", c.Hint)
		}
	}
	what := "this account"
	if r.Host {
		what = "this host"
	}
	switch failed, warned := r.Count(Fail), r.Count(Warn); {
	case failed > 0:
		fmt.Fprintf(w, "%s: %d failed, %d to look at\n", what, failed, warned)
	case warned > 0:
		fmt.Fprintf(w, "%s: it works; %d to look at\n", what, warned)
	default:
		fmt.Fprintf(w, "%s: all is well\n", what)
	}
}

// Stamp writes a time as results do.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Ago writes a time and how long it is past.
func (r *Report) Ago(t time.Time) string {
	return Stamp(t) + ", " + max(0, r.Now.Sub(t)).Round(time.Second).String() + " ago"
}
