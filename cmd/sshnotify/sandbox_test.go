package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// sandbox is a place where the program is root, in a mount namespace with a
// /run of its own, which holds the overflow of spools, and a system log that
// the test reads.
type sandbox struct {
	t   testing.TB
	run string // its /run
	log *net.UnixConn

	mu    sync.Mutex
	lines []string
}

// namespace is the command that makes one: for a user, with a user namespace.
func namespace() []string {
	if os.Getuid() == 0 {
		return []string{"unshare", "-m"}
	}
	return []string{"unshare", "-r", "-m"}
}

func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	try := append(namespace(), "mount", "-t", "tmpfs", "none", "/mnt")
	if err := exec.Command(try[0], try[1:]...).Run(); err != nil {
		lacking(t, "leave to make mount namespaces")
	}
	b := &sandbox{t: t, run: filepath.Join(swiftDir(t), "run")}
	if err := os.Mkdir(b.run, 0o755); err != nil {
		t.Fatal(err)
	}
	b.listen()
	go b.read(b.log)
	return b
}

// listen makes the socket that is /run/log in the sandbox.
func (b *sandbox) listen() {
	b.t.Helper()
	path := filepath.Join(b.run, "log")
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { log.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		b.t.Fatal(err)
	}
	b.log = log
}

func (b *sandbox) read(log *net.UnixConn) {
	buf := make([]byte, 256<<10)
	for {
		n, err := log.Read(buf)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.lines = append(b.lines, string(buf[:n]))
		b.mu.Unlock()
	}
}

// logged returns the system log so far.
func (b *sandbox) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

// saw waits for a line of the system log.
func (b *sandbox) saw(want string) {
	b.t.Helper()
	until(b.t, "a line in the system log with "+want, func() bool { return strings.Contains(b.logged(), want) })
}

// within is the command that runs the program in the sandbox; more are lines of
// shell that are run before it, such as mounts. The shell passes on only what
// it understands of an environment.
func (b *sandbox) within(more ...string) []string {
	script := []string{
		"set -e",
		"mount --bind " + b.run + " /run",
		// Where the machine has a system log, it is not told of our tests.
		"if [ -S /dev/log ]; then mount --bind " + b.run + "/log /dev/log; fi",
	}
	script = append(append(script, more...), `exec "$@"`)
	return append(namespace(), "sh", "-c", strings.Join(script, "\n"), "sh")
}

// traced is the command that runs the program under strace(1), all of its
// threads and children, and writes the system calls of a class to a file.
func traced(t *testing.T, file, class string) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		lacking(t, "strace")
	}
	if err := exec.Command("strace", "-qq", "-o", os.DevNull, "true").Run(); err != nil {
		lacking(t, "leave to trace processes")
	}
	return []string{"strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=" + class, "-o", file, "--"}
}

// syscallLine takes the name and the first string of a call out of a line of strace's.
var (
	syscallName   = regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)`)
	syscallString = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// trace is what strace wrote: the lines of each system call by its name.
func trace(t *testing.T, file string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	calls := make(map[string][]string)
	for line := range strings.Lines(string(b)) {
		if m := syscallName.FindStringSubmatch(line); m != nil {
			calls[m[1]] = append(calls[m[1]], strings.TrimSpace(line))
		}
	}
	return calls
}

// paths returns the first string of each line.
func paths(lines []string) []string {
	var out []string
	for _, l := range lines {
		if m := syscallString.FindStringSubmatch(l); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}
