package login

import (
	"strconv"
	"strings"
	"time"
)

// Server is a process of the SSH server that serves a connection.
type Server struct {
	PID int
	Age time.Duration // since it was started
}

// ticks is how many clock ticks a second has for programs, on every Linux there is.
const ticks = 100

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
	b, err := readFile(h.path("proc/uptime"), 64)
	if err != nil {
		return 0, nil, false
	}
	up, _, _ := strings.Cut(string(b), " ")
	seconds, err := strconv.ParseFloat(up, 64)
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
			began := float64(p.start) / ticks
			servers = append(servers, Server{p.pid, time.Duration((seconds - began) * float64(time.Second))})
		}
		pid = p.ppid
	}
	return uid, servers, len(servers) > 0
}
