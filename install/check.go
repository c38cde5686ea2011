package install

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// State is what a check came to.
type State string

// The states.
const (
	OK   State = "ok"
	Warn State = "warn" // it works, but not as well as it could
	Fail State = "fail" // logins may go untold
)

// CheckResult is one line of doctor's.
type CheckResult struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Message string `json:"message"`
	// Hint is a command to paste, or a line of settings; "" where all is well.
	Hint string `json:"hint,omitempty"`
}

// checks gathers results.
type checks struct {
	ctx context.Context
	h   Host
	out []CheckResult
	// workers: a hook starts workers, so that no service is needed.
	workers bool
}

func (c *checks) add(name string, s State, hint, format string, args ...any) {
	if s == OK {
		hint = ""
	}
	c.out = append(c.out, CheckResult{name, s, fmt.Sprintf(format, args...), hint})
}

const again = "sudo sshnotify install --system"

// CheckSystem looks at all that PlanSystem puts in, and at what could keep it
// from working. It changes nothing and reads no settings. Services are those
// that shall have the hook; none means sshd.
func CheckSystem(ctx context.Context, h Host, places Places, services []string) []CheckResult {
	places = places.filled()
	c := &checks{ctx: ctx, h: h}
	f := Look(ctx, h)
	if err := h.trusted(places.Binary); err != nil {
		c.add("program", Fail, "install -m 0755 sshnotify "+places.Binary, "%v", err)
	} else {
		c.add("program", OK, "", "%s", places.Binary)
	}
	if len(services) == 0 {
		services = []string{"sshd"}
	}
	ds, err := h.doorsFor(services, f.SSHD, Hook{Binary: places.Binary, Spool: places.Spool})
	if err != nil {
		c.add("hook", Fail, again, "%v", err)
	}
	for _, d := range ds {
		c.door(d)
	}
	switch f.SSHD.UsePAM {
	case "yes":
		c.add("sshd UsePAM", OK, "", "yes (%s)", f.SSHD.From)
	case "no":
		c.add("sshd UsePAM", Fail, "UsePAM yes in /etc/ssh/sshd_config, then restart sshd", "no (%s): the hook is never run", f.SSHD.From)
	default:
		c.add("sshd UsePAM", Warn, "sshd -T | grep -i usepam", "could not be found out")
	}
	c.service(f, places)
	c.folders(places)
	c.watch(f, places)
	c.others(f, ds)
	c.policy(f)
	return c.out
}

// door checks that the hook is in one stack, once, at the right place, and
// runs what it should.
func (c *checks) door(d door) {
	name := "hook " + d.name
	f, err := c.h.pamFile(d.name)
	if err != nil || !f.exists {
		c.add(name, Fail, again, "%s: can't be read", f.path)
		return
	}
	rules, err := parsePAM(f.data)
	var auth, session []pamRule
	if err == nil {
		auth, err = c.h.flatten(rules, "auth", 0)
	}
	if err == nil {
		session, err = c.h.flatten(rules, "session", 0)
	}
	if err != nil {
		c.add(name, Fail, d.hook.Line(), "%v", inFile(err, f.path))
		return
	}
	found := hooks(session)
	switch len(found) {
	case 0:
		c.add(name, Fail, again, "%s: no line runs the hook", f.path)
		return
	case 1:
	default:
		c.add(name, Fail, again, "%s: the hook is run %d times", f.path, len(found))
		return
	}
	if reason := misplaced(auth, session); reason != "" {
		c.add(name, Fail, again, "%s: %s", f.path, reason)
		return
	}
	c.hookLine(name, f.path, found[0], d.hook)
}

// misplaced says what is wrong with the place of the one hook in a stack.
func misplaced(auth, session []pamRule) string {
	if slices.ContainsFunc(auth, readsUserEnv) {
		return "pam_env.so reads ~/.pam_environment in the auth stack: users write the hook's environment"
	}
	at := slices.IndexFunc(session, isHook)
	for _, r := range session[:at] {
		if moves(r) || ends(r) {
			return fmt.Sprintf("the hook comes behind %s", path.Base(r.module))
		}
	}
	for _, r := range session[at:] {
		if r.is("pam_selinux.so") && r.has("close") {
			return "the hook comes before pam_selinux.so close"
		}
	}
	return ""
}

// hookLine compares the hook that is there with what it should be. Arguments
// beyond program and spool are a matter of how the host was set up.
func (c *checks) hookLine(name, file string, r pamRule, want Hook) {
	at := slices.IndexFunc(r.args, func(a string) bool { return strings.HasPrefix(a, "/") })
	opts, program, rest := r.args[:at], r.args[at], r.args[at+1:]
	// Where it does not say, root's hook writes to the usual place.
	spool := DefaultSpool
	if i := slices.Index(rest, "--spool"); i >= 0 && i+1 < len(rest) {
		spool = rest[i+1]
	}
	c.workers = c.workers || !slices.Contains(rest, "--no-worker")
	switch {
	case r.bracket || r.control != "optional":
		c.add(name, Fail, again, "%s: line %d is %q, not optional: a failing hook would keep people out", file, r.row, r.control)
	case program != want.Binary:
		c.add(name, Fail, again, "%s: line %d runs %s, not %s", file, r.row, program, want.Binary)
	case spool != want.Spool:
		c.add(name, Fail, again, "%s: line %d writes to %q, not to %s", file, r.row, spool, want.Spool)
	case slices.Contains(opts, "stdout") || slices.Contains(opts, "seteuid"):
		c.add(name, Fail, again, "%s: line %d has %v: only quiet is right", file, r.row, opts)
	case !slices.Contains(opts, "quiet"):
		c.add(name, Warn, again, "%s: line %d lacks quiet: people see when the hook can't be run", file, r.row)
	default:
		c.add(name, OK, "", "%s: line %d", file, r.row)
	}
}

// others reports what tells of logins besides.
func (c *checks) others(f Findings, ds []door) {
	for _, l := range f.Hooks {
		known := slices.ContainsFunc(ds, func(d door) bool { return l.File == path.Join(pamDirs[0], d.name) })
		if !known && !strings.HasPrefix(path.Base(l.File), "common-") && !isDoor(path.Base(l.File)) {
			c.add("other hooks", Warn, "", "%s: line %d runs the hook too", l.File, l.Row)
		}
	}
	for _, o := range f.OldHooks {
		c.add("other hooks", Warn, fmt.Sprintf("sed -n %dp %s", o.Row, quoteShell(o.File)), "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
	}
}

func isDoor(name string) bool {
	for _, names := range doors {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}
