package install

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// checks are the checks of one set-up.
type checks struct {
	ctx context.Context
	h   Host
	*doctor.Report
	// workers: a hook starts workers, so that no service is needed.
	workers bool
}

const again = "sudo sshnotify install --system"

// HostChecks returns the checks of all that PlanSystem puts in, and of what
// could keep it from working. They read no settings.
func HostChecks(h Host, places Places) []doctor.Check {
	places = places.filled()
	return []doctor.Check{{Needs: doctor.NeedsHost, Run: func(ctx context.Context, r *doctor.Report) {
		c := &checks{ctx: ctx, h: h, Report: r}
		f := Look(ctx, h)
		c.program(places)
		ds, err := h.doorsFor(f.services(), f.SSHD, Hook{Binary: places.Binary, Spool: places.Spool})
		if err != nil {
			c.Fail("hook", again, "%v", err)
		}
		for _, d := range ds {
			c.door(d)
		}
		c.usePAM(f)
		c.service(f, places)
		c.folders(places)
		c.watch(f, places)
		c.others(f, ds)
		c.policy(f)
		c.denials(f)
		c.programInUse(f)
	}}}
}

// services returns the services that the host was set up for: sshd, and those
// whose stacks have the hook.
func (f Findings) services() []string {
	out := []string{"sshd"}
	for _, l := range f.Hooks {
		for s, names := range doors {
			if slices.Contains(names, path.Base(l.File)) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

func (c *checks) program(places Places) {
	if err := c.h.trusted(places.Binary); err != nil {
		c.Fail("program", "install -m 0755 sshnotify "+places.Binary, "%v", err)
		return
	}
	c.OK("program", "%s", places.Binary)
}

func (c *checks) usePAM(f Findings) {
	switch f.SSHD.UsePAM {
	case "yes":
		c.OK("sshd UsePAM", "yes (%s)", f.SSHD.From)
	case "no":
		c.Fail("sshd UsePAM", "UsePAM yes in /etc/ssh/sshd_config, then restart sshd", "no (%s): the hook is never run", f.SSHD.From)
	default:
		c.Warn("sshd UsePAM", "sshd -T | grep -i usepam", "could not be found out")
	}
}

// door checks that the hook is in one stack, once, at the right place, and
// runs what it should.
func (c *checks) door(d door) {
	name := "hook " + d.name
	f, err := c.h.pamFile(d.name)
	if err != nil || !f.exists {
		c.Fail(name, again, "%s: can't be read", f.path)
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
		c.Fail(name, d.hook.Line(), "%v", inFile(err, f.path))
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
		c.Fail(name, redo, "%s: no line of the hook's tells of %s, which --services must name", f.path, d.name)
		return
	case len(found) == 0:
		c.Fail(name, redo, "%s: no line runs the hook", f.path)
		return
	case len(found) > 1:
		c.Fail(name, redo, "%s: the hook is run %d times", f.path, len(found))
		return
	}
	if reason := misplaced(auth, session, found[0]); reason != "" {
		c.Fail(name, redo, "%s: %s", f.path, reason)
		return
	}
	if call, _ := found[0].call(); len(call.through) > 0 && slices.ContainsFunc(session, readsUserEnv) {
		c.Fail(name, redo, "%s: pam_env.so reads ~/.pam_environment, so that users could have %s load what they like, as root", f.path, call.through[0])
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
		c.Fail(name, redo, "%s: line %d is %q, not optional: a failing hook would keep people out", file, r.row, r.control)
	case call.program != d.hook.Binary:
		c.Fail(name, redo, "%s: line %d runs %s, not %s", file, r.row, call.program, d.hook.Binary)
	case spool != d.hook.Spool:
		c.Fail(name, redo, "%s: line %d writes to %q, not to %s", file, r.row, spool, d.hook.Spool)
	case slices.Contains(call.options, "stdout"):
		c.Fail(name, redo, "%s: line %d has stdout: what the hook starts would hold people up", file, r.row)
	case d.hook.AsRoot && !call.asRoot():
		c.Fail(name, redo, "%s: line %d lacks seteuid: the hook runs with the uid of whoever calls %s, who can stop it", file, r.row, d.name)
	case !slices.Contains(call.options, "quiet"):
		c.Warn(name, redo, "%s: line %d lacks quiet: people see when the hook can't be run", file, r.row)
	case d.hook.Unlimited && len(call.through) == 0:
		c.Warn(name, redo, "%s: line %d keeps the limits of whoever calls %s, with which the hook may not even start", file, r.row, d.name)
	default:
		c.OK(name, "%s: line %d", file, r.row)
	}
}

// others reports what tells of logins besides.
func (c *checks) others(f Findings, ds []door) {
	for _, l := range c.h.hookRules() {
		known := slices.ContainsFunc(ds, func(d door) bool { return l.File == path.Join(pamDirs[0], d.name) })
		if !known && !strings.HasPrefix(path.Base(l.File), "common-") && !isDoor(path.Base(l.File)) {
			c.Warn("other hooks", "", "%s: line %d runs the hook too", l.File, l.Row)
		}
		if call, _ := l.rule.call(); !known && call.needsRoot() && !call.asRoot() {
			c.Fail("other hooks", fmt.Sprintf("sudo sed -i '%ds/pam_exec\\.so/& seteuid/' %s", l.Row, quoteShell(l.File)),
				"%s: line %d lacks seteuid: the hook runs with the uid of whoever becomes another, who can stop it", l.File, l.Row)
		}
	}
	for _, o := range f.OldHooks {
		c.Warn("other hooks", fmt.Sprintf("sed -n %dp %s", o.Row, quoteShell(o.File)), "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
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
