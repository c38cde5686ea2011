package install

import (
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

// doors are the services of PAM whose sessions can be told of, each with the
// names under which its programs call PAM.
var doors = map[string][]string{
	"sshd":  {"sshd"},
	"sudo":  {"sudo", "sudo-i"},
	"su":    {"su", "su-l"},
	"login": {"login", "remote"},
}

// door is a file of pam.d that gets the hook.
type door struct {
	name string // of the file
	hook Hook
}

// doorsFor gives the files for a list of services. A file that includes
// another of them, as Fedora's su-l does su, gets no hook of its own.
func (h Host) doorsFor(services []string, sshd SSHD, base Hook) ([]door, error) {
	var out []door
	for _, s := range services {
		names, known := doors[s]
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
			out = append(out, door{name, one})
		}
	}
	return out, nil
}

// includesService says whether a file of pam.d has the session rules of
// another.
func includesService(text []byte, name string) bool {
	rules, err := parsePAM(text)
	return err == nil && slices.ContainsFunc(rules, func(r pamRule) bool {
		return r.includes() && (r.typ == "" || r.typ == "session") && path.Base(r.module) == name
	})
}

// usersWriteEnv says whether users may write PAM's environment of a service, as
// far as its stack is understood: when the session ends, the hook gets what
// pam_env read when it began.
func (h Host) usersWriteEnv(text []byte) bool {
	rules, err := parsePAM(text)
	if err != nil {
		return true
	}
	for _, typ := range []string{"auth", "session"} {
		if rs, err := h.flatten(rules, typ, 0); err != nil || slices.ContainsFunc(rs, readsUserEnv) {
			return true
		}
	}
	return false
}

// doorFile reads the file of a door, or says why it can't be edited.
func (h Host) doorFile(d door) (file, error) {
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
func nixRule(d door) string {
	args := append(d.hook.options(), d.hook.words()...)
	for i, a := range args {
		args[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`).Replace(a) + `"`
	}
	return fmt.Sprintf("security.pam.services.%s.rules.session.sshnotify = { order = config.security.pam.services.%s.rules.session.env.order - 10; "+
		"control = \"optional\"; modulePath = \"${pkgs.pam}/lib/security/pam_exec.so\"; args = [ %s ]; };", d.name, d.name, strings.Join(args, " "))
}

// pam puts the hook into the files of pam.d, or where pam-auth-update writes
// them into a profile of its; profiled says that it did.
func (p *planner) pam(f Findings, ds []door) (profiled bool, err error) {
	for _, d := range ds {
		into := p.h.profile(f, d)
		switch done, err := p.enable(into, d); {
		case err != nil:
			return false, err
		case done:
			profiled = true
			continue
		case into.reason != "":
			p.note("/etc/pam.d/%s gets a line of its own: %s", d.name, into.reason)
		}
		file, err := p.h.doorFile(d)
		if err != nil {
			return false, err
		}
		content, err := p.h.setHook(file.data, d.hook)
		if err != nil {
			return false, inFile(err, file.path)
		}
		if err := p.edit(file, content, file.mode, fmt.Sprintf("the hook, in PAM's stack of %s", d.name)); err != nil {
			return false, err
		}
	}
	return profiled, nil
}
