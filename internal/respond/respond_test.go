package respond

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func numbers(all []Process) string {
	var out []string
	for _, p := range all {
		out = append(out, fmt.Sprint(p.PID))
	}
	return strings.Join(out, " ")
}

func TestMembers(t *testing.T) {
	for _, c := range []struct {
		name               string
		host               func(*pretend, *Subject)
		own, stray, shared string
		elsewhere          string
		others             int
	}{
		{"an open session, with tmux and services of the user's", func(p *pretend, s *Subject) {}, "100 101 102", "110 111", "", "", 0},
		{"closing: whoever logged in is gone, and tmux is left", func(p *pretend, s *Subject) {
			os.RemoveAll(filepath.Join(p.root, "proc/100"))
			os.RemoveAll(filepath.Join(p.root, "proc/101"))
			p.session("5", 1000, 100, 5, "closing", "203.0.113.7", loggedIn)
		}, "102", "110 111", "", "", 0},
		{"its number is another process's by now", func(p *pretend, s *Subject) {
			os.RemoveAll(filepath.Join(p.root, "run/systemd/sessions"))
			s.Session.Start++
		}, "", "", "110 111", "", 0},
		{"a later session has the same leader's number", func(p *pretend, s *Subject) {
			s.Time = loggedIn.Add(-10 * time.Minute)
			s.Session.Start--
		}, "", "", "110 111", "", 1},
		{"another session of the user is open", func(p *pretend, s *Subject) {
			p.session("8", 1000, 120, 8, "active", "192.0.2.77", loggedIn)
			p.process(120, 1, 1005, 0, 1000, 8, "/user.slice/user-1000.slice/session-8.scope", "sshd")
		}, "100 101 102", "", "110 111", "", 1},
		{"the user's services are older than the login", func(p *pretend, s *Subject) {
			p.process(110, 1, 10, 1000, 1000, 6, "/user.slice/user-1000.slice/user@1000.service/init.scope", "systemd")
		}, "100 101 102", "111", "", "", 0},
		{"an earlier boot", func(p *pretend, s *Subject) { s.Session.Boot = "another"; s.Time = loggedIn.Add(-24 * time.Hour) }, "", "", "", "", 1},
		{"an account that /etc/passwd has not", func(p *pretend, s *Subject) { s.UID = -1 }, "100 101 102", "", "", "", 0},
		{"root, with a job of cron since", func(p *pretend, s *Subject) {
			s.UID, s.User = 0, "root"
			scope := "/user.slice/user-0.slice/session-5.scope"
			for pid, ppid := range map[int]int{100: 1, 101: 100, 102: 1} {
				p.process(pid, ppid, 1000, 0, 0, 5, scope, "sshd")
			}
			p.process(130, 1, 1030, 0, 0, 9, "/system.slice/cron.service", "backup")
		}, "100 101 102", "", "", "130", 0},
		{"no audit and no logind, as in a container", func(p *pretend, s *Subject) {
			os.RemoveAll(filepath.Join(p.root, "run/systemd/sessions"))
			for pid, ppid := range map[int]int{1: 0, 100: 1, 101: 100, 102: 101, 103: 1} {
				p.process(pid, ppid, 1000, 1000, -1, unset, "/", "sshd")
			}
		}, "100 101 102", "110 111", "", "", 0},
		{"a process that is no login's, and the sshd that listens", func(p *pretend, s *Subject) {
			os.RemoveAll(filepath.Join(p.root, "run/systemd/sessions"))
			p.process(1, 0, 1000, 0, -1, unset, "/init.scope", "systemd")
			p.process(100, 1, 1000, 0, -1, unset, "/system.slice/ssh.service", "sshd")
		}, "", "101 102 110 111", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPretend(t)
			p.login()
			s := p.subject()
			c.host(p, &s)
			m, err := p.h.members(s, p.h.Self())
			if err != nil {
				t.Fatal(err)
			}
			got := []string{numbers(m.Own), numbers(m.Stray), numbers(m.Shared), numbers(m.Elsewhere), fmt.Sprint(len(m.Others))}
			if diff := cmp.Diff([]string{c.own, c.stray, c.shared, c.elsewhere, fmt.Sprint(c.others)}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnd(t *testing.T) {
	p := newPretend(t)
	p.login()
	r := p.responder()
	if s := p.do(r, End); s.Outcome != Done || !p.didRun("loginctl kill-session 5 --signal=KILL") || !p.didRun("systemctl stop user@1000.service") {
		t.Errorf("%+v %q", s, p.ran)
	}
	if got := numbers(p.all()); got != "50 60 900" {
		t.Errorf("left are %s", got)
	}
	if s := p.do(r, End); s.Outcome != Already {
		t.Errorf("again: %+v", s)
	}
}

func TestEndSaysWhatIsLeft(t *testing.T) {
	standin.Gate(t)
	p := newPretend(t)
	p.login()
	p.immune[111] = true
	if s := p.do(p.responder(), End); s.Outcome != Partly || !strings.Contains(strings.Join(s.Left, " "), "111 (sleep): still there") {
		t.Errorf("%+v", s)
	}
}

func TestWhoAsksIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		action Action
		host   func(*pretend, *Responder)
		want   string
		insist Outcome // with --even-mine
	}{
		{"run in the session", End, func(p *pretend, r *Responder) {
			p.process(900, 101, 1050, 0, 1000, 5, "/user.slice/user-1000.slice/session-5.scope", "sshnotify")
		}, "you run this in it", Done},
		{"run below it, without audit", End, func(p *pretend, r *Responder) {
			p.process(900, 101, 1050, 0, -1, unset, "/user.slice/user-1000.slice/session-5.scope", "sshnotify")
		}, "you run this in it", Done},
		{"the connection goes through it", End, func(p *pretend, r *Responder) {
			p.process(800, 1, 1040, 0, 0, 8, "/user.slice/user-0.slice/session-8.scope", "sshd")
			p.process(900, 800, 1050, 0, 0, 8, "/user.slice/user-0.slice/session-8.scope", "sshnotify")
			p.file("proc/900/environ", "SSH_CONNECTION=127.0.0.1 51000 127.0.0.1 22\x00")
			p.file("proc/101/net/tcp", "sl\n 0: 0100007F:C738 0100007F:0016 01 0:0 0:0 0 1000 0 4711 1\n")
			p.folder("proc/101/ns")
			for pid, ns := range map[string]string{"100": "net:[1]", "101": "net:[2]", "102": "net:[1]"} {
				p.folder("proc/" + pid + "/ns")
				os.Symlink(ns, filepath.Join(p.root, "proc", pid, "ns/net"))
			}
			os.Symlink("socket:[4711]", filepath.Join(p.root, "proc/101/fd/3"))
		}, "your own connection goes through it", Done},
		{"the account", Lock, func(p *pretend, r *Responder) { p.process(900, 1, 1050, 0, 1000, 77, "/", "sshnotify") }, "logged in with it yourself", Partly},
		{"the key", Key, func(p *pretend, r *Responder) {
			p.process(900, 1, 1050, 0, 1000, 77, "/", "sshnotify")
			p.file("home/alice/.ssh/authorized_keys", publicKey(t)+"\n")
			r.Subject.Key = fingerprint(t)
		}, "it is a key of the account alice", Done},
		{"the address", Block, func(p *pretend, r *Responder) {
			p.file("proc/900/environ", "SSH_CONNECTION=203.0.113.7 51000 192.0.2.5 22\x00")
		}, "your own connection comes from there", Done},
		{"the address of the same account's other session", Block, func(p *pretend, r *Responder) {
			p.process(900, 1, 1050, 0, 1000, 77, "/", "sshnotify")
			p.session("9", 1000, 140, 9, "active", "203.0.113.7", loggedIn)
		}, "also logged in from there: session 9", Done},
		{"the network of IPv6", Block, func(p *pretend, r *Responder) {
			r.Subject.IP = netip.MustParseAddr("2001:db8:1:2::7")
			p.file("proc/900/environ", "SSH_CONNECTION=2001:db8:1:2::99 51000 2001:db8::1 22\x00")
		}, "your own connection comes from there", Done},
		{"loopback", Block, func(p *pretend, r *Responder) { r.Subject.IP = netip.MustParseAddr("127.0.0.1") }, "no address of another host", Refused},
		{"this host", Block, func(p *pretend, r *Responder) { r.Subject.IP = netip.MustParseAddr("192.0.2.5") }, "this host's own", Refused},
		{"the gateway", Block, func(p *pretend, r *Responder) { r.Subject.IP = netip.MustParseAddr("192.0.2.254") }, "the gateway 192.0.2.254", Refused},
		{"a network of the settings", Block, func(p *pretend, r *Responder) {
			r.Known = map[netip.Prefix]string{netip.MustParsePrefix("203.0.113.0/24"): "office"}
		}, "the settings know it: office", Done},
		{"where many of our own come from", Block, func(p *pretend, r *Responder) { r.Neighbours = Neighbours{ManyLogins, []string{"bob"}} }, "many of your own", Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.action == Key {
				needsKeygen(t)
			}
			if c.name == "the gateway" && !littleEndian {
				t.Skip("the table is that of a little-endian machine")
			}
			p := newPretend(t)
			p.login()
			r := p.responder()
			c.host(p, r)
			r.Self = p.h.Self()
			before := p.read("etc/shadow")
			if s := p.do(r, c.action); s.Outcome != Refused || !strings.Contains(strings.Join(s.Said, "; "), c.want) {
				t.Errorf("%+v", s)
			}
			if got := numbers(p.all()); !strings.Contains(got, "101 102") || p.read("etc/shadow") != before || len(p.blocks) > 0 || p.read(krlPath) != "none" {
				t.Errorf("refused, and done: %s, %q", got, p.ran)
			}
			r.EvenMine = true
			if s := p.do(r, c.action); s.Outcome != c.insist {
				t.Errorf("insisted: %+v", s)
			}
		})
	}
}

func TestLock(t *testing.T) {
	p := newPretend(t)
	r := p.responder()
	before := p.read("etc/shadow")
	begun := 0
	r.Begun = func() {
		if begun++; p.read("etc/shadow") != before {
			t.Error("it is told after it is done")
		}
	}
	if s := p.do(r, Lock); s.Outcome != Partly || !strings.Contains(strings.Join(s.Left, " "), "toor has the same number") || s.Undo[0] != "usermod --expiredate 29999 alice" {
		t.Errorf("%+v", s)
	}
	if s := p.do(r, Lock); s.Outcome != Already || begun != 1 {
		t.Errorf("again: %+v, told %d times", s, begun)
	}
	undo, err := r.UndoAll(t.Context(), nil)
	if err != nil || len(undo) != 1 || undo[0].Outcome != Done || p.read("etc/shadow") != before {
		t.Errorf("%+v %v\n%s", undo, err, p.read("etc/shadow"))
	}
	if undo, err = r.UndoAll(t.Context(), nil); err != nil || len(undo) != 0 {
		t.Errorf("again: %+v %v", undo, err)
	}
}

func TestLockThatFails(t *testing.T) {
	t.Run("usermod says that it is done", func(t *testing.T) {
		p := newPretend(t)
		p.answers["usermod"] = ""
		if s := p.do(p.responder(), Lock); s.Outcome != Failed || !strings.Contains(s.Said[0], "says that it is done") {
			t.Errorf("%+v", s)
		}
	})
	t.Run("stopped between writing down and doing", func(t *testing.T) {
		p := newPretend(t)
		r := p.responder()
		st, err := OpenStore(r.Folder)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if _, err := r.begin(st, Kept{Action: Lock, User: "alice", Expiry: "29999"}); err != nil {
			t.Fatal(err)
		}
		p.h.expire(t.Context(), "alice", "77") // whatever: what counts is what was written down first
		p.do(r, Lock)
		p.file("etc/shadow", strings.Replace(p.read("etc/shadow"), ":77:", ":1:", 1))
		if _, err := r.UndoAll(t.Context(), nil); err != nil || !strings.Contains(p.read("etc/shadow"), "7::29999:") {
			t.Errorf("%v\n%s", err, p.read("etc/shadow"))
		}
	})
	t.Run("somebody changed it since", func(t *testing.T) {
		p := newPretend(t)
		r := p.responder()
		p.do(r, Lock)
		p.h.expire(t.Context(), "alice", "30500")
		if undo, err := r.UndoAll(t.Context(), nil); err != nil || undo[0].Outcome != Already || !strings.Contains(p.read("etc/shadow"), ":30500:") {
			t.Errorf("%+v %v", undo, err)
		}
	})
}

// Root, and accounts of a directory, are refused by sshd alone.
func TestLockBySSHD(t *testing.T) {
	p := newPretend(t)
	for _, user := range []string{"root", "dave"} {
		r := p.responder()
		r.Subject.User = user
		r.Subject = p.h.Account(r.Subject)
		shadow := p.read("etc/shadow")
		if s := p.do(r, Lock); s.Outcome != Done || !strings.Contains(p.read(sshdConf), "DenyUsers "+user+"\n") || p.read("etc/shadow") != shadow {
			t.Errorf("%+v\n%s", s, p.read(sshdConf))
		}
		if _, err := r.UndoAll(t.Context(), nil); err != nil || p.read(sshdConf) != "none" {
			t.Errorf("%v\n%s", err, p.read(sshdConf))
		}
	}
	r := p.responder()
	r.Subject.User = "* root"
	r.Subject.UID = -1
	if s := p.do(r, Lock); s.Outcome != Cannot || p.read(sshdConf) != "none" {
		t.Errorf("a name that is a pattern: %+v", s)
	}
}

func needsKeygen(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not there")
	}
}

func TestKey(t *testing.T) {
	needsKeygen(t)
	p := newPretend(t)
	r := p.responder()
	if s := p.do(r, Key); s.Outcome != Done || !p.didRun("systemctl reload ssh.service") {
		t.Errorf("%+v %q", s, p.ran)
	}
	first := p.read(krlPath)
	if s := p.do(r, Key); s.Outcome != Already {
		t.Errorf("again: %+v", s)
	}
	// A second response, to another key, and the first is undone.
	second := *r
	second.Subject.ID, second.Subject.Key = otherID, "SHA256:"+strings.Repeat("A", 43)
	p.ran = nil
	if s := p.do(&second, Key); s.Outcome != Done || p.didRun("systemctl reload") || p.read(krlPath) == first {
		t.Errorf("another: %+v %q", s, p.ran)
	}
	if _, err := r.UndoAll(t.Context(), nil); err != nil || p.read(sshdConf) == "none" {
		t.Errorf("%v: the other key's line is gone", err)
	}
	if _, err := second.UndoAll(t.Context(), nil); err != nil || p.read(sshdConf) != "none" || p.read(krlPath) != "none" {
		t.Errorf("%v: something is left", err)
	}
}

// A list that is missing or broken would lock everybody out.
func TestKeyThatFails(t *testing.T) {
	needsKeygen(t)
	for _, c := range []struct {
		name string
		host func(*pretend)
		want string
	}{
		{"ssh-keygen can't make it", func(p *pretend) { p.fails["ssh-keygen -q -k"] = "no space left on device" }, "not put in place"},
		{"it makes none", func(p *pretend) { p.answers["ssh-keygen -q -k"] = "" }, "not put in place"},
		{"it revokes a key that nobody revoked", func(p *pretend) { p.fails["ssh-keygen -Q -f"] = "REVOKED" }, "would refuse a key that nobody revoked"},
		{"it has not the key", func(p *pretend) { p.answers["ssh-keygen -Q -l"] = "# KRL version 0\n" }, "it does not have"},
		{"sshd refuses the settings", func(p *pretend) { p.fails["sshd -t"] = "line 3: bad" }, "line 3: bad"},
		{"another list comes first", func(p *pretend) { p.answers["sshd -T"] = "revokedkeys /etc/ssh/revoked\n" }, "from elsewhere (/etc/ssh/revoked)"},
		{"sshd can't be told", func(p *pretend) { p.fails["systemctl reload"] = "failed" }, "failed"},
		{"the settings have no Include", func(p *pretend) { p.file("etc/ssh/sshd_config", "Port 22\n") }, "does not include"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPretend(t)
			c.host(p)
			r := p.responder()
			if s := p.do(r, Key); s.Outcome != Failed || !strings.Contains(strings.Join(s.Said, "; "), c.want) {
				t.Errorf("%+v", s)
			}
			if p.read(sshdConf) != "none" || p.read(krlPath) != "none" {
				t.Errorf("left: %s, %q", p.read(sshdConf), p.read(krlPath))
			}
			if undo, err := r.UndoAll(t.Context(), nil); err != nil || len(undo) != 0 {
				t.Errorf("undo: %+v %v", undo, err)
			}
			p.fails, p.answers = map[string]string{}, map[string]string{}
			p.file("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
			if s := p.do(r, Key); s.Outcome != Done {
				t.Errorf("mended: %+v", s)
			}
		})
	}
}

func TestBlock(t *testing.T) {
	p := newPretend(t)
	r := p.responder()
	r.For = 2 * time.Hour
	if s := p.do(r, Block); s.Outcome != Done || !s.Until.Equal(loggedIn.Add(time.Minute+2*time.Hour)) {
		t.Errorf("%+v", s)
	}
	if s := p.do(r, Block); s.Outcome != Already {
		t.Errorf("again: %+v", s)
	}
	if undo, err := r.UndoAll(t.Context(), nil); err != nil || undo[0].Outcome != Done || len(p.blocks) != 0 || !p.didRun("nft delete table inet sshnotify") {
		t.Errorf("%+v %v %q", undo, err, p.blocks)
	}
	// A network that has it, and a network of which a part is blocked.
	p.blocks["203.0.113.0/24"] = "1h"
	if s := p.do(r, Block); s.Outcome != Already {
		t.Errorf("in a blocked network: %+v", s)
	}
	p.blocks = map[string]string{"2001:db8:1::5/128": "1h"}
	r.Subject.IP = netip.MustParseAddr("2001:db8:1::7")
	if s := p.do(r, Block); s.Outcome != Partly || p.blocks["2001:db8:1::7/128"] == "" {
		t.Errorf("a part of it is blocked: %+v %q", s, p.blocks)
	}
	if undo, err := r.UndoAll(t.Context(), nil); err != nil || undo[0].Outcome != Done || len(p.blocks) != 1 || p.blocks["2001:db8:1::5/128"] == "" {
		t.Errorf("%+v %v %q", undo, err, p.blocks)
	}
}

func TestBlockThatDoesNotHold(t *testing.T) {
	p := newPretend(t)
	p.answers["nft list chain"] = "type filter hook input priority mangle;\n" // without the rules
	if s := p.do(p.responder(), Block); s.Outcome != Failed || !strings.Contains(strings.Join(s.Said, "; "), "no rule uses the set") {
		t.Errorf("%+v", s)
	}
}

// What can't be done about an event is said, and nothing is changed.
func TestWhatHasNoObject(t *testing.T) {
	p := newPretend(t)
	r := p.responder()
	r.Subject = Subject{ID: refID, Kind: event.KindAttack, Time: loggedIn, UID: -1, IP: netip.MustParseAddr("203.0.113.7")}
	for a, want := range map[Action]Outcome{End: Cannot, Lock: Cannot, Key: Cannot, Block: Done} {
		if s := p.do(r, a); s.Outcome != want {
			t.Errorf("%s of an attack: %+v", a, s)
		}
	}
}

func TestPlanChangesNothing(t *testing.T) {
	p := newPretend(t)
	p.login()
	r := p.responder()
	for _, s := range r.Plan(t.Context(), Actions) {
		if s.Outcome != Planned || len(s.Commands) == 0 || len(s.Misses) == 0 || s.Action != End && len(s.Undo) == 0 {
			t.Errorf("%+v", s)
		}
	}
	if _, err := os.Stat(r.Folder); err == nil || len(p.blocks) > 0 || p.didRun("usermod") || p.didRun("loginctl") {
		t.Errorf("%q", p.ran)
	}
}

func TestOnlyRootActs(t *testing.T) {
	p := newPretend(t)
	r := p.responder()
	r.Host.UID = 1000
	if _, err := r.Do(t.Context(), Lock); err != ErrNotRoot {
		t.Error(err)
	}
	if _, err := r.UndoAll(t.Context(), nil); err != ErrNotRoot {
		t.Error(err)
	}
}

// What a process says of itself can't move what is shown, and can't have anybody wait.
func TestEvidence(t *testing.T) {
	p := newPretend(t)
	p.login()
	p.file("proc/101/cmdline", "bash\x00-c\x00echo \x1b[2J\u202efdp.exe\n\x00")
	p.file("proc/101/environ", "SECRET=hunter2\x00SSH_CONNECTION=203.0.113.7 51000 192.0.2.5 22\x00")
	os.Symlink("/tmp/\x1b]0;x\x07evil (deleted)", filepath.Join(p.root, "proc/101/exe"))
	p.file("home/alice/.ssh/authorized_keys", "# "+publicKey(t)+"\n"+`from="203.0.113.0/24",command="echo `+"\u202e"+`" `+publicKey(t)+"\n")
	// Reading it waits for ever, as memory does that lies on a file system of theirs.
	fifo := filepath.Join(p.root, "proc/102/cmdline")
	os.Remove(fifo)
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	r := p.responder()
	r.Subject.Key = fingerprint(t)
	ev := r.Take(nil)
	if err := r.Write(ev); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(ev.Folder, EvidenceFile))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Error("evidence has the value of a variable")
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	clean(t, doc)
	for _, want := range []string{`SSH_CONNECTION=203.0.113.7`, `"exe_deleted": true`, `did not answer in time`, `"line": 2`, `"SECRET"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("evidence has no %s:\n%s", want, text)
		}
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, EvidenceFile: 0o600, sumsFile: 0o600, "..": 0o700} {
		if info, err := os.Stat(filepath.Join(ev.Folder, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v %v", name, info.Mode(), err)
		}
	}
	if _, err := exec.LookPath("sha256sum"); err == nil {
		c := exec.Command("sha256sum", "--check", "--strict", sumsFile)
		c.Dir = ev.Folder
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// clean fails for a text that shows otherwise than it is.
func clean(t *testing.T, v any) {
	switch v := v.(type) {
	case string:
		if v != event.Clean(v, 4096) {
			t.Errorf("%q is not clean", v)
		}
	case []any:
		for _, x := range v {
			clean(t, x)
		}
	case map[string]any:
		for _, x := range v {
			clean(t, x)
		}
	}
}

// What root puts back stands where nobody else can write.
func TestStoreOfOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "respond")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if st, err := OpenStore(dir); err == nil {
		st.Close()
		t.Error("a folder that a group may write in")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Dir(dir), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if st, err := OpenStore(dir); err == nil {
		st.Close()
		t.Error("a folder that another user could put another in the place of")
	}
}

// Who may not read /etc/shadow can't know what an undo has to put back.
func TestUndoOfWhatCantBeSeen(t *testing.T) {
	p := newPretend(t)
	os.Remove(filepath.Join(p.root, "etc/shadow"))
	p.folder("etc/shadow") // reading it is an error, for root as well
	r := p.responder()
	r.Host.UID = 1000
	if s := r.Plan(t.Context(), []Action{Lock})[0]; s.Outcome != Planned || !strings.HasPrefix(s.Undo[0], "usermod --expiredate OLD alice ") || !strings.HasPrefix(s.Commands[0], "getent shadow alice ") {
		t.Errorf("%+v", s)
	}
}

func TestParseActions(t *testing.T) {
	for list, want := range map[string]string{
		"end,lock,key,block": "[lock key block end]", "end": "[end]", "lock, lock": "[lock]",
		"": "", "end,": "", "endlock": "", "END": "",
	} {
		got, err := ParseActions(list)
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: %v %v", list, got, err)
		}
	}
}

func FuzzProcess(f *testing.F) {
	f.Add([]byte("bash\x00-c\x00x"), []byte("SSH_CONNECTION=1.2.3.4 5 6 7\x00"), []byte("1:name=systemd:/a\n0::/b"), "0100007F:0016")
	f.Fuzz(func(t *testing.T, words, env, groups []byte, end string) {
		root := t.TempDir()
		dir := filepath.Join(root, "proc/7")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "cmdline"), words, 0o644)
		os.WriteFile(filepath.Join(dir, "environ"), env, 0o644)
		p := Host{Root: root}.detail(Process{PID: 7, Cgroup: cgroupOf(string(groups))})
		for _, s := range append(append(p.Args, p.Env...), p.Cgroup) {
			if s != event.Clean(s, maxWord) {
				t.Errorf("%q is not clean", s)
			}
		}
		endpoint(end)
	})
}
