package login

import (
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Server is a process of the SSH server that serves a connection.
type Server struct {
	PID int
	Age time.Duration // since it was started
}

// Session returns the processes of the SSH server that serve the connection to
// which this process belongs, the nearest first; and as whom it was opened, by the
// kernel's word, which su and sudo leave as it is (see pam_loginuid(8)), -1 where the
// kernel was not told, as in a container. ok is false outside a connection. What a
// process is called is its own choice: whoever needs to be sure looks who wrote what
// the journal has of it.
func (h Host) Session() (uid int, servers []Server, ok bool) {
	if uid, _, ok = h.audit(); !ok {
		uid = -1
	}
	if !h.numbered() {
		return 0, nil, false
	}
	seconds, err := h.uptime()
	if err != nil {
		return 0, nil, false
	}
	for pid, n := h.PPID, 0; pid > 1 && n < maxSteps; n++ {
		p, err := h.process(pid)
		if err != nil {
			break
		}
		switch h.role(p) {
		case listener:
			pid = 0
			continue
		case serving:
			began := float64(p.start) / event.Ticks
			servers = append(servers, Server{p.pid, time.Duration((seconds - began) * float64(time.Second))})
		}
		pid = p.ppid
	}
	return uid, servers, len(servers) > 0
}

// uptime returns how long the kernel has run, in seconds.
func (h Host) uptime() (float64, error) {
	b, err := readFile(h.path("proc/uptime"), 64)
	if err != nil {
		return 0, err
	}
	up, _, _ := strings.Cut(string(b), " ")
	return strconv.ParseFloat(up, 64)
}

// Started returns when the kernel started, by the clock of now.
func (h Host) Started(now time.Time) (time.Time, error) {
	seconds, err := h.uptime()
	return now.Add(-time.Duration(seconds * float64(time.Second))), err
}

// Connections returns what may stand for the connection on which another process runs,
// as the events of its login name it: all processes above it. Where no SSH server is
// among them, as below a tmux, it is the one whose audit session it shares, as long as
// there is but one (see pam_loginuid(8)). Nobody can choose who begot them. What can't
// be seen is left out.
func (h Host) Connections(pid int) (all []event.Session) {
	if !h.numbered() {
		return nil
	}
	found := false
	for at, n := pid, 0; at > 1 && n < maxSteps; n++ {
		p, err := h.process(at)
		if err != nil {
			break
		}
		role := h.role(p)
		if role == listener {
			break
		}
		found = found || role == serving
		all = append(all, h.session(p.pid, p.start))
		at = p.ppid
	}
	if found {
		return all
	}
	return append(all, h.sharing(pid)...)
}

// sharing returns the processes that serve the connection whose audit session another
// process shares. A server that somebody began by hand may have several.
func (h Host) sharing(pid int) (all []event.Session) {
	audit, ok := h.auditOf(strconv.Itoa(pid))
	if !ok {
		return nil
	}
	entries, err := os.ReadDir(h.path("proc"))
	if err != nil {
		return nil
	}
	servers := map[int]process{}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if other, ok := h.auditOf(e.Name()); !ok || other != audit {
			continue
		}
		if p, err := h.process(n); err == nil && h.role(p) == serving {
			servers[n] = p
		}
	}
	connections := 0
	for _, p := range servers {
		if _, below := servers[p.ppid]; !below {
			connections++
		}
		all = append(all, h.session(p.pid, p.start))
	}
	if connections != 1 {
		return nil
	}
	return all
}

// auditOf returns the audit session of a process, by its name in /proc.
func (h Host) auditOf(pid string) (uint64, bool) {
	b, err := readFile(h.path("proc", pid, "sessionid"), 64)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	return n, err == nil && n != 0 && n != math.MaxUint32
}
