package install

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// HostError: the host is not such that the hook would work. Do is a command or
// a line of settings that makes it so, "" where there is none.
type HostError struct {
	Reason string
	Do     string
}

func (e *HostError) Error() string { return e.Reason }

// hookable returns the services of PAM whose sessions can be reported, each with
// the names under which its programs call PAM.
func hookable() map[string][]string {
	return map[string][]string{
		"sshd":  {"sshd"},
		"sudo":  {"sudo", "sudo-i"},
		"su":    {"su", "su-l"},
		"login": {"login", "remote"},
	}
}

// pamService is a service whose file in pam.d gets the hook.
type pamService struct {
	name string // of the file
	hook Hook
}

// pamServices returns the files for a list of services. A file that includes
// another of them, as Fedora's su-l does su, gets no hook of its own.
func (h Host) pamServices(services []string, sshd SSHD, base Hook) ([]pamService, error) {
	var out []pamService
	for _, s := range services {
		names, known := hookable()[s]
		if !known {
			return nil, fmt.Errorf("service %q is not known: sshd, sudo, su and login are", s)
		}
		if s == "sshd" {
			names = []string{sshd.Service}
		}
		hook := base
		hook.Args = slices.Clone(base.Args)
		if !slices.Equal(names, []string{"sshd"}) {
			hook.Args = append(hook.Args, "--services", strings.Join(names, ","))
		}
		hook.AsRoot = s != "sshd"
		for i, name := range names {
			f, err := h.read(path.Join(pamDirs[0], name))
			if err != nil {
				return nil, err
			}
			if i > 0 && (!f.exists || includesService(f.data, names[0])) {
				continue
			}
			one := hook
			// sshd's limits are root's.
			one.Unlimited = hook.AsRoot && h.exists(prlimit) && !h.usersWriteEnv(f.data)
			out = append(out, pamService{name, one})
		}
	}
	return out, nil
}

// includesService reports whether a file of pam.d has the session rules of
// another.
func includesService(text []byte, name string) bool {
	rules, err := parsePAM(text)
	return err == nil && slices.ContainsFunc(rules, func(r pamRule) bool {
		return r.includes() && (r.typ == "" || r.typ == "session") && path.Base(r.module) == name
	})
}

// usersWriteEnv reports whether users may write PAM's environment of a service, as
// far as its stack is understood: when the session ends, the hook gets what
// pam_env read when it began.
func (h Host) usersWriteEnv(text []byte) bool {
	rules, err := parsePAM(text)
	if err != nil {
		return true
	}
	auth, session, err := h.stacks(rules)
	return err != nil || slices.ContainsFunc(auth, readsUserEnv) || slices.ContainsFunc(session, readsUserEnv)
}

// pamServiceFile reads the file of a service; the error is why it can't be edited.
func (h Host) pamServiceFile(d pamService) (file, error) {
	p := path.Join(pamDirs[0], d.name)
	f, err := h.read(p)
	if err != nil {
		return f, err
	}
	switch {
	case !f.exists:
		elsewhere, err := h.pamFile(d.name)
		if err != nil {
			return f, err
		}
		if elsewhere.exists {
			return f, &HostError{
				Reason: fmt.Sprintf("%s: not there; the host uses %s, which its next update would replace", p, elsewhere.path),
				Do:     "cp " + elsewhere.path + " " + p,
			}
		}
		e := &HostError{Reason: fmt.Sprintf("%s: not there, so PAM does not know the service", p)}
		if d.name == "sshd" && h.exists("/etc/apk") {
			e.Do = "apk add openssh-server-pam, and UsePAM yes in /etc/ssh/sshd_config"
		}
		return f, e
	case strings.HasPrefix(f.path, "/nix/store/"):
		return f, &HostError{
			Reason: fmt.Sprintf("%s is made from the system's configuration and can't be edited", p),
			Do:     nixRule(d),
		}
	case strings.HasPrefix(f.path, "/etc/authselect/"):
		return f, &HostError{
			Reason: fmt.Sprintf("%s is a link to %s, which authselect writes", p, f.path),
			Do:     "add the line to a profile of your own: " + d.hook.Line(),
		}
	case !strings.HasPrefix(f.path, "/etc/"):
		return f, &HostError{Reason: fmt.Sprintf("%s is a link to %s, outside of /etc", p, f.path)}
	}
	return f, nil
}

// nixRule is the hook in the words of NixOS' configuration
// (security.pam.services.<name>.rules.session).
func nixRule(d pamService) string {
	args := append(d.hook.options(), d.hook.words()...)
	for i, a := range args {
		args[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`).Replace(a) + `"`
	}
	return fmt.Sprintf("security.pam.services.%s.rules.session.sshnotify = { order = config.security.pam.services.%s.rules.session.env.order - 10; "+
		"control = \"optional\"; modulePath = \"${pkgs.pam}/lib/security/pam_exec.so\"; args = [ %s ]; };", d.name, d.name, strings.Join(args, " "))
}

// pamHooks are the hook's lines in PAM.
type pamHooks struct{ services []pamService }

// plan puts the hook into the files of pam.d, or where pam-auth-update writes
// them into a profile of its.
func (a pamHooks) plan(p *planner) error {
	profiled := false
	for _, d := range a.services {
		into := p.h.profile(p.f, d)
		switch done, err := p.enable(into, d); {
		case err != nil:
			return err
		case done:
			profiled = true
			continue
		case into.reason != "":
			p.note("/etc/pam.d/%s gets a line of its own: %s", d.name, into.reason)
		}
		file, err := p.h.pamServiceFile(d)
		if err != nil {
			return err
		}
		content, err := p.h.setHook(file.data, d.hook)
		if err != nil {
			return inFile(err, file.path)
		}
		if err := p.edit(file, content, file.mode, fmt.Sprintf("the hook, in PAM's stack of %s", d.name)); err != nil {
			return err
		}
	}
	a.notes(p, profiled)
	return nil
}

// notes tells what else there is to know of the host.
func (a pamHooks) notes(p *planner, profiled bool) {
	f := p.f
	if f.SSHD.UsePAM == "" {
		p.note("whether sshd uses PAM could not be found out: it must say UsePAM yes")
	}
	for _, l := range f.Hooks {
		if !a.has(l.File) && (l.File != commonSession || !profiled) {
			p.note("%s: line %d runs the hook too", l.File, l.Row)
		}
	}
	for _, o := range f.OldHooks {
		p.note("%s: line %d %s: a login would be told twice", o.File, o.Row, o.What)
	}
	if f.PAM == DebianPAM && !profiled {
		p.note("when an update of openssh-server brings another /etc/pam.d/sshd, dpkg asks: keep the line, or install again")
	}
}

// undo takes every line of the hook out, also of services that were not asked
// for.
func (a pamHooks) undo(u *uninstaller) error {
	asked, done := false, false // of pam-auth-update
	for _, name := range u.h.pamNames() {
		f, err := u.h.read(path.Join(pamDirs[0], name))
		if err != nil || !f.exists || !bytes.Contains(f.data, []byte("sshnotify")) {
			continue
		}
		if strings.HasPrefix(name, "common-") {
			if !asked {
				asked, done = true, u.profileOut()
			}
			if done {
				continue
			}
		}
		if err := u.cutFrom(f.path, cutHook, "the hook goes"); err != nil {
			return err
		}
	}
	// Edits of files that are gone.
	for _, it := range append([]item(nil), u.rec.Items...) {
		if it.Kind == kindEdit {
			u.rec.drop(it)
		}
	}
	return nil
}

// has reports whether a file of pam.d is that of a service.
func (a pamHooks) has(file string) bool {
	return slices.ContainsFunc(a.services, func(d pamService) bool { return file == path.Join(pamDirs[0], d.name) })
}

// check checks the hook in each stack, whether sshd uses PAM, and what else
// reports logins.
func (a pamHooks) check(c *checker) {
	for _, d := range a.services {
		c.hook(d)
	}
	switch f := c.f; f.SSHD.UsePAM {
	case "yes":
		c.OK("sshd UsePAM", "yes (%s)", f.SSHD.From)
	case "no":
		c.Fail("sshd UsePAM", "UsePAM yes in /etc/ssh/sshd_config, then restart sshd", "no (%s): the hook is never run", f.SSHD.From)
	default:
		c.Warn("sshd UsePAM", "sshd -T | grep -i usepam", "could not be found out")
	}
	a.others(c)
}

// hook checks that the hook is in one stack, once, at the right place, and
// runs what it should.
func (c *checker) hook(d pamService) {
	name := "hook " + d.name
	f, err := c.h.pamFile(d.name)
	if err != nil || !f.exists {
		c.Fail(name, again, "%s: can't be read", f.path)
		return
	}
	rules, err := parsePAM(f.data)
	var auth, session []pamRule
	if err == nil {
		auth, session, err = c.h.stacks(rules)
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

// againFor is the command that puts the hook of a service right.
func againFor(d pamService) string {
	for s, names := range hookable() {
		if s != "sshd" && slices.Contains(names, d.name) {
			return again + " --services " + s
		}
	}
	return again
}

// misplaced returns what is wrong with the place of a hook in a stack.
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
func (c *checker) hookLine(name, file string, r pamRule, d pamService) {
	call, _ := r.call()
	redo := againFor(d)
	// Where it does not say, root's hook writes to the usual place.
	spool := call.spool()
	switch {
	case r.bracket || r.control != "optional":
		c.Fail(name, redo, "%s: line %d is %q, not optional: a failing hook would keep people out", file, r.row, r.control)
	case call.program != d.hook.Binary && call.program != d.hook.Small:
		c.Fail(name, redo, "%s: line %d runs %s, not %s", file, r.row, call.program, d.hook.program()[0])
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
	case call.program != d.hook.program()[0]:
		c.Warn(name, redo, "%s: line %d works; one with %s starts in half the time", file, r.row, d.hook.program()[0])
	default:
		c.OK(name, "%s: line %d", file, r.row)
	}
}

// others reports what else reports logins.
func (a pamHooks) others(c *checker) {
	for _, l := range c.h.hookRules() {
		known := a.has(l.File)
		if !known && !strings.HasPrefix(path.Base(l.File), "common-") && !isPAMService(path.Base(l.File)) {
			c.Warn("other hooks", "", "%s: line %d runs the hook too", l.File, l.Row)
		}
		if call, _ := l.rule.call(); !known && call.needsRoot() && !call.asRoot() {
			c.Fail("other hooks", fmt.Sprintf("sudo sed -i '%ds/pam_exec\\.so/& seteuid/' %s", l.Row, quoteShell(l.File)),
				"%s: line %d lacks seteuid: the hook runs with the uid of whoever becomes another, who can stop it", l.File, l.Row)
		}
	}
	for _, o := range c.f.OldHooks {
		c.Warn("other hooks", fmt.Sprintf("sed -n %dp %s", o.Row, quoteShell(o.File)), "%s: line %d %s: a login is told twice", o.File, o.Row, o.What)
	}
}

func isPAMService(name string) bool {
	for _, names := range hookable() {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}
