package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	sshdPath   = "/usr/sbin/sshd"
	sftpServer = "/usr/lib/openssh/sftp-server"
)

// patience bounds every wait. It is long because nothing is expected to take
// it: two cores may be busy with other tests.
const patience = 90 * time.Second

// usersMu keeps this process's useradd and userdel from waiting for each
// other's lock of the password file, which they give up on.
var usersMu sync.Mutex

// lab is a real sshd on an address of its own, with a PAM service, a host key
// and users that only it knows. It is a copy of the machine's under another
// name, because the name is what sshd asks PAM for.
type lab struct {
	t              testing.TB
	dir            string // everybody may look into it
	service        string // of PAM, and the name of the copy
	user           string
	home           string
	password       string // of all the lab's users
	key            string // the user's, a file
	client, server string // the addresses of the two ends
	port           int
	within         []string // runs the sshd in namespaces of its own
	usr            string   // the /usr that it and its sessions see in place of this machine's; empty: this machine's
	ownNet         bool     // a network is among these
	asks           bool     // by PAM: keyboard-interactive
	enter          []string // runs a client in the same network
	sshd           *exec.Cmd
	ended          chan struct{} // closed when the sshd is gone
	sites          []*site       // that hooks lead to
	users          []string
	uids           []int
}

// newLab makes one with a user who has a key and a password. Say what PAM does
// with pam, and start it with serve.
func newLab(t testing.TB) *lab {
	t.Helper()
	e2e(t)
	if runtime.GOOS != "linux" {
		t.Skip("the lab is made for Linux")
	}
	if os.Getuid() != 0 {
		lacking(t, "root to run an sshd")
	}
	for _, tool := range []string{sshdPath, sftpServer, "ssh", "ssh-keygen", "sftp", "scp", "useradd", "userdel", "chpasswd", "bash", "su"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(t, tool)
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd insists on it
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sshd-lab-")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{
		t: t, dir: dir, service: "sshd-t" + word(), key: filepath.Join(dir, "id"), password: rand.Text(),
		client: "127.0.0.2", server: "127.0.0.1",
	}
	l.guard()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(sshdPath)
	if err != nil {
		t.Fatal(err)
	}
	l.write(l.service, 0o755, string(b))
	l.write("askpass", 0o755, "#!/bin/sh\nprintf '%s\\n' \"$LAB_PASSWORD\"\n")
	l.keygen("host")
	l.keygen("id")
	l.user, l.home = l.addUser()
	l.write("keys/"+l.user, 0o644, l.read("id.pub"))
	return l
}

// word returns a word that no other test has.
func word() string { return strings.ToLower(rand.Text()[:6]) }

func (l *lab) write(name string, mode os.FileMode, text string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func (l *lab) read(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// must runs a tool that is not under test.
func (l *lab) must(name string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keygen makes a key pair in the lab's folder.
func (l *lab) keygen(name string) {
	l.t.Helper()
	l.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", filepath.Join(l.dir, name))
}

// fingerprint is what ssh-keygen says of a public key.
func (l *lab) fingerprint(name string) string {
	l.t.Helper()
	f := strings.Fields(l.must("ssh-keygen", "-lf", filepath.Join(l.dir, name)))
	return f[1]
}

// addUser makes a user of the machine, for as long as the test runs.
func (l *lab) addUser() (name, home string) {
	l.t.Helper()
	name = "sshn" + word()
	home = filepath.Join(l.dir, name)
	usersMu.Lock()
	defer usersMu.Unlock()
	l.write("users", 0o600, strings.Join(append(l.users, name), "\n")+"\n")
	l.users = append(l.users, name)
	l.must("useradd", "-M", "-N", "-d", home, "-s", "/bin/bash", name)
	uid, err := strconv.Atoi(strings.TrimSpace(l.must("id", "-u", name)))
	if err != nil {
		l.t.Fatal(err)
	}
	l.uids = append(l.uids, uid)
	l.t.Cleanup(func() {
		usersMu.Lock()
		defer usersMu.Unlock()
		until(l.t, "the end of all processes of "+name, func() bool { return len(kill(ownedBy(uid))) == 0 })
		if out, err := exec.Command("userdel", name).CombinedOutput(); err != nil {
			l.t.Errorf("userdel %s: %v\n%s", name, err, out)
		}
	})
	c := exec.Command("chpasswd")
	c.Stdin = strings.NewReader(name + ":" + l.password + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		l.t.Fatalf("chpasswd: %v\n%s", err, out)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		l.t.Fatal(err)
	}
	l.give(uid, home, home)
	return name, home
}

// give makes a file a user's, and the folders on the way from the home to it.
func (l *lab) give(uid int, home, path string) {
	l.t.Helper()
	for ; strings.HasPrefix(path, home); path = filepath.Dir(path) {
		if err := os.Lchown(path, uid, -1); err != nil {
			l.t.Fatal(err)
		}
	}
}

// atHome writes a file of the user's.
func (l *lab) atHome(name, text string) {
	l.t.Helper()
	l.give(l.uids[0], l.home, l.write(filepath.Join(l.user, name), 0o600, text))
}

// hook is the PAM line for a site.
func (l *lab) hook(s *site, more ...string) string {
	if !slices.Contains(l.sites, s) {
		l.sites = append(l.sites, s)
	}
	line := []string{"session optional pam_exec.so quiet", binary, "hook --spool", s.spool, "--config", s.settings, "--services", l.service}
	return strings.Join(append(line, more...), " ")
}

// pam says what PAM does from now on when a session opens and closes. The
// machine's own files stay as they are.
func (l *lab) pam(session ...string) {
	l.t.Helper()
	lines := append([]string{"auth required pam_unix.so nodelay", "account required pam_permit.so"}, session...)
	lines = append(lines, "session required pam_permit.so", "")
	path := "/etc/pam.d/" + l.service
	l.t.Cleanup(func() { os.Remove(path) })
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// serve starts the sshd, with more lines of sshd_config(5). All that ends with
// the test and is not the machine's ends before the sites are removed.
func (l *lab) serve(more ...string) {
	l.t.Helper()
	l.t.Cleanup(l.end)
	for range 5 {
		l.port = 2222 // nobody else's, in a network of its own
		if !l.ownNet {
			l.port = freePort(l.t, l.server)
		}
		if l.start(more) {
			break
		}
	}
	if l.sshd == nil {
		l.t.Fatalf("sshd does not start:\n%s", l.read("sshd.log"))
	}
	if l.ownNet {
		l.enter = []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", l.sshd.Process.Pid)}
	}
	l.write("known_hosts", 0o644, "lab "+l.read("host.pub"))
	l.write("ssh_config", 0o644, strings.Join([]string{
		"Host lab", "IdentityFile " + l.key,
		"Host stranger", "IdentityFile " + filepath.Join(l.dir, "stranger"),
		"Host *", "HostName " + l.server, "Port " + strconv.Itoa(l.port), "BindAddress " + l.client, "User " + l.user,
		"IdentitiesOnly yes", "IdentityAgent none", "HostKeyAlias lab",
		"UserKnownHostsFile " + filepath.Join(l.dir, "known_hosts"), "GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes",
		"UpdateHostKeys no", "ConnectTimeout 60", "",
	}, "\n"))
}

func freePort(t testing.TB, ip string) int {
	t.Helper()
	n, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	return n.Addr().(*net.TCPAddr).Port
}

// start reports whether the sshd listens. It does not if somebody else took the
// port since it was found free.
func (l *lab) start(more []string) bool {
	l.t.Helper()
	if l.usr != "" { // which names itself to PAM (9.8), and holds against an address what tests do (9.8)
		more = append([]string{"PAMServiceName " + l.service, "PerSourcePenalties no"}, more...)
	}
	if !slices.ContainsFunc(more, func(line string) bool { return strings.HasPrefix(line, "LogLevel ") }) {
		more = append([]string{"LogLevel VERBOSE"}, more...)
	}
	l.write("sshd_config", 0o644, strings.Join(append([]string{
		"ListenAddress " + l.server, "Port " + strconv.Itoa(l.port), "HostKey " + filepath.Join(l.dir, "host"), "PidFile none",
		"UsePAM yes", "StrictModes no", "AuthorizedKeysFile " + filepath.Join(l.dir, "keys", "%u"), "AllowUsers sshn*",
		"PasswordAuthentication yes", "KbdInteractiveAuthentication " + map[bool]string{true: "yes", false: "no"}[l.asks], "PrintMotd no", "PrintLastLog no",
		"Subsystem sftp " + sftpServer, "",
	}, more...), "\n"))
	log, err := os.Create(filepath.Join(l.dir, "sshd.log"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	program := filepath.Join(l.dir, l.service)
	if l.usr != "" {
		program = sshdPath
	}
	args := slices.Concat(l.ownProc(), l.within, l.ownUsr(), []string{program, "-D", "-e", "-f", filepath.Join(l.dir, "sshd_config")})
	c := exec.Command(args[0], args[1:]...)
	c.Stderr = log
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	listens := func() bool { return strings.Contains(l.read("sshd.log"), "Server listening on "+l.server) }
	until(l.t, "an sshd that listens", func() bool { return gone(ended) || listens() })
	if !listens() {
		return false
	}
	l.sshd, l.ended = c, ended
	return true
}

// mountsProc is the command that runs another where /proc hides the processes
// of others, or does not. Each mount has options of its own since Linux 5.8.
func mountsProc(hidepid string) []string {
	return []string{"unshare", "--mount", "sh", "-c", "mount -t proc -o hidepid=" + hidepid + ` proc /proc && exec "$@"`, "sh"}
}

// ownProc gives the lab's sshd a /proc as it is on most machines, where this
// one's hides processes.
func (l *lab) ownProc() []string {
	l.t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " /proc ") && strings.Contains(line, "hidepid=") {
			return mountsProc("off")
		}
	}
	return nil
}

// ownUsr gives the lab's sshd another Debian's programs, libraries and modules of
// PAM. Users, services of PAM and folders stay this machine's.
func (l *lab) ownUsr() []string {
	if l.usr == "" {
		return nil
	}
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /usr && exec "$@"`, l.usr}
}

// eachSSHD runs a test with this machine's OpenSSH, and with a newer one whose /usr
// SSHNOTIFY_SSHD_USR names: from 10.3 on, what PAM says is shown at once, and from
// 9.8 on, a session is another program.
func eachSSHD(t *testing.T, test func(t *testing.T, usr string)) {
	t.Parallel()
	t.Run("this machine's", func(t *testing.T) { test(t, "") })
	t.Run("newer", func(t *testing.T) {
		e2e(t)
		usr := os.Getenv("SSHNOTIFY_SSHD_USR")
		if usr == "" {
			t.Skip("SSHNOTIFY_SSHD_USR names no newer OpenSSH's /usr")
		}
		if _, err := os.Stat(filepath.Join(usr, strings.TrimPrefix(sshdPath, "/usr"))); err != nil {
			t.Fatal(err)
		}
		test(t, usr)
	})
}

// end ends whatever the lab has started, each by its process id.
func (l *lab) end() {
	if l.t.Failed() {
		l.t.Logf("sshd:\n%s", l.read("sshd.log"))
	}
	if l.sshd != nil {
		// The clients ended with the test's context, and their sessions follow.
		deadline := time.Now().Add(30 * time.Second)
		for len(l.sessions()) > 0 && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		left := l.sessions()
		_ = l.sshd.Process.Kill()
		<-l.ended
		kill(left)
	}
	for _, s := range l.sites {
		until(l.t, "the end of the workers", func() bool { return len(kill(s.workers())) == 0 })
		os.RemoveAll(filepath.Join("/run", overflowName(s.spool)))
	}
}

// overflowName is the folder in /run that stands in for a spool that takes no
// events.
func overflowName(spool string) string {
	return "sshnotify" + strings.NewReplacer("_", "__", "-", "_-", "/", "-").Replace(spool)
}

func gone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// command prepares a client.
func (l *lab) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	args = slices.Concat(l.enter, []string{name, "-F", filepath.Join(l.dir, "ssh_config")}, args)
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "TERM=xterm"}
	c.WaitDelay = time.Second
	return c
}

// run runs a client to its end. That its output is read to the end is part of
// the test: somebody who keeps the other end open makes it hang.
func (l *lab) run(name string, args ...string) result {
	l.t.Helper()
	return l.runWith(nil, name, args...)
}

func (l *lab) runWith(env []string, name string, args ...string) result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	c := l.command(ctx, name, args...)
	c.Env = append(c.Env, env...)
	var out, stderr strings.Builder
	c.Stdout, c.Stderr = &out, &stderr
	err := c.Run()
	if c.ProcessState == nil || ctx.Err() != nil {
		l.t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), stderr.String())
	}
	return result{c.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// stay starts a client that stays until the returned function ends it.
func (l *lab) stay(args ...string) (leave func()) {
	l.t.Helper()
	c := l.command(l.t.Context(), "ssh", args...)
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	return func() {
		// Not SIGTERM: a client that gets it just before it waits for its
		// connection waits on.
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}
