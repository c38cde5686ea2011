package respond

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
)

// Process is what the kernel says of one. Its names, words and files are its own
// choice, and cleaned.
type Process struct {
	PID      int       `json:"pid"`
	PPID     int       `json:"ppid"`
	Start    uint64    `json:"start"` // clock ticks after boot
	Started  time.Time `json:"started,omitzero"`
	UID      int       `json:"uid"`
	LoginUID int       `json:"loginuid"`  // -1: the kernel was not told
	Session  uint32    `json:"sessionid"` // of the audit system; 4294967295: none
	Cgroup   string    `json:"cgroup,omitempty"`
	Name     string    `json:"name"`

	Exe     string   `json:"exe,omitempty"`
	Deleted bool     `json:"exe_deleted,omitempty"`
	SHA256  string   `json:"exe_sha256,omitempty"`
	Cwd     string   `json:"cwd,omitempty"`
	Args    []string `json:"args,omitempty"`
	Env     []string `json:"environ,omitempty"` // names; values of SSH_* only
	TTY     string   `json:"tty,omitempty"`
	Files   []string `json:"files,omitempty"` // open ones, by their number
	Sockets []Socket `json:"sockets,omitempty"`
	Unread  []string `json:"unread,omitempty"` // what could not be read of it, and why

	netns string
	addrs []netip.Addr // of SSH_CONNECTION
}

// Socket is an end of a connection, or waits for one.
type Socket struct {
	Proto  string         `json:"proto"`
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	State  string         `json:"state,omitempty"`
	UID    int            `json:"uid"`
	PID    int            `json:"pid,omitempty"` // of those looked at
	inode  string
}

// How much is read of a process.
const (
	maxProcesses = 512
	maxWords     = 64
	maxWord      = 256
	maxFiles     = 256
	maxProcFile  = 256 << 10
	maxHashed    = 256 << 20
)

// look reads what tells whose a process is. None of these files is made by the
// process, so that it can't have them wait.
func (h Host) look(pid int) (Process, error) {
	s, err := login.Host{Root: h.Root}.Stat(pid)
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, PPID: s.PPID, Start: s.Start, UID: -1, LoginUID: -1, Session: unset, Name: event.Clean(s.Name, 32)}
	file := func(name string) string { return h.text(fmt.Sprintf("/proc/%d/%s", pid, name), 8<<10) }
	for line := range strings.Lines(file("status")) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			if f := strings.Fields(rest); len(f) > 1 {
				p.UID, _ = strconv.Atoi(f[1]) // the effective one
			}
		}
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(file("loginuid")), 10, 32); err == nil && n != unset {
		p.LoginUID = int(n)
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(file("sessionid")), 10, 32); err == nil && n != 0 {
		p.Session = uint32(n)
	}
	p.Cgroup = cgroupOf(file("cgroup"))
	return p, nil
}

// cgroupOf returns the path by which systemd knows a process: of the one hierarchy,
// or of its own one beside others.
func cgroupOf(text string) (path string) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(f) == 3 && (f[1] == "name=systemd" || f[0] == "0" && path == "") {
			path = f[2]
		}
	}
	return event.Clean(path, maxWord)
}

// scope returns the name of the logind session whose scope a process is in, "" where
// it is in none.
func (p Process) scope() string {
	for part := range strings.SplitSeq(p.Cgroup, "/") {
		if id, ok := strings.CutPrefix(part, "session-"); ok {
			if id, ok = strings.CutSuffix(id, ".scope"); ok {
				return id
			}
		}
	}
	return ""
}

// processes returns all that can be seen, by their numbers.
func (h Host) processes() ([]Process, error) {
	entries, err := os.ReadDir(h.path("/proc"))
	if err != nil {
		return nil, err
	}
	boot := h.bootTime()
	var out []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := h.look(pid); err == nil { // else it has ended
			if !boot.IsZero() {
				p.Started = event.Session{Start: p.Start}.Began(boot)
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Process) int { return a.PID - b.PID })
	return out, nil
}

func (h Host) bootTime() time.Time {
	for line := range strings.Lines(h.text("/proc/stat", 1<<20)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil {
				return time.Unix(n, 0).UTC()
			}
		}
	}
	return time.Time{}
}

// detail reads the rest of a process, which may be made so that reading it waits.
func (h Host) detail(p Process) Process {
	dir := fmt.Sprintf("/proc/%d/", p.PID)
	miss := func(what string, err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.Unread = append(p.Unread, fmt.Sprintf("%s: %v", what, reason(err)))
		}
	}
	link := func(name string) string {
		to, err := os.Readlink(h.path(dir + name))
		miss(name, err)
		return to
	}
	exe := link("exe")
	p.Exe, p.Deleted = strings.CutSuffix(exe, " (deleted)")
	p.Exe = event.Clean(p.Exe, maxWord)
	p.Cwd = event.Clean(link("cwd"), maxWord)
	p.netns, _ = os.Readlink(h.path(dir + "ns/net"))
	words, err := h.readFile(dir+"cmdline", maxProcFile)
	miss("cmdline", err)
	for w := range bytes.SplitSeq(bytes.TrimRight(words, "\x00"), []byte{0}) {
		if len(p.Args) == maxWords {
			p.Args = append(p.Args, "…")
			break
		}
		if len(words) > 0 {
			p.Args = append(p.Args, event.Clean(string(w), maxWord))
		}
	}
	env, err := h.readFile(dir+"environ", maxProcFile)
	miss("environ", err)
	for w := range bytes.SplitSeq(env, []byte{0}) {
		name, value, ok := strings.Cut(string(w), "=")
		if !ok || len(p.Env) == maxWords {
			continue
		}
		if strings.HasPrefix(name, "SSH_") {
			name += "=" + value
		}
		p.Env = append(p.Env, event.Clean(name, maxWord))
		if from, _, ok := strings.Cut(value, " "); ok && strings.HasPrefix(name, "SSH_CONNECTION=") {
			if a, err := netip.ParseAddr(from); err == nil {
				p.addrs = append(p.addrs, bare(a))
			}
		}
	}
	fds, err := os.ReadDir(h.path(dir + "fd"))
	miss("fd", err)
	for _, fd := range fds[:min(len(fds), maxFiles)] {
		to, err := os.Readlink(h.path(dir + "fd/" + fd.Name()))
		if err != nil {
			continue
		}
		p.Files = append(p.Files, fd.Name()+" "+event.Clean(to, maxWord))
		if p.TTY == "" && (strings.HasPrefix(to, "/dev/pts/") || strings.HasPrefix(to, "/dev/tty")) {
			p.TTY = event.Clean(to, 32)
		}
	}
	return p
}

// reason is what went wrong, without the path, which is said beside it.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// hash returns the sum of the program that a process runs, also of one that was
// deleted.
func (h Host) hash(p Process) (string, error) {
	f, err := os.Open(h.path(fmt.Sprintf("/proc/%d/exe", p.PID)))
	if err != nil {
		return "", reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", reason(err)
	case !info.Mode().IsRegular() || info.Size() > maxHashed:
		return "", errors.New("no file of at most 256 MiB")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", reason(err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// tcpStates are those of the kernel, from 01 (net/tcp_states.h).
var tcpStates = [...]string{"established", "syn-sent", "syn-received", "fin-wait-1", "fin-wait-2", "time-wait",
	"close", "close-wait", "last-ack", "listen", "closing"}

// sockets returns those of the network namespace that a process is in, see
// proc_pid_net(5).
func (h Host) sockets(pid int) (out []Socket) {
	for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text := h.text(fmt.Sprintf("/proc/%d/net/%s", pid, proto), 16<<20)
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) < 10 || !strings.HasSuffix(f[0], ":") {
				continue
			}
			s := Socket{Proto: proto, inode: f[9], Local: endpoint(f[1]), Remote: endpoint(f[2])}
			if strings.HasPrefix(proto, "tcp") {
				if n, err := strconv.ParseUint(f[3], 16, 8); err == nil && n >= 1 && int(n) <= len(tcpStates) {
					s.State = tcpStates[n-1]
				}
			}
			if s.Remote.Port() == 0 {
				s.Remote = netip.AddrPort{}
			}
			s.UID, _ = strconv.Atoi(f[7])
			out = append(out, s)
		}
	}
	return out
}

// endpoint reads an address in the kernel's hexadecimal form: words of 32 bits in
// the machine's own order.
func endpoint(s string) netip.AddrPort {
	a, p, _ := strings.Cut(s, ":")
	port, err := strconv.ParseUint(p, 16, 16)
	b, err2 := hex.DecodeString(a)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}
	}
	if littleEndian {
		for i := 0; i < len(b); i += 4 {
			b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// wire gives processes their sockets, and returns all that wait for a connection.
func (h Host) wire(all []Process) (listening []Socket) {
	byNamespace := map[string][]Socket{}
	for i := range all {
		p := &all[i]
		if _, ok := byNamespace[p.netns]; !ok {
			byNamespace[p.netns] = h.sockets(p.PID)
		}
		held := map[string]bool{}
		for _, f := range p.Files {
			if _, rest, ok := strings.Cut(f, " socket:["); ok {
				held[strings.TrimSuffix(rest, "]")] = true
			}
		}
		for j := range byNamespace[p.netns] {
			if s := &byNamespace[p.netns][j]; held[s.inode] {
				s.PID = p.PID
				p.Sockets = append(p.Sockets, *s)
			}
		}
	}
	own, _ := os.Readlink(h.path("/proc/self/ns/net"))
	if _, ok := byNamespace[own]; !ok {
		byNamespace[own] = h.sockets(h.PID)
	}
	for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
		for _, s := range byNamespace[ns] {
			if s.State == "listen" || strings.HasPrefix(s.Proto, "udp") && !s.Remote.IsValid() {
				listening = append(listening, s)
			}
		}
	}
	return listening
}

// Peers are the far ends of a user's connections to a port.
func (h Host) Peers(uid int, port uint16) (out []netip.Addr) {
	for _, s := range h.sockets(h.PID) {
		if a := s.Remote.Addr(); s.UID == uid && s.Remote.Port() == port && a.IsValid() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// Words returns what a process was called by, for a line of text.
func (p Process) Words() string {
	if len(p.Args) == 0 {
		return "[" + p.Name + "]"
	}
	return strings.Join(p.Args, " ")
}

// String names a process for people.
func (p Process) String() string {
	name := p.Name
	if p.Exe != "" {
		name = filepath.Base(p.Exe)
	}
	return fmt.Sprintf("%d (%s)", p.PID, name)
}
