package install

import (
	"cmp"
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
	redo := againFor(d)
	all := hooks(session)
	// A line for other services, as that of a profile for all, does nothing here.
	found := slices.DeleteFunc(slices.Clone(all), func(r pamRule) bool {
		call, _ := r.call()
		return !slices.Contains(call.services(), d.name)
	})
	switch {
	case len(all) > 0 && len(found) == 0:
		c.add(name, Fail, redo, "%s: no line of the hook's tells of %s, which --services must name", f.path, d.name)
		return
	case len(found) == 0:
		c.add(name, Fail, redo, "%s: no line runs the hook", f.path)
		return
	case len(found) > 1:
		c.add(name, Fail, redo, "%s: the hook is run %d times", f.path, len(found))
		return
	}
	if reason := misplaced(auth, session, found[0]); reason != "" {
		c.add(name, Fail, redo, "%s: %s", f.path, reason)
		return
	}
	if call, _ := found[0].call(); len(call.through) > 0 && slices.ContainsFunc(session, readsUserEnv) {
		c.add(name, Fail, redo, "%s: pam_env.so reads ~/.pam_environment, so that users could have %s load what they like, as root", f.path, call.through[0])
		return
	}
	c.hookLine(name, cmp.Or(found[0].file, f.path), found[0], d)
}

// againFor is the command that puts a door's hook right.
func againFor(d door) string {
	for s, names := range doors {
		if s != "sshd" && slices.Contains(names, d.name) {
			return again + " --services " + s
		}
	}
	return again
}

// misplaced says what is wrong with the place of a hook in a stack.
func misplaced(auth, session []pamRule, hook pamRule) string {
	if slices.ContainsFunc(auth, readsUserEnv) {
		return "pam_env.so reads ~/.pam_environment in the auth stack: users write the hook's environment"
	}
	at := slices.IndexFunc(session, func(r pamRule) bool { return r.file == hook.file && r.span == hook.span })
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
func (c *checks) hookLine(name, file string, r pamRule, d door) {
	call, _ := r.call()
	redo := againFor(d)
	// Where it does not say, root's hook writes to the usual place.
	spool := call.spool()
	c.workers = c.workers || !slices.Contains(call.args, "--no-worker")
	switch {
	case r.bracket || r.control != "optional":
		c.add(name, Fail, redo, "%s: line %d is %q, not optional: a failing hook would keep people out", file, r.row, r.control)
	case call.program != d.hook.Binary:
		c.add(name, Fail, redo, "%s: line %d runs %s, not %s", file, r.row, call.program, d.hook.Binary)
	case spool != d.hook.Spool:
		c.add(name, Fail, redo, "%s: line %d writes to %q, not to %s", file, r.row, spool, d.hook.Spool)
	case slices.Contains(call.options, "stdout"):
		c.add(name, Fail, redo, "%s: line %d has stdout: what the hook starts would hold people up", file, r.row)
	case d.hook.AsRoot && !call.asRoot():
		c.add(name, Fail, redo, "%s: line %d lacks seteuid: the hook runs with the uid of whoever calls %s, who can stop it", file, r.row, d.name)
	case !slices.Contains(call.options, "quiet"):
		c.add(name, Warn, redo, "%s: line %d lacks quiet: people see when the hook can't be run", file, r.row)
	case d.hook.Unlimited && len(call.through) == 0:
		c.add(name, Warn, redo, "%s: line %d keeps the limits of whoever calls %s, with which the hook may not even start", file, r.row, d.name)
	default:
		c.add(name, OK, "", "%s: line %d", file, r.row)
	}
}

// others reports what tells of logins besides.
func (c *checks) others(f Findings, ds []door) {
	for _, l := range c.h.hookRules() {
		known := slices.ContainsFunc(ds, func(d door) bool { return l.File == path.Join(pamDirs[0], d.name) })
		if !known && !strings.HasPrefix(path.Base(l.File), "common-") && !isDoor(path.Base(l.File)) {
			c.add("other hooks", Warn, "", "%s: line %d runs the hook too", l.File, l.Row)
		}
		if call, _ := l.rule.call(); !known && call.needsRoot() && !call.asRoot() {
			c.add("other hooks", Fail, fmt.Sprintf("sudo sed -i '%ds/pam_exec\\.so/& seteuid/' %s", l.Row, quoteShell(l.File)),
				"%s: line %d lacks seteuid: the hook runs with the uid of whoever becomes another, who can stop it", l.File, l.Row)
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
