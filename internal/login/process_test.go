package login

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestParseStat(t *testing.T) {
	rest := " S 810 820 820 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 132676 3133440 382 18446744073709551615\n"
	rows := []struct {
		name string
		stat string
		comm string
		ok   bool
	}{
		{"plain", "820 (sshd)" + rest, "sshd", true},
		{"a space", "820 (tmux: server)" + rest, "tmux: server", true},
		{"a name that tries to be the rest", "820 (x) S 1 1 (y)" + rest, "x) S 1 1 (y", true},
		{"a newline", "820 (a\nb)" + rest, "a\nb", true},
		{"an empty name", "820 ()" + rest, "", true},
		{"empty", "", "", false},
		{"no parentheses", "820 sshd" + rest, "", false},
		{"the wrong way round", "820 )sshd(" + rest, "", false},
		{"cut short", "820 (sshd) S 810 820", "", false},
		{"no pid", "(sshd)" + rest, "", false},
		{"a start time that is no number", "820 (sshd) S 810 820 820 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 soon 1", "", false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got, err := parseStat([]byte(r.stat))
			if (err == nil) != r.ok {
				t.Fatalf("error %v", err)
			}
			if want := (process{pid: 820, comm: r.comm, state: 'S', ppid: 810, start: 132676}); r.ok && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseStatOfThisProcess(t *testing.T) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skip("no /proc here")
	}
	p, err := parseStat(b)
	if err != nil || p.pid != os.Getpid() || p.ppid != os.Getppid() || p.start == 0 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestAlive(t *testing.T) {
	h := underSSHD(t)
	write(t, h.Root, "proc/1/stat", proc{1, 0, "systemd", "", 0}.stat())
	write(t, h.Root, "proc/813/stat", string(bytes.Replace([]byte(proc{813, 700, "sshd", "", 0}.stat()), []byte(") S "), []byte(") Z "), 1)))
	write(t, h.Root, "proc/814/stat", "")
	with := func(change func(*event.Session)) event.Session {
		s := monitor
		change(&s)
		return s
	}
	type answer struct{ alive, sure bool }
	rows := []struct {
		name string
		s    event.Session
		want answer
	}{
		{"it runs", monitor, answer{true, true}},
		{"it is gone", with(func(s *event.Session) { s.PID = 815 }), answer{false, true}},
		{"another process has its number", with(func(s *event.Session) { s.Start++ }), answer{false, true}},
		{"dead, but not yet collected", with(func(s *event.Session) { s.PID, s.Start = 813, 100_813 }), answer{false, true}},
		{"before the last boot", with(func(s *event.Session) { s.Boot = "0f0c55d2-0000-4000-8000-000000000000" }), answer{false, true}},
		{"in a container, seen from the host", with(func(s *event.Session) { s.NS = "pid:[4026532001]" }), answer{true, false}},
		{"of before the last boot in a container", with(func(s *event.Session) { s.NS, s.Boot = "pid:[4026532001]", "x" }), answer{false, true}},
		{"no process is known", event.Session{Boot: boot, NS: ns}, answer{true, false}},
		{"its start time is not known", with(func(s *event.Session) { s.Start = 0 }), answer{true, false}},
		{"its boot is not known", with(func(s *event.Session) { s.Boot = "" }), answer{true, false}},
		{"its namespace is not known", with(func(s *event.Session) { s.NS = "" }), answer{true, false}},
		{"a stat that can't be understood", with(func(s *event.Session) { s.PID = 814 }), answer{true, false}},
		{"nothing", event.Session{}, answer{true, false}},
	}
	ask := func(s event.Session) answer {
		alive, sure := Alive(h.Root, s)
		return answer{alive, sure}
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if got := ask(r.s); got != r.want {
				t.Errorf("got %+v, want %+v", got, r.want)
			}
		})
	}
	os.Remove(filepath.Join(h.Root, "proc/1/stat"))
	gone := rows[1].s
	if got := ask(gone); got.sure {
		t.Errorf("sure, though /proc hides the processes of others: %+v", got)
	}
	os.Remove(filepath.Join(h.Root, "proc/self/ns/pid"))
	write(t, h.Root, "proc/1/stat", proc{1, 0, "systemd", "", 0}.stat())
	if got := ask(with(func(s *event.Session) { s.PID, s.NS = 815, "" })); got.sure {
		t.Errorf("sure, though neither namespace is known: %+v", got)
	}
	os.Remove(filepath.Join(h.Root, "proc/sys/kernel/random/boot_id"))
	if got := ask(with(func(s *event.Session) { s.Boot = "x" })); got.sure {
		t.Errorf("sure of a boot without knowing ours: %+v", got)
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte(proc{820, 810, "sshd", "", 0}.stat()))
	f.Add([]byte(proc{820, 810, "x) S 1 (", "", 0}.stat()))
	f.Add([]byte("1 ("))
	f.Add([]byte(")("))
	f.Add([]byte("0()\xcb" + strings.Repeat(" 0", 19)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseStat(b)
		if err != nil {
			return
		}
		again, err := parseStat(fmt.Appendf(nil, "%d (%s) %s %d 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0", p.pid, p.comm, []byte{p.state}, p.ppid, p.start))
		if err != nil || again != p {
			t.Errorf("%+v is read again as %+v, %v", p, again, err)
		}
	})
}

func TestSession(t *testing.T) {
	sshd := []proc{
		{810, 805, "sshd", "sshd: alice@pts/0|", alice},
		{805, 700, "sshd", "sshd: alice [priv]|", 0},
		{700, 1, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0},
	}
	under := func(procs ...proc) Host { return pretend(t, nil, append(procs, sshd...)...) }
	for name, c := range map[string]struct {
		host              Host
		loginuid, session string
		uptime            string
		want              string
	}{
		"a shell":                  {under(proc{900, 810, "sshnotify", "", alice}), "1000", "7", "2000.50 1.00", "1000 [810 16m32.4s] [805 16m32.45s]"},
		"sudo, which others know":  {under(proc{900, 880, "sshnotify", "", 0}, proc{880, 820, "sudo", "", 0}, proc{820, 810, "bash", "-bash|", alice}), "1000", "7", "2000.50 1.00", "1000 [810 16m32.4s] [805 16m32.45s]"},
		"su to somebody":           {under(proc{900, 820, "sshnotify", "", bob}, proc{820, 810, "su", "su bob|", 0}), "1000", "7", "2000.50 1.00", "1000 [810 16m32.4s] [805 16m32.45s]"},
		"a service":                {pretend(t, nil, proc{900, 1, "sshnotify", "", 0}), "4294967295", "4294967295", "2000.50 1.00", ""},
		"a container":              {under(proc{900, 810, "sshnotify", "", alice}), "4294967295", "4294967295", "2000.50 1.00", "-1 [810 16m32.4s] [805 16m32.45s]"},
		"tmux":                     {pretend(t, nil, proc{900, 890, "sshnotify", "", alice}, proc{890, 1, "tmux: server", "tmux|", alice}), "1000", "7", "2000.50 1.00", ""},
		"below the listener":       {pretend(t, nil, append([]proc{{900, 700, "sshnotify", "", 0}}, sshd[2])...), "0", "7", "2000.50 1.00", ""},
		"a kernel without audit":   {under(proc{900, 810, "sshnotify", "", alice}), "", "", "2000.50 1.00", "-1 [810 16m32.4s] [805 16m32.45s]"},
		"a clock that nobody asks": {under(proc{900, 810, "sshnotify", "", alice}), "1000", "7", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.loginuid != "" {
				write(t, c.host.Root, "proc/self/loginuid", c.loginuid)
				write(t, c.host.Root, "proc/self/sessionid", c.session)
			}
			if c.uptime != "" {
				write(t, c.host.Root, "proc/uptime", c.uptime+"\n")
			}
			got := ""
			if uid, servers, ok := c.host.Session(); ok {
				got = fmt.Sprint(uid)
				for _, s := range servers {
					got += fmt.Sprintf(" [%d %v]", s.PID, s.Age.Round(10*time.Millisecond))
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestConnections(t *testing.T) {
	sshd := []proc{
		{810, 805, "sshd", "sshd: alice@pts/0|", alice},
		{805, 700, "sshd", "sshd: alice [priv]|", 0},
		{700, 1, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|", 0},
	}
	tmux := []proc{{900, 890, "sshnotify", "", alice}, {890, 1, "tmux: server", "tmux|", alice}}
	second := []proc{{830, 825, "sshd", "sshd: bob@pts/1|", bob}, {825, 700, "sshd", "sshd: bob [priv]|", 0}}
	for name, c := range map[string]struct {
		procs []proc
		audit map[int]string // by process
		want  string
	}{
		"a shell":                          {append([]proc{{900, 820, "sshnotify", "", alice}, {820, 810, "bash", "-bash|", alice}}, sshd...), nil, "900 820 810 805"},
		"sudo":                             {append([]proc{{900, 880, "sshnotify", "", 0}, {880, 820, "sudo", "", 0}, {820, 810, "bash", "-bash|", alice}}, sshd...), nil, "900 880 820 810 805"},
		"a shell of another audit session": {append(append([]proc{{900, 810, "sshnotify", "", alice}}, sshd...), second...), map[int]string{900: "9", 810: "7", 805: "7", 830: "9", 825: "9"}, "900 810 805"},
		"a tmux of this login":             {append(tmux, sshd...), map[int]string{900: "7", 890: "7", 810: "7", 805: "7"}, "900 890 805 810"},
		"a tmux of an earlier login":       {append(tmux, sshd...), map[int]string{900: "6", 890: "6", 810: "7", 805: "7"}, "900 890"},
		"no audit session":                 {append(tmux, sshd...), map[int]string{900: "4294967295", 890: "4294967295", 810: "4294967295", 805: "4294967295"}, "900 890"},
		"several logins of one audit session, of a server begun by hand": {append(append(tmux, sshd...), second...),
			map[int]string{900: "7", 890: "7", 810: "7", 805: "7", 830: "7", 825: "7"}, "900 890"},
		"a service":      {[]proc{{900, 1, "sshnotify", "", 0}}, nil, "900"},
		"it is gone":     {[]proc{{901, 1, "sshnotify", "", 0}}, nil, ""},
		"a name of sshd": {[]proc{{900, 820, "sshd-session", "", alice}, {820, 1, "sh", "", alice}}, map[int]string{900: "7"}, "900 820"},
	} {
		t.Run(name, func(t *testing.T) {
			h := pretend(t, nil, c.procs...)
			for pid, audit := range c.audit {
				write(t, h.Root, fmt.Sprintf("proc/%d/sessionid", pid), audit)
			}
			var got []int
			for _, s := range h.Connections(900) {
				if s.Start != uint64(100_000+s.PID) || s.Boot != boot || s.NS != ns {
					t.Errorf("%+v", s)
				}
				got = append(got, s.PID)
			}
			if n := len(got); n == 4 && name == "a tmux of this login" { // in no order
				slices.Sort(got[2:])
			}
			if s := strings.Trim(fmt.Sprint(got), "[]"); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}
