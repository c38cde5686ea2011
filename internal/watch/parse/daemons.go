package parse

import (
	"slices"
	"strings"
)

// Daemon is a program whose lines are known, and all that is known of it.
type Daemon struct {
	Service  string   // its name in results, and in the journal's entries
	Parser   string   // what its lines are counted under; "": only sessions are read of them
	Programs []string // the names of its files, and of its lines in a log

	read func(message string, r *reading)

	local bool // attempts do not come over a network
	pairs pairs
	// apart says that the process that answers is not the one that says what became
	// of an attempt.
	apart bool
	opens []string // the services of PAM for which it opens sessions
	logs  []string // of its own, beside the system's

	// Users says that it is setuid: what it reports while it asks who somebody is
	// bears the user's _UID in the journal. Its name is then the user's as well, who
	// may start it by any; and the entry must not be of a process without the right
	// to anything, as one is that was kept from becoming root and can be led by its
	// user.
	Users bool

	// Drops says that it becomes the user before it reports that he got in, for good.
	// That is believed of a process that reported as root a moment before.
	Drops bool

	// Units are those in which it may report on its standard error (sshd -D -e,
	// dropbear -E), which journald attributes to whichever process wrote it. In a
	// system unit of that name only the daemon's own processes of root are such: what
	// it starts for users is another program of another uid, and gets other
	// descriptors; and what it quotes of strangers it writes without newlines.
	Units []string
}

// pairs is what PAM's line of an attempt and the daemon's own have in common, where
// they come from two processes.
type pairs int

const (
	byNothing pairs = iota
	byAddress       // the daemon gives PAM no name that looks like an address
	byAccount       // the name service gives PAM's address, and may be told to lie
)

// daemons in the order in which a line that names no program is tried. Each stands
// in its own file.
var daemons = [...]*Daemon{&sshd, &dropbear, &vsftpd, &pureFTPd, &proFTPD, &sudo, &su, &login}

// login is read for the sessions that it opens alone.
var login = Daemon{Service: "login", Programs: []string{"login"}, local: true, opens: []string{"login", "remote"}}

// Daemons returns all that are known.
func Daemons() []*Daemon { return daemons[:] }

// Remote reports whether attempts come to the daemon of a service over a network;
// false for one that is not known.
func Remote(service string) bool {
	return slices.ContainsFunc(daemons[:], func(d *Daemon) bool { return d.Service == service && !d.local })
}

// Logs returns the logs that daemons write themselves, beside the system's.
func Logs() (paths []string) {
	for _, d := range daemons {
		paths = append(paths, d.logs...)
	}
	return paths
}

// maxComm is how many characters of a program's name the kernel keeps (comm in
// proc(5)).
const maxComm = 15

// daemonOf finds who a program's name stands for; nil: nobody.
func daemonOf(program string) *Daemon {
	program = baseName(program)
	for _, d := range &daemons {
		for _, p := range d.Programs {
			if p == program || len(program) == maxComm && len(p) > maxComm && p[:maxComm] == program {
				return d
			}
		}
	}
	unit, ok := strings.CutSuffix(program, ".service") // journalctl -o with-unit
	if !ok {
		return nil
	}
	unit, _, _ = strings.Cut(unit, "@")
	for _, d := range &daemons {
		if slices.Contains(d.Units, unit) {
			return d
		}
	}
	return nil
}

// pamProgram takes "sshd(pam_unix)" apart: modules of before Linux-PAM 0.99 named
// themselves so, and some still do. "": there is no module.
func pamProgram(program string) (service, module string) {
	service, rest, ok := strings.Cut(program, "(pam_")
	module, whole := strings.CutSuffix(rest, ")")
	if !ok || !whole {
		return program, ""
	}
	return service, "pam_" + module
}
