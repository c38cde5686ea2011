package respond

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	boot     = "8c0b8b2c-5c57-4a0e-9a6c-1f6d5c3a2b10"
	refID    = "7K3F0000000000000000000000"
	otherID  = "9QXA0000000000000000000000"
	key      = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
	bootedAt = 1_900_000_000
)

var loggedIn = time.Unix(bootedAt+1000, 0).UTC()

// pretend is a host in a folder: /proc, logind's files, accounts and sshd's settings,
// and programs that do to these what the real ones do.
type pretend struct {
	t    *testing.T
	root string
	h    Host
	ran  []string
	// answers are those of programs that only answer, by the beginning of the line.
	answers map[string]string
	fails   map[string]string // lines that fail, by their beginning
	immune  map[int]bool      // processes that do not end
	blocks  map[string]string // elements of the nft sets
}

func newPretend(t *testing.T) *pretend {
	p := &pretend{t: t, root: t.TempDir(), answers: map[string]string{}, fails: map[string]string{}, immune: map[int]bool{}, blocks: map[string]string{}}
	p.h = Host{
		Root: p.root, PID: 900, Boot: boot, Run: p.run,
		Kill: func(_ Host, x Process) error {
			if !p.immune[x.PID] {
				os.RemoveAll(filepath.Join(p.root, "proc", strconv.Itoa(x.PID)))
			}
			return nil
		},
		Addresses: func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}, nil },
		Now:       func() time.Time { return loggedIn.Add(time.Minute) },
	}
	p.file("proc/stat", fmt.Sprintf("cpu 0\nbtime %d\n", bootedAt))
	p.file("proc/net/route", "Iface\tDestination\tGateway\neth0\t00000000\tFE0200C0\t0003\n")
	p.file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\ntoor:x:1000:1000::/home/alice:/bin/sh\n")
	p.file("etc/shadow", "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7::29999:\n")
	p.file("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
	p.folder("etc/ssh/sshd_config.d")
	p.folder("run/systemd/system")
	for _, name := range []string{"loginctl", "systemctl", "systemd-run", "usermod", "sshd", "ssh-keygen", "nft"} {
		p.file("usr/bin/"+name, "")
		if err := os.Chmod(filepath.Join(p.root, "usr/bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.process(900, 1, 99999, 0, -1, unset, "/system.slice/x.service", "sshnotify")
	return p
}

func (p *pretend) folder(name string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Join(p.root, name), 0o755); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pretend) file(name, text string) {
	p.t.Helper()
	p.folder(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(p.root, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pretend) read(name string) string {
	b, err := os.ReadFile(filepath.Join(p.root, name))
	if err != nil {
		return "none"
	}
	return string(b)
}

// process makes one that began so many seconds after the boot.
func (p *pretend) process(pid, ppid, start, uid, loginUID int, session uint32, cgroup, name string) {
	p.t.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	p.file(dir+"stat", fmt.Sprintf("%d (%s) S %d %s%d 0 0", pid, name, ppid, strings.Repeat("0 ", 17), start*event.Ticks))
	p.file(dir+"status", fmt.Sprintf("Name:\t%s\nUid:\t%d\t%[2]d\t%[2]d\t%[2]d\n", name, uid))
	p.file(dir+"loginuid", fmt.Sprint(uint32(loginUID)))
	p.file(dir+"sessionid", fmt.Sprint(session))
	p.file(dir+"cgroup", "5:devices:/\n1:name=systemd:"+cgroup+"\n0::/x\n")
	p.file(dir+"cmdline", name+"\x00")
	p.file(dir+"environ", "HOME=/\x00")
	p.folder(dir + "fd")
}

func (p *pretend) session(id string, uid, leader int, audit uint32, state, from string, at time.Time) {
	p.file("run/systemd/sessions/"+id, fmt.Sprintf("# This is private data. Do not parse.\nUID=%d\nUSER=alice\nSTATE=%s\nCLASS=user\nREMOTE_HOST=%s\nSERVICE=sshd\nLEADER=%d\nAUDIT=%d\nREALTIME=%d\n",
		uid, state, from, leader, audit, at.UnixMicro()))
}

// login makes a session of alice's, with sshd, a shell and what it left behind.
func (p *pretend) login() {
	scope, user := "/user.slice/user-1000.slice/session-5.scope", "/user.slice/user-1000.slice/user@1000.service"
	p.session("5", 1000, 100, 5, "active", "203.0.113.7", loggedIn)
	p.process(100, 1, 1000, 0, 1000, 5, scope, "sshd")
	p.process(101, 100, 1000, 1000, 1000, 5, scope, "bash")
	p.process(102, 1, 1010, 1000, 1000, 5, scope, "tmux: server")
	p.process(110, 1, 1000, 1000, 1000, 6, user+"/init.scope", "systemd")
	p.process(111, 110, 1020, 1000, 1000, 6, user+"/app.slice/x.service", "sleep")
	p.process(50, 1, 10, 1000, 1000, 4, "/system.slice/cron.service", "backup") // of long before
	p.process(60, 1, 1010, 1001, 1001, 7, "/user.slice/user-1001.slice/session-7.scope", "bash")
}

func (p *pretend) subject() Subject {
	return p.h.Account(Subject{
		ID: refID, Kind: event.KindLogin, Time: loggedIn, User: "alice", IP: netip.MustParseAddr("203.0.113.7"),
		Session: event.Session{PID: 100, Start: 1000 * event.Ticks, Boot: boot}, Method: "publickey", Key: key,
	})
}

func (p *pretend) responder() *Responder {
	return &Responder{Host: p.h, Subject: p.subject(), Folder: filepath.Join(p.t.TempDir(), "respond"), By: "carol", Self: p.h.Self()}
}

func (p *pretend) do(r *Responder, a Action) Step {
	p.t.Helper()
	s, err := r.Do(p.t.Context(), a)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// run does what the programs do.
func (p *pretend) run(ctx context.Context, stdin string, args ...string) (string, error) {
	line := filepath.Base(args[0]) + " " + strings.Join(args[1:], " ")
	p.ran = append(p.ran, line)
	for beginning, why := range p.fails {
		if strings.HasPrefix(line, beginning) {
			return why, errors.New(why)
		}
	}
	for beginning, answer := range p.answers {
		if strings.HasPrefix(line, beginning) {
			return answer, nil
		}
	}
	switch filepath.Base(args[0]) {
	case "loginctl": // kill-session ID
		for _, x := range p.all() {
			if x.scope() == args[2] {
				p.h.Kill(p.h, x)
			}
		}
	case "systemctl":
		if args[1] == "kill" {
			for _, x := range p.all() {
				if strings.Contains(x.Cgroup, "/"+args[3]+"/") {
					p.h.Kill(p.h, x)
				}
			}
		}
	case "usermod":
		shadow := ""
		for l := range strings.Lines(p.read("etc/shadow")) {
			if f := strings.Split(l, ":"); f[0] == args[3] {
				f[7] = args[2]
				l = strings.Join(f, ":")
			}
			shadow += l
		}
		p.file("etc/shadow", shadow)
	case "ssh-keygen":
		out, err := exec.Command("ssh-keygen", args[1:]...).CombinedOutput()
		return string(out), err
	case "sshd":
		if args[1] == "-T" {
			return p.effective(), nil
		}
	case "nft":
		return p.nft(stdin, args[1:])
	}
	return "", nil
}

// effective is what sshd -T says of the pretended settings.
func (p *pretend) effective() string {
	out := "port 22\n"
	for l := range strings.Lines(p.read("etc/ssh/sshd_config.d/00-sshnotify-respond.conf")) {
		if word, rest, ok := strings.Cut(l, " "); ok && word != "#" {
			out += strings.ToLower(word) + " " + rest
		}
	}
	return out
}

// nft keeps sets of single elements and networks that don't overlap, as the kernel.
func (p *pretend) nft(stdin string, args []string) (string, error) {
	prefix := func(s string) netip.Prefix {
		s = strings.Fields(strings.Trim(s, "{ }"))[0]
		if x, err := netip.ParsePrefix(s); err == nil {
			return x
		}
		a := netip.MustParseAddr(s)
		return netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case args[0] == "-f":
		i := strings.Index(stdin, "add element")
		_, element, _ := strings.Cut(stdin[i:], "{")
		want := prefix(element)
		for have := range p.blocks {
			if prefix(have).Overlaps(want) {
				return "", errors.New("conflicting intervals specified")
			}
		}
		p.blocks[want.String()] = "1h59m"
		return "", nil
	case args[0] == "get":
		for have, left := range p.blocks {
			if prefix(have).Overlaps(prefix(args[5])) {
				return "elements = { " + have + " timeout 2h expires " + left + " }", nil
			}
		}
		return "", errors.New("no such file or directory")
	case args[0] == "delete" && args[1] == "element":
		if _, ok := p.blocks[prefix(args[5]).String()]; !ok {
			return "", errors.New("no such file or directory")
		}
		delete(p.blocks, prefix(args[5]).String())
	case args[0] == "list" && args[1] == "chain":
		return "type filter hook input priority mangle;\nip saddr @block4 drop\nip6 saddr @block6 drop\n", nil
	case args[0] == "list" && len(p.blocks) > 0:
		return "elements = { }", nil
	}
	return "", nil
}

func (p *pretend) all() []Process {
	all, err := p.h.processes()
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func (p *pretend) didRun(beginning string) bool {
	return slices.ContainsFunc(p.ran, func(l string) bool { return strings.HasPrefix(l, beginning) })
}
