package install

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cover is what the PAM stack of a service says of the hook.
type Cover struct {
	Since time.Time // when one of the stack's files was changed last
	Spool string    // into which the hook reports
}

// Covered reads the session stack of a PAM service, and reports whether the
// hook has to tell of every session in it: its line is there, names the
// service, and no rule before it can keep it from being run.
func (h Host) Covered(service string) (c Cover, ok bool, err error) {
	f, err := h.pamFile(service)
	if err == nil && !f.exists {
		f, err = h.pamFile("other") // as Linux-PAM does
	}
	if err != nil || !f.exists {
		return c, false, err
	}
	rules, err := parsePAM(f.data)
	if err != nil {
		return c, false, fmt.Errorf("%s: %w", f.path, err)
	}
	if c.Since, err = h.newest(f, rules, 0); err != nil {
		return c, false, err
	}
	if rules, err = h.flatten(rules, "session", 0); err != nil {
		return c, false, err
	}
	for i, r := range rules {
		call, ok := r.call()
		if ok && slices.Contains(call.services(), service) && call.opens() && alwaysRun(rules, i) {
			c.Spool = call.spool()
			return c, true, nil
		}
	}
	return c, false, nil
}

// newest is when a file of pam.d, or one whose session rules it includes, was
// changed last.
func (h Host) newest(f file, rules []pamRule, depth int) (time.Time, error) {
	fi, err := os.Lstat(h.real(f.path))
	if err != nil {
		return time.Time{}, h.plain(err)
	}
	last := fi.ModTime()
	for _, r := range rules {
		if !r.includes() || r.typ != "" && r.typ != "session" {
			continue
		}
		if depth >= maxInclude {
			return last, &PAMError{File: f.path, Row: r.row, Reason: "includes without end"}
		}
		inner, err := h.pamFile(r.module)
		if err != nil || !inner.exists {
			return last, cmp.Or(err, error(&PAMError{File: f.path, Row: r.row, Reason: fmt.Sprintf("includes %q, which is not there", r.module)}))
		}
		innerRules, err := parsePAM(inner.data)
		if err != nil {
			return last, fmt.Errorf("%s: %w", inner.path, err)
		}
		t, err := h.newest(inner, innerRules, depth+1)
		if err != nil {
			return last, err
		}
		if t.After(last) {
			last = t
		}
	}
	return last, nil
}

// opens says whether a rule of pam_exec.so is run when a session is opened.
func (c hookCall) opens() bool {
	return !slices.ContainsFunc(c.options, func(o string) bool {
		t, ok := strings.CutPrefix(o, "type=")
		return ok && t != "open_session"
	})
}

// alwaysRun says whether no rule before rule n can end the stack in success, or
// jump over n.
func alwaysRun(rules []pamRule, n int) bool {
	for i, r := range rules[:n] {
		if ends(r) {
			return false
		}
		if !r.bracket {
			continue
		}
		for _, m := range jumpTo.FindAllStringSubmatch(r.control, -1) {
			if over, err := strconv.Atoi(m[1]); err != nil || i+over >= n {
				return false
			}
		}
	}
	return true
}

// jumpTo matches how many rules are jumped over (pam.conf(5)).
var jumpTo = regexp.MustCompile(`=\s*([0-9]+)`)
