package pattern

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Command is what is to be run for one match.
type Command struct {
	Args    []string // the program first
	Timeout time.Duration
}

// checkCommand reports what is wrong with a program and its arguments, but for
// the templates in these.
func checkCommand(args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return errors.New("no program")
	case len(args) > maxExecArgs:
		return fmt.Errorf("%d arguments, at most %d are taken", len(args), maxExecArgs)
	case strings.ContainsAny(args[0], "\x00$"):
		return errors.New("the program must not be a template")
	case !filepath.IsAbs(args[0]):
		return fmt.Errorf("%q is no absolute path: what runs must not depend on where it is looked for", args[0])
	}
	return nil
}

// hosts are programs that run what an argument says.
var hosts = []string{"sh", "bash", "rbash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "fish", "csh", "tcsh", "busybox",
	"python", "perl", "ruby", "node", "nodejs", "php", "lua", "awk", "gawk", "mawk", "sed", "tclsh", "expect",
	"ssh", "su", "sudo", "doas", "runuser", "env", "xargs", "find", "nice", "nohup", "setsid", "timeout", "systemd-run", "nsenter", "chroot"}

// runsOthers tells a program that an argument could make run anything. It goes
// by the name: a link to a shell under another name is not seen through.
func runsOthers(program string) bool {
	name := path.Base(program)
	return slices.Contains(hosts, name) || slices.Contains(hosts, strings.TrimRight(name, "0123456789.-"))
}

// command is what a match runs.
func (h *hit) command() *Command {
	if h.c.Exec == nil {
		return nil
	}
	cmd := &Command{Args: []string{h.c.Exec.Command[0]}, Timeout: h.c.Exec.Timeout}
	if cmd.Timeout == 0 {
		cmd.Timeout = execTimeout
	}
	for _, t := range h.c.args {
		// The limit is on each value, because an argument's end may matter.
		arg := t.expand(h.clean)
		if len(t) > 0 && t[0].of != nil && strings.HasPrefix(arg, "-") {
			arg = `\u002d` + arg[1:] // else a value could be an option
		}
		cmd.Args = append(cmd.Args, arg)
	}
	return cmd
}

// path is where programs that a program starts are looked for.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is all that a program is given of one.
func environment(m Match) []string {
	env := []string{"PATH=" + searchPath, "LANG=C.UTF-8"}
	add := func(name, value string) {
		// Everything was cleaned, which leaves no NUL; but a Match can be made by hand.
		env = append(env, "SSHNOTIFY_"+name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	stamp, ip := "", ""
	if !m.Time.IsZero() {
		stamp = m.Time.UTC().Format(time.RFC3339Nano)
	}
	if m.IP.IsValid() {
		ip = m.IP.String()
	}
	add("PATTERN", m.Pattern)
	add("TIME", stamp)
	add("SEVERITY", m.Severity.String())
	add("TITLE", m.Title)
	add("TEXT", m.Text)
	add("IP", ip)
	add("SOURCE", m.Source)
	add("LINE", m.Line)
	add("COUNT", fmt.Sprint(m.Count))
	add("LEFT_OUT", fmt.Sprint(m.LeftOut))
	add("KEY", m.Key)
	given := map[string]bool{}
	for _, field := range slices.Sorted(maps.Keys(m.Fields)) {
		name := envName(field)
		if !given[name] { // of two that look the same here, the first in order
			given[name] = true
			add("FIELD_"+name, m.Fields[field])
		}
	}
	return env
}

// envName makes a field's name one of a variable: alert.signature is
// ALERT_SIGNATURE.
func envName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, event.Clean(s, maxName))
}
