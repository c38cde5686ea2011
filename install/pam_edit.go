package install

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Hook is the command that pam_exec(8) runs at the opening and closing of a
// session.
type Hook struct {
	Binary, Spool string
	// Small is the small program that does nothing else, where it is there;
	// empty: Binary is its own hook. The lines of both are known again.
	Small string
	Args  []string // further arguments, such as --no-worker
	// AsRoot makes the real uid the effective one (seteuid): under su and sudo
	// it is the caller's, who could send signals to the hook.
	AsRoot bool
	// Unlimited lifts the caller's limits before the program is started: with
	// few of some, Go ends before main. It must not be used where users write
	// PAM's environment: unlike the hook, what lifts them heeds LD_PRELOAD.
	Unlimited bool
}

// lifted runs its arguments with limits that suit the hook. Where root may not
// lift a limit, as in some containers, the arguments are run as it is. They are
// run in the shell's place: the hook's parent must be su or sudo itself, by
// whose process a session's end and the watcher's word of it are told from
// others.
const lifted = prlimit + ` --pid $$ --as=unlimited --data=unlimited --fsize=unlimited --cpu=unlimited --stack=8388608 --nofile=1024; exec "$@"`

// prlimit is util-linux' prlimit(1).
const prlimit = "/usr/bin/prlimit"

// check refuses what can't stand in a line of pam.d.
func (k Hook) check() error {
	if err := checkPath("program", k.Binary); err != nil {
		return err
	}
	if err := checkPath("spool", k.Spool); err != nil {
		return err
	}
	if k.Small != "" {
		if err := checkPath("program", k.Small); err != nil {
			return err
		}
	}
	if path.Base(k.Binary) != "sshnotify" {
		return fmt.Errorf("program %q: must be called sshnotify, so that its line is known again", k.Binary)
	}
	for _, a := range k.words() {
		// "#" begins a comment even in brackets, and there is no way to write
		// a backslash before a bracket.
		if a == "" || strings.ContainsAny(a, "#\\\n\r\x00") {
			return fmt.Errorf("%q can't be written into a file of pam.d", a)
		}
	}
	return nil
}

// program is what pam_exec runs, without flags.
func (k Hook) program() []string {
	if k.Small != "" {
		return []string{k.Small}
	}
	return []string{k.Binary, "hook"}
}

func (k Hook) words() []string {
	words := append(k.program(), "--spool", k.Spool)
	words = append(words, k.Args...)
	if k.Unlimited {
		words = append([]string{"/bin/sh", "-c", lifted, "sshnotify"}, words...)
	}
	return words
}

// options are pam_exec's own.
func (k Hook) options() []string {
	if k.AsRoot {
		return []string{"quiet", "seteuid"}
	}
	return []string{"quiet"}
}

// Line is the hook's line, without newline.
func (k Hook) Line() string { return k.line("session ", "optional ") }

func (k Hook) line(typ, control string) string {
	words := k.words()
	for i, w := range words {
		if strings.ContainsAny(w, " \t[]") {
			words[i] = "[" + strings.ReplaceAll(w, "]", `\]`) + "]"
		}
	}
	return typ + control + "pam_exec.so " + strings.Join(append(k.options(), words...), " ")
}

// smallSuffix ends the paths of the small program, which is in a folder of its
// own below the distribution's for programs that nobody calls.
const smallSuffix = "/sshnotify/hook"

func (h Host) smallHook(binary string) string { return h.small(binary, smallSuffix) }

// small returns a small program that was installed with a program: of
// PREFIX/bin/sshnotify it is PREFIX/libexec/sshnotify/hook, or PREFIX/lib/… where
// that is the habit; empty where PAM must not run it as root.
func (h Host) small(binary, suffix string) string {
	bin := path.Dir(binary)
	if path.Base(bin) != "bin" {
		return ""
	}
	for _, dir := range []string{"libexec", "lib"} {
		if p := path.Join(path.Dir(bin), dir) + suffix; h.trusted(p) == nil {
			return p
		}
	}
	return ""
}

// mentionsHook reports whether a text that is not understood has the hook in it.
func mentionsHook(text string) bool {
	return strings.Contains(text, "sshnotify hook") || strings.Contains(text, smallSuffix)
}

// hookCall is what a rule that runs the hook says, in whatever form.
type hookCall struct {
	options []string // of pam_exec
	through []string // what runs the program, such as prlimit; mostly nothing
	program string   // sshnotify, or the small program
	args    []string // the hook's flags
}

// call reads a rule that runs sshnotify's hook, from whatever place and through
// whatever program.
func (r pamRule) call() (c hookCall, ok bool) {
	if r.typ != "session" || !r.is("pam_exec.so") {
		return c, false
	}
	// What follows the first absolute path are the program's arguments.
	at := slices.IndexFunc(r.args, func(a string) bool { return strings.HasPrefix(a, "/") })
	if at < 0 {
		return c, false
	}
	for i := at; i < len(r.args); i++ {
		switch p := r.args[i]; {
		case !strings.HasPrefix(p, "/"):
		case strings.HasSuffix(p, smallSuffix):
			return hookCall{r.args[:at], r.args[at:i], p, r.args[i+1:]}, true
		case path.Base(p) == "sshnotify" && i+1 < len(r.args) && r.args[i+1] == "hook":
			return hookCall{r.args[:at], r.args[at:i], p, r.args[i+2:]}, true
		}
	}
	return c, false
}

// flag returns the values of a flag of the hook's, in order.
func (c hookCall) flag(name string) (values []string) {
	for i, a := range c.args {
		if v, is := strings.CutPrefix(a, name+"="); is {
			values = append(values, v)
		} else if a == name && i+1 < len(c.args) {
			values = append(values, c.args[i+1])
		}
	}
	return values
}

// services are those that the hook tells of.
func (c hookCall) services() []string {
	if v := c.flag("--services"); v != nil {
		return strings.Split(strings.Join(v, ","), ",")
	}
	return []string{"sshd"}
}

// spool is the one that the hook reports into.
func (c hookCall) spool() string {
	v := append([]string{DefaultSpool}, c.flag("--spool")...)
	return path.Clean(v[len(v)-1])
}

// asRoot reports whether the hook's real uid is its effective one.
func (c hookCall) asRoot() bool { return slices.Contains(c.options, "seteuid") }

// needsRoot reports that the hook may be run for somebody who is not root yet.
func (c hookCall) needsRoot() bool {
	return slices.ContainsFunc(c.services(), func(s string) bool { return s != "sshd" })
}

// isHook reports whether a rule runs sshnotify's hook.
func isHook(r pamRule) bool {
	_, ok := r.call()
	return ok
}

// setHook puts the hook's line into a file of pam.d, so that cutHook gives
// back the text. A line that is there and right stays as it is; an older one,
// or one at the wrong place, is replaced.
func (h Host) setHook(text []byte, k Hook) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	rules, err := parsePAM(text)
	if err != nil {
		return nil, handLine(err, k)
	}
	if found := hooks(rules); len(found) == 1 {
		r := found[0]
		place, err := h.place(without(rules))
		if err != nil {
			return nil, handLine(err, k)
		}
		if place.allows(r) {
			line := r.dressed(k)
			if !bytes.HasSuffix(text[r.from:r.to], []byte("\n")) {
				line = strings.TrimSuffix(line, "\n")
			}
			if sameHook(r, k) {
				return text, nil
			}
			return join(text[:r.from], line, text[r.to:]), nil
		}
	}
	if text, err = cutHook(text); err != nil {
		return nil, err
	}
	if rules, err = parsePAM(text); err != nil {
		return nil, handLine(err, k)
	}
	place, err := h.place(rules)
	if err != nil {
		return nil, handLine(err, k)
	}
	line := place.anchor.dressed(k)
	at := place.at
	if !place.after {
		return join(text[:aboveComment(text, at)], line, text[aboveComment(text, at):]), nil
	}
	if at == len(text) && text[at-1] != '\n' {
		line = "\n" + strings.TrimSuffix(line, "\n")
	}
	return join(text[:at], line, text[at:]), nil
}

// cutHook takes every line of the hook out of a file of pam.d. A rule before it
// that jumps over it jumps one less, for else it would jump over somebody
// else's rule.
func cutHook(text []byte) ([]byte, error) {
	rules, err := parsePAM(text)
	if err != nil {
		rules = looseRules(text)
	}
	found := hooks(rules)
	if err != nil && len(found) == 0 && mentionsHook(string(text)) {
		return nil, err
	}
	var out []byte
	at := 0
	for i, r := range rules {
		switch {
		case isHook(r):
			out, at = append(out, text[at:r.from]...), r.to
			// A last line without newline took the one before it.
			if r.to == len(text) && text[r.to-1] != '\n' {
				out = bytes.TrimSuffix(out, []byte("\n"))
			}
		case err == nil && r.bracket && r.typ == "session" && len(found) > 0:
			out, at = append(append(out, text[at:r.from]...), shortened(rules[i+1:], text[r.from:r.to])...), r.to
		}
	}
	return append(out, text[at:]...), nil
}

// shortened returns a rule as it is to be once the hooks among those after it are
// gone.
func shortened(after []pamRule, rule []byte) []byte {
	end := bytes.IndexByte(rule, ']') // of the control
	control := jumpTo().ReplaceAllFunc(rule[:end], func(jump []byte) []byte {
		was, err := strconv.Atoi(string(jumpTo().FindSubmatch(jump)[1]))
		if err != nil {
			return jump
		}
		n := was
		for i, r := range slices.DeleteFunc(slices.Clone(after), func(r pamRule) bool { return r.typ != "session" && r.typ != "" }) {
			if i >= was || r.includes() { // how many rules that is depends on another file
				break
			}
			if isHook(r) {
				n--
			}
		}
		switch {
		case n == was:
			return jump
		case n == 0: // to jump nowhere is to go on
			return []byte("=ignore")
		}
		return fmt.Appendf(nil, "=%d", n)
	})
	return append(control, rule[end:]...)
}

// looseRules reads the lines of a file that is not understood as a whole: the
// hook must come out of it all the same.
func looseRules(text []byte) []pamRule {
	var out []pamRule
	continued := false
	for _, l := range lines(text) {
		rules, err := parsePAM(text[l.from:l.to])
		if err == nil && len(rules) == 1 && !continued {
			rules[0].span = l
			out = append(out, rules[0])
		}
		continued = bytes.HasSuffix(bytes.TrimSpace(text[l.from:l.to]), []byte(`\`))
	}
	return out
}

func hooks(rules []pamRule) []pamRule {
	var out []pamRule
	for _, r := range rules {
		if isHook(r) {
			out = append(out, r)
		}
	}
	return out
}

// without returns the rules that are not the hook's.
func without(rules []pamRule) []pamRule {
	var out []pamRule
	for _, r := range rules {
		if !isHook(r) {
			out = append(out, r)
		}
	}
	return out
}

// allows reports whether a hook that is there stands where it may.
func (p pamPlace) allows(r pamRule) bool { return r.from < p.limit && r.from >= p.first }

// sameHook reports whether a rule is the hook as it should be, whatever its
// blanks.
func sameHook(r pamRule, k Hook) bool {
	want, _ := parseRule(k.Line())
	return r.control == want.control && !r.bracket && !r.dash && r.is("pam_exec.so") &&
		strings.Join(r.args, "\x00") == strings.Join(want.args, "\x00")
}

// dressed returns the hook's line, with newline, in the columns of a neighbour.
func (r pamRule) dressed(k Hook) string {
	if r.typ == "" || r.gap1 == "" || r.gap2 == "" {
		return k.Line() + "\n"
	}
	typ := pad("session", "session", r.gap1, r.dash)
	control := "optional "
	if !r.bracket {
		control = pad("optional", r.control, r.gap2, false)
	}
	return k.line(typ, control) + "\n"
}

// pad writes a word in the column in which another stands before a gap. Gaps
// of blanks are made to fit; single ones, and those with tabs, are kept.
func pad(word, other, gap string, dash bool) string {
	if strings.Contains(gap, "\t") {
		return word + gap
	}
	if len(gap) == 1 {
		return word + gap
	}
	width := len(other) + len(gap)
	if dash {
		width++
	}
	return word + strings.Repeat(" ", max(1, width-len(word)))
}

// aboveComment returns the beginning of the comment that stands right above a
// line and belongs to it; a file's own heading does not.
func aboveComment(text []byte, at int) int {
	above := at
	ls := lines(text[:at])
	for i := len(ls) - 1; i >= 0; i-- {
		line := bytes.TrimSpace(text[ls[i].from:ls[i].to])
		if len(line) == 0 || bytes.HasPrefix(line, []byte("#%PAM")) {
			return above
		}
		if line[0] != '#' {
			return above
		}
		above = ls[i].from
	}
	return at
}

// handLine adds to an error the line that can be put in by hand.
func handLine(err error, k Hook) error {
	var pe *PAMError
	if errors.As(err, &pe) && !pe.never {
		pe.Line = k.Line()
	}
	return err
}
