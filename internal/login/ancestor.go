package login

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxSteps bounds the walk up the process tree. Nobody nests so many shells,
// and it ends what would go in circles while processes come and go.
const maxSteps = 64

// connection finds the connection that a shell runs on: the process of an SSH
// server that serves it, among the shell's ancestors. The error is ErrNothing
// where there is none, or where it serves another user: su and sudo make no
// second login.
func (h Host) connection() (event.Session, error) {
	if !h.numbered() {
		// No /proc, as on macOS: the parent is the best there is.
		return h.session(h.PPID, 0), nil
	}
	child, pid := h.PID, h.PPID
	for range maxSteps {
		if pid <= 1 {
			return event.Session{}, nothing("no SSH server among the ancestors")
		}
		p, err := h.process(pid)
		if err != nil {
			return h.hidden(pid, child)
		}
		switch h.role(p) {
		case listener:
			return event.Session{}, nothing("the SSH server's connection is gone")
		case serving:
			if owner, known := h.owner(pid, child); known && owner != h.UID {
				return event.Session{}, nothing("the SSH connection is another user's")
			}
			p = h.outermost(p)
			return h.session(p.pid, p.start), nil
		}
		child, pid = pid, p.ppid
	}
	return event.Session{}, nothing("too many ancestors")
}

// hidden decides about an ancestor that can't be seen because /proc is mounted
// with hidepid (see proc(5)): not even a user's own sshd can be, since it was
// root once. Silence would lose the logins of the whole host, so it is taken for
// the connection's, unless it answers kill(2) with EPERM: then it runs as
// somebody else, as su does. (A denial by SELinux or AppArmor is EACCES.)
//
// For ~/.ssh/rc, or /etc/ssh/sshrc, and its shell, sshd forks once more, and the
// child becomes the login shell only then: what is hidden from the first is the
// child, and from the second its parent. The child leads a session of its own
// (setsid(2)), which everybody may ask for: its leader stands for both.
func (h Host) hidden(pid, child int) (event.Session, error) {
	if h.Probe != nil && errors.Is(h.Probe(pid), syscall.EPERM) {
		return event.Session{}, nothing("run by another user's hidden process")
	}
	if h.Leader != nil && h.hasRC() {
		if leader, err := h.Leader(pid); err == nil && leader != pid {
			if leader, err = h.Leader(child); err == nil && leader > 1 {
				pid = leader
			}
		}
	}
	return h.session(pid, 0), nil
}

// hasRC reports whether sshd runs something before the login shell: the user's
// ~/.ssh/rc, or else the host's.
func (h Host) hasRC() bool {
	if _, err := os.Stat(h.path("etc/ssh/sshrc")); err == nil {
		return true
	}
	_, home := h.Account()
	_, err := os.Stat(h.path(home, ".ssh/rc"))
	return home != "" && err == nil
}

// loginID returns the id of the login on a connection. Where the connection's
// process can't be seen, the kernel's audit session stands for it, if there is
// one of this login: pam_loginuid(8) begins it, and all that runs on the
// connection shares it.
func (h Host) loginID(s event.Session, sshConnection string) string {
	if s.Start == 0 {
		if n, ok := h.auditSession(); ok {
			s = event.Session{Boot: s.Boot, Start: n}
		}
	}
	return event.LoginID(s, sshConnection)
}

// auditSession returns /proc/self/sessionid. One that is another user's was begun
// by whoever started the SSH server by hand.
func (h Host) auditSession() (uint64, bool) {
	uid, n, ok := h.audit()
	return n, ok && uid == h.UID
}

// audit returns the kernel's audit session, and as whom it was begun: /proc/self/loginuid.
func (h Host) audit() (uid int, session uint64, ok bool) {
	number := func(name string) (uint64, error) {
		b, err := readFile(h.path("proc/self", name), 64)
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	}
	u, err1 := number("loginuid")
	n, err2 := number("sessionid")
	const unset = math.MaxUint32
	return int(u), n, err1 == nil && err2 == nil && n != 0 && n != unset && u != unset
}

// owner returns the uid of the user whom a server's process serves: its own, or,
// where it stays root, as dropbear's does, that of the process it started.
func (h Host) owner(pid, child int) (uid int, known bool) {
	uid, err := h.realUID(pid)
	if err == nil && uid == 0 {
		uid, err = h.realUID(child)
	}
	return uid, err == nil
}

// outermost climbs from a server's process to the first of its kind that
// belongs to the same user. For ~/.ssh/rc, sshd forks once more before it
// becomes the shell; both must give one id.
func (h Host) outermost(p process) process {
	for range maxSteps {
		parent, err := h.process(p.ppid)
		if err != nil || !strings.HasPrefix(parent.comm, "sshd") || h.role(parent) != serving {
			break
		}
		if uid, err := h.realUID(parent.pid); err != nil || uid != h.UID {
			break
		}
		p = parent
	}
	return p
}

// role is what a process has to do with SSH.
type role int

const (
	other role = iota
	listener
	serving // one connection
)

// role tells a server's processes by their name and their title.
//
// OpenSSH writes the title over its arguments: "sshd: alice@pts/0", "sshd: alice
// [priv]", and for the listener "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100
// startups", or, in old versions, no title at all. A copy of the program puts
// its own name there. From 9.8 on sshd-session serves connections. Dropbear has
// no titles, but forks a process for each connection, unless inetd does (-i).
func (h Host) role(p process) role {
	switch {
	case p.comm == "sshd-session":
		return serving
	case strings.HasPrefix(p.comm, "sshd"):
		b, err := h.proc(p.pid, "cmdline")
		if err != nil {
			return serving
		}
		title, _, _ := strings.Cut(string(b), "\x00")
		name, _, titled := strings.Cut(title, ": ")
		if !titled || !strings.HasPrefix(name, "sshd") {
			return other
		}
		if strings.Contains(title, "[listener]") {
			return listener
		}
		return serving
	case p.comm == "dropbear":
		if parent, err := h.process(p.ppid); err != nil || parent.comm == "dropbear" {
			return serving
		}
		if b, err := h.proc(p.pid, "cmdline"); err == nil && strings.Contains(string(b)+"\x00", "\x00-i\x00") {
			return serving
		}
	}
	return other
}

// Origin returns the address that the connection came from to which this
// process belongs, as sshd told the outermost of its ancestors that has it in its
// environment; under sudo, too. It is zero outside SSH, and where the ancestors
// can't be looked at. Whoever is root on a host can make it what they like.
func (h Host) Origin() netip.Addr {
	var from netip.Addr
	for pid, n := h.PID, 0; pid > 1 && n < maxSteps; n++ {
		p, err := h.process(pid)
		if err != nil {
			break
		}
		if raw, err := h.proc(pid, "environ"); err == nil {
			if s, ok := ParseEnviron(raw).Last("SSH_CONNECTION"); ok {
				if c, err := parseConnection(s); err == nil {
					from = c.remote.Addr()
				}
			}
		}
		pid = p.ppid
	}
	return bare(from)
}
