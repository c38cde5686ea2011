package install

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pamDirs is where Linux-PAM looks for the file of a service, in this order;
// the first that has it counts.
var pamDirs = []string{"/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d", "/usr/share/pam.d"}

// maxInclude is how deep Linux-PAM follows includes (PAM_SUBSTACK_MAX_LEVEL).
const maxInclude = 16

// pamFile reads the file of a service. exists is false where there is none.
func (h Host) pamFile(name string) (f file, err error) {
	dirs := pamDirs
	if strings.HasPrefix(name, "/") {
		dirs = []string{"/"}
	}
	for _, d := range dirs {
		if f, err = h.read(path.Join(d, name)); err != nil || f.exists {
			return f, err
		}
	}
	return file{path: path.Join(pamDirs[0], name)}, nil
}

// flatten returns the rules of one type that a list of rules stands for, those
// of included files in their place.
func (h Host) flatten(rules []pamRule, typ string) ([]pamRule, error) {
	return (&includer{h: h}).flatten(rules, typ, 0)
}

// stacks returns the auth and the session rules that a list of rules stands for.
func (h Host) stacks(rules []pamRule) (auth, session []pamRule, err error) {
	if auth, err = h.flatten(rules, "auth"); err == nil {
		session, err = h.flatten(rules, "session")
	}
	return auth, session, err
}

// includer follows includes.
type includer struct {
	h     Host
	files []file // that were included
}

func (n *includer) flatten(rules []pamRule, typ string, depth int) ([]pamRule, error) {
	var out []pamRule
	for _, r := range rules {
		if r.typ != "" && r.typ != typ {
			continue
		}
		if !r.includes() {
			out = append(out, r)
			continue
		}
		if depth >= maxInclude {
			return nil, &PAMError{Row: r.row, Reason: "includes without end"}
		}
		f, err := n.h.pamFile(r.module)
		if err != nil {
			return nil, err
		}
		if !f.exists {
			return nil, &PAMError{Row: r.row, Reason: fmt.Sprintf("includes %q, which is not there", r.module)}
		}
		n.files = append(n.files, f)
		inner, err := parsePAM(f.data)
		if err == nil {
			inner, err = n.flatten(inner, typ, depth+1)
		}
		if err != nil {
			return nil, inFile(err, f.path)
		}
		for i := range inner {
			inner[i].file = cmp.Or(inner[i].file, f.path)
		}
		out = append(out, inner...)
	}
	return out, nil
}

// pamPlace is where the hook can stand in a file without one.
type pamPlace struct {
	at     int     // byte at which its line begins
	after  bool    // it follows anchor, and does not precede it
	anchor pamRule // its neighbour, which gives the alignment
	limit  int     // byte that the line must not come behind
	first  int     // byte that it must not come before
}

// place finds where the hook stands in the session stack of a file: behind the
// rules that clear an old SELinux context and set the login's audit id, and
// before every rule that brings in an environment, moves the process into the
// session's scope, its user's context or namespace, or can keep later rules
// from being run. Each error is a *PAMError, with File only where it speaks of
// an included file.
func (h Host) place(rules []pamRule) (pamPlace, error) {
	var none pamPlace
	auth, session, err := h.stacks(rules)
	if err != nil {
		return none, err
	}
	for _, r := range auth {
		if readsUserEnv(r) {
			return none, &PAMError{never: true, Reason: "pam_env.so reads ~/.pam_environment (user_readenv) in the auth stack: " +
				"the hook would get an environment that users write, wherever it stands"}
		}
	}
	if !slices.ContainsFunc(session, carries) {
		return none, &PAMError{never: true, Reason: "no session rule is required here: the hook's own result would decide whether a login is let in"}
	}
	return h.placeIn(rules)
}

func (h Host) placeIn(rules []pamRule) (pamPlace, error) {
	var top []pamRule // the file's own session rules, and its includes
	for _, r := range rules {
		if r.typ == "session" {
			top = append(top, r)
		} else if r.typ == "" {
			inner, err := h.flatten([]pamRule{r}, "session")
			if err != nil {
				return pamPlace{}, err
			}
			if len(inner) > 0 {
				top = append(top, r)
			}
		}
	}
	limit := 0
	for limit < len(top) && !bars(top[limit]) {
		limit++
	}
	anchor, closing := -1, -1
	for i, r := range top {
		if r.is("pam_selinux.so") && r.has("close") {
			closing = i
			if i >= limit {
				return pamPlace{}, &PAMError{Row: r.row, Reason: fmt.Sprintf("pam_selinux.so close comes behind line %d, before which the hook must stand", top[limit].row)}
			}
		}
		if i < limit && r.is("pam_loginuid.so") {
			anchor = i
		}
	}
	anchor = max(anchor, closing)
	p := pamPlace{limit: math.MaxInt}
	if limit < len(top) {
		p.limit = top[limit].from
	}
	if closing >= 0 {
		p.first = top[closing].to
	}
	if anchor >= 0 {
		p.at, p.after, p.anchor = top[anchor].to, true, top[anchor]
	} else {
		p.at, p.anchor = top[0].from, top[0]
	}
	return p, nil
}

// carries reports whether a stack can rest on a rule: its success is needed, and
// it is there.
func carries(r pamRule) bool {
	if r.dash || isHook(r) {
		return false
	}
	if r.bracket {
		return strings.Contains(r.control, "success=ok")
	}
	return r.control == "required" || r.control == "requisite"
}

// bars reports whether the hook must stand before a rule.
func bars(r pamRule) bool {
	return r.includes() || moves(r) || ends(r) || r.bracket && jumps().MatchString(r.control)
}

// moves reports whether a rule's module changes what a program is run in.
func moves(r pamRule) bool {
	switch path.Base(r.module) {
	case
		// These bring an environment in.
		"pam_env.so",
		// These move the process into the session's scope, which the host
		// may end at logout.
		"pam_systemd.so", "pam_systemd_home.so", "pam_elogind.so", "pam_ck_connector.so", "pam_cgfs.so", "pam_cgm.so", "pam_openrc.so",
		// These give it a part of the file system that is not the host's.
		"pam_namespace.so", "pam_chroot.so",
		// This gives it its user's limits, of memory and of file sizes.
		"pam_limits.so",
		// This gives it its user's profile.
		"pam_apparmor.so":
		return true
	case "pam_selinux.so":
		return !r.has("close")
	}
	return false
}

// ends reports whether the rules behind this one may not be run.
func ends(r pamRule) bool {
	return !r.bracket && r.control == "sufficient" || r.bracket && done().MatchString(r.control)
}

// jumps matches the actions that go on elsewhere than with the next rule, or
// that forget what was decided, and done the one that ends a stack
// (pam.conf(5)).
var (
	jumps = lazy(`=\s*([0-9]|reset)`)
	done  = lazy(`=\s*done`)
)

// readsUserEnv reports whether a rule reads ~/.pam_environment (pam_env(8)).
func readsUserEnv(r pamRule) bool {
	if !r.is("pam_env.so") {
		return false
	}
	for _, a := range r.args {
		if v, ok := strings.CutPrefix(a, "user_readenv="); ok && strings.Trim(v, "0") != "" {
			return true
		}
	}
	return false
}

// lazy compiles an expression when it is first needed: most starts of the
// program need none.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
