package login

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What stands above a hook, from the shell upwards.
func hook(uid int) proc { return proc{hookPID, 850, "sshnotify", "sshnotify|hook|", uid} }
func bash(pid, ppid, uid int) proc {
	return proc{pid, ppid, "bash", "-bash|", uid}
}

var (
	systemd    = proc{1, 0, "systemd", "/sbin/init|", 0}
	listener92 = proc{700, 1, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0}
	monitor92  = proc{810, 700, "sshd", "sshd: alice [priv]|||", 0}
	serving92  = proc{820, 810, "sshd", "sshd: alice@pts/0|||", alice}
	root92     = proc{820, 700, "sshd", "sshd: root@pts/0|", 0}
	monitor98  = proc{810, 700, "sshd-session", "sshd-session: alice [priv]|", 0}
	serving98  = proc{820, 810, "sshd-session", "sshd-session: alice@notty|", alice}
)

func TestShell(t *testing.T) {
	rows := []struct {
		name  string
		procs []proc
		want  int // the pid of the session; 0: nothing to tell
	}{
		{"OpenSSH 9.2, a user", []proc{hook(alice), bash(850, 820, alice), serving92, monitor92, listener92, systemd}, 820},
		{"OpenSSH 9.2, root has one process", []proc{hook(0), bash(850, 820, 0), root92, listener92, systemd}, 820},
		{"OpenSSH 9.8, a user", []proc{hook(alice), bash(850, 820, alice), serving98, monitor98, listener92, systemd}, 820},
		{"OpenSSH 9.8, root has two", []proc{hook(0), bash(850, 820, 0), {820, 810, "sshd-session", "sshd-session: root@pts/0|", 0}, {810, 700, "sshd-session", "sshd-session: root [priv]|", 0}, listener92, systemd}, 810},
		{"sshd-session before it has a title", []proc{hook(alice), bash(850, 820, alice), {820, 810, "sshd-session", "/usr/lib/openssh/sshd-session|-D|-R|", alice}, monitor98, listener92, systemd}, 820},
		{"a copy of sshd under its own name", []proc{hook(alice), bash(850, 820, alice), {820, 810, "sshd-test", "sshd-test: alice@pts/0|", alice}, {810, 1, "sshd-test", "sshd-test: alice [priv]|", 0}, systemd}, 820},
		{"started by inetd or a socket unit", []proc{hook(alice), bash(850, 820, alice), {820, 810, "sshd", "sshd: alice@notty|", alice}, {810, 1, "sshd", "sshd: alice [priv]|", 0}, systemd}, 820},
		{"nested shells, a pager, make", []proc{hook(alice), bash(850, 849, alice), {849, 848, "make) S 1 (", "make|", alice}, {848, 847, "less", "less|", alice}, bash(847, 820, alice), serving92, monitor92, listener92, systemd}, 820},
		{"~/.ssh/rc, which sshd runs before the shell", []proc{hook(alice), {850, 840, "sh", "sh|-c|/bin/sh .ssh/rc|", alice}, {840, 820, "sshd", "sshd: alice@pts/0|", alice}, serving92, monitor92, listener92, systemd}, 820},
		{"~/.ssh/rc of root, 9.2", []proc{hook(0), {850, 840, "sh", "sh|", 0}, {840, 820, "sshd", "sshd: root@pts/0|", 0}, root92, listener92, systemd}, 820},
		{"a user's own sshd inside a session", []proc{hook(alice), bash(850, 845, alice), {845, 840, "sshd", "sshd: alice@pts/1|", alice}, {840, 830, "sshd", "sshd: /usr/sbin/sshd -f x [listener] 1 of 10-100 startups|", alice}, bash(830, 820, alice), serving92, monitor92, listener92, systemd}, 845},
		{"a tmux server", []proc{hook(alice), bash(850, 840, alice), {840, 1, "tmux: server", "tmux|new|", alice}, systemd}, 0},
		{"a tmux server under the user's systemd", []proc{hook(alice), bash(850, 840, alice), {840, 830, "tmux: server", "tmux|", alice}, {830, 1, "systemd", "/lib/systemd/systemd|--user|", alice}, systemd}, 0},
		{"a tmux server in a container where sshd is process 1", []proc{hook(alice), bash(850, 840, alice), {840, 1, "tmux: server", "tmux|", alice}, {1, 0, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0}}, 0},
		{"a login in that container", []proc{hook(alice), bash(850, 820, alice), serving92, {810, 1, "sshd", "sshd: alice [priv]|", 0}, {1, 0, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0}}, 820},
		{"a listener that took in an orphan", []proc{hook(0), bash(850, 700, 0), listener92, systemd}, 0},
		{"an orphan of a user's own sshd, which runs inside a session", []proc{hook(alice), bash(850, 840, alice), {840, 830, "sshd", "sshd: /usr/sbin/sshd -D -f x [listener] 0 of 10-100 startups|", alice}, bash(830, 820, alice), serving92, monitor92, listener92, systemd}, 0},
		{"an old listener without a title", []proc{hook(0), bash(850, 700, 0), {700, 1, "sshd", "/usr/sbin/sshd|-D|", 0}, systemd}, 0},
		{"and in a folder with an odd name", []proc{hook(0), bash(850, 700, 0), {700, 1, "sshd", "/opt/new: sshd/sshd|-D|", 0}, systemd}, 0},
		{"su to root", []proc{hook(0), bash(850, 840, 0), {840, 830, "su", "su|", 0}, bash(830, 820, alice), serving92, monitor92, listener92, systemd}, 0},
		{"su from root to alice", []proc{hook(alice), bash(850, 840, alice), {840, 830, "su", "su|alice|", 0}, bash(830, 820, 0), root92, listener92, systemd}, 0},
		{"su to another user", []proc{hook(bob), bash(850, 840, bob), {840, 830, "su", "su|bob|", 0}, bash(830, 820, alice), serving98, monitor98, listener92, systemd}, 0},
		{"sudo in place of the shell", []proc{hook(0), bash(850, 840, 0), {840, 820, "sudo", "sudo|-E|bash|", 0}, serving92, monitor92, listener92, systemd}, 0},
		{"a console login", []proc{hook(alice), bash(850, 840, alice), {840, 1, "login", "login -p|", 0}, systemd}, 0},
		{"entered from another PID namespace", []proc{hook(alice), bash(850, 0, alice)}, 0},
		{"a program that begins like sshd", []proc{hook(alice), bash(850, 845, alice), {845, 840, "sshdump", "sshdump|-x|", alice}, bash(840, 820, alice), serving92, monitor92, listener92, systemd}, 820},
		{"a program with sshd's title only", []proc{hook(alice), bash(850, 840, alice), {840, 1, "vi", "sshd: alice@pts/0|", alice}, systemd}, 0},
		{"dropbear, which stays root", []proc{hook(alice), bash(850, 820, alice), {820, 700, "dropbear", "/usr/sbin/dropbear|-F|", 0}, {700, 1, "dropbear", "/usr/sbin/dropbear|-F|", 0}, systemd}, 820},
		{"dropbear, which became the user", []proc{hook(alice), bash(850, 820, alice), {820, 700, "dropbear", "dropbear|", alice}, {700, 1, "dropbear", "dropbear|", 0}, systemd}, 820},
		{"dropbear and su to root", []proc{hook(0), bash(850, 840, 0), {840, 830, "su", "su|", 0}, bash(830, 820, alice), {820, 700, "dropbear", "dropbear|", 0}, {700, 1, "dropbear", "dropbear|", 0}, systemd}, 0},
		{"dropbear under inetd", []proc{hook(alice), bash(850, 820, alice), {820, 1, "dropbear", "/usr/sbin/dropbear|-i|-r|x|", 0}, systemd}, 820},
		{"dropbear, where process 1 can't be seen", []proc{hook(0), bash(850, 820, 0), {820, 700, "dropbear", "dropbear|-F|", 0}, {700, 1, "dropbear", "dropbear|-F|", 0}}, 820},
		{"dropbear runs the hook itself", []proc{{hookPID, 820, "sshnotify", "", alice}, {820, 700, "dropbear", "dropbear|", 0}, {700, 1, "dropbear", "dropbear|", 0}, systemd}, 820},
		{"dropbear's listener", []proc{hook(0), bash(850, 700, 0), {700, 1, "dropbear", "dropbear|-F|", 0}, systemd}, 0},
		{"hidepid: sshd can't be seen", []proc{hook(alice), bash(850, 820, alice)}, 820},
		{"hidepid: nested shells", []proc{hook(alice), bash(850, 840, alice), bash(840, 820, alice)}, 820},
		{"hidepid: a tmux server", []proc{hook(alice), bash(850, 840, alice), {840, 1, "tmux: server", "tmux|", alice}}, 0},
		{"a tree that goes in circles", []proc{hook(alice), bash(850, 840, alice), bash(840, 850, alice)}, 0},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel() // it makes many files, and a disk may be slow
			h := pretend(t, []string{"SSH_CONNECTION=" + aliceConn}, r.procs...)
			got, err := Read(h, Options{Now: now})
			if r.want == 0 {
				if !errors.Is(err, ErrNothing) {
					t.Fatalf("error %v, event %+v; want nothing", err, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := event.Session{PID: r.want, Start: proc{pid: r.want}.started(), Boot: boot, NS: ns}
			if strings.HasPrefix(r.name, "hidepid") {
				s.Start = 0
			}
			want := event.Event{
				ID: event.LoginID(s, aliceConn), Kind: event.KindLogin, Time: now.UTC(), Host: "db1.example.com",
				User: map[int]string{0: "root", alice: "alice"}[h.UID], Service: "sshd", Via: event.ViaShell,
				Remote: event.Remote{IP: ip("203.0.113.7"), Port: 51234}, Local: event.Local{IP: ip("10.0.0.5"), Port: 22},
				Session: s,
			}
			if d := cmp.Diff(want, got, compareAddrs); d != "" {
				t.Error(d)
			}
		})
	}
}

// Under hidepid neither the sshd that serves a connection is seen, nor the one
// that it forks for ~/.ssh/rc, and that becomes the login shell.
func TestHiddenShellsOfOneConnectionHaveOneID(t *testing.T) {
	const serves, child, monitor = 820, 830, 810
	leaders := map[int]int{serves: monitor, child: child, 850: child, 840: child, 860: 860}
	file := "home/alice/.ssh/rc"
	read := func(rc bool, audit string, procs ...proc) string {
		t.Helper()
		h := pretend(t, []string{"SSH_CONNECTION=" + aliceConn}, procs...)
		h.Leader = func(pid int) (int, error) { return leaders[pid], nil }
		if rc {
			write(t, h.Root, file, "")
		}
		if audit != "" {
			uid, session, _ := strings.Cut(audit, " ")
			write(t, h.Root, "proc/self/loginuid", uid)
			write(t, h.Root, "proc/self/sessionid", session)
		}
		e, err := Read(h, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	ofRC := []proc{hook(alice), bash(850, child, alice)}
	shell := []proc{{hookPID, child, "sshnotify", "", alice}, bash(child, serves, alice)}
	inScript := []proc{{hookPID, 860, "sshnotify", "", alice}, bash(860, child, alice), bash(child, serves, alice)}
	multiplexed := []proc{{hookPID, 835, "sshnotify", "", alice}, bash(835, serves, alice)}

	want := read(true, "", ofRC...)
	for name, got := range map[string]string{"the login shell": read(true, "", shell...), "a session within it": read(true, "", inScript...)} {
		if got != want {
			t.Errorf("with ~/.ssh/rc, %s has another id", name)
		}
	}
	if read(false, "", shell...) != read(false, "", multiplexed...) {
		t.Error("without ~/.ssh/rc, two shells of one connection have two ids")
	}
	want = read(true, "1000 7", ofRC...)
	for name, got := range map[string]string{"the login shell": read(true, "1000 7", shell...), "a multiplexed one": read(true, "1000 7", multiplexed...)} {
		if got != want {
			t.Errorf("in an audit session, %s has another id", name)
		}
	}
	for name, audit := range map[string]string{"of another login": "1000 8", "of whoever started sshd": "0 7", "that is not set": "4294967295 4294967295"} {
		if read(true, audit, shell...) == want {
			t.Errorf("an audit session %s gives the same id", name)
		}
	}
	file = "etc/ssh/sshrc" // which sshd runs for whoever has none
	if read(true, "", ofRC...) != read(true, "", shell...) {
		t.Error("with /etc/ssh/sshrc, the login shell has another id")
	}
}

func TestShellsOfOneConnectionHaveOneID(t *testing.T) {
	id := func(conn string, above ...proc) string {
		t.Helper()
		h := pretend(t, []string{"SSH_CONNECTION=" + conn}, append(above, monitor92, listener92, systemd)...)
		e, err := Read(h, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	want := id(aliceConn, hook(alice), bash(850, 820, alice), serving92)
	for name, got := range map[string]string{
		"a second, multiplexed shell": id(aliceConn, proc{901, 851, "sshnotify", "", alice}, bash(851, 820, alice), serving92),
		"a nested shell":              id(aliceConn, hook(alice), bash(850, 840, alice), bash(840, 820, alice), serving92),
		"~/.ssh/rc":                   id(aliceConn, hook(alice), bash(850, 840, alice), proc{840, 820, "sshd", "sshd: alice@notty|", alice}, serving92),
	} {
		if got != want {
			t.Errorf("%s: id %s, want %s", name, got, want)
		}
	}
	other := serving92
	other.pid = 821
	for name, got := range map[string]string{
		"another connection with the same ports": id(aliceConn, hook(alice), bash(850, 821, alice), other),
		"the same process, another peer":         id("198.51.100.1 1 10.0.0.5 22", hook(alice), bash(850, 820, alice), serving92),
	} {
		if got == want {
			t.Errorf("%s has the same id", name)
		}
	}
}

func TestShellHiddenProcessOfAnotherUser(t *testing.T) {
	h := pretend(t, []string{"SSH_CONNECTION=" + aliceConn}, hook(bob), bash(850, 840, bob))
	for _, r := range []struct {
		name string
		err  error
		want bool
	}{
		{"sshd of our own user", nil, true},
		{"su: somebody else's", syscall.EPERM, false},
		{"SELinux does not let us ask", syscall.EACCES, true},
		{"gone", syscall.ESRCH, true},
	} {
		asked := 0
		h.Probe = func(pid int) error { asked = pid; return r.err }
		_, err := Read(h, Options{Now: now})
		if (err == nil) != r.want || err != nil && !errors.Is(err, ErrNothing) {
			t.Errorf("%s: error %v", r.name, err)
		}
		if asked != 840 {
			t.Errorf("%s: process %d was asked", r.name, asked)
		}
	}
}

func TestShellConnection(t *testing.T) {
	rows := []struct {
		name   string
		env    []string
		remote event.Remote
		err    error // nil: an event; errOdd: something that is worth a line
	}{
		{"no SSH session", []string{"HOME=/home/alice"}, event.Remote{}, ErrNothing},
		{"empty", []string{"SSH_CONNECTION="}, event.Remote{}, ErrNothing},
		{"malformed", []string{"SSH_CONNECTION=a b c d"}, event.Remote{}, errOdd},
		{"cut short", []string{"SSH_CONNECTION=203.0.113.7 51234"}, event.Remote{}, errOdd},
		{"no UTF-8", []string{"SSH_CONNECTION=\xff \xfe\n"}, event.Remote{}, errOdd},
		{"IPv6 with a zone", []string{"SSH_CONNECTION=fe80::1%eth0 5 fe80::2%eth0 22"}, event.Remote{IP: ip("fe80::1"), Port: 5, Zone: "eth0"}, nil},
		{"mapped", []string{"SSH_CONNECTION=::ffff:203.0.113.7 5 ::ffff:10.0.0.5 22"}, event.Remote{IP: ip("203.0.113.7"), Port: 5}, nil},
		{"over vsock", []string{"SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535"}, event.Remote{}, nil},
	}
	h := pretend(t, nil, hook(alice), bash(850, 820, alice), serving92, monitor92, listener92)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			setEnviron(t, h, r.env)
			got, err := Read(h, Options{Now: now})
			switch {
			case r.err == errOdd:
				if err == nil || errors.Is(err, ErrNothing) || strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error()) {
					t.Errorf("error %q, want one that can be logged and is not ErrNothing", err)
				}
			case !errors.Is(err, r.err):
				t.Errorf("error %v, want %v", err, r.err)
			default:
				if d := cmp.Diff(r.remote, got.Remote, compareAddrs); d != "" || got.Flags != nil {
					t.Error(d, got.Flags)
				}
			}
		})
	}
}

var errOdd = errors.New("odd")

func TestShellUser(t *testing.T) {
	env := []string{"SSH_CONNECTION=" + aliceConn, "USER=root", "LOGNAME=root"}
	h := pretend(t, env, hook(alice), bash(850, 820, alice), serving92)
	for _, r := range []struct{ name, passwd, want string }{
		{"in /etc/passwd", "alice:x:1000:1000::/:/bin/sh\n", "alice"},
		{"only in LDAP", "root:x:0:0::/:/bin/sh\n", "uid:1000"},
		{"a number that begins alike", "eve:x:10000:1000::/:/bin/sh\n", "uid:1000"},
		{"behind a very long line", strings.Repeat("x", 1<<17) + "\nalice:x:1000:1000::/:/bin/sh\n", "alice"},
		{"junk", "::::\n:x:1000:1::\n\n\xff\n-:x:1000:1\nalice:x:1000", "uid:1000"},
	} {
		write(t, h.Root, "etc/passwd", r.passwd)
		if e, err := Read(h, Options{Now: now}); err != nil || e.User != r.want {
			t.Errorf("%s: user %q, %v; want %q", r.name, e.User, err, r.want)
		}
	}
	write(t, h.Root, "etc/passwd", "alice:x:1000:1000::/home/alice:/bin/sh\n")
	if name, home := h.Account(); name != "alice" || home != "/home/alice" {
		t.Errorf("account %q in %q", name, home)
	}
	os.Remove(filepath.Join(h.Root, "etc/passwd"))
	if name, home := h.Account(); name != "uid:1000" || home != "" {
		t.Errorf("no /etc/passwd: account %q in %q", name, home)
	}
	if e, err := Read(h, Options{Now: now}); err != nil || e.User != "uid:1000" {
		t.Errorf("no /etc/passwd: user %q, %v", e.User, err)
	}
}

func TestShellAuthFile(t *testing.T) {
	uid := os.Getuid()
	self := hook(uid)
	h := pretend(t, nil, self, bash(850, 820, uid), proc{820, 700, "sshd", "sshd: me@pts/0|", uid})
	write(t, h.Root, "tmp/sshauth.1", "keyboard-interactive/pam\n")
	write(t, h.Root, "tmp/huge", "password\n"+strings.Repeat("x", event.MaxAuthInfo))
	link(t, "sshauth.1", filepath.Join(h.Root, "tmp/link"))
	if err := syscall.Mkfifo(filepath.Join(h.Root, "tmp/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		name, path string
		uid        int
		want       string
	}{
		{"the file that sshd made", "/tmp/sshauth.1", uid, "keyboard-interactive/pam\n"},
		{"nothing is named", "", uid, ""},
		{"it is gone", "/tmp/sshauth.2", uid, ""},
		{"a relative path", "tmp/sshauth.1", uid, ""},
		{"a link", "/tmp/link", uid, ""},
		{"a FIFO that nobody writes to", "/tmp/fifo", uid, ""},
		{"a folder", "/tmp", uid, ""},
		{"too large", "/tmp/huge", uid, ""},
		{"somebody else's", "/tmp/sshauth.1", uid + 1, ""},
	} {
		h.UID = r.uid
		write(t, h.Root, "proc/820/status", fmt.Sprintf("Uid:\t%d\t0\t0\t0\n", r.uid))
		write(t, h.Root, "proc/850/status", fmt.Sprintf("Uid:\t%d\t0\t0\t0\n", r.uid))
		write(t, h.Root, "proc/self/environ", "SSH_CONNECTION="+aliceConn+"\x00SSH_USER_AUTH="+r.path+"\x00")
		e, err := Read(h, Options{Now: now})
		if err != nil || e.Login.Auth.Info != r.want {
			t.Errorf("%s: how %q, %v; want %q", r.name, e.Login.Auth.Info, err, r.want)
		}
	}
}

func TestShellWithoutProc(t *testing.T) {
	h := Host{Root: t.TempDir(), PID: hookPID, PPID: 850, UID: alice, Environ: func() []string { return []string{"SSH_CONNECTION=" + aliceConn} }}
	e, err := Read(h, Options{Now: now})
	if err != nil || e.Session != (event.Session{PID: 850}) || e.User != "uid:1000" || e.Flags != nil || e.Host == "" {
		t.Errorf("event %+v, error %v", e, err)
	}
}
