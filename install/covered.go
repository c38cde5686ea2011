package install

import (
	"os"
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
		return c, false, inFile(err, f.path)
	}
	include := includer{h: h, files: []file{f}}
	if rules, err = include.flatten(rules, "session", 0); err != nil {
		return c, false, inFile(err, f.path)
	}
	for _, f := range include.files {
		fi, err := os.Lstat(h.real(f.path))
		if err != nil {
			return c, false, h.plain(err)
		}
		if fi.ModTime().After(c.Since) {
			c.Since = fi.ModTime()
		}
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

// opens reports whether a rule of pam_exec.so is run when a session is opened.
func (c hookCall) opens() bool {
	return !slices.ContainsFunc(c.options, func(o string) bool {
		t, ok := strings.CutPrefix(o, "type=")
		return ok && t != "open_session"
	})
}

// alwaysRun reports whether no rule before rule n can end the stack in success, or
// jump over n.
func alwaysRun(rules []pamRule, n int) bool {
	for i, r := range rules[:n] {
		if ends(r) {
			return false
		}
		if !r.bracket {
			continue
		}
		for _, m := range jumpTo().FindAllStringSubmatch(r.control, -1) {
			if over, err := strconv.Atoi(m[1]); err != nil || i+over >= n {
				return false
			}
		}
	}
	return true
}

// jumpTo matches how many rules are jumped over (pam.conf(5)).
var jumpTo = lazy(`=\s*([0-9]+)`)
