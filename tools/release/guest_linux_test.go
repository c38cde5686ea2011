package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// guests counts them.
var guests atomic.Int32

// guest is a whole Debian in a container: systemd, logind, sshd, PAM, all of
// them real. Slack is a stand-in in this process.
type guest struct {
	t    *testing.T
	dir  string // its root
	name string
	key  string // alice's
	id   string // /etc/machine-id
	// The two ends of the wire to it.
	hostEnd, guestEnd string
	slack             *standin.Slack
	init              int // the pid of its init, seen from here
	boots             *exec.Cmd
	said              bytes.Buffer // its console
	relays            []net.Listener
	wires             sync.Map // the relays' open connections
}

// newGuest copies the folder that SSHNOTIFY_GUEST names, made by
//
//	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,iproute2,sudo,vsftpd,python3,python3-apt,nftables,tmux bookworm DIR
//
// and boots it, as db1.example.com, beside those of other tests.
func newGuest(t *testing.T) *guest {
	t.Helper()
	t.Parallel()
	return newGuestCalled(t, "db1")
}

// newGuestCalled is newGuest of another name. Several can run beside each other.
func newGuestCalled(t *testing.T, host string) *guest {
	t.Helper()
	base := os.Getenv("SSHNOTIFY_GUEST")
	if base == "" {
		t.Skip("SSHNOTIFY_GUEST names no debootstrapped folder")
	}
	if os.Getuid() != 0 {
		t.Skip("systemd-nspawn needs root")
	}
	slack, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	// Each has a name and a subnet of its own, so that two of them on one machine do not
	// reach each other's end.
	n := int(guests.Add(1))
	subnet := (os.Getpid()*8 + n) % 64 * 4
	g := &guest{
		t: t, slack: slack, name: fmt.Sprintf("sn%d%c", os.Getpid()%1e6, 'a'+n%26),
		hostEnd: fmt.Sprintf("198.51.100.%d", subnet+1), guestEnd: fmt.Sprintf("198.51.100.%d", subnet+2),
	}
	// Not below the test's own folder: a guest that does not end would keep it
	// from being removed.
	if g.dir, err = os.MkdirTemp("", "sshnotify-guest-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(g.dir) })
	g.onHost("cp", "-a", "--reflink=auto", base+"/.", g.dir)
	g.account(host)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := g.try("journalctl", "--no-pager", "-n", "80")
			t.Logf("the guest's journal:\n%s\nits console:\n%s", out, g.said.String())
		}
		g.off()
	})
	g.boot() // one that does not come up is ended as well
	return g
}

// account gives the guest a user with a key, and its name, before /etc is looked at.
func (g *guest) account(host string) {
	g.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		g.t.Fatal(err)
	}
	g.key = filepath.Join(g.t.TempDir(), "key")
	if err := os.WriteFile(g.key, pem.EncodeToMemory(block), 0o600); err != nil {
		g.t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		g.t.Fatal(err)
	}
	g.onHost("chroot", g.dir, "useradd", "--create-home", "--shell", "/bin/bash", "alice")
	home := filepath.Join(g.dir, "home/alice/.ssh")
	if err := os.Mkdir(home, 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "authorized_keys"), ssh.MarshalAuthorizedKey(line), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.onHost("chroot", g.dir, "chown", "-R", "alice:alice", "/home/alice/.ssh")
	// The name that the messages show; the guest has a machine id of its own.
	sum := sha256.Sum256([]byte(host))
	g.id = hex.EncodeToString(sum[:16])
	for name, text := range map[string]string{"etc/hostname": host + ".example.com\n", "etc/machine-id": g.id + "\n"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
}

// signer is alice's key, for who connects without the ssh program.
func (g *guest) signer() ssh.Signer {
	g.t.Helper()
	text, err := os.ReadFile(g.key)
	if err != nil {
		g.t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		g.t.Fatal(err)
	}
	return key
}

// boot starts the guest and waits until all of it is up.
func (g *guest) boot() {
	g.t.Helper()
	g.unplug()
	// In a control group of its own, below which systemd-nspawn makes its own: two guests
	// in the same one could not end their services.
	groups := g.controlGroups()
	for _, dir := range groups {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			g.t.Fatal(err)
		}
	}
	g.boots = exec.Command("sh", append([]string{"-c", `for group; do echo $$ >"$group/cgroup.procs"; done
		exec systemd-nspawn --boot --register=no --keep-unit --private-network --network-veth --console=pipe --machine="$NAME" --directory="$DIR"`, "sh"}, groups...)...)
	g.boots.Env = append(os.Environ(), "NAME="+g.name, "DIR="+g.dir)
	g.boots.Stdout, g.boots.Stderr = &g.said, &g.said
	if err := g.boots.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.up()
}

// controlGroups are the guest's, in each hierarchy that systemd goes by: cgroup2 alone,
// or beside it the older one.
func (g *guest) controlGroups() (dirs []string) {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err == nil {
			dirs = append(dirs, filepath.Join(root, g.name))
		}
	}
	return dirs
}

// unplug takes away the wire to an earlier guest, or boot, which the kernel may
// keep for some time after its end.
func (g *guest) unplug() { exec.Command("ip", "link", "delete", "ve-"+g.name).Run() }

// up waits for the guest's init, and connects it.
func (g *guest) up() {
	g.t.Helper()
	g.eventually("end of the boot", func() bool {
		// Asked each time: the first child of systemd-nspawn may be one that only
		// prepares the container.
		out, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", g.boots.Process.Pid))
		pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			return false
		}
		g.init = pid
		// Not with --wait, which may miss the end of the boot, and then waits for ever.
		said, _ := g.try("systemctl", "is-system-running")
		return strings.HasPrefix(said, "running") || strings.HasPrefix(said, "degraded")
	})
	if out := g.run("systemctl", "--failed", "--no-legend", "--plain"); out != "" {
		g.t.Errorf("units that failed:\n%s", out)
	}
	g.run("ip", "addr", "add", g.guestEnd+"/30", "dev", "host0")
	g.run("ip", "link", "set", "host0", "up")
	if out, err := exec.Command("ip", "addr", "replace", g.hostEnd+"/30", "dev", "ve-"+g.name).CombinedOutput(); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
	g.onHost("ip", "link", "set", "ve-"+g.name, "up")
}

// off ends the guest as a power cut does.
func (g *guest) off() {
	g.unreachSlack()
	g.boots.Process.Kill()
	g.boots.Wait()
	if g.init > 0 {
		unix.Kill(g.init, unix.SIGKILL)
	}
	g.unplug()
	// Once the last process is gone, from the leaves up.
	for range 100 {
		left := 0
		for _, dir := range g.controlGroups() {
			exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
			if _, err := os.Stat(dir); err == nil {
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// reboot has the guest boot anew, in its own time. The container ends, as
// systemd-nspawn@.service expects it, and is started again.
func (g *guest) reboot() {
	g.t.Helper()
	g.unreachSlack()
	g.run("systemctl", "--no-block", "reboot")
	g.boots.Wait()
	g.boot()
}

// reachSlack has the guest's own loopback lead to the stand-in, for plain HTTP
// goes no farther. It gives the webhook's URL in the guest.
func (g *guest) reachSlack() string {
	g.t.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(g.slack.URL(), "http://"), "/")
	g.reach("127.0.0.1:8088", address)
	return "http://127.0.0.1:8088/" + path
}

// reach has an address of the guest's own loopback lead to one of this machine.
func (g *guest) reach(at, address string) {
	g.t.Helper()
	ready := make(chan error)
	go func() {
		// The thread is never unlocked, and ends with its goroutine: nothing else
		// may run in the guest's network.
		runtime.LockOSThread()
		err := g.listen(at)
		ready <- err
	}()
	if err := <-ready; err != nil {
		g.t.Fatal(err)
	}
	relay := g.relays[len(g.relays)-1]
	go func() {
		for {
			in, err := relay.Accept()
			if err != nil {
				return
			}
			g.wires.Store(in, true)
			go g.forward(in, address)
		}
	}()
}

func (g *guest) listen(at string) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", g.init))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	relay, err := net.Listen("tcp4", at)
	if err == nil {
		g.relays = append(g.relays, relay)
	}
	return err
}

func (g *guest) forward(in net.Conn, address string) {
	defer g.wires.Delete(in)
	defer in.Close()
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		io.Copy(out, in)
		out.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(in, out)
}

func (g *guest) unreachSlack() {
	for _, relay := range g.relays {
		relay.Close()
	}
	g.relays = nil
	g.wires.Range(func(c, _ any) bool {
		c.(net.Conn).Close() // one that is kept alive would still get through
		return true
	})
}

// try runs a command in the guest as its root, and returns all that it says.
func (g *guest) try(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute) // install --gate waits for five
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(g.init), "--all", "--"}, words...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (g *guest) run(words ...string) string {
	g.t.Helper()
	out, err := g.try(words...)
	if err != nil {
		g.t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return out
}

func (g *guest) onHost(words ...string) {
	g.t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		g.t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// alice has the guest's ordinary user run a line of shell. That she becomes
// alice is no event of any service's.
func (g *guest) alice(line string) (string, error) {
	return g.try("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--reset-env", "bash", "-c", "cd; "+line)
}

func (g *guest) asAlice(line string) {
	g.t.Helper()
	if out, err := g.alice(line); err != nil {
		g.t.Fatalf("alice: %s: %v\n%s", line, err, out)
	}
}

// write puts a file into the guest, as root's.
func (g *guest) write(name, text string, mode os.FileMode) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) read(name string) string {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

// ssh is a login over the wire, as alice; it returns what came out.
func (g *guest) ssh(command string) *exec.Cmd {
	return exec.CommandContext(g.t.Context(), "ssh", "-F", "none", "-i", g.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=60", "-o", "BindAddress="+g.hostEnd, "alice@"+g.guestEnd, command)
}

// login is a whole session that prints and says nothing but what it was told
// to.
func (g *guest) login() {
	g.t.Helper()
	if out, err := g.ssh("echo in; echo err >&2").CombinedOutput(); err != nil || string(out) != "in\nerr\n" && string(out) != "err\nin\n" {
		g.t.Errorf("a login: %v, %q", err, out)
	}
}

// told waits until n messages came in all, and returns the last one.
func (g *guest) told(n int) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), eventually)
	defer cancel()
	if err := g.slack.Wait(ctx, n); err != nil {
		g.t.Fatalf("%d messages, not %d", len(g.slack.Messages()), n)
	}
	all := g.slack.Messages()
	if len(all) != n {
		g.t.Errorf("%d messages, not %d", len(all), n)
	}
	return string(all[len(all)-1].Raw)
}

// critical waits for the critical message of a login, which names all that is
// given. Where the watcher was first it is the login's only message, else it
// follows the hook's: no other comes.
func (g *guest) critical(names ...string) string {
	g.t.Helper()
	var found []string
	defer func() {
		if len(found) == 0 {
			for _, m := range g.slack.Messages() {
				g.t.Logf("it told: %s", m.Raw)
			}
		}
	}()
	g.eventually("critical message", func() bool {
		found = nil
		for _, m := range g.slack.Messages() {
			text := string(m.Raw)
			if strings.Contains(text, "CRITICAL") && !slices.ContainsFunc(names, func(name string) bool { return !strings.Contains(text, name) }) {
				found = append(found, text)
			}
		}
		return len(found) > 0
	})
	if len(found) > 1 {
		g.t.Errorf("%d critical messages of one login", len(found))
	}
	return found[0]
}

// eventually is how long a guest may take for anything, on a slow machine.
const eventually = 5 * time.Minute

func (g *guest) eventually(what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(eventually); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("no %s\n%s", what, g.said.String())
		}
	}
}

// These are other programs' own: backups and locks of the shadow tools, which
// bear whatever stood there before the last change.
var othersOwn = regexp.MustCompile(`^(passwd|group|shadow|gshadow|subuid|subgid)-$|^\.pwd\.lock$`)

// etc says of each file in the guest's /etc what it is.
func (g *guest) etc() map[string]string {
	g.t.Helper()
	root := filepath.Join(g.dir, "etc")
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if othersOwn.MatchString(rel) {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		what := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
		switch {
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(name)
			if err != nil {
				return err
			}
			what += " -> " + to
		case d.Type().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			what += " " + hex.EncodeToString(sum[:])
		}
		all[rel] = what
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}
