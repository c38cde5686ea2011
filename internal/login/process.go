package login

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxProcFile is more than any file of /proc that is read whole has in the part
// that matters: stat and status stay below 4 KiB, and of a command line only
// the first argument counts.
const maxProcFile = 16 << 10

// process is what /proc/PID/stat says that matters here, see proc_pid_stat(5).
type process struct {
	pid   int
	comm  string // the program's name, at most 15 bytes of anything
	state byte   // Z: dead, but not yet collected by its parent
	ppid  int
	start uint64 // clock ticks after boot
}

// parseStat reads /proc/PID/stat. The program's name may hold spaces and
// parentheses; nothing after it does, so its end is the last ")".
func parseStat(b []byte) (process, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return process{}, errors.New("stat has no program name")
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 {
		return process{}, errors.New("stat has too few fields")
	}
	p := process{comm: string(b[open+1 : end]), state: f[0][0]}
	var errs [3]error
	p.pid, errs[0] = strconv.Atoi(strings.TrimSpace(string(b[:open])))
	p.ppid, errs[1] = strconv.Atoi(f[1])                // field 4
	p.start, errs[2] = strconv.ParseUint(f[19], 10, 64) // field 22
	return p, errors.Join(errs[:]...)
}

// proc returns a file of a process.
func (h Host) proc(pid int, name string) ([]byte, error) {
	return readFile(h.path("proc", strconv.Itoa(pid), name), maxProcFile)
}

func (h Host) process(pid int) (process, error) {
	b, err := h.proc(pid, "stat")
	if err != nil {
		return process{}, err
	}
	return parseStat(b)
}

// Stat is what the kernel says of a process, of which its name is the process's own
// choice.
type Stat struct {
	Name  string
	PPID  int
	Start uint64 // clock ticks after boot
}

// Stat reads /proc/PID/stat.
func (h Host) Stat(pid int) (Stat, error) {
	p, err := h.process(pid)
	return Stat{p.comm, p.ppid, p.start}, err
}

// realUID returns the first number of the Uid line of /proc/PID/status.
func (h Host) realUID(pid int) (int, error) {
	b, err := h.proc(pid, "status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return strconv.Atoi(f[0])
			}
		}
	}
	return 0, errors.New("status has no uid")
}

// numbered reports whether /proc numbers processes as the kernel does for us.
// It does not where there is none, or where a container was given another one's.
func (h Host) numbered() bool {
	self, err := os.Readlink(h.path("proc/self"))
	return err == nil && self == strconv.Itoa(h.PID)
}

// session gives a process of this boot and PID namespace the form in which it
// is stored. What can't be found out stays zero.
func (h Host) session(pid int, start uint64) event.Session {
	return event.Session{PID: pid, Start: start, Boot: bootID(h), NS: namespace(h)}
}

// parentSession is that of the process which has pam_exec run the hook: the sshd,
// or su, that opens the session, and later closes it. pam_exec's child leads a
// session of the system's; where that is the hook's parent, it is a script that
// runs the hook.
func (h Host) parentSession() event.Session {
	if !h.numbered() {
		return h.session(h.PPID, 0)
	}
	p, err := h.process(h.PPID)
	if err != nil {
		return h.session(h.PPID, 0)
	}
	if h.Leader != nil {
		if leader, err := h.Leader(h.PID); err == nil && leader == h.PPID {
			if opener, err := h.process(p.ppid); err == nil {
				p = opener
			}
		}
	}
	return h.session(p.pid, p.start)
}

func bootID(h Host) string {
	b, err := readFile(h.path("proc/sys/kernel/random/boot_id"), 64)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func namespace(h Host) string {
	ns, err := os.Readlink(h.path("proc/self/ns/pid"))
	if err != nil {
		return ""
	}
	return ns
}
