package login

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	boot      = "5e1e805d-e187-43a4-9073-39c190f58131"
	ns        = "pid:[4026531836]"
	hookPID   = 900
	alice     = 1000
	bob       = 1001
	aliceConn = "203.0.113.7 51234 10.0.0.5 22"
)

var now = time.Date(2026, 11, 21, 3, 15, 4, 123456789, time.FixedZone("CET", 3600))

// proc is a process of a pretend host.
type proc struct {
	pid, ppid int
	comm      string
	title     string // its command line; "|" stands for NUL
	uid       int
}

// started returns a process's start time, different for each.
func (p proc) started() uint64 { return 100_000 + uint64(p.pid) }

func (p proc) stat() string {
	return fmt.Sprintf("%d (%s) S %d %d %d 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 %d 3133440 382 18446744073709551615 0\n",
		p.pid, p.comm, p.ppid, p.pid, p.pid, p.started())
}

// pretend makes a host of files: processes, an environment, users. The hook is
// the first process.
func pretend(t testing.TB, environ []string, procs ...proc) Host {
	t.Helper()
	root := t.TempDir()
	h := Host{
		Root: root, PID: procs[0].pid, PPID: procs[0].ppid, UID: procs[0].uid,
		Environ:  func() []string { t.Error("the environment is not the raw one"); return nil },
		Hostname: func() (string, error) { return "db1.example.com", nil },
		Probe:    func(int) error { return nil },
	}
	for _, p := range procs {
		dir := fmt.Sprintf("proc/%d/", p.pid)
		write(t, root, dir+"stat", p.stat())
		write(t, root, dir+"status", fmt.Sprintf("Name:\t%s\nUmask:\t0022\nPid:\t%d\nUid:\t%d\t0\t0\t0\nGid:\t7\t7\t7\t7\n", p.comm, p.pid, p.uid))
		write(t, root, dir+"cmdline", strings.ReplaceAll(p.title, "|", "\x00"))
	}
	link(t, strconv.Itoa(h.PID), filepath.Join(root, "proc/self"))
	setEnviron(t, h, environ)
	write(t, root, "proc/self/ns/x", "")
	link(t, ns, filepath.Join(root, "proc/self/ns/pid"))
	write(t, root, "proc/sys/kernel/random/boot_id", boot+"\n")
	write(t, root, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n+::1000::::\nbroken\nalice:x:1000:1000:,,,:/home/alice:/bin/bash\nalias:x:1000:1000::/:/bin/sh\n")
	return h
}

func setEnviron(t testing.TB, h Host, environ []string) {
	t.Helper()
	write(t, h.Root, "proc/self/environ", strings.Join(environ, "\x00")+"\x00")
}

func write(t testing.TB, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// underSSHD is a hook that pam_exec runs for alice's login on OpenSSH 9.2.
func underSSHD(t testing.TB, environ ...string) Host {
	return pretend(t, environ,
		proc{hookPID, 812, "sshnotify", "/usr/bin/sshnotify|hook|", 0},
		proc{812, 700, "sshd", "sshd: alice [priv]|", 0},
		proc{700, 1, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0})
}

// pamEnv is what pam_exec gives, in its order, after what was there before.
func pamEnv(kind, rhost string, before ...string) []string {
	env := append(before, "PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh")
	if rhost != "" {
		env = append(env, "PAM_RHOST="+rhost)
	}
	return append(env, "PAM_TYPE="+kind)
}
